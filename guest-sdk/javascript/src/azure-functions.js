/** The exports of `@azure/functions`: the programming model v4. Of v3 there are only types. */

export * as default from "./azure-functions.js";
export * as app from "./azure-functions-app.js";
export { input, output, trigger } from "./azure-bindings.js";
export { HttpRequest, HttpResponse } from "./azure-http.js";
export { AppStartContext, AppTerminateContext, InvocationHookContext, LogHookContext, PostInvocationContext, PreInvocationContext } from "./hooks.js";
export { InvocationContext } from "./invocation-context.js";
