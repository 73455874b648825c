/** `fetch`, `Headers`, `Request` and `Response`. Bodies are not streamed to and from the host: they are kept in memory. */

import { requireScope } from "../scope.js";
import { Blob, joined } from "./blob.js";
import { parseForm, writeForm } from "./form-data.js";
import { ReadableStream } from "./streams.js";

export class Headers {
  /** `[name, values]` by name in lower case. */
  #entries = new Map();

  constructor(init = []) {
    const pairs = typeof init[Symbol.iterator] === "function" ? init : Object.entries(init);
    for (const [name, value] of pairs) {
      this.append(name, value);
    }
  }

  append(name, value) {
    const key = checkedName(name);
    this.#entries.set(key, [...(this.#entries.get(key) ?? []), checkedValue(value)]);
  }

  set(name, value) {
    this.#entries.set(checkedName(name), [checkedValue(value)]);
  }

  get(name) {
    return this.#entries.get(checkedName(name))?.join(", ") ?? null;
  }

  getSetCookie() {
    return [...(this.#entries.get("set-cookie") ?? [])];
  }

  has(name) {
    return this.#entries.has(checkedName(name));
  }

  delete(name) {
    this.#entries.delete(checkedName(name));
  }

  forEach(callback) {
    for (const [name, value] of this) {
      callback(value, name, this);
    }
  }

  *entries() {
    for (const name of [...this.#entries.keys()].sort()) {
      yield [name, this.get(name)];
    }
  }

  *keys() {
    for (const [name] of this) {
      yield name;
    }
  }

  *values() {
    for (const [, value] of this) {
      yield value;
    }
  }

  [Symbol.iterator]() {
    return this.entries();
  }
}

/** The characters of header names and methods. */
export const TOKEN = /^[!#$%&'*+\-.^_`|~0-9a-z]+$/i;

function checkedName(name) {
  const text = String(name).toLowerCase();
  if (!TOKEN.test(text)) {
    throw new TypeError(`'${name}' is not the name of a header.`);
  }
  return text;
}

function checkedValue(value) {
  const text = String(value).trim();
  if (/[\0\r\n]/.test(text)) {
    throw new TypeError("The value of a header cannot have line breaks.");
  }
  return text;
}

/** The common part of requests and responses: a body that can be read once. */
export class Body {
  /** A text, bytes, an asynchronous iterable of chunks, or null. A text is encoded only if its bytes are asked for, because that is slow. */
  #content;
  /** A promise of all bytes of an iterable. */
  #loading = null;
  #stream = null;
  #isUsed = false;

  constructor(body, headers) {
    const { content, type } = contentOf(body);
    this.#content = content;
    this.headers = new Headers(headers ?? []);
    if (type && !this.headers.has("content-type")) {
      this.headers.set("content-type", type);
    }
  }

  get bodyUsed() {
    return this.#isUsed;
  }

  /** A stream of the bytes, or null if there is no body. */
  get body() {
    if (this.#content !== null) {
      this.#stream ??= ReadableStream.from(this.#chunks());
    }
    return this.#stream;
  }

  async *#chunks() {
    this.#use();
    if (isWhole(this.#content)) {
      yield (await this.#load()).slice();
    } else {
      yield* this.#content;
    }
  }

  async bytes() {
    this.#useWhole();
    return this.#content === null ? new Uint8Array() : this.#load();
  }

  #useWhole() {
    if (this.#stream?.locked) {
      throw new TypeError("The body is being read as a stream.");
    }
    this.#use();
  }

  #use() {
    if (this.#isUsed) {
      throw new TypeError("The body has been read already.");
    }
    this.#isUsed = this.#content !== null;
  }

  #load() {
    this.#loading ??= isWhole(this.#content) ? Promise.resolve(encoded(this.#content)) : collect(this.#content);
    return this.#loading;
  }

  async arrayBuffer() {
    const bytes = await this.bytes();
    return bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength);
  }

  async blob() {
    return new Blob([await this.bytes()], { type: this.headers.get("content-type") ?? "" });
  }

  async formData() {
    return parseForm(await this.bytes(), this.headers.get("content-type"));
  }

  async text() {
    if (typeof this.#content === "string") {
      this.#useWhole();
      return this.#content.replace(/^\ufeff/, "");
    }
    return new TextDecoder().decode(await this.bytes());
  }

  async json() {
    return JSON.parse(await this.text());
  }

  /** The unread body, for a copy. */
  get unread() {
    if (this.#isUsed) {
      throw new TypeError("The body has been read already.");
    }
    if (this.#content === null || isWhole(this.#content)) {
      return this.#content;
    }
    // The copies share what they load.
    const source = this.#content;
    let loading = null;
    const load = () => (loading ??= collect(source));
    this.#content = { [Symbol.asyncIterator]: () => once(load) };
    return this.#content;
  }

  /** For the SDK: the unread body as bytes, or null. */
  async unreadBytes() {
    return this.unread === null ? null : this.#load();
  }

  /** For the SDK: the unread body as a text or bytes, or null. */
  async unreadWhole() {
    return typeof this.unread === "string" ? this.unread : this.unreadBytes();
  }
}

const isWhole = (content) => typeof content === "string" || content instanceof Uint8Array;
const encoded = (content) => (typeof content === "string" ? new TextEncoder().encode(content) : content);

async function* once(load) {
  yield await load();
}

async function collect(chunks) {
  const all = [];
  for await (const chunk of chunks) {
    all.push(encoded(bytesOf(chunk) ?? String(chunk)));
  }
  return joined(all);
}

/** The bytes of a buffer; undefined of anything else. */
export function bytesOf(value) {
  if (value instanceof ArrayBuffer) {
    return new Uint8Array(value);
  }
  return ArrayBuffer.isView(value) ? new Uint8Array(value.buffer, value.byteOffset, value.byteLength) : undefined;
}

/** Whether a value is of a class of the web, whichever implementation that has: Node.js has its own. */
const isA = (value, name) => Object.prototype.toString.call(value) === `[object ${name}]`;

function contentOf(body) {
  if (body === undefined || body === null) {
    return { content: null };
  }
  const bytes = bytesOf(body);
  if (bytes) {
    return { content: bytes.slice() };
  }
  if (isA(body, "URLSearchParams") || body instanceof URLSearchParams) {
    return { content: body.toString(), type: "application/x-www-form-urlencoded;charset=UTF-8" };
  }
  if (isA(body, "Blob") || isA(body, "File")) {
    return { content: once(() => body.bytes?.() ?? body.arrayBuffer()), type: body.type };
  }
  if (isA(body, "FormData")) {
    const boundary = `form-${crypto.randomUUID()}`;
    return { content: once(() => writeForm(body, boundary)), type: `multipart/form-data; boundary=${boundary}` };
  }
  if (typeof body[Symbol.asyncIterator] === "function") {
    return { content: body };
  }
  return { content: String(body).toWellFormed(), type: "text/plain;charset=UTF-8" };
}

export class Request extends Body {
  constructor(input, init = {}) {
    const source = input instanceof Request ? input : null;
    super(init.body ?? source?.unread, init.headers ?? source?.headers);
    this.url = source ? source.url : new URL(input).href;
    this.method = normalizedMethod(init.method ?? source?.method ?? "GET");
    this.redirect = init.redirect ?? source?.redirect ?? "follow";
    this.signal = init.signal ?? source?.signal ?? new AbortController().signal;
    if (this.unread !== null && (this.method === "GET" || this.method === "HEAD")) {
      throw new TypeError(`A request with the method ${this.method} cannot have a body.`);
    }
  }

