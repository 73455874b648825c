/** How a function ends: with a value or an error, at once or when the promise that it gave settles. */

import { FULFILLED, isReactive, REACT } from "./promise.js";

const OPEN = "open";
const VALUE = "value";
const ERROR = "error";

export class Outcome {
  #state = OPEN;
  #value;

  /** That of a call. A function may give its outcome itself, which begins then. */
  static of(body, ...args) {
    try {
      const result = body(...args);
      return result instanceof Outcome ? result.begin() : new Outcome().follow(result);
    } catch (error) {
      return new Outcome().fail(error);
    }
  }

  get isThere() {
    return this.#state !== OPEN;
  }

  /** The value; an error is thrown. */
  get() {
    if (this.#state === ERROR) {
      throw this.#value;
    }
    return this.#value;
  }

  /** What can be awaited may give what can be awaited. */
  follow(value) {
    if (isReactive(value)) {
      value[REACT](this);
      return this;
    }
    if (typeof value?.then === "function") {
      value.then(
        (result) => this.react(FULFILLED, result),
        (error) => this.fail(error),
      );
      return this;
    }
    return this.#settle(VALUE, value);
  }

  react(state, value) {
    try {
      return state === FULFILLED ? this.follow(value) : this.fail(value);
    } catch (error) {
      // What it is to follow cannot even be asked.
      return this.fail(error);
    }
  }

  fail(error) {
    return this.#settle(ERROR, error);
  }

  #settle(state, value) {
    if (this.#state === OPEN) {
      this.#state = state;
      this.#value = value;
    }
    return this;
  }
}
