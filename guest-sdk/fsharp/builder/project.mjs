/** Finds the sources of an app: those of its project file or script, in the order in which F# compiles them. */

import { existsSync } from "node:fs";
import { readdir, readFile, stat } from "node:fs/promises";
import { basename, dirname, join, relative, resolve, sep } from "node:path";
import { fileURLToPath } from "node:url";

import { BuildError } from "../../javascript/builder/build-error.mjs";

const SDK = fileURLToPath(new URL("../", import.meta.url));

/** Packages that the compiler brings. */
const KNOWN_PACKAGES = ["FSharp.Core", "Fable.Core"];

/** How an app refers to the SDK, for editors and for the compiler of .NET. The builder of this SDK needs no reference. */
const REFERENCE = /\/\.dacapo\/sdk\/fsharp\/Dacapo\.fs(?:proj|x)$/;

/** Folders with tests of an app. */
const TESTS = ["test", "tests"];

/**
 * @param options.withTests whether sources in folders of tests are taken too, after the others
 * @returns `{ folder, name, files, options, refersToTheSdk }`: the files as `{ path, isOfTheSdk, isTest, module }`, where the
 * module is the path of the compiled file; the options as `{ defines, others }`
 */
export async function findProject(folder, { withTests = false } = {}) {
  const isFolder = await stat(folder).then((found) => found.isDirectory(), () => false);
  if (!isFolder) {
    throw new BuildError(`${folder} is not a folder.`);
  }
  const name = await choose(folder, (await readdir(folder)).sort());
  const found = { folder, sources: new Map(), defines: new Set(), others: new Set(), refersToTheSdk: false };
  await readProject(join(SDK, "Dacapo.fsproj"), found, { isOfTheSdk: true });
  await read(join(folder, name), found, {});
  if ([...found.sources.values()].every(({ isOfTheSdk }) => isOfTheSdk)) {
    throw new BuildError(`${name} compiles no file: add one, such as <Compile Include="App.fs" />.`);
  }
  for (const test of withTests ? await testsOf(folder) : []) {
    await read(test, found, { isTest: true });
  }
  const { defines, others, refersToTheSdk } = found;
  return { folder, name, files: [...found.sources.values()], options: { defines: [...defines], others: [...others] }, refersToTheSdk };
}

async function testsOf(folder) {
  const inside = async (name) => (await readdir(join(folder, name)).catch(() => [])).sort().map((file) => join(folder, name, file));
  const files = (await Promise.all(TESTS.map(inside))).flat();
  return files.filter((path) => /\.fsx?$/.test(path));
}

/** A project file, or else the script that no other one loads. */
async function choose(folder, names) {
  const projects = names.filter((name) => name.endsWith(".fsproj"));
  const scripts = names.filter((name) => name.endsWith(".fsx"));
  const candidates = projects.length > 0 ? projects : scripts.length > 1 ? await notLoaded(folder, scripts) : scripts;
  if (candidates.length === 1) {
    return candidates[0];
  }
  if (candidates.length === 0) {
    throw new BuildError(`${folder} has no .fsproj and no .fsx.`);
  }
  throw new BuildError(`${folder} has several apps in F#, ${candidates.join(", ")}: leave one there, or load the others from it with #load.`);
}

async function notLoaded(folder, scripts) {
  const loaded = new Set();
  for (const script of scripts) {
    const { loads } = directives(await readFile(join(folder, script), "utf8"));
    loads.forEach(({ path }) => loaded.add(resolve(folder, path)));
  }
  return scripts.filter((script) => !loaded.has(resolve(folder, script)));
}

/** `kind` says what the sources are: `isOfTheSdk`, `isTest`. */
async function read(path, found, kind) {
  if (path.endsWith(".fsproj")) {
    await readProject(path, found, kind);
  } else if (path.endsWith(".fsx")) {
    await readScript(path, found, kind);
  } else {
    await addSource(path, found, kind);
  }
}

/** Adds the sources of a project, after those of the projects that it refers to. */
async function readProject(path, found, kind, above = []) {
  const text = await readText(path, above.at(-1));
  const folder = dirname(path);
  refusePackages(path, text, found);
  const props = join(folder, "Directory.Build.props");
  if (existsSync(props)) {
    refusePackages(props, await readText(props), found);
  }
  for (const { value } of attributes(text, "ProjectReference", "Include")) {
    const other = localPath(folder, value);
    if (isReferenceToTheSdk(other, found)) {
      continue;
    }
    if (above.includes(other)) {
      throw new BuildError(`${relativeTo(found, path)} refers to itself, by ${relativeTo(found, other)}.`);
    }
    await readProject(other, found, kind, [...above, path]);
  }
  for (const { value, line } of attributes(text, "Compile", "Include")) {
    for (const item of value.split(";").map((item) => item.trim()).filter(Boolean)) {
      for (const source of await matching(localPath(folder, item))) {
        await addSource(source, found, kind, `${relativeTo(found, path)}:${line}`);
      }
    }
  }
  noteOptions(text, found);
}

/** Adds the files that a script loads, and then the script. */
async function readScript(path, found, kind, above = []) {
  const text = await readText(path, above.at(-1));
  const { loads, references } = directives(text);
  for (const { value, line } of references) {
    const name = /^nuget:\s*([^,\s]+)/i.exec(value)?.[1];
    if (name) {
      refusePackage(name, `${relativeTo(found, path)}:${line}`, "the #r");
    } else if (basename(value) !== "Fable.Core.dll") {
      throw new BuildError(`${relativeTo(found, path)}:${line}: the library '${value}' cannot be used: ${ONLY_SOURCES}`);
    }
  }
  for (const load of loads) {
    const loaded = localPath(dirname(path), load.path);
    if (isReferenceToTheSdk(loaded, found)) {
      continue;
    }
    if ([...above, path].includes(loaded)) {
      throw new BuildError(`${relativeTo(found, path)}:${load.line}: the script loads itself.`);
    }
    if (loaded.endsWith(".fsx")) {
      await readScript(loaded, found, kind, [...above, path]);
    } else {
      await addSource(loaded, found, kind, `${relativeTo(found, path)}:${load.line}`);
    }
  }
  await addSource(path, found, kind);
}

