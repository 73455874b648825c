/** Installs the globals that code for the web and for Node.js expects, and that QuickJS lacks. */

import { Buffer } from "../node/buffer.js";
import { JobPromise, enqueueJob } from "../promise.js";
import { AbortController, AbortSignal, Event, EventTarget } from "./abort.js";
import { Blob, File } from "./blob.js";
import { console } from "./console.js";
import { crypto, random } from "./crypto.js";
import { TextDecoder, TextEncoder } from "./encoding.js";
import { Headers, Request, Response, fetch } from "./fetch.js";
import { FormData } from "./form-data.js";
import { Intl, dateMethods, numberMethods, stringMethods } from "./intl.js";
import { process } from "./process.js";
import { ReadableStream } from "./streams.js";
import { structuredClone } from "./structured-clone.js";
import * as timers from "./timers.js";
import { URL, URLSearchParams } from "./url.js";

function install(target, values) {
  for (const [name, value] of Object.entries(values)) {
    Object.defineProperty(target, name, { value, writable: true, configurable: true, enumerable: false });
  }
}

install(globalThis, {
  AbortController,
  AbortSignal,
  Blob,
  Buffer,
  Event,
  EventTarget,
  File,
  FormData,
  Headers,
  Intl,
  Promise: JobPromise,
  ReadableStream,
  Request,
  Response,
  TextDecoder,
  TextEncoder,
  URL,
  URLSearchParams,
  console,
  crypto,
  fetch,
  global: globalThis,
  process,
  queueMicrotask: enqueueJob,
  self: globalThis,
  structuredClone,
  ...timers,
});
// Packages recognise objects of these classes by it.
for (const [name, { prototype }] of Object.entries({ AbortController, AbortSignal, Event, EventTarget, Headers, Request, Response, TextDecoder, TextEncoder, URL, URLSearchParams })) {
  Object.defineProperty(prototype, Symbol.toStringTag, { value: name, configurable: true });
}
install(Math, { random });
install(Date.prototype, dateMethods);
install(Number.prototype, numberMethods);
install(String.prototype, stringMethods);

// These would make promises of the engine, which cannot be awaited here.
delete Array.fromAsync;
delete globalThis.AsyncDisposableStack;
