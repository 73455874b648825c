/** Runs an orchestrator of any style: a generator, an `async` function, or a plain function. */

import { DurableError } from "./failure.js";
import { currentScope } from "./scope.js";

/**
 * Calls the handler with its context, and drives the generator if it returns one.
 *
 * @returns its output, a promise of it, or its outcome
 */
export function runHandler(run, handler, context, input) {
  const result = handler(context, input);
  if (typeof result?.[Symbol.asyncIterator] === "function" && typeof result.next === "function") {
    throw new DurableError("an orchestrator cannot be an async generator: use `function*` with `yield`, or `async` with `await`", {
      type: "InvalidOrchestrator",
      retriable: false,
    });
  }
  return isGenerator(result) ? run.drive(result) : result;
}

function isGenerator(value) {
  return (
    typeof value?.[Symbol.iterator] === "function" &&
    typeof value.next === "function" &&
    typeof value.throw === "function"
  );
}

/** The actions of the running orchestration, for calls of registered functions without a context: `yield sayHello("Tokyo")`. */
export function requireActions(what) {
  const actions = currentScope()?.actions;
  if (!actions) {
    throw new Error(`${what} can be called in an orchestrator only.`);
  }
  return actions;
}
