import assert from "node:assert/strict";
import { test } from "node:test";

import { AbortController as OurAbortController, AbortSignal as OurAbortSignal } from "../src/globals/abort.js";
import { TextDecoder as OurDecoder, TextEncoder as OurEncoder } from "../src/globals/encoding.js";
import { Blob as OurBlob, File as OurFile } from "../src/globals/blob.js";
import { Headers as OurHeaders, Request as OurRequest, Response as OurResponse } from "../src/globals/fetch.js";
import { FormData as OurFormData } from "../src/globals/form-data.js";
import { Intl as OurIntl, dateMethods } from "../src/globals/intl.js";
import { ReadableStream as OurStream } from "../src/globals/streams.js";
import { structuredClone as ourClone } from "../src/globals/structured-clone.js";
import * as ourTimers from "../src/globals/timers.js";
import { ActivityScope } from "../src/activity.js";
import { enter, leave } from "../src/scope.js";
import { Buffer as OurBuffer } from "../src/node/buffer.js";
import { URL as OurURL, URLSearchParams as OurParams } from "../src/globals/url.js";

const PARTS = ["href", "origin", "protocol", "username", "password", "host", "hostname", "port", "pathname", "search", "hash"];

function parts(Type, url, base) {
  try {
    const parsed = base === undefined ? new Type(url) : new Type(url, base);
    return Object.fromEntries(PARTS.map((part) => [part, parsed[part]]));
  } catch (error) {
    return error.constructor.name;
  }
}

test("URLs are parsed as Node.js parses them", () => {
  const base = "http://user:pw@example.com:8080/a/b/c?q=1#h";
  const cases = [
    ["https://EXAMPLE.com:443/../a/./b/%7Ec?x=ä b#ü"],
    ["http://example.com"],
    ["http:example.com/x"],
    ["http:\\\\example.com\\a"],
    ["  http://example.com/a b\n"],
    ["http://user:p@ss:w@host/"],
    ["http://[::1]:3000/x"],
    ["http://host:99999/"],
    ["http://ho st/"],
    ["http://[::1"],
    ["http://[1:2]/"],
    ["http://[1::2::3]/"],
    ["http://[1:2:3:4:5:6:7:8]/"],
    ["http://1.2.3.4/"],
    ["http://1.2.3.4.5/"],
    ["http://256.1.1.1/"],
    ["http://name.09/"],
    ["http:///triple/x"],
    ["mailto:someone@example.com"],
    ["data:text/plain,hello world"],
    ["custom://Host/Path/../x?y"],
    ["file:///etc/passwd"],
    ["nothing"],
    [""],
    ["", base],
    ["d", base],
    ["../d", base],
    ["../../../d", base],
    ["/d?x", base],
    ["//other/x", base],
    ["?only", base],
    ["#only", base],
    ["https://absolute/", base],
    [".", base],
    ["..", base],
    ["d/.", base],
    ["x", "mailto:a@b"],
  ];
  for (const [url, relativeTo] of cases) {
    assert.deepEqual(parts(OurURL, url, relativeTo), parts(URL, url, relativeTo), `${url} on ${relativeTo}`);
  }
});

test("URLs can be changed", () => {
  for (const Type of [OurURL, URL]) {
    const url = new Type("http://example.com/a?x=1&x=2");
    url.searchParams.append("y", "ä&=+ ");
    url.searchParams.delete("x", "1");
    url.pathname = "b c";
    url.hash = "end";
    url.port = "81";
    url.protocol = "https";
    url.hostname = "Other.example";
    assert.equal(url.href, "https://other.example:81/b%20c?x=2&y=%C3%A4%26%3D%2B+#end");
    url.search = "?z";
    assert.equal(url.searchParams.get("z"), "");
  }
});

