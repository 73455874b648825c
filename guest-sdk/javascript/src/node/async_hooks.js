/**
 * `async_hooks`: a store that follows the control flow. Promises are the SDK's, so a reaction can run with the stores of the place where it was
 * added; see `followFlow` in `promise.js`.
 */

import { followFlow } from "../promise.js";
import { currentScope } from "../scope.js";

/** The stores of the code that runs: never changed, only replaced. They are those of one call. */
let current = new Map();
let owner = null;

function stores() {
  if (owner !== currentScope()) {
    owner = currentScope();
    current = new Map();
  }
  return current;
}

function runWith(inner, body, self, args) {
  const outer = stores();
  current = inner;
  try {
    return body.apply(self, args);
  } finally {
    current = outer;
  }
}

/** Called for each function that runs later. */
function captured(body) {
  const captive = stores();
  return (...args) => runWith(captive, body, undefined, args);
}

export class AsyncLocalStorage {
  #default;

  constructor({ defaultValue } = {}) {
    this.#default = defaultValue;
  }

  static bind(body) {
    const captive = stores();
    return function (...args) {
      return runWith(captive, body, this, args);
    };
  }

  static snapshot() {
    const captive = stores();
    return (body, ...args) => runWith(captive, body, undefined, args);
  }

  getStore() {
    return stores().has(this) ? current.get(this) : this.#default;
  }

  run(store, body, ...args) {
    followFlow(captured);
    return runWith(new Map(stores()).set(this, store), body, undefined, args);
  }

  exit(body, ...args) {
    return this.run(undefined, body, ...args);
  }

  enterWith(store) {
    followFlow(captured);
    current = new Map(stores()).set(this, store);
  }

  disable() {
    current = new Map(stores());
    current.delete(this);
  }
}

export class AsyncResource {
  #stores = stores();

  constructor(type) {
    this.type = type;
  }

  static bind(body) {
    return AsyncLocalStorage.bind(body);
  }

  bind(body) {
    return (...args) => this.runInAsyncScope(body, undefined, ...args);
  }

  runInAsyncScope(body, self, ...args) {
    return runWith(this.#stores, body, self, args);
  }

  emitDestroy() {
    return this;
  }

  asyncId() {
    return 0;
  }

  triggerAsyncId() {
    return 0;
  }
}

export const executionAsyncId = () => 0;
export const triggerAsyncId = () => 0;
export const executionAsyncResource = () => ({});
export const createHook = () => ({ enable: () => {}, disable: () => {} });

export default { AsyncLocalStorage, AsyncResource, createHook, executionAsyncId, executionAsyncResource, triggerAsyncId };
