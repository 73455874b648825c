/**
 * The exports of the component: the world `app` of `dacapo.wit`.
 *
 * The build makes one bundle of this module and the app, and a small module around it that hands over the imports as
 * `globalThis.__dacapo.imports`.
 */

import "./globals/index.js";
import { ActivityScope } from "./activity.js";
import { DurableEntityContext, EntityScope } from "./entity.js";
import { failureOfError } from "./failure.js";
import { toJson } from "./json.js";
import { findHandler, registeredFunctions, registeredTriggers } from "./registry.js";
import { Run } from "./run.js";
import { runInScope } from "./scope.js";

const { imports } = globalThis.__dacapo;

export function describe() {
  return registeredFunctions();
}

/** For the build, which names them. */
export function ignoredTriggers() {
  return registeredTriggers();
}

/** For the build: an error of the app, in terms of its files. */
export function explain(error) {
  return failureOfError(error);
}

export function runOrchestrator(name, input) {
  return failing(() => {
    const handler = findHandler("orchestrator", name);
    const run = new Run(imports.orchestration);
    const output = runInScope(run, () => handler(run, { name, input }));
    return toJson(output, `the output of '${name}'`, "InvalidOutput");
  });
}

export function runActivity(call) {
  return failing(() => {
    const handler = findHandler("activity", call.name);
    const output = runInScope(new ActivityScope(imports, call), () => handler(call));
    return toJson(output, `the output of '${call.name}'`, "InvalidOutput");
  });
}

export function runEntityOperation(operation) {
  return failing(() => {
    const handler = findHandler("entity", operation.entity.name);
    const context = new DurableEntityContext(imports.orchestration, operation);
    runInScope(new EntityScope(imports.orchestration), () => handler(context, operation));
    return context.outcome();
  });
}

/** A failure crosses as the error of the export's result, which is thrown. */
function failing(body) {
  try {
    return body();
  } catch (error) {
    throw failureOfError(error);
  }
}
