/**
 * Bundles the app, its dependencies and the SDK into one script.
 *
 * The script is not a module, so that CommonJS files still run in sloppy mode.
 */

import { readFile, realpath } from "node:fs/promises";
import { join, relative, sep } from "node:path";
import { fileURLToPath } from "node:url";

import { BuildError } from "./build-error.mjs";
import { LIBRARIES_FOLDER, modulesOfNode } from "./node-modules.mjs";
import { replacedPackageAt } from "./replaced-package.mjs";
import { compactSourceMap } from "./source-map.mjs";
import { timeZones } from "./time-zones.mjs";
import { standIns } from "../src/stand-ins.js";

const SDK = fileURLToPath(new URL("../src/", import.meta.url));
/** With those of languages that are compiled to JavaScript. */
const SDKS = fileURLToPath(new URL("../../", import.meta.url));

/** The name of the variable that the script defines. */
export const GLOBAL_NAME = "dacapoApp";

const BUNDLE_FILE = "dacapo-bundle.js";
const ENTRY_FILE = "dacapo-entry.js";

/** @returns `{ code, sourceMap, usesFetch, usesFiles, zones, fileName, absent }` */
export async function bundle(app, { esbuild, openLibraries }) {
  // The bundler names files by their real places.
  const folder = await realpath(app.folder);
  const absent = [];
  const make = (features, deep) =>
    esbuild.build(options({ ...app, folder }, { features, deep }, modulesOfNode({ openLibraries, absent }))).catch((error) => {
      throw new BundleError(explain(error));
    });
  let result = await make([], []);
  const { features, ...uses } = await readSources(folder, Object.keys(result.metafile.inputs));
  const deep = deepFiles(result.metafile.inputs).map((file) => join(folder, file));
  if (features.length + deep.length > 0) {
    result = await make(features, deep);
  }
  const zones = uses.usesTimeZones ? await timeZones(await openLibraries()) : "";
  const text = (suffix) => result.outputFiles.find(({ path }) => path.endsWith(suffix)).text;
  return {
    ...uses,
    zones,
    code: withOwnAsync(text(BUNDLE_FILE)),
    sourceMap: compactSourceMap(text(`${BUNDLE_FILE}.map`), (source) => isOfTheApp(join(folder, source))),
    fileName: BUNDLE_FILE,
    absent: [...new Set(absent.map(({ file, name }) => `${relative(folder, file).split(sep).join("/")} imports the module '${name}'`))].sort(),
  };
}

/** An app that cannot be bundled. */
class BundleError extends BuildError {}

/** The functions of the model v3 that cannot be bundled, each with the reason. */
export async function unbundled({ functions, ...app }, tools) {
  const failed = {};
  for (const one of functions) {
    await bundle({ ...app, functions: [one] }, tools).catch((error) => {
      if (!(error instanceof BundleError)) {
        throw error;
      }
      failed[one.name] = error.message;
    });
  }
  return failed;
}

function options(app, additions, modulesOfNode) {
  return {
    stdin: { contents: entryModule(app, additions), resolveDir: app.folder, sourcefile: ENTRY_FILE },
    absWorkingDir: app.folder,
    outfile: join(app.folder, BUNDLE_FILE),
    write: false,
    bundle: true,
    metafile: true,
    format: "iife",
    globalName: GLOBAL_NAME,
    // Packages have entries for Node.js, which are what their tests run with, and others for pages, which need a document.
    platform: "node",
    target: "es2023",
    // All promises must be those of the SDK (`src/promise.js`), not of the engine.
    supported: { "async-await": false, "async-generator": false, "for-await": false, using: false, "top-level-await": false },
    define: {
      "process.env.NODE_ENV": '"production"',
      "import.meta.url": '"file:///app.js"',
      "import.meta.dirname": '"/"',
      "import.meta.filename": '"/app.js"',
      "require.main": "undefined",
      __dirname: '"/"',
      __filename: '"/app.js"',
    },
    // The engine keeps the source of every function, nested ones several times, so white space costs memory.
    minifyWhitespace: true,
    minifySyntax: true,
    minifyIdentifiers: true,
    lineLimit: 160,
    keepNames: true,
    sourcemap: "external",
    sourcesContent: false,
    charset: "ascii",
    logLevel: "silent",
    plugins: [packagesOfTheSdk(app.folder), modulesOfNode, plainNames],
  };
}

