/** How a function ends: with a value or an error, at once or when the promise that it gave settles. */

const OPEN = "open";
const VALUE = "value";
const ERROR = "error";

export class Outcome {
  #state = OPEN;
  #value;

  /** That of a call. A function may give its outcome itself. */
  static of(body, ...args) {
    try {
      const result = body(...args);
      return result instanceof Outcome ? result : new Outcome().follow(result);
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
    if (typeof value?.then !== "function") {
      return this.#settle(VALUE, value);
    }
    value.then(
      (result) => this.#followSafely(result),
      (error) => this.fail(error),
    );
    return this;
  }

  /** Reading `then` may throw, and so may calling it. */
  #followSafely(value) {
    try {
      this.follow(value);
    } catch (error) {
      this.fail(error);
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
