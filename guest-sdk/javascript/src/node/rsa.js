/** RSA: signatures of PKCS #1 v1.5 and PSS, and encryption with OAEP and v1.5. */

import { Buffer } from "./buffer-module.js";
import { bytesOf as bytesOfNumber, numberOf } from "./asn1.js";
import { hashNamed, randomBytes } from "./crypto.js";

/** What stands before a hash in a signature of v1.5: its algorithm, in ASN.1. */
const PREFIXES = {
  md5: "3020300c06082a864886f70d020505000410",
  sha1: "3021300906052b0e03021a05000414",
  sha224: "302d300d06096086480165030402040500041c",
  sha256: "3031300d060960864801650304020105000420",
  sha384: "3041300d060960864801650304020205000430",
  sha512: "3051300d060960864801650304020305000440",
};

const canonical = (digest) => String(digest).toLowerCase().replace(/^rsa-/, "").replace(/^sha-/, "sha");
const lengthOf = ({ n }) => Math.ceil(n.toString(16).length / 2);
const hashOf = (digest, ...parts) => Buffer.from(hashNamed(digest)(Buffer.concat(parts)));

function power(base, exponent, modulus) {
  let [result, square] = [1n, base % modulus];
  for (let rest = exponent; rest > 0n; rest >>= 1n) {
    if (rest & 1n) {
      result = (result * square) % modulus;
    }
    square = (square * square) % modulus;
  }
  return result;
}

const open = (key, bytes) => bytesOfNumber(power(numberOf(bytes), key.e, key.n), lengthOf(key));

/** With the Chinese remainder theorem if the primes are known. */
function close(key, bytes) {
  const number = numberOf(bytes);
  if (!key.p) {
    return bytesOfNumber(power(number, key.d, key.n), lengthOf(key));
  }
  const { p, q, dp = key.d % (p - 1n), dq = key.d % (q - 1n) } = key;
  const [m1, m2] = [power(number, dp, p), power(number, dq, q)];
  const qi = key.qi ?? power(q, p - 2n, p);
  const h = (qi * (((m1 - m2) % p) + p)) % p;
  return bytesOfNumber(m2 + h * q, lengthOf(key));
}

function padded(key, digest, message) {
  const prefix = PREFIXES[canonical(digest)];
  if (!prefix) {
    throw new Error(`RSA signs no hash '${digest}'.`);
  }
  const end = Buffer.concat([Buffer.from(prefix, "hex"), hashOf(digest, message)]);
  const fill = lengthOf(key) - end.length - 3;
  if (fill < 8) {
    throw new Error("The key is too short for the hash.");
  }
  return Buffer.concat([Buffer.from([0, 1]), Buffer.alloc(fill, 0xff), Buffer.from([0]), end]);
}

export const sign = (key, digest, message) => close(key, padded(key, digest, message));
export const verify = (key, digest, message, signature) => signature.length === lengthOf(key) && open(key, signature).equals(padded(key, digest, message));

function mask(digest, seed, length) {
  const parts = [];
  for (let count = 0, size = 0; size < length; count += 1) {
    const counter = Buffer.alloc(4);
    counter.writeUInt32BE(count);
    parts.push(hashOf(digest, seed, counter));
    size += parts[0].length;
  }
  return Buffer.concat(parts).subarray(0, length);
}

const xor = (a, b) => Buffer.from(a.map((byte, index) => byte ^ b[index]));

export function signPss(key, digest, message, saltLength) {
  const bits = key.n.toString(2).length - 1;
  const hash = hashOf(digest, message);
  const length = Math.ceil(bits / 8);
  const salt = randomBytes(saltLength ?? hash.length);
  const inner = hashOf(digest, Buffer.alloc(8), hash, salt);
  const block = Buffer.concat([Buffer.alloc(length - salt.length - hash.length - 2), Buffer.from([1]), salt]);
  const masked = xor(block, mask(digest, inner, block.length));
  masked[0] &= 0xff >> (8 * length - bits);
  return close(key, Buffer.concat([masked, inner, Buffer.from([0xbc])]));
}

/** The salt may have any length. */
export function verifyPss(key, digest, message, signature) {
  if (signature.length !== lengthOf(key)) {
    return false;
  }
  const bits = key.n.toString(2).length - 1;
  const hash = hashOf(digest, message);
  const whole = open(key, signature).subarray(-Math.ceil(bits / 8));
  if (whole.at(-1) !== 0xbc) {
    return false;
  }
  const masked = whole.subarray(0, whole.length - hash.length - 1);
  const inner = whole.subarray(masked.length, -1);
  const block = xor(masked, mask(digest, inner, masked.length));
  block[0] &= 0xff >> (8 * whole.length - bits);
  const start = block.findIndex((byte) => byte !== 0);
  return block[start] === 1 && inner.equals(hashOf(digest, Buffer.alloc(8), hash, block.subarray(start + 1)));
}

export function encryptOaep(key, data, digest, label = Buffer.alloc(0)) {
  const hash = hashOf(digest, label);
  const length = lengthOf(key);
  if (data.length > length - 2 * hash.length - 2) {
    throw new Error("The data is too long for the key.");
  }
  const block = Buffer.concat([hash, Buffer.alloc(length - data.length - 2 * hash.length - 2), Buffer.from([1]), data]);
  const seed = randomBytes(hash.length);
  const maskedBlock = xor(block, mask(digest, seed, block.length));
  const maskedSeed = xor(seed, mask(digest, maskedBlock, seed.length));
  return open(key, Buffer.concat([Buffer.from([0]), maskedSeed, maskedBlock]));
}

export function decryptOaep(key, data, digest, label = Buffer.alloc(0)) {
  const hash = hashOf(digest, label);
  const whole = close(key, data);
  const maskedBlock = whole.subarray(1 + hash.length);
  const seed = xor(whole.subarray(1, 1 + hash.length), mask(digest, maskedBlock, hash.length));
  const block = xor(maskedBlock, mask(digest, seed, maskedBlock.length));
  const end = block.indexOf(1, hash.length);
  if (whole[0] !== 0 || end < 0 || !block.subarray(0, hash.length).equals(hash)) {
    throw new Error("The data cannot be decrypted with this key.");
  }
  return block.subarray(end + 1);
}

export function encryptV15(key, data) {
  const fill = randomBytes(lengthOf(key) - data.length - 3).map((byte) => byte || 1);
  return open(key, Buffer.concat([Buffer.from([0, 2]), fill, Buffer.from([0]), data]));
}
