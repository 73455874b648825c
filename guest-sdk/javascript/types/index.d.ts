/// <reference lib="esnext.disposable" />

import type { HttpRequest as HttpTriggerRequest, HttpResponse as HttpTriggerResponse, HttpResponseInit as HttpTriggerResponseInit } from "./azure-functions.js";

export type { HttpTriggerRequest, HttpTriggerResponse, HttpTriggerResponseInit };

/** A number of milliseconds, or a sum of units. */
export type Duration =
  | number
  | { days?: number; hours?: number; minutes?: number; seconds?: number; milliseconds?: number };

/** A value, or a promise of one. */
export type Awaitable<T> = T | PromiseLike<T>;

/** When and how often a failed call is retried. The host keeps the schedule. */
export interface RetryPolicy {
  /** The maximum number of attempts, including the first one. */
  maxAttempts: number;
  /** The time between the first failure and the second attempt. */
  firstInterval: Duration;
  /** The factor by which each further interval grows. The default is 1. */
  backoffCoefficient?: number;
  /** The maximum length of an interval. */
  maxInterval?: Duration;
  /** No new attempt starts this long after the first one started. */
  timeout?: Duration;
  /** Failures of these types are not retried. */
  nonRetriableErrorTypes?: string[];
}

export interface ActivityDefinition<Input = unknown, Output = unknown> {
  readonly kind: "activity";
  readonly name: string;
  readonly handler: (input: Input, context: ActivityContext) => Awaitable<Output>;
}

export interface OrchestratorDefinition<Input = unknown, Output = unknown> {
  readonly kind: "orchestrator";
  readonly name: string;
  readonly handler: (context: OrchestratorContext, input: Input) => Awaitable<Output> | Generator<Task, Output, any>;
}

export interface EntityDefinition<Operations = Record<string, EntityOperation<any>>> {
  readonly kind: "entity";
  readonly name: string;
  readonly operations: Operations;
}

export type EntityOperation<State> = (context: EntityOperationContext<State>, input: any) => unknown;

/** Defines an orchestrator: an `async` function of its context and its input. */
export function orchestrator<Input = undefined, Output = unknown>(
  name: string,
  handler: (context: OrchestratorContext, input: Input) => Awaitable<Output>,
): OrchestratorDefinition<Input, Output>;

/** Defines an orchestrator as a generator that yields tasks. */
export function orchestrator<Input = undefined, Output = unknown>(
  name: string,
  handler: (context: OrchestratorContext, input: Input) => Generator<Task, Output, any>,
): OrchestratorDefinition<Input, Output>;

/** Defines an activity, which does the real work and runs at least once. */
export function activity<Input = undefined, Output = unknown>(
  name: string,
  handler: (input: Input, context: ActivityContext) => Awaitable<Output>,
): ActivityDefinition<Input, Output>;

/** Defines an entity: durable state with operations that run one after another. */
export function entity<State, Operations extends Record<string, EntityOperation<State>>>(
  name: string,
  definition: {
    /** The state of a new entity. */
    initialState?: () => State;
    operations: Operations;
  },
): EntityDefinition<Operations>;

// Triggers: functions by which the world reaches the app.

export interface TriggerDefinition<Handler = (input: any, context: TriggerContext) => unknown> {
  readonly kind: "trigger";
  readonly name: string;
  readonly handler: Handler;
}

/** Where a trigger sends messages, by the names that `context.send` takes. */
export type Outputs = Record<string, { queueName: string } | { eventHubName: string }>;

type Handler<Input> = (input: Input, context: TriggerContext) => unknown;

export interface HttpTriggerOptions {
  /** A template such as `orders/{id:int?}`. The default is the function's name. */
  route?: string;
  /** The default is all methods. */
  methods?: string | string[];
  /** Who may call it. The default is `function`: whoever has a key. */
  authLevel?: "anonymous" | "function" | "admin";
  outputs?: Outputs;
}

