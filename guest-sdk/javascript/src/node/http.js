/**
 * `http`, the client: requests over the host's outgoing HTTP, as `fetch` sends them. A body is sent when it is whole. The host keeps the
 * connections, so an agent and a socket are only there to be asked.
 */

import { EventEmitter } from "node:events";
import { Readable, Writable } from "node:stream";

import { METHODS, STATUS_CODES } from "unenv/node/internal/http/constants";

import { requireScope } from "../scope.js";
import { TOKEN } from "../globals/fetch.js";

export { METHODS, STATUS_CODES };
export const maxHeaderSize = 16_384;

export class Agent extends EventEmitter {
  requests = {};
  sockets = {};
  freeSockets = {};

  constructor(options = {}) {
    super();
    this.options = { ...options };
    Object.assign(this, { keepAlive: false, keepAliveMsecs: 1000, maxSockets: Infinity, maxFreeSockets: 256, protocol: "http:", defaultPort: 80 }, options);
  }

  destroy() {}
}

export const globalAgent = new Agent();

/** What libraries do with the socket of a request: all of it is the host's business. */
class Socket extends EventEmitter {
  connecting = false;
  destroyed = false;
  readable = true;
  writable = true;
  remoteAddress = undefined;

  constructor(isSecure) {
    super();
    Object.assign(this, { encrypted: isSecure, authorized: isSecure });
  }

  end() {
    return this;
  }

  destroy() {
    this.destroyed = true;
    return this;
  }
}

for (const name of ["cork", "uncork", "ref", "unref", "setKeepAlive", "setNoDelay", "setTimeout"]) {
  Socket.prototype[name] = function () {
    return this;
  };
}

export class IncomingMessage extends Readable {
  httpVersion = "1.1";
  httpVersionMajor = 1;
  httpVersionMinor = 1;
  aborted = false;
  complete = false;
  trailers = {};
  rawTrailers = [];
  #body;

  constructor({ status, headers, body }, request) {
    super();
    this.#body = body;
    Object.assign(this, { statusCode: status, statusMessage: STATUS_CODES[status] ?? "", req: request, socket: request.socket, connection: request.socket, url: "" });
    this.rawHeaders = headers.flat();
    this.headers = foldedHeaders(headers);
    this.headersDistinct = Object.fromEntries(Object.entries(this.headers).map(([name, value]) => [name, [value].flat()]));
  }

