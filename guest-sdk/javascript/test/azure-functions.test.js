/** Triggers of the programming model v4: `app` of `@azure/functions`, and `df.app.client`. */

import assert from "node:assert/strict";
import { afterEach, test } from "node:test";

import { app, HttpRequest, HttpResponse, input, output } from "../src/azure-functions.js";
import * as df from "../src/durable-functions.js";
import { absentBindings, findHandler, functionsLeftOut, registeredFunctions, registeredTriggers } from "../src/registry.js";
import { bindingsOf, lines, offerClient, refuse, request, runTrigger, withdraw } from "./fakes.js";

afterEach(withdraw);

let count = 0;

/** Registers an HTTP trigger with this handler, and returns its response to a request. */
async function respond(handler, changes) {
  count += 1;
  const name = `respond${count}`;
  app.http(name, { handler });
  return (await runTrigger(name, request(changes)))?.response;
}

test("HTTP triggers are described with the defaults of the model", () => {
  const handler = () => {};
  const described = (name) => {
    const [trigger, response, ...more] = bindingsOf(name);
    assert.deepEqual([response.type, response.direction, response.name, more], ["http", "out", "$return", []]);
    return [trigger.type, trigger.direction, trigger.methods, trigger.authLevel, trigger.route];
  };
  app.http("plain", { handler });
  assert.deepEqual(described("plain"), ["httpTrigger", "in", ["GET", "POST"], "anonymous", undefined]);
  app.http("orders", { methods: ["DELETE"], authLevel: "function", route: "orders/{id:int?}", handler });
  assert.deepEqual(described("orders"), ["httpTrigger", "in", ["DELETE"], "function", "orders/{id:int?}"]);
  for (const [method, register] of [["GET", app.get], ["PUT", app.put], ["POST", app.post], ["PATCH", app.patch], ["DELETE", app.deleteRequest]]) {
    register(`by${method}`, handler);
    register(`by${method}WithOptions`, { route: "r", handler });
    assert.deepEqual(described(`by${method}`), ["httpTrigger", "in", [method], "anonymous", undefined]);
    assert.equal(bindingsOf(`by${method}WithOptions`)[0].route, "r");
  }
});

test("other triggers are described with their outputs", () => {
  const handler = () => {};
  const queue = output.storageQueue({ queueName: "q", connection: "C" });
  app.timer("tick", { schedule: "0 */5 * * * *", runOnStartup: true, handler });
  app.storageQueue("work", { queueName: "w", connection: "", return: queue, extraOutputs: [output.eventHub({ eventHubName: "h", connection: "C" })], handler });
  app.eventHub("batch", { eventHubName: "h", connection: "C", cardinality: "many", handler });
  app.eventHub("single", { eventHubName: "h", connection: "C", handler });
  app.eventGrid("grid", { handler });
  app.generic("byHand", { trigger: { type: "manualTrigger", name: "input" }, handler });
  app.generic("short", { trigger: { type: "queue", name: "m", queueName: "s" }, handler });
  const types = (name) => bindingsOf(name).map(({ type, direction, name }) => [type, direction, ...(name === "$return" ? [name] : [])]);
  assert.deepEqual([bindingsOf("tick")[0].schedule, bindingsOf("tick")[0].runOnStartup], ["0 */5 * * * *", true]);
  assert.deepEqual(types("work"), [["queueTrigger", "in"], ["queue", "out", "$return"], ["eventHub", "out"]]);
  assert.deepEqual([bindingsOf("work")[0].queueName, bindingsOf("work")[1].queueName], ["w", "q"]);
  assert.deepEqual([bindingsOf("batch")[0].cardinality, bindingsOf("single")[0].cardinality], ["many", "one"]);
  assert.deepEqual([types("grid"), types("byHand"), types("short")], [[["eventGridTrigger", "in"]], [["manualTrigger", "in"]], [["queueTrigger", "in"]]]);
  assert.equal(output.storageQueue({ queueName: "q", connection: "C" }).name, queue.name, "the same description has the same name");
});

