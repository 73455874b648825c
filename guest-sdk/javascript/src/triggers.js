/** Triggers of the modern API: functions by which the world reaches the app. */

import { requestOf, responseFor } from "./azure-http.js";
import { kindOf, requireText } from "./border.js";
import { readInput, RETURN, writeOutputs } from "./bindings.js";
import { Client } from "./client.js";
import { logger } from "./logger.js";
import { requireHandler } from "./registry.js";
import { registerTrigger } from "./trigger.js";

/** The context of a trigger: its call, the durable client, and its outputs. */
export class TriggerContext {
  #outputs;
  #values = new Map();

  log = logger;
  client = new Client();

  /** Sends a message to an output, once the function has returned. */
  send = (output, message) => {
    if (!this.#outputs.includes(output)) {
      throw new TypeError(`'${this.name}' has no output '${output}': name it in "outputs" of its options.`);
    }
    this.#values.set(output, [...(this.#values.get(output) ?? []), message]);
  };

  constructor({ name, invocationId, attempt }, metadata, outputs) {
    this.name = name;
    /** The same when the call is repeated, so that other systems can detect a repeated request. */
    this.invocationId = invocationId;
    this.attempt = attempt;
    this.metadata = metadata;
    this.#outputs = outputs;
  }

  /** For the SDK. */
  messagesOf(output) {
    return this.#values.get(output);
  }
}

/** Answers requests to a route: `(request, context) => response`. */
export function http(name, optionsOrHandler, handler) {
  const [{ route, methods, authLevel, ...options }, body] = split(optionsOrHandler, handler);
  const binding = { type: "httpTrigger", name: "request", route, methods: methods && [methods].flat(), authLevel };
  return define(name, binding, options, body, [{ type: "http", direction: "out", name: RETURN }]);
}

/** Runs by a schedule: `(timer, context)`. */
export function timer(name, options, handler) {
  const { schedule, runOnStartup, useMonitor, ...rest } = typeof options === "string" ? { schedule: options } : options;
  return define(name, { type: "timerTrigger", name: "timer", schedule: requireText(schedule, "The schedule of a timer"), runOnStartup, useMonitor }, rest, handler);
}

/** Takes the messages of a queue, one a call: `(message, context)`. */
export function queue(name, options, handler) {
  const { queueName, ...rest } = typeof options === "string" ? { queueName: options } : options;
  return define(name, { type: "queueTrigger", name: "message", queueName: requireText(queueName, "The name of a queue") }, rest, handler);
}

/** Takes the events of an event hub in batches: `(events, context)`; one a call with the cardinality `one`. */
export function eventHub(name, options, handler) {
  const { eventHubName, cardinality = "many", ...rest } = typeof options === "string" ? { eventHubName: options } : options;
  return define(name, { type: "eventHubTrigger", name: "events", eventHubName: requireText(eventHubName, "The name of an event hub"), cardinality }, rest, handler);
}

/** Takes events of Event Grid, and CloudEvents: `(event, context)`. */
export function eventGrid(name, optionsOrHandler, handler) {
  return define(name, { type: "eventGridTrigger", name: "event" }, ...split(optionsOrHandler, handler));
}

/** Is run by an operator: `(input, context)`. */
export function manual(name, optionsOrHandler, handler) {
  return define(name, { type: "manualTrigger", name: "input" }, ...split(optionsOrHandler, handler));
}

/** The options may be left out. */
function split(optionsOrHandler, handler) {
  return typeof optionsOrHandler === "function" ? [{}, optionsOrHandler] : [optionsOrHandler ?? {}, handler];
}

function define(name, trigger, { outputs = {}, ...unknown }, handler, fixed = []) {
  requireHandler(name, handler);
  const [option] = Object.keys(unknown);
  if (option !== undefined) {
    throw new TypeError(`'${name}' has an option '${option}', which a trigger of this kind does not have.`);
  }
  const bindings = [{ ...trigger, direction: "in" }, ...fixed, ...Object.entries(outputs).map(outputBinding)];
  registerTrigger(name, bindings, (call, input, read) => run(call, input, read, handler, Object.keys(outputs)), handler);
  return Object.freeze({ kind: "trigger", name, handler });
}

/** `{ queueName }` or `{ eventHubName }`. */
function outputBinding([name, output]) {
  const type = typeof output?.queueName === "string" ? "queue" : typeof output?.eventHubName === "string" ? "eventHub" : undefined;
  if (!type) {
    throw new TypeError(`The output '${name}' must have a queueName or an eventHubName, and is ${kindOf(output)}.`);
  }
  return { ...output, type, direction: "out", name };
}

async function run(call, input, { trigger, bindings }, handler, outputs) {
  const isHttp = trigger.type === "httpTrigger";
  const { value, metadata } = isHttp ? { value: requestOf(input), metadata: {} } : readInput(trigger, input);
  const context = new TriggerContext(call, metadata, outputs);
  const result = await handler(value, context);
  return writeOutputs(bindings, (name) => (isHttp && name === RETURN ? result : context.messagesOf(name)), responseFor);
}
