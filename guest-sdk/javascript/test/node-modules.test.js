/**
 * The modules of Node.js, beside those of the Node.js that runs the test. They are made with packages that the builder installs, so an app with
 * them is bundled, with the builder's tools, as a component would have it.
 */

import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import vm from "node:vm";

import { findApp } from "../builder/app.mjs";
import { GLOBAL_NAME, bundle } from "../builder/bundle.mjs";
import { loadOnce } from "../builder/load.mjs";
import { defaultToolsFolder, openTools } from "../builder/tools.mjs";

const require = createRequire(import.meta.url);
let tools;
let folder;

before(async () => {
  tools = await openTools(defaultToolsFolder(), "quickjs");
  folder = await mkdtemp(join(tmpdir(), "dacapo-test-"));
});

after(() => rm(folder, { recursive: true }));

/** Bundles an app with these files. `index.js` may call `report(value)` while it is loaded. */
async function bundled(files) {
  const app = await mkdtemp(join(folder, "app-"));
  for (const [name, content] of Object.entries({ "package.json": "{}", ...files })) {
    await mkdir(dirname(join(app, name)), { recursive: true });
    await writeFile(join(app, name), content);
  }
  return bundle(await findApp(app), tools);
}

const REGISTERS = 'require("durable-functions").app.activity("f", { handler: () => {} });\n';

/** What a script gives, in the bundle and in this Node.js. Both get `modules(name)`. */
async function both(script, names) {
  const list = names.map((name) => `${JSON.stringify(name)}: require(${JSON.stringify(name)})`);
  const { code, sourceMap, fileName } = await bundled({ "index.js": `${REGISTERS}globalThis.result = ((modules) => { ${script} })((name) => ({ ${list} })[name]);` });
  const random = { getRandomBytes: (length) => new Uint8Array(Number(length)) };
  const context = vm.createContext({ atob, btoa, performance, DOMException, __dacapo: { imports: { random, logging: { log() {} } }, sourceMap, isBuilding: true } });
  vm.runInContext(code, context, { filename: fileName });
  vm.runInContext(`${GLOBAL_NAME}.loadApp()`, context);
  const ours = JSON.parse(vm.runInContext("JSON.stringify(result)", context));
  return [ours, JSON.parse(JSON.stringify(new Function("modules", script)((name) => require(name))))];
}

async function same(script, ...names) {
  const [ours, theirs] = await both(script, names);
  assert.deepEqual(ours, theirs);
}

test("path, url, querystring and string_decoder", () =>
  same(
    `const path = modules("path"), url = modules("url"), query = modules("querystring"), { StringDecoder } = modules("string_decoder");
     const decoder = new StringDecoder("utf8");
     return [path.join("/a", "../b", "c"), path.relative("/a/b", "/a/c/d"), path.parse("/x/y.tar.gz"), path.posix.normalize("a\\\\b/../c"),
       url.parse("http://u:p@h:8/p/q?a=1#x", true), url.format({ protocol: "http", host: "a.b", pathname: "/c", query: { d: 1 } }), url.resolve("http://a/b/c", "../d"),
       url.fileURLToPath("file:///a%20b"), query.parse("a=1&b=2&a=3&c"), query.stringify({ x: [1, 2], y: "ä &" }),
       [0xe2, 0x82, 0xac].map((byte) => decoder.write(Buffer.from([byte])))];`,
    "path",
    "url",
    "querystring",
    "string_decoder",
  ));

test("buffer", () =>
  same(
    `const { Buffer } = modules("buffer"); const buffer = Buffer.alloc(16);
     buffer.writeUInt32BE(0xdeadbeef, 0); buffer.writeInt16LE(-2, 4); buffer.writeDoubleBE(1.5, 8); buffer.write("hé", 6, "utf8");
     return [buffer.toString("hex"), buffer.readUInt32LE(0), buffer.readInt16LE(4), buffer.readDoubleBE(8), buffer.indexOf(0xbe), buffer.includes("h"), buffer.slice(1, 3).toString("base64url"),
       Buffer.from([1, 300, -1]).toJSON(), Buffer.from("zz", "hex").length, Buffer.alloc(5, "ab").toString(), Buffer.from("abc").fill("x", 1).toString(), Buffer.from("ab").swap16().toString(),
       Buffer.from("ünï", "latin1").toString("utf8"), Buffer.isEncoding("UTF-8"), Buffer.byteLength("€"), Buffer.compare(Buffer.from("a"), Buffer.from("b")), new Buffer("old").toString(),
       Buffer.from(new Uint16Array([1, 2]).buffer).length, Buffer.concat([Buffer.from("a"), new Uint8Array([98])]).toString()];`,
    "buffer",
  ));

