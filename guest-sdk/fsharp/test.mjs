#!/usr/bin/env node
/** Compiles an app in F# with its tests, in the folder `test` or `tests`, and runs them in Node.js: `node test.mjs [APP_FOLDER]`. */

import { spawnSync } from "node:child_process";
import { join, resolve } from "node:path";
import process from "node:process";
import { parseArgs } from "node:util";

import { BuildError } from "../javascript/builder/build-error.mjs";
import { compile } from "./builder/compile.mjs";
import { defaultToolsFolder } from "./builder/tools.mjs";

/** Lets the tests find the SDK for JavaScript under its name. */
const REGISTER = new URL("../javascript/src/register.js", import.meta.url).href;

try {
  const { values, positionals } = parseArgs({ allowPositionals: true, options: { tools: { type: "string", default: defaultToolsFolder() } } });
  const folder = resolve(positionals[0] ?? ".");
  const modules = await compile(folder, { tools: resolve(values.tools), compiler: "node", withTests: true });
  const { status } = spawnSync(process.execPath, ["--enable-source-maps", "--import", REGISTER, join(modules, "tests.js")], { stdio: "inherit" });
  process.exitCode = status ?? 1;
} catch (error) {
  if (!(error instanceof BuildError)) {
    throw error;
  }
  console.error(error.message);
  process.exitCode = 1;
}
