/**
 * The modules of Node.js in a bundle. What the SDK has is in `src/node`, on top of small packages of npm that are ports of Node.js's own code;
 * these are bundled only if the app or a package needs them. What cannot work in a sandbox can be imported, and fails when it is used.
 */

import { builtinModules, createRequire } from "node:module";
import { basename, join, sep } from "node:path";
import { fileURLToPath } from "node:url";

import { ABSENT } from "../src/load.js";

const SDK = fileURLToPath(new URL("../src/", import.meta.url));
const NODE = join(SDK, "node");

/** The packages that `src/node` is made with, all that they need among them. */
export const LIBRARIES = {
  "@noble/ciphers": "2.4.0",
  "@noble/curves": "2.4.0",
  "@noble/hashes": "2.4.0",
  events: "3.3.0",
  "moment-timezone": "0.6.6",
  pako: "3.0.3",
  "path-browserify": "1.0.1",
  "readable-stream": "4.8.0",
  string_decoder: "1.3.0",
  unenv: "2.0.0-rc.25",
};

/** The files in `src/node`, by module. Modules of `unenv` begin with its name. */
const MODULES = {
  _http_agent: "http.js",
  _http_client: "http.js",
  _stream_duplex: "stream.js",
  _stream_passthrough: "stream.js",
  _stream_readable: "stream.js",
  _stream_transform: "stream.js",
  _stream_writable: "stream.js",
  assert: "assert.js",
  "assert/strict": "assert-strict.js",
  async_hooks: "async_hooks.js",
  buffer: "buffer-module.js",
  console: "console.js",
  constants: "constants.js",
  crypto: "crypto.js",
  diagnostics_channel: "unenv/node/diagnostics_channel",
  events: "events.js",
  fs: "fs.js",
  "fs/promises": "fs-promises.js",
  http: "http.js",
  https: "https.js",
  module: "module.js",
  os: "os.js",
  path: "path.js",
  "path/posix": "path.js",
  "path/win32": "path.js",
  perf_hooks: "perf_hooks.js",
  process: "process.js",
  punycode: "unenv/node/punycode",
  querystring: "unenv/node/querystring",
  stream: "stream.js",
  "stream/consumers": "stream-consumers.js",
  "stream/promises": "stream-promises.js",
  "stream/web": "stream-web.js",
  string_decoder: "string_decoder.js",
  sys: "util.js",
  timers: "timers.js",
  "timers/promises": "timers-promises.js",
  tty: "tty.js",
  url: "url.js",
  util: "util.js",
  "util/types": "util-types.js",
  zlib: "zlib.js",
};

/** Modules of which a part works. */
const PARTS = { net: "net.js", worker_threads: "worker_threads.js" };

const NO_SOCKETS = "there are no sockets here, and requests go through fetch, http or https";
const NO_PROCESSES = "a guest is one process of its own; start an activity instead";
const REASONS = {
  child_process: NO_PROCESSES,
  cluster: NO_PROCESSES,
  dgram: NO_SOCKETS,
  dns: NO_SOCKETS,
  "dns/promises": NO_SOCKETS,
  http2: NO_SOCKETS,
  net: NO_SOCKETS,
  tls: NO_SOCKETS,
  worker_threads: "a guest has one thread; start several activities instead, which run in parallel",
};

/** Marks a lookup of a package that has the name of a module of Node.js, such as `events`. */
const INSTALLED = Symbol("installed");

/**
 * @param openLibraries returns a promise of the folder in which `LIBRARIES` are installed
 * @param absent gets `{ file, name }` for each import, in the app's own files, of a module that cannot work here
 */
export const modulesOfNode = ({ openLibraries, absent }) => ({
  name: "modules-of-node",
  setup(build) {
    const library = async (path, kind) => build.resolve(path, { kind, resolveDir: await openLibraries(), pluginData: INSTALLED });

    build.onResolve({ filter: /^[a-z@_]/ }, async ({ path, importer, kind, pluginData }) => {
      if (pluginData === INSTALLED) {
        return undefined;
      }
      const ofSdk = importer.startsWith(SDK);
      if (ofSdk && !path.startsWith("node:")) {
        return library(path, kind);
      }
      if (isOfLibrary(importer) && Object.hasOwn(IN_LIBRARIES, path)) {
        return { path: join(NODE, IN_LIBRARIES[path]) };
      }
      const name = path.replace(/^node:/, "");
      if (!builtinModules.includes(name) && !path.startsWith("node:")) {
        return undefined;
      }
      if (!Object.hasOwn(MODULES, name)) {
        if (!importer.includes("node_modules")) {
          absent.push({ file: importer, name });
        }
        return { path: name, namespace: "absent" };
      }
      return ofSdk ? { path: join(NODE, MODULES[name]) } : { path: name, namespace: "node" };
    });

    // What is exported is the default export. It can be written to, and lacks a name without an error of the bundler's, as in Node.js.
    build.onLoad({ filter: /.*/, namespace: "node" }, ({ path }) => ({
      contents: `const { default: it } = require(${JSON.stringify(fileOf(path))}); module.exports = typeof it === "function" ? it : { ...it };`,
      resolveDir: NODE,
    }));
    build.onResolve({ filter: /^unenv\//, namespace: "node" }, ({ path, kind }) => library(path, kind));

    build.onLoad({ filter: /\.node$/ }, ({ path }) => ({ contents: `throw new Error(${JSON.stringify(`${basename(path)} is machine code, which cannot run in a sandbox.`)});` }));
    build.onLoad({ filter: /.*/, namespace: "absent" }, ({ path }) => ({ contents: absentModule(path), resolveDir: NODE }));
  },
});

const fileOf = (name) => (MODULES[name].startsWith("unenv/") ? MODULES[name] : join(NODE, MODULES[name]));

/** The name of the folder of the libraries begins with it. */
export const LIBRARIES_FOLDER = "node-libraries-";

const isOfLibrary = (file) => file.includes(`${sep}${LIBRARIES_FOLDER}`);

/** What the libraries need has modules of the SDK in its place. */
const IN_LIBRARIES = {
  "abort-controller": "abort-controller.js",
  "process/": "process.js",
  "safe-buffer": "buffer-module.js",
  "string_decoder/": "string_decoder.js",
};

/** Its names are those of the module of Node.js in which the build runs, so that they can be imported, taken apart and extended. */
function absentModule(name) {
  const module = load(name);
  const keys = Object.keys(module).filter((key) => key !== "default" && key !== "prototype");
  const isPlain = (value) => value === null || ["string", "number", "boolean"].includes(typeof value);
  const constants = Object.fromEntries(keys.filter((key) => isPlain(module[key]) || key === "constants").map((key) => [key, module[key]]));
  const part = Object.hasOwn(PARTS, name) ? `require(${JSON.stringify(join(NODE, PARTS[name]))})` : "null";
  return `module.exports = require(${JSON.stringify(join(NODE, "absent.js"))}).absentModule(${JSON.stringify(sentence(name))}, ${JSON.stringify(keys)}, ${JSON.stringify(constants)}, ${part});`;
}

const builtin = createRequire(import.meta.url);

function load(name) {
  try {
    return builtin(`node:${name}`);
  } catch {
    return {};
  }
}

const sentence = (name) => `The module '${name}' of Node.js cannot work in a sandbox: ${REASONS[name] ?? "WebAssembly has nothing that it could use"}.`;
