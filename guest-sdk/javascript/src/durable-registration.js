/** Registers orchestrators, activities and entities of durable-functions. */

import { bindingsOf } from "./azure-bindings.js";
import { hasOutputs, readBindings, RETURN, sendOutputs } from "./bindings.js";
import { clientBinding } from "./durable-client.js";
import * as triggers from "./durable-functions-trigger.js";
import { invoke } from "./hooks.js";
import { inputFromJson } from "./json.js";
import { InvocationContext } from "./invocation-context.js";
import { OrchestrationContext } from "./orchestration-context.js";
import { requireActions, runHandler } from "./orchestration.js";
import { leaveOut, register, requireHandler } from "./registry.js";

/** @returns a function with which orchestrators call it: `yield myOrchestration(input)` */
export function orchestration(functionName, handlerOrOptions) {
  const handler = handlerOf(functionName, handlerOrOptions);
  const run = (run, input) => runHandler(run, handler, new OrchestrationContext(run, functionName, input));
  add("orchestrator", functionName, run, handler, { trigger: triggers.orchestration(), ...optionsOf(handlerOrOptions) });
  return (input, instanceId) =>
    requireActions(`'${functionName}'`).prepareSubOrchestrator(functionName, input, { instanceId });
}

/** @returns a function with which orchestrators call it: `yield myActivity(input)`, or with `.withRetry(options)` after that */
export function activity(functionName, handlerOrOptions) {
  const handler = handlerOf(functionName, handlerOrOptions);
  const options = { trigger: triggers.activity(), ...optionsOf(handlerOrOptions) };
  const bindings = bindingsOf(options);
  const run = async (call) => {
    const context = activityContext(call, options);
    const result = await invoke(handler, [inputFromJson(call.input)], context);
    if (hasOutputs(bindings)) {
      await sendOutputs(bindings, (name) => (name === RETURN ? result : context.extraOutputs.get(name)));
    }
    return result;
  };
  add("activity", functionName, run, handler, options);
  return (input) => requireActions(`'${functionName}'`).prepareActivity(functionName, input);
}

export function entity(functionName, handlerOrOptions) {
  const handler = handlerOf(functionName, handlerOrOptions);
  const run = (df) => {
    const context = new InvocationContext({ functionName, invocationId: df.entityId.toString() });
    context.df = df;
    return handler(context);
  };
  add("entity", functionName, run, handler, { trigger: triggers.entity(), ...optionsOf(handlerOrOptions) });
}

/** Registers a function, unless it has a binding that the host lacks. */
function add(kind, name, run, handler, options) {
  const { leftOut } = readBindings(bindingsOf(options));
  if (leftOut) {
    leaveOut(name, leftOut);
  } else {
    register(kind, name, run, handler);
  }
}

function optionsOf(handlerOrOptions) {
  return typeof handlerOrOptions === "function" ? {} : handlerOrOptions;
}

function handlerOf(name, handlerOrOptions) {
  return requireHandler(name, typeof handlerOrOptions === "function" ? handlerOrOptions : handlerOrOptions?.handler);
}

/** The invocation id is the same when the call is repeated after a crash, so it can be used as an idempotency key. */
function activityContext({ name, instanceId, taskId, attempt }, options) {
  const context = new InvocationContext({
    functionName: name,
    invocationId: `${instanceId}:${taskId}`,
    triggerMetadata: { instanceId },
    retryContext: attempt > 1 ? { retryCount: attempt - 1 } : undefined,
    options,
  });
  options.extraInputs?.forEach((binding) => context.extraInputs.set(binding, clientBinding()));
  return context;
}
