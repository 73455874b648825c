/** The part of `Buffer` that converts texts and bytes between encodings. */

import { kindOf } from "../border.js";
import { fromLatin1, latin1 as textOf } from "../globals/encoding.js";

export class Buffer extends Uint8Array {
  /** Libraries that are old enough make buffers of texts with `new`. */
  constructor(value, start, length) {
    typeof value === "string" ? super(decode(value, start)) : super(value, start, length);
  }

  static from(value, encoding, length) {
    if (typeof value === "string") {
      return fromBytes(decode(value, encoding));
    }
    if (typeof value !== "object" || value === null) {
      throw new TypeError(`The first argument must be a string, an array, or an object of bytes, not ${kindOf(value)}.`);
    }
    if (isMemory(value)) {
      return new Buffer(value, encoding, length);
    }
    if (value.type === "Buffer" && Array.isArray(value.data)) {
      return fromBytes(value.data);
    }
    if (ArrayBuffer.isView(value) || typeof value.length === "number") {
      return fromBytes(value instanceof Uint8Array ? value : Uint8Array.from(value, (byte) => byte & 255));
    }
    const primitive = value[Symbol.toPrimitive]?.("string") ?? value.valueOf();
    return primitive === value ? fromBytes(Uint8Array.from(value)) : Buffer.from(primitive, encoding, length);
  }

  static alloc(size, fill, encoding) {
    const buffer = new Buffer(size);
    if (fill === undefined) {
      return buffer;
    }
    const pattern = typeof fill === "number" ? [fill] : Buffer.from(fill, encoding);
    return buffer.map((_, index) => pattern[index % pattern.length]);
  }

  static allocUnsafe(size) {
    return new Buffer(size);
  }

  static concat(list, length = list.reduce((sum, { length }) => sum + length, 0)) {
    const buffer = new Buffer(length);
    let start = 0;
    for (const bytes of list) {
      buffer.set(bytes.subarray(0, Math.max(0, length - start)), start);
      start += bytes.length;
    }
    return buffer;
  }

  static isBuffer(value) {
    return value instanceof Buffer;
  }

  static isEncoding(encoding) {
    return Object.hasOwn(ENCODINGS, String(encoding).toLowerCase());
  }

  static byteLength(value, encoding) {
    return typeof value === "string" ? decode(value, encoding).length : value.byteLength;
  }

  static compare(a, b) {
    const length = Math.min(a.length, b.length);
    for (let index = 0; index < length; index += 1) {
      if (a[index] !== b[index]) {
        return a[index] < b[index] ? -1 : 1;
      }
    }
    return Math.sign(a.length - b.length);
  }

  toString(encoding, start = 0, end = this.length) {
    return encodingOf(encoding ?? "utf8").encode(this.subarray(start, end));
  }

  toJSON() {
    return { type: "Buffer", data: Array.from(this) };
  }

  equals(other) {
    return Buffer.compare(this, other) === 0;
  }

  compare(other) {
    return Buffer.compare(this, other);
  }

  /** As in Node.js, and unlike the method of `Uint8Array`, the result shares the bytes. */
  slice(start, end) {
    return this.subarray(start, end);
  }

  /** The start, the length and the encoding may each be left out. */
  write(text, ...how) {
    const [start = 0, length = Infinity] = how.filter((argument) => typeof argument === "number");
    const bytes = decode(text, how.find((argument) => typeof argument === "string")).subarray(0, Math.min(length, this.length - start));
    this.set(bytes, start);
    return bytes.length;
  }

  copy(target, targetStart = 0, start = 0, end = this.length) {
    const bytes = this.subarray(start, Math.min(end, start + target.length - targetStart));
    target.set(bytes, targetStart);
    return bytes.length;
  }
}

const isMemory = (value) => value instanceof ArrayBuffer || (typeof SharedArrayBuffer === "function" && value instanceof SharedArrayBuffer);

function fromBytes(bytes) {
  const buffer = new Buffer(bytes.length);
  buffer.set(bytes);
  return buffer;
}

const latin1 = { encode: textOf, decode: fromLatin1 };

const base64 = {
  encode: (bytes) => btoa(textOf(bytes)),
  decode: (text) => fromLatin1(atob(text.replaceAll("-", "+").replaceAll("_", "/").replace(/[^A-Za-z0-9+/]/g, ""))),
};

const utf8 = {
  encode: (bytes) => new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes),
  decode: (text) => new TextEncoder().encode(text),
};

const utf16 = {
  encode: (bytes) => new TextDecoder("utf-16le", { ignoreBOM: true }).decode(bytes),
  decode: (text) => Uint8Array.from({ length: text.length * 2 }, (_, index) => text.charCodeAt(index >> 1) >> (index % 2 ? 8 : 0)),
};

/** `encode` converts bytes to text, `decode` text to bytes. */
const ENCODINGS = {
  utf8,
  "utf-8": utf8,
  utf16le: utf16,
  "utf-16le": utf16,
  "utf-16": utf16,
  ucs2: utf16,
  "ucs-2": utf16,
  latin1,
  binary: latin1,
  ascii: { ...latin1, encode: (bytes) => latin1.encode(bytes.map((byte) => byte & 127)) },
  base64,
  base64url: { ...base64, encode: (bytes) => base64.encode(bytes).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "") },
  hex: {
    encode: (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join(""),
    decode: (text) => Uint8Array.from(/^(?:[0-9a-f]{2})*/i.exec(text)[0].match(/../g) ?? [], (pair) => Number.parseInt(pair, 16)),
  },
};

function encodingOf(name) {
  const encoding = ENCODINGS[String(name).toLowerCase()];
  if (!encoding) {
    throw Object.assign(new TypeError(`Unknown encoding: ${name}`), { code: "ERR_UNKNOWN_ENCODING" });
  }
  return encoding;
}

function decode(text, encoding) {
  return encodingOf(encoding ?? "utf8").decode(text);
}