test("a request as the original shows it", async () => {
  let seen;
  await respond(
    async (req, context) => {
      seen = { req, context, copy: await req.clone().text(), json: await req.json() };
      await assert.rejects(req.text(), TypeError);
    },
    {
      method: "POST",
      url: "https://example.com/api/orders/7?a=1&a=2",
      headers: [["content-type", "application/json"], ["x-two", "1"], ["x-two", "2"], ["traceparent", "00-1-2-01"]],
      query: [["a", "1"], ["a", "2"]],
      params: { id: "7" },
      body: '{"item":"größe"}',
    },
  );
  const { req, context, copy, json } = seen;
  assert.ok(req instanceof HttpRequest);
  assert.deepEqual([req.method, req.url, req.params, req.user, req.bodyUsed], ["POST", "https://example.com/api/orders/7?a=1&a=2", { id: "7" }, null, true]);
  assert.deepEqual([req.query.getAll("a"), req.headers.get("X-Two")], [["1", "2"], "1, 2"]);
  assert.deepEqual([copy, json], ['{"item":"größe"}', { item: "größe" }]);
  assert.deepEqual([context.invocationId, context.triggerMetadata, context.retryContext], ["i1", undefined, undefined]);
  assert.equal(context.traceContext.traceParent, "00-1-2-01");
  assert.deepEqual([context.options.trigger.type, context.options.extraInputs, context.functionName], ["httpTrigger", [], `respond${count}`]);
});

test("with streams enabled, the values of the query are parameters too", async () => {
  const seen = [];
  const handler = (req) => void seen.push(req.params);
  const changes = { query: [["name", "a"], ["id", "1"]], params: { id: "7" } };
  await respond(handler, changes);
  app.setup({ enableHttpStream: true });
  await respond(handler, changes);
  app.setup({});
  await respond(handler, changes);
  assert.deepEqual(seen, [{ id: "7" }, { name: "a", id: "7" }, { id: "7" }]);
});

test("bodies of requests: bytes, streams, blobs, forms, none", async () => {
  const bytes = Buffer.from([0, 255, 1]);
  await respond(
    async (req) => {
      assert.deepEqual(new Uint8Array(await req.clone().arrayBuffer()), new Uint8Array(bytes));
      assert.deepEqual(new Uint8Array(await (await req.clone().blob()).arrayBuffer()), new Uint8Array(bytes));
      const chunks = [];
      for await (const chunk of req.body) {
        chunks.push(...chunk);
      }
      assert.deepEqual([chunks, req.bodyUsed], [[0, 255, 1], true]);
    },
    { method: "POST", bodyBase64: bytes.toString("base64") },
  );
  await respond(async (req) => assert.equal((await req.formData()).get("name"), "Ada L"), {
    method: "POST",
    headers: [["content-type", "application/x-www-form-urlencoded"]],
    body: "name=Ada+L&x=1",
  });
  const multipart = ['--b1', 'Content-Disposition: form-data; name="field"', "", "text", "--b1", 'Content-Disposition: form-data; name="file"; filename="a.bin"', "Content-Type: application/x-a", "", "\u00ff\r\n", "--b1--", ""];
  await respond(
    async (req) => {
      const form = await req.formData();
      const file = form.get("file");
      assert.deepEqual([form.get("field"), file.name, file.type], ["text", "a.bin", "application/x-a"]);
      assert.deepEqual([...new Uint8Array(await file.arrayBuffer())], [0xff, 13, 10]);
    },
    { method: "POST", headers: [["content-type", 'multipart/form-data; boundary="b1"']], bodyBase64: Buffer.from(multipart.join("\r\n"), "latin1").toString("base64") },
  );
  await respond(async (req) => assert.deepEqual([req.body, await req.text(), req.bodyUsed], [null, "", false]));
  await respond(async (req) => assert.rejects(req.json(), SyntaxError), { method: "POST", body: "{" });
});

test("the user whom a proxy names", async () => {
  const principal = (value) => ["x-ms-client-principal", Buffer.from(typeof value === "string" ? value : JSON.stringify(value)).toString("base64")];
  const users = [];
  const handler = (req) => void users.push(req.user);
  await respond(handler, { headers: [principal({ identityProvider: "github", userId: "u", userDetails: "ada" })] });
  await respond(handler, { headers: [principal({ claims: [] }), ["x-ms-client-principal-id", "i"], ["x-ms-client-principal-name", "n"], ["x-ms-client-principal-idp", "aad"]] });
  await respond(handler, { headers: [principal("no JSON")] });
  await respond(handler, { headers: [principal("[]")] });
  assert.deepEqual(users.map((user) => user && [user.type, user.id, user.username, user.identityProvider]), [["StaticWebApps", "u", "ada", "github"], ["AppService", "i", "n", "aad"], null, null]);
});

