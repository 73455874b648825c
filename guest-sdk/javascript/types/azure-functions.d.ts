/** The part of `@azure/functions` that runs here, of its programming model v4; and the types of v3. */

export type FunctionResult<T = unknown> = T | Promise<T>;
export type FunctionHandler = (triggerInput: any, context: InvocationContext) => FunctionResult<any>;

export interface FunctionTrigger extends Record<string, unknown> {
  type: string;
  name: string;
}
export interface FunctionInput extends Record<string, unknown> {
  type: string;
  name: string;
}
export interface FunctionOutput extends Record<string, unknown> {
  type: string;
  name: string;
}

export interface FunctionOptions {
  handler: FunctionHandler;
  trigger: FunctionTrigger;
  /** The output whose value the handler returns. */
  return?: FunctionOutput;
  extraInputs?: FunctionInput[];
  extraOutputs?: FunctionOutput[];
  retry?: unknown;
}
export type GenericFunctionOptions = FunctionOptions;
export type EffectiveFunctionOptions = Required<Pick<FunctionOptions, "trigger" | "extraInputs" | "extraOutputs">> & Pick<FunctionOptions, "return">;

export type LogLevel = "trace" | "debug" | "information" | "warning" | "error" | "critical" | "none";
export type LogHandler = (level: LogLevel, ...args: unknown[]) => void;

/** The values of the inputs or outputs of one call. */
export interface InvocationContextExtraInputs {
  get(binding: FunctionInput | string): any;
  set(binding: FunctionInput | string, value: unknown): void;
}
export interface InvocationContextExtraOutputs {
  get(binding: FunctionOutput | string): unknown;
  set(binding: FunctionOutput | string, value: unknown): void;
}

export interface RetryContext {
  retryCount: number;
  maxRetryCount?: number;
  exception?: unknown;
}
export interface TraceContext {
  traceParent?: string;
  traceState?: string;
  attributes?: Record<string, string>;
}

export class InvocationContext {
  constructor(init?: { functionName?: string; invocationId?: string; logHandler?: LogHandler; options?: Partial<EffectiveFunctionOptions> });
  /** The same when a call is repeated, so that other systems can detect a repeated request. */
  readonly invocationId: string;
  readonly functionName: string;
  readonly extraInputs: InvocationContextExtraInputs;
  readonly extraOutputs: InvocationContextExtraOutputs;
  /** Of a call that is repeated. */
  readonly retryContext?: RetryContext;
  readonly traceContext?: TraceContext;
  /** Of a message: `id`, `dequeueCount`, ...; none of HTTP and timers. */
  readonly triggerMetadata?: Record<string, any>;
  readonly options: EffectiveFunctionOptions;
  log(...args: any[]): void;
  trace(...args: any[]): void;
  debug(...args: any[]): void;
  info(...args: any[]): void;
  warn(...args: any[]): void;
  error(...args: any[]): void;
}

// HTTP

export type HttpMethod = "GET" | "POST" | "DELETE" | "HEAD" | "PATCH" | "PUT" | "OPTIONS" | "TRACE" | "CONNECT";

interface HttpMessage {
  readonly headers: Headers;
  readonly body: ReadableStream<any> | null;
  readonly bodyUsed: boolean;
  arrayBuffer(): Promise<ArrayBuffer>;
  blob(): Promise<Blob>;
  formData(): Promise<FormData>;
  json(): Promise<any>;
  text(): Promise<string>;
}

export interface HttpRequestUser {
  type: "AppService" | "StaticWebApps";
  id: string;
  username: string;
  identityProvider: string;
  claimsPrincipalData: Record<string, unknown>;
}

