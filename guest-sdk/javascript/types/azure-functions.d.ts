/** The part of `@azure/functions` that apps need to compile. Triggers are not run; the build reports them. */

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
  return?: FunctionOutput;
  extraInputs?: FunctionInput[];
  extraOutputs?: FunctionOutput[];
}

export type LogLevel = "trace" | "debug" | "information" | "warning" | "error" | "critical" | "none";
export type LogHandler = (level: LogLevel, ...args: unknown[]) => void;

export interface ExtraValues {
  get(binding: FunctionInput | FunctionOutput | string): unknown;
  set(binding: FunctionInput | FunctionOutput | string, value: unknown): void;
}

export class InvocationContext {
  constructor(init?: { functionName?: string; invocationId?: string; logHandler?: LogHandler });
  invocationId: string;
  functionName: string;
  extraInputs: ExtraValues;
  extraOutputs: ExtraValues;
  retryContext?: { retryCount: number; maxRetryCount?: number; exception?: unknown };
  triggerMetadata?: Record<string, unknown>;
  options: Partial<FunctionOptions>;
  log(...args: any[]): void;
  trace(...args: any[]): void;
  debug(...args: any[]): void;
  info(...args: any[]): void;
  warn(...args: any[]): void;
  error(...args: any[]): void;
}

export type HttpMethod = "GET" | "POST" | "DELETE" | "HEAD" | "PATCH" | "PUT" | "OPTIONS" | "TRACE" | "CONNECT";

export class HttpRequest {
  constructor(init?: { method?: string; url?: string; headers?: Record<string, string>; query?: Record<string, string>; params?: Record<string, string>; body?: unknown });
  readonly method: string;
  readonly url: string;
  readonly headers: Headers;
  readonly query: URLSearchParams;
  readonly params: Record<string, string>;
  readonly body: any;
  text(): Promise<string>;
  json(): Promise<any>;
  arrayBuffer(): Promise<ArrayBuffer>;
}

export interface HttpResponseInit {
  status?: number;
  headers?: Record<string, string> | Headers;
  body?: any;
  jsonBody?: any;
  cookies?: unknown[];
}

export class HttpResponse {
  constructor(init?: HttpResponseInit);
  readonly status: number;
  readonly headers: Headers;
  readonly body: any;
}

export type HttpHandler = (request: HttpRequest, context: InvocationContext) => FunctionResult<HttpResponseInit | HttpResponse | void>;

export interface HttpFunctionOptions extends Partial<Omit<FunctionOptions, "handler">> {
  handler: HttpHandler;
  methods?: HttpMethod[];
  authLevel?: "anonymous" | "function" | "admin";
  route?: string;
}

export interface Timer {
  isPastDue: boolean;
  schedule: unknown;
  scheduleStatus: unknown;
}

type Trigger = (name: string, options: { handler: FunctionHandler } & Record<string, unknown>) => void;
type HttpTrigger = (name: string, options: HttpFunctionOptions | HttpHandler) => void;

export declare namespace app {
  const http: (name: string, options: HttpFunctionOptions) => void;
  const get: HttpTrigger;
  const put: HttpTrigger;
  const post: HttpTrigger;
  const patch: HttpTrigger;
  const deleteRequest: HttpTrigger;
  const timer: Trigger;
  const storageBlob: Trigger;
  const storageQueue: Trigger;
  const serviceBusQueue: Trigger;
  const serviceBusTopic: Trigger;
  const eventHub: Trigger;
  const eventGrid: Trigger;
  const cosmosDB: Trigger;
  const sql: Trigger;
  const mySql: Trigger;
  const webPubSub: Trigger;
  const connectorTrigger: Trigger;
  const mcpTool: Trigger;
  const mcpResource: Trigger;
  const mcpPrompt: Trigger;
  const warmup: Trigger;
  const generic: (name: string, options: FunctionOptions) => void;
  function setup(options: Record<string, unknown>): void;
  const hook: Record<"appStart" | "appTerminate" | "log" | "preInvocation" | "postInvocation", (callback: (context: any) => unknown) => { dispose(): void }>;
}

export declare const input: Record<string, (options: any) => FunctionInput>;
export declare const output: Record<string, (options: any) => FunctionOutput>;
export declare const trigger: Record<string, (options: any) => FunctionTrigger>;