  clone() {
    return new Request(this);
  }
}

function normalizedMethod(method) {
  const upper = String(method).toUpperCase();
  if (!TOKEN.test(upper)) {
    throw new TypeError(`'${method}' is not the method of a request.`);
  }
  return ["DELETE", "GET", "HEAD", "OPTIONS", "POST", "PUT"].includes(upper) ? upper : String(method);
}

export class Response extends Body {
  constructor(body, { status = 200, statusText = "", headers, url = "", redirected = false } = {}) {
    super(body, headers);
    Object.assign(this, { status, statusText, url, redirected, type: "default" });
  }

  get ok() {
    return this.status >= 200 && this.status < 300;
  }

  clone() {
    return new Response(this.unread, this);
  }

  static json(data, init = {}) {
    const headers = new Headers(init.headers ?? []);
    if (!headers.has("content-type")) {
      headers.set("content-type", "application/json");
    }
    return new Response(JSON.stringify(data), { ...init, headers });
  }

  static error() {
    return new Response(null, { status: 0 });
  }

  static redirect(url, status = 302) {
    return new Response(null, { status, headers: { location: new URL(url).href } });
  }
}

const REDIRECTS = [301, 302, 303, 307, 308];
const REDIRECTS_MAX = 20;

/** Sends a request under the hub's policy for outgoing HTTP, and follows redirects. */
export async function fetch(input, init) {
  const scope = requireScope("fetch");
  // Before anything is awaited, so that the stack still names the caller.
  scope.requireFetch();
  let request = new Request(input, init);
  for (let redirects = 0; ; redirects += 1) {
    request.signal.throwIfAborted();
    // Kept for a redirect, which sends it again.
    const content = await request.unreadBytes();
    const { status, headers, body } = await orAborted(scope.fetch(request, content), request.signal);
    const location = REDIRECTS.includes(status) ? new Headers(headers).get("location") : null;
    if (!location || request.redirect === "manual") {
      return new Response(body, { status, headers, url: request.url, redirected: redirects > 0 });
    }
    if (request.redirect === "error" || redirects === REDIRECTS_MAX) {
      throw new TypeError(`fetch failed: ${request.url} redirects${redirects ? " too often" : ""}`);
    }
    request = redirected(request, content, status, new URL(location, request.url));
  }
}

function orAborted(promise, signal) {
  return new Promise((resolve, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
    promise.then(resolve, reject);
  });
}

function redirected(request, content, status, url) {
  const headers = new Headers(request.headers);
  const becomesGet = status === 303 ? request.method !== "HEAD" : status < 303 && request.method === "POST";
  // Credentials are not sent on to another origin.
  if (url.origin !== new URL(request.url).origin) {
    ["authorization", "cookie", "proxy-authorization"].forEach((name) => headers.delete(name));
  }
  if (becomesGet) {
    ["content-type", "content-length"].forEach((name) => headers.delete(name));
  }
  return new Request(url, {
    method: becomesGet ? "GET" : request.method,
    body: becomesGet ? undefined : content,
    headers,
    redirect: request.redirect,
    signal: request.signal,
  });
}
