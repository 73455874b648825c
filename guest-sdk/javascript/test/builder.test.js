import assert from "node:assert/strict";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { test } from "node:test";

import { findApp } from "../builder/app.mjs";
import { RUN_FILES, withOwnAsync, withPlainNames } from "../builder/bundle.mjs";
import { loadOnce } from "../builder/load.mjs";
import { compactSourceMap } from "../builder/source-map.mjs";
import { originalStack, placeOf } from "../src/stack.js";

/** The entries of an app with these files, or the message of the error. */
async function entriesOf(files) {
  const folder = await mkdtemp(join(tmpdir(), "dacapo-test-"));
  try {
    for (const [name, content] of Object.entries(files)) {
      await mkdir(dirname(join(folder, name)), { recursive: true });
      await writeFile(join(folder, name), typeof content === "string" ? content : JSON.stringify(content));
    }
    return (await findApp(folder)).entries;
  } catch (error) {
    return error.message.replaceAll(folder, "APP");
  } finally {
    await rm(folder, { recursive: true });
  }
}

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
  assert.match(await entriesOf({ "index.js": "" }), /APP has no package\.json/);
  assert.match(await entriesOf({ "package.json": {} }), /no file that registers functions/);
  assert.match(await entriesOf({ "package.json": { dependencies: { luxon: "3", "durable-functions": "3" } }, "index.js": "" }), /^luxon of the app's dependencies is not installed\. Run: npm install --prefix APP$/);
  assert.match(await entriesOf({ "package.json": "{" }), /APP\/package\.json: /);
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
  const helper = "var __async=(__this,__arguments,generator2)=>{return new Promise((resolve,reject)=>{var step=x=>x;\nstep((generator2=generator2.apply(__this,__arguments)).next())})};";
  const place = (code) => code.split("\n").map((line) => line.indexOf("var b"));
  for (const text of [helper, helper.replace("\n", "")]) {
    const before = `var a=1;${text}var b=2;`;
    const code = withOwnAsync(before);
    assert.match(code, /^var a=1;var __async=\(self,args,body\)=>__dacapo\.runAsync\(self,args,body\);\s+var b=2;$/);
    assert.deepEqual(place(code), place(before));
  }
});

test("what is read while an app is loaded is noticed", () => {
  const bundle = (body) => ({
    fileName: "dacapo-bundle.js",
    sourceMap: { sources: [], lines: [] },
    code: `var dacapoApp = { loadApp() { ${body} }, describe: () => [{ name: "f", kind: "activity" }], ignoredTriggers: () => [], explain: (error) => ({ errorType: error.name, message: error.message }) };`,
  });
  assert.deepEqual(loadOnce(bundle("")).readsAtLoad, []);
  assert.deepEqual(loadOnce(bundle("__dacapo.imports.environment.getEnvironment()")).readsAtLoad, ["process.env"]);
  assert.throws(() => loadOnce(bundle("null.x")), /^Error: the app cannot be loaded: TypeError: /);
});
