/** `console`: each call writes one line to the host's log. */

import { inspect, inspectAll } from "../inspect.js";
import { log } from "../log.js";

const counts = new Map();
const timers = new Map();
let indent = "";

const at = (level) => (...args) => log(level, indent + inspectAll(args));

export const console = {
  log: at("info"),
  info: at("info"),
  debug: at("debug"),
  trace: at("trace"),
  warn: at("warn"),
  error: at("error"),
  dir: (value) => log("info", indent + inspect(value)),
  table: (value) => log("info", indent + inspect(value)),
  assert(condition, ...args) {
    if (!condition) {
      console.error("Assertion failed:", ...args);
    }
  },
  count(label = "default") {
    counts.set(label, (counts.get(label) ?? 0) + 1);
    console.info(`${String(label)}: ${counts.get(label)}`);
  },
  countReset: (label = "default") => void counts.delete(label),
  group(...args) {
    console.info(...args);
    indent += "  ";
  },
  groupEnd() {
    indent = indent.slice(2);
  },
  time: (label = "default") => void timers.set(label, Date.now()),
  timeLog: (label = "default") => console.info(`${String(label)}: ${Date.now() - (timers.get(label) ?? Date.now())} ms`),
  timeEnd(label = "default") {
    console.timeLog(label);
    timers.delete(label);
  },
};
console.groupCollapsed = console.group;