/** A response, its options, its body, or nothing. */
export type HttpResult = HttpTriggerResponse | HttpTriggerResponseInit | string | Uint8Array | undefined | void;
type HttpHandler = (request: HttpTriggerRequest, context: TriggerContext) => Awaitable<HttpResult>;

/** Answers requests. */
export function http(name: string, options: HttpTriggerOptions, handler: HttpHandler): TriggerDefinition<HttpHandler>;
export function http(name: string, handler: HttpHandler): TriggerDefinition<HttpHandler>;

export interface Timer {
  isPastDue: boolean;
  schedule: { adjustForDST: boolean };
  scheduleStatus?: { last: string; next: string; lastUpdated: string };
}

/** Runs by a schedule: six fields, five, or a time span. */
export function timer(
  name: string,
  schedule: string | { schedule: string; runOnStartup?: boolean; useMonitor?: boolean; outputs?: Outputs },
  handler: Handler<Timer>,
): TriggerDefinition<Handler<Timer>>;

/** Takes the messages of a queue, one a call. JSON is parsed. A message whose handler fails is delivered again. */
export function queue<Message = any>(name: string, queue: string | { queueName: string; outputs?: Outputs }, handler: Handler<Message>): TriggerDefinition<Handler<Message>>;

/** Takes the events of an event hub in batches; with the cardinality `one`, one a call. */
export function eventHub<Events = any[]>(
  name: string,
  eventHub: string | { eventHubName: string; cardinality?: "many" | "one"; outputs?: Outputs },
  handler: Handler<Events>,
): TriggerDefinition<Handler<Events>>;

/** Takes events of Event Grid, and CloudEvents. */
export function eventGrid<Event = any>(name: string, handler: Handler<Event>): TriggerDefinition<Handler<Event>>;
export function eventGrid<Event = any>(name: string, options: { outputs?: Outputs }, handler: Handler<Event>): TriggerDefinition<Handler<Event>>;

/** Is run by an operator. */
export function manual<Input = any>(name: string, handler: Handler<Input>): TriggerDefinition<Handler<Input>>;
export function manual<Input = any>(name: string, options: { outputs?: Outputs }, handler: Handler<Input>): TriggerDefinition<Handler<Input>>;

/** The context of a trigger. */
export interface TriggerContext {
  readonly name: string;
  /** An idempotency key: the same when the call is repeated. */
  readonly invocationId: string;
  /** 1 for the first time that the call is made, then 2, and so on. */
  readonly attempt: number;
  /** Of a message: `id`, `dequeueCount`, `insertionTime`, ... */
  readonly metadata: Record<string, any>;
  readonly client: Client;
  readonly log: Logger;
  /** Sends a message to an output, once the function has returned. */
  send(output: string, message: unknown): void;
}

/**
 * The durable client of the app's own task hub. What it may do is a grant of the app. A refusal throws a `DurableError` with its reason as
 * `name`: `NotGranted`, `InstanceNotFound`, `InstanceEnded`, `InstanceNotEnded`, `InvalidArgument`, `LimitExceeded`, `Unavailable`.
 */
