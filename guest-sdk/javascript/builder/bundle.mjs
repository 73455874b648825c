/**
 * Bundles the app, its dependencies and the SDK into one script.
 *
 * The script is not a module, so that CommonJS files still run in sloppy mode.
 */

import { readFile } from "node:fs/promises";
import { builtinModules, createRequire } from "node:module";
import { join, relative, sep } from "node:path";
import { fileURLToPath } from "node:url";

import { BuildError } from "./build-error.mjs";
import { replacedPackageAt } from "./replaced-package.mjs";
import { compactSourceMap } from "./source-map.mjs";
import { ABSENT } from "../src/load.js";
import { standIns } from "../src/stand-ins.js";

const SDK = fileURLToPath(new URL("../src/", import.meta.url));
/** With those of languages that are compiled to JavaScript. */
const SDKS = fileURLToPath(new URL("../../", import.meta.url));

/** The name of the variable that the script defines. */
export const GLOBAL_NAME = "dacapoApp";

const BUNDLE_FILE = "dacapo-bundle.js";
const ENTRY_FILE = "dacapo-entry.js";

/** @returns `{ code, sourceMap, usesFetch, fileName, missing }` */
export async function bundle(app, { esbuild }) {
  const { folder } = app;
  const missing = [];
  const result = await esbuild
    .build({
      stdin: { contents: entryModule(app), resolveDir: folder, sourcefile: ENTRY_FILE },
      absWorkingDir: folder,
      outfile: join(folder, BUNDLE_FILE),
      write: false,
      bundle: true,
      metafile: true,
      format: "iife",
      globalName: GLOBAL_NAME,
      platform: "browser",
      target: "es2023",
      // All promises must be those of the SDK (`src/promise.js`), not of the engine.
      supported: { "async-await": false, "async-generator": false, "for-await": false, using: false, "top-level-await": false },
      define: { "process.env.NODE_ENV": '"production"' },
      // The engine keeps the source of every function, nested ones several times, so white space costs memory.
      minifyWhitespace: true,
      lineLimit: 160,
      keepNames: true,
      sourcemap: "external",
      sourcesContent: false,
      charset: "utf8",
      logLevel: "silent",
      plugins: [packagesOfTheSdk(folder, missing), plainNames],
    })
    .catch((error) => {
      throw new BuildError(explain(error));
    });
  const text = (suffix) => result.outputFiles.find(({ path }) => path.endsWith(suffix)).text;
  return {
    code: withOwnAsync(text(BUNDLE_FILE)),
    sourceMap: compactSourceMap(text(`${BUNDLE_FILE}.map`), (source) => isOfTheApp(join(folder, source))),
    usesFetch: await usesFetch(folder, Object.keys(result.metafile.inputs)),
    fileName: BUNDLE_FILE,
    missing: [...new Set(missing.map(({ file, name }) => `${relative(folder, file).split(sep).join("/")} imports the module '${name}'`))].sort(),
  };
}

/** A function loads the app, so that this can be done when the component is built or when an instance starts. */
function entryModule({ entries = [], functions = [], leftOut = [] }) {
  const text = JSON.stringify;
  const sdk = (file) => text(join(SDK, file));
  const loads = [
    ...entries.map((entry) => `  load(${text(entry)}, () => require(${text(`./${entry}`)}));`),
    ...functions.map(
      ({ name, bindings, file, entryPoint }) =>
        `  load(${text(name)}, () => addFunction(${text(name)}, ${text(bindings)}, require(${text(`./${file}`)}), ${text(entryPoint ?? null)}));`,
    ),
    ...leftOut.map(({ name, why }) => `  leaveOut(${text(name)}, ${text(why)});`),
  ];
  const imports = [
    `import { load } from ${sdk("load.js")};`,
    ...(leftOut.length > 0 ? [`import { leaveOut } from ${sdk("registry.js")};`] : []),
    ...(functions.length > 0 ? [`import { addFunction } from ${sdk("v3-app.js")};`] : []),
  ];
  return [`export * from ${sdk("guest.js")};`, ...imports, "export function loadApp() {", ...loads, "}"].join("\n");
}

/** The modules of Node.js that the SDK implements in part. */
const NODE_MODULES = {
  buffer: "buffer-module.js",
  crypto: "crypto.js",
  process: "process.js",
  timers: "timers.js",
  "timers/promises": "timers-promises.js",
  url: "url.js",
  util: "util.js",
};

/** Marks the lookup of an installed package that has the name of a module of Node.js, such as `events`. */
const INSTALLED = Symbol("installed");

/**
 * Resolves the packages that the SDK replaces, and the modules of Node.js.
 *
 * @param folder the app's
 * @param missing gets a line for each import of a module of Node.js, in the app's own files, that does not exist here
 */
