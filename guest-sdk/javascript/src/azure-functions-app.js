/** `app` of `@azure/functions`: triggers are named at the build and not run; durable ones are registered. */

import * as df from "./durable-functions-app.js";
import { http } from "./durable-functions-client.js";
import { ignoredTrigger } from "./registry.js";

// Triggers that `df.app.client` has too. Its `generic` gives way to the one below.
export * from "./durable-functions-client.js";

export const get = http;
export const put = http;
export const post = http;
export const patch = http;
export const deleteRequest = http;
export const sql = ignoredTrigger("sqlTrigger");
export const mySql = ignoredTrigger("mysqlTrigger");
export const webPubSub = ignoredTrigger("webPubSubTrigger");
export const connectorTrigger = ignoredTrigger("connectorTrigger");
export const mcpTool = ignoredTrigger("mcpToolTrigger");
export const mcpResource = ignoredTrigger("mcpResourceTrigger");
export const mcpPrompt = ignoredTrigger("mcpPromptTrigger");
export const warmup = ignoredTrigger("warmupTrigger");

export function generic(name, options) {
  const register = { activityTrigger: df.activity, orchestrationTrigger: df.orchestration, entityTrigger: df.entity };
  const type = options?.trigger?.type;
  (register[type] ?? ignoredTrigger(type ?? "trigger"))(name, options);
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
