/**
 * `crypto`: randomness, hashes, and what is made of them. Ciphers, keys and signatures need much code, and are here only if the app or a
 * package names them (`FEATURES` in `builder/bundle.mjs`): `crypto-ciphers.js` and `crypto-keys.js` add them.
 */

import { EventEmitter } from "node:events";

import { blake2b, blake2s } from "@noble/hashes/blake2.js";
import { hkdf as hkdfOf } from "@noble/hashes/hkdf.js";
import { hmac } from "@noble/hashes/hmac.js";
import { md5, ripemd160, sha1 } from "@noble/hashes/legacy.js";
import { pbkdf2 as pbkdf2Of } from "@noble/hashes/pbkdf2.js";
import { scrypt as scryptOf } from "@noble/hashes/scrypt.js";
import { sha224, sha256, sha384, sha512, sha512_224, sha512_256 } from "@noble/hashes/sha2.js";
import { sha3_224, sha3_256, sha3_384, sha3_512 } from "@noble/hashes/sha3.js";

import { Buffer } from "./buffer-module.js";

const HASHES = {
  blake2b512: blake2b,
  blake2s256: blake2s,
  md5,
  ripemd160,
  rmd160: ripemd160,
  sha1,
  sha224,
  sha256,
  sha384,
  sha512,
  "sha512-224": sha512_224,
  "sha512-256": sha512_256,
  "sha3-224": sha3_224,
  "sha3-256": sha3_256,
  "sha3-384": sha3_384,
  "sha3-512": sha3_512,
};

/** A hash function by its name, also as in `RSA-SHA256` and `SHA-256`. */
export function hashNamed(given) {
  const name = String(given).toLowerCase().replace(/^rsa-/, "");
  const found = HASHES[name] ?? HASHES[name.replace(/^sha-/, "sha")];
  if (!found) {
    throw Object.assign(new Error(`Digest method not supported: ${given}`), { code: "ERR_CRYPTO_INVALID_DIGEST" });
  }
  return found;
}

/** The bytes of a text, a buffer, or a secret key. */
export function bytesOf(data, encoding) {
  if (typeof data === "string") {
    return Buffer.from(data, encoding === "buffer" ? undefined : encoding);
  }
  if (data instanceof ArrayBuffer) {
    return new Uint8Array(data);
  }
  if (ArrayBuffer.isView(data)) {
    return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  }
  if (typeof data?.export === "function") {
    return data.export();
  }
  throw Object.assign(new TypeError("The data must be a string, a Buffer, a TypedArray, a DataView or a secret key."), { code: "ERR_INVALID_ARG_TYPE" });
}

export const encoded = (bytes, encoding) => {
  const buffer = Buffer.from(bytes);
  return encoding && encoding !== "buffer" ? buffer.toString(encoding) : buffer;
};

/** A hash or an HMAC. A stream can be piped into it. */
class Digest extends EventEmitter {
  writable = true;
  #state;
  #digest = null;

  constructor(state) {
    super();
    this.#state = state;
  }

  update(data, encoding) {
    if (this.#digest) {
      throw Object.assign(new Error("Digest already called"), { code: "ERR_CRYPTO_HASH_FINALIZED" });
    }
    this.#state.update(bytesOf(data, encoding));
    return this;
  }

