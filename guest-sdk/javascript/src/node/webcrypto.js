/** `crypto.subtle`: hashes, HMAC, RSA, the curves of NIST, AES, and keys that are derived by HKDF and PBKDF2. */

import { cbc, ctr, gcm } from "@noble/ciphers/aes.js";
import { hkdf } from "@noble/hashes/hkdf.js";
import { hmac } from "@noble/hashes/hmac.js";
import { pbkdf2 } from "@noble/hashes/pbkdf2.js";

import { bytesOf, createSecretKey, hashNamed, randomBytes } from "./crypto.js";
import { CURVES, generatePair, keyOf, signWith, verifyWith } from "./crypto-keys.js";
import * as rsa from "./rsa.js";

export class CryptoKey {
  constructor(object, algorithm, extractable, usages) {
    Object.assign(this, { type: object.type, algorithm, extractable, usages });
    Object.defineProperty(this, "object", { value: object });
  }

  get [Symbol.toStringTag]() {
    return "CryptoKey";
  }
}

const PSS = 6;
const memoryOf = (bytes) => Uint8Array.from(bytes).buffer;
const copyOf = (data) => Uint8Array.from(bytesOf(data));
const named = (algorithm) => (typeof algorithm === "string" ? { name: algorithm } : { ...algorithm });
const hashIn = ({ hash }) => (typeof hash === "string" ? hash : hash.name);
const error = (message, name) => new DOMException(message, name);
const unsupported = (algorithm, what) => error(`crypto.subtle.${what} does not support ${algorithm.name}.`, "NotSupportedError");

/** The algorithm, with its name as the specification writes it. */
function algorithmOf(given, what) {
  const algorithm = named(given);
  const name = ["AES-CBC", "AES-CTR", "AES-GCM", "ECDSA", "Ed25519", "HKDF", "HMAC", "PBKDF2", "RSA-OAEP", "RSA-PSS", "RSASSA-PKCS1-v1_5", "SHA-1", "SHA-256", "SHA-384", "SHA-512"].find(
    (known) => known.toLowerCase() === String(algorithm.name).toLowerCase(),
  );
  if (!name) {
    throw unsupported(algorithm, what);
  }
  return { ...algorithm, name };
}

function requireUsage(key, usage) {
  if (!key.usages.includes(usage)) {
    throw error(`The key must not be used to ${usage}.`, "InvalidAccessError");
  }
}

/** How `signWith` and `verifyWith` take a key. */
const signing = ({ object }, { name, saltLength }) => ({ key: object, ...(name === "RSA-PSS" && { padding: PSS, saltLength }), dsaEncoding: "ieee-p1363" });
const digestFor = (key, algorithm) => (algorithm.name === "ECDSA" ? hashIn(algorithm) : algorithm.name === "Ed25519" ? null : key.algorithm.hash.name);

function cipher({ name, iv, additionalData, counter }, key) {
  const bytes = copyOf(key);
  switch (name) {
    case "AES-CBC":
      return cbc(bytes, copyOf(iv));
    case "AES-CTR":
      return ctr(bytes, copyOf(counter));
    case "AES-GCM":
      return gcm(bytes, copyOf(iv), additionalData && copyOf(additionalData));
    default:
      throw unsupported({ name }, "encrypt");
  }
}

const LENGTHS = { "SHA-1": 512, "SHA-256": 512, "SHA-384": 1024, "SHA-512": 1024 };

