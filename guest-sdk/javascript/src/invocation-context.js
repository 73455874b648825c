/** What every handler of the programming model v4 gets, as `@azure/functions` defines it. */

import { inspectAll } from "./inspect.js";
import { log } from "./log.js";

export class InvocationContext {
  constructor({ functionName = "", invocationId = "", triggerMetadata = {}, retryContext, logHandler, options = {} } = {}) {
    this.functionName = functionName;
    this.invocationId = invocationId;
    this.triggerMetadata = triggerMetadata;
    this.retryContext = retryContext;
    this.options = options;
    this.extraInputs = new ExtraValues();
    this.extraOutputs = new ExtraValues();
    this.#log = logHandler ?? ((level, ...args) => log(HOST_LEVELS[level], inspectAll(args)));
  }

  #log;

  log = (...args) => this.#log("information", ...args);
  trace = (...args) => this.#log("trace", ...args);
  debug = (...args) => this.#log("debug", ...args);
  info = (...args) => this.#log("information", ...args);
  warn = (...args) => this.#log("warning", ...args);
  error = (...args) => this.#log("error", ...args);
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
