#!/usr/bin/env node
/**
 * Builds the component of an app: `node build.mjs APP_FOLDER --out APP.wasm`.
 *
 *     sources of the SDK and the app ──► Fable ──► modules of JavaScript ──► builder of the SDK for JavaScript ──► component
 */

import { spawnSync } from "node:child_process";
import { resolve } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

import { BuildError } from "../javascript/builder/build-error.mjs";
import { runCommand } from "./builder/command.mjs";
import { compile } from "./builder/compile.mjs";
import { defaultToolsFolder } from "./builder/tools.mjs";

const USAGE = `Builds the WebAssembly component of an app in F#.

Usage: node build.mjs APP_FOLDER --out APP.wasm [OPTIONS]

Options:
  --out FILE        write the component to this file
  --tools DIR       the folder of the build tools, which are installed there if they are missing
                    [default: ${defaultToolsFolder()}]
  --compiler NAME   node: Fable from npm, which needs nothing but Node.js; dotnet: the tool 'fable' of .NET
                    [default: dotnet if 'dotnet fable' works in the app's folder, or else node]
  --engine NAME, --opt-size, --no-summary, --json
                    as for the builder of the SDK for JavaScript, which makes the component
  --help            show this help`;

const JAVASCRIPT_BUILDER = fileURLToPath(new URL("../javascript/build.mjs", import.meta.url));

async function main() {
  const { values: options, positionals } = parseArguments();
  if (options.help) {
    console.log(USAGE);
    return;
  }
  if (positionals.length !== 1 || !options.out) {
    throw new BuildError(USAGE);
  }
  const modules = await compile(resolve(positionals[0]), { tools: resolve(options.tools), compiler: options.compiler });
  makeComponent(modules, options);
}

function parseArguments() {
  try {
    return parseArgs({
      allowPositionals: true,
      options: {
        out: { type: "string", short: "o" },
        tools: { type: "string", default: defaultToolsFolder() },
        compiler: { type: "string" },
        engine: { type: "string" },
        "opt-size": { type: "boolean", default: false },
        json: { type: "boolean", default: false },
        "no-summary": { type: "boolean", default: false },
        help: { type: "boolean", short: "h" },
      },
    });
  } catch (error) {
    throw new BuildError(`${error.message}\n\n${USAGE}`);
  }
}

function makeComponent(modules, options) {
  const values = ["out", "tools", "engine"].flatMap((name) => (options[name] ? [`--${name}`, options[name]] : []));
  const flags = ["opt-size", "json", "no-summary"].filter((name) => options[name]).map((name) => `--${name}`);
  const { status, error } = spawnSync(process.execPath, [JAVASCRIPT_BUILDER, modules, ...values, ...flags], { stdio: "inherit" });
  if (error) {
    throw error;
  }
  process.exitCode = status ?? 1;
}

await runCommand(main);
