/** What an orchestrator may do: each action once, for the context of durable-functions and for that of `async` orchestrators. */

import { DurableLock, CriticalSection } from "./critical-section.js";
import { requireName } from "./definition.js";
import { hostEntityId } from "./entity-id.js";
import { DurableError } from "./failure.js";
import { toJson } from "./json.js";
import { retryPolicy } from "./retry.js";
import { AllTask, AnyTask, CallTask, EventTask, FirstTask, LockTask, RetryableTask } from "./task.js";

export class Actions {
  #run;
  /** Made when it is first needed. */
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

  /** A call that may still get a retry policy: it begins when it is waited for, in every style. */
  prepareActivity(name, input) {
    return new RetryableTask(this.#run, name, activityCall(name, input, null), (retry) => this.callActivity(name, input, retry));
  }

  /**
   * @param options.instanceId of the child; the host derives one if none is given
   * @param options.version that the child asks for; without one it begins on the code of its parent
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
    requireName(name, "an event");
    return this.#run.add(new EventTask(this.#run, name));
  }

  callEntity(id, operation, input) {
    const entity = hostEntityId(id);
    const ended = this.#criticalSection.checkCall(entity);
    const json = toJson(input, `the input of the operation '${operation}'`);
    const task = new CallTask(this.#run, `@${entity.name}@${entity.key} ${operation}`, (host) => host.callEntity(entity, operation ?? "", json));
    task.observe({ settled: ended });
    return this.#run.add(task);
  }

  /** @param at a Date before which it does not arrive */
  signalEntity(id, operation, input, at) {
    const entity = hostEntityId(id);
    this.#criticalSection.checkSignal(entity);
    const json = toJson(input, `the input of the operation '${operation}'`);
    this.host.signalEntity(entity, operation ?? "", json, at ? at.getTime() : null);
  }

  lock(ids) {
    const entities = this.#criticalSection.begin(ids);
    const lock = new DurableLock(entities, () => {
      this.#criticalSection.end();
      this.host.unlockEntities();
    });
    const task = new LockTask(this.#run, entities.map(hostEntityId), lock);
    task.observe({ settled: () => task.isFaulted && this.#criticalSection.end() });
    return this.#run.add(task);
  }

  callHttp({ method, url, body, headers, tokenSource, enablePolling, asynchronousPatternEnabled, timeoutMs }) {
    if (tokenSource) {
      throw new DurableError("callHttp with a tokenSource: there are no managed identities here; send the header Authorization with a secret of the hub", {
        type: "Unsupported",
        retriable: false,
      });
    }
    const content = body === undefined || typeof body === "string" ? body : toJson(body, "the body of callHttp");
    const request = toJson(
      {
        method,
        uri: String(url),
        headers,
        content,
        asynchronousPatternEnabled: enablePolling ?? asynchronousPatternEnabled ?? true,
        timeoutMs,
      },
      "the request of callHttp",
    );
    return this.#run.add(new CallTask(this.#run, `${method} ${url}`, (host) => host.callHttp(request)));
  }

  startOrchestration(name, input, instanceId) {
    requireName(name, "an orchestration");
    return this.host.startOrchestration(name, toJson(input, `the input of '${name}'`), instanceId ?? null);
  }

  sendEvent(instanceId, name, data) {
    this.host.sendEvent(instanceId, name, toJson(data, `the data of the event '${name}'`));
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
  requireName(name, "an activity");
  const json = toJson(input, `the input of the activity '${name}'`);
  const policy = retry && retryPolicy(retry);
  return (host) => host.callActivity(name, json, policy);
}

function subOrchestratorCall(name, input, { instanceId = null, version = null, retry = null }) {
  requireName(name, "a sub-orchestration");
  const json = toJson(input, `the input of the sub-orchestration '${name}'`);
  const policy = retry && retryPolicy(retry);
  return version === null
    ? (host) => host.callSubOrchestrator(name, json, instanceId, policy)
    : (host) => host.callSubOrchestratorWithVersion(name, json, version, instanceId, policy);
}
