/** What every handler of the programming model v4 gets, as `@azure/functions` defines it. */

import { inspectAll } from "./inspect.js";
import { log } from "./log.js";

export class InvocationContext {
  #logHandler;

  constructor({ functionName = "", invocationId = "", triggerMetadata = {}, retryContext, logHandler = toHost, options = {} } = {}) {
    this.functionName = functionName;
    this.invocationId = invocationId;
    this.triggerMetadata = triggerMetadata;
    this.retryContext = retryContext;
    this.options = options;
    this.extraInputs = new ExtraValues();
    this.extraOutputs = new ExtraValues();
    this.#logHandler = logHandler;
  }

  log(...args) {
    this.#logHandler("information", ...args);
  }

  trace(...args) {
    this.#logHandler("trace", ...args);
  }

  debug(...args) {
    this.#logHandler("debug", ...args);
  }

  info(...args) {
    this.#logHandler("information", ...args);
  }

  warn(...args) {
    this.#logHandler("warning", ...args);
  }

  error(...args) {
    this.#logHandler("error", ...args);
  }
}

function toHost(level, ...args) {
  log(HOST_LEVELS[level], inspectAll(args));
}

const HOST_LEVELS = { trace: "trace", debug: "debug", information: "info", warning: "warn", error: "error", critical: "error" };

/** Bindings besides the trigger: here they hold what the code puts in, no more. */
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
