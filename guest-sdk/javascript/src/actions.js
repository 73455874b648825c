/** What an orchestrator may do: each action once, for the context of durable-functions and for that of `async` orchestrators. */

import { DurableLock, CriticalSection } from "./critical-section.js";
import { requireName } from "./definition.js";
import { hostEntityId } from "./entity-id.js";
import { DurableError } from "./failure.js";
import { toJson } from "./json.js";
import { retryPolicy } from "./retry.js";
import { AllTask, AnyTask, EventTask, HostTask, RetryableTask } from "./task.js";

export class Actions {
  #run;
  #section = new CriticalSection();

  constructor(run) {
    this.#run = run;
  }

  get host() {
    return this.#run.host;
  }

  get lockState() {
    return this.#section.state;
  }

  now() {
    return new Date(this.host.currentTime());
  }

  /** @param retry options, or null */
  callActivity(name, input, retry = null) {
    return this.#run.add(new HostTask(this.#run, activityCall(name, input, retry)));
  }

  /** A call that may still get a retry policy: it begins when it is waited for, in every style. */
  prepareActivity(name, input) {
    return new RetryableTask(this.#run, activityCall(name, input, null), (retry) => this.callActivity(name, input, retry));
  }

  /**
   * @param options.instanceId of the child; the host derives one if none is given
   * @param options.version that the child asks for; without one it begins on the code of its parent
   */
  callSubOrchestrator(name, input, options = {}) {
    this.#section.checkSubOrchestration();
    return this.#run.add(new HostTask(this.#run, subOrchestratorCall(name, input, options)));
  }

  prepareSubOrchestrator(name, input, options) {
    this.#section.checkSubOrchestration();
    return new RetryableTask(this.#run, subOrchestratorCall(name, input, options), (retry) =>
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
    const ended = this.#section.checkCall(entity);
    const json = toJson(input, `the input of the operation '${operation}'`);
    const task = new HostTask(this.#run, {
      call: (host) => host.callEntity(entity, operation ?? "", json),
      name: `@${entity.name}@${entity.key} ${operation}`,
    });
    task.observe(ended);
    return this.#run.add(task);
  }

  /** @param at a Date before which it does not arrive */
  signalEntity(id, operation, input, at) {
    const entity = hostEntityId(id);
    this.#section.checkSignal(entity);
    const json = toJson(input, `the input of the operation '${operation}'`);
    this.host.signalEntity(entity, operation ?? "", json, at ? at.getTime() : null);
  }

  lock(ids) {
    const entities = this.#section.begin(ids);
    const lock = new DurableLock(entities, () => {
      this.#section.end();
      this.host.unlockEntities();
    });
    const task = new HostTask(this.#run, {
      call: (host) => host.lockEntities(entities.map(hostEntityId)),
      name: "lock",
      decode: () => lock,
    });
    task.observe(() => task.isFaulted && this.#section.end());
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
    return this.#run.add(new HostTask(this.#run, { call: (host) => host.callHttp(request), name: `${method} ${url}` }));
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

  any(tasks) {
    return new AnyTask(tasks);
  }

  /** For `await`, which would wait for a task that it is given: the task is wrapped. */
  first(tasks) {
    return new AnyTask(tasks, (task, index) => ({ task, index }));
  }
}

function activityCall(name, input, retry) {
  requireName(name, "an activity");
  const json = toJson(input, `the input of the activity '${name}'`);
  const policy = retry && retryPolicy(retry);
  return { call: (host) => host.callActivity(name, json, policy), name };
}

function subOrchestratorCall(name, input, { instanceId = null, version = null, retry = null }) {
  requireName(name, "a sub-orchestration");
  const json = toJson(input, `the input of the sub-orchestration '${name}'`);
  const policy = retry && retryPolicy(retry);
  const call =
    version === null
      ? (host) => host.callSubOrchestrator(name, json, instanceId, policy)
      : (host) => host.callSubOrchestratorWithVersion(name, json, version, instanceId, policy);
  return { call, name };
}
