/** `zlib`: deflate, gzip and raw data. There is no Brotli and no Zstandard, so requests do not ask for them (`http.js`). */

import { Transform } from "node:stream";

import { Deflate as Deflator, Inflate as Inflator } from "pako";
import * as table from "unenv/node/internal/zlib/constants";

export const constants = { ...table };
export const { Z_BEST_COMPRESSION, Z_BEST_SPEED, Z_BUF_ERROR, Z_DEFAULT_COMPRESSION, Z_FINISH, Z_FULL_FLUSH, Z_NO_COMPRESSION, Z_NO_FLUSH, Z_OK, Z_PARTIAL_FLUSH, Z_STREAM_END, Z_SYNC_FLUSH } = constants;

const ZLIB = 15;
const GZIP = 31;
const ANY = 47;

/** How each kind is made: with a header of zlib or gzip, with either, or without. */
const KINDS = {
  Deflate: { Engine: Deflator, options: { windowBits: ZLIB } },
  DeflateRaw: { Engine: Deflator, options: { raw: true } },
  Gzip: { Engine: Deflator, options: { gzip: true } },
  Inflate: { Engine: Inflator, options: { windowBits: ZLIB } },
  InflateRaw: { Engine: Inflator, options: { raw: true } },
  Gunzip: { Engine: Inflator, options: { windowBits: GZIP } },
  Unzip: { Engine: Inflator, options: { windowBits: ANY } },
};

class Codec extends Transform {
  bytesWritten = 0;
  #engine;
  #finish;
  #length = 0;

  constructor({ Engine, options }, given = {}) {
    const { level, memLevel, strategy, dictionary, chunkSize, finishFlush = Z_FINISH, maxOutputLength = Infinity, flush, info, ...ofStream } = given;
    super(ofStream);
    this.#engine = new Engine({ ...options, ...withoutUndefined({ level, memLevel, strategy, dictionary, chunkSize }) });
    this.#engine.onData = (chunk) => {
      this.#length += chunk.length;
      if (this.#length > maxOutputLength) {
        throw Object.assign(new RangeError(`Cannot create a Buffer larger than ${maxOutputLength} bytes`), { code: "ERR_BUFFER_TOO_LARGE" });
      }
      this.push(Buffer.from(chunk));
    };
    this.#finish = finishFlush;
  }

  _transform(chunk, _encoding, callback) {
    this.bytesWritten += chunk.length;
    this.#run(chunk, Z_NO_FLUSH, callback);
  }

  _flush(callback) {
    this.#run(new Uint8Array(), this.#finish, callback);
  }

  flush(kind, callback = kind) {
    this.#run(new Uint8Array(), typeof kind === "number" ? kind : Z_FULL_FLUSH, (error) => callback?.(error));
  }

  #run(chunk, how, callback) {
    const engine = this.#engine;
    try {
      // What follows the end of the data is ignored.
      if (!engine.ended) {
        engine.push(chunk, how);
      }
    } catch (error) {
      callback(error);
      return;
    }
    const isCut = how === Z_FINISH && !engine.ended;
    callback(engine.err || isCut ? failed(isCut ? Z_BUF_ERROR : engine.err, isCut ? "unexpected end of file" : engine.msg) : null);
  }

  close(callback) {
    this.destroy(null, callback);
  }

  reset() {}
  params(_level, _strategy, callback) {
    callback?.();
  }
}

const withoutUndefined = (options) => Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));

function failed(number, message) {
  const code = number === Z_BUF_ERROR ? "Z_BUF_ERROR" : number === -2 ? "Z_STREAM_ERROR" : "Z_DATA_ERROR";
  return Object.assign(new Error(number === Z_BUF_ERROR ? "unexpected end of file" : message || "incorrect data"), { code, errno: number });
}

const bytesOf = (data) => (typeof data === "string" ? Buffer.from(data) : data instanceof ArrayBuffer ? new Uint8Array(data) : new Uint8Array(data.buffer, data.byteOffset, data.byteLength));

