/** `Blob` and `File`, in memory. */

import { ReadableStream } from "./streams.js";

export class Blob {
  #bytes;
  type;

  constructor(parts = [], { type = "" } = {}) {
    this.#bytes = joined(Array.from(parts, bytesOfPart));
    this.type = String(type).toLowerCase();
  }

  get size() {
    return this.#bytes.length;
  }

  async bytes() {
    return this.#bytes.slice();
  }

  async arrayBuffer() {
    return this.#bytes.slice().buffer;
  }

  async text() {
    return new TextDecoder().decode(this.#bytes);
  }

  stream() {
    return ReadableStream.from([this.#bytes.slice()]);
  }

  slice(start, end, type = "") {
    return new Blob([this.#bytes.slice(start, end)], { type });
  }

  get [Symbol.toStringTag]() {
    return "Blob";
  }

  /** For the SDK, which is synchronous where it can be. */
  static bytesOf(blob) {
    return blob.#bytes;
  }
}

export class File extends Blob {
  constructor(parts, name, { type, lastModified = Date.now() } = {}) {
    super(parts, { type });
    this.name = String(name);
    this.lastModified = lastModified;
  }

  get [Symbol.toStringTag]() {
    return "File";
  }
}

function bytesOfPart(part) {
  if (part instanceof Blob) {
    return Blob.bytesOf(part);
  }
  if (part instanceof ArrayBuffer) {
    return new Uint8Array(part);
  }
  return ArrayBuffer.isView(part) ? new Uint8Array(part.buffer, part.byteOffset, part.byteLength) : new TextEncoder().encode(String(part));
}

/** The chunks as one array of bytes, which is a copy. */
export function joined(chunks) {
  const bytes = new Uint8Array(chunks.reduce((length, chunk) => length + chunk.length, 0));
  let start = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, start);
    start += chunk.length;
  }
  return bytes;
}
