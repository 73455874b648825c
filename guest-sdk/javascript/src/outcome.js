/** The outcome of a function: a value or an error, at once or when the promise that it returned settles. */

import { FULFILLED, isReactive, REACT } from "./promise.js";

const OPEN = "open";
const VALUE = "value";
const ERROR = "error";

export class Outcome {
  #state = OPEN;
  #value;

  /** Calls a function and returns its outcome. If the function returns an Outcome, that is started and returned. */
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

  /** Returns the value, or throws the error. */
  get() {
    if (this.#state === ERROR) {
      throw this.#value;
    }
    return this.#value;
  }

  /** Takes over a value, or the result of a thenable, which may be a thenable again. */
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
      // Reading `then` may throw.
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