export const subtle = {
  async digest(algorithm, data) {
    return memoryOf(hashNamed(named(algorithm).name)(copyOf(data)));
  },

  async importKey(format, data, given, extractable, usages) {
    const algorithm = algorithmOf(given, "importKey");
    if (algorithm.hash) {
      algorithm.hash = named(algorithm.hash);
    }
    const isPoint = format === "raw" && (algorithm.name === "ECDSA" || algorithm.name === "Ed25519");
    if (format === "raw" && !isPoint) {
      const object = createSecretKey(copyOf(data));
      return new CryptoKey(object, { ...algorithm, length: object.symmetricKeySize * 8 }, extractable, usages);
    }
    if (format === "jwk" && data.kty === "oct") {
      const object = createSecretKey(data.k, "base64url");
      return new CryptoKey(object, { ...algorithm, length: object.symmetricKeySize * 8 }, extractable, usages);
    }
    const object = isPoint ? pointOf(algorithm, Buffer.from(copyOf(data))) : keyOf(format === "jwk" ? { key: data, format: "jwk" } : { key: copyOf(data), format: "der" });
    return new CryptoKey(object, algorithm, extractable, usages);
  },

  async exportKey(format, { object, extractable, algorithm }) {
    if (!extractable) {
      throw error("The key is not extractable.", "InvalidAccessError");
    }
    if (format === "jwk") {
      return object.export({ format: "jwk" });
    }
    if (object.type === "secret") {
      return memoryOf(object.export());
    }
    return memoryOf(format === "raw" ? object.parts.point : object.export({ format: "der", type: format }), algorithm);
  },

  async sign(given, key, data) {
    requireUsage(key, "sign");
    const algorithm = algorithmOf(given, "sign");
    if (algorithm.name === "HMAC") {
      return memoryOf(hmac(hashNamed(key.algorithm.hash.name), copyOf(key.object), copyOf(data)));
    }
    return memoryOf(signWith(digestFor(key, algorithm), Buffer.from(copyOf(data)), signing(key, algorithm)));
  },

  async verify(given, key, signature, data) {
    requireUsage(key, "verify");
    const algorithm = algorithmOf(given, "verify");
    if (algorithm.name === "HMAC") {
      return Buffer.from(hmac(hashNamed(key.algorithm.hash.name), copyOf(key.object), copyOf(data))).equals(Buffer.from(copyOf(signature)));
    }
    return verifyWith(digestFor(key, algorithm), Buffer.from(copyOf(data)), signing(key, algorithm), Buffer.from(copyOf(signature)));
  },

  async encrypt(given, key, data) {
    requireUsage(key, "encrypt");
    const algorithm = algorithmOf(given, "encrypt");
    if (algorithm.name === "RSA-OAEP") {
      return memoryOf(rsa.encryptOaep(key.object.parts, Buffer.from(copyOf(data)), key.algorithm.hash.name, algorithm.label && Buffer.from(copyOf(algorithm.label))));
    }
    return memoryOf(cipher(algorithm, key.object).encrypt(copyOf(data)));
  },

  async decrypt(given, key, data) {
    requireUsage(key, "decrypt");
    const algorithm = algorithmOf(given, "decrypt");
    try {
      if (algorithm.name === "RSA-OAEP") {
        return memoryOf(rsa.decryptOaep(key.object.parts, Buffer.from(copyOf(data)), key.algorithm.hash.name, algorithm.label && Buffer.from(copyOf(algorithm.label))));
      }
      return memoryOf(cipher(algorithm, key.object).decrypt(copyOf(data)));
    } catch (cause) {
      throw Object.assign(error("The data cannot be decrypted with this key.", "OperationError"), { cause });
    }
  },

  async deriveBits(given, key, length) {
    const algorithm = algorithmOf(given, "deriveBits");
    const [hash, secret, salt] = [hashNamed(hashIn(algorithm)), copyOf(key.object), copyOf(algorithm.salt)];
    if (algorithm.name === "PBKDF2") {
      return memoryOf(pbkdf2(hash, secret, salt, { c: algorithm.iterations, dkLen: length / 8 }));
    }
    if (algorithm.name === "HKDF") {
      return memoryOf(hkdf(hash, secret, salt, copyOf(algorithm.info), length / 8));
    }
    throw unsupported(algorithm, "deriveBits");
  },

  async deriveKey(algorithm, key, derived, extractable, usages) {
    const { name, length = LENGTHS[derived.hash && hashIn(derived)] } = derived;
    return subtle.importKey("raw", await subtle.deriveBits(algorithm, key, length), { ...derived, name }, extractable, usages);
  },

  async generateKey(given, extractable, usages) {
    const algorithm = algorithmOf(given, "generateKey");
    if (/^(AES-|HMAC)/.test(algorithm.name)) {
      const { length = LENGTHS[algorithm.hash && hashIn(algorithm)] } = algorithm;
      return subtle.importKey("raw", randomBytes(length / 8), algorithm, extractable, usages);
    }
    if (algorithm.name !== "ECDSA" && algorithm.name !== "Ed25519") {
      throw unsupported(algorithm, "generateKey");
    }
    const { privateKey, publicKey } = generatePair(algorithm.name === "ECDSA" ? "ec" : "ed25519", algorithm);
    const only = (wanted) => usages.filter((usage) => usage === wanted);
    return { privateKey: new CryptoKey(privateKey, algorithm, extractable, only("sign")), publicKey: new CryptoKey(publicKey, algorithm, true, only("verify")) };
  },

  async wrapKey(format, key, wrappingKey, algorithm) {
    const exported = await subtle.exportKey(format, key);
    return subtle.encrypt(algorithm, wrappingKey, format === "jwk" ? Buffer.from(JSON.stringify(exported)) : exported);
  },

  async unwrapKey(format, wrapped, unwrappingKey, algorithm, ...how) {
    const data = await subtle.decrypt(algorithm, unwrappingKey, wrapped);
    return subtle.importKey(format, format === "jwk" ? JSON.parse(Buffer.from(data).toString()) : data, ...how);
  },
};

/** A public key that is given as its point. */
function pointOf({ name, namedCurve }, point) {
  if (name === "Ed25519") {
    return keyOf({ key: { kty: "OKP", crv: "Ed25519", x: point.toString("base64url") }, format: "jwk" });
  }
  const { length } = Object.values(CURVES).find(({ jwk }) => jwk === namedCurve);
  return keyOf({ key: { kty: "EC", crv: namedCurve, x: point.subarray(1, 1 + length).toString("base64url"), y: point.subarray(1 + length).toString("base64url") }, format: "jwk" });
}

Object.defineProperty(globalThis.crypto, "subtle", { value: subtle, configurable: true, enumerable: false });
Object.defineProperty(globalThis, "CryptoKey", { value: CryptoKey, configurable: true, writable: true, enumerable: false });
