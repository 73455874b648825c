import { wellFormed } from "./border.js";

/** One line of the log. Without a host, in a test, it goes to the console. */
export function log(level, message) {
  const host = globalThis.__dacapo?.imports?.logging;
  if (host) {
    host.log(level, wellFormed(message));
  } else {
    const method = { trace: "debug", debug: "debug", info: "info", warn: "warn", error: "error" }[level];
    console[method](message);
  }
}