function whole({ Engine, options }, data, given = {}) {
  const { level, memLevel, strategy, dictionary, finishFlush = Z_FINISH, maxOutputLength = Infinity } = given;
  const engine = new Engine({ ...options, ...withoutUndefined({ level, memLevel, strategy, dictionary }) });
  const chunks = [];
  let length = 0;
  engine.onData = (chunk) => {
    length += chunk.length;
    if (length > maxOutputLength) {
      throw Object.assign(new RangeError(`Cannot create a Buffer larger than ${maxOutputLength} bytes`), { code: "ERR_BUFFER_TOO_LARGE" });
    }
    chunks.push(chunk);
  };
  engine.push(bytesOf(data), finishFlush);
  if (engine.err || (finishFlush === Z_FINISH && !engine.ended)) {
    throw failed(engine.err || Z_BUF_ERROR, engine.msg);
  }
  return Buffer.concat(chunks);
}

function inBackground(kind) {
  return (data, ...rest) => {
    const callback = rest.pop();
    let results;
    try {
      results = [null, whole(kind, data, ...rest)];
    } catch (error) {
      results = [error];
    }
    process.nextTick(() => callback(...results));
  };
}

const classOf = (kind) =>
  class extends Codec {
    constructor(options) {
      super(kind, options);
    }
  };

export const Deflate = classOf(KINDS.Deflate);
export const DeflateRaw = classOf(KINDS.DeflateRaw);
export const Gzip = classOf(KINDS.Gzip);
export const Inflate = classOf(KINDS.Inflate);
export const InflateRaw = classOf(KINDS.InflateRaw);
export const Gunzip = classOf(KINDS.Gunzip);
export const Unzip = classOf(KINDS.Unzip);
export const createDeflate = (options) => new Deflate(options);
export const createDeflateRaw = (options) => new DeflateRaw(options);
export const createGzip = (options) => new Gzip(options);
export const createInflate = (options) => new Inflate(options);
export const createInflateRaw = (options) => new InflateRaw(options);
export const createGunzip = (options) => new Gunzip(options);
export const createUnzip = (options) => new Unzip(options);
export const deflateSync = (data, options) => whole(KINDS.Deflate, data, options);
export const deflateRawSync = (data, options) => whole(KINDS.DeflateRaw, data, options);
export const gzipSync = (data, options) => whole(KINDS.Gzip, data, options);
export const inflateSync = (data, options) => whole(KINDS.Inflate, data, options);
export const inflateRawSync = (data, options) => whole(KINDS.InflateRaw, data, options);
export const gunzipSync = (data, options) => whole(KINDS.Gunzip, data, options);
export const unzipSync = (data, options) => whole(KINDS.Unzip, data, options);
export const deflate = inBackground(KINDS.Deflate);
export const deflateRaw = inBackground(KINDS.DeflateRaw);
export const gzip = inBackground(KINDS.Gzip);
export const inflate = inBackground(KINDS.Inflate);
export const inflateRaw = inBackground(KINDS.InflateRaw);
export const gunzip = inBackground(KINDS.Gunzip);
export const unzip = inBackground(KINDS.Unzip);

const CRC = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit += 1) {
    value = value & 1 ? 0xedb88320 ^ (value >>> 1) : value >>> 1;
  }
  return value;
});

export function crc32(data, start = 0) {
  let value = ~start;
  for (const byte of bytesOf(data)) {
    value = CRC[(value ^ byte) & 255] ^ (value >>> 8);
  }
  return ~value >>> 0;
}

export default {
  Deflate, DeflateRaw, Gunzip, Gzip, Inflate, InflateRaw, Unzip, constants, crc32, createDeflate, createDeflateRaw, createGunzip, createGzip, createInflate, createInflateRaw,
  createUnzip, deflate, deflateRaw, deflateRawSync, deflateSync, gunzip, gunzipSync, gzip, gzipSync, inflate, inflateRaw, inflateRawSync, inflateSync, unzip, unzipSync, ...constants,
};