/** A function loads the app, so that this can be done when the component is built or when an instance starts. */
function entryModule({ entries = [], functions = [], leftOut = [] }, { features, deep }) {
  const text = JSON.stringify;
  const sdk = (file) => text(join(SDK, file));
  const loads = [
    // An error is thrown again where the chain comes to the file.
    ...deep.map((file) => `  try { require(${text(file)}); } catch {}`),
    ...entries.map((entry) => `  load(${text(entry)}, () => require(${text(`./${entry}`)}));`),
    ...functions.map(
      ({ name, bindings, file, entryPoint }) =>
        `  loadFunction(${text(name)}, () => addFunction(${text(name)}, ${text(bindings)}, require(${text(`./${file}`)}), ${text(entryPoint ?? null)}));`,
    ),
    ...leftOut.map(({ name, why }) => `  leaveOut(${text(name)}, ${text(why)});`),
  ];
  const imports = [
    ...features.map((file) => `import ${sdk(file)};`),
    `import { load, loadFunction } from ${sdk("load.js")};`,
    ...(leftOut.length > 0 ? [`import { leaveOut } from ${sdk("registry.js")};`] : []),
    ...(functions.length > 0 ? [`import { addFunction } from ${sdk("v3-app.js")};`] : []),
  ];
  return [`export * from ${sdk("guest.js")};`, ...imports, "export function loadApp() {", ...loads, "}"].join("\n");
}

/** A file that is loaded inside of so many others takes much of the engine's stack. */
const DEPTH_MAX = 150;

/**
 * The files at which a chain of files, each of which loads the next, is cut: loaded first, they are there when the chain comes to them. The last of a
 * chain comes first.
 */
function deepFiles(inputs) {
  const [seen, deep] = [new Set([ENTRY_FILE]), []];
  const importsOf = (path) => inputs[path].imports.filter(({ kind, path }) => kind !== "dynamic-import" && inputs[path]).map(({ path }) => path);
  const chain = [{ path: ENTRY_FILE, left: importsOf(ENTRY_FILE) }];
  while (chain.length > 0) {
    const { path, left } = chain.at(-1);
    const next = left.shift();
    if (next === undefined) {
      chain.pop();
      if (chain.length > 0 && chain.length % DEPTH_MAX === 0 && !/^(?:absent|node):/.test(path)) {
        deep.push(path);
      }
    } else if (!seen.has(next)) {
      seen.add(next);
      chain.push({ path: next, left: importsOf(next) });
    }
  }
  return deep;
}

/** Resolves the packages that the SDK replaces, by their names and by paths from the app's folder. */
const packagesOfTheSdk = (folder) => ({
  name: "packages-of-the-sdk",
  setup(build) {
    build.onResolve({ filter: /^(durable-functions|@azure\/functions|dacapo-sdk)(\/|$)/ }, ({ path }) =>
      path in standIns ? { path: fileURLToPath(standIns[path]) } : undefined,
    );
    build.onResolve({ filter: /^\.\.?[\\/]/ }, async ({ path, resolveDir }) => {
      const name = await replacedPackageAt(join(resolveDir, path), folder);
      return name && { path: fileURLToPath(standIns[name]) };
    });
    build.onResolve({ filter: /^undici$/ }, () => ({ path: join(SDK, "node/undici.js") }));
    // It looks for variables that begin with DEBUG_, among all: then what was loaded during the build would hold for no environment.
    build.onLoad({ filter: /[\\/]node_modules[\\/]debug[\\/]src[\\/]node\.js$/ }, async ({ path }) => ({
      contents: (await readFile(path, "utf8")).replace("Object.keys(process.env)", "[]"),
    }));
    build.onLoad({ filter: /[\\/]local\.settings\.json$/ }, () => ({
      errors: [{ text: "local.settings.json may hold secrets, so it does not become part of a component: read the settings in process.env" }],
    }));
  },
});

