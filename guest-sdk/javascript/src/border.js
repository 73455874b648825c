/**
 * What crosses to the host: values of the type that the contract says, and text that UTF-8 can hold. The engines end the
 * guest otherwise, with an error of their own that nobody can catch.
 */

/** Half of a surrogate pair, as `slice` leaves of an emoji, becomes the replacement character. */
export function wellFormed(text) {
  return text.toWellFormed();
}

/** @param what names the argument in the error */
export function requireText(value, what) {
  if (typeof value !== "string") {
    throw new TypeError(`${what} must be a string, not ${kindOf(value)}.`);
  }
  return wellFormed(value);
}

export function optionalText(value, what) {
  return value === undefined || value === null ? null : requireText(value, what);
}

/** An empty one means that there is none, as in the original. */
export function optionalId(value) {
  return value === "" ? null : optionalText(value, "instanceId");
}

/** A text that is not empty: the name of an event, of which the contract says no more. */
export function requireName(value, what) {
  const text = requireText(value, what);
  if (text === "") {
    throw new TypeError(`${what} must be a string that is not empty.`);
  }
  return text;
}

/** The names of the app's own functions, which are looked at once, when the app is loaded. */
const knownNames = new Set();

export function noteFunctionName(name) {
  if (!NOT_OF_FUNCTIONS.test(name)) {
    knownNames.add(name);
  }
}

/** What the contract lets a function be called. The host ends an orchestrator that names what can be none. */
export function requireFunctionName(value, what) {
  if (knownNames.has(value)) {
    return value;
  }
  return checkText(requireName(value, what), what, FUNCTION_CHARS_MAX, NOT_OF_FUNCTIONS);
}

/** The name of an operation, or a version: a text that may be empty. */
export function requireLabel(value, what) {
  return checkText(requireText(value, what), what, LABEL_CHARS_MAX, NOTHING);
}

/** The id of an orchestration that is to begin, or null. */
export function optionalNewId(value) {
  const id = optionalId(value);
  if (id === null) {
    return null;
  }
  if (id.startsWith("@") || WHITE_SPACE.test(id)) {
    throw new RangeError(`instanceId must not begin with '@' or be white space only: '${excerpt(id)}'.`);
  }
  return requireId(id, "instanceId");
}

/** As Unicode has it, and the host: `trim` takes U+FEFF for white space too. */
const WHITE_SPACE = /^[\t-\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]*$/;

/** The id of any instance. */
export function requireId(value, what) {
  const id = checkText(requireName(value, what), what, ID_CHARS_MAX, NOT_OF_IDS);
  if (/^(@[^@]+@)?\.\.?$/.test(id)) {
    throw new RangeError(`${what} must not be '.' or '..', which no address can name: '${id}'.`);
  }
  return id;
}

const FUNCTION_CHARS_MAX = 128;
const ID_CHARS_MAX = 256;
const LABEL_CHARS_MAX = 256;

/** Control characters, what parts an address, and (not for ids) white space as Unicode has it. */
const NOT_OF_IDS = /[\0-\x1f\x7f-\x9f/\\#?]/;
const NOT_OF_FUNCTIONS = /[\0-\x20\x7f-\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000/\\#?@]/;

const NOTHING = /(?!)/;

function checkText(text, what, charactersMax, forbidden) {
  if (text.length > charactersMax && [...text].length > charactersMax) {
    throw new RangeError(`${what} must have at most ${charactersMax} characters: '${excerpt(text)}'.`);
  }
  const found = forbidden.exec(text);
  if (found) {
    throw new RangeError(`${what} must not contain ${JSON.stringify(found[0])}: '${excerpt(text)}'.`);
  }
  return text;
}

export function requireNumber(value, what) {
  if (typeof value !== "number" || Number.isNaN(value)) {
    throw new TypeError(`${what} must be a number, not ${kindOf(value)}.`);
  }
  return value;
}

/** @returns a number that is not negative, or null */
export function optionalLength(value, what) {
  return value === undefined || value === null ? null : requireLength(value, what);
}

export function requireLength(value, what) {
  if (requireNumber(value, what) < 0) {
    throw new RangeError(`${what} must not be negative, and is ${value}.`);
  }
  return value;
}

export function optionalBoolean(value, what) {
  if (value !== undefined && value !== null && typeof value !== "boolean") {
    throw new TypeError(`${what} must be a boolean, not ${kindOf(value)}.`);
  }
  return value ?? undefined;
}

/** What a value is, in words for an error. */
export function kindOf(value) {
  if (value === null || value === undefined || Number.isNaN(value)) {
    return String(value);
  }
  return typeof value === "object" ? `an object (${value.constructor?.name ?? "Object"})` : `a ${typeof value} (${excerpt(String(value))})`;
}

const EXCERPT_CHARS = 40;

function excerpt(text) {
  return text.length > EXCERPT_CHARS ? `${text.slice(0, EXCERPT_CHARS)}...` : text;
}
