#!/usr/bin/env node
/** Compiles an app with the tests in its folder `test` or `tests`, and runs them in Node.js: `node test.mjs [APP_FOLDER]`. */

import { spawnSync } from "node:child_process";
import { join, resolve } from "node:path";
import process from "node:process";
import { parseArgs } from "node:util";

import { runCommand } from "./builder/command.mjs";
import { compile } from "./builder/compile.mjs";
import { defaultToolsFolder } from "./builder/tools.mjs";

/** Lets the modules find the SDK for JavaScript under its name. */
const REGISTER = new URL("../javascript/src/register.js", import.meta.url).href;

await runCommand(async () => {
  const options = { tools: { type: "string", default: defaultToolsFolder() } };
  const { values, positionals } = parseArgs({ allowPositionals: true, options });
  const folder = resolve(positionals[0] ?? ".");
  const modules = await compile(folder, { tools: resolve(values.tools), compiler: "node", withTests: true });
  const args = ["--enable-source-maps", "--import", REGISTER, join(modules, "tests.js")];
  const { status } = spawnSync(process.execPath, args, { stdio: "inherit" });
  process.exitCode = status ?? 1;
});
