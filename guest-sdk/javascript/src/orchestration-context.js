/** What an orchestrator of durable-functions gets. */

import { DurableOrchestrationContext } from "./durable-orchestration-context.js";
import { InvocationContext } from "./invocation-context.js";

export class OrchestrationContext extends InvocationContext {
  #run;

  constructor(run, functionName, input) {
    super({ functionName });
    this.#run = run;
    this.df = new DurableOrchestrationContext(run.actions, input);
  }

  get invocationId() {
    return this.#run.host.executionId();
  }
}
