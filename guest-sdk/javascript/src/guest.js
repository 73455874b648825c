/**
 * The exports of the component: the world `app` of `dacapo.wit`.
 *
 * The build bundles this module with the app, and makes a small module around the bundle that provides the imports as
 * `globalThis.__dacapo.imports`.
 */

// The modules that every run needs come first, so that they are contiguous in memory.
import { Run } from "./run.js";
import { runInScope } from "./scope.js";
export { rehearse } from "./rehearsal.js";
import { ActivityScope } from "./activity.js";
import { DurableEntityContext, EntityScope } from "./entity.js";
import { failureOfError } from "./failure.js";
import { toJson } from "./json.js";
import { runAsync } from "./promise.js";
import { absentBindings, findBody, findHandler, functionsLeftOut, registeredFunctions, registeredTriggers } from "./registry.js";
import "./globals/index.js";
export { isEnvironmentAsRead, readsAtLoad } from "./globals/process.js";

const { imports } = globalThis.__dacapo;

// The build lowers `async` functions to calls of this.
globalThis.__dacapo.runAsync = runAsync;
globalThis.__dacapo.asyncIteratorPrototype = {
  [Symbol.asyncIterator]() {
    return this;
  },
};

export function describe() {
  return registeredFunctions();
}

export function describeTriggers() {
  return registeredTriggers();
}

/** For the build, which reports them: functions that cannot run, and bindings without which others run. */
export function leftOut() {
  return functionsLeftOut();
}

export function absent() {
  return absentBindings();
}

export { failedFunctions as failed } from "./load.js";

/** For the build: an error of the app, with positions in its files. */
export function explain(error) {
  return failureOfError(error);
}

// An export returns a failure by throwing it: the engine converts that to the error of the result.

export function runOrchestrator(name, input) {
  try {
    const run = new Run(imports.orchestration);
    const output = runInScope(run, findHandler("orchestrator", name), run, input);
    return toJson(output, `the output of '${name}'`, "InvalidOutput");
  } catch (error) {
    throw failureOfError(error, findBody(name));
  }
}

export function runActivity(call) {
  try {
    const output = runInScope(new ActivityScope(imports), findHandler("activity", call.name), call);
    return toJson(output, `the output of '${call.name}'`, "InvalidOutput");
  } catch (error) {
    throw failureOfError(error, findBody(call.name));
  }
}

export function runEntityOperation(operation) {
  try {
    const context = new DurableEntityContext(imports.orchestration, operation);
    runInScope(new EntityScope(imports.orchestration), findHandler("entity", operation.entity.name), context);
    return context.outcome();
  } catch (error) {
    throw failureOfError(error, findBody(operation.entity.name));
  }
}

export function runTrigger(call) {
  try {
    const output = runInScope(new ActivityScope(imports), findHandler("trigger", call.name), call);
    return toJson(output, `the output of '${call.name}'`, "InvalidOutput");
  } catch (error) {
    throw failureOfError(error, findBody(call.name));
  }
}
