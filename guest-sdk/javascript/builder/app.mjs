/**
 * Finds the functions of an app, as the Functions host does: the files that register them, by `main` of its `package.json`; or, in the
 * programming model v3, the folders with a `function.json`.
 */

import { readFile, readdir, stat } from "node:fs/promises";
import { join, posix, relative, sep } from "node:path";

import { BuildError } from "./build-error.mjs";
import { readBindings } from "../src/bindings.js";

/** The patterns that are tried if `main` is missing or matches no file. */
const USUAL_PLACES = ["src/functions/*", "src/{index,main,app}", "{index,main,app}"];

const EXTENSIONS = ["ts", "mts", "cts", "tsx", "js", "mjs", "cjs", "jsx"];

/**
 * Paths are relative to the folder, with `/`.
 *
 * @returns `{ folder, entries }`, or, in the model v3, `{ folder, functions, leftOut }`
 */
export async function findApp(folder) {
  const isFolder = await stat(folder).then((found) => found.isDirectory(), () => false);
  if (!isFolder) {
    throw new BuildError(`${folder} is not a folder.`);
  }
  const manifest = await readJson(join(folder, "package.json"));
  const described = await describedFunctions(folder);
  if (!manifest && described.length === 0) {
    throw new BuildError(`${folder} has no package.json. An app needs one, whose "main" says which files register functions, such as "src/functions/*.js"; or folders with a function.json.`);
  }
  await checkDependencies(folder, manifest ?? {});
  const files = await listFiles(folder);
  const output = await outputOfTypeScript(folder);
  const patterns = [...mainPatterns(output, manifest?.main), ...USUAL_PLACES];
  const entries = patterns.map((pattern) => matching(files, pattern)).find((found) => found.length > 0) ?? [];
  if (described.length > 0) {
    await refuseBothModels(folder, described, entries);
    const found = described.map((one) => (one.leftOut ? one : orLeftOut(one.name, () => ({ ...one, file: scriptOf(one, files, output) }))));
    const functions = found.filter(({ leftOut }) => !leftOut);
    const leftOut = found.filter(({ leftOut }) => leftOut).map(({ name, leftOut }) => ({ name, why: leftOut }));
    return { folder, functions, leftOut };
  }
  if (entries.length === 0) {
    throw new BuildError(`${folder} has no file that registers functions: looked for ${patterns.join(", ")}. Set in package.json: "main": "src/functions/*.js".`);
  }
  return { folder, entries };
}

/** The functions of the model v3, by their `function.json`. */
async function describedFunctions(folder) {
  const entries = await readdir(folder, { withFileTypes: true });
  const names = entries.filter((entry) => entry.isDirectory() && entry.name !== "node_modules" && !entry.name.startsWith(".")).map(({ name }) => name);
  const described = [];
  for (const name of names.sort()) {
    const path = join(folder, name, "function.json");
    const read = await readJson(path).then((description) => () => description && functionOf(name, path, description), (error) => () => { throw error; });
    described.push(orLeftOut(name, read));
  }
  return described.filter(Boolean);
}

/** A function of the model v3 that is wrong is left out: as in the original, it does not keep others from running. */
function orLeftOut(name, read) {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof BuildError)) {
      throw error;
    }
    return { name, leftOut: cannotBeLoaded(error.message) };
  }
}

/** Why a function of the model v3 is left out that cannot be loaded. */
export function cannotBeLoaded(why) {
  return `it cannot be loaded: ${why}`;
}

/** An app of the model v3 without some of its functions, by their names. */
export function without(app, failed) {
  const leftOut = Object.entries(failed).map(([name, why]) => ({ name, why: cannotBeLoaded(why) }));
  return { ...app, functions: app.functions.filter(({ name }) => !Object.hasOwn(failed, name)), leftOut: [...app.leftOut, ...leftOut] };
}

function functionOf(name, path, { bindings, scriptFile, entryPoint, disabled, excluded }) {
  if (!Array.isArray(bindings) || bindings.length === 0) {
    throw new BuildError(`${path} has no bindings: a function needs a trigger.`);
  }
  for (const [member, value] of Object.entries({ scriptFile, entryPoint })) {
    if (value !== undefined && typeof value !== "string") {
      throw new BuildError(`${path}: ${member} must be a text.`);
    }
  }
  // The files of what cannot run are not read, so they may need what is not there.
  const leftOut = disabled === true || excluded === true ? "its function.json disables it" : readBindings(bindings).leftOut;
  return { name, path, bindings: withDisabled(bindings, disabled), scriptFile, entryPoint, leftOut };
}

/** A `disabled` that names a setting becomes a part of the trigger, for the host, which knows the settings. */
function withDisabled(bindings, disabled) {
  return typeof disabled === "string" ? bindings.map((binding) => (/trigger$/i.test(binding?.type) ? { ...binding, disabled } : binding)) : bindings;
}

