/**
 * Tasks, which an orchestrator schedules and waits for.
 *
 * Tasks settle in the order in which they completed (`run.js`), even if the host could already return a later outcome. So
 * the task that completed first wins a race.
 *
 * A task is *wanted* while something waits for it: a generator that yielded it, a compound task that is wanted itself, or
 * an `await`. A wait for an event takes no event while it is not wanted.
 *
 * Code that takes the results of many tasks as they arrive makes a race of all remaining ones, again and again. So races
 * must be cheap: a race looks at each of its tasks once (`surveyed`), and does nothing for the others when it has settled.
 */

import { errorOfFailure } from "./failure.js";
import { enqueueReaction, REACT, reactive, WANT } from "./promise.js";

const UNSCHEDULED = "unscheduled";
const OPEN = "open";
const COMPLETED = "completed";
const FAULTED = "faulted";

export class Task {
  #state = UNSCHEDULED;
  #result;
  #observers = null;
  #wanted = 0;
  /** Whether the run counts it as wanted. */
  #isCounted = false;
  /** Whether it is a wait for an event, or a compound that contains one, which must know whether it is wanted. */
  holdsEvents = false;
  /** Whether it is scheduled, not settled, and holds no events. */
  isUsual = false;
  /** Whether it is scheduled and holds no events. It may have settled. */
  isPlain = false;

  /** @param run the orchestration that it belongs to */
  constructor(run) {
    this.run = run;
  }

  get isCompleted() {
    return this.#state === COMPLETED;
  }

  get isFaulted() {
    return this.#state === FAULTED;
  }

  get isScheduled() {
    return this.#state !== UNSCHEDULED;
  }

  get isSettled() {
    return this.#state === COMPLETED || this.#state === FAULTED;
  }

  get isWanted() {
    return this.#wanted > 0;
  }

  /** The value, or the error if it has failed. */
  get result() {
    return this.#result;
  }

  /**
   * Looks at the tasks of a compound. Returns those that are not scheduled, the first that has settled, and those that hold
   * events; or null if one of them is not a task.
   */
  static surveyed(tasks) {
    const found = { unscheduled: [], settled: null, events: [] };
    try {
      // The fast path for many tasks, most of which are plain. The built-in loops skip holes, so look for `undefined`.
      if (tasks.length > CHILDREN_OBSERVED && tasks.every(isPlain) && !tasks.includes(undefined)) {
        found.settled = tasks.find(isSettled) ?? null;
      } else {
        for (let index = 0; index < tasks.length; index += 1) {
          noteUnusual(tasks[index], found);
        }
      }
    } catch {
      return null;
    }
    return found;
  }

  /** Schedules the task, unless it is. Tasks are scheduled in the order in which they are first waited for. */
  schedule() {
    if (this.#state === UNSCHEDULED) {
      this.#state = OPEN;
      this.isPlain = this.isUsual = !this.holdsEvents;
      this.start();
    }
    return this;
  }

  want() {
    this.#wanted += 1;
    this.schedule();
    if (!this.#isCounted && !this.isSettled) {
      this.#count(true);
    }
  }

  unwant() {
    this.#wanted -= 1;
    if (this.#isCounted && this.#wanted === 0) {
      this.#count(false);
    }
  }

  [WANT](isWanted) {
    if (isWanted) {
      this.want();
    } else {
      this.unwant();
    }
  }

