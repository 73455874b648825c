/** Keys and signatures of `crypto`: RSA, the curves of NIST, secp256k1 and Ed25519; keys in PEM, DER and JWK. */

import { BIT_STRING, INTEGER, NULL, OCTET_STRING, SEQUENCE, bytesOf as bytesOfNumber, integer, numberOf, objectId, parse, write, writeObjectId } from "./asn1.js";
import { Buffer } from "./buffer-module.js";
import crypto, { KeyObject, bytesOf, createSecretKey, encoded, hashNamed } from "./crypto.js";
import * as rsa from "./rsa.js";

const RSA = "1.2.840.113549.1.1.1";
const EC = "1.2.840.10045.2.1";
const ED25519 = "1.3.101.112";

// Loaded when one is used: they try out the source of randomness while they are loaded.
const nist = () => require("@noble/curves/nist.js");
const ed = () => require("@noble/curves/ed25519.js").ed25519;

/** By the name in Node.js: the curve, its identifier, its name in a JWK, and the length of a number in bytes. */
export const CURVES = {
  prime256v1: { load: () => nist().p256, id: "1.2.840.10045.3.1.7", jwk: "P-256", length: 32 },
  secp384r1: { load: () => nist().p384, id: "1.3.132.0.34", jwk: "P-384", length: 48 },
  secp521r1: { load: () => nist().p521, id: "1.3.132.0.35", jwk: "P-521", length: 66 },
  secp256k1: { load: () => require("@noble/curves/secp256k1.js").secp256k1, id: "1.3.132.0.10", jwk: "secp256k1", length: 32 },
};

const curveBy = (property, value) => {
  const found = Object.keys(CURVES).find((name) => name === value || CURVES[name][property] === value);
  if (!found) {
    throw new Error(`The curve '${value}' is not supported: there are ${Object.keys(CURVES).join(", ")}.`);
  }
  return found;
};

const RSA_PARTS = ["n", "e", "d", "p", "q", "dp", "dq", "qi"];

/** A key of two: `parts` are the numbers of RSA, or `{ name, d, point }` of a curve, or `{ seed, point }` of Ed25519. */
export class AsymmetricKeyObject extends KeyObject {
  constructor(type, asymmetricKeyType, parts) {
    super(type);
    this.asymmetricKeyType = asymmetricKeyType;
    Object.defineProperty(this, "parts", { value: parts });
    if (asymmetricKeyType === "rsa") {
      this.asymmetricKeyDetails = { modulusLength: parts.n.toString(2).length, publicExponent: parts.e };
    } else {
      this.asymmetricKeyDetails = parts.name ? { namedCurve: parts.name } : {};
    }
  }

  get publicKey() {
    return this.type === "public" ? this : new AsymmetricKeyObject("public", this.asymmetricKeyType, this.parts);
  }

  export({ format = "pem", type, cipher } = {}) {
    if (format === "jwk") {
      return jwkOf(this);
    }
    if (cipher) {
      throw new Error("A key cannot be encrypted here: export it without a cipher.");
    }
    const kind = type ?? (this.type === "public" ? "spki" : "pkcs8");
    const der = derOf(this, kind);
    const label = { spki: "PUBLIC KEY", pkcs8: "PRIVATE KEY", pkcs1: `RSA ${this.type.toUpperCase()} KEY`, sec1: "EC PRIVATE KEY" }[kind];
    return format === "der" ? der : `-----BEGIN ${label}-----\n${der.toString("base64").replace(/.{64}(?=.)/g, "$&\n")}\n-----END ${label}-----\n`;
  }

  equals(other) {
    return other.type === this.type && this.export({ format: "der" }).equals(other.export({ format: "der" }));
  }
}

// Reading.

function fromPem(text) {
  const [, label, body] = /-----BEGIN ([A-Z0-9 ]+)-----([^-]+)-----END \1-----/.exec(text) ?? [];
  if (!label) {
    throw Object.assign(new Error("The key is not in PEM: it has no line that begins with '-----BEGIN '."), { code: "ERR_OSSL_UNSUPPORTED" });
  }
  if (/ENCRYPTED/.test(label) || /Proc-Type/.test(body)) {
    throw new Error("The key is encrypted, which is not supported: decrypt it before it is used here.");
  }
  return { label, der: Buffer.from(body, "base64") };
}

