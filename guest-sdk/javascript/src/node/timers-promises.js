export * as default from "./timers-promises.js";

export function setTimeout(milliseconds, value) {
  return new Promise((resolve) => globalThis.setTimeout(resolve, milliseconds, value));
}

export function setImmediate(value) {
  return new Promise((resolve) => globalThis.setImmediate(resolve, value));
}
