/** The context of every handler in the programming model v4, as `@azure/functions` defines it. */

import { loggedLine } from "./hooks.js";
import { inspectAll } from "./inspect.js";
import { log } from "./log.js";

const NOTHING = Object.freeze({});

export class InvocationContext {
  /** The argument of the constructor. Most properties are rarely read. */
  #given;
  #extra = null;

  constructor(given = NOTHING) {
    this.#given = given;
  }

  get functionName() {
    return this.#given.functionName ?? "";
  }

  get invocationId() {
    return this.#given.invocationId ?? "";
  }

  get triggerMetadata() {
    return this.#given.triggerMetadata;
  }

  get traceContext() {
    return this.#given.traceContext;
  }

  get retryContext() {
    return this.#given.retryContext;
  }

  get options() {
    const { trigger = { type: "unknown", name: "unknown" }, return: result, extraInputs = [], extraOutputs = [] } = this.#given.options ?? {};
    return { trigger, return: result, extraInputs, extraOutputs };
  }

  get extraInputs() {
    return this.#extraValues().inputs;
  }

  get extraOutputs() {
    return this.#extraValues().outputs;
  }

  #extraValues() {
    this.#extra ??= { inputs: new ExtraValues(), outputs: new ExtraValues() };
    return this.#extra;
  }

  #log(level, args) {
    if (this.#given.logHandler) {
      this.#given.logHandler(level, ...args);
    } else {
      const line = loggedLine(level, inspectAll(args), this);
      log(HOST_LEVELS[line.level] ?? "info", line.message);
    }
  }

  log(...args) {
    this.#log("information", args);
  }

  trace(...args) {
    this.#log("trace", args);
  }

  debug(...args) {
    this.#log("debug", args);
  }

  info(...args) {
    this.#log("information", args);
  }

  warn(...args) {
    this.#log("warning", args);
  }

  error(...args) {
    this.#log("error", args);
  }
}

const HOST_LEVELS = { trace: "trace", debug: "debug", information: "info", warning: "warn", error: "error", critical: "error" };

/** The values of bindings other than the trigger. */
class ExtraValues {
  #values = new Map();

  get(binding) {
    return this.#values.get(nameOf(binding));
  }

  set(binding, value) {
    this.#values.set(nameOf(binding), value);
  }
}

function nameOf(binding) {
  return typeof binding === "string" ? binding : binding?.name;
}
