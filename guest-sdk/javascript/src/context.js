/** The context of an `async` orchestrator. A call is scheduled when it is made, and returns a task to be awaited. */

import { requireNumber } from "./border.js";
import { nameOf } from "./definition.js";
import { logger } from "./logger.js";
import { milliseconds } from "./duration.js";
import { EntityId } from "./entity-id.js";

export class OrchestratorContext {
  #actions;

  log = logger;

  constructor(actions) {
    this.#actions = actions;
  }

  get instanceId() {
    return this.#actions.host.instanceId();
  }

  get executionId() {
    return this.#actions.host.executionId();
  }

  get parent() {
    return this.#actions.host.parent() ?? undefined;
  }

  get version() {
    return this.#actions.host.version();
  }

  get isReplaying() {
    return this.#actions.host.isReplaying();
  }

  /** The time of the turn. It does not advance between waits. */
  get now() {
    return this.#actions.now();
  }

  callActivity(activity, input, { retry } = {}) {
    return this.#actions.callActivity(nameOf(activity), input, retryOptions(retry));
  }

  callSubOrchestrator(orchestrator, input, { instanceId, version, retry } = {}) {
    return this.#actions.callSubOrchestrator(nameOf(orchestrator), input, { instanceId, version, retry: retryOptions(retry) });
  }

  createTimer(fireAt) {
    return this.#actions.createTimer(fireAt);
  }

  sleep(duration) {
    return this.#actions.createTimer(this.#actions.host.currentTime() + milliseconds(duration));
  }

  /** With a timeout, it resolves to `undefined` after it, and a later event is kept for the next wait. */
  waitForExternalEvent(name, { timeout } = {}) {
    const event = this.#actions.waitForExternalEvent(name);
    return timeout === undefined ? event : this.#within(event, timeout);
  }

  async #within(event, timeout) {
    const timer = this.sleep(timeout);
    const { task } = await this.any([event, timer]);
    if (task === timer) {
      event.cancel();
      return undefined;
    }
    timer.cancel();
    return event;
  }

  /** The operations of an entity, as functions that call them and return tasks. */
  entity(definition, key) {
    const id = new EntityId(nameOf(definition), key);
    return operations((operation, input) => this.callEntity(id, operation, input));
  }

  /** The operations of an entity, as functions that send them without waiting. */
  signal(definition, key, { at } = {}) {
    const id = new EntityId(nameOf(definition), key);
    return operations((operation, input) => this.signalEntity(id, operation, input, { at }));
  }

  callEntity(id, operation, input) {
    return this.#actions.callEntity(id, operation, input);
  }

  signalEntity(id, operation, input, { at } = {}) {
    this.#actions.signalEntity(id, operation, input, at);
  }

  lock(...ids) {
    return this.#actions.lock(ids);
  }

  get isLocked() {
    return this.#actions.lockState.isLocked;
  }

  callHttp(request) {
    return this.#actions.callHttp(request);
  }

  startOrchestration(orchestrator, input, { instanceId } = {}) {
    return this.#actions.startOrchestration(nameOf(orchestrator), input, instanceId);
  }

  sendEvent(instanceId, name, data) {
    this.#actions.sendEvent(instanceId, name, data);
  }

  continueAsNew(input) {
    this.#actions.continueAsNew(input);
  }

  setCustomStatus(status) {
    this.#actions.setCustomStatus(status);
  }

  newGuid() {
    return this.#actions.host.newGuid();
  }

  all(tasks) {
    return this.#actions.all(tasks);
  }

  /** Resolves to `{ task, index }` of the task that settled first; awaiting it returns its value or throws its error. */
  any(tasks) {
    return this.#actions.first(tasks);
  }
}

function operations(perform) {
  return new Proxy(
    {},
    {
      // A proxy with a `then` would be treated as a promise.
      get: (_, operation) => (typeof operation !== "string" || operation === "then" ? undefined : (input) => perform(operation, input)),
    },
  );
}

function retryOptions(retry) {
  if (!retry) {
    return null;
  }
  const optional = (duration, what) => (duration === undefined ? undefined : milliseconds(duration, what));
  return {
    maxNumberOfAttempts: requireNumber(retry.maxAttempts, "maxAttempts"),
    firstRetryIntervalInMilliseconds: milliseconds(retry.firstInterval, "firstInterval"),
    backoffCoefficient: retry.backoffCoefficient,
    maxRetryIntervalInMilliseconds: optional(retry.maxInterval, "maxInterval"),
    retryTimeoutInMilliseconds: optional(retry.timeout, "timeout"),
    nonRetriableErrorTypes: retry.nonRetriableErrorTypes,
  };
}