export interface Client {
  /**
   * Starts an orchestration, and returns its id once the start is durable. Without an `instanceId` the host derives one, which is the same when
   * the call is repeated. Refusals: `InstanceAlreadyExists`, `OrchestratorNotFound`, `VersionMismatch`.
   */
  startOrchestration(
    orchestrator: OrchestratorDefinition<any, any> | string,
    input?: unknown,
    options?: { instanceId?: string; version?: string; startAt?: Date },
  ): Promise<string>;
  /** The status, or undefined if there is no such instance. */
  getStatus(instanceId: string, options?: { showInput?: boolean; showHistory?: boolean; showHistoryOutput?: boolean }): Promise<InstanceStatus | undefined>;
  /** One page; `continuationToken` is null in the last. */
  listInstances(filter?: InstanceFilter & { top?: number; continuationToken?: string }): Promise<{ instances: InstanceStatus[]; continuationToken: string | null }>;
  /** All instances that match. */
  instances(filter?: InstanceFilter): AsyncGenerator<InstanceStatus>;
  raiseEvent(instanceId: string, eventName: string, data?: unknown): Promise<void>;
  terminate(instanceId: string, reason?: string): Promise<void>;
  suspend(instanceId: string, reason?: string): Promise<void>;
  resume(instanceId: string, reason?: string): Promise<void>;
  /** Brings a failed instance back to the state before its failure. */
  rewind(instanceId: string, reason?: string): Promise<void>;
  /** Starts it anew with its recorded input, and returns the id of the new instance. */
  restart(instanceId: string, newInstanceId?: string): Promise<string>;
  /** Whether there was something to remove. */
  purge(instanceId: string): Promise<boolean>;
  /** The number of instances that were removed. */
  purgeInstances(filter: InstanceFilter & { createdTimeFrom: Date }): Promise<number>;
  /** Waits for the end, at most so long; returns the status then, or undefined if there is no such instance. */
  waitForCompletion(instanceId: string, timeout: Duration): Promise<InstanceStatus | undefined>;
  signalEntity(id: EntityId, operation: string, input?: unknown, options?: { at?: Date }): Promise<void>;
  /**
   * Puts messages into a queue: one text, or value that becomes JSON, or an array of them. They are not delivered before `at`. If
   * the call of the activity or trigger is repeated, it puts none of them again.
   */
  enqueue(queue: string, messages: unknown, options?: { at?: Date }): Promise<void>;
  /** The state, or undefined if there is none. */
  readEntity<State = unknown>(id: EntityId): Promise<State | undefined>;
  listEntities(filter?: {
    entityName?: string;
    lastOperationTimeFrom?: Date;
    lastOperationTimeTo?: Date;
    fetchState?: boolean;
    top?: number;
    continuationToken?: string;
  }): Promise<{ entities: { entityId: { name: string; key: string }; lastOperationTime: string; state?: unknown }[]; continuationToken: string | null }>;
  /** The links for managing an instance over HTTP. */
  links(instanceId: string): Record<string, string>;
  /** The response 202 to a request that has started an instance, with its links. */
  checkStatusResponse(request: { url: string } | undefined, instanceId: string): HttpTriggerResponse;
  /** Waits for the output, at most so long (10 seconds), and responds with it, or as `checkStatusResponse`. */
  outputOrCheckStatusResponse(request: { url: string } | undefined, instanceId: string, options?: { timeout?: Duration }): Promise<HttpTriggerResponse>;
}

export interface InstanceStatus {
  name: string;
  instanceId: string;
  runtimeStatus: "Running" | "Completed" | "ContinuedAsNew" | "Failed" | "Canceled" | "Terminated" | "Pending" | "Suspended";
  input: unknown;
  output: unknown;
  customStatus: unknown;
  createdTime: string;
  lastUpdatedTime: string;
  historyEvents?: unknown[];
}

export interface InstanceFilter {
  instanceIdPrefix?: string;
  createdTimeFrom?: Date;
  createdTimeTo?: Date;
  runtimeStatus?: InstanceStatus["runtimeStatus"][];
  functionName?: string;
  version?: string;
  showInput?: boolean;
}

/** Something that an orchestrator schedules and waits for: `await` it, or, in a generator, `yield` it. */
export interface Task<T = unknown> extends PromiseLike<T> {
  /** Whether it has succeeded. */
  readonly isCompleted: boolean;
  /** Whether it has failed. */
  readonly isFaulted: boolean;
  /** The value, or the error if it has failed. */
  readonly result: T | undefined;
}

export interface EventTask<T = unknown> extends Task<T> {
  /** Cancels the wait: a later event is kept for the next one. */
  cancel(): void;
}

export interface TimerTask extends Task<void> {
  readonly isCanceled: boolean;
  /** Cancels the timer. Throws if it has completed. */
  cancel(): void;
}

type Values<Tasks extends readonly Task[]> = { -readonly [I in keyof Tasks]: Tasks[I] extends Task<infer T> ? T : never };

type InputOf<Operation> = Operation extends (context: any, ...input: infer Input) => unknown ? Input : never;
type OutputOf<Operation> = Operation extends (...args: any[]) => infer Output ? Awaited<Output> : never;

