/** Installs what code for the web and for Node.js expects to be there, and QuickJS lacks. */

import { console } from "./console.js";
import { JobPromise, enqueueJob } from "../promise.js";

function install(globals) {
  for (const [name, value] of Object.entries(globals)) {
    Object.defineProperty(globalThis, name, { value, writable: true, configurable: true, enumerable: false });
  }
}

install({ Promise: JobPromise, queueMicrotask: enqueueJob, console, global: globalThis });
