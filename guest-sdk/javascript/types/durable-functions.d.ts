/** The API of durable-functions 3.x, and of 1.x and 2.x; the original documents `context.df` and `df`. Only differences are documented here. */

import type {
  Context,
  EventGridFunctionOptions,
  EventHubFunctionOptions,
  FunctionHandler,
  FunctionInput,
  FunctionOptions,
  FunctionResult,
  FunctionTrigger,
  HttpFunctionOptions,
  HttpRequest,
  HttpResponse,
  LogHandler,
  StorageQueueFunctionOptions,
  TimerFunctionOptions,
} from "./azure-functions.js";
import { InvocationContext } from "./azure-functions.js";
import type { LockState } from "./index.js";
import { EntityId } from "./index.js";

export { DurableError, DurableLock, EntityId, FailureDetails, LockState, LockingRulesViolationError, TaskFailedError } from "./index.js";

export interface Task {
  /** Whether it has succeeded. */
  isCompleted: boolean;
  isFaulted: boolean;
  result?: unknown;
  /** Schedules it now, rather than when it is first yielded. */
  schedule(): this;
}

export interface EventTask extends Task {
  /** Cancels the wait: a later event is kept for the next one. */
  cancel: () => void;
}

export interface TimerTask extends Task {
  isCanceled: boolean;
  cancel: () => void;
}

export interface RegisteredActivityTask extends Task {
  withRetry: (retryOptions: RetryOptions) => Task;
}
export type RegisteredActivity = (input?: unknown) => RegisteredActivityTask;

export interface RegisteredOrchestrationTask extends Task {
  withRetry: (retryOptions: RetryOptions) => Task;
}
export type RegisteredOrchestration = (input?: unknown, instanceId?: string) => RegisteredOrchestrationTask;

export declare class RetryOptions {
  constructor(firstRetryIntervalInMilliseconds: number, maxNumberOfAttempts: number);
  readonly firstRetryIntervalInMilliseconds: number;
  readonly maxNumberOfAttempts: number;
  backoffCoefficient: number;
  maxRetryIntervalInMilliseconds: number;
  retryTimeoutInMilliseconds: number;
}

export declare class ManagedIdentityTokenSource {
  constructor(resource: string);
  readonly resource: string;
}
export type TokenSource = ManagedIdentityTokenSource;

export interface CallHttpOptions {
  method: string;
  url: string;
  body?: string | object;
  headers?: { [key: string]: string };
  /** Managed identities are not supported: a call with one fails. */
  tokenSource?: TokenSource;
  enablePolling?: boolean;
  asynchronousPatternEnabled?: boolean;
}

export declare class DurableOrchestrationContext {
  readonly instanceId: string;
  readonly parentInstanceId: string | undefined;
  readonly version: string | undefined;
  isReplaying: boolean;
  currentUtcDateTime: Date;
  customStatus: unknown;
  Task: { all: (tasks: Task[]) => Task; any: (tasks: Task[]) => Task };
  getInput<T>(): T;
  callActivity(name: string, input?: unknown): Task;
  callActivityWithRetry(name: string, retryOptions: RetryOptions, input?: unknown): Task;
  callSubOrchestrator(name: string, input?: unknown, instanceId?: string, version?: string): Task;
  callSubOrchestratorWithRetry(name: string, retryOptions: RetryOptions, input?: unknown, instanceId?: string, version?: string): Task;
  callEntity(entityId: EntityId, operationName: string, operationInput?: unknown): Task;
  signalEntity(entityId: EntityId, operationName: string, operationInput?: unknown): void;
  lock(...entities: EntityId[]): Task;
  lock(entities: EntityId[]): Task;
  isLocked(): LockState;
  callHttp(options: CallHttpOptions): Task;
  /** The timer may have any length; there is no limit of six days. */
  createTimer(fireAt: Date): TimerTask;
  /**
   * Earlier events are kept, also across `continueAsNew`. An event goes to the oldest wait for its name that is waited for; a
   * wait that lost a race takes no event.
   */
  waitForExternalEvent(name: string): EventTask;
  /** Starts an orchestration that runs on its own, and returns its id. */
  startOrchestration(name: string, input?: unknown, instanceId?: string): string;
  sendEvent(instanceId: string, name: string, data?: unknown): void;
  continueAsNew(input: unknown): void;
  setCustomStatus(customStatusObject: unknown): void;
  newGuid(input: string): string;
}