test("search parameters", () => {
  for (const init of ["?a=1&b=2&a=3", "a=%zz&b=%F0%9F%98%80&+=+", { a: 1, b: "x y" }, [["k", "v"], ["k", "w"]]]) {
    const [ours, theirs] = [new OurParams(init), new URLSearchParams(init)];
    assert.equal(String(ours), String(theirs));
    assert.deepEqual([...ours], [...theirs]);
    ours.sort();
    theirs.sort();
    ours.set("a", "set");
    theirs.set("a", "set");
    assert.equal(String(ours), String(theirs));
  }
});

test("texts are encoded and decoded as in Node.js", () => {
  const texts = ["", "plain", "é€😀", "\ud800x", "\udc00", "\ufeffmark", "a\0b"];
  for (const text of texts) {
    assert.deepEqual(new OurEncoder().encode(text), new TextEncoder().encode(text));
  }
  const bytes = [[0xff], [0xe2, 0x82], [0xe2, 0x82, 0xac], [0xc0, 0x80], [0xed, 0xa0, 0x80], [0xf0, 0x9f, 0x98], [0xf4, 0x90, 0x80, 0x80], [0xef, 0xbb, 0xbf, 0x41], [0x41, 0xe2, 0x41]];
  for (const list of bytes) {
    assert.equal(new OurDecoder().decode(new Uint8Array(list)), new TextDecoder().decode(new Uint8Array(list)), String(list));
    assert.equal(new OurDecoder("utf-8", { ignoreBOM: true }).decode(new Uint8Array(list)), new TextDecoder("utf-8", { ignoreBOM: true }).decode(new Uint8Array(list)));
  }
  const decoder = new OurDecoder();
  assert.equal(decoder.decode(new Uint8Array([0xe2, 0x82]), { stream: true }) + decoder.decode(new Uint8Array([0xac])), "€");
  assert.throws(() => new OurDecoder("utf-8", { fatal: true }).decode(new Uint8Array([0xff])), TypeError);
  assert.throws(() => new OurDecoder("nonsense"), RangeError);
});

test("headers, requests and responses", async () => {
  const headers = new OurHeaders({ "X-B": " 1 ", "x-a": "2" });
  headers.append("x-b", "3");
  assert.deepEqual([...headers], [["x-a", "2"], ["x-b", "1, 3"]]);
  assert.throws(() => headers.set("bad name", "x"), TypeError);
  assert.throws(() => headers.set("x", "a\r\nb"), TypeError);

  const request = new OurRequest("http://example.com/x", { method: "post", body: '{"a":1}' });
  assert.equal(request.method, "POST");
  assert.deepEqual(await request.clone().json(), { a: 1 });
  assert.deepEqual(await request.json(), { a: 1 });
  await assert.rejects(request.text(), TypeError);
  assert.throws(() => new OurRequest("http://example.com", { body: "x" }), TypeError);

  const response = OurResponse.json({ a: 1 }, { status: 201 });
  assert.equal(response.ok, true);
  assert.equal(response.headers.get("Content-Type"), "application/json");
  assert.deepEqual(await response.json(), { a: 1 });
});

test("abort signals", () => {
  const controller = new OurAbortController();
  const seen = [];
  const any = OurAbortSignal.any([controller.signal]);
  any.addEventListener("abort", () => seen.push(any.reason.name));
  controller.abort();
  controller.abort();
  assert.deepEqual(seen, ["AbortError"]);
  assert.throws(() => any.throwIfAborted(), { name: "AbortError" });
});

test("structured clones", () => {
  const value = { list: [1, new Date(5)], map: new Map([["k", new Set([1])]]), bytes: new Uint8Array([1, 2]), pattern: /x/g };
  value.self = value;
  assert.deepEqual(ourClone(value), structuredClone(value));
  assert.throws(() => ourClone(() => {}), { name: "DataCloneError" });
});

