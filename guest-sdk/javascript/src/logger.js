import { inspectAll } from "./inspect.js";
import { log } from "./log.js";

const at = (level) => (...args) => log(level, inspectAll(args));

/** `log(...)` and `log.warn(...)` of a context. */
export const logger = Object.assign(at("info"), {
  trace: at("trace"),
  debug: at("debug"),
  info: at("info"),
  warn: at("warn"),
  error: at("error"),
});
