/** Registers orchestrators, activities and entities of durable-functions. */

import { bindingsOf } from "./azure-bindings.js";
import { readBindings, RETURN, sendOutputs, warnOfInputs, warnOfOutputs } from "./bindings.js";
import { clientBinding } from "./durable-client.js";
import * as triggers from "./durable-functions-trigger.js";
import { invoke } from "./hooks.js";
import { inputFromJson } from "./json.js";
import { InvocationContext } from "./invocation-context.js";
import { OrchestrationContext } from "./orchestration-context.js";
import { requireActions, runHandler } from "./orchestration.js";
import { leaveOut, noteAbsent, register, requireHandler } from "./registry.js";

/** @returns a function with which orchestrators call it: `yield myOrchestration(input)` */
export function orchestration(functionName, handlerOrOptions) {
  const handler = handlerOf(functionName, handlerOrOptions);
  const { absent } = add("orchestrator", functionName, begin, handler, { trigger: triggers.orchestration(), ...optionsOf(handlerOrOptions) });
  function begin(run, input) {
    warnOfInputs(functionName, absent);
    return runHandler(run, handler, new OrchestrationContext(run, functionName, input));
  }
  return (input, instanceId) =>
    requireActions(`'${functionName}'`).prepareSubOrchestrator(functionName, input, { instanceId });
}

/** @returns a function with which orchestrators call it: `yield myActivity(input)`, or with `.withRetry(options)` after that */
export function activity(functionName, handlerOrOptions) {
  const handler = handlerOf(functionName, handlerOrOptions);
  const options = { trigger: triggers.activity(), ...optionsOf(handlerOrOptions) };
  const { bindings, absent } = add("activity", functionName, run, handler, options);
  async function run(call) {
    warnOfInputs(functionName, absent);
    const context = activityContext(call, options, bindings);
    const result = await invoke(handler, [inputFromJson(call.input)], context);
    const valueOf = (name) => (name === RETURN ? result : context.extraOutputs.get(name));
    await sendOutputs(bindings, valueOf);
    warnOfOutputs(functionName, absent, valueOf);
    return result;
  }
  return (input) => requireActions(`'${functionName}'`).prepareActivity(functionName, input);
}

export function entity(functionName, handlerOrOptions) {
  const handler = handlerOf(functionName, handlerOrOptions);
  const { absent } = add("entity", functionName, run, handler, { trigger: triggers.entity(), ...optionsOf(handlerOrOptions) });
  function run(df) {
    warnOfInputs(functionName, absent);
    const context = new InvocationContext({ functionName, invocationId: df.entityId.toString() });
    context.df = df;
    return handler(context);
  }
}

/** Registers a function, and notes which of its bindings the host lacks. */
function add(kind, name, run, handler, options) {
  const read = readBindings(bindingsOf(options));
  if (read.leftOut) {
    leaveOut(name, read.leftOut);
  } else {
    register(kind, name, run, handler);
    noteAbsent(name, read.absent);
  }
  return read;
}

function optionsOf(handlerOrOptions) {
  return typeof handlerOrOptions === "function" ? {} : handlerOrOptions;
}

function handlerOf(name, handlerOrOptions) {
  return requireHandler(name, typeof handlerOrOptions === "function" ? handlerOrOptions : handlerOrOptions?.handler);
}

/** The invocation id is the same when the call is repeated after a crash, so it can be used as an idempotency key. */
function activityContext({ name, instanceId, taskId, attempt }, options, bindings) {
  const context = new InvocationContext({
    functionName: name,
    invocationId: `${instanceId}:${taskId}`,
    triggerMetadata: { instanceId },
    retryContext: attempt > 1 ? { retryCount: attempt - 1 } : undefined,
    options,
  });
  for (const { direction, name, type } of bindings) {
    if (direction === "in" && type !== "activityTrigger") {
      context.extraInputs.set(name, clientBinding());
    }
  }
  return context;
}