test("numbers and dates in English", () => {
  for (const [number, options] of [[1234567.891], [0.5, { style: "percent" }], [3, { minimumIntegerDigits: 2 }], [-12.3456, { maximumFractionDigits: 2 }], [1999.5, { style: "currency", currency: "USD" }]]) {
    assert.equal(new OurIntl.NumberFormat("en-US", options).format(number), new Intl.NumberFormat("en-US", options).format(number));
  }
  const date = new Date("2026-03-04T15:06:07Z");
  const plain = (text) => text.replaceAll("\u202f", " ");
  for (const options of [{}, { year: "numeric", month: "long", day: "numeric" }, { weekday: "short", month: "short", day: "2-digit" }, { hour: "2-digit", minute: "2-digit", hour12: false }, { hour: "numeric", minute: "2-digit" }]) {
    const expected = new Intl.DateTimeFormat("en-US", { timeZone: "UTC", ...options }).format(date);
    assert.equal(new OurIntl.DateTimeFormat("en-US", options).format(date), plain(expected), JSON.stringify(options));
  }
  for (const [method, call] of Object.entries(dateMethods)) {
    for (const options of [undefined, { timeZone: "UTC" }, { month: "short", day: "numeric" }, { dateStyle: "medium" }]) {
      if (method !== "toLocaleTimeString" || !options?.dateStyle) {
        assert.equal(call.call(date, "en-US", options), plain(date[method]("en-US", { timeZone: "UTC", ...options })), `${method} ${JSON.stringify(options)}`);
      }
    }
  }
  assert.throws(() => new OurIntl.DateTimeFormat("en-US", { timeZone: "Europe/Berlin" }), RangeError);
});

test("buffers", () => {
  const texts = [["héllo €", "utf8"], ["aGVsbG8", "base64"], ["_-8", "base64url"], ["c0ffee", "hex"], ["c0f", "hex"], ["\xe9", "latin1"], ["ü€", "utf16le"]];
  for (const [text, encoding] of texts) {
    const [ours, theirs] = [OurBuffer.from(text, encoding), Buffer.from(text, encoding)];
    assert.deepEqual([...ours], [...theirs], encoding);
    for (const into of ["utf8", "base64", "base64url", "hex", "latin1", "ascii"]) {
      assert.equal(ours.toString(into), theirs.toString(into), `${encoding} into ${into}`);
    }
    assert.equal(JSON.stringify(ours), JSON.stringify(theirs));
    assert.equal(OurBuffer.byteLength(text, encoding), theirs.length);
  }
  const joined = OurBuffer.concat([OurBuffer.from("ab"), OurBuffer.from([99]), OurBuffer.alloc(2, "xy")]);
  assert.equal(String(joined), "abcxy");
  assert.equal(joined.subarray(1, 3) instanceof OurBuffer, true);
  assert.equal(joined.slice(1, 3).toString(), "bc");
  assert.equal(joined.equals(OurBuffer.from("abcxy")), true);
  assert.throws(() => OurBuffer.from("x", "nonsense"), TypeError);
});

// A delay that was too long for the host's clock ended the activity, with an error that named none of its lines.
test("a delay that is none is a millisecond in an activity, as in Node.js", () => {
  const armed = [];
  const clock = { now: () => 0, subscribeInstant: (due) => armed.push(due / 1e6) };
  globalThis.__dacapo = { hasBigIntegers: false };
  const scope = new ActivityScope({ clock, poll: { poll: (pollables) => [pollables.length - 1] } }, {});
  enter(scope);
  try {
    for (const delay of [Infinity, -Infinity, Number.NaN, 1e20, 2 ** 31, 0, -5, undefined, "x", {}, 2 ** 31 - 1, 20, "30"]) {
      ourTimers.clearTimeout(ourTimers.setTimeout(() => {}, delay));
      ourTimers.setTimeout(() => {}, delay);
      scope.park();
    }
    assert.throws(() => ourTimers.setTimeout("code", 1), { name: "TypeError", message: /callback of a timer must be a function, not a string \(code\)/ });
  } finally {
    leave();
    delete globalThis.__dacapo;
  }
  assert.deepEqual(armed, [...Array(10).fill(1), 2 ** 31 - 1, 20, 30]);
});

