/**
 * A test double of the contract's interface `orchestration`: calls get scripted results. The time does not advance while
 * the orchestrator runs; when it waits, the time jumps to the next completion.
 */

import { failureOfError } from "./failure.js";
import { toJson } from "./json.js";

/** The kinds of calls for which a test has results. */
export const ACTIVITY = "the activity";
export const ORCHESTRATOR = "the sub-orchestrator";
export const ENTITY = "the entity";
export const HTTP = "HTTP";

export function answerKey(kind, name) {
  return `${kind} ${name.toLowerCase()}`;
}

export class ScriptedHost {
  /** The actions of the orchestrator, in order. */
  actions = [];
  customStatus = undefined;
  continuedAsNew = undefined;
  #script;
  #now;
  /** Calls that were made and whose scripts have not run yet. */
  #calls = [];
  /** `{ at, outcome, handle }`: future completions. */
  #due = [];
  /** Handles by the numbers under which they are watched. */
  #watched = new Map();
  /** `{ name, outcome, rank }`, names in lower case: events that no wait has got, in the order of their arrival. */
  #unread = [];
  /** Waits for events, in the order in which they were made. */
  #waits = [];
  #ranks = 0;
  #guids = 0;

  constructor(script) {
    this.#script = script;
    this.#now = script.now;
    for (const { name, data, after } of script.events) {
      this.#due.push({ at: this.#now + after, event: name.toLowerCase(), outcome: ok(toJson(data, "the data of an event")) });
    }
  }

  /** Runs the scripts of the calls that were made since the last time. Scripts may be `async`. */
  async answerCalls() {
    for (const call of this.#calls.splice(0)) {
      const { at, outcome } = await this.#attempts(call);
      this.#due.push({ at, outcome, handle: call.handle });
    }
  }

  /** The attempts of a call under its retry policy, and when the last one ends. */
  async #attempts({ answer, takes, retry }) {
    let at = this.#now;
    const longest = retry?.maxInterval ?? Infinity;
    let interval = Math.min(retry?.firstInterval ?? 0, longest);
    for (let attempt = 1; ; attempt += 1) {
      at += takes;
      const outcome = await outcomeOf(answer, attempt);
      const isFinal = outcome.tag === "ok" || !retry || attempt >= retry.maxAttempts || !outcome.val.retriable;
      if (isFinal || retry.nonRetriableErrorTypes.includes(outcome.val.errorType) || at + interval - this.#now >= (retry.timeout ?? Infinity)) {
        return { at, outcome };
      }
      at += interval;
      interval = Math.min(interval * retry.backoffCoefficient, longest);
    }
  }

  waitWatched() {
    for (;;) {
      this.#serve();
      const completed = [...this.#watched].filter(([, handle]) => !isOpen(handle)).sort(([, a], [, b]) => a.rank - b.rank);
      if (completed.length > 0) {
        const numbers = completed.map(([number]) => number);
        numbers.forEach((number) => this.#watched.delete(number));
        return numbers;
      }
      this.#skipToNext();
    }
  }

  /** Puts back the unread events of waits that are no longer watched. Then gives events to the watched ones. */
  #serve() {
    const watched = new Set(this.#watched.values());
    for (const wait of this.#waits) {
      if (wait.event && !wait.isRead && !watched.has(wait)) {
        wait.settled = null;
        this.#putBack(wait);
      }
    }
    for (const wait of this.#waits) {
      const index = this.#unread.findIndex(({ name }) => name === wait.eventName);
      if (isOpen(wait) && watched.has(wait) && index >= 0) {
        [wait.event] = this.#unread.splice(index, 1);
        this.#complete(wait, wait.event.outcome, Math.max(wait.made, wait.event.rank));
      }
    }
  }

  #putBack(wait) {
    this.#unread.push(wait.event);
    this.#unread.sort((a, b) => a.rank - b.rank);
    wait.event = null;
  }

  #nextRank() {
    this.#ranks += 1;
    return this.#ranks;
  }

  /** Jumps to the next completion, and completes everything that is due at that time. */
  #skipToNext() {
    this.#due.sort((a, b) => a.at - b.at);
    if (this.#due.length === 0) {
      const names = new Set([...this.#watched.values()].filter(isOpen).map(({ eventName }) => eventName));
      throw new Error(`the orchestrator waits for the event '${[...names].join("' or '")}', and the test raises no more of them`);
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
    this.#unread.push({ name, outcome, rank: this.#nextRank() });
  }

  #complete(handle, outcome, rank = this.#nextRank()) {
    if (isOpen(handle)) {
      handle.settled = outcome;
      handle.rank = rank;
    }
  }

  /** @param eventName of a wait for an event, in lower case */
  #handle(eventName) {
    const handle = {
      eventName,
      made: this.#nextRank(),
      /** The event that a wait has got. */
      event: null,
      settled: null,
      isRead: false,
      outcome: () => {
        handle.isRead = true;
        return handle.settled;
      },
      watch: (number) => this.#watched.set(number, handle),
      unwatch: () => this.#watched.forEach((watched, number) => watched === handle && this.#watched.delete(number)),
      cancel: () => {
        if (!isOpen(handle) && (!handle.event || handle.isRead)) {
          return false;
        }
        if (handle.event) {
          this.#putBack(handle);
        }
        handle.settled = failed("Canceled", "canceled");
        handle.rank ??= this.#nextRank();
        return true;
      },
    };
    return handle;
  }

  /** Makes a call that is answered by the script. */
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
    const handle = this.#handle(name.toLowerCase());
    this.#waits.push(handle);
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
