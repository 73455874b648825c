/** Finds the files of an app that register its functions, as the Functions host does: by `main` of its `package.json`. */

import { readFile, readdir, stat } from "node:fs/promises";
import { join, posix, relative, sep } from "node:path";

import { BuildError } from "./build-error.mjs";

/** The patterns that are tried if `main` is missing or matches no file. */
const USUAL_PLACES = ["src/functions/*", "src/{index,main,app}", "{index,main,app}"];

const EXTENSIONS = ["ts", "mts", "cts", "tsx", "js", "mjs", "cjs", "jsx"];

/** @returns `{ folder, entries }`, the entries relative to the folder, with `/` */
export async function findApp(folder) {
  const isFolder = await stat(folder).then((found) => found.isDirectory(), () => false);
  if (!isFolder) {
    throw new BuildError(`${folder} is not a folder.`);
  }
  const manifest = await readJson(join(folder, "package.json"));
  if (!manifest) {
    throw new BuildError(`${folder} has no package.json. An app needs one; its "main" says which files register functions, such as "src/functions/*.js".`);
  }
  await checkDependencies(folder, manifest);
  const files = await listFiles(folder);
  const patterns = [...(await mainPatterns(folder, manifest.main)), ...USUAL_PLACES];
  for (const pattern of patterns) {
    const entries = matching(files, pattern);
    if (entries.length > 0) {
      return { folder, entries };
    }
  }
  throw new BuildError(`${folder} has no file that registers functions: looked for ${patterns.join(", ")}. Set in package.json: "main": "src/functions/*.js".`);
}

/** The pattern in `main`; and, if that names output of TypeScript, the patterns of its source. */
async function mainPatterns(folder, main) {
  if (!main) {
    return [];
  }
  const pattern = posix.normalize(main);
  const config = (await readJson(join(folder, "tsconfig.json"))) ?? {};
  const outDir = posix.normalize(config.compilerOptions?.outDir ?? "dist");
  if (!pattern.startsWith(`${outDir}/`)) {
    return [withAnyExtension(pattern), pattern];
  }
  const inSource = posix.join(config.compilerOptions?.rootDir ?? ".", pattern.slice(outDir.length + 1));
  // A `dist` may be older than its source, so the source is taken first.
  return [withAnyExtension(inSource), withAnyExtension(posix.join("src", pattern.slice(outDir.length + 1))), pattern];
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
    return JSON.parse(withoutComments(text));
  } catch (error) {
    throw new BuildError(`${path}: ${error.message}`);
  }
}

/** `tsconfig.json` may have comments and trailing commas. */
function withoutComments(text) {
  return text
    .replace(/("(?:\\.|[^"\\])*")|\/\/[^\n]*|\/\*[\s\S]*?\*\//g, (_, string) => string ?? "")
    .replace(/("(?:\\.|[^"\\])*")|,(\s*[}\]])/g, (_, string, close) => string ?? close);
}
