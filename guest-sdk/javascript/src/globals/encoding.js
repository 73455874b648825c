/**
 * `TextEncoder` and `TextDecoder`, for UTF-8; the decoder also knows UTF-16LE and Latin-1.
 *
 * Loops over bytes are slow in QuickJS. What is longer than `SHORT` goes through functions of the engine: Base64, and the escapes of URLs.
 */

export class TextEncoder {
  get encoding() {
    return "utf-8";
  }

  encode(text = "") {
    const source = String(text);
    if (source.length > SHORT && hasBase64()) {
      return Uint8Array.fromBase64(btoa(unescape(encodeURIComponent(source.toWellFormed()))));
    }
    const bytes = new Uint8Array(source.length * 3);
    const { written } = this.encodeInto(source, bytes);
    return bytes.slice(0, written);
  }

  encodeInto(text, bytes) {
    const { length } = text;
    const room = bytes.length;
    let [read, written] = [0, 0];
    while (read < length) {
      const unit = text.charCodeAt(read);
      if (unit < 0x80) {
        if (written === room) {
          break;
        }
        bytes[written] = unit;
        written += 1;
        read += 1;
        continue;
      }
      const point = text.codePointAt(read);
      const encoded = encodeCharacter(point);
      if (written + encoded.length > room) {
        break;
      }
      bytes.set(encoded, written);
      written += encoded.length;
      read += point > 0xffff ? 2 : 1;
    }
    return { read, written };
  }
}

/** A character that is not ASCII. */
function encodeCharacter(point) {
  // A lone surrogate is not a character.
  const code = point >= 0xd800 && point <= 0xdfff ? 0xfffd : point;
  if (code < 0x800) {
    return [0xc0 | (code >> 6), 0x80 | (code & 63)];
  }
  if (code < 0x10000) {
    return [0xe0 | (code >> 12), 0x80 | ((code >> 6) & 63), 0x80 | (code & 63)];
  }
  return [0xf0 | (code >> 18), 0x80 | ((code >> 12) & 63), 0x80 | ((code >> 6) & 63), 0x80 | (code & 63)];
}

const LABELS = {
  "utf-8": "utf-8",
  utf8: "utf-8",
  "utf-16le": "utf-16le",
  "utf-16": "utf-16le",
  latin1: "windows-1252",
  ascii: "windows-1252",
  "iso-8859-1": "windows-1252",
  "windows-1252": "windows-1252",
};

export class TextDecoder {
  #isFatal;
  #keepsMark;
  /** The bytes of an incomplete character at the end of the last chunk. */
  #rest = new Uint8Array();
  #isFirst = true;

  constructor(label = "utf-8", { fatal = false, ignoreBOM = false } = {}) {
    this.encoding = LABELS[String(label).trim().toLowerCase()];
    if (!this.encoding) {
      throw new RangeError(`The encoding '${label}' is not known.`);
    }
    this.#isFatal = fatal;
    this.#keepsMark = ignoreBOM;
  }

  get fatal() {
    return this.#isFatal;
  }

  get ignoreBOM() {
    return this.#keepsMark;
  }

