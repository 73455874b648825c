import assert from "node:assert/strict";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { test } from "node:test";

import { findApp } from "../builder/app.mjs";
import { RUN_FILES, withOwnAsync, withPlainNames } from "../builder/bundle.mjs";
import { loadOnce } from "../builder/load.mjs";
import { replacedPackageAt } from "../builder/replaced-package.mjs";
import { compactSourceMap } from "../builder/source-map.mjs";
import { originalStack, placeOf } from "../src/stack.js";

/** What the build finds in an app with these files, or the message of the error. */
async function found(files, pick) {
  const folder = await mkdtemp(join(tmpdir(), "dacapo-test-"));
  try {
    for (const [name, content] of Object.entries(files)) {
      await mkdir(dirname(join(folder, name)), { recursive: true });
      await writeFile(join(folder, name), typeof content === "string" ? content : JSON.stringify(content));
    }
    return pick(await findApp(folder));
  } catch (error) {
    return error.message.replaceAll(folder, "APP");
  } finally {
    await rm(folder, { recursive: true });
  }
}

const entriesOf = (files) => found(files, ({ entries }) => entries);

test("`main` says which files register functions", async () => {
  const files = { "src/functions/a.js": "", "src/functions/b.js": "", "src/functions/b.test.js": "", "src/index.js": "", "src/other.js": "" };
  assert.deepEqual(await entriesOf({ ...files, "package.json": { main: "src/functions/*.js" } }), ["src/functions/a.js", "src/functions/b.js"]);
  assert.deepEqual(await entriesOf({ ...files, "package.json": { main: "./src/{index.js,functions/a.js}" } }), ["src/functions/a.js", "src/index.js"]);
  assert.deepEqual(await entriesOf({ ...files, "package.json": { main: "src/**/a.js" } }), ["src/functions/a.js"]);
  assert.deepEqual(await entriesOf({ ...files, "package.json": {} }), ["src/functions/a.js", "src/functions/b.js"]);
});

test("of what TypeScript writes the source is taken", async () => {
  const sources = { "src/functions/a.ts": "", "src/index.ts": "", "src/types.d.ts": "", "dist/src/functions/a.js": "old" };
  const config = '{ // a comment\n "compilerOptions": { "outDir": "dist", "rootDir": ".", }, }';
  assert.deepEqual(await entriesOf({ ...sources, "tsconfig.json": config, "package.json": { main: "dist/src/functions/*.js" } }), ["src/functions/a.ts"]);
  assert.deepEqual(await entriesOf({ ...sources, "tsconfig.json": config, "package.json": { main: "dist/src/{index.js,functions/*.js}" } }), ["src/functions/a.ts", "src/index.ts"]);
  const inSource = '{ "compilerOptions": { "outDir": "out", "rootDir": "src" } }';
  assert.deepEqual(await entriesOf({ ...sources, "tsconfig.json": inSource, "package.json": { main: "out/functions/*.js" } }), ["src/functions/a.ts"]);
});