export interface OrchestrationContext extends InvocationContext {
  df: DurableOrchestrationContext;
}
export type OrchestrationHandler = (context: OrchestrationContext) => Generator<Task, unknown, any>;
export interface OrchestrationOptions extends Partial<Omit<FunctionOptions, "handler">> {
  handler: OrchestrationHandler;
}
export interface OrchestrationTrigger extends FunctionTrigger {
  type: "orchestrationTrigger";
}

export type ActivityHandler = FunctionHandler;
export interface ActivityOptions extends Partial<Omit<FunctionOptions, "handler">> {
  handler: ActivityHandler;
}
export interface ActivityTrigger extends FunctionTrigger {
  type: "activityTrigger";
}

export interface DurableEntityContext<TState> {
  readonly entityName: string;
  readonly entityKey: string;
  readonly entityId: EntityId;
  readonly operationName: string | undefined;
  readonly isNewlyConstructed: boolean;
  getState(initializer?: () => TState): TState | undefined;
  setState(state: TState): void;
  getInput<TInput = TState>(): TInput | undefined;
  return<TResult = TState>(result: TResult): void;
  destructOnExit(): void;
  signalEntity(entity: EntityId, operationName: string, operationInput?: unknown): void;
}
export interface EntityContext<T> extends InvocationContext {
  df: DurableEntityContext<T>;
}
export type EntityHandler<T> = (context: EntityContext<T>) => void | Promise<void>;
export interface EntityOptions<T> extends Partial<Omit<FunctionOptions, "handler">> {
  handler: EntityHandler<T>;
}
export interface EntityTrigger extends FunctionTrigger {
  type: "entityTrigger";
}

export declare class DummyOrchestrationContext extends InvocationContext implements OrchestrationContext {
  constructor(functionName?: string, invocationId?: string, logHandler?: LogHandler);
  df: DurableOrchestrationContext;
}
export declare class DummyEntityContext<T> extends InvocationContext implements EntityContext<T> {
  constructor(functionName?: string, invocationId?: string, logHandler?: LogHandler);
  df: DurableEntityContext<T>;
}

export declare class AggregatedError extends Error {
  constructor(errors: Error[]);
  errors: Error[];
}

export interface ExceptionPropertiesProvider {
  getExceptionProperties(error: unknown): Record<string, unknown> | undefined;
}

export declare enum OrchestrationRuntimeStatus {
  Running = "Running",
  Completed = "Completed",
  ContinuedAsNew = "ContinuedAsNew",
  Failed = "Failed",
  Canceled = "Canceled",
  Terminated = "Terminated",
  Pending = "Pending",
  Suspended = "Suspended",
}

export interface DurableOrchestrationStatus {
  readonly name: string;
  readonly instanceId: string;
  readonly createdTime: Date;
  readonly lastUpdatedTime: Date;
  readonly input: unknown;
  readonly output: unknown;
  readonly runtimeStatus: OrchestrationRuntimeStatus;
  readonly customStatus?: unknown;
  readonly history?: Array<unknown>;
}

export declare class HttpManagementPayload {
  readonly id: string;
  readonly statusQueryGetUri: string;
  readonly sendEventPostUri: string;
  readonly terminatePostUri: string;
  readonly rewindPostUri: string;
  readonly purgeHistoryDeleteUri: string;
  readonly restartPostUri: string;
  readonly suspendPostUri: string;
  readonly resumePostUri: string;
}

export declare class PurgeHistoryResult {
  constructor(instancesDeleted: number);
  readonly instancesDeleted: number;
}