/** An app has one model: otherwise the Functions host would run only a part of it. */
async function refuseBothModels(folder, described, entries) {
  for (const entry of entries) {
    const source = await readFile(join(folder, entry), "utf8");
    if (/["'](@azure\/functions|durable-functions|dacapo-sdk)["']/.test(source) && /\bapp\s*\.\s*\w+/.test(source)) {
      throw new BuildError(`${folder} mixes both programming models: ${entry} registers functions by code (v4), and ${described[0].name}/function.json describes one (v3). Use one of them for all functions of an app.`);
    }
  }
}

/** The file of a function of the model v3. Of what TypeScript has written, the source is taken. */
function scriptOf({ name, path, scriptFile }, files, output) {
  const wanted = posix.normalize(posix.join(name, (scriptFile ?? "index").replaceAll("\\", "/")));
  if (scriptFile && !/\.[cm]?[jt]sx?$/.test(scriptFile)) {
    throw new BuildError(`${path}: the scriptFile '${scriptFile}' is not JavaScript.`);
  }
  const patterns = scriptFile ? sourcePatterns(output, wanted) : [withAnyExtension(wanted), `${name}/*`];
  for (const pattern of patterns) {
    const found = matching(files, pattern);
    // Without a scriptFile a file of another name is taken only if it is the only one.
    if (found.length > 0 && (found.length === 1 || pattern !== `${name}/*`)) {
      return found.find((file) => /\.[cm]?tsx?$/.test(file)) ?? found.find((file) => file === wanted) ?? found[0];
    }
  }
  throw new BuildError(
    scriptFile
      ? `${path}: there is no file ${wanted}, which its scriptFile names, nor a source of it. If TypeScript writes it, check outDir and rootDir in tsconfig.json.`
      : `${path}: there is no file ${name}/index.js beside it. Name the function's file in its scriptFile.`,
  );
}

/** The folders into which TypeScript writes, and from which it reads. */
async function outputOfTypeScript(folder) {
  const { compilerOptions: { outDir = "dist", rootDir = "." } = {} } = (await readJson(join(folder, "tsconfig.json"))) ?? {};
  return { outDir: posix.normalize(outDir).replace(/\/$/, ""), rootDir };
}

/** The pattern in `main`. */
function mainPatterns(output, main) {
  return main ? sourcePatterns(output, posix.normalize(main)) : [];
}

/** A pattern; and, if it names output of TypeScript, the patterns of its source. */
function sourcePatterns({ outDir, rootDir }, pattern) {
  if (!pattern.startsWith(`${outDir}/`)) {
    return [withAnyExtension(pattern), pattern];
  }
  const rest = pattern.slice(outDir.length + 1);
  // A `dist` may be older than its source, so the source is taken first.
  return [withAnyExtension(posix.join(rootDir, rest)), withAnyExtension(posix.join("src", rest)), pattern];
}

/** `{index.js,functions/*.js}` becomes `{index,functions/*}`, which `matching` completes. */
function withAnyExtension(pattern) {
  return pattern.replace(/\.[cm]?[jt]sx?(?=[,}]|$)/g, "");
}

/** The files that a pattern with `*`, `**` and `{a,b}` matches. Extensions may be left out; tests and types are not taken. */
function matching(files, pattern) {
  const source = pattern
    .replace(/[.+^$()|[\]\\]/g, "\\$&")
    .replace(/\{([^}]*)\}/g, (_, choices) => `(?:${choices.split(",").join("|")})`)
    .replace(/\*\*\/|\*/g, (stars) => (stars === "*" ? "[^/]*" : "(?:.*/)?"));
  const regexp = new RegExp(`^${source}(?:\\.(?:${EXTENSIONS.join("|")}))?$`);
  return files.filter((file) => regexp.test(file) && !/\.(?:test|spec)\.[^.]+$|\.d\.[cm]?ts$/.test(file));
}

async function listFiles(folder) {
  const files = [];
  const walk = async (directory) => {
    for (const entry of await readdir(directory, { withFileTypes: true })) {
      const path = join(directory, entry.name);
      if (entry.isDirectory()) {
        if (entry.name !== "node_modules" && !entry.name.startsWith(".")) {
          await walk(path);
        }
      } else if (EXTENSIONS.some((extension) => entry.name.endsWith(`.${extension}`))) {
        files.push(relative(folder, path).split(sep).join("/"));
      }
    }
  };
  await walk(folder);
  return files.sort();
}

/** Checks that all `dependencies` are installed, except for the packages that the SDK replaces. */
async function checkDependencies(folder, manifest) {
  const missing = [];
  for (const name of Object.keys(manifest.dependencies ?? {})) {
    const isThere = await stat(join(folder, "node_modules", name)).then(() => true, () => false);
    if (!isThere && !STOOD_IN_FOR.includes(name)) {
      missing.push(name);
    }
  }
  if (missing.length > 0) {
    throw new BuildError(`${missing.join(", ")} of the app's dependencies ${missing.length === 1 ? "is" : "are"} not installed. Run: npm install --prefix ${folder}`);
  }
}

const STOOD_IN_FOR = ["durable-functions", "@azure/functions", "dacapo-sdk"];

async function readJson(path) {
  const text = await readFile(path, "utf8").catch(() => null);
  if (text === null) {
    return null;
  }
  try {
    return JSON.parse(withoutComments(text.replace(/^\ufeff/, "")));
  } catch (error) {
    throw new BuildError(`${path}: ${error.message}`);
  }
}

/** `tsconfig.json` and others may have comments and trailing commas. */
function withoutComments(text) {
  return text
    .replace(/("(?:\\.|[^"\\])*")|\/\/[^\n]*|\/\*[\s\S]*?\*\//g, (_, string) => string ?? "")
    .replace(/("(?:\\.|[^"\\])*")|,(\s*[}\]])/g, (_, string, close) => string ?? close);
}