test("what is missing is named", async () => {
  assert.match(await entriesOf({ "index.js": "" }), /APP has no package\.json.*or folders with a function\.json/);
  assert.match(await entriesOf({ "package.json": {} }), /no file that registers functions/);
  assert.match(await entriesOf({ "package.json": { dependencies: { luxon: "3", "durable-functions": "3" } }, "index.js": "" }), /^luxon of the app's dependencies is not installed\. Run: npm install --prefix APP$/);
  assert.match(await entriesOf({ "package.json": "{" }), /APP\/package\.json: /);
});

const filesOf = (files) => found(files, ({ functions }) => functions.map(({ name, file }) => `${name}: ${file}`));
const MANUAL = [{ type: "manualTrigger", name: "x", direction: "in" }];

test("an app of the model v3 is the folders with a function.json, also without a package.json", async () => {
  const app = { "A/function.json": { bindings: MANUAL }, "A/index.js": "", "B/function.json": { bindings: MANUAL, scriptFile: "../shared/b.js", entryPoint: "go" }, "shared/b.js": "", "node_modules/x/function.json": "{" };
  assert.deepEqual(await filesOf(app), ["A: A/index.js", "B: shared/b.js"]);
  assert.deepEqual(await found(app, ({ functions }) => functions.map(({ bindings, entryPoint }) => [bindings, entryPoint])), [[MANUAL, undefined], [MANUAL, "go"]]);
  assert.deepEqual(await filesOf({ "A/function.json": { bindings: MANUAL }, "A/only.js": "", "package.json": { main: "index.js" } }), ["A: A/only.js"]);
  assert.deepEqual(await filesOf({ "A/function.json": `\ufeff{ // as some editors write it\n "bindings": ${JSON.stringify(MANUAL)}, }`, "A/index.js": "" }), ["A: A/index.js"]);
  assert.deepEqual(await filesOf({ "A/function.json": { bindings: MANUAL, scriptFile: "index.mjs" }, "A/index.mjs": "" }), ["A: A/index.mjs"]);
});

test("in the model v3 too, the source is taken of what TypeScript writes", async () => {
  const output = { bindings: MANUAL, scriptFile: "../dist/A/index.js" };
  assert.deepEqual(await filesOf({ "A/function.json": output, "A/index.ts": "", "dist/A/index.js": "old" }), ["A: A/index.ts"]);
  assert.deepEqual(await filesOf({ "A/function.json": output, "A/index.ts": "" }), ["A: A/index.ts"]);
  assert.deepEqual(await filesOf({ "A/function.json": output, "src/A/index.ts": "" }), ["A: src/A/index.ts"]);
  assert.deepEqual(await filesOf({ "A/function.json": output, "dist/A/index.js": "" }), ["A: dist/A/index.js"]);
  assert.deepEqual(await filesOf({ "A/function.json": { bindings: MANUAL }, "A/index.js": "", "A/index.ts": "" }), ["A: A/index.ts"]);
  const config = { compilerOptions: { outDir: "./build/", rootDir: "code" } };
  assert.deepEqual(await filesOf({ "A/function.json": { bindings: MANUAL, scriptFile: "../build/A/index.js" }, "tsconfig.json": config, "code/A/index.ts": "" }), ["A: code/A/index.ts"]);
});

test("functions that cannot run are left out, and their files are not needed", async () => {
  const left = await found(
    {
      "A/function.json": { bindings: MANUAL },
      "A/index.js": "",
      "Off/function.json": { disabled: true, bindings: MANUAL },
      "Setting/function.json": { disabled: "IS_OFF", bindings: MANUAL },
      "Setting/index.js": "",
      "Blob/function.json": { bindings: [{ type: "blobTrigger", name: "b", direction: "in" }], scriptFile: "../x.dll" },
      "Copy/function.json": { bindings: [{ type: "activityTrigger", name: "a", direction: "in" }, { type: "blob", name: "b", direction: "out" }] },
      "Copy/index.js": "",
    },
    ({ functions, leftOut }) => [functions.map(({ name, bindings }) => (bindings[0].disabled ? `${name} if not ${bindings[0].disabled}` : name)), leftOut],
  );
  assert.deepEqual(left[0], ["A", "Copy", "Setting if not IS_OFF"]);
  const why = Object.fromEntries(left[1].map(({ name, why }) => [name, why]));
  assert.deepEqual(Object.keys(why), ["Blob", "Off"]);
  assert.match(why.Off, /its function\.json disables it/);
  assert.match(why.Blob, /^there is no 'blobTrigger' here/);
});

test("what is wrong with a function.json is named", async () => {
  const of = async (description, files = {}) => {
    const left = await found({ "A/function.json": description, ...files }, ({ leftOut }) => leftOut);
    return left.map(({ name, why }) => `${name}: ${why.replace(/\/\S*\/A\/function/, "APP/A/function")}`).join();
  };
  assert.match(await of("{"), /^A: it cannot be loaded: .*APP\/A\/function\.json: /);
  assert.match(await of({}), /APP\/A\/function\.json has no bindings/);
  assert.match(await of({ bindings: MANUAL, scriptFile: 5 }), /scriptFile must be a text/);
  assert.match(await of({ bindings: MANUAL }), /there is no file A\/index\.js beside it/);
  assert.match(await of({ bindings: MANUAL }, { "A/a.js": "", "A/b.js": "" }), /there is no file A\/index\.js beside it/);
  assert.match(await of({ bindings: MANUAL, scriptFile: "../dist/A/index.js" }), /there is no file dist\/A\/index\.js.*tsconfig\.json/);
  assert.match(await of({ bindings: MANUAL, scriptFile: "__init__.py" }), /'__init__\.py' is not JavaScript/);
  assert.match(await of({ bindings: [] }), /has no bindings/);
});

test("both models in one app are an error", async () => {
  const code = 'const { app } = require("@azure/functions");\napp.http("x", { handler: () => {} });';
  const v3 = { "A/function.json": { bindings: MANUAL }, "A/index.js": "" };
  const mixed = /APP mixes both programming models: src\/functions\/x\.js registers functions by code \(v4\), and A\/function\.json describes one \(v3\)/;
  assert.match(await filesOf({ ...v3, "src/functions/x.js": code, "package.json": { main: "src/functions/*.js" } }), mixed);
  assert.match(await filesOf({ ...v3, "src/functions/x.js": 'import * as df from "durable-functions"; df.app.activity("a", {})' }), mixed);
  assert.deepEqual(await filesOf({ ...v3, "index.js": "module.exports = 1;", "package.json": {} }), ["A: A/index.js"]);
});

test("stacks name the user's files", () => {
  // Line 1 of the bundle: line 3 of `app.js`, from column 5 on line 1 of the SDK. Line 2: line 7 of `app.js`.
  const map = JSON.stringify({ sources: ["app.js", "../sdk/run.js"], mappings: "AAEA,KCFA;ADMA" });
  globalThis.__dacapo = { sourceMap: compactSourceMap(map, (source) => source === "app.js") };
  try {
    const stack = ["    at f (<input>:1:2)", "    at step (<input>:1:9)", "g@outer.js line 4 > eval:2:1", "    at dacapo-bundle.js:2:5", "    at runOrchestrator (/outer.js:7:1)"];
    assert.equal(originalStack({ stack: stack.join("\n") }), ["    at f (app.js:3)", "    at g (app.js:7)", "    at <anonymous> (app.js:7)"].join("\n"));
    assert.equal(placeOf({ name: "order", lineNumber: 2, columnNumber: 5 }), "    at order (app.js:7)");
    assert.equal(placeOf(() => {}), null, "not every engine tells");
  } finally {
    delete globalThis.__dacapo;
  }
});

test("what every run makes objects of has no private names in a component", async () => {
  for (const name of RUN_FILES) {
    const source = await readFile(new URL(`../src/${name}.js`, import.meta.url), "utf8");
    assert.doesNotMatch(withPlainNames(source), /[.\s]#[a-z]/, name);
  }
  const classes = "class A {\n  #x = 1;\n  get #y() {\n    return this.#x + a.#x;\n  }\n}\nexport class B extends A {\n  async #x() {}\n}\n";
  assert.equal(withPlainNames(classes), classes.replace("async #x", "async _B_x").replaceAll("#", "_A_"));
});

test("esbuild's helper for `async` gives way to the SDK's, and all else stays where it is", () => {
  const helper = "var l=(e,t,r)=>new Promise((n,s)=>{var c=x=>x;\nc((r=r.apply(e,t)).next())});";
  const place = (code) => code.split("\n").map((line) => line.indexOf("var b"));
  for (const text of [helper, helper.replace("\n", "")]) {
    const before = `var a=1;${text}var b=2;`;
    const code = withOwnAsync(before);
    assert.match(code, /^var a=1;var l=\(self,args,body\)=>__dacapo\.runAsync\(self,args,body\)\s*;var b=2;$/);
    assert.deepEqual(place(code), place(before));
  }
});

test("what is read while an app is loaded is noticed", () => {
  const bundle = (body, functions = [{ name: "f", kind: "activity" }]) => ({
    fileName: "dacapo-bundle.js",
    sourceMap: { sources: [], lines: [] },
    code: `var dacapoApp = { loadApp() { ${body} }, describe: () => FUNCTIONS, describeTriggers: () => [], leftOut: () => [{ name: "b", why: "it is what it is" }], absent: () => [], failed: () => ({}), readsAtLoad: () => ["SETTING"], explain: (error) => ({ errorType: error.name, message: error.message }) };`.replace("FUNCTIONS", JSON.stringify(functions)),
  });
  assert.deepEqual(loadOnce(bundle("")).readsAtLoad, []);
  assert.deepEqual(loadOnce(bundle("__dacapo.imports.environment.getEnvironment()")).readsAtLoad, ["process.env"]);
  assert.equal(loadOnce(bundle("")).readsEnvironment, true);
  assert.deepEqual(loadOnce(bundle("")).leftOut, [{ name: "b", why: "it is what it is" }]);
  assert.throws(() => loadOnce(bundle("", [])), /no function that can run here:\n  'b': it is what it is/);
  assert.throws(() => loadOnce(bundle("null.x")), /^Error: the app cannot be loaded: TypeError: /);
});

test("a package that the SDK replaces is recognised where it is imported by a path", async () => {
  const root = await mkdtemp(join(tmpdir(), "dacapo-test-"));
  try {
    const at = (path, app = "samples") => replacedPackageAt(join(root, path), join(root, app));
    await mkdir(join(root, "samples"));
    await writeFile(join(root, "package.json"), JSON.stringify({ name: "durable-functions", main: "lib/src/index.js" }));
    // It need not be built.
    for (const path of ["lib/src", "lib/src/", "lib/src/index", "lib/src/index.js", "."]) {
      assert.equal(await at(path), "durable-functions", path);
    }
    assert.equal(await at("lib/src/other"), undefined);
    assert.equal(await at("samples/lib/src"), undefined);
    assert.equal(await at("lib/src", "."), undefined);
    await writeFile(join(root, "package.json"), JSON.stringify({ name: "another", main: "lib/src/index.js" }));
    assert.equal(await at("lib/src"), undefined);
    await writeFile(join(root, "package.json"), "{");
    assert.equal(await at("lib/src"), undefined);
  } finally {
    await rm(root, { recursive: true });
  }
});
