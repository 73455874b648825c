import assert from "node:assert/strict";
import { test } from "node:test";

import { AbortController as OurAbortController, AbortSignal as OurAbortSignal } from "../src/globals/abort.js";
import { TextDecoder as OurDecoder, TextEncoder as OurEncoder } from "../src/globals/encoding.js";
import { Headers as OurHeaders, Request as OurRequest, Response as OurResponse } from "../src/globals/fetch.js";
import { Intl as OurIntl, dateMethods } from "../src/globals/intl.js";
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
