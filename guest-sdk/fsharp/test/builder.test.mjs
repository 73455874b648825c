/** The builder: which sources it takes, what it refuses, and where errors are. */

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import process from "node:process";
import { afterEach, beforeEach, test } from "node:test";
import { fileURLToPath } from "node:url";

import { compile } from "../builder/compile.mjs";
import { findProject } from "../builder/project.mjs";
import { sourceMap } from "../builder/source-map.mjs";
import { defaultToolsFolder } from "../builder/tools.mjs";

let folder;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "dacapo-fsharp-"));
});

afterEach(() => rm(folder, { recursive: true }));

async function write(files) {
  for (const [name, text] of Object.entries(files)) {
    await mkdir(dirname(join(folder, name)), { recursive: true });
    await writeFile(join(folder, name), text);
  }
}

const project = (...items) => `<Project Sdk="Microsoft.NET.Sdk">\n<ItemGroup>\n${items.join("\n")}\n</ItemGroup>\n</Project>\n`;
const compiled = (...paths) => paths.map((path) => `<Compile Include="${path}" />`).join("\n");

/** The modules of the app, in the order of their sources. */
async function modules(options) {
  const { files } = await findProject(folder, options);
  return files.filter(({ isOfTheSdk }) => !isOfTheSdk).map(({ module }) => module);
}

const refuses = (files, message) => write(files).then(() => assert.rejects(findProject(folder), { name: "Error", message }));

test("a project compiles its files in their order, after those of other projects", async () => {
  await write({
    "App.fsproj": project(compiled("src\\B.fs", "src/A.fs; src/C.fs", "more/*.fs"), '<ProjectReference Include="shared/Shared.fsproj" />', "<!-- <PackageReference Include=\"X\" /> -->"),
    "shared/Shared.fsproj": project(compiled("S.fs")),
    ...Object.fromEntries(["src/A.fs", "src/B.fs", "src/C.fs", "more/Y.fs", "more/X.fs", "shared/S.fs", "other/Z.fs"].map((name) => [name, ""])),
  });
  assert.deepEqual(await modules(), ["shared/S.js", "src/B.js", "src/A.js", "src/C.js", "more/X.js", "more/Y.js"]);
});

test("a script compiles what it loads, in the order of #load, once", async () => {
  await write({ "App.fsx": '#load "A.fsx" @"src\\B.fs"\n#load "C.fs"\n#r "nuget: Fable.Core, 4.0.0"', "A.fsx": '#load "C.fs"', "C.fs": "", "src/B.fs": "" });
  assert.deepEqual(await modules(), ["C.js", "A.js", "src/B.js", "App.js"]);
  await write({ "test/Tests.fsx": '#load "Helper.fs"', "test/Helper.fs": "" });
  assert.deepEqual(await modules({ withTests: true }), ["C.js", "A.js", "src/B.js", "App.js", "test/Helper.js", "test/Tests.js"]);
});

test("an app need not refer to the SDK, but may", async () => {
  await write({ "App.fsx": "" });
  assert.equal((await findProject(folder)).refersToTheSdk, false);
  await write({ "App.fsx": '#load ".dacapo/sdk/fsharp/Dacapo.fsx"' });
  assert.equal((await findProject(folder)).refersToTheSdk, true);
  await write({ "App.fsproj": project(compiled("A.fs"), '<ProjectReference Include=".dacapo\\sdk\\fsharp\\Dacapo.fsproj" />'), "A.fs": "" });
  const { refersToTheSdk, files } = await findProject(folder);
  assert.equal(refersToTheSdk, true);
  assert.equal(files[0].module, "dacapo/Failure.js");
});

test("options of a project", async () => {
  const text = "<PropertyGroup><DefineConstants>$(DefineConstants);A;B</DefineConstants><NoWarn>25;1182</NoWarn><TreatWarningsAsErrors>true</TreatWarningsAsErrors></PropertyGroup>";
  await write({ "App.fsproj": project(compiled("A.fs")).replace("<ItemGroup>", `${text}<ItemGroup>`), "A.fs": "" });
  assert.deepEqual((await findProject(folder)).options, { defines: ["A", "B"], others: ["--nowarn:25", "--nowarn:1182", "--warnaserror+"] });
});