test("responses in all forms", async () => {
  const cases = [
    [undefined, undefined],
    [{}, { status: 200, headers: [] }],
    ["hi", { status: 200, headers: [["content-type", "text/plain;charset=UTF-8"]], body: "hi" }],
    [new Uint8Array([104, 105]), { status: 200, headers: [], body: "hi" }],
    [{ status: 404, body: "no" }, { status: 404, headers: [["content-type", "text/plain;charset=UTF-8"]], body: "no" }],
    [{ status: "201", jsonBody: { a: 1 } }, { status: 201, headers: [["content-type", "application/json"]], body: '{"a":1}' }],
    [{ jsonBody: 5, headers: { "Content-Type": "application/problem+json" } }, { status: 200, headers: [["content-type", "application/problem+json"]], body: "5" }],
    [{ body: "x", headers: new Map([["X-A", 1], ["content-type", "t"]]) }, { status: 200, headers: [["content-type", "t"], ["x-a", "1"]], body: "x" }],
    [{ headers: new Headers([["x-a", "1"], ["x-a", "2"], ["set-cookie", "a=1"], ["set-cookie", "b=2"]]) }, { status: 200, headers: [["x-a", "1, 2"], ["set-cookie", "a=1"], ["set-cookie", "b=2"]] }],
    [{ body: Buffer.from([255, 0]) }, { status: 200, headers: [], bodyBase64: "/wA=" }],
    [{ body: new Uint8Array([1, 104, 105, 1]).buffer.slice(1, 3) }, { status: 200, headers: [], body: "hi" }],
    [{ body: new URLSearchParams({ a: "b c" }) }, { status: 200, headers: [["content-type", "application/x-www-form-urlencoded;charset=UTF-8"]], body: "a=b+c" }],
    [{ body: new Blob(["hi"], { type: "a/b" }) }, { status: 200, headers: [["content-type", "a/b"]], body: "hi" }],
    [{ body: new Response("stream").body }, { status: 200, headers: [], body: "stream" }],
    [{ body: (async function* () { yield "a"; yield new Uint8Array([98]); })() }, { status: 200, headers: [], body: "ab" }],
    [{ status: 204, body: "dropped" }, { status: 204, headers: [] }],
    [new HttpResponse({ status: 202, jsonBody: [] }), { status: 202, headers: [["content-type", "application/json"]], body: "[]" }],
    [{ enableContentNegotiation: true, body: "x\ud800" }, { status: 200, headers: [["content-type", "text/plain;charset=UTF-8"]], body: "x\ufffd" }],
  ];
  for (const [result, response] of cases) {
    assert.deepEqual(await respond(() => result), response);
  }
  const form = new FormData();
  form.append("a", "1");
  form.append("f", new File(["\x00"], 'q".bin'));
  const { headers, body } = await respond(() => ({ body: form }));
  assert.match(headers[0][1], /^multipart\/form-data; boundary=form-/);
  const [, boundary] = headers[0][1].split("=");
  assert.equal(body, [`--${boundary}`, 'Content-Disposition: form-data; name="a"', "", "1", `--${boundary}`, 'Content-Disposition: form-data; name="f"; filename="q%22.bin"', "Content-Type: application/octet-stream", "", "\0", `--${boundary}--`, ""].join("\r\n"));
  await assert.rejects(respond(() => 5), { name: "TypeError", message: /returns a response/ });
  await assert.rejects(respond(() => ({ status: "much" })), { name: "RangeError", message: /not 'much'/ });
});