export interface HttpRequestInit {
  method?: string;
  url?: string;
  headers?: HeadersInit;
  query?: Record<string, string> | URLSearchParams;
  params?: Record<string, string>;
  body?: HttpResponseBodyInit | { string: string } | { bytes: Uint8Array };
}
export interface HttpRequest extends HttpMessage {}
export class HttpRequest {
  constructor(init?: HttpRequestInit);
  readonly method: string;
  readonly url: string;
  readonly query: URLSearchParams;
  /** The parameters of the route. */
  readonly params: Record<string, string>;
  readonly user: HttpRequestUser | null;
  clone(): HttpRequest;
}

export type HttpResponseBodyInit = string | ArrayBuffer | ArrayBufferView | Blob | FormData | URLSearchParams | ReadableStream | AsyncIterable<Uint8Array | string>;

export interface Cookie {
  name: string;
  value: string;
  domain?: string;
  /** The default is `/`. */
  path?: string;
  expires?: Date | number;
  secure?: boolean;
  httpOnly?: boolean;
  sameSite?: "Strict" | "Lax" | "None";
  maxAge?: number;
}

export interface HttpResponseInit {
  status?: number;
  headers?: HeadersInit | Map<string, string>;
  body?: HttpResponseBodyInit;
  /** Takes precedence over `body`. */
  jsonBody?: any;
  cookies?: Cookie[];
  /** Ignored: a response is sent as it is. */
  enableContentNegotiation?: boolean;
}
export interface HttpResponse extends HttpMessage {}
export class HttpResponse {
  constructor(init?: HttpResponseInit);
  readonly status: number;
  readonly cookies: Cookie[];
  readonly enableContentNegotiation: boolean;
  clone(): HttpResponse;
}

export type HttpHandler = (request: HttpRequest, context: InvocationContext) => FunctionResult<HttpResponseInit | HttpResponse | string | Uint8Array | undefined | void>;

export interface HttpTriggerOptions {
  /** The default is GET and POST. */
  methods?: HttpMethod[];
  /** The default is `anonymous`. */
  authLevel?: "anonymous" | "function" | "admin";
  /** The default is the function's name. */
  route?: string;
}
export interface HttpFunctionOptions extends HttpTriggerOptions, Partial<Omit<FunctionOptions, "handler">> {
  handler: HttpHandler;
}
export type HttpMethodFunctionOptions = Omit<HttpFunctionOptions, "methods">;

// The other triggers

export interface Timer {
  isPastDue: boolean;
  schedule: { adjustForDST: boolean };
  scheduleStatus: { last: string; next: string; lastUpdated: string };
}
export interface TimerTriggerOptions {
  schedule: string;
  runOnStartup?: boolean;
  useMonitor?: boolean;
}
export interface StorageQueueTriggerOptions {
  queueName: string;
  connection?: string;
}
export interface EventHubTriggerOptions {
  eventHubName: string;
  connection?: string;
  /** With `many` the handler gets the events of a batch. The default is `one`. */
  cardinality?: "many" | "one";
  consumerGroup?: string;
}
export interface EventGridEvent {
  id: string;
  topic: string;
  subject: string;
  eventType: string;
  eventTime: string;
  dataVersion: string;
  data?: Record<string, any>;
}

type Options<TriggerOptions, Input> = TriggerOptions &
  Partial<Omit<FunctionOptions, "handler">> & { handler: (triggerInput: Input, context: InvocationContext) => FunctionResult<any> };

export type TimerFunctionOptions = Options<TimerTriggerOptions, Timer>;
export type TimerHandler = TimerFunctionOptions["handler"];
export type StorageQueueFunctionOptions = Options<StorageQueueTriggerOptions, any>;
export type StorageQueueHandler = StorageQueueFunctionOptions["handler"];
export type EventHubFunctionOptions = Options<EventHubTriggerOptions, any>;
export type EventHubHandler = EventHubFunctionOptions["handler"];
export type EventGridFunctionOptions = Options<{}, EventGridEvent>;
export type EventGridHandler = EventGridFunctionOptions["handler"];