test("crypto: hashes, keys from passwords, ciphers, and signatures that Node.js verifies", async () => {
  const { generateKeyPairSync, sign, verify } = require("node:crypto");
  await same(
    `const crypto = modules("crypto");
     const cipher = crypto.createCipheriv("aes-256-gcm", Buffer.alloc(32, 1), Buffer.alloc(12, 2)); cipher.setAAD(Buffer.from("aad"));
     const sealed = Buffer.concat([cipher.update("secret", "utf8"), cipher.final()]);
     const opened = crypto.createDecipheriv("aes-256-gcm", Buffer.alloc(32, 1), Buffer.alloc(12, 2)); opened.setAAD(Buffer.from("aad")); opened.setAuthTag(cipher.getAuthTag());
     const whole = Buffer.concat([opened.update(sealed), opened.final()]).toString();
     return [["md5", "sha1", "sha256", "sha384", "sha512", "sha512-256", "sha3-256", "ripemd160"].map((name) => crypto.createHash(name).update("é").update(Buffer.from([1])).digest("hex")),
       crypto.createHmac("sha256", "key").update("data").digest("base64"), crypto.pbkdf2Sync("p", "s", 10, 20, "sha1").toString("hex"), crypto.scryptSync("p", "s", 16, { N: 16 }).toString("hex"),
       Buffer.from(crypto.hkdfSync("sha256", "k", "s", "i", 16)).toString("hex"), sealed.toString("hex"), cipher.getAuthTag().toString("hex"),
       whole, crypto.timingSafeEqual(Buffer.from("a"), Buffer.from("a")), crypto.createSecretKey(Buffer.from("k")).export().toString()];`,
    "crypto",
  );
  const pem = { privateKeyEncoding: { type: "pkcs8", format: "pem" }, publicKeyEncoding: { type: "spki", format: "pem" } };
  for (const [type, options, digest] of [["rsa", { modulusLength: 1024 }, "sha256"], ["ec", { namedCurve: "P-256" }, "sha256"], ["ec", { namedCurve: "P-384" }, "sha384"], ["ed25519", {}, null]]) {
    const pair = generateKeyPairSync(type, { ...options, ...pem });
    const theirs = sign(digest, Buffer.from("data"), pair.privateKey).toString("hex");
    const script = `const crypto = modules("crypto"); const key = crypto.createPrivateKey(${JSON.stringify(pair.privateKey)});
      const verifies = (data) => crypto.verify(${JSON.stringify(digest)}, Buffer.from(data), ${JSON.stringify(pair.publicKey)}, Buffer.from("${theirs}", "hex"));
      crypto.createSign("sha256"); crypto.createPublicKey(${JSON.stringify(pair.publicKey)});
      return [verifies("data"), verifies("other"), crypto.sign(${JSON.stringify(digest)}, Buffer.from("data"), key).toString("hex"), crypto.createPublicKey(key).export({ type: "spki", format: "pem" })];`;
    const [[good, bad, signature, publicKey]] = await both(script, ["crypto"]);
    assert.deepEqual([good, bad, publicKey], [true, false, pair.publicKey], type);
    assert.equal(verify(digest, Buffer.from("data"), pair.publicKey, Buffer.from(signature, "hex")), true, type);
  }
});

test("zlib", () =>
  same(
    `const zlib = modules("zlib"); const data = Buffer.from("hello ".repeat(100));
     const thrown = (body) => { try { return body(); } catch (error) { return error.code; } };
     return [zlib.deflateSync(data).toString("hex"), zlib.gunzipSync(zlib.gzipSync(data)).toString(), zlib.inflateRawSync(zlib.deflateRawSync(data)).length, zlib.unzipSync(zlib.deflateSync(data)).length,
       thrown(() => zlib.gunzipSync(Buffer.from("nonsense"))), thrown(() => zlib.inflateSync(zlib.deflateSync(data).subarray(0, 10))), zlib.constants.Z_BEST_SPEED, typeof zlib.createGzip];`,
    "zlib",
  ));

test("events, util and assert", () =>
  same(
    `const EventEmitter = modules("events"), util = modules("util"), assert = modules("assert");
     function Old() { EventEmitter.call(this); } util.inherits(Old, EventEmitter);
     const seen = []; const emitter = new Old(); emitter.once("x", (value) => seen.push(value)); emitter.prependListener("x", () => seen.push("first")); emitter.emit("x", 1); emitter.emit("x", 2);
     const failure = (body) => { try { body(); return "none"; } catch ({ code, name }) { return [code, name]; } };
     return [seen, emitter.listenerCount("x"), EventEmitter.defaultMaxListeners, failure(() => emitter.emit("error", new RangeError("r"))),
       util.format("%s=%d %j", "a", 1, { b: 2 }), util.isDeepStrictEqual({ a: [1, new Map([[1, { b: 2 }]])] }, { a: [1, new Map([[1, { b: 2 }]])] }), util.isDeepStrictEqual({ a: undefined }, {}),
       util.types.isDate(new Date()), util.types.isUint8Array(Buffer.alloc(1)), util.types.isTypedArray(new DataView(new ArrayBuffer(1))), util.stripVTControlCharacters("\\u001b[31mred\\u001b[0m"),
       failure(() => assert.deepEqual({ a: 1 }, { a: "1" })), failure(() => assert.deepStrictEqual({ a: 1 }, { a: "1" })), failure(() => assert(0)), failure(() => assert.throws(() => { throw new TypeError("t"); }, TypeError)),
       failure(() => assert.throws(() => {})), failure(() => assert.match("abc", /x/)), failure(() => assert.strict.equal(1, "1")), failure(() => assert.throws(() => { throw new Error("other"); }, { message: "this" }))];`,
    "events",
    "util",
    "assert",
  ));

