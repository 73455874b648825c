/**
 * The exports of `@azure/functions`. Triggers are not run, and the build reports them. Bindings can be declared, so that
 * files compile and load unmodified.
 */

export * as default from "./azure-functions.js";
export * as app from "./azure-functions-app.js";
export { InvocationContext } from "./invocation-context.js";

/** `input.storageBlob({...})` and similar functions return descriptions with a unique name. */
const bindings = () =>
  new Proxy(
    {},
    {
      get: (_, type) => (options) => {
        count += 1;
        return { type, name: `${String(type)}${count}`, ...options };
      },
    },
  );

let count = 0;

export const input = bindings();
export const output = bindings();
export const trigger = bindings();

export class HttpRequest {
  constructor({ method = "GET", url = "", headers = {}, query = {}, params = {}, body } = {}) {
    Object.assign(this, { method, url, params, body });
    this.headers = new Map(Object.entries(headers));
    this.query = new Map(Object.entries(query));
  }
}

export class HttpResponse {
  constructor({ status = 200, headers = {}, body = null, jsonBody, cookies = [] } = {}) {
    Object.assign(this, { status, cookies });
    this.headers = new Map(Object.entries(headers));
    this.body = jsonBody === undefined ? body : JSON.stringify(jsonBody);
  }
}
