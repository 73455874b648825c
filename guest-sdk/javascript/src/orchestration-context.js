/** The context of an orchestrator of durable-functions. */

import { DurableOrchestrationContext } from "./durable-orchestration-context.js";
import { InvocationContext } from "./invocation-context.js";

export class OrchestrationContext extends InvocationContext {
  #run;
  #functionName;

  constructor(run, functionName, input) {
    super();
    this.#run = run;
    this.#functionName = functionName;
    this.df = new DurableOrchestrationContext(run.actions, input);
  }

  get functionName() {
    return this.#functionName;
  }

  get invocationId() {
    return this.#run.host.executionId();
  }
}
