/** `df.app`, with which an app registers its functions. */

export * as client from "./durable-functions-client.js";
export { activity, entity, orchestration } from "./durable-registration.js";
export { setExceptionPropertiesProvider } from "./failure.js";
