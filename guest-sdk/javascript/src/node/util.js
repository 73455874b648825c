import { inspect as inspectValue, inspectAll } from "../inspect.js";

export * as default from "./util.js";
export const { TextDecoder, TextEncoder } = globalThis;
export const format = (...values) => inspectAll(values);
export const inspect = (value) => (typeof value === "string" ? JSON.stringify(value) : inspectValue(value));

/** Converts a function whose last argument is a callback `(error, value)`. */
export function promisify(original) {
  return (...args) =>
    new Promise((resolve, reject) => original(...args, (error, value) => (error ? reject(error) : resolve(value))));
}

export function inherits(constructor, parent) {
  Object.setPrototypeOf(constructor.prototype, parent.prototype);
}
