/** `app` of `@azure/functions`, with which an app of the programming model v4 registers its functions. */

import { bindingsOf, trigger as triggers } from "./azure-bindings.js";
import { requestOf, responseFor } from "./azure-http.js";
import { readInput, RETURN, warnOfInputs, warnOfOutputs, writeOutputs } from "./bindings.js";
import { clientBinding } from "./durable-client.js";
import { activity, entity, orchestration } from "./durable-registration.js";
import { invoke, registerHook } from "./hooks.js";
import { InvocationContext } from "./invocation-context.js";
import { requireHandler } from "./registry.js";
import { registerTrigger } from "./trigger.js";

const DURABLE = { activityTrigger: activity, orchestrationTrigger: orchestration, entityTrigger: entity };

/** Registers a function whose `trigger`, `return`, `extraInputs` and `extraOutputs` describe its bindings. */
export function generic(name, options) {
  const { trigger, handler } = options ?? {};
  if (typeof trigger?.type !== "string") {
    throw new TypeError(`The function '${name}' needs a trigger with a type.`);
  }
  const type = /trigger$/i.test(trigger.type) ? trigger.type : `${trigger.type}Trigger`;
  if (Object.hasOwn(DURABLE, type)) {
    return DURABLE[type](name, options);
  }
  requireHandler(name, handler);
  const bindings = bindingsOf({ ...options, trigger: triggers.generic({ ...trigger, type }) });
  registerTrigger(name, bindings, (call, input, read) => run(call, input, read, options), handler);
}

async function run(call, input, { trigger, bindings, absent }, options) {
  warnOfInputs(call.name, absent);
  const isHttp = trigger.type === "httpTrigger";
  const request = isHttp ? requestOf(isStreaming ? withQueryInParams(input) : input) : undefined;
  const { value, metadata } = isHttp ? { value: request } : readInput(trigger, input);
  const context = new InvocationContext({
    functionName: call.name,
    invocationId: call.invocationId,
    triggerMetadata: trigger.type === "timerTrigger" ? undefined : metadata,
    retryContext: call.attempt > 1 ? { retryCount: call.attempt - 1 } : undefined,
    traceContext: request && traceOf(request),
    options: { ...options, trigger },
  });
  for (const { type, direction, name } of bindings) {
    if (direction === "in" && type !== trigger.type) {
      context.extraInputs.set(name, clientBinding());
    }
  }
  const result = await invoke(options.handler, [value], context);
  const valueOf = (name) => (name === RETURN ? result : context.extraOutputs.get(name));
  warnOfOutputs(call.name, absent, valueOf);
  return writeOutputs(bindings, valueOf, responseFor);
}

/** As in the original, a streamed request has the values of its query among its parameters too. */
function withQueryInParams(input) {
  return { ...input, params: { ...Object.fromEntries(input.query ?? []), ...input.params } };
}

function traceOf({ headers }) {
  return { traceParent: headers.get("traceparent") ?? undefined, traceState: headers.get("tracestate") ?? undefined, attributes: {} };
}

/** Makes the registration function of a type of trigger, whose options are those of the trigger and those of `generic`. */
const registration = (describe) => (name, options) => {
  const { handler, return: result, trigger, extraInputs, extraOutputs, retry, ...triggerOptions } = options ?? {};
  generic(name, { handler, return: result, extraInputs, extraOutputs, retry, trigger: trigger ?? describe(triggerOptions) });
};

const registerHttp = registration(({ authLevel = "anonymous", methods = ["GET", "POST"], ...options }) =>
  triggers.http({ ...options, authLevel, methods }),
);

export function http(name, options) {
  registerHttp(name, { ...options, return: options?.return ?? { type: "http", name: RETURN } });
}

const httpMethod = (method) => (name, optionsOrHandler) =>
  http(name, { ...(typeof optionsOrHandler === "function" ? { handler: optionsOrHandler } : optionsOrHandler), methods: [method] });

export const get = httpMethod("GET");
export const put = httpMethod("PUT");
export const post = httpMethod("POST");
export const patch = httpMethod("PATCH");
export const deleteRequest = httpMethod("DELETE");

export const timer = registration(triggers.timer);
export const storageQueue = registration(triggers.storageQueue);
export const eventHub = registration(triggers.eventHub);
export const eventGrid = registration(triggers.eventGrid);

// These have no counterpart: their functions are left out, and the build says so.
export const storageBlob = registration(triggers.storageBlob);
export const serviceBusQueue = registration(triggers.serviceBusQueue);
export const serviceBusTopic = registration(triggers.serviceBusTopic);
export const cosmosDB = registration(triggers.cosmosDB);
export const sql = registration(triggers.sql);
export const mySql = registration(triggers.mySql);
export const webPubSub = registration(triggers.webPubSub);
export const connectorTrigger = registration(triggers.connectorTrigger);
export const mcpTool = registration(triggers.mcpTool);
export const mcpResource = registration(triggers.mcpResource);
export const mcpPrompt = registration(triggers.mcpPrompt);
export const warmup = registration(triggers.warmup);

let isStreaming = false;

/** Bodies can be read as streams in any case. Other settings are those of the Functions host, and ignored. */
export function setup({ enableHttpStream = false } = {}) {
  isStreaming = enableHttpStream === true;
}

const hookOf = (name) => (callback) => registerHook(name, callback);

export const hook = {
  appStart: hookOf("appStart"),
  appTerminate: hookOf("appTerminate"),
  log: hookOf("log"),
  postInvocation: hookOf("postInvocation"),
  preInvocation: hookOf("preInvocation"),
};
