/** The build tools, at pinned versions, in their own folder. */

import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { basename, dirname, join } from "node:path";
import process from "node:process";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";

import { BuildError } from "./build-error.mjs";
import { LIBRARIES, LIBRARIES_FOLDER } from "./node-modules.mjs";

const ESBUILD = { esbuild: "0.28.2" };

/** The package that makes components with each engine. */
const ENGINES = {
  quickjs: { "componentize-qjs": "0.4.5" },
  starlingmonkey: { "@bytecodealliance/componentize-js": "0.23.0" },
};

const ENGINE_NAMES = Object.keys(ENGINES);

export function defaultToolsFolder() {
  return join(process.env.XDG_CACHE_HOME || join(homedir(), ".cache"), "dacapo", "javascript-tools");
}

/**
 * Installs missing tools. Returns `esbuild`, `componentize` of the engine, and `openLibraries`, which installs the packages that the modules of
 * Node.js are made with, unless they are there, and returns a promise of their folder.
 */
export async function openTools(folder, engine) {
  if (!ENGINE_NAMES.includes(engine)) {
    throw new BuildError(`'${engine}' is not an engine: there are ${ENGINE_NAMES.join(" and ")}.`);
  }
  const installed = await open(folder, "", { ...ESBUILD, ...ENGINES[engine] });
  const { load } = await import(pathToFileURL(join(installed, LOADER)));
  const [engineName] = Object.keys(ENGINES[engine]);
  let libraries = null;
  return {
    esbuild: (await load("esbuild")).default,
    componentize: (await load(engineName)).componentize,
    openLibraries: () => (libraries ??= open(folder, LIBRARIES_FOLDER, LIBRARIES)),
  };
}

async function open(folder, prefix, versions) {
  const packages = Object.entries(versions);
  const installed = join(folder, prefix + packages.map(([name, version]) => `${basename(name)}-${version}`).join("-"));
  if (!existsSync(installed)) {
    await install(installed, packages.map(([name, version]) => `${name}@${version}`));
  }
  return installed;
}

/** A module in the tools folder imports the packages, because names of packages are resolved relative to the importer. */
const LOADER = "load.mjs";

async function install(folder, packages) {
  await installOnce(folder, packages, async (unfinished) => {
    await writeFile(join(unfinished, "package.json"), '{ "private": true }\n');
    await writeFile(join(unfinished, LOADER), "export const load = (name) => import(name);\n");
    await npm(["install", "--prefix", unfinished, "--save-exact", ...packages]);
  });
}

/**
 * Only a complete folder gets the final name. If two builds run at once, the slower one uses the folder of the other.
 *
 * @param fill installs the packages in the folder that it gets
 */
export async function installOnce(folder, packages, fill) {
  console.error(`installing the build tools ${packages.join(" and ")} in ${folder}`);
  await mkdir(dirname(folder), { recursive: true });
  const unfinished = await mkdtemp(join(dirname(folder), ".unfinished-"));
  try {
    await fill(unfinished);
    await rename(unfinished, folder);
  } catch (error) {
    await rm(unfinished, { recursive: true, force: true });
    if (!existsSync(folder)) {
      throw error;
    }
  }
}

export async function npm(args) {
  const program = process.platform === "win32" ? "npm.cmd" : "npm";
  try {
    await promisify(execFile)(program, [...args, "--no-audit", "--no-fund"], { shell: process.platform === "win32" });
  } catch (error) {
    const reason = error.code === "ENOENT" ? "npm was not found: it comes with Node.js" : error.stderr || error.message;
    throw new BuildError(`the build tools could not be installed: ${reason}`);
  }
}
