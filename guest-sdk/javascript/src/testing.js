/**
 * Tests of orchestrators, entities and triggers without a host.
 *
 *     const { output, actions, elapsed } = await testOrchestrator(order, "a lamp")
 *       .activity(reserve, (item) => `reservation of ${item}`)
 *       .event("Approval", true, { after: { hours: 2 } })
 *       .run();
 */

import { HttpResponse, bodyOf } from "./azure-http.js";
import { nameOf } from "./definition.js";
import { milliseconds } from "./duration.js";
import { DurableEntityContext, EntityScope } from "./entity.js";
import { errorOfFailure, failureOfError } from "./failure.js";
import { toJson } from "./json.js";
import { Outcome } from "./outcome.js";
import { runJobs, settleWants } from "./promise.js";
import { findHandler, triggerOf } from "./registry.js";
import { Run } from "./run.js";
import { currentScope, enter, leave, nothingToWaitFor } from "./scope.js";
import { scriptedClient } from "./scripted-client.js";
import { ACTIVITY, answerKey, ENTITY, HTTP, ORCHESTRATOR, ScriptedHost } from "./scripted-host.js";

/** @param orchestrator the result of `orchestrator`, or the name of a registered one */
export function testOrchestrator(orchestrator, input, options) {
  return new OrchestratorTest(nameOf(orchestrator), input, options);
}

class OrchestratorTest {
  #name;
  #input;
  #script;

  constructor(name, input, { instanceId = "test", now = new Date(0), version = "", parent = null } = {}) {
    this.#name = name;
    this.#input = input;
    this.#script = { instanceId, now: now.getTime(), version, parent, answers: new Map(), events: [] };
  }

  /** Sets the answer of an activity: `(input, { attempt }) => result`, which may throw. `takes` is its duration. */
  activity(activity, answer, options) {
    return this.#answer(ACTIVITY, nameOf(activity), answer, options);
  }

  /** Sets the answer of a sub-orchestration: `(input, { instanceId, version, attempt }) => result`. */
  subOrchestrator(orchestrator, answer, options) {
    return this.#answer(ORCHESTRATOR, nameOf(orchestrator), answer, options);
  }

  /** Sets the answer of an entity: `(operation, input, key) => result`. */
  entity(entity, answer, options) {
    return this.#answer(ENTITY, nameOf(entity), answer, options);
  }

  /** Sets the answer of `callHttp`: `(request) => ({ statusCode, headers, content })`. */
  http(answer, options) {
    return this.#answer(HTTP, "", answer, options);
  }

  /** Raises an event, at once or after a duration. */
  event(name, data, { after = 0 } = {}) {
    this.#script.events.push({ name, data, after: milliseconds(after) });
    return this;
  }

