/**
 * Tests of orchestrators and entities without a host.
 *
 *     const { output, actions, elapsed } = await testOrchestrator(order, "a lamp")
 *       .activity(reserve, (item) => `reservation of ${item}`)
 *       .event("Approval", true, { after: { hours: 2 } })
 *       .run();
 */

import { nameOf } from "./definition.js";
import { milliseconds } from "./duration.js";
import { DurableEntityContext, EntityScope } from "./entity.js";
import { errorOfFailure, failureOfError } from "./failure.js";
import { toJson } from "./json.js";
import { Outcome } from "./outcome.js";
import { runJobs, settleWants } from "./promise.js";
import { findHandler } from "./registry.js";
import { Run } from "./run.js";
import { currentScope, enter, leave, nothingToWaitFor } from "./scope.js";
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