  decode(input = new Uint8Array(), { stream = false } = {}) {
    const fresh = ArrayBuffer.isView(input)
      ? new Uint8Array(input.buffer, input.byteOffset, input.byteLength)
      : new Uint8Array(input);
    const bytes = new Uint8Array(this.#rest.length + fresh.length);
    bytes.set(this.#rest);
    bytes.set(fresh, this.#rest.length);
    const { text, used } = this.#decode(bytes, stream);
    this.#rest = stream ? bytes.slice(used) : new Uint8Array();
    const hasMark = this.#isFirst && !this.#keepsMark && text.startsWith("\ufeff");
    this.#isFirst = !stream || (this.#isFirst && text === "");
    return hasMark ? text.slice(1) : text;
  }

  #decode(bytes, isPartial) {
    switch (this.encoding) {
      case "utf-8":
        return decodeLong(bytes) ?? decodeUtf8(bytes, isPartial, this.#isFatal);
      case "utf-16le": {
        const used = bytes.length & ~1;
        const units = Array.from({ length: used / 2 }, (_, index) => bytes[2 * index] | (bytes[2 * index + 1] << 8));
        return { text: fromCodes(units, String.fromCharCode), used };
      }
      default:
        return { text: latin1(bytes), used: bytes.length };
    }
  }
}

const SHORT = 256;
const hasBase64 = () => typeof Uint8Array.fromBase64 === "function";

/** Nothing if the bytes are few, or not valid as a whole. */
function decodeLong(bytes) {
  if (bytes.length <= SHORT || !hasBase64()) {
    return undefined;
  }
  try {
    return { text: decodeURIComponent(escape(latin1(bytes))), used: bytes.length };
  } catch {
    return undefined;
  }
}

/** The lead byte determines how many bytes follow and the range of the first one; invalid bytes become U+FFFD. */
function decodeUtf8(bytes, isPartial, isFatal) {
  let text = "";
  let points = [];
  let index = 0;
  while (index < bytes.length) {
    const end = endOfAscii(bytes, index);
    if (end > index) {
      text += fromCodes(points, String.fromCodePoint) + latin1(bytes.subarray(index, end));
      points = [];
      index = end;
      continue;
    }
    const { point, taken, isValid } = decodeCharacter(bytes, index);
    if (!isValid && index + taken === bytes.length && isPartial && taken < sequence(bytes[index]).length) {
      break;
    }
    if (!isValid && isFatal) {
      throw new TypeError("The bytes are not UTF-8.");
    }
    points.push(isValid ? point : 0xfffd);
    index += taken;
  }
  return { text: text + fromCodes(points, String.fromCodePoint), used: index };
}

function endOfAscii(bytes, start) {
  let end = start;
  while (end < bytes.length && bytes[end] < 0x80) {
    end += 1;
  }
  return end;
}

/** A character that is not ASCII, or the invalid bytes that one U+FFFD stands for. */
function decodeCharacter(bytes, index) {
  const lead = bytes[index];
  const { length, mask, low, high } = sequence(lead);
  let point = lead & mask;
  let taken = 1;
  while (taken < length && index + taken < bytes.length) {
    const byte = bytes[index + taken];
    const [from, to] = taken === 1 ? [low, high] : [0x80, 0xbf];
    if (byte < from || byte > to) {
      break;
    }
    point = (point << 6) | (byte & 63);
    taken += 1;
  }
  return { point, taken, isValid: length > 0 && taken === length };
}

function sequence(lead) {
  if (lead >= 0xc2 && lead <= 0xdf) {
    return { length: 2, mask: 0x1f, low: 0x80, high: 0xbf };
  }
  if (lead >= 0xe0 && lead <= 0xef) {
    return { length: 3, mask: 0x0f, low: lead === 0xe0 ? 0xa0 : 0x80, high: lead === 0xed ? 0x9f : 0xbf };
  }
  if (lead >= 0xf0 && lead <= 0xf4) {
    return { length: 4, mask: 0x07, low: lead === 0xf0 ? 0x90 : 0x80, high: lead === 0xf4 ? 0x8f : 0xbf };
  }
  return { length: 0, mask: 0 };
}

/** The maximum number of arguments of a call; longer texts are made in chunks. */
const ARGUMENTS_MAX = 8192;

function fromCodes(codes, make) {
  if (codes.length <= ARGUMENTS_MAX) {
    return make.apply(null, codes);
  }
  const parts = [];
  for (let start = 0; start < codes.length; start += ARGUMENTS_MAX) {
    parts.push(make.apply(null, codes.slice(start, start + ARGUMENTS_MAX)));
  }
  return parts.join("");
}

/** Bytes as characters, one each. */
export function latin1(bytes) {
  return bytes.length > SHORT && hasBase64() ? atob(Uint8Array.prototype.toBase64.call(bytes)) : fromCodes(bytes, String.fromCharCode);
}

/** The lower byte of each character. */
export function fromLatin1(text) {
  if (text.length > SHORT && hasBase64() && !/[^\0-\xff]/.test(text)) {
    return Uint8Array.fromBase64(btoa(text));
  }
  const bytes = new Uint8Array(text.length);
  for (let index = 0; index < text.length; index += 1) {
    bytes[index] = text.charCodeAt(index);
  }
  return bytes;
}