test("cookies become headers, each of its own", async () => {
  const expires = new Date("2026-01-02T03:04:05Z");
  const { headers } = await respond(() => ({
    headers: { "x-a": "1" },
    cookies: [
      { name: "a", value: "x y;" },
      { name: "b", value: "2", expires, maxAge: 60, domain: "d.example", path: "/p", secure: true, httpOnly: true, sameSite: "strict" },
      { name: "c", value: "", maxAge: 0, expires: expires.getTime(), sameSite: "None" },
    ],
  }));
  assert.deepEqual(headers, [
    ["x-a", "1"],
    ["set-cookie", "a=x%20y%3B; Path=/"],
    ["set-cookie", "b=2; Expires=Fri, 02 Jan 2026 03:04:05 GMT; Max-Age=60; Domain=d.example; Path=/p; Secure; HttpOnly; SameSite=Strict"],
    ["set-cookie", "c=; Expires=Fri, 02 Jan 2026 03:04:05 GMT; Max-Age=0; Path=/; SameSite=None"],
  ]);
});

test("what other triggers hand over", async () => {
  let seen;
  const handler = (value, context) => {
    seen = { value, metadata: context.triggerMetadata, retry: context.retryContext };
  };
  const options = { connection: "C", handler };
  app.timer("timer", { schedule: "0 0 * * * *", handler });
  app.storageQueue("queue", { queueName: "q", ...options });
  app.eventHub("many", { eventHubName: "h", cardinality: "many", ...options });
  app.eventHub("one", { eventHubName: "h", ...options });
  app.eventGrid("event", { handler });
  app.generic("manual", { trigger: { type: "manualTrigger", name: "input" }, handler });
  const run = async (name, given, call) => {
    assert.equal(await runTrigger(name, given, call), null);
    return seen;
  };

  const timer = { isPastDue: true, schedule: { adjustForDST: true }, scheduleStatus: { last: "a", next: "b", lastUpdated: "c" } };
  assert.deepEqual(await run("timer", timer), { value: timer, metadata: undefined, retry: undefined });
  assert.equal((await run("timer", { input: "" })).value.isPastDue, false);

  const metadata = { id: "m1", dequeueCount: 2, insertionTime: "t", expirationTime: "u", nextVisibleTime: "v", popReceipt: "p" };
  const texts = [['{"a":1}', { a: 1 }], ["plain", "plain"], ["5", 5], ["", ""]];
  for (const [message, value] of texts) {
    const call = { attempt: 2 };
    assert.deepEqual(await run("queue", { message, metadata }, call), { value, metadata: { queueTrigger: message, ...metadata }, retry: { retryCount: 1 } });
  }
  assert.deepEqual((await run("queue", { input: "[1]" })).value, [1]);

  const events = { messages: ["1", "x"], metadata: [{ sequenceNumber: 7, enqueuedTime: "t", offset: "0", partitionKey: "p" }, { sequenceNumber: 8 }] };
  const many = await run("many", events);
  assert.deepEqual([many.value, many.metadata.sequenceNumberArray, many.metadata.enqueuedTimeUtcArray], [[1, "x"], [7, 8], ["t", undefined]]);
  const one = await run("one", { messages: ['{"b":2}'], metadata: [events.metadata[0]] });
  assert.deepEqual([one.value, one.metadata.sequenceNumber, one.metadata.enqueuedTimeUtc], [{ b: 2 }, 7, "t"]);
  assert.deepEqual((await run("many", { input: "5" })).value, [5]);

  assert.deepEqual((await run("event", { event: { type: "x", data: 1 } })).value, { type: "x", data: 1 });
  assert.deepEqual((await run("manual", { input: "text" })).value, "text");
  assert.deepEqual((await run("manual", { input: '{"a":1}' })).value, { a: 1 });
});

test("outputs: returned, extra, several messages, bytes, a response beside them", async () => {
  const queue = output.storageQueue({ queueName: "q", connection: "C" });
  const hub = output.eventHub({ eventHubName: "h", connection: "C" });
  const http = output.http({});
  const generic = output.generic({ type: "queue", name: "third", queueName: "g" });
  app.storageQueue("outputs", {
    queueName: "in",
    connection: "C",
    return: output.storageQueue({ queueName: "r", connection: "C" }),
    extraOutputs: [queue, hub, generic],
    handler(_message, context) {
      context.extraOutputs.set(queue, ["a", { b: 1 }, Buffer.from("c")]);
      context.extraOutputs.set(hub.name, new TextEncoder().encode("bytes"));
      assert.deepEqual(context.extraOutputs.get(hub).length, 5);
      return "returned";
    },
  });
  assert.deepEqual(await runTrigger("outputs", { message: "x", metadata: {} }), {
    outputs: { $return: "returned", [queue.name]: ["a", { b: 1 }, "c"], [hub.name]: "bytes" },
  });
  app.http("both", {
    extraOutputs: [queue],
    handler: (_request, context) => {
      context.extraOutputs.set(queue, 0);
      return { body: "ok" };
    },
  });
  const both = await runTrigger("both", request());
  assert.deepEqual([both.response.body, both.outputs], ["ok", { [queue.name]: 0 }]);
  app.http("extraResponse", {
    return: queue,
    extraOutputs: [http],
    handler: (_request, context) => {
      context.extraOutputs.set(http, { status: 201 });
      return "to the queue";
    },
  });
  assert.deepEqual(await runTrigger("extraResponse", request()), { response: { status: 201, headers: [] }, outputs: { $return: "to the queue" } });
});

