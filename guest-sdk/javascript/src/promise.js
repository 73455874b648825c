/**
 * Promises whose jobs the SDK runs itself.
 *
 * Every export of a guest is synchronous, and the engine runs the jobs of its own promises only between exports: an
 * `await` on one of those would never go on. So these take their place (`globals/index.js`), and the build lowers
 * `async` functions onto them. Jobs run in the order in which they were enqueued, so what is awaited in an orchestrator
 * is as deterministic as what completes it.
 */

const jobs = [];

/** Promises that were rejected while nobody listened. */
const unhandled = new Set();

export function enqueueJob(job) {
  jobs.push(job);
}

/** Runs jobs until none is left, those that they enqueue included. One that throws ends the run, and drops the others. */
export function runJobs() {
  try {
    for (let next = 0; next < jobs.length; next += 1) {
      const job = jobs[next];
      jobs[next] = undefined;
      job();
    }
  } finally {
    jobs.length = 0;
  }
}

/** The reasons of rejections that nobody has listened to since the last call. */
export function takeUnhandledRejections() {
  const reasons = [...unhandled].map((promise) => promise[REASON]());
  unhandled.clear();
  return reasons;
}

const REASON = Symbol("reason");

export class JobPromise {
  /** `pending`, `fulfilled` or `rejected`. */
  #state = "pending";
  #value;
  #reactions = [];
  #isHandled = false;

  constructor(executor) {
    if (typeof executor !== "function") {
      throw new TypeError(`Promise resolver ${String(executor)} is not a function`);
    }
    const { resolve, reject } = this.#resolvers();
    try {
      executor(resolve, reject);
    } catch (error) {
      reject(error);
    }
  }

  then(onFulfilled, onRejected) {
    const constructor = this.constructor?.[Symbol.species] ?? JobPromise;
    return new constructor((resolve, reject) => {
      this.#react({
        fulfilled: settleWith(typeof onFulfilled === "function" ? onFulfilled : null, resolve, resolve, reject),
        rejected: settleWith(typeof onRejected === "function" ? onRejected : null, reject, resolve, reject),
      });
    });
  }

  catch(onRejected) {
    return this.then(undefined, onRejected);
  }

  finally(onFinally) {
    if (typeof onFinally !== "function") {
      return this.then(onFinally, onFinally);
    }
    return this.then(
      (value) => JobPromise.resolve(onFinally()).then(() => value),
      (reason) =>
        JobPromise.resolve(onFinally()).then(() => {
          throw reason;
        }),
    );
  }

  /** A promise resolves once: later calls do nothing. */
  #resolvers() {
    let isResolved = false;
    const once = (settle) => (value) => {
      if (!isResolved) {
        isResolved = true;
        settle(value);
      }
    };
    return { resolve: once((value) => this.#resolve(value)), reject: once((reason) => this.#settle("rejected", reason)) };
  }

  #resolve(value) {
    if (value === this) {
      this.#settle("rejected", new TypeError("a promise cannot be resolved with itself"));
      return;
    }
    if ((typeof value !== "object" || value === null) && typeof value !== "function") {
      this.#settle("fulfilled", value);
      return;
    }
    let then;
    try {
      then = value.then;
    } catch (error) {
      this.#settle("rejected", error);
      return;
    }
    if (typeof then !== "function") {
      this.#settle("fulfilled", value);
      return;
    }
    enqueueJob(() => this.#follow(value, then));
  }

  #follow(thenable, then) {
    const { resolve, reject } = this.#resolvers();
    try {
      then.call(thenable, resolve, reject);
    } catch (error) {
      reject(error);
    }
  }

  #settle(state, value) {
    this.#state = state;
    this.#value = value;
    if (state === "rejected" && !this.#isHandled) {
      unhandled.add(this);
    }
    const reactions = this.#reactions;
    this.#reactions = [];
    for (const reaction of reactions) {
      enqueueJob(() => reaction[state](value));
    }
  }

  #react(reaction) {
    this.#isHandled = true;
    unhandled.delete(this);
    if (this.#state === "pending") {
      this.#reactions.push(reaction);
    } else {
      const { state, value } = { state: this.#state, value: this.#value };
      enqueueJob(() => reaction[state](value));
    }
  }

  [REASON]() {
    return this.#value;
  }

  get [Symbol.toStringTag]() {
    return "Promise";
  }

  static get [Symbol.species]() {
    return this;
  }

  static resolve(value) {
    return value instanceof JobPromise && value.constructor === this ? value : new this((resolve) => resolve(value));
  }

  static reject(reason) {
    return new this((_, reject) => reject(reason));
  }

  static withResolvers() {
    const capability = {};
    capability.promise = new this((resolve, reject) => Object.assign(capability, { resolve, reject }));
    return capability;
  }

  static try(callback, ...args) {
    return new this((resolve) => resolve(callback(...args)));
  }

  static all(values) {
    return combine(this, values, (slots, resolve, reject) => ({
      fulfilled: (index) => slots.fill(index),
      rejected: () => reject,
      done: resolve,
    }));
  }

  static allSettled(values) {
    return combine(this, values, (slots, resolve) => ({
      fulfilled: (index) => (value) => slots.fill(index)({ status: "fulfilled", value }),
      rejected: (index) => (reason) => slots.fill(index)({ status: "rejected", reason }),
      done: resolve,
    }));
  }

  static any(values) {
    return combine(this, values, (slots, resolve, reject) => ({
      fulfilled: () => resolve,
      rejected: (index) => slots.fill(index),
      done: (errors) => reject(new AggregateError(errors, "All promises were rejected")),
    }));
  }

  static race(values) {
    return new this((resolve, reject) => {
      for (const value of values) {
        this.resolve(value).then(resolve, reject);
      }
    });
  }
}

Object.defineProperty(JobPromise, "name", { value: "Promise" });

function settleWith(callback, passOn, resolve, reject) {
  if (callback === null) {
    return passOn;
  }
  return (value) => {
    let result;
    try {
      result = callback(value);
    } catch (error) {
      reject(error);
      return;
    }
    resolve(result);
  };
}

/** One slot per value. When all are filled, `done` gets them, in the order of the values. */
function combine(constructor, values, reactionsOf) {
  return new constructor((resolve, reject) => {
    const results = [];
    let empty = 1;
    const close = () => {
      empty -= 1;
      if (empty === 0) {
        reactions.done(results);
      }
    };
    const fill = (index) => {
      let isFilled = false;
      return (value) => {
        if (!isFilled) {
          isFilled = true;
          results[index] = value;
          close();
        }
      };
    };
    const reactions = reactionsOf({ fill }, resolve, reject);
    let index = 0;
    for (const value of values) {
      results.push(undefined);
      empty += 1;
      constructor.resolve(value).then(reactions.fulfilled(index), reactions.rejected(index));
      index += 1;
    }
    close();
  });
}
