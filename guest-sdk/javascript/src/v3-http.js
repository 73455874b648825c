/** `context.req` and `context.res` of the programming model v3. */

import { bodyOf, cookieText, hostResponse } from "./azure-http.js";
import { Blob } from "./globals/blob.js";
import { bytesOf } from "./globals/fetch.js";
import { parseForm } from "./globals/form-data.js";
import { userOf } from "./http-user.js";

/** The request. Texts that are JSON are parsed, except in `rawBody`. */
export class V3Request {
  #user;
  #content;

  constructor({ method, url, headers, query, params, body, bodyBase64 }) {
    this.method = method;
    this.url = url;
    this.originalUrl = url;
    this.headers = joined(headers);
    this.query = Object.fromEntries(query ?? []);
    this.params = { ...params };
    const content = bodyOf({ body, bodyBase64 });
    if (content !== undefined) {
      this.#content = content;
      const isBinary = /^(application\/octet-stream$|multipart\/)/i.test(this.headers["content-type"] ?? "");
      this.rawBody = typeof content === "string" ? content.replace(/^\ufeff/, "") : new TextDecoder().decode(content);
      this.body = isBinary ? this.bufferBody : parsed(this.rawBody);
    }
  }

  get bufferBody() {
    if (typeof this.#content === "string") {
      this.#content = Buffer.from(this.#content);
    }
    return this.#content;
  }

  get user() {
    this.#user ??= { value: userOf((name) => this.headers[name]) };
    return this.#user.value;
  }

  get(name) {
    return this.headers[String(name).toLowerCase()];
  }

  /** The fields of a form, in `get`, `getAll`, `has`; a part has `value`, and a file `fileName` and `contentType`. */
  parseFormBody() {
    return new V3Form(parseForm(this.bufferBody ?? new Uint8Array(), this.headers["content-type"]));
  }
}

/** Values of one name are one text. */
function joined(headers) {
  const all = {};
  for (const [name, value] of headers ?? []) {
    all[name] = Object.hasOwn(all, name) ? `${all[name]}${name === "cookie" ? "; " : ", "}${value}` : value;
  }
  return all;
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

class V3Form {
  #parts;

  constructor(form) {
    this.#parts = Array.from(form, ([name, value]) => [name, partOf(value)]);
  }

  get length() {
    return this.#parts.length;
  }

  get(name) {
    return this.#parts.find(([key]) => key === name)?.[1] ?? null;
  }

  getAll(name) {
    return this.#parts.filter(([key]) => key === name).map(([, part]) => part);
  }

  has(name) {
    return this.#parts.some(([key]) => key === name);
  }

  [Symbol.iterator]() {
    return this.#parts[Symbol.iterator]();
  }
}

function partOf(value) {
  if (typeof value === "string") {
    return { value: Buffer.from(value) };
  }
  return { value: Buffer.from(Blob.bytesOf(value)), fileName: value.name, contentType: value.type };
}

/** The response, which the function fills, replaces, or sends in the manner of Express. */
export class V3Response {
  #done;
  headers = {};
  cookies = [];

  /** @param done is called when it is sent */
  constructor(done) {
    this.#done = done;
  }

  status(statusCode) {
    this.statusCode = statusCode;
    return this;
  }

  setHeader(name, value) {
    this.headers[name.toLowerCase()] = value;
    return this;
  }

  getHeader(name) {
    return this.headers[name.toLowerCase()];
  }

  removeHeader(name) {
    delete this.headers[name.toLowerCase()];
    return this;
  }

  type(type) {
    return this.setHeader("content-type", type);
  }

  json(body) {
    this.type("application/json").end(body);
  }

  sendStatus(statusCode) {
    return this.status(statusCode).end();
  }

  end(body) {
    if (body !== undefined) {
      this.body = body;
    }
    this.#done();
    return this;
  }
}

Object.assign(V3Response.prototype, {
  send: V3Response.prototype.end,
  set: V3Response.prototype.setHeader,
  header: V3Response.prototype.setHeader,
  get: V3Response.prototype.getHeader,
  contentType: V3Response.prototype.type,
});

/** The contract's response of a `V3Response`, or of an object with `status`, `headers`, `cookies` and `body`. */
export async function v3ResponseFor(response) {
  if (response === undefined || response === null) {
    return undefined;
  }
  if (typeof response !== "object" || Array.isArray(response) || bytesOf(response)) {
    throw new TypeError("The HTTP response must be an object, with properties such as 'body', 'status' and 'headers'.");
  }
  const status = Number(response.statusCode ?? (typeof response.status === "function" ? undefined : response.status) ?? 200);
  if (!Number.isInteger(status) || status < 100 || status > 999) {
    throw new RangeError(`The status of a response must be a whole number from 100 to 999, not '${response.statusCode ?? response.status}'.`);
  }
  const { content, type } = contentOf(response.body);
  const headers = headersOf(response);
  const hasType = headers.some(([name]) => name === "content-type");
  return hostResponse({ status, headers: [...headers, ...(type && !hasType ? [["content-type", type]] : [])], content });
}

function headersOf({ headers, cookies }) {
  const entries = Object.entries(headers ?? {}).filter(([, value]) => value !== undefined && value !== null);
  const pairs = entries.flatMap(([name, value]) => {
    const key = name.toLowerCase();
    return Array.isArray(value) && key === "set-cookie" ? value.map((one) => [key, String(one)]) : [[key, String(value)]];
  });
  return [...pairs, ...(cookies ?? []).map((cookie) => ["set-cookie", cookieText(cookie)])];
}

/** A text and bytes are sent as they are, anything else as JSON. */
function contentOf(body) {
  if (body === undefined || body === null) {
    return { content: null };
  }
  if (typeof body === "string") {
    return { content: body, type: "text/plain; charset=utf-8" };
  }
  const bytes = bytesOf(body);
  return bytes ? { content: bytes, type: "application/octet-stream" } : { content: JSON.stringify(body) ?? "", type: "application/json; charset=utf-8" };
}