  #answer(kind, name, answer, { takes = 0 } = {}) {
    this.#script.answers.set(answerKey(kind, name), { answer, takes: milliseconds(takes) });
    return this;
  }

  /** Runs the orchestrator to its end. A failure does not throw; it is the `error` of the result. */
  async run() {
    if (currentScope()) {
      throw new Error("Another test of an orchestrator is running: await one before the next begins.");
    }
    const host = new ScriptedHost(this.#script);
    const run = new Run(host);
    const input = toJson(this.#input, "the input");
    enter(run);
    try {
      const outcome = await this.#outcome(host, run, input);
      return {
        ...outcome,
        actions: host.actions,
        customStatus: host.customStatus,
        continuedAsNew: host.continuedAsNew,
        elapsed: host.currentTime() - this.#script.now,
      };
    } finally {
      leave();
    }
  }

  async #outcome(host, run, input) {
    try {
      const outcome = Outcome.of(findHandler("orchestrator", this.#name), run, input);
      await settle(outcome, host, run);
      return { output: JSON.parse(toJson(outcome.get(), `the output of '${this.#name}'`, "InvalidOutput")) };
    } catch (error) {
      return { error: errorOfFailure(failureOfError(error), this.#name) };
    }
  }
}

async function settle(outcome, host, run) {
  for (;;) {
    await jobs();
    if (outcome.isThere) {
      return;
    }
    await host.answerCalls();
    settleWants();
    if (!run.park()) {
      throw nothingToWaitFor(run.waitsFor);
    }
  }
}

/** Lets all promise jobs run, those of the SDK and those of the engine. */
function jobs() {
  runJobs();
  return new Promise((resolve) => setImmediate(resolve));
}

/**
 * Runs one operation of an entity.
 *
 * @param options.state the state after the previous operation; none for a new entity
 * @returns `{ output, state, signals }`, the state `undefined` if the entity is deleted; or throws what the operation throws
 */
export async function testEntity(entity, operation, input, { key = "test", state } = {}) {
  const name = nameOf(entity);
  const host = new ScriptedHost({ instanceId: `@${name}@${key}`, now: 0, answers: new Map(), events: [] });
  const context = new DurableEntityContext(host, {
    entity: { name, key },
    operation,
    input: toJson(input, "the input"),
    state: state === undefined ? null : toJson(state, "the state"),
  });
  enter(new EntityScope(host));
  try {
    await findHandler("entity", name)(context);
  } finally {
    leave();
  }
  const outcome = context.outcome();
  return {
    output: JSON.parse(outcome.output),
    state: outcome.state === null ? undefined : JSON.parse(outcome.state),
    signals: host.actions.filter(({ type }) => type === "signalEntity").map(({ type, ...signal }) => signal),
  };
}

/**
 * Runs a trigger once.
 *
 * @param trigger the result of `http`, `timer`, ..., or the name of a registered one
 * @param input for HTTP `{ method, url, headers, query, params, body }`, for others what the handler gets
 * @param options.client answers of the durable client, by function: `{ getStatus: ({ instanceId }) => status }`
 * @returns `{ response, outputs, actions }`, the actions being those on the client; or throws what the handler throws
 */
export async function testTrigger(trigger, input, { client: answers, invocationId = "test", attempt = 1 } = {}) {
  const name = nameOf(trigger);
  const { type } = triggerOf(name);
  const { client, actions } = scriptedClient(answers);
  const imports = globalThis.__dacapo?.imports;
  globalThis.__dacapo = { ...globalThis.__dacapo, imports: { ...imports, client } };
  try {
    const call = { name, input: toJson(triggerInput(type, input), "the input"), invocationId, attempt };
    const { response, outputs = {} } = (await findHandler("trigger", name)(call)) ?? {};
    return { response: response && new HttpResponse({ ...response, body: bodyOf(response) }), outputs: JSON.parse(toJson(outputs, "the outputs")), actions };
  } finally {
    globalThis.__dacapo.imports = imports;
  }
}

/** The input of the contract's `run-trigger`. */
function triggerInput(type, input) {
  const text = (value) => (typeof value === "string" ? value : toJson(value, "a message"));
  switch (type) {
    case "httpTrigger":
      return httpInput(input ?? {});
    case "timerTrigger":
      return { isPastDue: false, schedule: { adjustForDST: true }, scheduleStatus: {}, ...input };
    case "queueTrigger":
      return { message: text(input), metadata: { id: "test", dequeueCount: 1 } };
    case "eventHubTrigger": {
      const events = Array.isArray(input) ? input : [input];
      return { messages: events.map(text), metadata: events.map((_, index) => ({ sequenceNumber: index })) };
    }
    case "eventGridTrigger":
      return { event: input };
    default:
      return { input: input === undefined ? "" : text(input) };
  }
}

function httpInput({ method, url = "http://localhost:7071/api/test", headers = {}, query, params = {}, body }) {
  const pairs = [...new Headers(headers)];
  const isBytes = ArrayBuffer.isView(body);
  const isJson = body !== undefined && typeof body !== "string" && !isBytes;
  return {
    method: method ?? (body === undefined ? "GET" : "POST"),
    url,
    headers: isJson && !pairs.some(([name]) => name === "content-type") ? [...pairs, ["content-type", "application/json"]] : pairs,
    query: [...new URLSearchParams(query ?? new URL(url).search)],
    params,
    ...(isBytes ? { bodyBase64: Buffer.from(body).toString("base64") } : body === undefined ? {} : { body: isJson ? toJson(body, "the body") : body }),
  };
}
