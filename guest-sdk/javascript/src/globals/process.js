/** The part of `process` that code for Node.js reads. The operator sets the environment, which is recorded with the version. */

import { enqueueJob } from "../promise.js";
import { currentScope } from "../scope.js";
import { log } from "../log.js";

/** What the app has set. */
const written = {};
let variables = null;

/** The variables that have been read while the app was loaded: what it read is right in an instance that has none of them. */
const namesRead = new Set();
/** Stands for all names. */
const ALL = "*";

/** For the build. */
export const readsAtLoad = () => [...namesRead];

/** Whether what was read while the app was loaded is the same in this instance. */
export function isEnvironmentAsRead() {
  const host = hostVariables();
  return namesRead.has(ALL) ? Object.keys(host).length === 0 : ![...namesRead].some((name) => name in host);
}

const hostVariables = () => Object.fromEntries(globalThis.__dacapo.imports.environment.getEnvironment());

function environment(name) {
  if (currentScope() === null) {
    namesRead.add(name);
  }
  // The build has none: what differs from that is known by the names that were read.
  if (globalThis.__dacapo.isBuilding) {
    return written;
  }
  variables ??= Object.assign(hostVariables(), written);
  return variables;
}

/** Read on first use, so that an app that does not use it does not depend on it. */
const env = new Proxy(
  {},
  {
    get: (_, name) => (typeof name === "string" ? environment(name)[name] : undefined),
    has: (_, name) => typeof name === "string" && name in environment(name),
    ownKeys: () => Reflect.ownKeys(environment(ALL)),
    getOwnPropertyDescriptor(_, name) {
      const all = typeof name === "string" ? environment(name) : {};
      return Object.hasOwn(all, name) ? { value: all[name], writable: true, enumerable: true, configurable: true } : undefined;
    },
    set(_, name, value) {
      written[name] = String(value);
      if (variables !== null) {
        variables[name] = written[name];
      }
      return true;
    },
    deleteProperty: (_, name) => delete written[name] && (variables === null || delete variables[name]),
  },
);

const stream = (level) => ({
  isTTY: false,
  writable: true,
  write(text, encoding, callback = encoding) {
    log(level, String(text).replace(/\n$/, ""));
    if (typeof callback === "function") {
      process.nextTick(callback);
    }
    return true;
  },
  end: () => {},
  on: () => process.stdout,
  once: () => process.stdout,
  emit: () => false,
});

const memoryUsage = () => ({ rss: 0, heapTotal: 0, heapUsed: 0, external: 0, arrayBuffers: 0 });

export const process = {
  env,
  argv: ["/node", "/app.js"],
  argv0: "node",
  execArgv: [],
  execPath: "/node",
  exitCode: undefined,
  title: "node",
  pid: 1,
  ppid: 0,
  arch: "wasm32",
  platform: "wasi",
  // The API that packages find is that of this version.
  version: "v22.0.0",
  versions: { node: "22.0.0" },
  release: { name: "node" },
  config: { variables: {} },
  features: {},
  stdout: stream("info"),
  stderr: stream("error"),
  stdin: { isTTY: false, fd: 0, on: () => process.stdin, once: () => process.stdin, resume: () => process.stdin, pause: () => process.stdin, setEncoding: () => process.stdin },
  cwd: () => "/",
  chdir() {
    throw new Error("The working directory of a guest is always '/'.");
  },
  umask: () => 0o22,
  nextTick: (callback, ...args) => enqueueJob(() => callback(...args)),
  hrtime: Object.assign(
    (since = [0, 0]) => {
      const now = performance.now();
      const [seconds, nanoseconds] = [Math.floor(now / 1000) - since[0], Math.floor((now % 1000) * 1e6) - since[1]];
      return nanoseconds < 0 ? [seconds - 1, nanoseconds + 1e9] : [seconds, nanoseconds];
    },
    { bigint: () => BigInt(Math.round(performance.now() * 1e6)) },
  ),
  uptime: () => performance.now() / 1000,
  memoryUsage: Object.assign(memoryUsage, { rss: () => 0 }),
  cpuUsage: () => ({ user: 0, system: 0 }),
  emit: () => false,
  listeners: () => [],
  listenerCount: () => 0,
  exit(code = process.exitCode ?? 0) {
    throw Object.assign(new Error(`process.exit(${code}) was called: a guest cannot end its process, so the function fails`), { name: "ProcessExit", retriable: false });
  },
  abort: () => process.exit(134),
  emitWarning: (warning) => log("warn", String(warning)),
  binding() {
    throw new Error("process.binding does not exist in a sandbox.");
  },
};

for (const name of ["on", "once", "off", "addListener", "removeListener", "prependListener", "removeAllListeners", "setMaxListeners", "setUncaughtExceptionCaptureCallback"]) {
  process[name] = () => process;
}

// Libraries recognise Node.js by it.
Object.defineProperty(process, Symbol.toStringTag, { value: "process", configurable: true });
