/** The functions of an app of the programming model v3: a folder for each, with a `function.json`. The build lists them. */

import { readBindings, readInput, RETURN, sendOutputs, warnOfInputs, warnOfOutputs, writeOutputs } from "./bindings.js";
import { isClientOutput, startByOutputs } from "./client-output.js";
import { durableBody } from "./durable-functions-v2.js";
import { DurableOrchestrationContextV2 } from "./durable-orchestration-context-v2.js";
import { inputFromJson } from "./json.js";
import { runHandler } from "./orchestration.js";
import { noteAbsent, register } from "./registry.js";
import { currentScope } from "./scope.js";
import { registerTrigger } from "./trigger.js";
import { V3Context } from "./v3-context.js";
import { V3Request, V3Response, v3ResponseFor } from "./v3-http.js";

/**
 * Registers a function whose trigger the host has.
 *
 * @param given the bindings of its `function.json`
 * @param exported the exports of its file
 * @param entryPoint the name of the export, if it has one
 */
export function addFunction(name, given, exported, entryPoint) {
  const read = readBindings(given);
  switch (read.kind) {
    case "orchestrator":
      addOrchestrator(name, read, requireDurable(name, read, exported, entryPoint));
      break;
    case "entity":
      addEntity(name, read, requireDurable(name, read, exported, entryPoint));
      break;
    case "activity":
      addActivity(name, read, functionOf(name, exported, entryPoint));
      break;
    default:
      addTrigger(name, given, functionOf(name, exported, entryPoint));
      return;
  }
  noteAbsent(name, read.absent);
}

function addOrchestrator(name, { trigger, declared, absent }, body) {
  register("orchestrator", name, (run, input) => {
    warnOfInputs(name, absent);
    const inputs = { [trigger.name]: { instanceId: run.host.instanceId(), input: inputFromJson(input) } };
    const context = new V3Context({ functionName: name, bindings: declared, invocationId: run.host.executionId(), inputs, metadata: { instanceId: run.host.instanceId() } });
    context.df = new DurableOrchestrationContextV2(run.actions, input);
    return runHandler(run, body, context);
  }, body);
}

function addEntity(name, { declared, absent }, body) {
  register("entity", name, (df) => {
    warnOfInputs(name, absent);
    const context = new V3Context({ functionName: name, bindings: declared, invocationId: df.entityId.toString() });
    context.df = df;
    return body(context);
  }, body);
}

function addActivity(name, { trigger, bindings, declared, absent }, { call, body }) {
  register("activity", name, async ({ input, instanceId, taskId, attempt }) => {
    warnOfInputs(name, absent);
    const value = inputFromJson(input);
    const context = new V3Context({
      functionName: name,
      bindings: declared,
      // The same when the call is repeated after a crash, so it can be used as an idempotency key.
      invocationId: `${instanceId}:${taskId}`,
      inputs: { [trigger.name]: value },
      metadata: { instanceId },
      attempt,
    });
    const result = await finished(call, context, valuesOf(context, declared));
    const valueOf = (output) => outputOf(context, declared, result, output);
    await sendOutputs(bindings, valueOf);
    warnOfOutputs(name, absent, valueOf);
    return result;
  }, body);
}

function addTrigger(name, given, { call, body }) {
  registerTrigger(name, given, (triggerCall, input, read) => runTrigger(call, triggerCall, input, read), body);
}

async function runTrigger(call, { name, invocationId, attempt }, input, { trigger, bindings, declared, absent }) {
  warnOfInputs(name, absent);
  const request = trigger.type === "httpTrigger" ? new V3Request(input) : undefined;
  const { value, metadata } = request ? { value: request, metadata: dataOf(request, trigger.name) } : readInput(trigger, input);
  const traceContext = { traceparent: request?.get("traceparent"), tracestate: request?.get("tracestate"), attributes: {} };
  const context = new V3Context({ functionName: name, bindings: declared, invocationId, inputs: { [trigger.name]: value }, metadata, attempt, traceContext });
  if (request) {
    context.req = request;
    context.res = new V3Response(() => context.done());
    context.bindingData.sys = { methodName: name, utcNow: new Date().toISOString(), randGuid: crypto.randomUUID() };
  }
  const result = await finished(call, context, valuesOf(context, declared));
  const valueOf = (output) => outputOf(context, declared, result, output);
  await startByOutputs(bindings, valueOf);
  warnOfOutputs(name, absent, valueOf);
  return writeOutputs(bindings.filter((binding) => !isClientOutput(binding)), valueOf, v3ResponseFor);
}

/** What an HTTP trigger has in `context.bindingData`: its parameters by name, and the request. */
function dataOf(request, name) {
  return { ...request.query, ...request.params, query: { ...request.query }, headers: { ...request.headers }, req: request, [name]: request };
}

/** The values of the inputs, in the order of the bindings; the trigger's is first. */
function valuesOf(context, bindings) {
  const inputs = bindings.filter(({ direction }) => direction === "in");
  inputs.sort((a, b) => /trigger$/i.test(b.type) - /trigger$/i.test(a.type));
  return inputs.map(({ name }) => context.bindings[name]);
}

/**
 * Calls a function, which returns a promise, or calls `context.done(error, result)`. One that does neither has finished when nothing that it
 * has begun is open any more.
 */
function finished(call, context, inputs) {
  return new Promise((resolve, reject) => {
    context.done = (error, result) => (error === undefined || error === null ? resolve(result) : reject(error));
    const result = call(context, ...inputs);
    if (typeof result?.then === "function") {
      result.then(resolve, reject);
      return;
    }
    const scope = currentScope();
    if (scope) {
      scope.onIdle = () => resolve(result);
    } else if (result !== undefined) {
      resolve(result);
    }
  });
}

/** The value of an output: what the function returned, or a value of `context.bindings`, or `context.res`. */
function outputOf(context, bindings, result, name) {
  const hasReturn = bindings.some((binding) => binding.name === RETURN);
  const named = !hasReturn && typeof result === "object" ? result?.[name] : undefined;
  const isHttp = bindings.find((binding) => binding.name === name).type === "http";
  return (name === RETURN ? result : named) ?? context.bindings[name] ?? (isHttp ? context.res : undefined);
}

function requireDurable(name, { trigger, kind }, exported, entryPoint) {
  const candidates = [exported?.[entryPoint], exported, exported?.default, ...Object.values(exported ?? {})];
  const body = candidates.map((candidate) => durableBody(kind, candidate)).find(Boolean);
  if (!body) {
    throw new TypeError(`The function '${name}' has the trigger '${trigger.type}', so its file must export what df.${kind}(...) returns: module.exports = df.${kind}(function${kind === "orchestrator" ? "*" : ""} (context) { ... })`);
  }
  return body;
}

/** The exported function: that of the entry point, the export itself, the only one, or `run` or `index`. */
function functionOf(name, exported, entryPoint) {
  const body = entryPoint ? exported?.[entryPoint] : firstFunction(exported);
  if (typeof body !== "function") {
    const wanted = entryPoint ? `no function '${entryPoint}', which its entryPoint names` : "no function: module.exports = async function (context) { ... }";
    throw new TypeError(`The file of the function '${name}' exports ${wanted}`);
  }
  return { call: (...args) => body.apply(exported, args), body };
}

function firstFunction(exported) {
  if (typeof exported === "function") {
    return exported;
  }
  const { default: standard } = exported ?? {};
  const names = Object.keys(exported ?? {});
  const only = names.length === 1 ? exported[names[0]] : undefined;
  return [standard, standard?.default, only, exported?.run, exported?.index, standard?.run, standard?.index].find((candidate) => typeof candidate === "function");
}
