/** `df.app`, with which an app registers its functions. */

import { inputFromJson } from "./json.js";
import { InvocationContext } from "./invocation-context.js";
import { OrchestrationContext } from "./orchestration-context.js";
import { requireActions, runHandler } from "./orchestration.js";
import { register, requireHandler } from "./registry.js";

export * as client from "./durable-functions-client.js";
export { setExceptionPropertiesProvider } from "./failure.js";

/** @returns a function with which orchestrators call it: `yield myOrchestration(input)` */
export function orchestration(functionName, handlerOrOptions) {
  const handler = handlerOf(functionName, handlerOrOptions);
  register("orchestrator", functionName, (run, input) => runHandler(run, handler, new OrchestrationContext(run, functionName, input)), handler);
  return (input, instanceId) =>
    requireActions(`'${functionName}'`).prepareSubOrchestrator(functionName, input, { instanceId });
}

/** @returns a function with which orchestrators call it: `yield myActivity(input)`, or with `.withRetry(options)` after that */
export function activity(functionName, handlerOrOptions) {
  const handler = handlerOf(functionName, handlerOrOptions);
  register("activity", functionName, (call) => handler(inputFromJson(call.input), activityContext(call, handlerOrOptions)), handler);
  return (input) => requireActions(`'${functionName}'`).prepareActivity(functionName, input);
}

export function entity(functionName, handlerOrOptions) {
  const handler = handlerOf(functionName, handlerOrOptions);
  register("entity", functionName, (df) => {
    const context = new InvocationContext({ functionName, invocationId: df.entityId.toString() });
    context.df = df;
    return handler(context);
  }, handler);
}

function handlerOf(name, handlerOrOptions) {
  return requireHandler(name, typeof handlerOrOptions === "function" ? handlerOrOptions : handlerOrOptions?.handler);
}

/** The invocation id is the same when the call is repeated after a crash, so it can be used as an idempotency key. */
function activityContext({ name, instanceId, taskId, attempt }, options) {
  return new InvocationContext({
    functionName: name,
    invocationId: `${instanceId}:${taskId}`,
    triggerMetadata: { instanceId },
    retryContext: attempt > 1 ? { retryCount: attempt - 1 } : undefined,
    options,
  });
}
