/** Source maps: where a position in a compiled file comes from. */

const DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/**
 * @param file the name of the compiled file, which has `length` lines
 * @param mappings `{ line, column, generatedLine, generatedColumn }`: lines start at 1, columns at 0
 * @returns a source map, version 3
 */
export function sourceMap({ file, length }, source, mappings) {
  const lines = Array.from({ length }, () => []);
  for (const mapping of [...mappings].sort((one, other) => one.generatedLine - other.generatedLine || one.generatedColumn - other.generatedColumn)) {
    lines[mapping.generatedLine - 1].push(mapping);
  }
  const last = { line: 0, column: 0 };
  const encoded = lines.map((own) => {
    // A line begins where the one before it ended: without a position it would be taken for one of another file in the bundle.
    const segments = own[0]?.generatedColumn === 0 ? own : [{ line: last.line + 1, column: last.column, generatedColumn: 0 }, ...own];
    let lastColumn = 0;
    return segments
      .map(({ line, column, generatedColumn }) => {
        const numbers = [generatedColumn - lastColumn, 0, line - 1 - last.line, column - last.column];
        lastColumn = generatedColumn;
        last.line = line - 1;
        last.column = column;
        return numbers.map(encode).join("");
      })
      .join(",");
  });
  return { version: 3, file, sources: [source], names: [], mappings: encoded.join(";") };
}

/** A number in Base64-VLQ: five bits a digit, the least significant first, and the sign in the lowest bit. */
function encode(number) {
  let rest = number < 0 ? (-number << 1) | 1 : number << 1;
  let text = "";
  do {
    const digit = rest & 31;
    rest >>>= 5;
    text += DIGITS[rest > 0 ? digit | 32 : digit];
  } while (rest > 0);
  return text;
}
