/**
 * Stack traces with positions in the user's files. The build bundles all code into one text, and provides the original
 * position of each line as `globalThis.__dacapo.sourceMap` (`builder/source-map.mjs`).
 */

/**
 * A frame in the bundle, in the format of each engine:
 *
 *     at f (<input>:3:9)                   QuickJS
 *     f@outer.js line 4 > eval:3:9         StarlingMonkey
 *     at f (dacapo-bundle.js:3:9)          Node.js, where the build loads it
 */
const BUNDLE_FRAME = /^(?:\s+at (?:(.+) \()?|(.*)@)(?:<input>|.* > eval|dacapo-bundle\.js):(\d+):(\d+)\)?$/;

/** The stack of an error without its first line, with original positions and without the SDK's own frames. */
export function originalStack(error) {
  const stack = typeof error.stack === "string" ? error.stack : "";
  const frames = stack.split("\n").filter((line) => /^\s+at |@.*:\d/.test(line));
  const map = globalThis.__dacapo?.sourceMap;
  const originals = map ? frames.map((frame) => originalFrame(frame, map)).filter(Boolean) : frames;
  return originals.map((frame) => frame.trimEnd()).join("\n");
}

/** The position of a function, as a frame; null if the engine does not provide it, as QuickJS does. */
export function placeOf(body) {
  const map = globalThis.__dacapo?.sourceMap;
  const position = map && body?.lineNumber && originalPosition(map, body.lineNumber, body.columnNumber);
  return position ? `    at ${body.name || "<anonymous>"} (${position})` : null;
}

function originalFrame(frame, map) {
  const [, name, otherName, line, column] = BUNDLE_FRAME.exec(frame.trimEnd()) ?? [];
  const position = line && originalPosition(map, Number(line), Number(column));
  return position ? `    at ${name || otherName || "<anonymous>"} (${position})` : "";
}

/** Lines and columns start at 1. */
function originalPosition({ sources, lines }, line, column) {
  let position = "";
  for (const entry of (lines[line - 1] ?? "").split(";")) {
    const [start, source, originalLine] = entry.split(",");
    if (Number(start) > column - 1) {
      break;
    }
    position = source ? sources[Number(source)] + (originalLine === "0" ? "" : `:${originalLine}`) : "";
  }
  return position;
}
