/** `FormData`, and its two forms in a body: `application/x-www-form-urlencoded` and `multipart/form-data`. */

import { Blob, File, joined } from "./blob.js";
import { fromLatin1, latin1 } from "./encoding.js";

export class FormData {
  /** `[name, value]`, in their order. */
  #entries = [];

  append(name, value, fileName) {
    this.#entries.push(entryOf(name, value, fileName));
  }

  set(name, value, fileName) {
    const entry = entryOf(name, value, fileName);
    const first = this.#entries.findIndex(([key]) => key === entry[0]);
    if (first < 0) {
      this.#entries.push(entry);
    } else {
      this.#entries[first] = entry;
      this.#entries = this.#entries.filter(([key], index) => key !== entry[0] || index === first);
    }
  }

  get(name) {
    return this.#entries.find(([key]) => key === String(name))?.[1] ?? null;
  }

  getAll(name) {
    return this.#entries.filter(([key]) => key === String(name)).map(([, value]) => value);
  }

  has(name) {
    return this.#entries.some(([key]) => key === String(name));
  }

  delete(name) {
    this.#entries = this.#entries.filter(([key]) => key !== String(name));
  }

  forEach(callback) {
    this.#entries.forEach(([name, value]) => callback(value, name, this));
  }

  *entries() {
    yield* this.#entries.map((entry) => [...entry]);
  }

  *keys() {
    yield* this.#entries.map(([name]) => name);
  }

  *values() {
    yield* this.#entries.map(([, value]) => value);
  }

  [Symbol.iterator]() {
    return this.entries();
  }

  get [Symbol.toStringTag]() {
    return "FormData";
  }
}

function entryOf(name, value, fileName) {
  if (!(value instanceof Blob)) {
    return [String(name), String(value)];
  }
  const isFile = value instanceof File && fileName === undefined;
  return [String(name), isFile ? value : new File([value], fileName ?? value.name ?? "blob", { type: value.type })];
}

/** The parameters of a media type, with names in lower case. */
function parametersOf(header) {
  const parameters = {};
  for (const [, name, quoted, plain] of header.matchAll(/;\s*([^=;\s]+)=(?:"((?:\\.|[^"\\])*)"|([^;]*))/g)) {
    parameters[name.toLowerCase()] = quoted === undefined ? plain.trim() : quoted.replace(/\\(["\\])/g, "$1").replace(/%22/g, '"');
  }
  return parameters;
}

/** Parses a body by its content type. Throws a TypeError if it is not a form. */
export function parseForm(bytes, contentType) {
  const form = new FormData();
  const type = /^[^;]*/.exec(contentType ?? "")[0].trim().toLowerCase();
  if (type === "application/x-www-form-urlencoded") {
    new URLSearchParams(new TextDecoder().decode(bytes)).forEach((value, name) => form.append(name, value));
    return form;
  }
  const { boundary } = parametersOf(contentType ?? "");
  if (type !== "multipart/form-data" || !boundary) {
    throw new TypeError(`The body is not a form: its content type is '${contentType ?? ""}'.`);
  }
  for (const { headers, content } of partsOf(bytes, boundary)) {
    const { name, filename } = parametersOf(headers["content-disposition"] ?? "");
    if (name === undefined) {
      throw new TypeError("A part of the form has no name.");
    }
    if (filename === undefined) {
      form.append(name, new TextDecoder().decode(content));
    } else {
      form.append(name, new File([content], filename, { type: headers["content-type"] ?? "application/octet-stream" }));
    }
  }
  return form;
}

/** The parts of a multipart body. Bytes are looked at as characters, one each, so that contents stay as they are. */
function partsOf(bytes, boundary) {
  const text = latin1(bytes);
  const delimiter = latin1(new TextEncoder().encode(`--${boundary}`));
  const parts = [];
  let start = text.startsWith(delimiter) ? 0 : text.indexOf(`\r\n${delimiter}`) + 2;
  if (start < 2 && !text.startsWith(delimiter)) {
    throw new TypeError("The body has no part with the boundary that its content type names.");
  }
  for (;;) {
    start += delimiter.length;
    if (text.startsWith("--", start)) {
      return parts;
    }
    const end = text.indexOf(`\r\n${delimiter}`, start);
    const head = text.indexOf("\r\n\r\n", start);
    if (end < 0 || head < 0 || head > end) {
      throw new TypeError("The multipart body ends before its last boundary.");
    }
    parts.push({ headers: headersOf(text.slice(start, head)), content: bytes.slice(head + 4, Math.max(end, head + 4)) });
    start = end + 2;
  }
}

function headersOf(text) {
  const lines = new TextDecoder().decode(fromLatin1(text)).split("\r\n").filter((line) => line.includes(":"));
  return Object.fromEntries(lines.map((line) => [line.slice(0, line.indexOf(":")).trim().toLowerCase(), line.slice(line.indexOf(":") + 1).trim()]));
}

/** The bytes of a multipart body. */
export async function writeForm(form, boundary) {
  const entries = [];
  for (const [name, value] of form) {
    entries.push({ name, value, content: typeof value === "string" ? new TextEncoder().encode(value) : new Uint8Array(await value.arrayBuffer()) });
  }
  const chunks = entries.flatMap(({ name, value, content }) => [new TextEncoder().encode(`--${boundary}\r\n${headOf(name, value)}\r\n\r\n`), content, CRLF]);
  return joined([...chunks, new TextEncoder().encode(`--${boundary}--\r\n`)]);
}

const CRLF = Uint8Array.of(13, 10);

function headOf(name, value) {
  const quoted = (text) => `"${text.replace(/["\r\n]/g, encodeURIComponent)}"`;
  const disposition = `Content-Disposition: form-data; name=${quoted(name)}`;
  return typeof value === "string" ? disposition : `${disposition}; filename=${quoted(value.name)}\r\nContent-Type: ${value.type || "application/octet-stream"}`;
}
