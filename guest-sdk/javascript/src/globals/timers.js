/** Timers: durable ones in an orchestrator, real ones in an activity, none in an entity. */

import { kindOf } from "../border.js";
import { enqueueJob, inFlow } from "../promise.js";
import { requireScope } from "../scope.js";

/** Timers that are set, by their numbers: code for Node.js keeps the timer, code for the web may keep its number. */
const timers = new Map();
let last = 0;

/** A timer, as Node.js returns it. A function ends when it has an outcome, so whether a timer is referred to says nothing. */
class Timeout {
  #callback;
  #delay;
  #repeats;
  #number;
  #cancel = null;

  constructor(callback, milliseconds, repeats) {
    if (typeof callback !== "function") {
      throw new TypeError(`The callback of a timer must be a function, not ${kindOf(callback)}.`);
    }
    const delay = Number(milliseconds);
    last += 1;
    this.#number = last;
    this.#callback = inFlow(callback);
    this.#delay = delay > 0 ? delay : 0;
    this.#repeats = repeats;
    this.refresh();
  }

  refresh() {
    this.close();
    this.#cancel = requireScope("a timer").setTimer(this.#delay, () => this.#tick());
    timers.set(this.#number, this);
    return this;
  }

  #tick() {
    if (this.#repeats) {
      this.refresh();
    } else {
      this.#cancel = null;
      timers.delete(this.#number);
    }
    this.#callback();
  }

  close() {
    this.#cancel?.();
    this.#cancel = null;
    timers.delete(this.#number);
    return this;
  }

  ref() {
    return this;
  }

  unref() {
    return this;
  }

  hasRef() {
    return true;
  }

  [Symbol.toPrimitive]() {
    return this.#number;
  }
}

export function setTimeout(callback, milliseconds = 0, ...args) {
  return new Timeout(args.length > 0 ? bound(callback, args) : callback, milliseconds, false);
}

export function setInterval(callback, milliseconds = 0, ...args) {
  return new Timeout(args.length > 0 ? bound(callback, args) : callback, milliseconds, true);
}

/** What is not a function is refused later. */
const bound = (callback, args) => (typeof callback === "function" ? () => callback(...args) : callback);

export function clearTimeout(timer) {
  (timer instanceof Timeout ? timer : timers.get(Number(timer)))?.close();
}

export const clearInterval = clearTimeout;

class Immediate {
  isCleared = false;

  ref() {
    return this;
  }

  unref() {
    return this;
  }

  hasRef() {
    return true;
  }
}

export function setImmediate(callback, ...args) {
  if (typeof callback !== "function") {
    throw new TypeError(`The callback of a timer must be a function, not ${kindOf(callback)}.`);
  }
  const immediate = new Immediate();
  enqueueJob(() => immediate.isCleared || callback(...args));
  return immediate;
}

export function clearImmediate(immediate) {
  if (immediate instanceof Immediate) {
    immediate.isCleared = true;
  }
}

/** For `util.promisify`. */
const PROMISIFY = Symbol.for("nodejs.util.promisify.custom");
setTimeout[PROMISIFY] = (milliseconds, value) => new Promise((resolve) => setTimeout(resolve, milliseconds, value));
setImmediate[PROMISIFY] = (value) => new Promise((resolve) => setImmediate(resolve, value));
