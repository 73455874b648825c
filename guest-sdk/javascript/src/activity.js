/** The scope of an activity or a trigger: real time, real randomness, and HTTP to the hosts that the hub allows. */

import { sendRequest } from "./http.js";
import { Reactor } from "./reactor.js";

/** The longest delay of a timer of Node.js, in milliseconds. */
const DELAY_MAX = 2 ** 31 - 1;

export class ActivityScope {
  waitsFor = "no timer and no request is open";
  hasClient = true;
  /** Called once, when nothing that the function waits for is open any more. */
  onIdle = null;
  #imports;
  #reactor;

  /** @param imports the WASI imports of `guest.js` */
  constructor(imports) {
    this.#imports = imports;
    this.#reactor = new Reactor(imports);
  }

  randomBytes(length) {
    return this.#imports.random.getRandomBytes(length);
  }

  /** As in Node.js, an invalid delay, or one that is too long, becomes a millisecond. */
  setTimer(milliseconds, callback) {
    const delay = milliseconds >= 1 && milliseconds <= DELAY_MAX ? milliseconds : 1;
    return this.#reactor.setTimer(delay, callback);
  }

  requireFetch() {}

  fetch(request, content) {
    return sendRequest(this.#imports, request, content, this.#reactor);
  }

  park() {
    if (this.#reactor.park()) {
      return true;
    }
    const { onIdle } = this;
    this.onIdle = null;
    onIdle?.();
    return onIdle !== null;
  }
}
