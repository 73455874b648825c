/** The little of ASN.1 that keys are written in: values of a tag, a length and content, in DER. */

export const INTEGER = 0x02;
export const BIT_STRING = 0x03;
export const OCTET_STRING = 0x04;
export const NULL = 0x05;
export const OBJECT_ID = 0x06;
export const SEQUENCE = 0x30;

/** @returns `{ tag, content, items }`, with the items of a sequence or of another constructed value */
export function parse(bytes) {
  return parseAt(bytes, 0).value;
}

function parseAt(bytes, start) {
  const tag = bytes[start];
  let [length, at] = [bytes[start + 1], start + 2];
  if (length > 0x80) {
    const count = length & 0x7f;
    length = bytes.subarray(at, at + count).reduce((sum, byte) => sum * 256 + byte, 0);
    at += count;
  }
  const end = at + length;
  if (!(end <= bytes.length)) {
    throw new Error("The key is not valid: it ends too early.");
  }
  const value = { tag, content: bytes.subarray(at, end), items: [] };
  if (tag & 0x20) {
    while (at < end) {
      const next = parseAt(bytes, at);
      value.items.push(next.value);
      at = next.end;
    }
  }
  return { value, end };
}

export function write(tag, ...parts) {
  const content = Buffer.concat(parts);
  const size = content.length < 0x80 ? [content.length] : [0, ...bytesOfNumber(content.length)];
  if (size.length > 1) {
    size[0] = 0x80 | (size.length - 1);
  }
  return Buffer.concat([Buffer.from([tag, ...size]), content]);
}

function bytesOfNumber(number) {
  const bytes = [];
  for (let rest = number; rest > 0; rest = Math.floor(rest / 256)) {
    bytes.unshift(rest % 256);
  }
  return bytes;
}

export function integer(number) {
  const hex = number.toString(16);
  const bytes = Buffer.from(hex.length % 2 ? `0${hex}` : hex, "hex");
  return write(INTEGER, bytes[0] & 0x80 ? Buffer.from([0]) : Buffer.alloc(0), bytes);
}

export const numberOf = (bytes) => BigInt(`0x${Buffer.from(bytes).toString("hex") || "0"}`);

/** The bytes of a number, with zeros before them. */
export const bytesOf = (number, length) => Buffer.from(number.toString(16).padStart(length * 2, "0"), "hex");

export function objectId({ content }) {
  const parts = [Math.floor(content[0] / 40), content[0] % 40];
  let part = 0;
  for (const byte of content.subarray(1)) {
    part = part * 128 + (byte & 127);
    if (byte < 128) {
      parts.push(part);
      part = 0;
    }
  }
  return parts.join(".");
}

export function writeObjectId(text) {
  const [first, second, ...rest] = text.split(".").map(Number);
  const bytes = [first * 40 + second];
  for (const part of rest) {
    const digits = [part % 128];
    for (let left = Math.floor(part / 128); left > 0; left = Math.floor(left / 128)) {
      digits.unshift((left % 128) | 128);
    }
    bytes.push(...digits);
  }
  return write(OBJECT_ID, Buffer.from(bytes));
}
