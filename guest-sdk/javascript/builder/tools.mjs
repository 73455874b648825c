/** The tools that a build needs, at pinned versions, in a folder of their own. */

import { execFile } from "node:child_process";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";

import { BuildError } from "./build-error.mjs";

const ESBUILD = { esbuild: "0.28.2" };

/** What makes a component with each engine. */
const ENGINES = {
  quickjs: { "componentize-qjs": "0.4.5" },
  starlingmonkey: { "@bytecodealliance/componentize-js": "0.23.0" },
};

const ENGINE_NAMES = Object.keys(ENGINES);

export function defaultToolsFolder() {
  return join(process.env.XDG_CACHE_HOME || join(homedir(), ".cache"), "dacapo", "javascript-tools");
}

/** Installs what is missing. Gives `esbuild`, and `componentize` of the engine. */
export async function openTools(folder, engine) {
  if (!ENGINE_NAMES.includes(engine)) {
    throw new BuildError(`'${engine}' is not an engine: there are ${ENGINE_NAMES.join(" and ")}.`);
  }
  const packages = { ...ESBUILD, ...ENGINES[engine] };
  if (!(await areInstalled(folder, packages))) {
    await install(folder, packages);
  }
  await writeIfMissing(join(folder, LOADER), "export const load = (name) => import(name);\n");
  const { load } = await import(pathToFileURL(join(folder, LOADER)));
  const [engineName] = Object.keys(ENGINES[engine]);
  return { esbuild: (await load("esbuild")).default, componentize: (await load(engineName)).componentize };
}

/** Names of packages are resolved from where they are named: so a module in the tools folder loads them. */
const LOADER = "load.mjs";

async function areInstalled(folder, packages) {
  for (const [name, version] of Object.entries(packages)) {
    const installed = await readFile(join(folder, "node_modules", name, "package.json"), "utf8").catch(() => "{}");
    if (JSON.parse(installed).version !== version) {
      return false;
    }
  }
  return true;
}

async function install(folder, versions) {
  const packages = Object.entries(versions).map(([name, version]) => `${name}@${version}`);
  console.error(`installing the build tools ${packages.join(" and ")} in ${folder}`);
  await mkdir(folder, { recursive: true });
  await writeIfMissing(join(folder, "package.json"), '{ "private": true }\n');
  const npm = process.platform === "win32" ? "npm.cmd" : "npm";
  try {
    await promisify(execFile)(npm, ["install", "--prefix", folder, "--no-audit", "--no-fund", "--save-exact", ...packages], {
      shell: process.platform === "win32",
    });
  } catch (error) {
    const reason = error.code === "ENOENT" ? "npm was not found: it comes with Node.js" : error.stderr || error.message;
    throw new BuildError(`the build tools could not be installed in ${folder}: ${reason}`);
  }
}

async function writeIfMissing(path, text) {
  await writeFile(path, text, { flag: "wx" }).catch((error) => {
    if (error.code !== "EEXIST") {
      throw error;
    }
  });
}
