/** The part of `process` that code for Node.js reads. The operator sets the environment, which is recorded with the version. */

import { enqueueJob } from "../promise.js";
import { log } from "../log.js";

let variables = null;

function environment() {
  variables ??= Object.fromEntries(globalThis.__dacapo.imports.environment.getEnvironment());
  return variables;
}

/** Read on first use, so that an app that does not use it does not depend on it. */
const env = new Proxy(
  {},
  {
    get: (_, name) => (typeof name === "string" ? environment()[name] : undefined),
    has: (_, name) => name in environment(),
    ownKeys: () => Reflect.ownKeys(environment()),
    getOwnPropertyDescriptor: (_, name) =>
      name in environment() ? { value: environment()[name], writable: true, enumerable: true, configurable: true } : undefined,
    set(_, name, value) {
      environment()[name] = String(value);
      return true;
    },
    deleteProperty: (_, name) => delete environment()[name],
  },
);

const stream = (level) => ({
  write(text) {
    log(level, String(text).replace(/\n$/, ""));
    return true;
  },
});

export const process = {
  env,
  argv: [],
  platform: "wasi",
  version: "",
  versions: {},
  stdout: stream("info"),
  stderr: stream("error"),
  cwd: () => "/",
  nextTick: (callback, ...args) => enqueueJob(() => callback(...args)),
  hrtime: Object.assign(
    () => {
      const now = performance.now();
      return [Math.floor(now / 1000), Math.floor((now % 1000) * 1e6)];
    },
    { bigint: () => BigInt(Math.round(performance.now() * 1e6)) },
  ),
  uptime: () => performance.now() / 1000,
  on: () => process,
  once: () => process,
  off: () => process,
  emitWarning: (warning) => log("warn", String(warning)),
};
