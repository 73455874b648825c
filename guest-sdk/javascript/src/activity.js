/** The scope of an activity: real time, real randomness, and HTTP as far as the hub grants it. */

import { sendRequest } from "./http.js";
import { Reactor } from "./reactor.js";

export class ActivityScope {
  waitsFor = "no timer and no request is open";
  #imports;
  #reactor;

  /** @param imports WASI, as `guest.js` gets it, and `call`, the contract's `activity-call` */
  constructor(imports, call) {
    this.#imports = imports;
    this.#reactor = new Reactor(imports);
    this.call = call;
  }

  randomBytes(length) {
    return this.#imports.random.getRandomBytes(length);
  }

  setTimer(milliseconds, callback) {
    return this.#reactor.setTimer(milliseconds, callback);
  }

  fetch(request) {
    return sendRequest(this.#imports, request, this.#reactor);
  }

  park() {
    return this.#reactor.park();
  }
}
