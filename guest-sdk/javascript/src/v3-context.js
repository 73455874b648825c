/** The context of a function of the programming model v3. */

import { CLIENT, clientBinding } from "./durable-client.js";
import { DurableOrchestrationClient } from "./durable-client-v2.js";
import { logger } from "./logger.js";

/** `context.log`, with the levels of the model. */
const log = Object.assign((...values) => logger.info(...values), {
  error: logger.error,
  warn: logger.warn,
  info: logger.info,
  verbose: logger.trace,
  metric: (name, value, properties) => logger.info("metric %s: %s", name, value, ...(properties === undefined ? [] : [properties])),
});

export class V3Context {
  log = log;
  suppressAsyncDoneError = false;
  /** Set while the function runs. */
  done = () => {};

  /**
   * @param given.functionName, given.bindings (those of the `function.json`), given.invocationId, given.metadata
   * @param given.inputs the values of bindings, by name
   */
  constructor({ functionName, bindings, invocationId, inputs = {}, metadata = {}, attempt = 1, traceContext = {} }) {
    this.invocationId = invocationId;
    this.executionContext = {
      invocationId,
      functionName,
      functionDirectory: `/${functionName}`,
      retryContext: attempt > 1 ? { retryCount: attempt - 1 } : undefined,
    };
    this.bindings = { ...inputs };
    for (const { type, direction, name } of bindings) {
      if (direction === "in" && (type === "durableClient" || type === "orchestrationClient")) {
        this.bindings[name] = clientBinding();
      }
    }
    this.bindingData = { invocationId, ...metadata };
    this.bindingDefinitions = bindings.map(({ name, type, direction }) => ({ name, type, direction }));
    this.traceContext = traceContext;
  }

  get [CLIENT]() {
    return new DurableOrchestrationClient();
  }
}