/** A trigger that has no counterpart. The build leaves its function out, and says what to do instead. */
type NoCounterpart = (name: string, options: { handler: FunctionHandler } & Record<string, unknown>) => void;

// Hooks, around triggers and activities

export interface Disposable {
  /** Removes the hook. */
  dispose(): void;
}
interface HookContext {
  /** Shared by the hooks of one call. */
  readonly hookData: Record<string, any>;
}
interface InvocationHook extends HookContext {
  inputs: any[];
  readonly invocationContext: InvocationContext;
}
export class AppStartContext {
  constructor(init?: Partial<AppStartContext>);
}
export interface AppStartContext extends HookContext {}
export class AppTerminateContext {
  constructor(init?: Partial<AppTerminateContext>);
}
export interface AppTerminateContext extends HookContext {}
export class InvocationHookContext {}
export interface InvocationHookContext extends InvocationHook {}
export class PreInvocationContext extends InvocationHookContext {
  constructor(init?: { inputs?: any[]; functionCallback?: FunctionHandler; invocationContext?: InvocationContext; hookData?: Record<string, any> });
  functionHandler: (...args: any[]) => any;
}
export class PostInvocationContext extends InvocationHookContext {
  constructor(init?: Partial<PostInvocationContext>);
  result: any;
  error: any;
}
export class LogHookContext {
  constructor(init?: Partial<LogHookContext>);
  level: LogLevel;
  message: string;
  readonly category: "user" | "system" | "customMetric";
  readonly invocationContext: InvocationContext | undefined;
}
export interface LogHookContext extends HookContext {}

export declare namespace app {
  const http: (name: string, options: HttpFunctionOptions) => void;
  const get: (name: string, options: HttpMethodFunctionOptions | HttpHandler) => void;
  const put: typeof get;
  const post: typeof get;
  const patch: typeof get;
  const deleteRequest: typeof get;
  const timer: (name: string, options: TimerFunctionOptions) => void;
  const storageQueue: (name: string, options: StorageQueueFunctionOptions) => void;
  const eventHub: (name: string, options: EventHubFunctionOptions) => void;
  const eventGrid: (name: string, options: EventGridFunctionOptions) => void;
  const generic: (name: string, options: FunctionOptions) => void;
  const storageBlob: NoCounterpart;
  const serviceBusQueue: NoCounterpart;
  const serviceBusTopic: NoCounterpart;
  const cosmosDB: NoCounterpart;
  const sql: NoCounterpart;
  const mySql: NoCounterpart;
  const webPubSub: NoCounterpart;
  const connectorTrigger: NoCounterpart;
  const mcpTool: NoCounterpart;
  const mcpResource: NoCounterpart;
  const mcpPrompt: NoCounterpart;
  const warmup: NoCounterpart;
  /** Settings of the Functions host are ignored. */
  function setup(options: Record<string, unknown>): void;
  namespace hook {
    function appStart(callback: (context: AppStartContext) => unknown): Disposable;
    function appTerminate(callback: (context: AppTerminateContext) => unknown): Disposable;
    function preInvocation(callback: (context: PreInvocationContext) => unknown): Disposable;
    function postInvocation(callback: (context: PostInvocationContext) => unknown): Disposable;
    function log(callback: (context: LogHookContext) => void): Disposable;
  }
}

type Describe<Options, Binding> = (options: Options & Record<string, unknown>) => Binding;

/** Descriptions of what has a counterpart. */
export type HttpTrigger = FunctionTrigger;
export type TimerTrigger = FunctionTrigger;
export type StorageQueueTrigger = FunctionTrigger;
export type EventHubTrigger = FunctionTrigger;
export type EventGridTrigger = FunctionTrigger;
export type HttpOutput = FunctionOutput;
export type StorageQueueOutput = FunctionOutput;
export type EventHubOutput = FunctionOutput;

