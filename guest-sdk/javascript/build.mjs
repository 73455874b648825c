#!/usr/bin/env node
/**
 * Builds the component of an app: `node build.mjs APP_FOLDER --out APP.wasm`.
 *
 *     files of the app ──► bundle ──► loaded once here, as a check ──► component
 */

import { mkdir, writeFile } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import process from "node:process";
import { parseArgs } from "node:util";

import { findApp, without } from "./builder/app.mjs";
import { BuildError } from "./builder/build-error.mjs";
import { bundle, unbundled } from "./builder/bundle.mjs";
import { loadOnce } from "./builder/load.mjs";
import { makeComponent } from "./builder/component.mjs";
import { defaultToolsFolder, openTools } from "./builder/tools.mjs";

const USAGE = `Builds the WebAssembly component of an app in JavaScript or TypeScript.

Usage: node build.mjs APP_FOLDER --out APP.wasm [OPTIONS]

Options:
  --out FILE        write the component to this file
  --tools DIR       the folder of the build tools, which are installed there if they are missing
                    [default: ${defaultToolsFolder()}]
  --engine NAME     quickjs (small, quick to build and to start) or starlingmonkey (faster code, ten times as large)
                    [default: quickjs]
  --opt-size        a smaller build of QuickJS, somewhat slower
  --no-summary      print only notes about the app
  --json            print a description of the result on standard output, as one line of JSON
  --help            show this help`;

async function main() {
  const { values: options, positionals } = parseArguments();
  if (options.help) {
    console.log(USAGE);
    return;
  }
  if (positionals.length !== 1 || !options.out) {
    throw new BuildError(USAGE);
  }
  const report = await build(resolve(positionals[0]), resolve(options.out), options);
  const lines = options.json ? [JSON.stringify(report)] : [...(options["no-summary"] ? [] : summary(report)), ...notes(report)];
  lines.forEach((line) => console.log(line));
}

function parseArguments() {
  try {
    return parseArgs({
      allowPositionals: true,
      options: {
        out: { type: "string", short: "o" },
        tools: { type: "string", default: defaultToolsFolder() },
        engine: { type: "string", default: "quickjs" },
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

async function build(folder, out, options) {
  const tools = await openTools(resolve(options.tools), options.engine);
  const { bundled, loaded } = await load(await findApp(folder), tools);
  const loadsAtStart = loaded.readsAtLoad.length > 0;
  const component = await makeComponent(bundled, { engine: options.engine, loadsAtStart, readsEnvironment: loaded.readsEnvironment, optSize: options["opt-size"] }, tools);
  await mkdir(dirname(out), { recursive: true });
  await writeFile(out, component);
  return { out, bytes: component.length, ...loaded, absent: bundled.absent };
}

/** Bundles and loads an app, without the functions of the model v3 for which that fails. */
async function load(app, tools) {
  const again = (failed) => load(without(app, failed), tools);
  let bundled;
  try {
    bundled = await bundle(app, tools);
  } catch (error) {
    const failed = app.functions && error instanceof BuildError ? await unbundled(app, tools) : {};
    if (Object.keys(failed).length === 0) {
      throw error;
    }
    return again(failed);
  }
  const loaded = loadOnce(bundled);
  return Object.keys(loaded.failed).length > 0 ? again(loaded.failed) : { bundled, loaded };
}

function summary({ out, bytes, functions, triggers }) {
  const kinds = [...functions, ...triggers.map(({ name, bindings }) => ({ name, kind: triggerType(bindings) }))];
  const width = Math.max(...kinds.map(({ kind }) => kind.length));
  return [`${out}: ${(bytes / 2 ** 20).toFixed(1)} MiB`, ...kinds.map(({ name, kind }) => `  ${kind.padEnd(width)}  ${name}`)];
}

function triggerType(bindings) {
  return JSON.parse(bindings).find(({ direction, type }) => direction === "in" && type.endsWith("Trigger")).type;
}

/** Notes for the author of the app. */
function notes({ leftOut, absentBindings, absent, readsAtLoad }) {
  const lines = [
    ...leftOut.map(({ name, why }) => `warning: '${name}' is left out: ${why}`),
    ...notesOnBindings(absentBindings),
    ...absent.map((what) => `note: ${what} of Node.js, which cannot work in a sandbox: a function that calls it fails`),
  ];
  if (readsAtLoad.length > 0) {
    lines.push(`note: the app reads ${readsAtLoad.join(", ")} while it is loaded, so each instance must load it again; to avoid this, read it inside functions`);
  }
  return lines;
}

/** Of each type, one line. */
function notesOnBindings(bindings) {
  const groups = new Map();
  for (const { functionName, name, type, direction, advice } of bindings) {
    const isOutput = direction === "out";
    const what = `there is no ${isOutput ? "output" : "input"} '${type}' here`;
    const then = `${isOutput ? "what a function gives to it is not sent" : "its value is undefined"}, and the log says so. Instead, ${advice}`;
    const key = JSON.stringify([what, then]);
    groups.set(key, [...(groups.get(key) ?? []), `'${name}' of '${functionName}'`]);
  }
  return [...groups].map(([key, places]) => {
    const [what, then] = JSON.parse(key);
    return `warning: ${what} (${places.join(", ")}): ${then}`;
  });
}

try {
  await main();
} catch (error) {
  if (!(error instanceof BuildError)) {
    throw error;
  }
  console.error(error.message);
  process.exitCode = 1;
}
