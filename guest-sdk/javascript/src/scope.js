/**
 * The scope of the running function. An instance of a guest runs one function at a time, and its kind determines what the
 * globals may do. Each kind has a scope with:
 *
 * - `randomBytes(length)`;
 * - `setTimer(milliseconds, callback)`, which returns a function that cancels it;
 * - `fetch(request, content)`;
 * - `hasClient`: whether it may use the durable client;
 * - `park()`, which blocks until something has completed and notifies its waiters, or returns false at once if nothing
 *   can complete any more.
 */

import { endRaces, takeUnhandledRejections, runJobs, settleWants } from "./promise.js";
import { DurableError } from "./failure.js";
import { Outcome } from "./outcome.js";

let current = null;

/** The scope, or null while the app is loaded. */
export function currentScope() {
  return current;
}

/** Returns the scope of the running function, or throws an error that names `what`, which needs one. */
export function requireScope(what) {
  if (current === null) {
    throw new DurableError(`${what} is not available while the app is loaded: use it inside a function`, { type: "NotAvailable", retriable: false });
  }
  return current;
}

/** Whether the running function may use the durable client. Tests without a host may, with a client of their own. */
export function mayUseClient() {
  return current === null || current.hasClient === true;
}

export function enter(scope) {
  current = scope;
}

export function leave() {
  current = null;
  endRaces();
}

/** Calls a function in a scope, and runs jobs until it has an outcome. Blocks; returns the value or throws the error. */
export function runInScope(scope, body, ...args) {
  enter(scope);
  try {
    const outcome = Outcome.of(body, ...args);
    for (;;) {
      runJobs();
      for (const reason of takeUnhandledRejections()) {
        console.error("unhandled promise rejection:", reason);
      }
      if (outcome.isThere) {
        return outcome.get();
      }
      settleWants();
      if (!scope.park()) {
        throw nothingToWaitFor(scope.waitsFor);
      }
    }
  } finally {
    leave();
  }
}

export function nothingToWaitFor(waitsFor) {
  return new DurableError(`it awaits something that never completes: ${waitsFor}`, { type: "NothingToWaitFor", retriable: false });
}
