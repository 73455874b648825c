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

const UNSCHEDULED = "unscheduled";
const OPEN = "open";
const COMPLETED = "completed";
const FAULTED = "faulted";

export class Task {
  #state = UNSCHEDULED;
  #result;
  #observers = [];
  #wanted = 0;

  get isCompleted() {
    return this.#state === COMPLETED;
  }

  get isFaulted() {
    return this.#state === FAULTED;
  }

  get isSettled() {
    return this.isCompleted || this.isFaulted;
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

  /** Calls back when it settles; at once if it has. */
  observe(observer) {
    if (this.isSettled) {
      observer(this);
    } else {
      this.#observers.push(observer);
    }
  }

  /** Makes it awaitable. */
  then(onFulfilled, onRejected) {
    const promise = new Promise((resolve, reject) => {
      this.want();
      this.observe(() => (this.isFaulted ? reject(this.#result) : resolve(this.#result)));
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
    const observers = this.#observers;
    this.#observers = [];
    for (const observer of observers) {
      observer(this);
    }
  }
}

/** A task that stands for something that the host does. */
export class HostTask extends Task {
  #run;
  #call;
  #name;
  #decode;
  handle = null;

  /**
   * @param run the orchestration that it belongs to
   * @param options.call schedules it: takes the host, gives the handle
   * @param options.name what it is called in errors
   * @param options.decode makes its value of the JSON text that the host gives
   */
  constructor(run, { call, name, decode = JSON.parse }) {
    super();
    this.#run = run;
    this.#call = call;
    this.#name = name;
    this.#decode = decode;
  }

  start() {
    this.handle = this.#call(this.#run.host);
    this.#run.track(this);
  }

  onWanted() {}

  /** Takes over what the host says. */
  take(outcome) {
    if (outcome.tag === "ok") {
      this.complete(this.#decode(outcome.val));
    } else {
      this.fail(errorOfFailure(outcome.val, this.#name));
    }
  }
}

/**
 * The wait for an event. The run decides which of several open waits of one name gets an event.
 *
 * A wait that lost a race lends its handle to the next wait of its name, so a loop of races holds one handle and not one
 * per round. When it is wanted again it gets another.
 */
export class EventTask extends HostTask {
  #run;
  isSetAside = false;

  constructor(run, eventName) {
    super(run, { call: (host) => host.waitForExternalEvent(eventName), name: eventName });
    this.#run = run;
    this.eventName = eventName.toLowerCase();
  }

  start() {
    const lender = this.#run.setAsideWait(this.eventName);
    if (lender) {
      this.handle = lender.handle;
      lender.handle = null;
      this.#run.track(this);
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
  isCanceled = false;

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
export class RetryableTask extends HostTask {
  #withRetry;

  constructor(run, options, withRetry) {
    super(run, options);
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
    if (!Array.isArray(tasks) || !tasks.every((task) => task instanceof Task)) {
      throw new TypeError(`${name} takes a list of tasks.`);
    }
    this.children = [...tasks];
  }

  start() {
    for (const child of this.children) {
      child.schedule();
    }
    for (const child of this.children) {
      child.observe((settled) => {
        if (!this.isSettled) {
          this.onChild(settled);
          if (this.isSettled) {
            this.onWanted(false);
          }
        }
      });
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

/** Completes when the first settles, whether it succeeded or not; by default with that task itself. */
export class AnyTask extends CompoundTask {
  #describe;

  /** @param describe makes the value, of the task and its index */
  constructor(tasks, describe = (task) => task) {
    super("Task.any", tasks);
    if (this.children.length === 0) {
      throw new Error("Task.any needs at least one task.");
    }
    this.#describe = describe;
  }

  onChild(child) {
    this.complete(this.#describe(child, this.children.indexOf(child)));
  }
}
