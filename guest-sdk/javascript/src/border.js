/**
 * Checks values that are passed to the host: they must have the type of the contract, and texts must be valid Unicode.
 * Otherwise the engine would end the guest with an error that the app cannot catch.
 */

/** Replaces lone surrogates, which `slice` may leave of an emoji, with the replacement character. */
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

/** An empty text means that there is none, as in the original. */
export function optionalId(value) {
  return value === "" ? null : optionalText(value, "instanceId");
}

/** A text that is not empty. The contract has no other rule for the name of an event. */
export function requireName(value, what) {
  const text = requireText(value, what);
  if (text === "") {
    throw new TypeError(`${what} must be a string that is not empty.`);
  }
  return text;
}

/** The names of the app's own functions, which are checked once, when the app is loaded. */
const knownNames = new Set();

export function noteFunctionName(name) {
  if (!NOT_OF_FUNCTIONS.test(name)) {
    knownNames.add(name);
  }
}

/** Checks the contract's rule for names of functions. The host would end an orchestrator that uses an invalid name. */
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

/** The id of an orchestration to be started, or null. */
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

/** White space as defined by Unicode, and as the host checks it. `trim` would also remove U+FEFF. */
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

/** Control characters, delimiters of URLs, and (for function names) white space as defined by Unicode. */
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

/** Describes a value, for an error message. */
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
