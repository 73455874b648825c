/** Refusals of the host become the corresponding errors of `fetch`. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { Request as OurRequest } from "../src/globals/fetch.js";
import { sendRequest } from "../src/http.js";

/** The error of a failed import, in the form in which QuickJS throws it. */
const refusal = (payload) => Object.assign(new Error("[object Object] (see error.payload)"), { payload });
const refuse = (payload) => () => {
  throw refusal(payload);
};

/** The part of WASI's HTTP that a request needs, parts of which can be made to fail. */
function wasi(changes = {}) {
  const parts = {
    fromList: (fields) => ({ fields }),
    setMethod() {},
    write() {},
    finish() {},
    handle: () => ({ subscribe() {}, get: () => ({ val: { tag: "err", val: { tag: "connection-refused" } } }) }),
    ...changes,
  };
  const stream = { blockingWriteAndFlush: (chunk) => parts.write(chunk) };
  class OutgoingRequest {
    setMethod = parts.setMethod;
    setScheme() {}
    setAuthority() {}
    setPathWithQuery() {}
    body = () => ({ write: () => stream });
  }
  const httpTypes = { OutgoingRequest, Fields: { fromList: parts.fromList }, OutgoingBody: { finish: parts.finish } };
  return { httpTypes, httpHandler: { handle: parts.handle } };
}

const reactor = { ready: async () => {} };

async function fails(changes, init, message) {
  const request = new OurRequest("http://localhost/", init);
  await assert.rejects(sendRequest(wasi(changes), request, await request.unreadBytes(), reactor), (error) => {
    assert.equal(error.name, "TypeError");
    assert.match(error.message, message);
    assert.doesNotMatch(error.message, /payload|object Object/);
    return true;
  });
}

const POST = { method: "POST", body: "x" };

test("a request that is refused at once says why, with a body and without one", async () => {
  const denied = { handle: refuse({ tag: "HTTP-request-denied" }) };
  await fails(denied, {}, /^fetch failed: http:\/\/localhost\/: HTTP-request-denied$/);
  await fails(denied, POST, /^fetch failed: http:\/\/localhost\/: HTTP-request-denied$/);
});

test("a body that nobody takes leaves the last word to the answer", async () => {
  const closed = refuse({ tag: "closed" });
  await fails({ write: closed, finish: closed }, POST, /connection-refused$/);
  await fails({ finish: closed }, POST, /connection-refused$/);
});

test("a header that cannot be sent is named", async () => {
  const fromList = (fields) => (fields.some(([name]) => name === "host") ? refuse({ tag: "forbidden" })() : { fields });
  await fails({ fromList }, { headers: { a: "b", Host: "x" } }, /the header 'host' cannot be sent: forbidden$/);
});

test("what has no word for what is wrong is a TypeError all the same", async () => {
  await fails({ setMethod: refuse(undefined) }, { method: "ODD" }, /the request is not as it must be$/);
});
