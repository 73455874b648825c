/**
 * Tasks: what an orchestrator schedules and waits for.
 *
 * A task settles when its turn in the order of completion has come (`run.js`), never because its outcome happens to be
 * readable. So races are won by what completed first.
 *
 * A task is *wanted* while somebody waits for it: a generator that yielded it, a compound task that is wanted itself, or
 * an `await`. An event goes to a wait that is wanted before it goes to one that lost a race and was set aside.
 */

import { errorOfFailure } from "./failure.js";
import { enqueueReaction, REACT, reactive } from "./promise.js";

const UNSCHEDULED = "unscheduled";
const OPEN = "open";
const COMPLETED = "completed";
const FAULTED = "faulted";

export class Task {
  #state = UNSCHEDULED;
  #result;
  #observers = null;
  #wanted = 0;

  get isCompleted() {
    return this.#state === COMPLETED;
  }

  get isFaulted() {
    return this.#state === FAULTED;
  }

  get isSettled() {
    return this.#state === COMPLETED || this.#state === FAULTED;
  }

  get isWanted() {
    return this.#wanted > 0;
  }

  /** The value, or the error if it is faulted. */
  get result() {
    return this.#result;
  }

  /** Schedules it if it was not. Scheduling happens once, and in the order in which tasks are first waited for. */
  schedule() {
    if (this.#state === UNSCHEDULED) {
      this.#state = OPEN;
      this.start();
    }
    return this;
  }

  want() {
    this.#wanted += 1;
    this.schedule();
    if (this.#wanted === 1 && !this.isSettled) {
      this.onWanted(true);
    }
  }

  unwant() {
    this.#wanted -= 1;
    if (this.#wanted === 0 && !this.isSettled) {
      this.onWanted(false);
    }
  }

  /** Calls `settled` of the observer when it settles; at once if it has. */
  observe(observer) {
    if (this.isSettled) {
      observer.settled(this);
    } else {
      this.#observers ??= [];
      this.#observers.push(observer);
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
      this.observe({ settled: () => (this.isFaulted ? reject(this.#result) : resolve(this.#result)) });
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
    const observers = this.#observers ?? [];
    this.#observers = null;
    for (const observer of observers) {
      observer.settled(this);
    }
  }
}

/** Hands over what a task gives to who awaits it. */
class Awaiting {
  #reaction;

  constructor(reaction) {
    this.#reaction = reaction;
  }

  settled(task) {
    if (task.isCompleted && typeof task.result?.then === "function") {
      reactive(task.result)[REACT](this.#reaction);
    } else {
      enqueueReaction(this.#reaction, task.isCompleted, task.result);
    }
  }
}

/** A task that stands for something that the host does. A subclass says how it is asked for: `open(host)` gives the handle. */
class HostTask extends Task {
  #run;
  #name;
  handle = null;

  /**
   * @param run the orchestration that it belongs to
   * @param name what it is called in errors
   */
  constructor(run, name) {
    super();
    this.#run = run;
    this.#name = name;
  }

  get run() {
    return this.#run;
  }

  get name() {
    return this.#name;
  }

  start() {
    this.handle = this.open(this.#run.host);
    this.#run.track(this);
  }

  onWanted() {}

  /** Its value, of the JSON text that the host gives. */
  decode(json) {
    return JSON.parse(json);
  }

  /** Takes over what the host says. */
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

  /** @param call schedules it: takes the host, gives the handle */
  constructor(run, name, call) {
    super(run, name);
    this.#call = call;
  }

  open(host) {
    return this.#call(host);
  }
}

/** The wait for locks; its value is what releases them. */
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

/**
 * The wait for an event. The run decides which of several open waits of one name gets an event.
 *
 * A wait that lost a race lends its handle to the next wait of its name, so a loop of races holds one handle and not one
 * per round. When it is wanted again it gets another.
 */
export class EventTask extends HostTask {
  isSetAside = false;

  constructor(run, name) {
    super(run, name);
    this.eventName = name.toLowerCase();
  }

  open(host) {
    return host.waitForExternalEvent(this.name);
  }

  start() {
    const lender = this.run.setAsideWait(this.eventName);
    if (lender) {
      this.handle = lender.handle;
      lender.handle = null;
      this.run.track(this);
    } else {
      super.start();
    }
  }

  onWanted(isWanted) {
    this.isSetAside = !isWanted;
    if (isWanted && this.handle === null) {
      this.start();
    }
  }

  /**
   * Gives up the wait: it completes with nothing. An event that comes later, or that arrived together with what won the
   * race, is left for others.
   */
  cancel() {
    if (!this.isSettled) {
      this.complete(undefined);
      this.handle?.cancel();
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
    // One that was never scheduled needs no host.
    this.handle?.cancel();
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
  #wantsChildren = false;

  constructor(name, tasks) {
    super();
    if (!Array.isArray(tasks) || !tasks.every(isTask)) {
      throw new TypeError(`${name} takes a list of tasks.`);
    }
    this.children = [...tasks];
  }

  start() {
    for (const child of this.children) {
      child.schedule();
    }
    for (const child of this.children) {
      child.observe(this);
    }
  }

  /** A child has settled. */
  settled(child) {
    if (!this.isSettled) {
      this.onChild(child);
      if (this.isSettled) {
        this.onWanted(false);
      }
    }
  }

  onWanted(isWanted) {
    if (isWanted === this.#wantsChildren) {
      return;
    }
    this.#wantsChildren = isWanted;
    for (const child of this.children) {
      if (isWanted) {
        child.want();
      } else {
        child.unwant();
      }
    }
  }
}

/** Completes with the results of all, in their order; fails with the first failure, when it happens. */
export class AllTask extends CompoundTask {
  /** How many have not completed. */
  #left = 0;

  constructor(tasks) {
    super("Task.all", tasks);
    if (this.children.length === 0) {
      throw new Error("Task.all needs at least one task.");
    }
    this.#left = this.children.length;
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
    if (this.children.length === 0) {
      throw new Error("Task.any needs at least one task.");
    }
  }

  onChild(child) {
    this.complete(child);
  }
}

/** The same for `await`, which would wait for a task that it is given: the task is wrapped. */
export class FirstTask extends AnyTask {
  onChild(child) {
    this.complete({ task: child, index: this.children.indexOf(child) });
  }
}

function isTask(value) {
  return value instanceof Task;
}
