/** `context.df` of an orchestrator, as durable-functions 3.x defines it. */

import { COMPOUND_TASKS } from "./actions.js";
import { inputFromJson } from "./json.js";
import { requireRetryOptions } from "./retry.js";

export class DurableOrchestrationContext {
  #actions;
  #input;
  #customStatus;

  constructor(actions, input) {
    this.#actions = actions;
    this.#input = input;
  }

  get Task() {
    return COMPOUND_TASKS;
  }

  get instanceId() {
    return this.#actions.host.instanceId();
  }

  get parentInstanceId() {
    return this.#actions.host.parent()?.instanceId;
  }

  get version() {
    return this.#actions.host.version() || undefined;
  }

  get isReplaying() {
    return this.#actions.host.isReplaying();
  }

  get currentUtcDateTime() {
    return this.#actions.now();
  }

  get customStatus() {
    return this.#customStatus;
  }

  set customStatus(status) {
    this.setCustomStatus(status);
  }

  getInput() {
    return inputFromJson(this.#input);
  }

  callActivity(name, input) {
    return this.#actions.callActivity(name, input);
  }

  callActivityWithRetry(name, retryOptions, input) {
    return this.#actions.callActivity(name, input, requireRetryOptions(retryOptions));
  }

  callSubOrchestrator(name, input, instanceId, version) {
    return this.#actions.callSubOrchestrator(name, input, { instanceId, version });
  }

  callSubOrchestratorWithRetry(name, retryOptions, input, instanceId, version) {
    return this.#actions.callSubOrchestrator(name, input, { instanceId, version, retry: requireRetryOptions(retryOptions) });
  }

  callEntity(entityId, operationName, operationInput) {
    return this.#actions.callEntity(entityId, operationName, operationInput);
  }

  signalEntity(entityId, operationName, operationInput) {
    this.#actions.signalEntity(entityId, operationName, operationInput);
  }

  lock(...entities) {
    return this.#actions.lock(entities);
  }

  isLocked() {
    return this.#actions.lockState;
  }

  callHttp(options) {
    return this.#actions.callHttp(options);
  }

  createTimer(fireAt) {
    return this.#actions.createTimer(fireAt);
  }

  waitForExternalEvent(name) {
    return this.#actions.waitForExternalEvent(name);
  }

  startOrchestration(name, input, instanceId) {
    return this.#actions.startOrchestration(name, input, instanceId);
  }

  sendEvent(instanceId, name, data) {
    this.#actions.sendEvent(instanceId, name, data);
  }

  continueAsNew(input) {
    this.#actions.continueAsNew(input);
  }

  setCustomStatus(customStatus) {
    this.#customStatus = customStatus;
    this.#actions.setCustomStatus(customStatus);
  }

  /** Ignores the argument of the original: the id is unique without it. */
  newGuid() {
    return this.#actions.host.newGuid();
  }
}
