/** What durable-functions 1.x and 2.x have and 3.x has not: `df.orchestrator` and `df.entity` of the programming model v3. */

const DURABLE = Symbol("durable");

/** Makes the export of a function with an `orchestrationTrigger`. */
export function orchestrator(body) {
  return durable("orchestrator", body);
}

/** Makes the export of a function with an `entityTrigger`. */
export function entity(body) {
  return durable("entity", body);
}

function durable(kind, body) {
  if (typeof body !== "function") {
    throw new TypeError(`df.${kind} needs a function.`);
  }
  const exported = () => {
    throw new Error(`What df.${kind} returns is the export of a function, for its function.json: it cannot be called.`);
  };
  return Object.assign(exported, { [DURABLE]: { kind, body } });
}

/** The function in an export; undefined if `df.orchestrator` or `df.entity` did not make it. */
export function durableBody(kind, exported) {
  const made = exported?.[DURABLE];
  return made?.kind === kind ? made.body : undefined;
}

export class DurableHttpRequest {
  constructor(method, uri, content, headers, tokenSource, asynchronousPatternEnabled = true) {
    Object.assign(this, { method, uri, content, headers, tokenSource, asynchronousPatternEnabled });
  }
}

export class DurableHttpResponse {
  constructor(statusCode, content, headers) {
    Object.assign(this, { statusCode, content, headers });
  }

  getHeader(name) {
    const found = Object.entries(this.headers ?? {}).find(([key]) => key.toLowerCase() === name.toLowerCase());
    return found?.[1];
  }
}
