/**
 * Promises whose jobs the SDK runs itself.
 *
 * Every export of a guest is synchronous, and the engine runs the jobs of its own promises only between exports: an `await`
 * of an engine promise would never continue. So these promises replace the engine's (`globals/index.js`), and the build
 * lowers `async` functions onto them. Jobs run in the order in which they were enqueued, so the order in an orchestrator
 * depends only on the order in which tasks complete.
 *
 * A promise is *idle* if something has waited for it and nothing does any more, because it lost a race. An idle promise does not
 * want its sources, so a wait for an event that lost a race takes no event. A promise that nothing has ever waited for is not
 * idle: it continues by itself.
 *
 * Code that takes the results of many promises as they arrive makes a race of all remaining ones, again and again. To make this
 * cheap, the members of a large race get no reactions to it: the race only looks at each of them once (`Race`).
 */

const PENDING = "pending";
export const FULFILLED = "fulfilled";
const REJECTED = "rejected";

/** The queue of jobs, three entries each: a reaction, the state of the promise that it reacts to, and its value. */
const jobs = [];

/** Promises that were rejected without a handler. */
const unhandled = new Set();

const NONE = Object.freeze([]);

/** Enqueues a job that calls a function. */
export function enqueueJob(callback) {
  const body = inFlow(callback);
  jobs.push({ react: () => body() }, FULFILLED, undefined);
}

/** Makes, of a function that will run later, one that runs with what the code has now; null if nothing does that (`node/async_hooks.js`). */
let follow = null;

export function followFlow(capture) {
  follow = capture;
}

export function inFlow(body) {
  return follow === null ? body : follow(body);
}

function reactionInFlow(reaction) {
  return follow === null ? reaction : { react: follow((state, value) => reaction.react(state, value)) };
}

/** Enqueues a job that calls a reaction. */
export function enqueueReaction(reaction, isFulfilled, value) {
  jobs.push(reaction, isFulfilled ? FULFILLED : REJECTED, value);
}

/** Runs jobs until none is left, including those that they enqueue. If one throws, the others are dropped. */
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

/** Returns the reasons of unhandled rejections since the last call. */
export function takeUnhandledRejections() {
  if (unhandled.size === 0) {
    return NONE;
  }
  const reasons = [...unhandled].map((promise) => promise[REASON]());
  unhandled.clear();
  return reasons;
}

/**
 * `[REACT](reaction)` calls `reaction.react(state, value)` in a job, once the promise is settled. Tasks have it too, so that
 * awaiting one needs no promise.
 */
export const REACT = Symbol("react");
/** `[WANT](isWanted)`: adds a waiter, or removes one. */
export const WANT = Symbol("want");
const DEPEND = Symbol("depend");
const REASON = Symbol("reason");
const RACE = Symbol("race");
const IS_RACER = Symbol("is a racer");
const ENROL = Symbol("enrol");
const RETIRE = Symbol("retire");
const RESOLVE = Symbol("resolve");
const REJECT = Symbol("reject");

/** The executor of a promise that this module settles. */
const NOBODY = () => {};

export class JobPromise {
  #state = PENDING;
  #value;
  #reactions = null;
  #isHandled = false;
  #wants = 0;
  #wasWanted = false;
  /** The promises and tasks that this one waits for. It wants them unless it is idle. */
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
      this[REACT](reactionInFlow(new Reaction(onFulfilled, onRejected, promise)));
      promise[DEPEND]([this]);
      return promise;
    }
    const capability = capabilityOf(constructor);
    this[REACT](reactionInFlow(new Reaction(onFulfilled, onRejected, capability)));
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

  /** Makes it a member of a large race. The races together count as one waiter. */
  [ENROL]() {
    if (!this[IS_RACER]) {
      return; // it has just settled, and decided the race
    }
    if (!racers.has(this)) {
      this.#isHandled = true;
      racers.add(this);
      this[WANT](true);
    }
    this[RACE] = lastRace;
  }

  /** Called when it is no longer a member of an open race. */
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

  /** Sets its sources, each of which has a reaction of this promise. */
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

/** Up to this number of members, a race uses ordinary reactions. */
const REACTING_RACERS_MAX = 8;

/** The members of open large races, and these races. All races together count as one waiter of a member. */
const racers = new Set();
const races = new Set();

/** The number of the last race; `[RACE]` of a promise is the number of the last one that it is a member of. */
let lastRace = 0;

/** Whether a race has begun, or has become wanted or unwanted, since the last `settleWants`. */
let areRacesChanged = false;

/** The fast path for a value of a race: most were members of the race before. */
function takesPartAgain(value) {
  if (!(value?.[RACE] > 0) || value[RACE] === lastRace) {
    return false;
  }
  value[RACE] = lastRace;
  return true;
}

/** A large race. It is the source of its promise, in place of all members. */
class Race {
  #promise = new JobPromise(NOBODY);
  isWanted = true;

  /** @param members promises that have not settled, each once */
  constructor(members) {
    this.members = members;
  }

  /** Makes a race of values, or returns null if one of them needs an ordinary reaction. */
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

/** Decides the races of a member that has settled. */
function tellRaces(promise, state, value) {
  for (const race of races) {
    if (race.members.includes(promise)) {
      races.delete(race);
      jobs.push(race, state, value);
    }
  }
}

/** Retires the promises that are no longer members of a wanted race. Must be called before the wanted tasks are used. */
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

/** Drops the races that are still open when a function ends. */
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

/** Makes a promise of a derived class, with the constructor of that class. */
function capabilityOf(constructor) {
  const capability = {};
  capability.promise = new constructor((resolve, reject) => Object.assign(capability, { [RESOLVE]: resolve, [REJECT]: reject }));
  return capability;
}

/** The callbacks of `then`, and the promise that it returned. */
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

/** Makes a promise follow a thenable, in a separate job. */
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

/** Runs the generator that the build makes from the body of an `async` function, and returns the promise of the function. */
export function runAsync(self, args, body) {
  const promise = new JobPromise(NOBODY);
  try {
    new AsyncBody(promise, body.apply(self, args)).react(FULFILLED, undefined);
  } catch (error) {
    promise[REJECT](error);
  }
  return promise;
}

/** Whether `[REACT]` can be used. A promise of a derived class may have its own `then`, which must be called. */
export function isReactive(value) {
  return typeof value?.[REACT] === "function" && (!(value instanceof JobPromise) || value.constructor === JobPromise);
}

/** Converts any value to a promise or task with `[REACT]`. */
export function reactive(value) {
  return isReactive(value) ? value : JobPromise.resolve(value);
}

/** The body of an `async` function, as a reaction to the promise that it awaits. */
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
        awaited[REACT](reactionInFlow(this));
        this.#promise[DEPEND]([awaited]);
      }
    } catch (error) {
      this.#promise[REJECT](error);
    }
  }
}

/** A reaction that only calls one of two functions. */
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

/** Adds the reactions of a combinator to a value. Adds it to the sources, too, if it is a promise of this module or a task. */
function listen(constructor, value, fulfilled, rejected, sources) {
  const promise = constructor === JobPromise ? reactive(value) : constructor.resolve(value);
  if (isReactive(promise)) {
    promise[REACT](new Listening(fulfilled, rejected));
    sources.push(promise);
  } else {
    promise.then(fulfilled, rejected);
  }
}

/** Makes a combinator with one slot per value. When all are filled, `done` gets the results in the order of the values. */
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
