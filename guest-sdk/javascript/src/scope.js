/**
 * What runs at present. An instance of a guest runs one function at a time, and what the globals may do depends on its
 * kind. Each kind has a scope with:
 *
 * - `randomBytes(length)`;
 * - `setTimer(milliseconds, callback)`, which gives a function that cancels it;
 * - `fetch(request)`;
 * - `park()`, which blocks until something has completed and tells those who wait for it, or gives false at once if
 *   nothing can complete any more.
 */

import { endRaces, takeUnhandledRejections, runJobs, settleWants } from "./promise.js";
import { DurableError } from "./failure.js";
import { Outcome } from "./outcome.js";

let current = null;

/** The scope, or null while the app is loaded. */
export function currentScope() {
  return current;
}

/** The scope of a function that runs; `what` needs one. */
export function requireScope(what) {
  if (current === null) {
    throw new DurableError(`${what} is not there while the app is loaded: use it inside a function`, { type: "NotAvailable", retriable: false });
  }
  return current;
}

export function enter(scope) {
  current = scope;
}

export function leave() {
  current = null;
  endRaces();
}

/** Calls a function in a scope, and runs all that it leads to, until its outcome is there. Blocks; gives the outcome or throws. */
export function runInScope(scope, body, ...args) {
  enter(scope);
  try {
    const outcome = Outcome.of(body, ...args);
    for (;;) {
      runJobs();
      for (const reason of takeUnhandledRejections()) {
        console.error("a promise was rejected and nobody listened:", reason);
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
