/** `context.df` of an orchestrator, as durable-functions 1.x and 2.x define it. */

import { DurableOrchestrationContext } from "./durable-orchestration-context.js";
import { CONTINUES_AS_NEW, SENT } from "./run.js";

export class DurableOrchestrationContextV2 extends DurableOrchestrationContext {
  /** Takes its options one by one, or, as in 3.x, an object. */
  callHttp(method, uri, content, headers, tokenSource, asynchronousPatternEnabled) {
    if (typeof method === "object" && method !== null) {
      const { uri: url = method.url, content: body = method.body, ...options } = method;
      return super.callHttp({ ...options, url, body });
    }
    return super.callHttp({ method, url: uri, body: content, headers, tokenSource, asynchronousPatternEnabled });
  }

  /** Apps for 1.x yield this. */
  signalEntity(...given) {
    super.signalEntity(...given);
    return SENT;
  }

  /** Apps for 1.x yield this, and expect to go no further. */
  continueAsNew(input) {
    super.continueAsNew(input);
    return CONTINUES_AS_NEW;
  }
}
