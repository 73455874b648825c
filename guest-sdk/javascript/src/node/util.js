/** What libraries use of `util`. Formatting is that of `console.log`. */

import { MIMEParams, MIMEType } from "unenv/node/internal/util/mime";

import { inspect as inspectValue, inspectAll } from "../inspect.js";
import { isDeepStrictEqual } from "./deep-equal.js";
import * as types from "./util-types.js";

export * as default from "./util.js";
export { MIMEParams, MIMEType, isDeepStrictEqual, types };
export const { TextDecoder, TextEncoder } = globalThis;

export const format = (...values) => inspectAll(values);
export const formatWithOptions = (_options, ...values) => inspectAll(values);

const CUSTOM = Symbol.for("nodejs.util.inspect.custom");

export const inspect = Object.assign(
  (value) => {
    if (typeof value === "string") {
      return JSON.stringify(value);
    }
    const custom = value?.[CUSTOM];
    if (typeof custom !== "function" || custom === inspect) {
      return inspectValue(value);
    }
    const shown = custom.call(value, 2, {}, inspect);
    return typeof shown === "string" ? shown : inspectValue(shown);
  },
  { custom: CUSTOM, defaultOptions: {}, colors: {}, styles: {} },
);

const PROMISIFY = Symbol.for("nodejs.util.promisify.custom");

/** Converts a function whose last argument is a callback `(error, value)`. */
export const promisify = Object.assign(
  (original) => {
    if (typeof original !== "function") {
      throw new TypeError("promisify takes a function.");
    }
    if (typeof original[PROMISIFY] === "function") {
      return original[PROMISIFY];
    }
    const promised = function (...args) {
      return new Promise((resolve, reject) => original.call(this, ...args, (error, value) => (error ? reject(error) : resolve(value))));
    };
    return Object.defineProperties(Object.setPrototypeOf(promised, Object.getPrototypeOf(original)), Object.getOwnPropertyDescriptors(original));
  },
  { custom: PROMISIFY },
);

/** Converts a function that returns a promise to one that takes a callback. */
export function callbackify(original) {
  return function (...args) {
    const callback = args.pop();
    original.apply(this, args).then(
      (value) => process.nextTick(callback, null, value),
      (reason) => process.nextTick(callback, reason ?? Object.assign(new Error("the promise was rejected without a reason"), { reason })),
    );
  };
}

export function inherits(constructor, parent) {
  constructor.super_ = parent;
  Object.setPrototypeOf(constructor.prototype, parent.prototype);
}

/** Warnings about old functions are for the authors of libraries. */
export const deprecate = (original) => original;

export const debuglog = () => Object.assign(() => {}, { enabled: false });
export const debug = debuglog;
export const log = (...values) => console.log(...values);
export const stripVTControlCharacters = (text) => text.replace(/\x1b\[[0-9;]*[A-Za-z]/g, "");
export const styleText = (_style, text) => text;
export const toUSVString = (text) => String(text).toWellFormed();
export const getSystemErrorName = (number) => `Unknown system error ${number}`;
export const _extend = (target, source) => Object.assign(target, source);

/** Resolves when the signal is aborted. */
export function aborted(signal) {
  return new Promise((resolve) => (signal.aborted ? resolve() : signal.addEventListener("abort", () => resolve(), { once: true })));
}

// Older libraries use these, which newer versions of Node.js have no more.
export const { isArray } = Array;
export const isBoolean = (value) => typeof value === "boolean";
export const isBuffer = (value) => Buffer.isBuffer(value);
export const isDate = (value) => value instanceof Date;
export const isError = (value) => value instanceof Error;
export const isFunction = (value) => typeof value === "function";
export const isNull = (value) => value === null;
export const isNullOrUndefined = (value) => value === null || value === undefined;
export const isNumber = (value) => typeof value === "number";
export const isObject = (value) => typeof value === "object" && value !== null;
export const isPrimitive = (value) => (typeof value !== "object" && typeof value !== "function") || value === null;
export const isRegExp = (value) => value instanceof RegExp;
export const isString = (value) => typeof value === "string";
export const isSymbol = (value) => typeof value === "symbol";
export const isUndefined = (value) => value === undefined;
