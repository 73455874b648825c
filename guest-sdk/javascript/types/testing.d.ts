import type { ActivityDefinition, Duration, EntityDefinition, EntityId, HttpResponse, OrchestratorDefinition, TaskFailedError } from "./index.js";

/** One thing that the orchestrator did, such as `{ type: "callActivity", name, input }`. */
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
  /** If it failed. */
  error?: TaskFailedError;
  actions: Action[];
  customStatus?: unknown;
  continuedAsNew?: { input: unknown };
  /** Milliseconds that passed for the orchestrator; none passed for the test. */
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

/** Runs an orchestrator without a host. What it calls gets the results that the test gives. */
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