/** The context of an orchestrator. A call is scheduled when it is made. */
export interface OrchestratorContext {
  readonly instanceId: string;
  /** The id of this execution. Continue-as-new begins a new one. */
  readonly executionId: string;
  /** The parent, if this is a sub-orchestration. */
  readonly parent: { name: string; instanceId: string } | undefined;
  /** The version label that the instance was started with, or an empty text. */
  readonly version: string;
  /** Whether the code is being replayed. For diagnostics only: a decision that depends on it diverges. */
  readonly isReplaying: boolean;
  /** The time of the turn. It does not advance between waits. */
  readonly now: Date;
  readonly isLocked: boolean;
  readonly log: Logger;

  callActivity<Input, Output>(
    activity: ActivityDefinition<Input, Output>,
    ...rest: undefined extends Input ? [input?: Input, options?: { retry?: RetryPolicy }] : [input: Input, options?: { retry?: RetryPolicy }]
  ): Task<Output>;
  callActivity<Output = unknown>(name: string, input?: unknown, options?: { retry?: RetryPolicy }): Task<Output>;

  callSubOrchestrator<Input, Output>(
    orchestrator: OrchestratorDefinition<Input, Output>,
    ...rest: undefined extends Input ? [input?: Input, options?: SubOrchestrationOptions] : [input: Input, options?: SubOrchestrationOptions]
  ): Task<Output>;
  callSubOrchestrator<Output = unknown>(name: string, input?: unknown, options?: SubOrchestrationOptions): Task<Output>;

  /** Schedules a timer that fires at a point in time, however far away. */
  createTimer(fireAt: Date): TimerTask;
  sleep(duration: Duration): TimerTask;

  /** Waits for the next unread event of that name (compared ignoring case). */
  waitForExternalEvent<T = unknown>(name: string): EventTask<T>;
  /** The same with a timeout, after which it resolves to `undefined`; a later event is kept for the next wait. */
  waitForExternalEvent<T = unknown>(name: string, options: { timeout: Duration }): Promise<T | undefined>;

  /** The operations of an entity, as functions that call them and return tasks. */
  entity<Operations>(
    definition: EntityDefinition<Operations>,
    key: string,
  ): { [Name in keyof Operations]: (...input: InputOf<Operations[Name]>) => Task<OutputOf<Operations[Name]>> };
  /** The operations of an entity, as functions that send them without waiting. */
  signal<Operations>(
    definition: EntityDefinition<Operations>,
    key: string,
    options?: { at?: Date },
  ): { [Name in keyof Operations]: (...input: InputOf<Operations[Name]>) => void };
  callEntity<Output = unknown>(id: EntityId, operation: string, input?: unknown): Task<Output>;
  signalEntity(id: EntityId, operation: string, input?: unknown, options?: { at?: Date }): void;
  /** Locks entities. The critical section begins when the task completes, and ends with `release` or the orchestration. */
  lock(...ids: EntityId[]): Task<DurableLock>;

  /** Sends a request under the hub's outbound policy and waits durably for the response; a 202 is polled. */
  callHttp(request: HttpRequest): Task<HttpResponse>;

  /** Starts an orchestration that runs on its own, and returns its id. */
  startOrchestration(orchestrator: OrchestratorDefinition<any, any> | string, input?: unknown, options?: { instanceId?: string }): string;
  sendEvent(instanceId: string, name: string, data?: unknown): void;

  /** Restarts the orchestration with a new input and an empty history, once the orchestrator returns. */
  continueAsNew(input?: unknown): void;
  /** Sets the custom status, which status queries return. */
  setCustomStatus(status: unknown): void;
  newGuid(): string;

  /** Waits for all tasks. The result is their values, in their order; fails with the first failure, when it occurs. */
  all<const Tasks extends readonly Task<any>[]>(tasks: Tasks): Task<Values<Tasks>>;
  /** Waits for the task that settles first. Awaiting that task returns its value or throws its error. */
  any<T>(tasks: readonly Task<T>[]): Task<{ task: Task<T>; index: number }>;
}

