/**
 * Promises whose jobs the SDK runs itself.
 *
 * Every export of a guest is synchronous, and the engine runs the jobs of its own promises only between exports: an
 * `await` on one of those would never go on. So these take their place (`globals/index.js`), and the build lowers
 * `async` functions onto them. Jobs run in the order in which they were enqueued, so what is awaited in an orchestrator
 * is as deterministic as what completes it.
 *
 * A promise is *idle* when somebody has waited for it and nobody does any more: it lost a race. What an idle promise waits for
 * itself is not wanted by it, so a wait for an event that lost takes no event. A promise that nobody ever waited for goes on by
 * itself, and is not idle.
 *
 * Whoever takes the results of many promises as they come makes a race of all that are left, each time. So who takes part in a race
 * of many does not react to it, and what a race costs for each of these is one look (`Race`).
 */

const PENDING = "pending";
export const FULFILLED = "fulfilled";
const REJECTED = "rejected";

/** What is to be run, three entries each: a reaction, the state of the promise that it reacts to, and its value. */
const jobs = [];

/** Promises that were rejected while nobody listened. */
const unhandled = new Set();

const NONE = Object.freeze([]);

/** Calls it in a job. */
export function enqueueJob(callback) {
  jobs.push({ react: () => callback() }, FULFILLED, undefined);
}

/** Lets a reaction know, in a job. */
export function enqueueReaction(reaction, isFulfilled, value) {
  jobs.push(reaction, isFulfilled ? FULFILLED : REJECTED, value);
}

/** Runs jobs until none is left, those that they enqueue included. One that throws ends the run, and drops the others. */
export function runJobs() {
  try {
    for (let next = 0; next < jobs.length; next += 3) {
      const reaction = jobs[next];
      const value = jobs[next + 2];
      jobs[next] = undefined;
      jobs[next + 2] = undefined;
      reaction.react(jobs[next + 1], value);
    }
  } finally {
    jobs.length = 0;
  }
}

/** The reasons of rejections that nobody has listened to since the last call. */
export function takeUnhandledRejections() {
  if (unhandled.size === 0) {
    return NONE;
  }
  const reasons = [...unhandled].map((promise) => promise[REASON]());
  unhandled.clear();
  return reasons;
}

/**
 * `[REACT](reaction)` calls `reaction.react(state, value)` in a job, once it is settled. Tasks have it too, so that an
 * `await` of one needs no promise.
 */
export const REACT = Symbol("react");
/** `[WANT](isWanted)`: one more waits for it, or one less. */
export const WANT = Symbol("want");
const DEPEND = Symbol("depend");
const REASON = Symbol("reason");
const RACE = Symbol("race");
const IS_RACER = Symbol("is a racer");
const ENROL = Symbol("enrol");
const RETIRE = Symbol("retire");
const RESOLVE = Symbol("resolve");
const REJECT = Symbol("reject");

/** The executor of a promise that is settled by this module. */
const NOBODY = () => {};

export class JobPromise {
  #state = PENDING;
  #value;
  #reactions = null;
  #isHandled = false;
  #wants = 0;
  #wasWanted = false;
  /** What it waits for itself, each wanted by it unless it is idle. */
  #sources = NONE;

  constructor(executor) {
    if (executor === NOBODY) {
      return;
    }
    if (typeof executor !== "function") {
      throw new TypeError(`Promise resolver ${String(executor)} is not a function`);
    }
    const once = resolveOnce(this);
    try {
      executor(once.resolve, once.reject);
    } catch (error) {
      once.reject(error);
    }
  }

  then(onFulfilled, onRejected) {
    const constructor = this.constructor?.[Symbol.species] ?? JobPromise;
    if (constructor === JobPromise) {
      const promise = new JobPromise(NOBODY);
      this[REACT](new Reaction(onFulfilled, onRejected, promise));
      promise[DEPEND]([this]);
      return promise;
    }
    const capability = capabilityOf(constructor);
    this[REACT](new Reaction(onFulfilled, onRejected, capability));
    return capability.promise;
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

  [RESOLVE](value) {
    if (value === this) {
      this.#settle(REJECTED, new TypeError("a promise cannot be resolved with itself"));
      return;
    }
    if ((typeof value !== "object" || value === null) && typeof value !== "function") {
      this.#settle(FULFILLED, value);
      return;
    }
    let then;
    try {
      then = value.then;
    } catch (error) {
      this.#settle(REJECTED, error);
      return;
    }
    if (typeof then === "function") {
      jobs.push(new Following(this, value, then), FULFILLED, undefined);
    } else {
      this.#settle(FULFILLED, value);
    }
  }

  [REJECT](reason) {
    this.#settle(REJECTED, reason);
  }

  #settle(state, value) {
    const sources = this.#isIdle ? NONE : this.#sources;
    this.#sources = NONE;
    this.#state = state;
    this.#value = value;
    for (const source of sources) {
      source[WANT](false);
    }
    if (state === REJECTED && !this.#isHandled) {
      unhandled.add(this);
    }
    const reactions = this.#reactions ?? NONE;
    this.#reactions = null;
    for (const reaction of reactions) {
      jobs.push(reaction, state, value);
    }
    if (this[RACE] !== undefined) {
      racers.delete(this);
      this[RACE] = 0;
      tellRaces(this, state, value);
    }
  }