/** `#load` and `#r` of a script. */
function directives(text) {
  const [loads, references] = [[], []];
  text.split("\n").forEach((line, index) => {
    const [, name, rest] = /^\s*#(load|r)\s+(.*)$/.exec(line) ?? [];
    for (const [, verbatim, plain] of (rest ?? "").matchAll(/@"([^"]*)"|"([^"]*)"/g)) {
      const value = verbatim ?? plain;
      (name === "load" ? loads : references).push({ path: value, value, line: index + 1 });
    }
  });
  return { loads, references };
}

function isReferenceToTheSdk(path, found) {
  const isOne = REFERENCE.test(path.split(sep).join("/"));
  found.refersToTheSdk ||= isOne;
  return isOne;
}

/** @param by the place that names the file, for the error if there is none */
async function addSource(path, found, kind, by) {
  const isFile = await stat(path).then((there) => there.isFile(), () => false);
  if (!isFile) {
    throw new BuildError(`${by ?? relativeTo(found, path)}: there is no file ${relativeTo(found, path)}.`);
  }
  if (!found.sources.has(path)) {
    const { isOfTheSdk = false, isTest = false } = kind;
    found.sources.set(path, { path, isOfTheSdk, isTest, module: modulePath(found.folder, path, isOfTheSdk) });
  }
}

function refusePackages(path, text, found) {
  for (const { value, line } of attributes(text, "PackageReference", "Include")) {
    refusePackage(value, `${relativeTo(found, path)}:${line}`, "the PackageReference");
  }
  for (const { value, line } of attributes(text, "Reference", "Include")) {
    throw new BuildError(`${relativeTo(found, path)}:${line}: the library '${value}' cannot be used: ${ONLY_SOURCES}`);
  }
}

function refusePackage(name, place, what) {
  if (!KNOWN_PACKAGES.some((known) => known.toLowerCase() === name.toLowerCase())) {
    throw new BuildError(`${place}: the NuGet package '${name}' cannot be used: ${ONLY_SOURCES} Remove ${what}.`);
  }
}

const ONLY_SOURCES =
  "F# is compiled to JavaScript here, and libraries for .NET are not. Use F# sources (Compile, ProjectReference, #load), " +
  "or a package of npm, by [<Import>].";

/** The values of an attribute, with their lines. Comments are blanked, not removed, so that the lines stay right. */
function attributes(text, element, name) {
  const bare = text.replace(/<!--[^]*?-->/g, (comment) => comment.replace(/[^\n]/g, " "));
  const pattern = new RegExp(`<${element}\\s[^>]*?\\b${name}\\s*=\\s*(?:"([^"]*)"|'([^']*)')`, "g");
  return [...bare.matchAll(pattern)].map((match) => ({
    value: match[1] ?? match[2],
    line: bare.slice(0, match.index).split("\n").length,
  }));
}

/** Adds the options of a project that the compiler understands. */
function noteOptions(text, found) {
  const items = (element) => [...text.matchAll(new RegExp(`<${element}\\b[^>]*>([^<]*)<`, "g"))].flatMap(([, value]) => value.split(/[;,\s]+/));
  const own = (element) => items(element).filter((item) => item && !item.startsWith("$("));
  own("DefineConstants").forEach((name) => found.defines.add(name));
  own("NoWarn").forEach((number) => found.others.add(`--nowarn:${number}`));
  own("WarnOn").forEach((number) => found.others.add(`--warnon:${number}`));
  own("WarningsAsErrors").forEach((number) => found.others.add(`--warnaserror:${number}`));
  own("WarningLevel").forEach((level) => found.others.add(`--warn:${level}`));
  if (own("TreatWarningsAsErrors").includes("true")) {
    found.others.add("--warnaserror+");
  }
}

/** The files of a pattern such as `src/*.fs`; other paths stand for themselves. */
async function matching(path) {
  if (!basename(path).includes("*")) {
    return [path];
  }
  const pattern = new RegExp(`^${basename(path).replace(/[.+^$()|[\]\\]/g, "\\$&").replaceAll("*", ".*")}$`);
  const names = await readdir(dirname(path)).catch(() => []);
  return names.filter((name) => pattern.test(name)).sort().map((name) => join(dirname(path), name));
}

function localPath(folder, path) {
  const plain = path.replaceAll("\\", "/").replace(/\$\((?:MSBuildProjectDirectory|MSBuildThisFileDirectory)\)\/?/g, "./");
  return resolve(folder, plain);
}

async function readText(path, by) {
  return readFile(path, "utf8").catch(() => {
    throw new BuildError(`${by ? `${by}: ` : ""}there is no file ${path}.`);
  });
}

const relativeTo = ({ folder }, path) => (path.startsWith(folder + sep) ? relative(folder, path) : path);

/** Files of the app keep their paths, and so do those beside it, without what leads there: as the compiler of .NET does it. */
function modulePath(folder, path, isOfTheSdk) {
  const place = isOfTheSdk ? join("dacapo", relative(join(SDK, "src"), path)) : relative(folder, path);
  return place.split(sep).filter((part) => part !== "..").join("/").replace(/\.fsx?$/, ".js");
}
