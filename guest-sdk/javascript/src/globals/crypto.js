/** `crypto` and `Math.random`: real randomness in an activity, the seeded stream of the instance elsewhere. */

import { currentScope } from "../scope.js";

/** The maximum length of an array for `getRandomValues`. */
const BYTES_MAX = 65_536;

/** Numbers are drawn this many bytes at a time. */
const DRAW_BYTES = 512;

/** Unused bytes by scope, so that a run never gets bytes that were drawn in another. */
const drawn = new WeakMap();

function randomBytes(length) {
  const scope = currentScope();
  return Uint8Array.from(scope ? scope.randomBytes(length) : globalThis.__dacapo.imports.random.getRandomBytes(length));
}

export function random() {
  const scope = currentScope();
  if (!scope) {
    return fraction(randomBytes(8), 0);
  }
  let stock = drawn.get(scope);
  if (!stock || stock.next === DRAW_BYTES) {
    stock = { bytes: randomBytes(DRAW_BYTES), next: 0 };
    drawn.set(scope, stock);
  }
  const value = fraction(stock.bytes, stock.next);
  stock.next += 8;
  return value;
}

/** Makes a number from 0 to 1, exclusive, of 53 bits. */
function fraction(bytes, start) {
  const view = new DataView(bytes.buffer, bytes.byteOffset + start, 8);
  return ((view.getUint32(0) >>> 5) * 2 ** 26 + (view.getUint32(4) >>> 6)) / 2 ** 53;
}

export const crypto = {
  getRandomValues(array) {
    if (!ArrayBuffer.isView(array) || array instanceof DataView || array instanceof Float32Array || array instanceof Float64Array) {
      throw new TypeError("getRandomValues takes a typed array of integers.");
    }
    if (array.byteLength > BYTES_MAX) {
      throw new DOMException(`getRandomValues gives at most ${BYTES_MAX} bytes at a time.`, "QuotaExceededError");
    }
    new Uint8Array(array.buffer, array.byteOffset, array.byteLength).set(randomBytes(array.byteLength));
    return array;
  },

  randomUUID() {
    const bytes = randomBytes(16);
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
    return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
  },
};
