import type { ActivityDefinition, Duration, EntityDefinition, EntityId, HttpResponse, OrchestratorDefinition, TaskFailedError } from "./index.js";

/** One action of the orchestrator, such as `{ type: "callActivity", name, input }`. */
export interface Action {
  type:
    | "callActivity"
    | "callSubOrchestrator"
    | "callEntity"
    | "callHttp"
    | "createTimer"
    | "waitForExternalEvent"
    | "lockEntities"
    | "unlockEntities"
    | "signalEntity"
    | "startOrchestration"
    | "sendEvent"
    | "setCustomStatus";
  [detail: string]: unknown;
}

export interface TestResult<Output> {
  output?: Output;
  /** The error, if the orchestrator failed. */
  error?: TaskFailedError;
  actions: Action[];
  customStatus?: unknown;
  continuedAsNew?: { input: unknown };
  /** The duration in milliseconds, in the orchestrator's time; the test does not wait. */
  elapsed: number;
}

export interface OrchestratorTest<Output> {
  activity<Input, Result>(
    activity: ActivityDefinition<Input, Result> | string,
    answer: (input: any, call: { attempt: number }) => unknown,
    options?: { takes?: Duration },
  ): this;
  subOrchestrator(
    orchestrator: OrchestratorDefinition<any, any> | string,
    answer: (input: any, call: { instanceId?: string; version?: string; attempt: number }) => unknown,
    options?: { takes?: Duration },
  ): this;
  entity(
    entity: EntityDefinition<any> | string,
    answer: (operation: string, input: any, key: string) => unknown,
    options?: { takes?: Duration },
  ): this;
  http(answer: (request: any) => HttpResponse | PromiseLike<HttpResponse>, options?: { takes?: Duration }): this;
  event(name: string, data?: unknown, options?: { after?: Duration }): this;
  run(): Promise<TestResult<Output>>;
}

/** Runs an orchestrator without a host. Its calls get the results that the test provides. */
export function testOrchestrator<Input, Output>(
  orchestrator: OrchestratorDefinition<Input, Output> | string,
  input?: Input,
  options?: { instanceId?: string; now?: Date; version?: string; parent?: { name: string; instanceId: string } },
): OrchestratorTest<Output>;

/** Runs one operation of an entity. */
export function testEntity(
  entity: EntityDefinition<any> | string,
  operation: string,
  input?: unknown,
  options?: { key?: string; state?: unknown },
): Promise<{ output: any; state: any; signals: { entity: EntityId; operation: string; input: unknown; at?: Date }[] }>;
