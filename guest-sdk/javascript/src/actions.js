/** The actions of an orchestrator, shared by the context of durable-functions and that of `async` orchestrators. */

import { optionalNewId, requireFunctionName, requireId, requireLabel, requireName, requireNumber } from "./border.js";
import { DurableLock, CriticalSection } from "./critical-section.js";
import { hostEntityId, operationText } from "./entity-id.js";
import { DurableError } from "./failure.js";
import { hostRequest } from "./http-request.js";
import { toJson } from "./json.js";
import { retryPolicy } from "./retry.js";
import { AllTask, AnyTask, CallTask, EventTask, FirstTask, LockTask, RetryableTask } from "./task.js";

export class Actions {
  #run;
  /** Created when it is first needed. */
  #section = null;

  constructor(run) {
    this.#run = run;
  }

  get host() {
    return this.#run.host;
  }

  get lockState() {
    return this.#criticalSection.state;
  }

  get #criticalSection() {
    this.#section ??= new CriticalSection();
    return this.#section;
  }

  now() {
    return new Date(this.host.currentTime());
  }

  /** @param retry options, or null */
  callActivity(name, input, retry = null) {
    return this.#run.add(new CallTask(this.#run, name, activityCall(name, input, retry)));
  }

  /** A call that may still get a retry policy: in every style it is scheduled when it is first waited for. */
  prepareActivity(name, input) {
    return new RetryableTask(this.#run, name, activityCall(name, input, null), (retry) => this.callActivity(name, input, retry));
  }

  /**
   * @param options.instanceId of the child; the host derives one if none is given
   * @param options.version that the child asks for; without one it runs on the code of its parent
   */
  callSubOrchestrator(name, input, options = {}) {
    this.#criticalSection.checkSubOrchestration();
    return this.#run.add(new CallTask(this.#run, name, subOrchestratorCall(name, input, options)));
  }

  prepareSubOrchestrator(name, input, options) {
    this.#criticalSection.checkSubOrchestration();
    return new RetryableTask(this.#run, name, subOrchestratorCall(name, input, options), (retry) =>
      this.callSubOrchestrator(name, input, { ...options, retry }),
    );
  }

  createTimer(fireAt) {
    return this.#run.createTimer(fireAt);
  }

  waitForExternalEvent(name) {
    return this.#run.add(new EventTask(this.#run, requireName(name, "The name of an event")));
  }

  callEntity(id, operation, input) {
    const entity = hostEntityId(id);
    const wanted = operationText(operation);
    const json = toJson(input, `the input of the operation '${wanted}'`);
    // The other arguments have been checked, so that the entity is marked as called only if the call is valid.
    const ended = this.#criticalSection.checkCall(entity);
    const task = new CallTask(this.#run, `@${entity.name}@${entity.key} ${wanted}`, (host) => host.callEntity(entity, wanted, json));
    task.observe({ childSettled: ended });
    return this.#run.add(task);
  }

  /** @param at a Date before which the signal is not delivered */
  signalEntity(id, operation, input, at) {
    const entity = hostEntityId(id);
    this.#criticalSection.checkSignal(entity);
    const wanted = operationText(operation);
    const json = toJson(input, `the input of the operation '${wanted}'`);
    const moment = at ? requireNumber(Number(at), "The moment of a signal") : null;
    this.host.signalEntity(entity, wanted, json, moment);
  }

  lock(ids) {
    const entities = this.#criticalSection.begin(ids);
    const lock = new DurableLock(entities, () => {
      this.#criticalSection.end();
      this.host.unlockEntities();
    });
    const task = new LockTask(this.#run, entities.map(hostEntityId), lock);
    task.observe({ childSettled: () => task.isFaulted && this.#criticalSection.end() });
    return this.#run.add(task);
  }

  callHttp(options) {
    const request = hostRequest(options);
    const json = toJson(request, "the request of callHttp");
    return this.#run.add(new CallTask(this.#run, `${request.method} ${request.uri}`, (host) => host.callHttp(json)));
  }

  startOrchestration(name, input, instanceId) {
    const orchestration = requireFunctionName(name, "The name of an orchestration");
    const id = optionalNewId(instanceId);
    if (id !== null && (id === this.host.instanceId() || id === this.host.parent()?.instanceId)) {
      throw new RangeError(`instanceId '${id}' is the id of this instance or its parent: what is started needs another.`);
    }
    return this.host.startOrchestration(orchestration, toJson(input, `the input of '${name}'`), id);
  }

  sendEvent(instanceId, name, data) {
    const [id, event] = [requireId(instanceId, "instanceId"), requireName(name, "The name of an event")];
    this.host.sendEvent(id, event, toJson(data, `the data of the event '${event}'`));
  }

  continueAsNew(input) {
    this.host.continueAsNew(toJson(input, "the input of continueAsNew"));
  }

  setCustomStatus(status) {
    this.host.setCustomStatus(toJson(status, "the custom status"));
  }

  all(tasks) {
    return new AllTask(tasks);
  }

  first(tasks) {
    return new FirstTask(tasks);
  }
}

/** `Task` of the context of durable-functions. It needs no context, so there is one for all. */
export const COMPOUND_TASKS = Object.freeze({
  all: (tasks) => new AllTask(tasks),
  any: (tasks) => new AnyTask(tasks),
});

function activityCall(name, input, retry) {
  const activity = requireFunctionName(name, "The name of an activity");
  const json = toJson(input, `the input of the activity '${name}'`);
  const policy = retry && retryPolicy(retry);
  return (host) => host.callActivity(activity, json, policy);
}

function subOrchestratorCall(name, input, { instanceId = null, version = null, retry = null }) {
  const orchestration = requireFunctionName(name, "The name of a sub-orchestration");
  const [id, label] = [optionalNewId(instanceId), version === null ? null : requireLabel(version, "version")];
  const json = toJson(input, `the input of the sub-orchestration '${name}'`);
  const policy = retry && retryPolicy(retry);
  return label === null
    ? (host) => host.callSubOrchestrator(orchestration, json, id, policy)
    : (host) => host.callSubOrchestratorWithVersion(orchestration, json, label, id, policy);
}
