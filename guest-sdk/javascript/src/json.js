/** Payloads cross as JSON texts. */

import { DurableError } from "./failure.js";
import { inspect } from "./inspect.js";

/** `what` names the value in the message; `type` is that of the failure. */
export function toJson(value, what, type = "InvalidInput") {
  try {
    // What JSON has no word for (`undefined`, a function) is nothing.
    return JSON.stringify(value) ?? "null";
  } catch (error) {
    throw new DurableError(`${what} cannot be written as JSON: ${inspect(error?.message ?? error)}`, { type, retriable: false });
  }
}

/** `null` stands for "none was given": then a default in the parameter list takes effect. */
export function inputFromJson(json) {
  return JSON.parse(json) ?? undefined;
}
