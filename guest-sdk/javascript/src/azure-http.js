/** `HttpRequest` and `HttpResponse` of the programming model v4, and their forms in the contract (`run-trigger` in `dacapo.wit`). */

import { requireText, wellFormed } from "./border.js";
import { Body, bytesOf } from "./globals/fetch.js";
import { userOf } from "./http-user.js";

/** The methods of a body, which a request and a response share. */
class Message {
  #content;

  constructor(content) {
    this.#content = content;
  }

  get headers() {
    return this.#content.headers;
  }

  get body() {
    return this.#content.body;
  }

  get bodyUsed() {
    return this.#content.bodyUsed;
  }

  arrayBuffer() {
    return this.#content.arrayBuffer();
  }

  blob() {
    return this.#content.blob();
  }

  bytes() {
    return this.#content.bytes();
  }

  formData() {
    return this.#content.formData();
  }

  json() {
    return this.#content.json();
  }

  text() {
    return this.#content.text();
  }

  /** For the SDK: the body, for a copy. */
  get unread() {
    return this.#content.unread;
  }

  /** For the SDK: the unread body as a text or bytes, or null. */
  unreadWhole() {
    return this.#content.unreadWhole();
  }
}

export class HttpRequest extends Message {
  #user;

  constructor({ method = "GET", url = "http://localhost/", headers, query, params, body } = {}) {
    super(new Body(unwrapped(body), headers));
    this.method = method;
    this.url = url;
    this.query = new URLSearchParams(query ?? (URL.canParse(url) ? new URL(url).search : ""));
    this.params = { ...params };
  }

  /** Whom the headers of an authenticating proxy name, or null. */
  get user() {
    this.#user ??= { value: userOf((name) => this.headers.get(name)) };
    return this.#user.value;
  }

  clone() {
    const { method, url, headers, query, params } = this;
    return new HttpRequest({ method, url, headers, query, params, body: this.unread });
  }
}

/** The original's constructor takes `{ string }` or `{ bytes }`. */
function unwrapped(body) {
  const isWrapped = typeof body?.string === "string" || bytesOf(body?.bytes) !== undefined;
  return isWrapped ? (body.bytes ?? body.string) : body;
}

/** The statuses whose responses have no body. */
const WITHOUT_BODY = [204, 205, 304];

export class HttpResponse extends Message {
  constructor({ status = 200, headers, body, jsonBody, cookies = [], enableContentNegotiation = false } = {}) {
    const isJson = jsonBody !== undefined;
    const content = new Body(WITHOUT_BODY.includes(status) ? null : isJson ? JSON.stringify(jsonBody) : body, headers);
    if (isJson && !hasHeader(headers, "content-type")) {
      content.headers.set("content-type", "application/json");
    }
    super(content);
    Object.assign(this, { status, cookies, enableContentNegotiation });
  }

  clone() {
    const { status, headers, cookies, enableContentNegotiation } = this;
    return new HttpResponse({ status, headers, body: this.unread, cookies, enableContentNegotiation });
  }
}

function hasHeader(headers, name) {
  return new Body(null, headers).headers.has(name);
}

/** The request that the input of an HTTP trigger describes. */
export function requestOf({ method, url, headers = [], query, params, body, bodyBase64 }) {
  const request = new HttpRequest({ method, url, headers, query, params, body: bodyOf({ body, bodyBase64 }) });
  if (!headers.some(([name]) => name === "content-type")) {
    // That of a text, which the client did not send.
    request.headers.delete("content-type");
  }
  return request;
}

/** A body in the contract's form: a text, bytes, or undefined. */
export function bodyOf({ body, bodyBase64 }) {
  return bodyBase64 === undefined ? body : Buffer.from(bodyBase64, "base64");
}

/** The contract's response of what a handler returns: an `HttpResponse`, its options, a body, or nothing. */
export async function responseFor(result) {
  if (result === undefined || result === null) {
    return undefined;
  }
  const response = result instanceof HttpResponse ? result : new HttpResponse(optionsFor(result));
  const status = Number(response.status);
  if (!Number.isInteger(status) || status < 100 || status > 999) {
    throw new RangeError(`The status of a response must be a whole number from 100 to 999, not '${response.status}'.`);
  }
  const { headers } = response;
  const pairs = [...headers].filter(([name]) => name !== "set-cookie");
  const cookies = [...headers.getSetCookie(), ...response.cookies.map(cookieText)];
  const content = await response.unreadWhole();
  return hostResponse({ status, headers: [...pairs, ...cookies.map((cookie) => ["set-cookie", cookie])], content });
}

function optionsFor(result) {
  const isBody = typeof result === "string" || bytesOf(result) !== undefined;
  if (!isBody && typeof result !== "object") {
    throw new TypeError('A handler of an HTTP trigger returns a response: an object with "status", "headers", "cookies", and "body" or "jsonBody".');
  }
  return isBody ? { body: result } : result;
}

/** @param content a text, bytes, or null */
export function hostResponse({ status, headers, content }) {
  const texts = headers.map(([name, value]) => [name, wellFormed(value)]);
  return { status, headers: texts, ...(content && content.length > 0 ? encoded(content) : {}) };
}

/** A text, if the bytes are one, or else Base64. */
function encoded(bytes) {
  if (typeof bytes === "string") {
    return { body: wellFormed(bytes) };
  }
  try {
    return { body: new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes) };
  } catch {
    return { bodyBase64: Buffer.from(bytes).toString("base64") };
  }
}

/** The value of a header `Set-Cookie`. */
export function cookieText({ name, value, expires, maxAge, domain, path, secure, httpOnly, sameSite }) {
  const parts = [`${encodeURIComponent(requireText(name, "The name of a cookie"))}=${encodeURIComponent(requireText(value ?? "", "The value of a cookie"))}`];
  const attribute = (key, given) => given !== undefined && given !== null && parts.push(`${key}=${given}`);
  attribute("Expires", expires === undefined || expires === null ? undefined : new Date(expires).toUTCString());
  attribute("Max-Age", maxAge);
  attribute("Domain", domain);
  attribute("Path", path ?? "/");
  parts.push(...(secure ? ["Secure"] : []), ...(httpOnly ? ["HttpOnly"] : []));
  attribute("SameSite", sameSite && sameSite[0].toUpperCase() + sameSite.slice(1).toLowerCase());
  return parts.join("; ");
}
