/** `app` of `@azure/functions`. Durable functions are registered; other triggers are not run, and the build reports them. */

import * as df from "./durable-functions-app.js";
import { http } from "./durable-functions-client.js";
import { ignoredTrigger } from "./registry.js";

// The triggers that `df.app.client` has too. The `generic` below replaces that of the client.
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

/** Ignores settings of the Functions host. */
export function setup() {}

const ignoredHook = () => ({ dispose() {} });

export const hook = {
  appStart: ignoredHook,
  appTerminate: ignoredHook,
  log: ignoredHook,
  postInvocation: ignoredHook,
  preInvocation: ignoredHook,
};
