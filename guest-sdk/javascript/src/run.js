/**
 * One run of an orchestrator, from its beginning to its end. It keeps no history: it schedules, and blocks in the host's
 * `wait` when the code cannot go on.
 *
 *     run the code ──► done
 *       ▲        │
 *       │        ▼ it waits
 *       ├─ yes ─ is a completed task left? settle the next one
 *       │        │ no
 *       ├─ yes ─ is something wanted still open? wait for all that is open
 *       │        │ no
 *       │        ▼
 *       │    it awaits something that is not durable: fail
 */

import { Actions } from "./actions.js";
import { DurableError } from "./failure.js";
import { Outcome } from "./outcome.js";
import { EventTask, Task, TimerTask } from "./task.js";

export class Run {
  /** In an `async` orchestrator a call begins when it is made; in a generator, when it is yielded. */
  isEager = true;
  /** Open handles of the host, and the tasks that they belong to, in the order in which they were scheduled. */
  #open = new Map();
  /** Handles that the last `wait` gave, and that are not settled yet. */
  #completed = [];

  /** @param host the interface `orchestration` of the contract */
  constructor(host) {
    this.host = host;
    this.actions = new Actions(this);
  }

  get waitsFor() {
    return "whatever an orchestrator waits for must come from its context";
  }

  /** Adds a task to what is waited for, once it has a handle. */
  track(task) {
    this.#open.set(task.handle, task);
  }

  /** Registers a new task. */
  add(task) {
    return this.isEager ? task.schedule() : task;
  }

  /** A wait for that event that lost a race and has a handle to lend. */
  setAsideWait(eventName) {
    for (const task of this.#open.values()) {
      if (isOpenWait(task, eventName) && task.isSetAside) {
        return task;
      }
    }
    return undefined;
  }

  #wantedWait(eventName) {
    for (const task of this.#open.values()) {
      if (isOpenWait(task, eventName) && task.isWanted) {
        return task;
      }
    }
    return undefined;
  }

  createTimer(fireAt) {
    // A Date, or what libraries for dates have in its place.
    const moment = Number(fireAt ?? Number.NaN);
    if (!Number.isFinite(moment)) {
      throw new TypeError("A timer needs a valid Date.");
    }
    return this.add(new TimerTask(this, moment));
  }

  /** Drives a generator to its end, and gives its outcome. */
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
    timer.observe({ settled: () => timer.isCanceled || callback() });
    return () => timer.isSettled || timer.cancel();
  }

  fetch() {
    throw new DurableError("fetch is for activities: an orchestrator uses callHttp, which waits durably and is not sent again on replay", {
      type: "NotDeterministic",
      retriable: false,
    });
  }

  park() {
    if (this.#completed.length === 0 && !this.#waitForNext()) {
      return false;
    }
    const handle = this.#completed.shift();
    const task = this.#receiver(handle);
    this.#open.delete(handle);
    task.take(handle.outcome());
    return true;
  }

  #waitForNext() {
    const handles = [];
    let isAnyWanted = false;
    for (const [handle, task] of this.#open) {
      if (task.isSettled) {
        // It was canceled.
        this.#open.delete(handle);
      } else {
        handles.push(handle);
        isAnyWanted ||= task.isWanted;
      }
    }
    if (isAnyWanted) {
      for (const index of this.host.wait(handles)) {
        this.#completed.push(handles[index]);
      }
    }
    return isAnyWanted;
  }

  /** An event goes to the first wait of its name that is wanted; it takes the handle, and leaves its own for the other. */
  #receiver(handle) {
    const holder = this.#open.get(handle);
    // One that was given up meanwhile takes nothing: the host has put the event back.
    if (!(holder instanceof EventTask) || holder.isWanted || holder.isSettled) {
      return holder;
    }
    const wanted = this.#wantedWait(holder.eventName);
    if (!wanted) {
      return holder;
    }
    holder.handle = wanted.handle;
    this.track(holder);
    wanted.handle = handle;
    this.track(wanted);
    return wanted;
  }
}

function isOpenWait(task, eventName) {
  return task instanceof EventTask && task.eventName === eventName && !task.isSettled;
}

/** Drives a generator to its end: each task that it yields is waited for. */
class Drive extends Outcome {
  #generator;

  constructor(generator) {
    super();
    this.#generator = generator;
  }

  begin() {
    this.settled(null);
    return this;
  }

  /** The task that was yielded last has settled; at the beginning there is none. */
  settled(task) {
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

  /** Hands over the task that has settled, and gives the one that is yielded then, or nothing at the end. */
  #step(settled) {
    settled?.unwant();
    const { done, value } = settled?.isFaulted ? this.#generator.throw(settled.result) : this.#generator.next(settled?.result);
    if (done) {
      this.follow(value);
      return null;
    }
    if (!(value instanceof Task)) {
      throw notATask(value);
    }
    value.want();
    return value;
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