test("what cannot work can be imported and extended, and fails when it is used, with a reason and a place", async () => {
  const files = {
    "index.js": `const { app } = require("durable-functions"); const net = require("net"); const { isMainThread } = require("worker_threads"); const { execSync } = require("child_process");
class Socket extends net.Socket {}
if (!isMainThread || net.isIP("::1") !== 6 || require("http2").constants.HTTP2_HEADER_STATUS !== ":status") throw new Error("what works must work");
app.activity("f", { handler: () => {} });
require("./opens");`,
    "opens.js": "\nrequire('tls').connect(443);",
  };
  const made = await bundled(files);
  assert.deepEqual(made.absent, ["index.js imports the module 'child_process'", "index.js imports the module 'http2'", "index.js imports the module 'net'", "index.js imports the module 'worker_threads'", "opens.js imports the module 'tls'"]);
  const { leftOut } = loadOnce(made);
  assert.match(leftOut[0].why, /The module 'tls' of Node\.js cannot work in a sandbox: there are no sockets here, and requests go through fetch, http or https\. at .* \(opens\.js:2\)/);
});

test("what an app does not need is not part of its bundle", async () => {
  const plain = await bundled({ "index.js": REGISTERS });
  assert.deepEqual([plain.usesFetch, plain.usesFiles, plain.zones], [false, false, ""]);
  assert.doesNotMatch(plain.code, /readUInt32BE|secp256k1|pipeThrough|IncomingMessage/);
  const needy = await bundled({ "index.js": `${REGISTERS}exports.at = () => [new Date().toLocaleString("en", { timeZone: "Asia/Tokyo" }), require("fs").readFileSync("/x"), Buffer.alloc(1)];` });
  assert.deepEqual([needy.usesFetch, needy.usesFiles], [false, true]);
  assert.match(needy.zones, /^Asia\/Tokyo /m);
  assert.match(needy.code, /readUInt32BE/);
});

test("packages are taken by their entries for Node.js", async () => {
  const package_ = (name, manifest, files) => Object.fromEntries(Object.entries({ "package.json": JSON.stringify({ name, ...manifest }), ...files }).map(([file, content]) => [`node_modules/${name}/${file}`, content]));
  const made = await bundled({
    ...package_("a", { main: "node.js", browser: { "./node.js": "./page.js", fs: false } }, { "node.js": 'module.exports = typeof require("fs").readFileSync;', "page.js": "document.title;" }),
    ...package_("b", { exports: { ".": { browser: "./page.js", node: { import: "./node.mjs", require: "./node.cjs" } } } }, { "node.cjs": "module.exports = 1;", "node.mjs": "export default 1;", "page.js": "document.title;" }),
    ...package_("c", { main: "index.js" }, { "index.js": 'try { module.exports = require("./build/addon.node"); } catch (error) { module.exports = error.message; }', "build/addon.node": "\0" }),
    "index.js": `${REGISTERS}if (require("a") !== "function" || require("b") !== 1) throw new Error("the wrong entry"); if (!/addon\\.node is machine code/.test(require("c"))) throw new Error(require("c"));`,
  });
  assert.equal(loadOnce(made).leftOut.length, 0);
});

test("a long chain of files is loaded in pieces", async () => {
  const files = Object.fromEntries(Array.from({ length: 1000 }, (_, index) => [`chain/${index}.js`, index === 999 ? "module.exports = 0;" : `module.exports = 1 + require("./${index + 1}");`]));
  const made = await bundled({ ...files, "index.js": `${REGISTERS}if (require("./chain/0") !== 999) throw new Error("broken");` });
  assert.equal(loadOnce(made).functions.length, 1);
  // An error at its end comes to who loads its beginning.
  assert.equal(loadOnce(await bundled({ ...files, "chain/999.js": "throw new RangeError(`the end`);", "index.js": `${REGISTERS}try { require("./chain/0"); } catch (error) { if (error.message !== "the end") throw error; }` })).functions.length, 1);
});

test("variables that are read while an app is loaded are known", async () => {
  const read = async (source) => loadOnce(await bundled({ "index.js": REGISTERS + source })).variables;
  assert.deepEqual(await read("exports.a = process.env.A ?? process.env.NODE_ENV;"), ["A"]);
  assert.deepEqual(await read("exports.a = { ...process.env };"), ["*"]);
  assert.deepEqual(await read("exports.a = () => process.env.A;"), []);
});
