/**
 * The interface `orchestration` of the contract without a host: calls get scripted results, and time is skipped. It
 * stands still while the orchestrator runs, and jumps to the next thing that completes when it waits.
 */

import { failureOfError } from "./failure.js";
import { toJson } from "./json.js";

/** What a test gives results for. */
export const ACTIVITY = "the activity";
export const ORCHESTRATOR = "the sub-orchestrator";
export const ENTITY = "the entity";
export const HTTP = "HTTP";

export function answerKey(kind, name) {
  return `${kind} ${name.toLowerCase()}`;
}

export class ScriptedHost {
  /** What the orchestrator did, in order. */
  actions = [];
  customStatus = undefined;
  continuedAsNew = undefined;
  #script;
  #now;
  /** Calls that were made and whose scripts have not run yet. */
  #calls = [];
  /** `{ at, outcome, handle }`: what will complete, and when. */
  #due = [];
  /** Handles that have completed, and that no `wait` has given yet. */
  #completed = [];
  /** Events that nobody waits for yet, and waits that no event has come for, by name in lower case. */
  #events = new Map();
  #waits = new Map();
  #guids = 0;

  constructor(script) {
    this.#script = script;
    this.#now = script.now;
    for (const { name, data, after } of script.events) {
      this.#due.push({ at: this.#now + after, event: name.toLowerCase(), outcome: ok(toJson(data, "the data of an event")) });
    }
  }

  /** Runs the scripts of the calls that were made since. Scripts may be `async`. */
  async answerCalls() {
    for (const call of this.#calls.splice(0)) {
      const { at, outcome } = await this.#attempts(call);
      this.#due.push({ at, outcome, handle: call.handle });
    }
  }