  _read() {
    if (this.#body?.length > 0) {
      this.push(Buffer.from(this.#body.buffer, this.#body.byteOffset, this.#body.length));
    }
    this.#body = null;
    this.complete = true;
    this.push(null);
  }

  setTimeout() {
    return this;
  }
}

function foldedHeaders(headers) {
  const folded = {};
  for (const [given, value] of headers) {
    const name = given.toLowerCase();
    if (name === "set-cookie") {
      (folded[name] ??= []).push(value);
    } else {
      folded[name] = folded[name] === undefined ? value : `${folded[name]}${name === "cookie" ? "; " : ", "}${value}`;
    }
  }
  return folded;
}

/** The headers of a message that is being written. */
export class OutgoingMessage extends Writable {
  headersSent = false;
  #headers = new Map();

  setHeader(name, value) {
    validateHeaderName(name);
    validateHeaderValue(name, value);
    this.#headers.set(name.toLowerCase(), [name, value]);
    return this;
  }

  setHeaders(headers) {
    headers.forEach((value, name) => this.setHeader(name, value));
    return this;
  }

  appendHeader(name, value) {
    return this.setHeader(name, [this.getHeader(name) ?? [], value].flat());
  }

  getHeader(name) {
    return this.#headers.get(name.toLowerCase())?.[1];
  }

  hasHeader(name) {
    return this.#headers.has(name.toLowerCase());
  }

  removeHeader(name) {
    this.#headers.delete(name.toLowerCase());
  }

  getHeaderNames() {
    return [...this.#headers.keys()];
  }

  getRawHeaderNames() {
    return Array.from(this.#headers.values(), ([name]) => name);
  }

  getHeaders() {
    return Object.fromEntries(Array.from(this.#headers, ([name, [, value]]) => [name, value]));
  }

  /** The headers that are sent. Those of the connection are the host's; it cannot decode what `zlib` here cannot. */
  get lines() {
    const lines = [];
    for (const [name, [, value]] of this.#headers) {
      if (name === "accept-encoding") {
        const known = String(value).split(/\s*,\s*/).filter((coding) => !/^(br|zstd)\b/.test(coding));
        lines.push([name, known.join(", ") || "identity"]);
      } else if (!OF_THE_CONNECTION.has(name)) {
        [value].flat().forEach((line) => lines.push([name, String(line)]));
      }
    }
    return lines;
  }
}

const OF_THE_CONNECTION = new Set(["connection", "content-length", "expect", "host", "http2-settings", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"]);

export class ClientRequest extends OutgoingMessage {
  aborted = false;
  reusedSocket = false;
  res = null;
  timeoutCb = null;
  #chunks = [];
  #cancelTimer = null;

  constructor(input, given, callback) {
    super({ autoDestroy: false, decodeStrings: true });
    const [options, listener] = typeof given === "function" ? [optionsOf(input), given] : [{ ...optionsOf(input), ...given }, callback];
    refuseWhatTheHostDecides(options);
    const { protocol = "http:", path = "/", method = "GET" } = options;
    // Without a hostname the host may have a port.
    const [, name, portOfHost] = /^(\[.*\]|[^:]*)(?::(\d+))?$/.exec(options.hostname ?? options.host ?? "localhost") ?? [null, options.hostname ?? options.host];
    const host = name.includes(":") && !name.startsWith("[") ? `[${name}]` : name;
    const port = options.port ?? portOfHost ?? options.defaultPort;
    Object.assign(this, { protocol, host, path, method: method.toUpperCase(), agent: options.agent ?? globalAgent });
    this.url = path.startsWith("/") ? `${protocol}//${host}${port ? `:${port}` : ""}${path}` : `${protocol}//${host}${port ? `:${port}` : ""}/${path}`;
    this.socket = new Socket(protocol === "https:");
    this.connection = this.socket;
    setHeaders(this, options);
    if (listener) {
      this.once("response", listener);
    }
    if (options.timeout) {
      this.setTimeout(options.timeout);
    }
    this.#obey(options.signal);
    process.nextTick(() => this.emit("socket", this.socket));
  }

  #obey(signal) {
    const stop = () => this.destroy(Object.assign(new Error("The operation was aborted", { cause: signal.reason }), { name: "AbortError", code: "ABORT_ERR" }));
    signal?.aborted ? process.nextTick(stop) : signal?.addEventListener("abort", stop, { once: true });
  }

  _write(chunk, _encoding, callback) {
    this.#chunks.push(chunk);
    callback();
  }

  _final(callback) {
    callback();
    this.#send();
  }

  async #send() {
    this.headersSent = true;
    try {
      const scope = requireScope("an HTTP request");
      scope.requireFetch();
      const content = this.#chunks.length > 0 ? Buffer.concat(this.#chunks) : null;
      const response = await scope.fetch({ url: this.url, method: this.method, headers: this.lines }, content);
      this.#receive(response);
    } catch (error) {
      this.destroy(asError(error));
    }
  }

  #receive(response) {
    if (this.destroyed) {
      return;
    }
    this.res = new IncomingMessage(response, this);
    this.res.once("close", () => {
      this.setTimeout(0);
      this.emit("close");
    });
    if (!this.emit("response", this.res)) {
      this.res.resume();
    }
  }

  _destroy(error, callback) {
    this.setTimeout(0);
    this.socket.destroyed = true;
    if (this.res) {
      this.res.aborted = !this.res.complete;
      this.res.destroy(error);
      callback(null);
    } else {
      callback(error ?? Object.assign(new Error("socket hang up"), { code: "ECONNRESET" }));
    }
  }

  abort() {
    if (!this.aborted) {
      this.aborted = true;
      process.nextTick(() => this.emit("abort"));
      this.destroy();
    }
  }

  /** The event does not end the request. */
  setTimeout(milliseconds, callback) {
    this.#cancelTimer?.();
    this.#cancelTimer = null;
    if (callback) {
      this.once("timeout", callback);
    }
    if (milliseconds > 0) {
      const timer = setTimeout(() => this.emit("timeout"), milliseconds);
      this.#cancelTimer = () => clearTimeout(timer);
    }
    return this;
  }

  flushHeaders() {}
  setNoDelay() {}
  setSocketKeepAlive() {}
  cork() {}
  uncork() {}
}

function setHeaders(request, { headers = {}, auth }) {
  const pairs = Array.isArray(headers) ? pairsOf(headers) : Object.entries(headers);
  pairs.filter(([, value]) => value !== undefined).forEach(([name, value]) => request.setHeader(name, value));
  if (auth && !request.hasHeader("authorization")) {
    request.setHeader("Authorization", `Basic ${Buffer.from(auth).toString("base64")}`);
  }
}

/** An array of pairs, or of names and values in turn. */
function pairsOf(headers) {
  return Array.isArray(headers[0]) ? headers : headers.flatMap((name, index) => (index % 2 === 0 ? [[name, headers[index + 1]]] : []));
}

function optionsOf(input) {
  if (typeof input !== "string" && !(input instanceof URL)) {
    return { ...input };
  }
  const { protocol, hostname, port, pathname, search, username, password } = new URL(input);
  const auth = username || password ? { auth: `${decodeURIComponent(username)}:${decodeURIComponent(password)}` } : {};
  return { protocol, hostname, path: pathname + search, ...(port && { port }), ...auth };
}

/** Less would be sent, or checked, than the code believes. */
function refuseWhatTheHostDecides({ socketPath, cert, key, pfx }) {
  if (socketPath) {
    throw new Error(`A request cannot go to the socket '${socketPath}': there are no files of sockets in a sandbox.`);
  }
  if (cert || key || pfx) {
    throw new Error("A request cannot have a certificate of its own: the host makes the connection.");
  }
}

const CODES = {
  "connection-limit-reached": "EAGAIN",
  "connection-read-timeout": "ETIMEDOUT",
  "connection-refused": "ECONNREFUSED",
  "connection-terminated": "ECONNRESET",
  "connection-timeout": "ETIMEDOUT",
  "connection-write-timeout": "ETIMEDOUT",
  "destination-IP-prohibited": "EACCES",
  "destination-IP-unroutable": "EHOSTUNREACH",
  "destination-not-found": "ENOTFOUND",
  "destination-unavailable": "EHOSTUNREACH",
  "DNS-error": "ENOTFOUND",
  "DNS-timeout": "EAI_AGAIN",
  "HTTP-request-denied": "EACCES",
  "HTTP-response-timeout": "ETIMEDOUT",
};

/** The error of `fetch`, with the code that libraries look for. */
function asError(error) {
  const code = CODES[/^[\w-]+/.exec(error?.cause?.code)?.[0]];
  return code ? Object.assign(error, { code }) : error;
}

export function request(input, options, callback) {
  return new ClientRequest(input, options, callback);
}

export function get(input, options, callback) {
  const sent = request(input, options, callback);
  sent.end();
  return sent;
}

export function validateHeaderName(name) {
  if (typeof name !== "string" || !TOKEN.test(name)) {
    throw Object.assign(new TypeError(`Header name must be a valid HTTP token ["${name}"]`), { code: "ERR_INVALID_HTTP_TOKEN" });
  }
}

export function validateHeaderValue(name, value) {
  if (value === undefined || /[\0\r\n]/.test(String(value))) {
    throw Object.assign(new TypeError(`Invalid value "${value}" for header "${name}"`), { code: value === undefined ? "ERR_HTTP_INVALID_HEADER_VALUE" : "ERR_INVALID_CHAR" });
  }
}

export function createServer() {
  throw new Error("A guest cannot listen: requests reach a function with an HTTP trigger.");
}

export class Server extends EventEmitter {
  constructor() {
    super();
    createServer();
  }
}

export class ServerResponse extends OutgoingMessage {}

export const setMaxIdleHTTPParsers = () => {};
export const setGlobalProxyFromEnv = () => {};

export default {
  Agent,
  ClientRequest,
  IncomingMessage,
  METHODS,
  OutgoingMessage,
  STATUS_CODES,
  Server,
  ServerResponse,
  createServer,
  get,
  globalAgent,
  maxHeaderSize,
  request,
  validateHeaderName,
  validateHeaderValue,
};
