/**
 * What the guest needs of a source map, in a form that it can read without decoding all of it: for each line of the
 * bundle a text `column,source,line;column,source,line;…`. All count from 0, but for the original lines, from 1.
 */

const DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/**
 * @param json the source map
 * @param isWanted which sources the guest should know; it hides the frames of the others
 * @returns `{ sources, lines }`
 */
export function compactSourceMap(json, isWanted) {
  const { sources, mappings } = JSON.parse(json);
  const at = { source: 0, line: 0 };
  const lines = mappings.split(";").map((segments) => compactLine(segments, at, (source) => isWanted(sources[source])));
  return { sources: sources.map((source) => (isWanted(source) ? source : "")), lines };
}

/** A segment is kept where it leads to another original line than the one before. */
function compactLine(segments, at, isWanted) {
  const kept = [];
  let column = 0;
  for (const segment of segments.split(",").filter(Boolean)) {
    const [columns, sources = 0, lines = 0] = decode(segment);
    column += columns;
    at.source += sources;
    at.line += lines;
    const target = isWanted(at.source) ? `${at.source},${at.line + 1}` : "";
    if (kept.at(-1)?.target !== target) {
      kept.push({ column, target });
    }
  }
  return kept.every(({ target }) => target === "") ? "" : kept.map(({ column, target }) => `${column},${target}`).join(";");
}

/** Numbers in base 64, least significant digit first: a digit has five bits and one that says that more follow. */
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