function rsaKey(type, items) {
  const numbers = items.map(({ content }) => numberOf(content));
  return new AsymmetricKeyObject(type, "rsa", Object.fromEntries(RSA_PARTS.slice(0, numbers.length).map((name, index) => [name, numbers[index]])));
}

function curveKey(type, name, { d, point }) {
  const curve = CURVES[name].load();
  return new AsymmetricKeyObject(type, "ec", { name, d, point: Buffer.from(point ? curve.Point.fromBytes(Uint8Array.from(point)).toBytes(false) : curve.getPublicKey(Uint8Array.from(d), false)) });
}

const edKey = (type, { seed, point }) => new AsymmetricKeyObject(type, "ed25519", { seed, point: point ?? Buffer.from(ed().getPublicKey(Uint8Array.from(seed))) });

/** A key in DER: `SubjectPublicKeyInfo`, `PrivateKeyInfo`, or a form of its own. */
function fromDer(der, label = "") {
  const { items } = parse(der);
  if (label === "CERTIFICATE") {
    const [{ items: fields }] = items;
    // The version may be missing; the key is the sixth field after it.
    return fromDer(derOfValue(fields[fields[0].tag === INTEGER ? 5 : 6]));
  }
  if (items[0].tag === SEQUENCE) {
    return publicKeyOf(items);
  }
  if (items[1].tag === SEQUENCE) {
    return privateKeyOf(items);
  }
  if (items[1].tag === OCTET_STRING) {
    const name = curveBy("id", objectId(items[2].items[0]));
    return curveKey("private", name, { d: items[1].content });
  }
  return items.length > 2 ? rsaKey("private", items.slice(1)) : rsaKey("public", items);
}

const derOfValue = ({ tag, content }) => write(tag, content);

function publicKeyOf([algorithm, bits]) {
  const [id, parameter] = algorithm.items;
  // The first byte says how many bits are unused.
  const content = bits.content.subarray(1);
  switch (objectId(id)) {
    case RSA:
      return rsaKey("public", parse(content).items);
    case EC:
      return curveKey("public", curveBy("id", objectId(parameter)), { point: content });
    case ED25519:
      return edKey("public", { point: Buffer.from(content) });
    default:
      throw new Error(`Keys of the kind ${objectId(id)} are not supported.`);
  }
}

function privateKeyOf([, algorithm, octets]) {
  const [id, parameter] = algorithm.items;
  switch (objectId(id)) {
    case RSA:
      return rsaKey("private", parse(octets.content).items.slice(1));
    case EC:
      return curveKey("private", curveBy("id", objectId(parameter)), { d: parse(octets.content).items[1].content });
    case ED25519:
      return edKey("private", { seed: Buffer.from(parse(octets.content).content) });
    default:
      throw new Error(`Keys of the kind ${objectId(id)} are not supported.`);
  }
}

function fromJwk(jwk) {
  const bytes = (name) => Buffer.from(jwk[name], "base64url");
  if (jwk.kty === "RSA") {
    const parts = Object.fromEntries(RSA_PARTS.filter((name) => jwk[name]).map((name) => [name, numberOf(bytes(name))]));
    return new AsymmetricKeyObject(jwk.d ? "private" : "public", "rsa", parts);
  }
  if (jwk.kty === "EC") {
    return curveKey(jwk.d ? "private" : "public", curveBy("jwk", jwk.crv), { d: jwk.d && bytes("d"), point: Buffer.concat([Buffer.from([4]), bytes("x"), bytes("y")]) });
  }
  if (jwk.kty === "OKP" && jwk.crv === "Ed25519") {
    return edKey(jwk.d ? "private" : "public", { seed: jwk.d && bytes("d"), point: bytes("x") });
  }
  throw new Error(`Keys of the kind ${jwk.kty} are not supported.`);
}

/** Any form in which a key is given. */
export function keyOf(given) {
  if (given instanceof KeyObject) {
    return given;
  }
  if (given?.[Symbol.toStringTag] === "CryptoKey") {
    return given.object;
  }
  if (typeof given === "string" || ArrayBuffer.isView(given) || given instanceof ArrayBuffer) {
    const { label, der } = fromPem(Buffer.from(bytesOf(given)).toString());
    return fromDer(der, label);
  }
  const { key, format = "pem", passphrase } = given ?? {};
  if (passphrase) {
    throw new Error("The key is encrypted, which is not supported: decrypt it before it is used here.");
  }
  if (format === "jwk") {
    return fromJwk(key);
  }
  return format === "der" ? fromDer(Buffer.from(bytesOf(key))) : keyOf(key);
}

