/**
 * One run of an orchestrator, from its beginning to its end. It keeps no history: it schedules, and blocks in the host's
 * `wait-watched` when the code makes no progress.
 *
 *     run the code ──► done
 *       ▲        │
 *       │        ▼ it waits
 *       ├─ yes ─ is a completed task left? settle the next one
 *       │        │ no
 *       ├─ yes ─ is a wanted task still open? wait for all watched tasks
 *       │        │ no
 *       │        ▼
 *       │    it awaits something that is not durable: fail
 *
 * Every open task is watched, except for waits for events, which are watched only while they are wanted. So an event goes to
 * a wanted wait; an unread event goes to the next wait. The host implements this rule (`wait-for-external-event`).
 */

import { Actions } from "./actions.js";
import { DurableError } from "./failure.js";
import { Outcome } from "./outcome.js";
import { EventTask, Task, TimerTask } from "./task.js";

export class Run {
  /** In an `async` orchestrator a call is scheduled when it is made; in a generator, when it is yielded. */
  isEager = true;
  /** The number of open tasks that are wanted. */
  wanted = 0;
  /** The number of tasks that have settled. */
  settled = 0;
  /** Watched tasks, by the numbers that the host reports. */
  #watched = new Map();
  #numbers = 0;
  /** The numbers that the last wait reported, and how many of them have been processed. */
  #reported = [];
  #looked = 0;
  /** Waits for events that have become wanted or unwanted since the last wait. */
  #changed = new Set();
  /** Open races of many tasks. They are kept here so that a task that loses many races need not have an observer for each. */
  #races = new Set();

  /** @param host the interface `orchestration` of the contract */
  constructor(host) {
    this.host = host;
    this.actions = new Actions(this);
  }

  get waitsFor() {
    return "whatever an orchestrator waits for must come from its context";
  }

  /** Registers a new task. */
  add(task) {
    return this.isEager ? task.schedule() : task;
  }

  watch(task) {
    this.#numbers += 1;
    task.number = this.#numbers;
    this.#watched.set(task.number, task);
    task.handle.watch(task.number);
  }

  unwatch(task) {
    if (task.number !== 0) {
      this.#watched.delete(task.number);
      task.number = 0;
      task.handle.unwatch();
    }
  }

  /** Cancels a timer or a wait for an event. If it was not scheduled, the host need not know. */
  giveUp(task) {
    if (task.handle !== null) {
      this.unwatch(task);
      task.handle.cancel();
    }
  }

  /** Notes a wait for an event that has become wanted or unwanted. */
  noteChange(event) {
    this.#changed.add(event);
  }

  addRace(race) {
    this.#races.add(race);
  }

  /** Called when a task has settled. */
  noteSettled(task) {
    this.settled += 1;
    if (this.#races.size === 0) {
      return;
    }
    this.#races.delete(task);
    for (const race of this.#races) {
      if (race.children.includes(task)) {
        race.childSettled(task);
      }
    }
  }

  createTimer(fireAt) {
    // A Date, or an object of a date library.
    const moment = Number(fireAt ?? Number.NaN);
    if (!Number.isFinite(moment)) {
      throw new TypeError("A timer needs a valid Date.");
    }
    return this.add(new TimerTask(this, moment));
  }

  /** Drives a generator to its end, and returns its outcome. */
  drive(generator) {
    this.isEager = false;
    return new Drive(generator);
  }

  randomBytes(length) {
    return this.host.randomBytes(length);
  }

  /** A timeout in an orchestrator is a durable timer. */
  setTimer(milliseconds, callback) {
    const timer = this.createTimer(this.host.currentTime() + milliseconds).schedule();
    timer.want();
    timer.observe({ childSettled: () => timer.isCanceled || callback() });
    return () => timer.isSettled || timer.cancel();
  }

  requireFetch() {
    throw new DurableError("fetch is for activities: an orchestrator uses callHttp, which waits durably and is not sent again on replay", {
      type: "NotDeterministic",
      retriable: false,
    });
  }

  park() {
    if (this.#looked === this.#reported.length && !this.#waitForNext()) {
      return false;
    }
    const number = this.#reported[this.#looked];
    this.#looked += 1;
    const task = this.#watched.get(number);
    // A task that was canceled meanwhile is not watched any more.
    if (task) {
      this.#watched.delete(number);
      task.number = 0;
      task.reported();
    }
    return true;
  }

  #waitForNext() {
    if (this.wanted === 0) {
      return false;
    }
    for (const event of this.#changed) {
      const isAsked = event.isWanted && !event.isSettled;
      if (isAsked && event.number === 0) {
        this.watch(event);
      } else if (!isAsked) {
        this.unwatch(event);
      }
    }
    this.#changed.clear();
    this.#reported = this.host.waitWatched();
    this.#looked = 0;
    return true;
  }
}

/**
 * What calls that do not wait return in the style of durable-functions 1.x, where they are yielded. After the first the generator goes on at
 * once, and after the second it is left where it is.
 */
export const SENT = Object.freeze({});
export const CONTINUES_AS_NEW = Object.freeze({});

/** Drives a generator to its end: waits for each task that it yields. */
class Drive extends Outcome {
  #generator;

  constructor(generator) {
    super();
    this.#generator = generator;
  }

  begin() {
    this.childSettled(null);
    return this;
  }

  /** Called when the task that was yielded last has settled, and at the beginning with null. */
  childSettled(task) {
    try {
      let next = this.#step(task);
      while (next?.isSettled) {
        next = this.#step(next);
      }
      next?.observe(this);
    } catch (error) {
      this.fail(error);
    }
  }

  /** Resumes the generator with the result of the settled task. Returns the next task that it yields, or null at the end. */
  #step(settled) {
    settled?.unwant();
    let { done, value } = settled?.isFaulted ? this.#generator.throw(settled.result) : this.#generator.next(settled?.result);
    while (!done) {
      if (value === CONTINUES_AS_NEW) {
        value = undefined;
        break;
      }
      if (value === SENT) {
        ({ done, value } = this.#generator.next());
        continue;
      }
      const refusal = refusalOf(value);
      if (refusal === null) {
        return value;
      }
      // Thrown at the `yield`, so that the code can catch it.
      ({ done, value } = this.#generator.throw(refusal));
    }
    this.follow(value);
    return null;
  }
}

/** Makes a task wanted. Returns the error if that is not possible, else null. */
function refusalOf(value) {
  if (!(value instanceof Task)) {
    return notATask(value);
  }
  try {
    value.want();
    return null;
  } catch (error) {
    value.unwant();
    return error;
  }
}

function notATask(value) {
  return new DurableError(
    `Durable Functions programming constraint violation: the orchestration yielded ${value === null ? "null" : `data of type ${typeof value}`}. ${hintOn(value)}`,
    { type: "NotATask", retriable: false },
  );
}

function hintOn(value) {
  if (value === undefined) {
    return "This is likely the result of yielding a call that does not wait, such as signalEntity or continueAsNew: call these without `yield`.";
  }
  if (Array.isArray(value)) {
    return "To wait for several tasks, yield Task.all(tasks) or Task.any(tasks).";
  }
  if (typeof value?.then === "function") {
    return "A promise is awaited, in an `async` orchestrator.";
  }
  return "Only tasks can be yielded, as the calls of the context give them.";
}
