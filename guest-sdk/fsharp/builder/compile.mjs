/** Compiles an app to modules of JavaScript, in a folder that is an app for the builder of the SDK for JavaScript. */

import { mkdir, readdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";

import { BuildError } from "../../javascript/builder/build-error.mjs";
import { compileWithDotnet, isDotnetFableThere } from "./dotnet.mjs";
import { compileWithNode } from "./fable.mjs";
import { findProject } from "./project.mjs";

/** In the app's folder. */
const MODULES = ".dacapo/fsharp";

/** A compiler gets the project, the folder for the modules, and that of the tools. */
const COMPILERS = { node: compileWithNode, dotnet: compileWithDotnet };

/**
 * @param options.compiler the name of a compiler; the tool of .NET if it is installed, or else that of npm
 * @param options.withTests whether sources in folders named `test` or `tests` are compiled too, with a module `tests.js` that imports them
 * @returns the folder of the modules
 */
export async function compile(folder, { tools, compiler, withTests = false }) {
  const project = await findProject(folder, { withTests });
  const chosen = compiler ?? (isDotnetFableThere(folder) ? "dotnet" : "node");
  if (!Object.hasOwn(COMPILERS, chosen)) {
    throw new BuildError(`'${chosen}' is not a compiler: there are ${Object.keys(COMPILERS).join(" and ")}.`);
  }
  const out = join(folder, MODULES);
  await empty(out);
  await COMPILERS[chosen](project, out, tools);
  await writeImports(join(out, "index.js"), project.files.filter(({ isOfTheSdk, isTest }) => !isOfTheSdk && !isTest));
  if (withTests) {
    await writeImports(join(out, "tests.js"), testsOf(project));
  }
  await writeFile(join(out, "package.json"), `${JSON.stringify({ private: true, type: "module", main: "index.js" })}\n`);
  return out;
}

function testsOf({ folder, files }) {
  const tests = files.filter(({ isTest }) => isTest);
  if (tests.length === 0) {
    throw new BuildError(`${folder} has no tests: they are .fs and .fsx files in a folder 'test'.`);
  }
  return tests;
}

/** Imports all modules: one that no other imports registers functions too. */
async function writeImports(path, files) {
  const withModule = files.filter(({ path }) => !path.endsWith(".fsi"));
  await writeFile(path, withModule.map(({ module }) => `import ${JSON.stringify(`./${module}`)};\n`).join(""));
}

/** Removes what an earlier build has left, except for the library of the compiler. */
async function empty(out) {
  await mkdir(out, { recursive: true });
  const entries = await readdir(out);
  await Promise.all(entries.filter((name) => name !== "fable_modules").map((name) => rm(join(out, name), { recursive: true })));
}