function createPrivateKey(given) {
  const key = keyOf(given);
  if (key.type !== "private") {
    throw new TypeError("The key is not a private key.");
  }
  return key;
}

function createPublicKey(given) {
  const key = keyOf(given);
  if (key.type === "secret") {
    throw new TypeError("A secret key has no public key.");
  }
  return key.publicKey;
}

// Writing.

function jwkOf({ type, asymmetricKeyType, parts }) {
  const text = (bytes) => Buffer.from(bytes).toString("base64url");
  if (asymmetricKeyType === "rsa") {
    const names = type === "private" ? RSA_PARTS : ["n", "e"];
    return { kty: "RSA", ...Object.fromEntries(names.map((name) => [name, text(bytesOfNumber(parts[name], Math.ceil(parts[name].toString(16).length / 2)))])) };
  }
  if (asymmetricKeyType === "ed25519") {
    return { kty: "OKP", crv: "Ed25519", x: text(parts.point), ...(type === "private" && { d: text(parts.seed) }) };
  }
  const { jwk, length } = CURVES[parts.name];
  return { kty: "EC", crv: jwk, x: text(parts.point.subarray(1, 1 + length)), y: text(parts.point.subarray(1 + length)), ...(type === "private" && { d: text(parts.d) }) };
}

const bitString = (bytes) => write(BIT_STRING, Buffer.from([0]), bytes);
const numbers = (...values) => write(SEQUENCE, ...values.map(integer));

function derOf({ type, asymmetricKeyType, parts }, kind) {
  const isPublic = type === "public";
  if (asymmetricKeyType === "rsa") {
    const own = isPublic ? numbers(parts.n, parts.e) : numbers(0n, ...RSA_PARTS.map((name) => parts[name]));
    const algorithm = write(SEQUENCE, writeObjectId(RSA), write(NULL));
    return kind === "pkcs1" ? own : isPublic ? write(SEQUENCE, algorithm, bitString(own)) : write(SEQUENCE, integer(0n), algorithm, write(OCTET_STRING, own));
  }
  if (asymmetricKeyType === "ed25519") {
    const algorithm = write(SEQUENCE, writeObjectId(ED25519));
    return isPublic ? write(SEQUENCE, algorithm, bitString(parts.point)) : write(SEQUENCE, integer(0n), algorithm, write(OCTET_STRING, write(OCTET_STRING, parts.seed)));
  }
  const curve = writeObjectId(CURVES[parts.name].id);
  const algorithm = write(SEQUENCE, writeObjectId(EC), curve);
  if (isPublic) {
    return write(SEQUENCE, algorithm, bitString(parts.point));
  }
  const point = write(0xa1, bitString(parts.point));
  return kind === "sec1"
    ? write(SEQUENCE, integer(1n), write(OCTET_STRING, parts.d), write(0xa0, curve), point)
    : write(SEQUENCE, integer(0n), algorithm, write(OCTET_STRING, write(SEQUENCE, integer(1n), write(OCTET_STRING, parts.d), point)));
}

// Signatures.

/** A signature of a curve as two numbers, and as the sequence of them in DER. */
const derOfPair = (pair) => numbers(numberOf(pair.subarray(0, pair.length / 2)), numberOf(pair.subarray(pair.length / 2)));
const pairOfDer = (der, length) => Buffer.concat(parse(der).items.map(({ content }) => bytesOfNumber(numberOf(content), length)));

/** @param digest the name of a hash; null for Ed25519 */
export function signWith(digest, data, given) {
  const { parts, asymmetricKeyType } = createPrivateKey(given);
  const { padding, saltLength, dsaEncoding = "der" } = given;
  if (asymmetricKeyType === "ed25519") {
    return Buffer.from(ed().sign(Uint8Array.from(data), Uint8Array.from(parts.seed)));
  }
  if (asymmetricKeyType === "rsa") {
    return padding === crypto.constants.RSA_PKCS1_PSS_PADDING ? rsa.signPss(parts, digest, data, saltLength >= 0 ? saltLength : undefined) : rsa.sign(parts, digest, data);
  }
  const curve = CURVES[parts.name].load();
  const pair = Buffer.from(curve.sign(hashNamed(digest)(Uint8Array.from(data)), Uint8Array.from(parts.d), { prehash: false, lowS: false, format: "compact" }));
  return dsaEncoding === "der" ? derOfPair(pair) : pair;
}

