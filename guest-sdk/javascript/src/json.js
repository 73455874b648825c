/** Conversion of payloads to and from JSON texts. */

import { DurableError } from "./failure.js";
import { inspect } from "./inspect.js";

/** `what` names the value in the message; `type` is that of the failure. */
export function toJson(value, what, type = "InvalidInput") {
  try {
    // A value that JSON cannot represent (`undefined`, a function) becomes null.
    return JSON.stringify(value) ?? "null";
  } catch (error) {
    throw new DurableError(`${what} cannot be written as JSON: ${inspect(error?.message ?? error)}`, { type, retriable: false });
  }
}

/** `null` means that none was given, and becomes `undefined`, so that a default in the parameter list takes effect. */
export function inputFromJson(json) {
  return JSON.parse(json) ?? undefined;
}
