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
  constructor.super_ = parent;
  Object.setPrototypeOf(constructor.prototype, parent.prototype);
}

/** Warnings about old functions are for the authors of libraries. */
export const deprecate = (original) => original;

// Older libraries use these, which newer versions of Node.js have no more.
export const { isArray } = Array;
export const isBoolean = (value) => typeof value === "boolean";
export const isDate = (value) => value instanceof Date;
export const isError = (value) => value instanceof Error;
export const isFunction = (value) => typeof value === "function";
export const isNull = (value) => value === null;
export const isNullOrUndefined = (value) => value === null || value === undefined;
export const isNumber = (value) => typeof value === "number";
export const isObject = (value) => typeof value === "object" && value !== null;
export const isRegExp = (value) => value instanceof RegExp;
export const isString = (value) => typeof value === "string";
export const isUndefined = (value) => value === undefined;