test("outputs of an activity are put into their queues before it has ended", async () => {
  const calls = offerClient({ enqueue: undefined });
  const [queue, hub, unused] = [output.storageQueue({ queueName: "q", connection: "C" }), output.eventHub({ eventHubName: "h", connection: "C" }), output.storageQueue({ queueName: "u", connection: "C" })];
  df.app.activity("pack", {
    extraOutputs: [queue, hub, unused],
    handler(item, context) {
      context.extraOutputs.set(queue, ["a", { b: 1 }, Buffer.from("c")]);
      context.extraOutputs.set(hub, item);
      return item;
    },
  });
  assert.equal(await findHandler("activity", "pack")({ name: "pack", input: '"x"', instanceId: "i", taskId: 1, attempt: 1 }), "x");
  assert.deepEqual(calls, [
    ["enqueue", "q", ["a", '{"b":1}', "c"], null],
    ["enqueue", "h", ["x"], null],
  ]);
});

test("functions of the client get it as the second argument", async () => {
  offerClient({ startOrchestration: "o1" });
  const handler = async (_input, client, context) => {
    const id = await client.startNew("order");
    assert.equal(df.getClient(context).taskHubName, "main");
    return { body: id };
  };
  df.app.client.http("clientHttp", { handler });
  df.app.client.get?.("clientGet", { handler });
  df.app.client.timer("clientTimer", { schedule: "0 0 * * * *", handler: async (...args) => void (await handler(...args)) });
  df.app.client.storageQueue("clientQueue", { queueName: "q", connection: "C", handler: async (...args) => void (await handler(...args)) });
  df.app.client.eventHub("clientHub", { eventHubName: "h", connection: "C", handler });
  df.app.client.eventGrid("clientGrid", { handler });
  df.app.client.generic("clientGeneric", { trigger: { type: "manualTrigger", name: "x" }, extraInputs: [df.input.durableClient()], handler });
  assert.equal((await runTrigger("clientHttp", request())).response.body, "o1");
  for (const name of ["clientHttp", "clientTimer", "clientQueue", "clientHub", "clientGrid", "clientGeneric"]) {
    assert.equal(bindingsOf(name).filter(({ type }) => type === "durableClient").length, 1, name);
  }
  assert.equal(await runTrigger("clientTimer", { isPastDue: false }), null);
  assert.throws(() => df.app.client.http("noHandler", {}), /The handler of 'noHandler' must be a function/);
});

test("an app.http with a durable client input, as the samples have it", async () => {
  const calls = offerClient({ startOrchestration: "o1" });
  const client = df.input.durableClient();
  app.http("httpStart", {
    route: "orchestrators/{orchestratorName}",
    extraInputs: [client],
    handler: async (req, context) => {
      const { taskHubName, creationUrls } = context.extraInputs.get(client);
      assert.deepEqual([taskHubName, creationUrls.createNewInstancePostUri], ["main", "http://localhost:8080/runtime/webhooks/durabletask/orchestrators/{functionName}[/{instanceId}]?taskHub=main&code=k"]);
      const input = await req.json();
      const id = await df.getClient(context).startNew(req.params.orchestratorName, { input });
      context.log(`Started '${id}'.`);
      return df.getClient(context).createCheckStatusResponse(req, id);
    },
  });
  const { response } = await runTrigger("httpStart", request({ method: "POST", params: { orchestratorName: "hello" }, body: '["Tokyo"]' }));
  assert.deepEqual([response.status, JSON.parse(response.body).id], [202, "o1"]);
  assert.deepEqual(response.headers.map(([name]) => name), ["content-type", "location", "retry-after"]);
  assert.deepEqual(calls, [["startOrchestration", "hello", '["Tokyo"]', null, null, null]]);
  assert.deepEqual(lines, [["info", "Started 'o1'."]]);
});

