/** Sends one request over `wasi:http`. */

import { hostError } from "./host-error.js";
import { release } from "./reactor.js";

/** The maximum number of bytes of one write in WASI. */
const WRITE_BYTES_MAX = 4096;
const READ_BYTES_MAX = 65_536;

/**
 * @param content the bytes of the body, or null
 * @returns a promise of `{ status, headers, body }`
 */
export async function sendRequest({ httpTypes, httpHandler }, request, content, reactor) {
  if (!httpTypes) {
    throw new Error("fetch is not part of this component: the build found no code that names it");
  }
  const outgoing = attempt(request, () => outgoingRequest(httpTypes, request, content));
  const sink = content && outgoing.body();
  const future = attempt(request, () => httpHandler.handle(outgoing, null));
  if (sink) {
    write(httpTypes, sink, content);
  }
  return receive(request, future, reactor);
}

function outgoingRequest(types, request, content) {
  const url = new URL(request.url);
  if (url.protocol !== "http:" && url.protocol !== "https:") {
    throw new TypeError(`fetch failed: ${request.url}: only http and https can be fetched`);
  }
  const outgoing = new types.OutgoingRequest(fieldsOf(types, request, content));
  outgoing.setMethod(METHODS.has(request.method) ? { tag: request.method.toLowerCase() } : { tag: "other", val: request.method });
  outgoing.setScheme({ tag: url.protocol === "http:" ? "HTTP" : "HTTPS" });
  outgoing.setAuthority(url.host);
  outgoing.setPathWithQuery(url.pathname + url.search);
  return outgoing;
}

const METHODS = new Set(["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"]);

const SENDS_A_BODY = new Set(["POST", "PUT", "PATCH"]);

function fieldsOf(types, request, content) {
  const encoder = new TextEncoder();
  const headers = [...request.headers];
  // Without it the body would come in pieces of unknown number, which some servers refuse.
  if ((content || SENDS_A_BODY.has(request.method)) && !headers.some(([name]) => name.toLowerCase() === "content-length")) {
    headers.push(["content-length", String(content?.length ?? 0)]);
  }
  const fields = headers.map(([name, value]) => [name, encoder.encode(value)]);
  try {
    return types.Fields.fromList(fields);
  } catch (error) {
    const refused = fields.find((field) => isRefused(types, field)) ?? [];
    throw new TypeError(`fetch failed: ${request.url}: the header '${refused[0]}' cannot be sent: ${reasonOf(hostError(error))}`);
  }
}

function isRefused(types, field) {
  try {
    release(types.Fields.fromList([field]));
    return false;
  } catch {
    return true;
  }
}

/** Writes the body. A server that answers early, or not at all, closes the stream: the result of the request is in the future. */
function write(types, sink, content) {
  const stream = sink.write();
  try {
    for (let start = 0; start < content.length; start += WRITE_BYTES_MAX) {
      stream.blockingWriteAndFlush(content.subarray(start, start + WRITE_BYTES_MAX));
    }
  } catch {
    release(stream);
    return;
  }
  release(stream);
  try {
    types.OutgoingBody.finish(sink, null);
  } catch {
    // As above.
  }
}

async function receive(request, future, reactor) {
  await reactor.ready(future.subscribe());
  const outcome = future.get();
  // The outer result is an error only if it was read before; the inner one is that of the request.
  const inner = outcome.val;
  if (inner.tag === "err") {
    throw failed(request, inner.val);
  }
  const incoming = inner.val;
  const decoder = new TextDecoder();
  const headers = incoming.headers().entries().map(([name, value]) => [name, decoder.decode(Uint8Array.from(value))]);
  // A handle is dropped when its object is collected, and a stream must be dropped before its body: so both are kept here.
  const source = incoming.consume();
  const stream = source.stream();
  const body = await readAll(request, stream, reactor);
  release(stream);
  release(source);
  return { status: incoming.status(), headers, body };
}

async function readAll(request, stream, reactor) {
  const chunks = [];
  let length = 0;
  for (;;) {
    let chunk;
    try {
      chunk = stream.read(READ_BYTES_MAX);
    } catch (error) {
      const reason = hostError(error);
      if (reason?.tag === "closed") {
        break;
      }
      throw new TypeError(`fetch failed: ${request.url}: the response broke off`);
    }
    if (chunk.length === 0) {
      await reactor.ready(stream.subscribe());
    }
    chunks.push(chunk);
    length += chunk.length;
  }
  const body = new Uint8Array(length);
  let start = 0;
  for (const chunk of chunks) {
    body.set(chunk, start);
    start += chunk.length;
  }
  return body;
}

/** Converts an error from the host to one of `fetch`. */
function attempt(request, body) {
  try {
    return body();
  } catch (error) {
    const code = hostError(error);
    throw code === error && error instanceof Error ? error : failed(request, code);
  }
}

/** As in browsers and Node.js, a request without a response fails with a TypeError, whose cause has the reason. */
function failed(request, code) {
  const reason = reasonOf(code);
  const error = new TypeError(`fetch failed: ${request.url}: ${reason}`, { cause: { code: reason } });
  error.retriable = code?.tag !== "HTTP-request-denied";
  return error;
}

/** Describes an error of WASI: a case of a variant, with its value, or of an enum. Some failures have no error value. */
function reasonOf(code) {
  if (code === undefined) {
    return "the request is not as it must be";
  }
  return typeof code?.tag === "string" ? code.tag + (code.val ? ` ${JSON.stringify(code.val)}` : "") : String(code);
}
