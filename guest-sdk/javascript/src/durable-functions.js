/** The exports of "durable-functions": the API of durable-functions 3.x (programming model v4). */

export * as default from "./durable-functions.js";
export * as app from "./durable-functions-app.js";
export * as input from "./durable-functions-input.js";
export * as trigger from "./durable-functions-trigger.js";
export { DurableLock, LockState, LockingRulesViolationError } from "./critical-section.js";
export { DurableClient, EntityStateResponse, HttpManagementPayload, OrchestrationRuntimeStatus, PurgeHistoryResult, getClient } from "./durable-client.js";
export { DurableOrchestrationContext } from "./durable-orchestration-context.js";
export { EntityId } from "./entity-id.js";
export { DurableError, TaskFailedError } from "./failure.js";
export { RetryOptions } from "./retry.js";
export { AggregatedError, DummyEntityContext, DummyOrchestrationContext, ManagedIdentityTokenSource } from "./durable-functions-types.js";