export function verifyWith(digest, data, given, signature) {
  const { parts, asymmetricKeyType } = createPublicKey(given);
  const { padding, dsaEncoding = "der" } = given;
  try {
    if (asymmetricKeyType === "ed25519") {
      return ed().verify(Uint8Array.from(signature), Uint8Array.from(data), Uint8Array.from(parts.point));
    }
    if (asymmetricKeyType === "rsa") {
      return (padding === crypto.constants.RSA_PKCS1_PSS_PADDING ? rsa.verifyPss : rsa.verify)(parts, digest, data, Buffer.from(signature));
    }
    const { load, length } = CURVES[parts.name];
    const pair = dsaEncoding === "der" ? pairOfDer(signature, length) : signature;
    return load().verify(Uint8Array.from(pair), hashNamed(digest)(Uint8Array.from(data)), Uint8Array.from(parts.point), { prehash: false, lowS: false, format: "compact" });
  } catch {
    // A signature that is none.
    return false;
  }
}

class Signing {
  #digest;
  #chunks = [];

  constructor(digest) {
    hashNamed(digest);
    this.#digest = digest;
  }

  update(data, encoding) {
    this.#chunks.push(Buffer.from(bytesOf(data, encoding)));
    return this;
  }

  write(data, encoding) {
    this.update(data, encoding);
    return true;
  }

  end(data, encoding) {
    return data === undefined ? this : this.update(data, encoding);
  }

  sign(key, encoding) {
    return encoded(signWith(this.#digest, Buffer.concat(this.#chunks), key), encoding);
  }

  verify(key, signature, encoding) {
    return verifyWith(this.#digest, Buffer.concat(this.#chunks), key, bytesOf(signature, encoding));
  }
}

function publicEncrypt(given, data) {
  const { parts } = createPublicKey(given);
  const { padding = crypto.constants.RSA_PKCS1_OAEP_PADDING, oaepHash = "sha1", oaepLabel } = given;
  return padding === crypto.constants.RSA_PKCS1_PADDING ? rsa.encryptV15(parts, bytesOf(data)) : rsa.encryptOaep(parts, bytesOf(data), oaepHash, oaepLabel);
}

function privateDecrypt(given, data) {
  const { padding = crypto.constants.RSA_PKCS1_OAEP_PADDING, oaepHash = "sha1", oaepLabel } = given;
  if (padding !== crypto.constants.RSA_PKCS1_OAEP_PADDING) {
    throw new Error("Only data with the padding of OAEP can be decrypted.");
  }
  return rsa.decryptOaep(createPrivateKey(given).parts, Buffer.from(bytesOf(data)), oaepHash, oaepLabel);
}

export function generatePair(type, { namedCurve } = {}) {
  if (type === "ec") {
    const name = curveBy("jwk", namedCurve);
    const privateKey = curveKey("private", name, { d: Buffer.from(CURVES[name].load().utils.randomSecretKey()) });
    return { privateKey, publicKey: privateKey.publicKey };
  }
  if (type === "ed25519") {
    const privateKey = edKey("private", { seed: Buffer.from(ed().utils.randomSecretKey()) });
    return { privateKey, publicKey: privateKey.publicKey };
  }
  throw new Error(`Keys of the kind '${type}' cannot be generated here: there are ec and ed25519.`);
}

function generateKeyPairSync(type, options = {}) {
  const pair = generatePair(type, options);
  const written = (key, how) => (how ? key.export(how) : key);
  return { privateKey: written(pair.privateKey, options.privateKeyEncoding), publicKey: written(pair.publicKey, options.publicKeyEncoding) };
}

Object.assign(crypto, {
  createPrivateKey,
  createPublicKey,
  createSecretKey,
  createSign: (digest) => new Signing(digest),
  createVerify: (digest) => new Signing(digest),
  generateKeyPair: (type, options, callback) => process.nextTick(() => callback(null, ...Object.values(generateKeyPairSync(type, options)).reverse())),
  generateKeyPairSync,
  privateDecrypt,
  publicEncrypt,
  sign: (digest, data, key) => signWith(digest, bytesOf(data), key),
  verify: (digest, data, key, signature) => verifyWith(digest, bytesOf(data), key, bytesOf(signature)),
});
