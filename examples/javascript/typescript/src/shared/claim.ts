export interface Claim {
    employee: string;
    lines: Line[];
}

export interface Line {
    what: string;
    cents: number;
}

export const sumOf = (lines: Line[]): number => lines.reduce((sum, line) => sum + line.cents, 0);
