import { Buffer } from "./buffer.js";

export * as default from "./crypto.js";
export const webcrypto = globalThis.crypto;
export const randomUUID = () => crypto.randomUUID();
export const getRandomValues = (array) => crypto.getRandomValues(array);
export const randomBytes = (size) => crypto.getRandomValues(Buffer.alloc(size));

/** A random integer from `min` to `max`, exclusive. */
export function randomInt(min, max) {
  const [from, to] = max === undefined ? [0, min] : [min, max];
  return from + Math.floor(Math.random() * (to - from));
}
