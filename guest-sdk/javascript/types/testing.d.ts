import type {
  ActivityDefinition,
  Duration,
  EntityDefinition,
  EntityId,
  HttpResponse,
  HttpTriggerResponse,
  OrchestratorDefinition,
  TaskFailedError,
  TriggerDefinition,
} from "./index.js";

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

/** One action on the durable client, such as `{ type: "startOrchestration", name, input, instanceId }`. */
export interface ClientAction {
  type:
    | "startOrchestration"
    | "getStatus"
    | "listInstances"
    | "raiseEvent"
    | "terminate"
    | "suspend"
    | "resume"
    | "rewind"
    | "restart"
    | "purge"
    | "purgeInstances"
    | "waitForCompletion"
    | "signalEntity"
    | "enqueue"
    | "readEntity"
    | "listEntities";
  [detail: string]: any;
}

/** A request; the body is a text, bytes, or a value to be sent as JSON. */
export interface TestRequest {
  method?: string;
  url?: string;
  headers?: Record<string, string>;
  query?: Record<string, string>;
  params?: Record<string, string>;
  body?: unknown;
}

/**
 * Runs a trigger once, without a host.
 *
 * @param input for HTTP a request, for others what the handler gets
 * @param options.client what the durable client answers; what it is not told is empty, and starts return `instance-1`, ...
 */
export function testTrigger(
  trigger: TriggerDefinition<any> | string,
  input?: TestRequest | unknown,
  options?: { client?: { [Name in ClientAction["type"]]?: (action: ClientAction) => unknown }; invocationId?: string; attempt?: number },
): Promise<{ response: HttpTriggerResponse | undefined; outputs: Record<string, any>; actions: ClientAction[] }>;
