/** The tools that a build needs, at pinned versions, in a folder of their own. */

import { execFile } from "node:child_process";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { homedir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";

import { BuildError } from "./build-error.mjs";

const VERSIONS = { esbuild: "0.28.2", "componentize-qjs": "0.4.5" };

export function defaultToolsFolder() {
  return join(process.env.XDG_CACHE_HOME || join(homedir(), ".cache"), "dacapo", "javascript-tools");
}

/** Installs what is missing. Gives `esbuild` and `componentize`. */
export async function openTools(folder) {
  if (!(await areInstalled(folder))) {
    await install(folder);
  }
  const require = createRequire(join(folder, "package.json"));
  const load = async (name) => {
    const module = await import(pathToFileURL(require.resolve(name)));
    return module.default ?? module;
  };
  const { componentize } = await load("componentize-qjs");
  return { esbuild: await load("esbuild"), componentize };
}

async function areInstalled(folder) {
  for (const [name, version] of Object.entries(VERSIONS)) {
    const installed = await readFile(join(folder, "node_modules", name, "package.json"), "utf8").catch(() => "{}");
    if (JSON.parse(installed).version !== version) {
      return false;
    }
  }
  return true;
}

async function install(folder) {
  const packages = Object.entries(VERSIONS).map(([name, version]) => `${name}@${version}`);
  console.error(`installing the build tools ${packages.join(" and ")} in ${folder}`);
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, "package.json"), '{ "private": true }\n');
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
