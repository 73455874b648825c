/**
 * The modern API: orchestrators are `async` functions, and functions are called by their typed definitions.
 *
 *     import { activity, http, orchestrator } from "dacapo-sdk";
 *
 *     const reserve = activity("reserve", async (item: string) => `reservation of ${item}`);
 *
 *     export const order = orchestrator("order", async (ctx, item: string) => {
 *       const reservation = await ctx.callActivity(reserve, item);
 *       const approved = await ctx.waitForExternalEvent<boolean>("Approval", { timeout: { days: 3 } });
 *       return approved ? `${reservation} is on its way` : "not approved";
 *     });
 *
 *     http("orders", { methods: "POST" }, async (request, { client }) => {
 *       const instanceId = await client.startOrchestration(order, await request.json());
 *       return client.checkStatusResponse(request, instanceId);
 *     });
 */

import { OrchestratorContext } from "./context.js";
import { EntityOperationContext } from "./entity-operation.js";
import { DurableError } from "./failure.js";
import { inputFromJson } from "./json.js";
import { ActivityContext } from "./activity-context.js";
import { runHandler } from "./orchestration.js";
import { register, requireHandler } from "./registry.js";

export { ActivityContext } from "./activity-context.js";
export { Client } from "./client.js";
export { OrchestratorContext } from "./context.js";
export { DurableLock, LockState, LockingRulesViolationError } from "./critical-section.js";
export { EntityId } from "./entity-id.js";
export { EntityOperationContext } from "./entity-operation.js";
export { DurableError, TaskFailedError } from "./failure.js";
export { TriggerContext, eventGrid, eventHub, http, manual, queue, timer } from "./triggers.js";

/** Defines an orchestrator: `async (context, input) => output`, or a generator function. */
export function orchestrator(name, handler) {
  requireHandler(name, handler);
  register("orchestrator", name, (run, input) => runHandler(run, handler, new OrchestratorContext(run.actions), inputFromJson(input)), handler);
  return Object.freeze({ kind: "orchestrator", name, handler });
}

/** Defines an activity: `(input, context) => output`, `async` or not. */
export function activity(name, handler) {
  requireHandler(name, handler);
  register("activity", name, (call) => handler(inputFromJson(call.input), new ActivityContext(call)), handler);
  return Object.freeze({ kind: "activity", name, handler });
}

/**
 * Defines an entity: its initial state, and its operations `(context, input) => output`, which read and change
 * `context.state`.
 */
export function entity(name, { initialState = () => undefined, operations }) {
  register("entity", name, async (df) => {
    const operation = Object.hasOwn(operations, df.operationName) ? operations[df.operationName] : undefined;
    if (!operation) {
      throw new DurableError(`the entity '${name}' has no operation '${df.operationName}'`, { type: "OperationNotFound", retriable: false });
    }
    const context = new EntityOperationContext(df, initialState);
    df.return(await operation(context, df.getInput()));
    context.close();
  });
  return Object.freeze({ kind: "entity", name, operations });
}