test("packages for .NET are refused by name", async () => {
  await refuses({ "App.fsproj": project(compiled("A.fs"), '<PackageReference Include="FSharp.Core" />', '<PackageReference\n Version="13.0.3" Include="Newtonsoft.Json" />') },
    /^App\.fsproj:5: the NuGet package 'Newtonsoft\.Json' cannot be used: F# is compiled to JavaScript here.* Remove the PackageReference\.$/);
  await refuses({ "App.fsproj": project(compiled("A.fs"), '<Reference Include="My.dll" />') }, /^App\.fsproj:4: the library 'My\.dll' cannot be used/);
  await refuses({ "App.fsproj": project(), "Directory.Build.props": project('<PackageReference Include="X" />') }, /^Directory\.Build\.props:3: the NuGet package 'X'/);
});

test("packages of a script are refused by name", async () => {
  await refuses({ "App.fsx": '\n#r "nuget: FSharp.Data, 6.3.0"' }, /^App\.fsx:2: the NuGet package 'FSharp\.Data' cannot be used: .* Remove the #r\.$/);
  await refuses({ "App.fsx": '#r "bin/Other.dll"' }, /^App\.fsx:1: the library 'bin\/Other\.dll' cannot be used/);
});

test("what is missing or open is named", async () => {
  await assert.rejects(findProject(join(folder, "none")), /none is not a folder/);
  await refuses({}, /has no \.fsproj and no \.fsx/);
  await refuses({ "A.fsx": "", "B.fsx": "" }, /has several apps in F#, A\.fsx, B\.fsx: leave one there/);
  await refuses({ "App.fsproj": project() }, /^App\.fsproj compiles no file: add one/);
  await refuses({ "App.fsproj": project(compiled("None.fs")) }, /^App\.fsproj:3: there is no file None\.fs\.$/);
  await refuses({ "App.fsproj": project('<ProjectReference Include="None.fsproj" />') }, /there is no file .*None\.fsproj\.$/);
});

test("a script that loads itself is refused", () => refuses({ "A.fsx": '#load "B.fsx"', "B.fsx": '#load "A.fsx"', "C.fsx": '#load "A.fsx"' }, /the script loads itself/));

test("errors and warnings have a file, a line and a column", async () => {
  await write({ "App.fsproj": project(compiled("src/A.fs")), "src/A.fs": 'module A\n\nlet x: int = "text"\nlet y = unknown\n' });
  const failed = compile(folder, { tools: defaultToolsFolder(), compiler: "node" });
  await assert.rejects(failed, ({ message }) => {
    assert.match(message, /^src\/A\.fs:3:14: error: This expression was expected to have type/m);
    assert.match(message, /^src\/A\.fs:4:9: error: The value or constructor 'unknown' is not defined/m);
    return true;
  });
  await write({ "src/A.fs": 'module A\nlet text (path: string) = System.IO.File.ReadAllText path\n' });
  await assert.rejects(compile(folder, { tools: defaultToolsFolder(), compiler: "node" }), /^BuildError: src\/A\.fs:2:27: error: .*not supported by Fable|src\/A\.fs:2:\d+: error: /m);
});

test("modules that nothing imports are loaded, and positions are mapped to F#", async () => {
  await write({ "App.fsproj": project(compiled("src/A.fs", "src/B.fs")), "src/A.fs": "module A\n/// Runs at `*/5`.\nlet a = 1\n", "src/B.fs": "module B\nlet f (g: int option) = match g with Some x -> x\n" });
  const out = await compile(folder, { tools: defaultToolsFolder(), compiler: "node" });
  assert.equal(await readFile(join(out, "index.js"), "utf8"), 'import "./src/A.js";\nimport "./src/B.js";\n');
  assert.match(await readFile(join(out, "src/B.js"), "utf8"), /sourceMappingURL=B\.js\.map/);
  const map = JSON.parse(await readFile(join(out, "src/B.js.map"), "utf8"));
  assert.deepEqual([map.sources, map.mappings.length > 0], [["B.fs"], true]);
  assert.ok(spawnSync(process.execPath, [join(out, "index.js")]).status === 0);
});

test("a source map has its numbers as differences, and a position for each line", () => {
  const mappings = [
    { line: 10, column: 4, generatedLine: 1, generatedColumn: 0 },
    { line: 9, column: 20, generatedLine: 1, generatedColumn: 16 },
    { line: 11, column: 0, generatedLine: 3, generatedColumn: 2 },
  ];
  assert.deepEqual(sourceMap({ file: "A.js", length: 4 }, "A.fs", mappings), { version: 3, file: "A.js", sources: ["A.fs"], names: [], mappings: "AASI,gBADgB;AAAA;AAAA,EAEpB;AAAA" });
});

/** A stand-in for `dotnet`, which writes down its arguments, and modules. */
async function fakeDotnet(version) {
  const program = `#!/usr/bin/env node
const { appendFileSync, mkdirSync, writeFileSync } = require("node:fs");
const args = process.argv.slice(2);
if (args[1] === "--version") { console.log("${version}"); process.exit(0); }
appendFileSync("dotnet.log", JSON.stringify(args));
console.log("./App.fs(1,1): (1,2) error FSHARP: as told");
if (args[1] === "Broken.fsproj") process.exit(1);
const out = args[args.indexOf("--outDir") + 1];
mkdirSync(out, { recursive: true });
writeFileSync(out + "/App.js", "");
`;
  await write({ "bin/dotnet": program });
  await chmod(join(folder, "bin/dotnet"), 0o755);
  process.env.PATH = join(folder, "bin") + delimiter + PATH;
}

const { PATH } = process.env;
afterEach(() => {
  process.env.PATH = PATH;
});

test("the tool of .NET is taken where it is installed", async () => {
  await fakeDotnet("4.24.0");
  await write({ "App.fsproj": project(compiled("App.fs"), '<ProjectReference Include=".dacapo/sdk/fsharp/Dacapo.fsproj" />'), "App.fs": "" });
  const out = await compile(folder, { tools: defaultToolsFolder() });
  assert.equal(await readFile(join(out, "index.js"), "utf8"), 'import "./App.js";\n');
  assert.deepEqual(JSON.parse(await readFile(join(folder, "dotnet.log"), "utf8")), ["fable", "App.fsproj", "--outDir", out, "--extension", ".js", "--sourceMaps", "--noCache"]);
});

test("what the tool of .NET cannot do is said", async () => {
  const refused = (compiler, message) => assert.rejects(compile(folder, { tools: defaultToolsFolder(), compiler }), message);
  await write({ "App.fsproj": project(compiled("App.fs", "B.fs")), "App.fs": "", "B.fs": "" });
  await refused("mono", /'mono' is not a compiler: there are node and dotnet/);
  process.env.PATH = dirname(process.execPath);
  await refused("dotnet", /'dotnet fable' does not work here\. Install it: /);
  await fakeDotnet("3.7.22");
  await refused(undefined, /'dotnet fable' is 3\.7\.22, and must be 4 or newer/);
  await fakeDotnet("4.24.0");
  await refused(undefined, /App\.fsproj does not refer to the SDK\. Add <ProjectReference Include="\.dacapo\/sdk\/fsharp\/Dacapo\.fsproj" \/>/);
  await write({ "App.fsproj": project(compiled("App.fs", "B.fs"), '<ProjectReference Include=".dacapo/sdk/fsharp/Dacapo.fsproj" />') });
  await refused(undefined, /'dotnet fable' 4\.24\.0 did not write B\.js/);
  await rm(join(folder, "App.fsproj"));
  await write({ "Broken.fsproj": project(compiled("App.fs"), '<ProjectReference Include=".dacapo/sdk/fsharp/Dacapo.fsproj" />') });
  await refused(undefined, /'dotnet fable' failed; what it said is above/);
});

test("the command says how it is used", () => {
  const run = (...args) => spawnSync(process.execPath, [fileURLToPath(new URL("../build.mjs", import.meta.url)), ...args], { encoding: "utf8" });
  assert.match(run("--help").stdout, /^Builds the WebAssembly component of an app in F#\./);
  const wrong = run("--nothing");
  assert.deepEqual([wrong.status, /nothing.*Usage: node build\.mjs APP_FOLDER/s.test(wrong.stderr)], [1, true]);
});