  /** The attempts of a call under its retry policy, and when the last one ends. */
  async #attempts({ answer, takes, retry }) {
    let at = this.#now;
    let interval = retry?.firstInterval ?? 0;
    for (let attempt = 1; ; attempt += 1) {
      at += takes;
      const outcome = await outcomeOf(answer, attempt);
      const isFinal = outcome.tag === "ok" || !retry || attempt >= retry.maxAttempts || !outcome.val.retriable;
      if (isFinal || retry.nonRetriableErrorTypes.includes(outcome.val.errorType) || at + interval - this.#now >= (retry.timeout ?? Infinity)) {
        return { at, outcome };
      }
      at += interval;
      interval = Math.min(interval * retry.backoffCoefficient, retry.maxInterval ?? Infinity);
    }
  }

  wait(handles) {
    for (;;) {
      const completed = this.#completed.filter((handle) => handles.includes(handle));
      if (completed.length > 0) {
        this.#completed = this.#completed.filter((handle) => !completed.includes(handle));
        return completed.map((handle) => handles.indexOf(handle));
      }
      this.#skipToNext();
    }
  }

  /** Completes all that is due at the next moment at which something is. */
  #skipToNext() {
    this.#due.sort((a, b) => a.at - b.at);
    if (this.#due.length === 0) {
      const names = [...this.#waits].filter(([, waits]) => waits.some(isOpen)).map(([name]) => name);
      throw new Error(`the orchestrator waits for the event '${names.join("' or '")}', and the test raises no more of them`);
    }
    this.#now = Math.max(this.#now, this.#due[0].at);
    const later = this.#due.findIndex(({ at }) => at > this.#now);
    for (const { event, handle, outcome } of this.#due.splice(0, later === -1 ? this.#due.length : later)) {
      if (event) {
        this.#deliver(event, outcome);
      } else {
        this.#complete(handle, outcome);
      }
    }
  }

  #deliver(name, outcome) {
    const wait = (this.#waits.get(name) ?? []).find(isOpen);
    if (wait) {
      this.#complete(wait, outcome);
    } else {
      this.#events.set(name, [...(this.#events.get(name) ?? []), outcome]);
    }
  }

  /** An event that a wait got and nobody read goes to the next wait, before those that came later. */
  #putBack(name, outcome) {
    const later = this.#events.get(name) ?? [];
    this.#events.set(name, []);
    this.#deliver(name, outcome);
    this.#events.get(name).push(...later);
  }

  #complete(handle, outcome) {
    if (isOpen(handle)) {
      handle.settled = outcome;
      this.#completed.push(handle);
    }
  }

  /** @param putBack for a wait: takes the event if the wait is given up before anybody has read it */
  #handle(putBack) {
    const handle = {
      settled: null,
      isRead: false,
      outcome: () => {
        handle.isRead = true;
        return handle.settled;
      },
      cancel: () => {
        const event = handle.settled;
        if (event && (!putBack || handle.isRead)) {
          return false;
        }
        handle.settled = failed("Canceled", "canceled");
        if (event) {
          putBack(event);
        }
        return true;
      },
    };
    return handle;
  }

  /** A call whose result the script gives. */
  #call(action, kind, name, answer, retry) {
    this.actions.push(action);
    const scripted = this.#script.answers.get(answerKey(kind, name));
    if (!scripted) {
      throw new Error(`the orchestrator calls ${kind} '${name}', and the test has no result for it`);
    }
    const handle = this.#handle();
    this.#calls.push({ handle, retry, takes: scripted.takes, answer: (attempt) => answer(scripted.answer, attempt) });
    return handle;
  }

  callActivity(name, json, retry) {
    const input = JSON.parse(json);
    const action = { type: "callActivity", name, input, ...(retry && { retry }) };
    return this.#call(action, ACTIVITY, name, (answer, attempt) => answer(input, { attempt }), retry);
  }

  callSubOrchestrator(name, json, instanceId, retry) {
    return this.callSubOrchestratorWithVersion(name, json, undefined, instanceId, retry);
  }

  callSubOrchestratorWithVersion(name, json, version, instanceId, retry) {
    const input = JSON.parse(json);
    const wishes = { ...(version !== undefined && { version }), ...(instanceId && { instanceId }) };
    const action = { type: "callSubOrchestrator", name, input, ...wishes, ...(retry && { retry }) };
    return this.#call(action, ORCHESTRATOR, name, (answer, attempt) => answer(input, { ...wishes, attempt }), retry);
  }

  callEntity(entity, operation, json) {
    const input = JSON.parse(json);
    const action = { type: "callEntity", entity, operation, input };
    return this.#call(action, ENTITY, entity.name, (answer) => answer(operation, input, entity.key));
  }

  callHttp(json) {
    const request = JSON.parse(json);
    return this.#call({ type: "callHttp", ...request }, HTTP, "", (answer) => answer(request));
  }

  createTimer(fireAt) {
    this.actions.push({ type: "createTimer", fireAt: new Date(fireAt) });
    const handle = this.#handle();
    this.#due.push({ at: fireAt, outcome: ok("null"), handle });
    return handle;
  }

  waitForExternalEvent(name) {
    this.actions.push({ type: "waitForExternalEvent", name });
    const key = name.toLowerCase();
    const handle = this.#handle((event) => this.#putBack(key, event));
    const [kept, ...others] = this.#events.get(key) ?? [];
    if (kept) {
      this.#events.set(key, others);
      this.#complete(handle, kept);
    } else {
      this.#waits.set(key, [...(this.#waits.get(key) ?? []), handle]);
    }
    return handle;
  }

  lockEntities(entities) {
    this.actions.push({ type: "lockEntities", entities });
    const handle = this.#handle();
    this.#complete(handle, ok("null"));
    return handle;
  }

  unlockEntities() {
    this.actions.push({ type: "unlockEntities" });
    return true;
  }

  signalEntity(entity, operation, json, at) {
    this.actions.push({ type: "signalEntity", entity, operation, input: JSON.parse(json), ...(at !== null && { at: new Date(at) }) });
  }

  startOrchestration(name, json, instanceId) {
    this.actions.push({ type: "startOrchestration", name, input: JSON.parse(json), ...(instanceId && { instanceId }) });
    return instanceId ?? this.newGuid();
  }

  sendEvent(instanceId, name, json) {
    if (instanceId === this.instanceId()) {
      this.#deliver(name.toLowerCase(), ok(json));
    } else {
      this.actions.push({ type: "sendEvent", instanceId, name, data: JSON.parse(json) });
    }
  }

  continueAsNew(json) {
    this.continuedAsNew = { input: JSON.parse(json) };
  }

  setCustomStatus(json) {
    this.customStatus = JSON.parse(json);
    this.actions.push({ type: "setCustomStatus", status: this.customStatus });
  }

  instanceId = () => this.#script.instanceId;
  executionId = () => "execution";
  parent = () => this.#script.parent;
  version = () => this.#script.version;
  currentTime = () => this.#now;
  isReplaying = () => false;

  newGuid() {
    this.#guids += 1;
    return `00000000-0000-5000-8000-${String(this.#guids).padStart(12, "0")}`;
  }

  /** The same in every test. */
  randomBytes(length) {
    return Uint8Array.from({ length }, (_, index) => (index * 167 + 13) % 256);
  }
}

function isOpen(handle) {
  return handle.settled === null;
}

function ok(json) {
  return { tag: "ok", val: json };
}

function failed(errorType, message) {
  return { tag: "err", val: { errorType, message, details: null, retriable: false } };
}

async function outcomeOf(answer, attempt) {
  try {
    return ok(toJson(await answer(attempt), "a scripted result"));
  } catch (error) {
    return { tag: "err", val: failureOfError(error) };
  }
}
