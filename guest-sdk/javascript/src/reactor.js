/** The event loop of an activity: timers, and WASI's pollables. */
export class Reactor {
  #clock;
  #poll;
  /** Callbacks by pollable. */
  #waiting = new Map();
  /** `{ due, callback }`, with `due` in nanoseconds of the monotonic clock; in the order in which they were set. */
  #timers = new Set();

  constructor({ clock, poll }) {
    this.#clock = clock;
    this.#poll = poll;
  }

  setTimer(milliseconds, callback) {
    const timer = { due: Number(this.#clock.now()) + Math.max(0, milliseconds) * NANOSECONDS, callback };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  /** Returns a promise that resolves when the pollable is ready. */
  ready(pollable) {
    return new Promise((resolve) => this.#waiting.set(pollable, resolve));
  }

  /** Blocks until something is ready; false if there is nothing to wait for. */
  park() {
    const timer = this.#nextTimer();
    const pollables = [...this.#waiting.keys()];
    if (!timer && pollables.length === 0) {
      return false;
    }
    if (timer) {
      pollables.push(this.#clock.subscribeInstant(toU64(timer.due)));
    }
    for (const index of this.#poll.poll(pollables)) {
      const pollable = pollables[index];
      const resolve = this.#waiting.get(pollable);
      if (resolve) {
        this.#waiting.delete(pollable);
        resolve();
      } else {
        this.#timers.delete(timer);
        timer.callback();
      }
      release(pollable);
    }
    return true;
  }

  #nextTimer() {
    let next;
    for (const timer of this.#timers) {
      if (!next || timer.due < next.due) {
        next = timer;
      }
    }
    return next;
  }
}

const NANOSECONDS = 1e6;

/** Releases a handle at once, because a resource must not be dropped before its children. */
export function release(resource) {
  resource[Symbol.dispose ?? Symbol.for("dispose")]?.();
}

/** 64-bit integers are numbers in QuickJS and BigInts in StarlingMonkey. */
export function toU64(number) {
  const whole = Math.ceil(number);
  return globalThis.__dacapo.hasBigIntegers ? BigInt(whole) : whole;
}