/** Of an `async` function esbuild makes a generator, and a call of a helper that drives it. The SDK's is cheaper (`src/promise.js`). */
export function withOwnAsync(code) {
  return code
    .replace(ASYNC_HELPER, (helper, head) => inPlaceOf(helper, `${head}(self,args,body)=>__dacapo.runAsync(self,args,body)`))
    .replace(ASYNC_ITERATOR_PROTOTYPE, (expression) => inPlaceOf(expression, "__dacapo.asyncIteratorPrototype"));
}

/** The replacement is padded, so that the positions in the source map stay valid. */
function inPlaceOf(text, own) {
  const [first, ...lines] = text.split("\n");
  return [lines.length === 0 ? own.padEnd(first.length) : own, ...lines.map((line) => " ".repeat(line.length))].join("\n");
}

/** In the output a line may end after any token, and names are short. */
const ASYNC_HELPER =
  /(var [\w$]+=)\s*\(\s*([\w$]+),\s*([\w$]+),\s*[\w$]+\)\s*=>\s*new\s+Promise\(\s*\([\w$]+,\s*[\w$]+\)\s*=>\s*\{\s*var [^]*?\.\s*apply\(\s*\2,\s*\3\)\)\s*\.\s*next\(\)\)\s*\}\)/;

/** Code finds the prototype by an asynchronous generator, which is an ordinary function here. */
const ASYNC_ITERATOR_PROTOTYPE =
  /Object\s*\.getPrototypeOf\(\s*Object\s*\.getPrototypeOf\(\s*function\s*\(\)\s*\{\s*return [\w$]+\(\s*this,\s*null,\s*function\s*\*\s*\(\)\s*\{\s*\}\)\s*;?\s*\}\)\s*\.prototype\)/g;

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

const isOfTheApp = (path) => !path.startsWith(SDKS) && !path.endsWith(ENTRY_FILE) && !path.includes(`${sep}${LIBRARIES_FOLDER}`);

/** What needs much code, and is part of a component only if the app or a package names it: globals, and parts of modules that others use without. */
const FEATURES = [
  { name: /\bBuffer\b/, file: "node/buffer-module.js" },
  { name: /\b(?:create(?:Dec|C)ipheriv)\b/, file: "node/crypto-ciphers.js" },
  { name: /\b(?:create(?:Sign|Verify|(?:Public|Private)Key)|generateKeyPair(?:Sync)?|publicEncrypt|privateDecrypt)\b/, file: "node/crypto-keys.js" },
  { name: /\bsubtle\b/, file: "node/webcrypto.js" },
  { name: /\b(?:Writable|Transform|Text(?:De|En)coder)Stream\b|\bpipe(?:Through|To)\b/, file: "node/stream-web.js" },
];

/** What the component imports because of what the app or a package names. */
const SENDS = /\bfetch\b/;
const ZONES = /\btimeZone\b/;

/** Reads the sources of the app and of its packages, and finds which of `FEATURES` they need, and what they do. */
async function readSources(folder, inputs) {
  const paths = inputs.map((input) => join(folder, input));
  const sources = await Promise.all(paths.filter(isOfTheApp).map((path) => readFile(path, "utf8").catch(() => "")));
  const has = (pattern) => sources.some((source) => pattern.test(source));
  const isIn = (file) => paths.includes(join(SDK, file));
  return {
    features: FEATURES.filter(({ name, file }) => !isIn(file) && has(name)).map(({ file }) => file),
    usesFetch: isIn("node/http.js") || has(SENDS),
    usesFiles: isIn("node/fs.js"),
    usesTimeZones: has(ZONES),
  };
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
