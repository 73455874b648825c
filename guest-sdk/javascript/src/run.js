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
import { EventTask, Task, TimerTask } from "./task.js";

export class Run {
  kind = "orchestrator";
  waitsFor = "whatever an orchestrator waits for must come from its context";
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
    return this.#openEventTasks(eventName).find((task) => task.isSetAside);
  }

  createTimer(fireAt) {
    // A Date, or what libraries for dates have in its place.
    const moment = Number(fireAt ?? Number.NaN);
    if (!Number.isFinite(moment)) {
      throw new TypeError("A timer needs a valid Date.");
    }
    return this.add(new TimerTask(this, { call: (host) => host.createTimer(moment), name: "timer" }));
  }

  /** Drives a generator to its end: each task that it yields is waited for. */
  drive(generator) {
    this.isEager = false;
    return new Promise((resolve, reject) => {
      const resume = (method, value) => {
        for (;;) {
          const step = generator[method](value);
          if (step.done) {
            return resolve(step.value);
          }
          const task = step.value;
          if (!(task instanceof Task)) {
            return reject(notATask(task));
          }
          task.want();
          if (!task.isSettled) {
            return task.observe(() => guarded(() => advance(task)));
          }
          [method, value] = continuation(task);
        }
      };
      const advance = (task) => resume(...continuation(task));
      const guarded = (body) => {
        try {
          body();
        } catch (error) {
          reject(error);
        }
      };
      guarded(() => resume("next", undefined));
    });
  }

  randomBytes(length) {
    return this.host.randomBytes(length);
  }

  /** A timeout in an orchestrator is a durable timer. */
  setTimer(milliseconds, callback) {
    const timer = this.createTimer(this.host.currentTime() + milliseconds).schedule();
    timer.want();
    timer.observe(() => timer.isCanceled || callback());
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
    this.#forgetCanceled();
    if (![...this.#open.values()].some((task) => task.isWanted)) {
      return false;
    }
    const handles = [...this.#open.keys()];
    this.#completed = Array.from(this.host.wait(handles), (index) => handles[index]);
    return true;
  }

  #forgetCanceled() {
    for (const [handle, task] of this.#open) {
      if (task.isSettled) {
        this.#open.delete(handle);
      }
    }
  }

  /** An event goes to the first wait of its name that is wanted; it takes the handle, and leaves its own for the other. */
  #receiver(handle) {
    const holder = this.#open.get(handle);
    // One that was given up meanwhile takes nothing: the host has put the event back.
    if (!(holder instanceof EventTask) || holder.isWanted || holder.isSettled) {
      return holder;
    }
    const wanted = this.#openEventTasks(holder.eventName).find((task) => task.isWanted);
    if (!wanted) {
      return holder;
    }
    holder.handle = wanted.handle;
    this.track(holder);
    wanted.handle = handle;
    this.track(wanted);
    return wanted;
  }

  #openEventTasks(eventName) {
    return [...this.#open.values()].filter((task) => task instanceof EventTask && task.eventName === eventName && !task.isSettled);
  }
}

function continuation(task) {
  task.unwant();
  return [task.isFaulted ? "throw" : "next", task.result];
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