test("what has no counterpart is left out, with the reason", () => {
  const before = functionsLeftOut().length;
  const handler = () => {};
  const options = { path: "x/{name}", connection: "C", handler };
  app.storageBlob("blob", options);
  app.cosmosDB("cosmos", options);
  app.serviceBusQueue("bus", options);
  app.sql("rows", options);
  app.warmup("warm", options);
  df.app.client.storageBlob("clientBlob", options);
  df.app.activity("withClient", { extraInputs: [df.input.durableClient()], handler });
  const left = Object.fromEntries(functionsLeftOut().slice(before).map(({ name, why }) => [name, why]));
  assert.deepEqual(Object.keys(left), ["blob", "cosmos", "bus", "rows", "warm", "clientBlob"]);
  assert.match(left.blob, /^there is no 'blobTrigger' here: .*HTTP trigger/);
  assert.match(left.bus, /'serviceBusTrigger'.*queue/);
  assert.ok(registeredFunctions().some(({ name }) => name === "withClient"));
  assert.throws(() => app.generic("nothing", { handler }), /needs a trigger/);
});

// Samples of the original send text messages and write blobs by outputs. Their functions were left out, so the orchestrators that call them failed.
test("a function runs without inputs and outputs that have no counterpart, and the log says what is lost", async () => {
  const before = absentBindings().length;
  const blob = input.storageBlob({ path: "x", connection: "C" });
  const sms = output.generic({ type: "twilioSms", name: "message" });
  const calls = offerClient({ enqueue: () => {} });
  app.http("blobInput", { extraInputs: [blob], handler: (_request, context) => ({ body: typeof context.extraInputs.get(blob) }) });
  app.timer("tableOutput", { schedule: "0 0 * * * *", extraOutputs: [output.table({ tableName: "t", name: "rows" })], handler: () => {} });
  df.app.activity("sms", {
    extraInputs: [df.input.durableClient()],
    extraOutputs: [sms, output.storageQueue({ queueName: "q", name: "queue" })],
    handler(number, context) {
      context.extraOutputs.set(sms, { to: number, body: "1234" });
      context.extraOutputs.set("queue", "sent");
      return [1234, typeof df.getClient(context).startNew];
    },
  });
  df.app.activity("upload", { return: output.storageBlob({ path: "x" }), handler: () => "all" });
  df.app.orchestration("enqueue", { extraOutputs: [output.storageQueue({ queueName: "q", name: "queue" })], *handler() {} });
  assert.deepEqual(
    absentBindings().slice(before).map(({ functionName, direction, type }) => `${functionName} ${direction} ${type}`),
    ["blobInput in blob", "tableOutput out table", "sms out twilioSms", "upload out blob", "enqueue out queue"],
  );
  assert.match(absentBindings().at(-1).advice, /let a trigger or an activity send it/);
  const described = registeredTriggers().find(({ name }) => name === "blobInput").bindings;
  assert.deepEqual(JSON.parse(described).map(({ type }) => type), ["httpTrigger", "http"], "a host refuses bindings that it does not know");

  const { response } = await runTrigger("blobInput", request());
  assert.equal(response.body, "undefined");
  assert.equal(await runTrigger("tableOutput", {}), null);
  assert.match(lines.splice(0).join(), /^warn,The input '.+' of 'blobInput' is undefined: there is no 'blob' here\. Instead, .*fetch\.$/, "nothing is said of an output without a value");
  const call = (name) => findHandler("activity", name)({ name, input: '"+1"', instanceId: "o1", taskId: 1, attempt: 1 });
  assert.deepEqual(await call("sms"), [1234, "function"]);
  assert.deepEqual(calls, [["enqueue", "q", ["sent"], null]]);
  assert.match(lines.splice(0).join(), /^warn,What 'sms' gave to its output 'message' is not sent: there is no 'twilioSms' here\./);
  assert.equal(await call("upload"), "all");
  assert.match(lines.splice(0).join(), /'upload' gave to its output '\$return' is not sent: there is no 'blob' here/);
});