  digest(encoding) {
    if (this.#digest) {
      throw Object.assign(new Error("Digest already called"), { code: "ERR_CRYPTO_HASH_FINALIZED" });
    }
    this.#digest = this.#state.digest();
    return encoded(this.#digest, encoding);
  }

  copy() {
    return new this.constructor(this.#state.clone());
  }

  write(data, encoding, callback = encoding) {
    this.update(data, typeof encoding === "string" ? encoding : undefined);
    if (typeof callback === "function") {
      process.nextTick(callback);
    }
    return true;
  }

  end(data, encoding) {
    if (data !== undefined && typeof data !== "function") {
      this.update(data, encoding);
    }
    this.writable = false;
    this.digest();
    process.nextTick(() => ["finish", "readable", "data", "end", "close"].forEach((event) => this.emit(event, ...(event === "data" ? [this.read()] : []))));
    return this;
  }

  setEncoding(encoding) {
    this.encoding = encoding;
    return this;
  }

  read() {
    return this.#digest && encoded(this.#digest, this.encoding);
  }
}

export class Hash extends Digest {}
export class Hmac extends Digest {}

export const createHash = (name) => new Hash(hashNamed(name).create());
export const createHmac = (name, key) => new Hmac(hmac.create(hashNamed(name), bytesOf(key)));
export const hash = (name, data, encoding = "hex") => createHash(name).update(data).digest(encoding);
export const getHashes = () => Object.keys(HASHES);
export const getCiphers = () => ["aes-128-cbc", "aes-128-ctr", "aes-128-gcm", "aes-192-cbc", "aes-192-ctr", "aes-192-gcm", "aes-256-cbc", "aes-256-ctr", "aes-256-gcm"];
export const getCurves = () => ["prime256v1", "secp256k1", "secp384r1", "secp521r1"];

export function timingSafeEqual(a, b) {
  const [left, right] = [bytesOf(a), bytesOf(b)];
  if (left.length !== right.length) {
    throw Object.assign(new RangeError("Input buffers must have the same byte length"), { code: "ERR_CRYPTO_TIMING_SAFE_EQUAL_LENGTH" });
  }
  let difference = 0;
  for (let index = 0; index < left.length; index += 1) {
    difference |= left[index] ^ right[index];
  }
  return difference === 0;
}

// Randomness. More than one call of `getRandomValues` may give.

const FILL_BYTES = 65_536;

export function randomFillSync(target, offset = 0, size = target.byteLength - offset) {
  const bytes = new Uint8Array(target.buffer ?? target, (target.byteOffset ?? 0) + offset, size);
  for (let start = 0; start < bytes.length; start += FILL_BYTES) {
    globalThis.crypto.getRandomValues(bytes.subarray(start, start + FILL_BYTES));
  }
  return target;
}

/** Calls back in a later job, if there is a callback; otherwise it returns. */
function inBackground(callback, compute) {
  if (typeof callback !== "function") {
    return compute();
  }
  let results;
  try {
    results = [null, compute()];
  } catch (error) {
    results = [error];
  }
  process.nextTick(() => callback(...results));
  return undefined;
}

export const randomBytes = (size, callback) => inBackground(callback, () => randomFillSync(Buffer.alloc(size)));
export const randomFill = (target, ...rest) => inBackground(rest.pop(), () => randomFillSync(target, ...rest));
export const pseudoRandomBytes = randomBytes;
export const randomUUID = () => globalThis.crypto.randomUUID();
export const getRandomValues = (array) => globalThis.crypto.getRandomValues(array);
export const { crypto: webcrypto } = globalThis;

/** A random integer from `min` to `max`, exclusive. */
export function randomInt(min, max, callback) {
  if (max === undefined || typeof max === "function") {
    return randomInt(0, min, max);
  }
  return inBackground(callback, () => min + Math.floor(Math.random() * (max - min)));
}

// Keys that are derived of passwords.

export const pbkdf2Sync = (password, salt, iterations, keylen, digest) => Buffer.from(pbkdf2Of(hashNamed(digest), bytesOf(password), bytesOf(salt), { c: iterations, dkLen: keylen }));
export const pbkdf2 = (password, salt, iterations, keylen, digest, callback) => inBackground(callback, () => pbkdf2Sync(password, salt, iterations, keylen, digest));

export function scryptSync(password, salt, keylen, { N, cost = 16_384, r, blockSize = 8, p, parallelization = 1, maxmem } = {}) {
  return Buffer.from(scryptOf(bytesOf(password), bytesOf(salt), { N: N ?? cost, r: r ?? blockSize, p: p ?? parallelization, dkLen: keylen, ...(maxmem && { maxmem }) }));
}

export function scrypt(password, salt, keylen, options, callback = options) {
  inBackground(callback, () => scryptSync(password, salt, keylen, typeof options === "function" ? {} : options));
}

export const hkdfSync = (digest, key, salt, info, keylen) => Uint8Array.from(hkdfOf(hashNamed(digest), bytesOf(key), bytesOf(salt), bytesOf(info), keylen)).buffer;
export const hkdf = (digest, key, salt, info, keylen, callback) => inBackground(callback, () => hkdfSync(digest, key, salt, info, keylen));

// Secret keys.

export class KeyObject {
  constructor(type) {
    this.type = type;
  }

  get [Symbol.toStringTag]() {
    return "KeyObject";
  }
}

export class SecretKeyObject extends KeyObject {
  #bytes;

  constructor(bytes) {
    super("secret");
    this.#bytes = bytes;
    this.symmetricKeySize = bytes.length;
  }

  export({ format = "buffer" } = {}) {
    return format === "jwk" ? { kty: "oct", k: this.#bytes.toString("base64url") } : Buffer.from(this.#bytes);
  }

  equals(other) {
    return other.type === "secret" && this.#bytes.equals(other.export());
  }
}

export const createSecretKey = (key, encoding) => new SecretKeyObject(Buffer.from(bytesOf(key, encoding)));

export const constants = {
  RSA_PKCS1_PADDING: 1,
  RSA_NO_PADDING: 3,
  RSA_PKCS1_OAEP_PADDING: 4,
  RSA_PKCS1_PSS_PADDING: 6,
  RSA_PSS_SALTLEN_DIGEST: -1,
  RSA_PSS_SALTLEN_MAX_SIGN: -2,
  RSA_PSS_SALTLEN_AUTO: -2,
  defaultCoreCipherList: "",
};

const crypto = {
  Hash, Hmac, KeyObject, constants, createHash, createHmac, createSecretKey, getCiphers, getCurves, getHashes, getRandomValues, hash, hkdf, hkdfSync, pbkdf2, pbkdf2Sync,
  pseudoRandomBytes, randomBytes, randomFill, randomFillSync, randomInt, randomUUID, scrypt, scryptSync, timingSafeEqual, webcrypto,
  get subtle() {
    return webcrypto.subtle;
  },
  getFips: () => 0,
};

export default crypto;
