/** Copies data, including cycles. Throws for values that are not data, such as functions. */
export function structuredClone(value) {
  return clone(value, new Map());
}

function clone(value, copies) {
  if (typeof value === "function" || typeof value === "symbol") {
    throw new DOMException(`${String(value)} could not be cloned.`, "DataCloneError");
  }
  if (typeof value !== "object" || value === null) {
    return value;
  }
  if (!copies.has(value)) {
    const copy = emptyCopy(value);
    copies.set(value, copy);
    fill(copy, value, (item) => clone(item, copies));
  }
  return copies.get(value);
}

function emptyCopy(value) {
  if (value instanceof Date) {
    return new Date(value);
  }
  if (value instanceof RegExp) {
    return new RegExp(value.source, value.flags);
  }
  if (value instanceof ArrayBuffer) {
    return value.slice(0);
  }
  if (value instanceof DataView) {
    return new DataView(value.buffer.slice(value.byteOffset, value.byteOffset + value.byteLength));
  }
  if (ArrayBuffer.isView(value)) {
    return value.slice();
  }
  if (value instanceof Error) {
    return Object.assign(Object.create(Object.getPrototypeOf(value)), { message: value.message, stack: value.stack });
  }
  for (const type of [Map, Set, Boolean, Number, String]) {
    if (value instanceof type) {
      return type === Map || type === Set ? new type() : new type(value.valueOf());
    }
  }
  return Array.isArray(value) ? new Array(value.length) : {};
}

function fill(copy, value, inner) {
  if (value instanceof Map) {
    value.forEach((item, key) => copy.set(inner(key), inner(item)));
  } else if (value instanceof Set) {
    value.forEach((item) => copy.add(inner(item)));
  } else if (value instanceof Error) {
    if ("cause" in value) {
      copy.cause = inner(value.cause);
    }
  } else if (!ArrayBuffer.isView(value) && !(value instanceof ArrayBuffer)) {
    for (const key of Object.keys(value)) {
      copy[key] = inner(value[key]);
    }
  }
}
