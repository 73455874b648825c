/** `assert` and `assert/strict`. */

import { inspect } from "../inspect.js";
import { isDeepEqual, isDeepStrictEqual } from "./deep-equal.js";

export class AssertionError extends Error {
  constructor({ message, actual, expected, operator = "fail" }) {
    super(message ?? `${inspect(actual)} ${operator} ${inspect(expected)}`);
    Object.assign(this, { actual, expected, operator, code: "ERR_ASSERTION", generatedMessage: message === undefined });
  }

  get name() {
    return "AssertionError";
  }
}

function check(isTrue, details) {
  if (isTrue) {
    return;
  }
  if (details.message instanceof Error) {
    throw details.message;
  }
  throw new AssertionError(details);
}

const comparison = (operator, holds) => (actual, expected, message) => check(holds(actual, expected), { actual, expected, message, operator });

export const equal = comparison("==", (a, b) => a == b || (Number.isNaN(a) && Number.isNaN(b)));
export const notEqual = comparison("!=", (a, b) => !(a == b || (Number.isNaN(a) && Number.isNaN(b))));
export const strictEqual = comparison("strictEqual", Object.is);
export const notStrictEqual = comparison("notStrictEqual", (a, b) => !Object.is(a, b));
export const deepEqual = comparison("deepEqual", isDeepEqual);
export const notDeepEqual = comparison("notDeepEqual", (a, b) => !isDeepEqual(a, b));
export const deepStrictEqual = comparison("deepStrictEqual", isDeepStrictEqual);
export const notDeepStrictEqual = comparison("notDeepStrictEqual", (a, b) => !isDeepStrictEqual(a, b));
export const match = comparison("match", (text, pattern) => pattern.test(text));
export const doesNotMatch = comparison("doesNotMatch", (text, pattern) => !pattern.test(text));

export function ok(value, message) {
  check(value, { actual: value, expected: true, operator: "==", message: message ?? `The expression is ${inspect(value)}, which is not true.` });
}

export function fail(message = "Failed") {
  check(false, { message });
}

export function ifError(value) {
  if (value !== null && value !== undefined) {
    throw value instanceof Error ? value : new AssertionError({ actual: value, expected: null, operator: "ifError" });
  }
}

/** Checks a thrown value by a class, a pattern, a function, or an object with properties. */
function requireExpected(error, expected, message) {
  const details = { actual: error, expected, operator: "throws", message: typeof expected === "string" ? expected : message };
  if (expected === undefined || typeof expected === "string") {
    return;
  }
  if (expected instanceof RegExp) {
    check(expected.test(String(error)), details);
  } else if (typeof expected !== "function") {
    const matches = (key) => (expected[key] instanceof RegExp && typeof error[key] === "string" ? expected[key].test(error[key]) : isDeepStrictEqual(error[key], expected[key]));
    check([...Object.keys(expected), ...(expected instanceof Error ? ["name", "message"] : [])].every(matches), details);
  } else if (expected.prototype === undefined || !(error instanceof expected)) {
    // A class that the error is no instance of: what was thrown is another error.
    if (expected === Error || Error.isPrototypeOf(expected)) {
      throw error;
    }
    check(expected.call({}, error) === true, details);
  }
}

const NOTHING = Symbol("nothing");

function thrownBy(body) {
  try {
    body();
    return NOTHING;
  } catch (error) {
    return error;
  }
}

async function rejectionOf(promise) {
  try {
    await (typeof promise === "function" ? promise() : promise);
    return NOTHING;
  } catch (error) {
    return error;
  }
}

function requireThrown(error, expected, message, what) {
  check(error !== NOTHING, { operator: what, expected, message: typeof expected === "string" ? expected : (message ?? `Missing expected ${what === "throws" ? "exception" : "rejection"}.`) });
  requireExpected(error, expected, message);
}

function requireNothing(error, message, operator) {
  check(error === NOTHING, { actual: error, operator, message: typeof message === "string" ? message : `Got unwanted ${operator === "doesNotThrow" ? "exception" : "rejection"}: ${error?.message}` });
}

export const throws = (body, expected, message) => requireThrown(thrownBy(body), expected, message, "throws");
export const doesNotThrow = (body, expected, message) => requireNothing(thrownBy(body), message ?? expected, "doesNotThrow");
export const rejects = async (promise, expected, message) => requireThrown(await rejectionOf(promise), expected, message, "rejects");
export const doesNotReject = async (promise, expected, message) => requireNothing(await rejectionOf(promise), message ?? expected, "doesNotReject");

const all = { AssertionError, ok, fail, ifError, match, doesNotMatch, throws, doesNotThrow, rejects, doesNotReject, strictEqual, notStrictEqual, deepStrictEqual, notDeepStrictEqual };

export const strict = Object.assign((value, message) => ok(value, message), all, {
  equal: strictEqual,
  notEqual: notStrictEqual,
  deepEqual: deepStrictEqual,
  notDeepEqual: notDeepStrictEqual,
});
strict.strict = strict;

export default Object.assign((value, message) => ok(value, message), all, { equal, notEqual, deepEqual, notDeepEqual, strict });