const packagesOfTheSdk = (folder, missing) => ({
  name: "packages-of-the-sdk",
  setup(build) {
    build.onResolve({ filter: /^(durable-functions|@azure\/functions|dacapo-sdk)(\/|$)/ }, ({ path }) =>
      path in standIns ? { path: fileURLToPath(standIns[path]) } : undefined,
    );
    build.onResolve({ filter: /^\.\.?[\\/]/ }, async ({ path, resolveDir }) => {
      const name = await replacedPackageAt(join(resolveDir, path), folder);
      return name && { path: fileURLToPath(standIns[name]) };
    });
    build.onResolve({ filter: /^[a-z]/ }, async ({ path, importer, resolveDir, kind, pluginData }) => {
      const name = path.replace(/^node:/, "");
      if (pluginData === INSTALLED || !builtinModules.includes(name)) {
        return undefined;
      }
      if (name in NODE_MODULES) {
        return { path: join(SDK, "node", NODE_MODULES[name]) };
      }
      const installed = await build.resolve(name, { importer, resolveDir, kind, pluginData: INSTALLED });
      if (installed.errors.length === 0 && !installed.external) {
        return { path: installed.path, namespace: installed.namespace };
      }
      if (!importer.includes("node_modules")) {
        missing.push({ file: importer, name });
      }
      return { path: name, namespace: "absent" };
    });
    build.onLoad({ filter: /[\\/]local\.settings\.json$/ }, () => ({
      errors: [{ text: "local.settings.json may hold secrets, so it does not become part of a component: read the settings in process.env" }],
    }));
    build.onLoad({ filter: /.*/, namespace: "absent" }, ({ path }) => ({ contents: absentModule(path) }));
  },
});

/**
 * A module that can be imported, taken apart and extended; whatever of it is called fails. A library may have a branch for Node.js that never
 * runs, and of an app only the functions that use the module fail.
 */
function absentModule(name) {
  // `import * as fs` copies the names that the module has, so it must have them.
  const names = Object.keys(builtin(name)).filter((key) => key !== "default" && key !== "prototype");
  return `
    const fail = () => { throw Object.assign(new Error(${JSON.stringify(noBuiltin(name))}), { name: ${JSON.stringify(ABSENT)}, retriable: false }); };
    const target = function () {};
    const absent = new Proxy(target, {
      get: (_, key) => typeof key === "symbol" || key === "__esModule" || key === "then" || key === "default" ? undefined : key === "prototype" ? target.prototype : absent,
      apply: fail,
      construct: fail,
    });
    for (const name of ${JSON.stringify(names)}) Object.defineProperty(target, name, { value: absent, enumerable: true, configurable: true, writable: true });
    module.exports = absent;`;
}

const builtin = createRequire(import.meta.url);

/** Of an `async` function esbuild makes a generator, and a call of a helper that drives it. The SDK's is cheaper (`src/promise.js`). */
export function withOwnAsync(code) {
  return code.replace(/var __async=\(__this,__arguments,\w+\)=>\{[^]*?\.next\(\)\)\}\)\};/, (helper) => {
    // The replacement is padded, so that the positions in the source map stay valid.
    const [, ...lines] = helper.split("\n");
    const own = "var __async=(self,args,body)=>__dacapo.runAsync(self,args,body);";
    return [own.padEnd(lines.length === 0 ? helper.length : 0), ...lines.map((line) => " ".repeat(line.length))].join("\n");
  });
}

/** The files with the classes that every run instantiates. */
export const RUN_FILES = ["actions", "context", "critical-section", "durable-orchestration-context", "invocation-context", "orchestration-context", "outcome", "promise", "run", "scope", "task"];

/**
 * In QuickJS a private name is a symbol, to which each access writes. Memory that is written to is no longer shared between
 * instances, so in classes that every run needs private names are replaced by ordinary ones.
 */
const plainNames = {
  name: "plain-names",
  setup(build) {
    build.onLoad({ filter: /\.js$/ }, async ({ path }) =>
      RUN_FILES.some((name) => path === join(SDK, `${name}.js`)) ? { contents: withPlainNames(await readFile(path, "utf8")) } : undefined,
    );
  },
};

/** The name of the class becomes part of the name, because a class and its superclass may have the same private names. */
export function withPlainNames(source) {
  return source.replace(/^(?:export )?class (\w+).*?^}/gms, (text, className) =>
    text.replace(/(?<=\.|^\s+(?:async |get )?)#(?=[a-z])/gm, `_${className}_`),
  );
}

function noBuiltin(name) {
  return `the module '${name}' of Node.js does not exist here: the code runs in WebAssembly. There are fetch, crypto, URL, Buffer, timers, console and process.env; and an installed package of that name is used, as there are of path, events, assert and others.`;
}

function isOfTheApp(path) {
  return !path.startsWith(SDKS) && !path.endsWith(ENTRY_FILE);
}

/** Only an app that sends requests imports HTTP. */
const SENDS = /\bfetch\b/;

async function usesFetch(folder, inputs) {
  for (const input of inputs.filter((input) => isOfTheApp(join(folder, input)))) {
    const source = await readFile(join(folder, input), "utf8").catch(() => "");
    if (SENDS.test(source)) {
      return true;
    }
  }
  return false;
}

function explain(error) {
  if (!error.errors?.length) {
    return error.message;
  }
  const lines = error.errors.map(({ text, location }) => {
    const reason = text.startsWith("Top-level await") ? "`await` works inside of `async` functions only: a module cannot wait while it is loaded" : text;
    return location ? `${location.file}:${location.line}:${location.column + 1}: ${reason}` : reason;
  });
  // If the name is that of a package, not of a file, the package may only be missing.
  const packages = error.errors.flatMap(({ text }) => /^Could not resolve "([^./][^"]*)"$/.exec(text)?.[1] ?? []);
  return [...lines, ...[...new Set(packages)].map((name) => `If '${name}' is a package, install it: npm install ${name}`)].join("\n");
}