test("a timeout for a signal is checked as in Node.js", () => {
  for (const delay of [Infinity, Number.NaN, -1, 0.5, 2 ** 32, "5", undefined, 5n]) {
    const told = (Type) => {
      try {
        Type.timeout(delay);
      } catch (error) {
        return error.constructor.name;
      }
    };
    assert.equal(told(OurAbortSignal), told(AbortSignal), String(delay));
  }
});

test("a method is a word", () => {
  for (const method of ["G T", "", "a\nb"]) {
    assert.throws(() => new OurRequest("http://localhost/", { method }), { name: "TypeError", message: /is not the method of a request/ });
  }
  assert.equal(new OurRequest("http://localhost/", { method: "get" }).method, "GET");
});

/** Functions of engines newer than Node.js 20. */
function withBase64(body) {
  const known = Uint8Array.fromBase64;
  if (known) {
    return body();
  }
  Uint8Array.fromBase64 = (text) => new Uint8Array(Buffer.from(text, "base64"));
  Uint8Array.prototype.toBase64 = function () {
    return Buffer.from(this).toString("base64");
  };
  try {
    return body();
  } finally {
    delete Uint8Array.fromBase64;
    delete Uint8Array.prototype.toBase64;
  }
}

test("long texts are encoded and decoded as short ones are", () => {
  const texts = ["x", "äöü€", "😀", "\ud83d", "a\0b", "\ufeffx"].map((text) => text.repeat(300));
  const broken = Uint8Array.from({ length: 600 }, (_, index) => [0xc3, 0x41, 0xff, 0xe2, 0x82, 0x00][index % 6]);
  const decodings = (bytes) => {
    const streaming = new OurDecoder();
    return [new OurDecoder().decode(bytes), new OurDecoder("latin1").decode(bytes), streaming.decode(bytes.subarray(0, 301), { stream: true }) + streaming.decode(bytes.subarray(301)), OurBuffer.from(bytes).toString("base64")];
  };
  const all = () => [...texts.map((text) => [...new OurEncoder().encode(text)]), ...[broken, new TextEncoder().encode(texts.join(""))].map(decodings), [...OurBuffer.from("€\xff".repeat(300), "latin1")]];
  const looped = all();
  assert.deepEqual(withBase64(all), looped);
  assert.deepEqual(looped[1], [...new TextEncoder().encode(texts[1])]);
  assert.equal(looped[6][0], new TextDecoder().decode(broken));
  assert.equal(looped[6][2], looped[6][0]);
  withBase64(() => assert.throws(() => new OurDecoder("utf-8", { fatal: true }).decode(broken), TypeError));
});

test("streams hand over chunks as they are asked for, as those of Node.js do", async () => {
  for (const Type of [OurStream, ReadableStream]) {
    let pulls = 0;
    const counting = new Type({
      async pull(controller) {
        pulls += 1;
        controller.enqueue(pulls);
        if (pulls === 3) {
          controller.close();
        }
      },
    }, { highWaterMark: 0 });
    const reader = counting.getReader();
    assert.deepEqual([await reader.read(), pulls], [{ done: false, value: 1 }, 1]);
    assert.equal(counting.locked, true);
    assert.throws(() => counting.getReader(), TypeError);
    reader.releaseLock();
    const rest = [];
    for await (const chunk of counting) {
      rest.push(chunk);
    }
    assert.deepEqual(rest, [2, 3]);

    const told = [];
    const endless = new Type({ pull: (controller) => controller.enqueue(1), cancel: (reason) => void told.push(reason) });
    for await (const _ of endless) {
      break;
    }
    assert.deepEqual(told, [undefined]);

    const failing = new Type({ start: (controller) => controller.error(new Error("broken")) });
    await assert.rejects(failing.getReader().read(), /broken/);
    const pushed = new Type({
      start(controller) {
        controller.enqueue("a");
        setTimeout(() => {
          controller.enqueue("b");
          controller.close();
        });
      },
    });
    const [one, two] = pushed.tee();
    const all = async (stream) => {
      const chunks = [];
      for await (const chunk of stream) {
        chunks.push(chunk);
      }
      return chunks;
    };
    assert.deepEqual(await Promise.all([all(one), all(two)]), [["a", "b"], ["a", "b"]]);
    assert.deepEqual(await all(Type.from([1, Promise.resolve(2)])), [1, 2]);
  }
});