export declare namespace trigger {
  const http: Describe<HttpTriggerOptions, HttpTrigger>;
  const timer: Describe<TimerTriggerOptions, TimerTrigger>;
  const storageQueue: Describe<StorageQueueTriggerOptions, StorageQueueTrigger>;
  const eventHub: Describe<EventHubTriggerOptions, EventHubTrigger>;
  const eventGrid: Describe<{}, EventGridTrigger>;
  const generic: Describe<{ type: string }, FunctionTrigger>;
  const storageBlob: Describe<{}, FunctionTrigger>;
  const serviceBusQueue: Describe<{}, FunctionTrigger>;
  const serviceBusTopic: Describe<{}, FunctionTrigger>;
  const cosmosDB: Describe<{}, FunctionTrigger>;
  const sql: Describe<{}, FunctionTrigger>;
  const mySql: Describe<{}, FunctionTrigger>;
  const webPubSub: Describe<{}, FunctionTrigger>;
  const connectorTrigger: Describe<{}, FunctionTrigger>;
  const mcpTool: Describe<{}, FunctionTrigger>;
  const mcpResource: Describe<{}, FunctionTrigger>;
  const mcpPrompt: Describe<{}, FunctionTrigger>;
  const warmup: Describe<{}, FunctionTrigger>;
}

/** Inputs other than `df.input.durableClient()` have no counterpart. */
export declare namespace input {
  const generic: Describe<{ type: string }, FunctionInput>;
  const storageBlob: Describe<{}, FunctionInput>;
  const table: Describe<{}, FunctionInput>;
  const cosmosDB: Describe<{}, FunctionInput>;
  const sql: Describe<{}, FunctionInput>;
  const mySql: Describe<{}, FunctionInput>;
  const webPubSubConnection: Describe<{}, FunctionInput>;
  const webPubSubContext: Describe<{}, FunctionInput>;
}

/** There are `http`, `storageQueue` and `eventHub`, for triggers. */
export declare namespace output {
  const http: Describe<{}, HttpOutput>;
  const storageQueue: Describe<StorageQueueTriggerOptions, StorageQueueOutput>;
  const eventHub: Describe<{ eventHubName: string; connection?: string }, EventHubOutput>;
  const generic: Describe<{ type: string }, FunctionOutput>;
  const storageBlob: Describe<{}, FunctionOutput>;
  const table: Describe<{}, FunctionOutput>;
  const serviceBusQueue: Describe<{}, FunctionOutput>;
  const serviceBusTopic: Describe<{}, FunctionOutput>;
  const eventGrid: Describe<{}, FunctionOutput>;
  const cosmosDB: Describe<{}, FunctionOutput>;
  const sql: Describe<{}, FunctionOutput>;
  const mySql: Describe<{}, FunctionOutput>;
  const webPubSub: Describe<{}, FunctionOutput>;
}

// The programming model v3

export type AzureFunction = (context: Context, ...args: any[]) => Promise<any> | void;

export interface Logger {
  (...args: any[]): void;
  error(...args: any[]): void;
  warn(...args: any[]): void;
  info(...args: any[]): void;
  verbose(...args: any[]): void;
  metric(name: string, value: number, properties?: Record<string, unknown>): void;
}

export interface ExecutionContext {
  invocationId: string;
  functionName: string;
  functionDirectory: string;
  retryContext: RetryContext | null | undefined;
}

/** The context of a function with a `function.json`. */
export interface Context {
  invocationId: string;
  executionContext: ExecutionContext;
  bindings: { [name: string]: any };
  bindingData: { invocationId: string; [name: string]: any };
  bindingDefinitions: { name: string; type: string; direction: string | undefined }[];
  traceContext: { traceparent?: string | null; tracestate?: string | null; attributes?: Record<string, string> | null };
  log: Logger;
  done(error?: unknown, result?: any): void;
  suppressAsyncDoneError: boolean;
  /** Of an HTTP trigger. */
  req?: any;
  res?: { [name: string]: any };
}
