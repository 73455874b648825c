/** The compiler Fable, as npm has it: it runs in Node.js, and needs no .NET. */

import { existsSync, readFileSync } from "node:fs";
import { cp, mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { basename, dirname, join, posix, relative, resolve, sep } from "node:path";
import { pathToFileURL } from "node:url";

import { BuildError } from "../../javascript/builder/build-error.mjs";
import { sourceMap } from "./source-map.mjs";
import { openTools } from "./tools.mjs";

const DEFINES = ["FABLE_COMPILER", "FABLE_COMPILER_4", "FABLE_COMPILER_JAVASCRIPT"];

export async function compileWithNode({ folder, name, files, options }, out, tools) {
  const packages = await openTools(tools);
  const fable = await loadCompiler(packages);
  const library = await copyLibrary(packages, out);

  const paths = files.map(({ path }) => path);
  const sources = await Promise.all(paths.map(readSource));
  const checker = await makeChecker(fable, packages, options);
  const checked = fable.ParseAndCheckProject(checker, join(folder, name), paths, sources);
  const report = new Report(folder, files);
  report.add(checked.Errors);
  report.failIfErrors();

  const targets = new Map(files.map(({ path, module }) => [path, join(out, module)]));
  for (const [index, file] of files.entries()) {
    if (file.path.endsWith(".fsi")) {
      continue;
    }
    const compiled = fable.CompileToTargetAst(library, checked, file.path, undefined, "JavaScript");
    report.add(compiled.FableErrors);
    await print(fable, compiled, file, sources[index], targets);
  }
  report.failIfErrors();
  report.printWarnings();
}

/** The compiler copies documentation into a comment of JavaScript, which must not end there. */
async function readSource(path) {
  const text = await readFile(path, "utf8");
  return text.replace(/^\uFEFF/, "").replace(/^\s*\/\/\/.*$/gm, (line) => line.replaceAll("*/", "* /"));
}

/** The package is a script that defines a global, whatever it says of itself. */
async function loadCompiler(packages) {
  await import(pathToFileURL(join(packages, "fable-standalone/dist/bundle.min.js")));
  return globalThis.__FABLE_STANDALONE__.init();
}

/** Beside the modules, so that paths in the component do not depend on the machine. */
async function copyLibrary(packages, out) {
  const library = join(out, "fable_modules", "fable-library");
  if (!existsSync(library)) {
    await mkdir(dirname(library), { recursive: true });
    await cp(join(packages, "fable-standalone/dist/fable-library"), library, {
      recursive: true,
      filter: (path) => !path.endsWith(".d.ts") && !path.endsWith(".md"),
    });
  }
  return library;
}

async function makeChecker(fable, packages, { defines, others }) {
  const folder = join(packages, "fable-metadata/lib");
  const assemblies = (await readdir(folder)).filter((name) => name.endsWith(".dll")).map((name) => name.slice(0, -".dll".length));
  const read = (name) => readFileSync(join(folder, name.endsWith(".dll") ? name : `${name}.dll`));
  return fable.CreateChecker(assemblies, read, [...[...DEFINES, ...defines].map((name) => `--define:${name}`), ...others]);
}

/** Writes the module of a file, and its source map. */
async function print(fable, compiled, { path, module, isOfTheSdk }, text, targets) {
  const target = targets.get(path);
  const chunks = [];
  const mappings = [];
  const writer = {
    Write(text) {
      chunks.push(text);
      return (context) => context.onSuccess();
    },
    MakeImportPath: (imported) => importPath(imported, path, targets),
    AddSourceMapping: ([line, column, generatedLine, generatedColumn]) => mappings.push({ line, column, generatedLine, generatedColumn }),
    Dispose() {},
  };
  await runAsync(fable.PrintTargetAst(compiled, writer));
  await mkdir(dirname(target), { recursive: true });
  const name = posix.basename(module);
  // The paths of an app's sources are, for whoever reads a stack trace, relative to its folder, which is where the modules are.
  const source = isOfTheSdk ? path : basename(path);
  const code = chunks.join("");
  const map = sourceMap({ file: name, length: code.split("\n").length }, source, mappings.filter(isWithin(text)));
  await writeFile(target, `${code}\n//# sourceMappingURL=${name}.map\n`);
  await writeFile(`${target}.map`, JSON.stringify(map));
}

/** Positions in code that was inlined are those in its own file, without its name: most of them do not exist in the file. */
function isWithin(text) {
  const lines = text.split("\n");
  return ({ line, column }) => line <= lines.length && column <= lines[line - 1].length;
}

/** The compiler names a source by its absolute path, or by one relative to the file that imports it. */
function importPath(imported, importer, targets) {
  const isPath = imported.startsWith("/") || imported.startsWith(".") || /^[a-zA-Z]:/.test(imported);
  if (!isPath) {
    return imported;
  }
  const wanted = resolve(dirname(importer), imported);
  const between = relative(dirname(targets.get(importer)), targets.get(wanted) ?? wanted).split(sep).join("/");
  return between.startsWith(".") ? between : `./${between}`;
}

/** Runs an `Async` of F#, as the compiler's library represents it. */
function runAsync(computation) {
  return new Promise((onSuccess, onError) => {
    computation({
      onSuccess,
      onError,
      onCancel: onError,
      cancelToken: { isCancelled: false },
      trampoline: { incrementAndCheck: () => false, hijack: (next) => next() },
    });
  });
}

/** What the compiler says: `src/App.fs:3:9: error: ...`. */
class Report {
  #folder;
  #ofTheSdk;
  #entries = [];

  constructor(folder, files) {
    this.#folder = folder;
    this.#ofTheSdk = new Set(files.filter(({ isOfTheSdk }) => isOfTheSdk).map(({ path }) => path));
  }

  add(entries) {
    this.#entries.push(...entries);
  }

  failIfErrors() {
    const errors = this.#entries.filter(({ IsWarning }) => !IsWarning);
    if (errors.length > 0) {
      throw new BuildError(this.#lines(errors).join("\n"));
    }
  }

  /** A warning about the SDK is of no use to the author of an app. */
  printWarnings() {
    this.#lines(this.#entries.filter(({ FileName }) => !this.#ofTheSdk.has(FileName))).forEach((line) => console.error(line));
  }

  #lines(entries) {
    const lines = entries.map(({ FileName, StartLine, StartColumn, IsWarning, Message }) => {
      const path = FileName.startsWith(this.#folder + sep) ? relative(this.#folder, FileName) : FileName;
      return `${path}:${StartLine}:${StartColumn + 1}: ${IsWarning ? "warning" : "error"}: ${Message.replaceAll("\n", "\n  ")}`;
    });
    return [...new Set(lines)];
  }
}