  /** Called when it becomes both wanted and open, or ceases to be. */
  #count(isCounted) {
    this.#isCounted = isCounted;
    this.run.wanted += isCounted ? 1 : -1;
    this.onWanted(isCounted);
  }

  /** Calls `childSettled` of the observer when the task settles, or at once if it has. */
  observe(observer) {
    if (this.isSettled) {
      observer.childSettled(this);
    } else {
      this.#observers ??= [];
      this.#observers.push(observer);
    }
  }

  ignore(observer) {
    const index = this.#observers?.indexOf(observer) ?? -1;
    if (index >= 0) {
      this.#observers.splice(index, 1);
    }
  }

  /** Makes it awaitable for the promises of the SDK. */
  [REACT](reaction) {
    this.want();
    this.observe(new Awaiting(reaction));
  }

  /** Makes it awaitable for all others. */
  then(onFulfilled, onRejected) {
    const promise = new Promise((resolve, reject) => {
      this.want();
      this.observe({ childSettled: () => (this.isFaulted ? reject(this.#result) : resolve(this.#result)) });
    });
    return promise.then(onFulfilled, onRejected);
  }

  complete(value) {
    this.#settle(COMPLETED, value);
  }

  fail(error) {
    this.#settle(FAULTED, error);
  }

  #settle(state, result) {
    if (this.isSettled) {
      return;
    }
    this.#state = state;
    this.#result = result;
    this.isUsual = false;
    if (this.#isCounted) {
      this.#count(false);
    }
    const observers = this.#observers ?? [];
    this.#observers = null;
    for (const observer of observers) {
      observer.childSettled(this);
    }
    this.run.noteSettled(this);
  }
}

const isPlain = (task) => task.isPlain;
/** Only for plain tasks. */
const isSettled = (task) => !task.isUsual;

function noteUnusual(task, found) {
  if (!(task instanceof Task)) {
    throw new TypeError("it is no task");
  }
  if (!task.isScheduled) {
    found.unscheduled.push(task);
  }
  if (task.isSettled) {
    found.settled ??= task;
  }
  if (task.holdsEvents) {
    found.events.push(task);
  }
}

/** Passes the result of a task to a reaction that awaits it. */
class Awaiting {
  #reaction;

  constructor(reaction) {
    this.#reaction = reaction;
  }

  childSettled(task) {
    if (task.isCompleted && typeof task.result?.then === "function") {
      reactive(task.result)[REACT](this.#reaction);
    } else {
      enqueueReaction(this.#reaction, task.isCompleted, task.result);
    }
  }
}

/** A task of the host. A subclass schedules it: `open(host)` returns the handle. */
class HostTask extends Task {
  #name;
  handle = null;
  /** The number with which the host reports it; 0 while it is not watched. */
  number = 0;

  /**
   * @param run the orchestration that it belongs to
   * @param name the name in error messages
   */
  constructor(run, name) {
    super(run);
    this.#name = name;
  }

  get name() {
    return this.#name;
  }

  start() {
    this.handle = this.open(this.run.host);
    this.run.watch(this);
  }

  /** Called in the order of completion, after the host has reported the task. */
  reported() {
    this.take(this.handle.outcome());
  }

  onWanted() {}

  /** Converts the JSON text from the host to the value. */
  decode(json) {
    return JSON.parse(json);
  }

  /** Settles the task with the outcome from the host. */
  take(outcome) {
    if (outcome.tag === "ok") {
      this.complete(this.decode(outcome.val));
    } else {
      this.fail(errorOfFailure(outcome.val, this.#name));
    }
  }
}

export class CallTask extends HostTask {
  #call;

  /** @param call schedules the task with the host, and returns the handle */
  constructor(run, name, call) {
    super(run, name);
    this.#call = call;
  }

  open(host) {
    return this.#call(host);
  }
}

/** A wait for locks. Its value releases them. */
export class LockTask extends HostTask {
  #entities;
  #lock;

  constructor(run, entities, lock) {
    super(run, "lock");
    this.#entities = entities;
    this.#lock = lock;
  }

  open(host) {
    return host.lockEntities(this.#entities);
  }

  decode() {
    return this.#lock;
  }
}

/** A wait for an event. */
export class EventTask extends HostTask {
  holdsEvents = true;

  open(host) {
    return host.waitForExternalEvent(this.name);
  }

  start() {
    this.handle = this.open(this.run.host);
  }

  onWanted() {
    this.run.noteChange(this);
  }

  /** If the wait is not wanted, the event is left to the host, for another wait. */
  reported() {
    if (this.isWanted) {
      super.reported();
    }
  }

  /**
   * Cancels the wait, which completes without a value. A later event, or one that arrived together with the winner of a
   * race, is left for other waits.
   */
  cancel() {
    if (!this.isSettled) {
      this.complete(undefined);
      this.run.giveUp(this);
    }
  }
}

/** A durable timer. */
export class TimerTask extends HostTask {
  #fireAt;
  isCanceled = false;

  /** @param fireAt milliseconds since 1970 */
  constructor(run, fireAt) {
    super(run, "timer");
    this.#fireAt = fireAt;
  }

  open(host) {
    return host.createTimer(this.#fireAt);
  }

  cancel() {
    if (this.isCompleted) {
      throw new Error("Cannot cancel a timer that has completed.");
    }
    if (this.isCanceled) {
      return;
    }
    this.isCanceled = true;
    this.run.giveUp(this);
    this.fail(new Error("the timer was canceled"));
  }

  start() {
    if (!this.isCanceled) {
      super.start();
    }
  }
}

/** A call that may still get a retry policy, until it is first waited for. */
export class RetryableTask extends CallTask {
  #withRetry;

  constructor(run, name, call, withRetry) {
    super(run, name, call);
    this.#withRetry = withRetry;
  }

  withRetry(retryOptions) {
    return this.#withRetry(retryOptions);
  }
}

class CompoundTask extends Task {
  #surveyed;
  /** The number of tasks that had settled when the children were surveyed. */
  #then;

  constructor(name, tasks) {
    const children = Array.isArray(tasks) ? tasks.slice() : [];
    const surveyed = Array.isArray(tasks) ? Task.surveyed(children) : null;
    if (surveyed === null) {
      throw new TypeError(`${name} takes a list of tasks.`);
    }
    if (children.length === 0) {
      throw new Error(`${name} needs at least one task.`);
    }
    super(children[0].run);
    this.children = children;
    this.#surveyed = surveyed;
    this.#then = this.run.settled;
    this.holdsEvents = surveyed.events.length > 0;
  }

  /** The first child that has settled, or null. */
  get settledChild() {
    return this.#then === this.run.settled ? this.#surveyed.settled : Task.surveyed(this.children).settled;
  }

  start() {
    for (const child of this.#surveyed.unscheduled) {
      child.schedule();
    }
    this.observeChildren();
  }

  childSettled(child) {
    if (!this.isSettled) {
      this.onChild(child);
    }
  }

  onWanted(isWanted) {
    for (const child of this.#surveyed.events) {
      child[WANT](isWanted);
    }
  }
}

/** Completes with the results of all children, in their order; fails with the first failure, when it occurs. */
export class AllTask extends CompoundTask {
  /** The number of children that have not completed. */
  #left = 0;

  constructor(tasks) {
    super("Task.all", tasks);
    this.#left = this.children.length;
  }

  observeChildren() {
    for (const child of this.children) {
      child.observe(this);
    }
  }

  onChild(child) {
    this.#left -= 1;
    if (child.isFaulted) {
      this.fail(child.result);
    } else if (this.#left === 0) {
      this.complete(this.children.map(({ result }) => result));
    }
  }
}

/** Completes with the task that settles first, whether it succeeded or not. */
export class AnyTask extends CompoundTask {
  constructor(tasks) {
    super("Task.any", tasks);
  }

  observeChildren() {
    const settled = this.settledChild;
    if (settled !== null) {
      this.childSettled(settled);
    } else if (this.children.length > CHILDREN_OBSERVED) {
      this.run.addRace(this);
    } else {
      for (const child of this.children) {
        child.observe(this);
      }
    }
  }

  onChild(child) {
    this.complete(this.resultOf(child));
    if (this.children.length <= CHILDREN_OBSERVED) {
      for (const loser of this.children) {
        loser.ignore(this);
      }
    }
  }

  resultOf(child) {
    return child;
  }
}

/** With more children, a race has no observers at its children: the run notifies it. */
const CHILDREN_OBSERVED = 8;

/** The same for `await`, which would wait for a task as the result: so the task is wrapped. */
export class FirstTask extends AnyTask {
  resultOf(child) {
    return { task: child, index: this.children.indexOf(child) };
  }
}