export interface SubOrchestrationOptions {
  /** Without one the host derives it. */
  instanceId?: string;
  /** The child runs on the code that a start with this version would get; without one, on the code of its parent. */
  version?: string;
  retry?: RetryPolicy;
}

export interface HttpRequest {
  method: string;
  url: string;
  headers?: Record<string, string>;
  /** A text, or a value to be sent as JSON. */
  body?: unknown;
  /** Whether a response 202 is polled. The default is true. */
  enablePolling?: boolean;
  timeoutMs?: number;
}

export interface HttpResponse {
  statusCode: number;
  headers: Record<string, string>;
  content: string;
}

export interface ActivityContext {
  readonly name: string;
  /** The id of the instance that called the activity. */
  readonly instanceId: string;
  /** 1 for the first attempt under the caller's retry policy, then 2, and so on. */
  readonly attempt: number;
  /** An idempotency key: the same when the call is repeated after a crash. */
  readonly idempotencyKey: string;
  readonly client: Client;
  readonly log: Logger;

  /**
   * Starts an orchestration that runs on its own, and returns its id once the start is durable. Without an `instanceId` the
   * host derives one, which is the same when the call of the activity is repeated after a crash.
   *
   * If the host refuses the start, it throws a `DurableError` with the reason as `name`: `InstanceAlreadyExists`,
   * `OrchestratorNotFound`, `VersionMismatch`, `LimitExceeded`, `InvalidArgument`.
   */
  startOrchestration(
    orchestrator: OrchestratorDefinition<any, any> | string,
    input?: unknown,
    options?: { instanceId?: string; version?: string },
  ): Promise<string>;
}

export interface EntityOperationContext<State = unknown> {
  readonly id: EntityId;
  readonly operation: string;
  /** Whether there was no state before. */
  readonly isNew: boolean;
  /** The state. Changes are kept if the operation succeeds. */
  state: State;
  readonly log: Logger;
  delete(): void;
  signalEntity(id: EntityId, operation: string, input?: unknown): void;
}

/** Writes one line to the host's log. A replay does not write it again. */
export interface Logger {
  (...values: unknown[]): void;
  trace(...values: unknown[]): void;
  debug(...values: unknown[]): void;
  info(...values: unknown[]): void;
  warn(...values: unknown[]): void;
  error(...values: unknown[]): void;
}

/** The id of an entity. As a text it is `@name@key`. */
export class EntityId {
  constructor(name: string, key: string);
  readonly name: string;
  readonly key: string;
  toString(): string;
}

/** A failure with a type that callers match on. */
export class DurableError extends Error {
  constructor(message?: string, options?: { type?: string; retriable?: boolean; properties?: Record<string, unknown>; cause?: unknown });
  /** Whether a retry policy may try again. */
  readonly retriable: boolean;
  /** Callers get these as `failureDetails.properties`. */
  readonly properties?: Record<string, unknown>;
}

export interface FailureDetails {
  errorType: string;
  errorMessage: string;
  stackTrace?: string;
  isNonRetriable: boolean;
  properties?: Record<string, unknown>;
  innerFailure?: FailureDetails;
  /** Whether this or an inner failure is of a type. */
  isCausedBy(errorType: string): boolean;
}

/** The error of a failed task. */
export class TaskFailedError extends Error {
  constructor(failureDetails: FailureDetails, taskName?: string, taskId?: number);
  readonly failureDetails: FailureDetails;
  readonly taskName?: string;
  readonly taskId?: number;
}

export class DurableLock {
  readonly ownedLocks: readonly EntityId[];
  release(): void;
  [Symbol.dispose](): void;
}

export class LockState {
  constructor(isLocked: boolean, ownedLocks: EntityId[]);
  readonly isLocked: boolean;
  readonly ownedLocks: EntityId[];
}

export class LockingRulesViolationError extends Error {
  static readonly code: "LOCKING_RULES_VIOLATION";
  constructor(message: string, options?: { cause?: unknown });
}
