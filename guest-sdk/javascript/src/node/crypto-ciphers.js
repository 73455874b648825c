/** The ciphers of `crypto`: AES in the modes CBC, CTR, ECB and GCM. */

import { cbc, ctr, ecb, gcm } from "@noble/ciphers/aes.js";

import { Buffer } from "./buffer-module.js";
import crypto, { bytesOf, encoded } from "./crypto.js";

const MODES = { cbc: (key, iv, isPadded) => cbc(key, iv, { disablePadding: !isPadded }), ctr: (key, iv) => ctr(key, iv), ecb: (key, _iv, isPadded) => ecb(key, { disablePadding: !isPadded }), gcm: (key, iv, _isPadded, aad) => gcm(key, iv, aad) };
const TAG_BYTES = 16;

/** What goes in comes out at the end, as a whole: `update` returns nothing. */
class Cipher {
  chunks = [];
  isPadded = true;
  aad;
  tag = null;

  constructor(name, key, iv) {
    const [, bits, mode] = /^(?:id-)?aes-?(128|192|256)-(cbc|ctr|ecb|gcm)$/i.exec(name) ?? [];
    if (!mode) {
      throw Object.assign(new Error(`Unknown cipher: there are ${crypto.getCiphers().join(", ")}, not ${name}`), { code: "ERR_CRYPTO_UNKNOWN_CIPHER" });
    }
    const bytes = bytesOf(key);
    if (bytes.length * 8 !== Number(bits)) {
      throw Object.assign(new RangeError("Invalid key length"), { code: "ERR_CRYPTO_INVALID_KEYLEN" });
    }
    this.mode = mode.toLowerCase();
    this.engine = () => MODES[this.mode](bytes, iv === null ? undefined : bytesOf(iv), this.isPadded, this.aad);
  }

  update(data, inputEncoding, outputEncoding) {
    this.chunks.push(Uint8Array.from(bytesOf(data, inputEncoding)));
    return encoded([], outputEncoding);
  }

  setAutoPadding(isPadded = true) {
    this.isPadded = isPadded;
    return this;
  }

  setAAD(aad) {
    this.aad = bytesOf(aad);
    return this;
  }

  getAuthTag() {
    return this.tag;
  }

  setAuthTag(tag, encoding) {
    this.tag = Buffer.from(bytesOf(tag, encoding));
    return this;
  }
}

class Cipheriv extends Cipher {
  final(encoding) {
    const bytes = Buffer.from(this.engine().encrypt(Buffer.concat(this.chunks)));
    if (this.mode !== "gcm") {
      return encoded(bytes, encoding);
    }
    this.tag = bytes.subarray(-TAG_BYTES);
    return encoded(bytes.subarray(0, -TAG_BYTES), encoding);
  }
}

class Decipheriv extends Cipher {
  final(encoding) {
    try {
      return encoded(this.engine().decrypt(Buffer.concat([...this.chunks, ...(this.mode === "gcm" ? [this.tag ?? []] : [])])), encoding);
    } catch (error) {
      throw this.mode === "gcm" ? new Error("Unsupported state or unable to authenticate data") : Object.assign(new Error("bad decrypt"), { code: "ERR_OSSL_BAD_DECRYPT", cause: error });
    }
  }
}

Object.assign(crypto, { createCipheriv: (name, key, iv) => new Cipheriv(name, key, iv), createDecipheriv: (name, key, iv) => new Decipheriv(name, key, iv) });
