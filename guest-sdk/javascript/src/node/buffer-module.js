/**
 * `buffer`. Every app has the part of `Buffer` that converts texts; an app that names `Buffer` gets the rest of its methods, which
 * work on any array of bytes, from the port that others use.
 */

import { Buffer as Whole, kMaxLength } from "unenv/node/internal/buffer/buffer";

import { Buffer } from "./buffer.js";

export * as default from "./buffer-module.js";
export { Buffer };
export const { Blob, File, atob, btoa } = globalThis;

complete(Buffer.prototype, Whole.prototype);
complete(Buffer, Whole);

function complete(target, source) {
  for (const [name, descriptor] of Object.entries(Object.getOwnPropertyDescriptors(source))) {
    if (!Object.hasOwn(target, name)) {
      Object.defineProperty(target, name, { ...descriptor, configurable: true });
    }
  }
}

export const SlowBuffer = Buffer;
export const kStringMaxLength = 2 ** 29 - 24;
export const INSPECT_MAX_BYTES = 50;
export const constants = { MAX_LENGTH: kMaxLength, MAX_STRING_LENGTH: kStringMaxLength };
export { kMaxLength };

export const isAscii = (bytes) => new Uint8Array(bytes.buffer ?? bytes).every((byte) => byte < 128);

export function isUtf8(bytes) {
  try {
    new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    return true;
  } catch {
    return false;
  }
}

export const transcode = (bytes, from, to) => Buffer.from(Buffer.from(bytes).toString(from), to);
