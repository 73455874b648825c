/** Classes of durable-functions that have no dependencies. */

import { InvocationContext } from "./invocation-context.js";

export class ManagedIdentityTokenSource {
  constructor(resource) {
    this.kind = "AzureManagedIdentity";
    this.resource = resource;
  }
}

export class AggregatedError extends Error {
  constructor(errors) {
    super(errors.map((error) => error.message).join("\n"));
    this.name = "AggregatedError";
    this.errors = errors;
  }
}

export class DummyOrchestrationContext extends InvocationContext {
  df;

  constructor(functionName = "dummyOrchestration", invocationId = "dummyInvocation", logHandler) {
    super({ functionName, invocationId, logHandler });
  }
}

export class DummyEntityContext extends InvocationContext {
  df;

  constructor(functionName = "dummyEntity", invocationId = "dummyInvocation", logHandler) {
    super({ functionName, invocationId, logHandler });
  }
}