export declare class EntityStateResponse<T> {
  constructor(entityExists: boolean, entityState?: T);
  entityExists: boolean;
  entityState?: T;
}

export interface GetStatusOptions {
  showHistory?: boolean;
  showHistoryOutput?: boolean;
  showInput?: boolean;
}
export interface StartNewOptions {
  instanceId?: string;
  input?: unknown;
  version?: string;
  /** The orchestration does not begin before this time. */
  startAt?: Date;
}
export interface TaskHubOptions {
  taskHubName?: string;
  connectionName?: string;
}
/** The last three members are additions. */
export interface OrchestrationFilter {
  createdTimeFrom?: Date;
  createdTimeTo?: Date;
  runtimeStatus?: OrchestrationRuntimeStatus[];
  instanceIdPrefix?: string;
  functionName?: string;
  version?: string;
}
export interface InstancePage {
  instances: DurableOrchestrationStatus[];
  /** For the next page; null in the last. */
  continuationToken: string | null;
}
export interface EntityFilter {
  entityName?: string;
  lastOperationTimeFrom?: Date;
  lastOperationTimeTo?: Date;
  fetchState?: boolean;
  top?: number;
  continuationToken?: string;
}
export interface EntityPage {
  entities: { entityId: { name: string; key: string }; lastOperationTime: string; state?: unknown }[];
  continuationToken: string | null;
}
export interface WaitForCompletionOptions {
  timeoutInMilliseconds?: number;
  retryIntervalInMilliseconds?: number;
}

export interface SignalOptions extends TaskHubOptions {
  /** The signal is not delivered before this time. */
  at?: Date;
}

/**
 * The client of the app's own task hub, in activities and triggers. What it may do is a grant of the app: a call that is not granted
 * throws a `DurableError` with the name `NotGranted`. Other refusals have their reason as `name` too, such as `InvalidArgument`.
 */
export declare class DurableClient {
  readonly taskHubName: string;
  readonly uniqueWebhookOrigins: string[];
  createCheckStatusResponse(request: HttpRequest | undefined, instanceId: string): HttpResponse;
  createHttpManagementPayload(instanceId: string): HttpManagementPayload;
  getStatus(instanceId: string, options?: GetStatusOptions): Promise<DurableOrchestrationStatus>;
  getStatusAll(): Promise<DurableOrchestrationStatus[]>;
  getStatusBy(filter: OrchestrationFilter): Promise<DurableOrchestrationStatus[]>;
  purgeInstanceHistory(instanceId: string): Promise<PurgeHistoryResult>;
  purgeInstanceHistoryBy(filter: OrchestrationFilter): Promise<PurgeHistoryResult>;
  raiseEvent(instanceId: string, eventName: string, eventData?: unknown, options?: TaskHubOptions): Promise<void>;
  readEntityState<T>(entityId: EntityId, options?: TaskHubOptions): Promise<EntityStateResponse<T>>;
  /** One page of the instances that match. As in other lists, the times are texts. */
  listInstances(filter?: OrchestrationFilter & { showInput?: boolean; top?: number; continuationToken?: string }): Promise<InstancePage>;
  /** One page of the entities that match. */
  listEntities(filter?: EntityFilter): Promise<EntityPage>;
  /** Starts it anew with its recorded input, and returns the id of the new instance, which may be given. */
  restart(instanceId: string, restartWithNewInstanceId?: boolean | string): Promise<string>;
  rewind(instanceId: string, reason: string, options?: TaskHubOptions): Promise<void>;
  signalEntity(entityId: EntityId, operationName?: string, operationContent?: unknown, options?: SignalOptions): Promise<void>;
  /**
   * Without an `instanceId` the host derives one, which is the same when the call of the activity or trigger is repeated. If the
   * host refuses the start, it throws a `DurableError` with the reason as `name`, such as `InstanceAlreadyExists`.
   */
  startNew(orchestratorFunctionName: string, options?: StartNewOptions): Promise<string>;
  terminate(instanceId: string, reason: string): Promise<void>;
  suspend(instanceId: string, reason: string): Promise<void>;
  resume(instanceId: string, reason: string): Promise<void>;
  /** Waits for the end, at most so long; returns the status then, or undefined if there is no such instance. */
  waitForCompletion(instanceId: string, timeoutInMilliseconds: number): Promise<DurableOrchestrationStatus | undefined>;
  waitForCompletionOrCreateCheckStatusResponse(request: HttpRequest, instanceId: string, waitOptions?: WaitForCompletionOptions): Promise<HttpResponse>;
}

