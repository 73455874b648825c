/**
 * The parts of a source map that the guest needs, in a form that it can read without decoding all of it: for each line of
 * the bundle a text `column,source,line;column,source,line;…`. Numbers start at 0, those of original lines at 1.
 */

const DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/**
 * @param json the source map
 * @param isWanted whether the guest should know a source; it hides the frames of the others
 * @returns `{ sources, lines }`; of files of packages no lines are known (0), because most of a map would be theirs
 */
export function compactSourceMap(json, isWanted) {
  const { sources, mappings } = JSON.parse(json);
  const wanted = sources.map((source) => isWanted(source));
  const ofPackage = sources.map((source) => source.includes("node_modules/"));
  const at = { source: 0, line: 0 };
  const targetOf = (source, line) => (wanted[source] ? `${source},${ofPackage[source] ? 0 : line + 1}` : "");
  const lines = mappings.split(";").map((segments) => compactLine(segments, at, targetOf));
  return { sources: sources.map((source, place) => (wanted[place] ? source : "")), lines };
}

/** Keeps the segments that map to another target than the segment before. */
function compactLine(segments, at, targetOf) {
  const kept = [];
  let column = 0;
  for (const segment of segments.split(",").filter(Boolean)) {
    const [columns, sources = 0, lines = 0] = decode(segment);
    column += columns;
    at.source += sources;
    at.line += lines;
    const target = targetOf(at.source, at.line);
    if (kept.at(-1)?.target !== target) {
      kept.push({ column, target });
    }
  }
  return kept.every(({ target }) => target === "") ? "" : kept.map(({ column, target }) => `${column},${target}`).join(";");
}

/** Decodes base-64 VLQ numbers, least significant digit first: a digit has five bits and a continuation bit. */
function decode(segment) {
  const numbers = [];
  let [value, shift] = [0, 0];
  for (const character of segment) {
    const digit = DIGITS.indexOf(character);
    value += (digit & 31) << shift;
    shift += 5;
    if ((digit & 32) === 0) {
      numbers.push(value & 1 ? -(value >> 1) : value >> 1);
      [value, shift] = [0, 0];
    }
  }
  return numbers;
}
