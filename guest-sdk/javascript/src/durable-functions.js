/** The exports of "durable-functions": the API of 3.x (programming model v4), and that of 1.x and 2.x (v3). */

export * as default from "./durable-functions.js";
export * as app from "./durable-functions-app.js";
export * as input from "./durable-functions-input.js";
export * as trigger from "./durable-functions-trigger.js";
export { DurableLock, LockState, LockingRulesViolationError } from "./critical-section.js";
export { DurableClient, DurableOrchestrationStatus, EntityStateResponse, HttpManagementPayload, OrchestrationRuntimeStatus, PurgeHistoryResult, getClient } from "./durable-client.js";
export { DurableOrchestrationClient } from "./durable-client-v2.js";
export { DurableHttpRequest, DurableHttpResponse, entity, orchestrator } from "./durable-functions-v2.js";
export { DurableOrchestrationContext } from "./durable-orchestration-context.js";
export { EntityId } from "./entity-id.js";
export { DurableError, TaskFailedError } from "./failure.js";
export { RetryOptions } from "./retry.js";
export { AggregatedError, DummyEntityContext, DummyOrchestrationContext, ManagedIdentityTokenSource } from "./durable-functions-types.js";
