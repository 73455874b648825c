import { wellFormed } from "./border.js";

/** Writes a line to the log, or, in a test without a host, to the console. */
export function log(level, message) {
  const host = globalThis.__dacapo?.imports?.logging;
  if (host) {
    host.log(level, wellFormed(message));
  } else {
    const method = { trace: "debug", debug: "debug", info: "info", warn: "warn", error: "error" }[level];
    console[method](message);
  }
}