export interface DurableClientInput extends FunctionInput {
  type: "durableClient";
}
export type DurableClientHandler = (triggerInput: any, durableClient: DurableClient, context: InvocationContext) => FunctionResult<any>;

type WithClient<Options extends { handler: (...args: any[]) => any }> = Omit<Options, "handler"> & {
  handler: (triggerInput: Parameters<Options["handler"]>[0], client: DurableClient, context: InvocationContext) => ReturnType<Options["handler"]>;
};
export type HttpDurableClientOptions = WithClient<HttpFunctionOptions>;
export type HttpDurableClientHandler = HttpDurableClientOptions["handler"];
export type TimerDurableClientOptions = WithClient<TimerFunctionOptions>;
export type TimerDurableClientHandler = TimerDurableClientOptions["handler"];
export type StorageQueueDurableClientOptions = WithClient<StorageQueueFunctionOptions>;
export type StorageQueueDurableClientHandler = StorageQueueDurableClientOptions["handler"];
export type EventHubDurableClientOptions = WithClient<EventHubFunctionOptions>;
export type EventHubDurableClientHandler = EventHubDurableClientOptions["handler"];
export type EventGridDurableClientOptions = WithClient<EventGridFunctionOptions>;
export type EventGridDurableClientHandler = EventGridDurableClientOptions["handler"];
export type DurableClientOptions = WithClient<FunctionOptions>;

/** In a function with a `function.json`, the client of durable-functions 1.x and 2.x. */
export function getClient(context: InvocationContext): DurableClient;
export function getClient(context: Context): DurableOrchestrationClient;

// durable-functions 1.x and 2.x, for functions with a `function.json`

/** The export of a function with an `orchestrationTrigger`. */
export function orchestrator(body: (context: IOrchestrationFunctionContext) => Generator<Task, unknown, any>): (context: IOrchestrationFunctionContext) => void;
/** The export of a function with an `entityTrigger`. */
export function entity<T = unknown>(body: (context: IEntityFunctionContext<T>) => unknown): (context: IEntityFunctionContext<T>) => void;

export interface IOrchestrationFunctionContext extends Context {
  df: DurableOrchestrationContextV2;
}
export interface IEntityFunctionContext<T> extends Context {
  df: DurableEntityContext<T>;
}

interface DurableOrchestrationContextV2 extends Omit<DurableOrchestrationContext, "callHttp"> {
  callHttp(method: string, uri: string, content?: string | object, headers?: Record<string, string>, tokenSource?: TokenSource, asynchronousPatternEnabled?: boolean): Task;
  callHttp(options: CallHttpOptions | DurableHttpRequest): Task;
}

export interface IHttpRequest {
  http: { url: string };
}
export interface IHttpResponse {
  status: number;
  body: unknown;
  headers?: object;
}

export declare class DurableHttpRequest {
  constructor(method: string, uri: string, content?: string, headers?: Record<string, string>, tokenSource?: TokenSource, asynchronousPatternEnabled?: boolean);
  readonly method: string;
  readonly uri: string;
  readonly content?: string;
  readonly headers?: Record<string, string>;
}
export declare class DurableHttpResponse {
  constructor(statusCode: number, content?: string, headers?: Record<string, string>);
  statusCode: number;
  content?: string;
  headers?: Record<string, string>;
  getHeader(name: string): string | undefined;
}