test("blobs and forms are those of Node.js", async () => {
  for (const [ABlob, AFile, AForm] of [[OurBlob, OurFile, OurFormData], [Blob, File, FormData]]) {
    const blob = new ABlob(["ä", new Uint8Array([1, 2]).buffer, new ABlob(["x"])], { type: "Text/Plain" });
    assert.deepEqual([blob.size, blob.type, await blob.slice(0, 2).text(), [...new Uint8Array(await blob.arrayBuffer())]], [5, "text/plain", "ä", [195, 164, 1, 2, 120]]);
    const form = new AForm();
    form.append("a", 1);
    form.append("a", "2");
    form.append("f", new AFile(["x"], "x.txt", { type: "a/b" }));
    form.append("b", new ABlob(["y"]), "y.txt");
    form.append("c", new ABlob(["z"]));
    assert.deepEqual([form.get("a"), form.getAll("a"), form.get("none"), form.has("f"), form.get("f").name, form.get("b").name, form.get("c").name], ["1", ["1", "2"], null, true, "x.txt", "y.txt", "blob"]);
    form.set("a", "3");
    form.delete("b");
    assert.deepEqual([...form].map(([name, value]) => [name, typeof value === "string" ? value : value.type]), [["a", "3"], ["f", "a/b"], ["c", ""]]);
  }
});

test("bodies of every kind can be read, copied, and read back as forms", async () => {
  const form = new OurFormData();
  form.append("field", 'a "quoted" ü');
  form.append("empty", "");
  form.append("file", new OurFile([new Uint8Array([0, 255, 13, 10, 45, 45])], "ü.bin", { type: "application/x-a" }));
  const response = new OurResponse(form);
  const copy = response.clone();
  const back = await response.formData();
  assert.deepEqual([back.get("field"), back.get("empty"), back.get("file").name, back.get("file").type], ['a "quoted" ü', "", "ü.bin", "application/x-a"]);
  assert.deepEqual([...(await back.get("file").bytes())], [0, 255, 13, 10, 45, 45]);
  assert.equal((await copy.formData()).get("field"), 'a "quoted" ü');
  assert.equal((await new OurResponse("a=1&b=%C3%BC", { headers: { "content-type": "application/x-www-form-urlencoded" } }).formData()).get("b"), "ü");
  await assert.rejects(new OurResponse("x").formData(), { name: "TypeError", message: /is not a form: its content type is 'text\/plain/ });
  for (const cut of ["no boundary", "--b\r\nContent-Disposition: form-data; name=a\r\n\r\nx"]) {
    await assert.rejects(new OurResponse(cut, { headers: { "content-type": "multipart/form-data; boundary=b" } }).formData(), TypeError);
  }

  const chunks = async function* () {
    yield "a";
    yield new Uint8Array([98]);
  };
  for (const body of [chunks(), OurStream.from(chunks()), new OurBlob(["ab"]), new Blob(["ab"]), "ab"]) {
    const one = new OurResponse(body);
    const two = one.clone();
    assert.deepEqual([await one.text(), await two.text(), one.bodyUsed], ["ab", "ab", true]);
    assert.throws(() => one.clone(), TypeError);
  }
  const streamed = new OurResponse("ab");
  assert.equal(streamed.body, streamed.body);
  const read = [];
  for await (const chunk of streamed.body) {
    read.push(...chunk);
  }
  assert.deepEqual([read, streamed.bodyUsed], [[97, 98], true]);
  await assert.rejects(streamed.text(), TypeError);
  assert.equal(new OurResponse(null).body, null);
});
