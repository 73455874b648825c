/** `app` of `@azure/functions`: triggers are named at the build and not run; durable ones are registered. */

import * as df from "./durable-functions-app.js";
import { registerTrigger } from "./registry.js";

const ignored = (type) => (name) => registerTrigger(name, type);

export const http = ignored("httpTrigger");
export const get = http;
export const put = http;
export const post = http;
export const patch = http;
export const deleteRequest = http;
export const timer = ignored("timerTrigger");
export const storageBlob = ignored("blobTrigger");
export const storageQueue = ignored("queueTrigger");
export const serviceBusQueue = ignored("serviceBusTrigger");
export const serviceBusTopic = ignored("serviceBusTrigger");
export const eventHub = ignored("eventHubTrigger");
export const eventGrid = ignored("eventGridTrigger");
export const cosmosDB = ignored("cosmosDBTrigger");
export const sql = ignored("sqlTrigger");
export const mySql = ignored("mysqlTrigger");
export const webPubSub = ignored("webPubSubTrigger");
export const connectorTrigger = ignored("connectorTrigger");
export const mcpTool = ignored("mcpToolTrigger");
export const mcpResource = ignored("mcpResourceTrigger");
export const mcpPrompt = ignored("mcpPromptTrigger");
export const warmup = ignored("warmupTrigger");

export function generic(name, options) {
  const register = { activityTrigger: df.activity, orchestrationTrigger: df.orchestration, entityTrigger: df.entity };
  const type = options?.trigger?.type;
  (register[type] ?? ignored(type ?? "trigger"))(name, options);
}

/** Settings of the Functions host have no meaning here. */
export function setup() {}

const ignoredHook = () => ({ dispose() {} });

export const hook = {
  appStart: ignoredHook,
  appTerminate: ignoredHook,
  log: ignoredHook,
  postInvocation: ignoredHook,
  preInvocation: ignoredHook,
};