  get [IS_RACER]() {
    return this.#state === PENDING && this.constructor === JobPromise;
  }

  /** Takes part in races of many from now on, and is wanted for these. */
  [ENROL]() {
    if (!this[IS_RACER]) {
      return; // it has just decided the race
    }
    if (!racers.has(this)) {
      this.#isHandled = true;
      racers.add(this);
      this[WANT](true);
    }
    this[RACE] = lastRace;
  }

  /** Takes part in none of those that are open. */
  [RETIRE]() {
    racers.delete(this);
    this[RACE] = 0;
    this[WANT](false);
  }

  get #isIdle() {
    return this.#wasWanted && this.#wants === 0;
  }

  [WANT](isWanted) {
    const wasIdle = this.#isIdle;
    this.#wants += isWanted ? 1 : -1;
    this.#wasWanted = true;
    if (wasIdle !== this.#isIdle) {
      for (const source of this.#sources) {
        source[WANT](wasIdle);
      }
    }
  }

  /** It waits for these from now on, of which each has a reaction of its. */
  [DEPEND](sources) {
    if (this.#state !== PENDING) {
      sources.forEach((source) => source[WANT](false));
      return;
    }
    this.#sources = sources;
    if (this.#isIdle) {
      sources.forEach((source) => source[WANT](false));
    }
  }

  [REACT](reaction) {
    this.#isHandled = true;
    this[WANT](true);
    if (this.#state === PENDING) {
      this.#reactions ??= [];
      this.#reactions.push(reaction);
    } else {
      unhandled.delete(this);
      jobs.push(reaction, this.#state, this.#value);
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
    if (value instanceof JobPromise && value.constructor === this) {
      return value;
    }
    if (this !== JobPromise) {
      return new this((resolve) => resolve(value));
    }
    const promise = new JobPromise(NOBODY);
    promise[RESOLVE](value);
    return promise;
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

  static race(iterable) {
    const values = [...iterable];
    const race = values.length > REACTING_RACERS_MAX && this === JobPromise ? Race.of(values) : null;
    if (race !== null) {
      return race.begin();
    }
    const sources = [];
    const promise = new this((resolve, reject) => {
      for (const value of values) {
        listen(this, value, resolve, reject, sources);
      }
    });
    promise[DEPEND]?.(sources);
    return promise;
  }
}

Object.defineProperty(JobPromise, "name", { value: "Promise" });

/** Who takes part in a race of no more than this reacts to it like to anything else. */
const REACTING_RACERS_MAX = 8;

/** The promises that take part in races of many, and such races that have not ended. Each of the former is wanted once for all of them. */
const racers = new Set();
const races = new Set();

/** Counts the races; a promise has the number of its last one as `[RACE]`. */
let lastRace = 0;

/** Whether a race has begun or ceased to be wanted since it was last seen who takes part in none any more. */
let areRacesChanged = false;

/** Looks at one of the values of a race: most took part in the one before. */
function takesPartAgain(value) {
  if (!(value?.[RACE] > 0) || value[RACE] === lastRace) {
    return false;
  }
  value[RACE] = lastRace;
  return true;
}

/** A race of many. It is what its promise waits for, in place of all that take part. */
class Race {
  #promise = new JobPromise(NOBODY);
  isWanted = true;

  /** @param members promises that have not settled, each once */
  constructor(members) {
    this.members = members;
  }

  /** The race of these values, or null if there is one among them that has to be reacted to. */
  static of(values) {
    lastRace += 1;
    if (values.every(takesPartAgain)) {
      return new Race(values);
    }
    const members = [...new Set(values)];
    if (!members.every((value) => value instanceof JobPromise && value[IS_RACER])) {
      return null;
    }
    members.forEach((member) => member[ENROL]());
    return new Race(members);
  }

  begin() {
    races.add(this);
    areRacesChanged = true;
    this.#promise[DEPEND]([this]);
    return this.#promise;
  }

  react(state, value) {
    this.#promise[state === FULFILLED ? RESOLVE : REJECT](value);
  }

  [WANT](isWanted) {
    this.isWanted = isWanted;
    areRacesChanged = true;
    if (isWanted) {
      this.members.forEach((member) => member[ENROL]());
    }
  }
}

/** One that takes part in races has settled. */
function tellRaces(promise, state, value) {
  for (const race of races) {
    if (race.members.includes(promise)) {
      races.delete(race);
      jobs.push(race, state, value);
    }
  }
}

/** To be called before anybody acts on what is wanted: who takes part in no race any more is not wanted for one. */
export function settleWants() {
  while (areRacesChanged) {
    areRacesChanged = false;
    const wanted = [...races].filter(({ isWanted }) => isWanted);
    if (wanted.length !== 1 || wanted[0].members.length !== racers.size) {
      const members = new Set(wanted.flatMap((race) => race.members));
      [...racers].filter((racer) => !members.has(racer)).forEach((racer) => racer[RETIRE]());
    }
  }
}

/** What is still open when a function ends is nobody's race any more. */
export function endRaces() {
  racers.clear();
  races.clear();
  areRacesChanged = false;
}

/** A promise resolves once: later calls do nothing. */
function resolveOnce(promise) {
  let isResolved = false;
  return {
    resolve: (value) => {
      if (!isResolved) {
        isResolved = true;
        promise[RESOLVE](value);
      }
    },
    reject: (reason) => {
      if (!isResolved) {
        isResolved = true;
        promise[REJECT](reason);
      }
    },
  };
}

/** A promise of a class that is derived from this one is made by its own constructor. */
function capabilityOf(constructor) {
  const capability = {};
  capability.promise = new constructor((resolve, reject) => Object.assign(capability, { [RESOLVE]: resolve, [REJECT]: reject }));
  return capability;
}

/** What `then` was given, and the promise that it leads to. */
class Reaction {
  #onFulfilled;
  #onRejected;

  constructor(onFulfilled, onRejected, target) {
    this.#onFulfilled = onFulfilled;
    this.#onRejected = onRejected;
    this.target = target;
  }

  react(state, value) {
    const callback = state === FULFILLED ? this.#onFulfilled : this.#onRejected;
    if (typeof callback !== "function") {
      this.target[state === FULFILLED ? RESOLVE : REJECT](value);
      return;
    }
    let result;
    try {
      result = callback(value);
    } catch (error) {
      this.target[REJECT](error);
      return;
    }
    this.target[RESOLVE](result);
  }
}

/** Lets a promise follow what can be awaited, in a job of its own. */
class Following {
  #promise;
  #thenable;
  #then;

  constructor(promise, thenable, then) {
    this.#promise = promise;
    this.#thenable = thenable;
    this.#then = then;
  }

  react() {
    const once = resolveOnce(this.#promise);
    if (isReactive(this.#thenable)) {
      this.#thenable[REACT](new Listening(once.resolve, once.reject));
      this.#promise[DEPEND]([this.#thenable]);
      return;
    }
    try {
      this.#then.call(this.#thenable, once.resolve, once.reject);
    } catch (error) {
      once.reject(error);
    }
  }
}

/** Runs the generator that the build makes of the body of an `async` function, and gives its promise. */
export function runAsync(self, args, body) {
  const promise = new JobPromise(NOBODY);
  try {
    new AsyncBody(promise, body.apply(self, args)).react(FULFILLED, undefined);
  } catch (error) {
    promise[REJECT](error);
  }
  return promise;
}

/** Whether it can be reacted to. A promise of a derived class may have a `then` of its own, which must be called. */
export function isReactive(value) {
  return typeof value?.[REACT] === "function" && (!(value instanceof JobPromise) || value.constructor === JobPromise);
}

/** What can be reacted to, of any value. */
export function reactive(value) {
  return isReactive(value) ? value : JobPromise.resolve(value);
}

/** It reacts to what it awaits. */
class AsyncBody {
  #promise;
  #generator;

  constructor(promise, generator) {
    this.#promise = promise;
    this.#generator = generator;
  }

  react(state, value) {
    try {
      const step = state === FULFILLED ? this.#generator.next(value) : this.#generator.throw(value);
      if (step.done) {
        this.#promise[RESOLVE](step.value);
      } else {
        const awaited = reactive(step.value);
        awaited[REACT](this);
        this.#promise[DEPEND]([awaited]);
      }
    } catch (error) {
      this.#promise[REJECT](error);
    }
  }
}

/** Tells two functions how it ends, and nobody else. */
class Listening {
  #fulfilled;
  #rejected;

  constructor(fulfilled, rejected) {
    this.#fulfilled = fulfilled;
    this.#rejected = rejected;
  }

  react(state, value) {
    (state === FULFILLED ? this.#fulfilled : this.#rejected)(value);
  }
}

/** Listens to a value as a combinator does. What is listened to is added to the sources, if it is a promise of this module or a task. */
function listen(constructor, value, fulfilled, rejected, sources) {
  const promise = constructor === JobPromise ? reactive(value) : constructor.resolve(value);
  if (isReactive(promise)) {
    promise[REACT](new Listening(fulfilled, rejected));
    sources.push(promise);
  } else {
    promise.then(fulfilled, rejected);
  }
}

/** One slot per value. When all are filled, `done` gets them, in the order of the values. */
function combine(constructor, values, reactionsOf) {
  const sources = [];
  const promise = new constructor((resolve, reject) => {
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
      listen(constructor, value, reactions.fulfilled(index), reactions.rejected(index), sources);
      index += 1;
    }
    close();
  });
  promise[DEPEND]?.(sources);
  return promise;
}
