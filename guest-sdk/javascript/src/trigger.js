/** Registers the functions that triggers run, for all programming models. */

import { readBindings } from "./bindings.js";
import { leaveOut, register } from "./registry.js";

/**
 * Registers a trigger, or notes that it is left out because the host lacks one of its bindings.
 *
 * @param run `(call, input, { trigger, bindings }) => output`, with the JSON of the contract's `run-trigger` as values
 * @param body the function of the app, for errors
 */
export function registerTrigger(name, given, run, body) {
  const read = readBindings(given);
  if (read.leftOut) {
    leaveOut(name, read.leftOut);
    return;
  }
  register("trigger", name, (call) => run(call, JSON.parse(call.input) ?? {}, read), body, read.bindings);
}
