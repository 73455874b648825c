/** `context.df` of an orchestrator, as durable-functions 1.x and 2.x define it. */

import { DurableOrchestrationContext } from "./durable-orchestration-context.js";

export class DurableOrchestrationContextV2 extends DurableOrchestrationContext {
  /** Takes its options one by one, or, as in 3.x, an object. */
  callHttp(method, uri, content, headers, tokenSource, asynchronousPatternEnabled) {
    if (typeof method === "object" && method !== null) {
      const { uri: url = method.url, content: body = method.body, ...options } = method;
      return super.callHttp({ ...options, url, body });
    }
    return super.callHttp({ method, url: uri, body: content, headers, tokenSource, asynchronousPatternEnabled });
  }
}
