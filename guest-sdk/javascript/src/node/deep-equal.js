/** Compares values in depth, as `assert` and `util` do. */

export const isDeepStrictEqual = (a, b) => equal(a, b, Object.is, true, []);

/** Primitive values are compared with `==`, and prototypes are not compared. */
export const isDeepEqual = (a, b) => equal(a, b, isLooselyEqual, false, []);

const isLooselyEqual = (a, b) => a == b || (Number.isNaN(a) && Number.isNaN(b));
const isObject = (value) => typeof value === "object" && value !== null;

function equal(a, b, isSame, isStrict, outer) {
  if (!isObject(a) || !isObject(b)) {
    return isSame(a, b);
  }
  if (a === b || outer.some(([left, right]) => left === a && right === b)) {
    return true;
  }
  if (Object.prototype.toString.call(a) !== Object.prototype.toString.call(b) || (isStrict && Object.getPrototypeOf(a) !== Object.getPrototypeOf(b))) {
    return false;
  }
  const inner = (left, right) => equal(left, right, isSame, isStrict, [...outer, [a, b]]);
  return hasSameContent(a, b, inner) && hasSameProperties(a, b, inner);
}

function hasSameContent(a, b, inner) {
  if (a instanceof Date || a instanceof Number || a instanceof String || a instanceof Boolean) {
    return Object.is(a.valueOf(), b.valueOf());
  }
  if (a instanceof RegExp) {
    return String(a) === String(b) && a.lastIndex === b.lastIndex;
  }
  if (a instanceof Error) {
    return a.name === b.name && a.message === b.message && inner(a.cause, b.cause);
  }
  if (a instanceof ArrayBuffer) {
    return inner(new Uint8Array(a), new Uint8Array(b));
  }
  if (a instanceof Map) {
    return a.size === b.size && [...a].every(([key, value]) => (b.has(key) ? inner(value, b.get(key)) : isObject(key) && [...b].some(([other, its]) => inner(key, other) && inner(value, its))));
  }
  if (a instanceof Set) {
    return a.size === b.size && [...a].every((value) => b.has(value) || (isObject(value) && [...b].some((other) => inner(value, other))));
  }
  return !Array.isArray(a) || a.length === b.length;
}

function hasSameProperties(a, b, inner) {
  const [keys, others] = [a, b].map((value) => [...Object.keys(value), ...Object.getOwnPropertySymbols(value).filter((key) => Object.prototype.propertyIsEnumerable.call(value, key))]);
  return keys.length === others.length && keys.every((key) => Object.hasOwn(b, key) && inner(a[key], b[key]));
}
