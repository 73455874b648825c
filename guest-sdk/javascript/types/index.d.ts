/// <reference lib="esnext.disposable" />

/** A number of milliseconds, or a sum of units. */
export type Duration =
  | number
  | { days?: number; hours?: number; minutes?: number; seconds?: number; milliseconds?: number };

/** A value, or a promise of one. */
export type Awaitable<T> = T | PromiseLike<T>;

/** When and how often a failed call is tried again. The host keeps the schedule. */
export interface RetryPolicy {
  /** Attempts in all, the first one included. */
  maxAttempts: number;
  /** The time between the first failure and the second attempt. */
  firstInterval: Duration;
  /** What each further interval is multiplied by; 1 if it is not given. */
  backoffCoefficient?: number;
  /** No interval is longer than this. */
  maxInterval?: Duration;
  /** No new attempt starts this long after the first one started. */
  timeout?: Duration;
  /** Failures of these types are final at once. */
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

/** Defines an activity, which does the real work: it is run at least once. */
export function activity<Input = undefined, Output = unknown>(
  name: string,
  handler: (input: Input, context: ActivityContext) => Awaitable<Output>,
): ActivityDefinition<Input, Output>;

/** Defines an entity: durable state with operations that run one after another. */
export function entity<State, Operations extends Record<string, EntityOperation<State>>>(
  name: string,
  definition: {
    /** The state of a new one. */
    initialState?: () => State;
    operations: Operations;
  },
): EntityDefinition<Operations>;

/** Something that an orchestrator waits for: `await` it, or, in a generator, `yield` it. */
export interface Task<T = unknown> extends PromiseLike<T> {
  /** Whether it has succeeded. */
  readonly isCompleted: boolean;
  /** Whether it has failed. */
  readonly isFaulted: boolean;
  /** Its value; if it failed, its error. */
  readonly result: T | undefined;
}

export interface EventTask<T = unknown> extends Task<T> {
  /** Gives up the wait: an event that comes later is left for the next one. */
  cancel(): void;
}

export interface TimerTask extends Task<void> {
  readonly isCanceled: boolean;
  /** Gives it up. One that has completed cannot be canceled. */
  cancel(): void;
}

type Values<Tasks extends readonly Task[]> = { -readonly [I in keyof Tasks]: Tasks[I] extends Task<infer T> ? T : never };

type InputOf<Operation> = Operation extends (context: any, ...input: infer Input) => unknown ? Input : never;
type OutputOf<Operation> = Operation extends (...args: any[]) => infer Output ? Awaited<Output> : never;

/** What an orchestrator knows and may do. A call begins when it is made. */
export interface OrchestratorContext {
  readonly instanceId: string;
  /** Continue-as-new begins another execution. */
  readonly executionId: string;
  /** The caller, if this is a sub-orchestration. */
  readonly parent: { name: string; instanceId: string } | undefined;
  /** The version label that the instance was started with, or an empty text. */
  readonly version: string;
  /** For diagnostics only: a decision that depends on it diverges. */
  readonly isReplaying: boolean;
  /** The time of the turn. It stands still between waits. */
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

  /** A timer that fires at a moment, however far away. */
  createTimer(fireAt: Date): TimerTask;
  sleep(duration: Duration): TimerTask;

  /** The next event of that name (ignoring case) that was not read yet. */
  waitForExternalEvent<T = unknown>(name: string): EventTask<T>;
  /** Gives `undefined` when the time is up, and leaves a later event for the next wait. */
  waitForExternalEvent<T = unknown>(name: string, options: { timeout: Duration }): Promise<T | undefined>;

  /** The operations of an entity: each calls it, and gives a task. */
  entity<Operations>(
    definition: EntityDefinition<Operations>,
    key: string,
  ): { [Name in keyof Operations]: (...input: InputOf<Operations[Name]>) => Task<OutputOf<Operations[Name]>> };
  /** The operations of an entity: each is sent, and nothing is waited for. */
  signal<Operations>(
    definition: EntityDefinition<Operations>,
    key: string,
    options?: { at?: Date },
  ): { [Name in keyof Operations]: (...input: InputOf<Operations[Name]>) => void };
  callEntity<Output = unknown>(id: EntityId, operation: string, input?: unknown): Task<Output>;
  signalEntity(id: EntityId, operation: string, input?: unknown, options?: { at?: Date }): void;
  /** Locks entities: a critical section begins when the task completes, and ends by `release` or at the end. */
  lock(...ids: EntityId[]): Task<DurableLock>;

  /** Sends a request under the hub's policy and waits durably; an answer 202 is polled. */
  callHttp(request: HttpRequest): Task<HttpResponse>;

  /** Starts an orchestration that runs on its own, and gives its id. */
  startOrchestration(orchestrator: OrchestratorDefinition<any, any> | string, input?: unknown, options?: { instanceId?: string }): string;
  sendEvent(instanceId: string, name: string, data?: unknown): void;

  /** Asks for a fresh start with a new input and an empty history, once the orchestrator returns. */
  continueAsNew(input?: unknown): void;
  /** What status queries show. */
  setCustomStatus(status: unknown): void;
  newGuid(): string;

  /** The values of all, in their order; fails with the first failure, when it happens. */
  all<const Tasks extends readonly Task<any>[]>(tasks: Tasks): Task<Values<Tasks>>;
  /** What settles first. Awaiting its task gives the value, or throws the error. */
  any<T>(tasks: readonly Task<T>[]): Task<{ task: Task<T>; index: number }>;
}

export interface SubOrchestrationOptions {
  /** The host derives one if none is given. */
  instanceId?: string;
  /** It begins on the code that a start with this version would get; without one, on the code of its parent. */
  version?: string;
  retry?: RetryPolicy;
}

export interface HttpRequest {
  method: string;
  url: string;
  headers?: Record<string, string>;
  /** A text, or what is sent as JSON. */
  body?: unknown;
  /** Whether an answer 202 is polled; true if it is not given. */
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
  /** The instance that called. */
  readonly instanceId: string;
  /** 1 for the first attempt under the caller's retry policy, then 2, and so on. */
  readonly attempt: number;
  /** The same when the call is repeated after a crash. */
  readonly idempotencyKey: string;
  readonly log: Logger;

  /**
   * Starts an orchestration that runs on its own, and gives its id once that is durable. Without an `instanceId` the host
   * derives one, which is the same when the call of the activity is repeated after a crash.
   *
   * What the host refuses is thrown as a `DurableError`, whose `name` says why: `InstanceAlreadyExists`,
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
  /** Kept if the operation succeeds. */
  state: State;
  readonly log: Logger;
  delete(): void;
  signalEntity(id: EntityId, operation: string, input?: unknown): void;
}

/** One line of the host's log; from an orchestrator once, not once per replay. */
export interface Logger {
  (...values: unknown[]): void;
  trace(...values: unknown[]): void;
  debug(...values: unknown[]): void;
  info(...values: unknown[]): void;
  warn(...values: unknown[]): void;
  error(...values: unknown[]): void;
}

/** Names an entity. Its text is `@name@key`. */
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
  /** What callers get as `failureDetails.properties`. */
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

/** What a task fails with. */
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