test("each binding of a function needs a name of its own", () => {
  const twice = () => output.storageQueue({ queueName: "q" });
  assert.throws(() => app.http("twice", { extraOutputs: [twice(), twice()], handler() {} }), /Two bindings of the function 'twice' have the name 'queueOutput[0-9a-f]+': give one of them another "name"/);
  assert.throws(() => app.http("unnamed", { extraOutputs: [{ type: "queue", queueName: "q" }], handler() {} }), /The binding 'queue' of the function 'unnamed' needs a name/);
});

test("names are unique among all functions", () => {
  app.get("taken", () => {});
  assert.throws(() => df.app.activity("Taken", { handler: () => {} }), /The activity 'Taken' has the name of the trigger 'taken'/);
});

test("generic registers durable functions too", () => {
  app.generic("genericActivity", { trigger: { type: "activityTrigger", name: "a" }, handler: () => 1 });
  assert.ok(registeredFunctions().some(({ name, kind }) => name === "genericActivity" && kind === "activity"));
});

test("hooks run around triggers and activities, and may change what they see", async () => {
  const told = [];
  const hooks = [
    app.hook.appStart(({ hookData }) => void (hookData.app = told.push("start"))),
    app.hook.preInvocation(async (context) => {
      told.push(["pre", context.invocationContext.functionName, context.inputs.length]);
      context.hookData.seen = true;
      const { functionHandler } = context;
      context.functionHandler = async (value, invocation) => `<${JSON.stringify(await functionHandler(value, invocation))}>`;
      context.inputs = [{ changed: context.inputs[0] }];
      assert.throws(() => {
        context.invocationContext = null;
      }, TypeError);
    }),
    app.hook.postInvocation((context) => {
      told.push(["post", context.result, context.error?.message, context.hookData.seen]);
      if (context.error) {
        context.error = undefined;
        context.result = "recovered";
      }
    }),
    app.hook.appTerminate(() => void told.push("terminate")),
  ];
  df.app.activity("hooked", { handler: (value) => value });
  df.app.activity("failing", {
    handler() {
      throw new Error("no");
    },
  });
  const call = (name) => findHandler("activity", name)({ name, input: "1", instanceId: "o1", taskId: 1, attempt: 1 });
  assert.equal(await call("hooked"), '<{"changed":1}>');
  assert.equal(await call("failing"), "recovered");
  const queue = output.storageQueue({ queueName: "q" });
  app.storageQueue("hookedQueue", { queueName: "w", return: queue, handler: (message) => message });
  assert.deepEqual(await runTrigger("hookedQueue", { message: "m", metadata: {} }), { outputs: { $return: '<{"changed":"m"}>' } });
  hooks.forEach((hook) => hook.dispose());
  assert.equal(await call("hooked"), 1);
  assert.deepEqual(told, [
    "start", ["pre", "hooked", 1], ["post", '<{"changed":1}>', undefined, true], "terminate",
    "start", ["pre", "failing", 1], ["post", undefined, "no", true], "terminate",
    "start", ["pre", "hookedQueue", 1], ["post", '<{"changed":"m"}>', undefined, true], "terminate",
  ]);
  assert.throws(() => app.hook.appStart("x"), TypeError);
});

test("a hook of the log changes lines, and may log itself", async () => {
  offerClient({});
  const hook = app.hook.log((line) => {
    assert.deepEqual([line.category, line.invocationContext.functionName], ["user", "logs"]);
    line.invocationContext.debug("inner");
    line.message = `${line.level}: ${line.message}`;
    line.level = "error";
  });
  app.http("logs", { handler: (_request, context) => context.warn("it is %s", "late") });
  await runTrigger("logs", request());
  hook.dispose();
  assert.deepEqual(lines, [["debug", "inner"], ["error", "warning: it is late"]]);
});

test("a failure of a handler is that of the call", async () => {
  offerClient({ startOrchestration: refuse("LimitExceeded", "too many") });
  await assert.rejects(respond(() => df.getClient().startNew("order")), { name: "LimitExceeded", message: "too many" });
});
