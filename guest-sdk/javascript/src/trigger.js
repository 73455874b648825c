/** Registers the functions that triggers run, for all programming models. */

import { readBindings } from "./bindings.js";
import { leaveOut, noteAbsent, register } from "./registry.js";

/**
 * Registers a trigger, or notes that it is left out because the host lacks it. Of its other bindings, those that the host lacks are noted.
 *
 * @param run `(call, input, { trigger, bindings, absent, declared }) => output`, with the JSON of the contract's `run-trigger` as values
 * @param body the function of the app, for errors
 */
export function registerTrigger(name, given, run, body) {
  const read = readBindings(given);
  if (read.leftOut) {
    leaveOut(name, read.leftOut);
    return;
  }
  requireNames(name, read.bindings);
  register("trigger", name, (call) => run(call, JSON.parse(call.input) ?? {}, read), body, read.bindings);
  noteAbsent(name, read.absent);
}

/** The names of bindings are the keys of inputs and outputs. */
function requireNames(name, bindings) {
  const names = new Set();
  for (const binding of bindings) {
    if (typeof binding.name !== "string" || binding.name === "") {
      throw new TypeError(`The binding '${binding.type}' of the function '${name}' needs a name.`);
    }
    if (names.has(binding.name)) {
      throw new TypeError(`Two bindings of the function '${name}' have the name '${binding.name}': give one of them another "name".`);
    }
    names.add(binding.name);
  }
}