/** As `DurableClient`, with options one by one. */
export declare class DurableOrchestrationClient {
  readonly taskHubName: string;
  readonly uniqueWebhookOrigins: string[];
  createCheckStatusResponse(request: { url: string } | IHttpRequest | undefined, instanceId: string): IHttpResponse;
  createHttpManagementPayload(instanceId: string): HttpManagementPayload;
  /** Empty if there is no such instance. */
  getStatus(instanceId: string, showHistory?: boolean, showHistoryOutput?: boolean, showInput?: boolean): Promise<DurableOrchestrationStatus>;
  getStatusAll(): Promise<DurableOrchestrationStatus[]>;
  getStatusBy(createdTimeFrom: Date | undefined, createdTimeTo: Date | undefined, runtimeStatus: OrchestrationRuntimeStatus[]): Promise<DurableOrchestrationStatus[]>;
  purgeInstanceHistory(instanceId: string): Promise<PurgeHistoryResult>;
  purgeInstanceHistoryBy(createdTimeFrom: Date, createdTimeTo?: Date, runtimeStatus?: OrchestrationRuntimeStatus[]): Promise<PurgeHistoryResult>;
  raiseEvent(instanceId: string, eventName: string, eventData?: unknown, taskHubName?: string, connectionName?: string): Promise<void>;
  readEntityState<T>(entityId: EntityId, taskHubName?: string, connectionName?: string): Promise<EntityStateResponse<T>>;
  restart(instanceId: string, restartWithNewInstanceId?: boolean | string): Promise<string>;
  resume(instanceId: string, reason: string): Promise<void>;
  rewind(instanceId: string, reason: string, taskHubName?: string, connectionName?: string): Promise<void>;
  signalEntity(entityId: EntityId, operationName?: string, operationContent?: unknown, taskHubName?: string, connectionName?: string): Promise<void>;
  startNew(orchestratorFunctionName: string, instanceId?: string, input?: unknown): Promise<string>;
  suspend(instanceId: string, reason: string): Promise<void>;
  terminate(instanceId: string, reason: string): Promise<void>;
  waitForCompletionOrCreateCheckStatusResponse(
    request: { url: string } | undefined,
    instanceId: string,
    timeoutInMilliseconds?: number,
    retryIntervalInMilliseconds?: number,
  ): Promise<IHttpResponse>;
}

type NoCounterpart = (functionName: string, options: { handler: DurableClientHandler } & Record<string, unknown>) => void;

export declare namespace app {
  function orchestration(functionName: string, handler: OrchestrationHandler): RegisteredOrchestration;
  function orchestration(functionName: string, options: OrchestrationOptions): RegisteredOrchestration;
  function activity(functionName: string, options: ActivityOptions): RegisteredActivity;
  function entity<T = unknown>(functionName: string, handler: EntityHandler<T>): void;
  function entity<T = unknown>(functionName: string, options: EntityOptions<T>): void;
  function setExceptionPropertiesProvider(provider: ExceptionPropertiesProvider | undefined): void;

  /** Triggers whose handlers get a client as their second argument. */
  namespace client {
    const http: (functionName: string, options: HttpDurableClientOptions) => void;
    const timer: (functionName: string, options: TimerDurableClientOptions) => void;
    const storageQueue: (functionName: string, options: StorageQueueDurableClientOptions) => void;
    const eventHub: (functionName: string, options: EventHubDurableClientOptions) => void;
    const eventGrid: (functionName: string, options: EventGridDurableClientOptions) => void;
    const generic: (functionName: string, options: DurableClientOptions) => void;
    const storageBlob: NoCounterpart;
    const serviceBusQueue: NoCounterpart;
    const serviceBusTopic: NoCounterpart;
    const cosmosDB: NoCounterpart;
  }
}

export declare namespace input {
  function durableClient(): DurableClientInput;
}

export declare namespace trigger {
  function activity(): ActivityTrigger;
  function orchestration(): OrchestrationTrigger;
  function entity(): EntityTrigger;
}
