/** `EventTarget`, and the classes that abort a `fetch`. */

import { kindOf } from "../border.js";

export class Event {
  constructor(type, { cancelable = false } = {}) {
    this.type = type;
    this.cancelable = cancelable;
    this.defaultPrevented = false;
    this.target = null;
  }

  preventDefault() {
    this.defaultPrevented = this.cancelable;
  }
}

export class EventTarget {
  #listeners = [];

  addEventListener(type, listener, options) {
    const known = this.#listeners.some((entry) => entry.type === type && entry.listener === listener);
    if (listener && !known) {
      this.#listeners.push({ type, listener, once: options?.once === true });
    }
  }

  removeEventListener(type, listener) {
    this.#listeners = this.#listeners.filter((entry) => entry.type !== type || entry.listener !== listener);
  }

  dispatchEvent(event) {
    event.target = this;
    this[`on${event.type}`]?.(event);
    for (const { type, listener, once } of [...this.#listeners]) {
      if (type === event.type) {
        if (once) {
          this.removeEventListener(type, listener);
        }
        typeof listener === "function" ? listener.call(this, event) : listener.handleEvent(event);
      }
    }
    return !event.defaultPrevented;
  }
}

const ABORT = Symbol("abort");

export class AbortSignal extends EventTarget {
  aborted = false;
  reason = undefined;
  onabort = null;

  throwIfAborted() {
    if (this.aborted) {
      throw this.reason;
    }
  }

  [ABORT](reason = new DOMException("This operation was aborted", "AbortError")) {
    if (!this.aborted) {
      this.aborted = true;
      this.reason = reason;
      this.dispatchEvent(new Event("abort"));
    }
  }

  static abort(reason) {
    const signal = new AbortSignal();
    signal[ABORT](reason);
    return signal;
  }

  static timeout(milliseconds) {
    checkDelay(milliseconds);
    const signal = new AbortSignal();
    setTimeout(() => signal[ABORT](new DOMException("The operation timed out", "TimeoutError")), milliseconds);
    return signal;
  }

  static any(signals) {
    const signal = new AbortSignal();
    for (const source of signals) {
      if (source.aborted) {
        signal[ABORT](source.reason);
      }
      source.addEventListener("abort", () => signal[ABORT](source.reason), { once: true });
    }
    return signal;
  }
}

/** The same checks as in Node.js. */
function checkDelay(milliseconds) {
  const what = "The delay of AbortSignal.timeout";
  if (typeof milliseconds !== "number") {
    throw new TypeError(`${what} must be a number, not ${kindOf(milliseconds)}.`);
  }
  if (!Number.isInteger(milliseconds) || milliseconds < 0 || milliseconds >= 2 ** 32) {
    throw new RangeError(`${what} must be a whole number of milliseconds from 0 to ${2 ** 32 - 1}, not ${milliseconds}.`);
  }
}

export class AbortController {
  signal = new AbortSignal();

  abort(reason) {
    this.signal[ABORT](reason);
  }
}
