/**
 * Stack traces in terms of the user's files. The build puts all code into one text and hands over its source map
 * (`globalThis.__dacapo.sourceMap`); it is decoded when the first error needs it.
 */

const DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/** A frame of QuickJS (`at f (<input>:3:9)`) or of StarlingMonkey and SpiderMonkey (`f@file.js:3:9`) inside the bundle. */
const BUNDLE_FRAME = /(<input>|dacapo-bundle\.js[^:\s]*):(\d+)(?::(\d+))?/;

const map = () => globalThis.__dacapo?.sourceMap;

/** The stack of an error without its first line, in terms of the original files and without the SDK's own frames. */
export function originalStack(error) {
  const stack = typeof error.stack === "string" ? error.stack : "";
  const lines = stack.split("\n").filter((line) => /^\s+at |@.*:\d/.test(line));
  return lines.map(originalFrame).filter(Boolean).join("\n");
}

function originalFrame(line) {
  const match = map() ? BUNDLE_FRAME.exec(line) : null;
  if (!match) {
    return map() ? "" : line.trimEnd();
  }
  const position = originalPosition(Number(match[2]), Number(match[3] ?? 1));
  if (!position || position.source.startsWith("dacapo-sdk/")) {
    return "";
  }
  return line.replace(match[0], `${position.source}:${position.line}:${position.column}`).trimEnd();
}

/** Lines and columns count from 1. */
function originalPosition(line, column) {
  const { mappings, sources } = map();
  let found;
  for (const segment of segments(mappings, line)) {
    if (segment.generatedColumn > column - 1) {
      break;
    }
    found = segment;
  }
  return found && { source: sources[found.source], line: found.line + 1, column: found.column + 1 };
}

/** The segments of one generated line. Source, line and column are relative to the segment before, across all lines. */
function* segments(mappings, wanted) {
  let [source, line, column] = [0, 0, 0];
  let generatedLine = 1;
  let generatedColumn = 0;
  let index = 0;
  while (index < mappings.length && generatedLine <= wanted) {
    if (mappings[index] === ";") {
      generatedLine += 1;
      generatedColumn = 0;
      index += 1;
    } else if (mappings[index] === ",") {
      index += 1;
    } else {
      const fields = [];
      while (index < mappings.length && mappings[index] !== "," && mappings[index] !== ";") {
        let [value, shift, digit] = [0, 0, 32];
        while (digit & 32) {
          digit = DIGITS.indexOf(mappings[index]);
          value += (digit & 31) << shift;
          shift += 5;
          index += 1;
        }
        fields.push(value & 1 ? -(value >> 1) : value >> 1);
      }
      generatedColumn += fields[0];
      if (fields.length >= 4) {
        source += fields[1];
        line += fields[2];
        column += fields[3];
        if (generatedLine === wanted) {
          yield { generatedColumn, source, line, column };
        }
      }
    }
  }
}
