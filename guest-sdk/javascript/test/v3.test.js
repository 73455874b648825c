/** The programming model v3: `function.json`, `context.bindings`, `context.res`, `context.done`. */

import assert from "node:assert/strict";
import { afterEach, test } from "node:test";

import * as df from "../src/durable-functions.js";
import { findHandler, registeredFunctions } from "../src/registry.js";
import { enter, leave } from "../src/scope.js";
import { testEntity, testOrchestrator } from "../src/testing.js";
import { addFunction } from "../src/v3-app.js";
import { bindingsOf, lines, offerClient, request, runTrigger, withdraw } from "./fakes.js";

afterEach(withdraw);

const HTTP = [
  { type: "httpTrigger", direction: "in", name: "req", authLevel: "anonymous", methods: ["post"] },
  { type: "http", direction: "out", name: "res" },
];
const RETURNS = [HTTP[0], { ...HTTP[1], name: "$return" }];
const CLIENT = { type: "orchestrationClient", direction: "in", name: "starter" };

let count = 0;

/** Adds a function with this export, and returns its name. */
function add(bindings, exported, entryPoint) {
  count += 1;
  addFunction(`f${count}`, bindings, exported, entryPoint);
  return `f${count}`;
}

async function respond(exported, { bindings = HTTP, entryPoint, ...changes } = {}) {
  return (await runTrigger(add(bindings, exported, entryPoint), request(changes)))?.response;
}

test("the starter of the samples", async () => {
  const calls = offerClient({ startOrchestration: "o1", waitForCompletion: JSON.stringify({ runtimeStatus: "Running" }) });
  const start = async function (context, req, starter) {
    const client = df.getClient(context);
    assert.equal(starter.taskHubName, "main");
    const instanceId = await client.startNew(req.params.functionName, undefined, req.body);
    context.log(`Started orchestration with ID = '${instanceId}'.`);
    return client.createCheckStatusResponse(context.bindingData.req, instanceId);
  };
  const name = add([...RETURNS, CLIENT], start);
  assert.deepEqual(bindingsOf(name).map(({ type }) => type), ["httpTrigger", "http", "orchestrationClient"]);
  const { response } = await runTrigger(name, request({ method: "POST", params: { functionName: "hello" }, headers: [["content-type", "application/json"]], body: '{"a":1}' }));
  assert.deepEqual(calls, [["startOrchestration", "hello", '{"a":1}', null, null, null]]);
  assert.deepEqual(lines, [["info", "Started orchestration with ID = 'o1'."]]);
  assert.equal(response.status, 202);
  assert.deepEqual(response.headers.map(([header]) => header), ["content-type", "location", "retry-after"]);
  assert.match(JSON.parse(response.body).statusQueryGetUri, /^http:\/\/example\.com\/.*\/instances\/o1\?/);

  const sync = async (context, req) => df.getClient(context).waitForCompletionOrCreateCheckStatusResponse(req, "o1", 500, 100);
  assert.equal((await respond(sync, { bindings: [...RETURNS, CLIENT] })).status, 202);
});

test("a request in `context.req`", async () => {
  let seen;
  const handler = async (context, req) => void (seen = { context, req });
  await respond(handler, {
    method: "POST",
    url: "http://example.com/api/orders/7?name=Ada",
    headers: [["content-type", "application/json"], ["x-a", "1"], ["x-a", "2"], ["traceparent", "00-1"]],
    query: [["name", "Ada"]],
    params: { id: "7" },
    body: '{"a":1}',
  });
  const { context, req } = seen;
  assert.equal(context.req, req);
  assert.equal(context.bindings.req, req);
  assert.deepEqual([req.method, req.url, req.originalUrl, req.query, req.params, req.body, req.rawBody], ["POST", "http://example.com/api/orders/7?name=Ada", req.url, { name: "Ada" }, { id: "7" }, { a: 1 }, '{"a":1}']);
  assert.deepEqual([req.headers["x-a"], req.get("Content-Type"), req.user], ["1, 2", "application/json", null]);
  assert.deepEqual([context.invocationId, context.executionContext.functionName, context.executionContext.invocationId], ["i1", `f${count}`, "i1"]);
  const { id, name, query, headers, invocationId, sys } = context.bindingData;
  assert.deepEqual([id, name, query, headers["x-a"], invocationId, sys.methodName], ["7", "Ada", { name: "Ada" }, "1, 2", "i1", `f${count}`]);
  assert.deepEqual([context.traceContext.traceparent, context.bindingDefinitions[1]], ["00-1", { name: "res", type: "http", direction: "out" }]);

  await respond(handler, { method: "POST", headers: [["content-type", "text/plain"]], body: "5" });
  assert.deepEqual([seen.req.body, seen.req.rawBody], [5, "5"], "any text that is JSON is parsed");
  await respond(handler, { method: "POST", body: "a=1" });
  assert.equal(seen.req.body, "a=1");
  await respond(handler, { method: "POST", headers: [["content-type", "application/octet-stream"]], bodyBase64: "AP8=" });
  assert.deepEqual([Buffer.isBuffer(seen.req.body), [...seen.req.body], [...seen.req.bufferBody]], [true, [0, 255], [0, 255]]);
  await respond(handler, {});
  assert.equal(seen.req.body, undefined);
  await respond(handler, { method: "POST", headers: [["content-type", "application/x-www-form-urlencoded"]], body: "a=1&a=2&b=x" });
  const form = seen.req.parseFormBody();
  assert.deepEqual([form.length, form.get("b").value.toString(), form.getAll("a").length, form.has("c"), form.get("c")], [3, "x", 2, false, null]);
});

test("responses in all forms", async () => {
  const JSON_TYPE = [["content-type", "application/json; charset=utf-8"]];
  const TEXT = [["content-type", "text/plain; charset=utf-8"]];
  const cases = [
    [async () => {}, { status: 200, headers: [] }],
    [async (context) => void (context.res = { body: "hi" }), { status: 200, headers: TEXT, body: "hi" }],
    [async (context) => void (context.res = { status: 400, body: { a: 1 } }), { status: 400, headers: JSON_TYPE, body: '{"a":1}' }],
    [async (context) => void (context.res = { statusCode: "201", headers: { "X-A": 5, none: undefined }, body: 0 }), { status: 201, headers: [["x-a", "5"], ...JSON_TYPE], body: "0" }],
    [async (context) => void (context.res = { isRaw: true, headers: { "Content-Type": "application/xml" }, body: "<a/>" }), { status: 200, headers: [["content-type", "application/xml"]], body: "<a/>" }],
    [async (context) => void (context.res = { body: Buffer.from([255]) }), { status: 200, headers: [["content-type", "application/octet-stream"]], bodyBase64: "/w==" }],
    [async (context) => void (context.res.body = "set"), { status: 200, headers: TEXT, body: "set" }],
    [async (context) => void (context.bindings.res = { status: 203 }), { status: 203, headers: [] }],
    [async () => ({ res: { status: 206 } }), { status: 206, headers: [] }],
    [async (context) => void (context.res = { headers: { "Set-Cookie": ["a=1", "b=2"] }, cookies: [{ name: "c", value: "3", path: "/x" }] }), { status: 200, headers: [["set-cookie", "a=1"], ["set-cookie", "b=2"], ["set-cookie", "c=3; Path=/x"]] }],
    [(context) => context.res.status(404).set("X-A", "1").json({ no: 1 }), { status: 404, headers: [["x-a", "1"], ["content-type", "application/json"]], body: '{"no":1}' }],
    [(context) => void context.res.type("text/html").send("<p>"), { status: 200, headers: [["content-type", "text/html"]], body: "<p>" }],
    [(context) => void context.res.sendStatus(202), { status: 202, headers: [] }],
    [(context) => void setTimeout(() => context.res.header("x", "y").end("later")), { status: 200, headers: [["x", "y"], ...TEXT], body: "later" }],
    [(context) => void setTimeout(() => context.done(null, { res: { body: "done" } })), { status: 200, headers: TEXT, body: "done" }],
    [
      (context) => {
        context.res = { body: "old" };
        context.done();
      },
      { status: 200, headers: TEXT, body: "old" },
    ],
  ];
  for (const [handler, response] of cases) {
    assert.deepEqual(await respond(handler), response, String(handler));
  }
  const returned = [
    [async () => ({ body: "hi" }), { status: 200, headers: TEXT, body: "hi" }],
    [(context) => context.done(null, { status: 201, body: [1] }), { status: 201, headers: JSON_TYPE, body: "[1]" }],
    [async (context) => void (context.res = { status: 418 }), { status: 418, headers: [] }],
  ];
  for (const [handler, response] of returned) {
    assert.deepEqual(await respond(handler, { bindings: RETURNS }), response, String(handler));
  }
  assert.equal(await respond(async () => {}, { bindings: [HTTP[0]] }), undefined);
  await assert.rejects(respond(async () => "text", { bindings: RETURNS }), { name: "TypeError", message: /must be an object/ });
  await assert.rejects(respond((context) => context.done(new Error("no"))), { message: "no" });
});

test("a function that is not async ends with context.done, or when nothing is open any more", async () => {
  const bindings = [{ type: "manualTrigger", name: "x", direction: "in" }, { type: "queue", direction: "out", name: "$return", queueName: "q" }];
  const run = (exported) => {
    const timers = [];
    const scope = { onIdle: null };
    enter(scope);
    const output = findHandler("trigger", add(bindings, exported(timers)))({ name: "x", input: "{}", invocationId: "i", attempt: 1 });
    leave();
    timers.forEach((callback) => callback());
    return { output, scope };
  };
  const late = run((timers) => (context) => timers.push(() => context.done(null, "done")));
  assert.deepEqual(await late.output, { outputs: { $return: "done" } }, "what it returned does not count");
  for (const [returned, output] of [[undefined, null], ["returned", { outputs: { $return: "returned" } }]]) {
    const idle = run(() => () => returned);
    await new Promise((resolve) => setImmediate(resolve));
    idle.scope.onIdle();
    assert.deepEqual(await idle.output, output);
  }
});

test("other triggers, and outputs", async () => {
  let seen;
  const handler = async (context, value) => {
    seen = { value, same: context.bindings.in === value, data: context.bindingData };
    context.bindings.out = ["a", { b: 1 }];
  };
  const output = { type: "queue", direction: "out", name: "out", queueName: "q" };
  const queue = add([{ type: "QueueTrigger", name: "in", direction: "in", queueName: "w" }, output], handler);
  assert.deepEqual(await runTrigger(queue, { message: '{"a":1}', metadata: { dequeueCount: 3 } }), { outputs: { out: ["a", { b: 1 }] } });
  assert.deepEqual([seen.value, seen.same, seen.data.dequeueCount, seen.data.queueTrigger], [{ a: 1 }, true, 3, '{"a":1}']);
  assert.equal(bindingsOf(queue)[0].type, "queueTrigger");

  const timer = add([{ type: "timerTrigger", name: "in", direction: "in", schedule: "0 0 * * * *" }], handler);
  assert.equal(await runTrigger(timer, { isPastDue: true, schedule: {}, scheduleStatus: {} }), null);
  assert.equal(seen.value.isPastDue, true);

  const hub = add([{ type: "eventHubTrigger", name: "in", direction: "in", path: "h", cardinality: "many" }], handler);
  await runTrigger(hub, { messages: ["1", "2"], metadata: [{}, {}] });
  assert.deepEqual([seen.value, bindingsOf(hub)[0].eventHubName], [[1, 2], "h"]);
  const grid = add([{ type: "eventGridTrigger", name: "in", direction: "in" }], handler);
  await runTrigger(grid, { event: { type: "x" } });
  assert.deepEqual(seen.value, { type: "x" });

  const returning = add([{ type: "manualTrigger", name: "in", direction: "in" }, { ...output, name: "$return" }], async () => "sent");
  assert.deepEqual(await runTrigger(returning, { input: "" }), { outputs: { $return: "sent" } });
  const byName = add([{ type: "manualTrigger", name: "in", direction: "in" }, output], async () => ({ out: "sent" }));
  assert.deepEqual(await runTrigger(byName, { input: "" }), { outputs: { out: "sent" } });
});

test("a function runs without inputs and outputs that have no counterpart, and the log says what is lost", async () => {
  offerClient({});
  const blob = { type: "blob", direction: "in", name: "text", path: "p" };
  const sms = { type: "twilioSms", direction: "out", name: "message", to: "+1" };
  const send = add([{ type: "activityTrigger", direction: "in", name: "number" }, blob, sms], async (context, number, text) => {
    context.bindings.message = { body: number };
    return [number, typeof text, context.bindingDefinitions.map(({ name }) => name)];
  });
  const call = findHandler("activity", send)({ name: send, input: '"+1"', instanceId: "o1", taskId: 1, attempt: 1 });
  assert.deepEqual(await call, ["+1", "undefined", ["number", "text", "message"]]);
  assert.deepEqual(lines.map(([level, message]) => [level, message.split(": ")[0]]), [
    ["warn", `The input 'text' of '${send}' is undefined`],
    ["warn", `What '${send}' gave to its output 'message' is not sent`],
  ]);
  const table = { type: "table", direction: "out", name: "$return" };
  const timer = add([{ type: "timerTrigger", direction: "in", name: "timer", schedule: "0 0 * * * *" }, table], async () => "row");
  assert.deepEqual(bindingsOf(timer).map(({ type }) => type), ["timerTrigger"]);
  lines.length = 0;
  assert.equal(await runTrigger(timer, {}), null);
  assert.match(lines.join(), /gave to its output '\$return' is not sent: there is no 'table' here/);
});

test("exports: a function, an entry point, the only one, `run`, `index`, a default", async () => {
  const answer = (body) => async (context) => void (context.res = { body });
  const cases = [
    [answer("a")],
    [{ go: answer("a"), run: answer("b") }, "go"],
    [{ only: answer("a") }],
    [{ run: answer("a"), other: answer("b") }],
    [{ index: answer("a"), other: answer("b") }],
    [{ default: answer("a"), other: answer("b") }],
    [{ text: "a", async run(context) { context.res = { body: this.text }; }, other: 1 }],
  ];
  for (const [exported, entryPoint] of cases) {
    assert.equal((await respond(exported, { entryPoint })).body, "a");
  }
  assert.throws(() => add(HTTP, {}), /The file of the function 'f\d+' exports no function: module\.exports =/);
  assert.throws(() => add(HTTP, { run: answer("a") }, "go"), /exports no function 'go', which its entryPoint names/);
});

test("the levels of the log", async () => {
  offerClient({});
  await respond(async ({ log }) => {
    log("plain %s", 1);
    log.info("info");
    log.warn("warn");
    log.error("error");
    log.verbose("verbose");
    log.metric("orders", 5);
  });
  assert.deepEqual(lines, [["info", "plain 1"], ["info", "info"], ["warn", "warn"], ["error", "error"], ["trace", "verbose"], ["info", "metric orders: 5"]]);
});

test("durable functions", async () => {
  const activity = [{ type: "activityTrigger", name: "city", direction: "in" }];
  addFunction("SayHello", activity, async (context) => `Hello ${context.bindings.city}!`);
  addFunction("Sync", activity, (context, city) => city.length);
  addFunction("Done", activity, (context) => void context.done(null, context.bindingData.instanceId));
  const call = (name, input) => findHandler("activity", name)({ name, input: JSON.stringify(input), instanceId: "o1", taskId: 1, attempt: 1 });
  assert.deepEqual([await call("SayHello", "Tokyo"), await call("Sync", "Oslo"), await call("Done", 1)], ["Hello Tokyo!", 4, "o1"]);

  addFunction("Hello", [{ type: "orchestrationTrigger", name: "context", direction: "in" }],
    df.orchestrator(function* (context) {
      context.log.info("begun");
      const { input } = context.bindings.context;
      const retry = new df.RetryOptions(1000, 3);
      const first = yield context.df.callActivityWithRetry("SayHello", retry, input);
      const both = yield context.df.Task.all([context.df.callActivity("SayHello", "A"), context.df.callActivity("SayHello", "B")]);
      const response = yield context.df.callHttp("GET", "http://localhost/x", undefined, { a: "b" });
      const other = yield context.df.callHttp({ method: "POST", uri: "http://localhost/y", content: "c" });
      return [first, ...both, response.content, other.content, context.df.instanceId, context.bindingData.instanceId];
    }),
  );
  const { output, error, actions } = await testOrchestrator("Hello", "Tokyo")
    .activity("SayHello", (city) => `Hello ${city}!`)
    .http(({ url, uri, content }) => ({ statusCode: 200, headers: {}, content: `${url ?? uri} ${content ?? ""}` }))
    .run();
  assert.equal(error, undefined);
  assert.deepEqual(output, ["Hello Tokyo!", "Hello A!", "Hello B!", "http://localhost/x ", "http://localhost/y c", "test", "test"]);
  assert.equal(actions.filter(({ type }) => type === "callHttp").length, 2);

  addFunction("Counter", [{ type: "entityTrigger", name: "context", direction: "in" }], {
    default: df.entity((context) => {
      const value = context.df.getState(() => 0);
      context.df.setState(value + context.df.getInput());
      context.df.return(context.df.entityId.key);
    }),
  });
  assert.deepEqual(await testEntity("Counter", "add", 2, { state: 1, key: "k" }), { output: "k", state: 3, signals: [] });
  assert.deepEqual(registeredFunctions().filter(({ name }) => ["Hello", "Counter", "Sync"].includes(name)), [{ name: "Sync", kind: "activity" }, { name: "Hello", kind: "orchestrator" }, { name: "Counter", kind: "entity" }]);

  assert.throws(() => addFunction("Plain", [{ type: "orchestrationTrigger", name: "c" }], function* () {}), /must export what df\.orchestrator\(\.\.\.\) returns/);
  assert.throws(() => df.orchestrator(5), TypeError);
  assert.throws(() => df.orchestrator(function* () {})(), /it cannot be called/);
});

test("an activity has the client of its model", async () => {
  const calls = offerClient({ startOrchestration: "o2" });
  addFunction("Starts", [{ type: "activityTrigger", name: "x", direction: "in" }, { ...CLIENT, type: "durableClient" }], async (context, x, client) => {
    assert.equal(client.taskHubName, "main");
    return df.getClient(context).startNew("order", "o2", x);
  });
  assert.equal(await findHandler("activity", "Starts")({ name: "Starts", input: "[1]", instanceId: "o1", taskId: 1, attempt: 1 }), "o2");
  assert.deepEqual(calls, [["startOrchestration", "order", "[1]", "o2", null, null]]);
});

test("signalEntity and continueAsNew are yielded, as the documents show them", async () => {
  const reached = [];
  addFunction("Eternal", [{ type: "orchestrationTrigger", name: "context", direction: "in" }], df.orchestrator(function* (context) {
    for (;;) {
      reached.push(yield context.df.signalEntity(new df.EntityId("Counter", "a"), "add", 1));
      yield context.df.callActivity("DoCleanup");
      yield context.df.continueAsNew({ round: 2 });
      reached.push("after it");
    }
  }));
  const { actions, continuedAsNew, error } = await testOrchestrator("Eternal").activity("DoCleanup", () => null).run();
  assert.equal(error, undefined);
  assert.deepEqual(actions.map(({ type }) => type), ["signalEntity", "callActivity"]);
  assert.deepEqual(continuedAsNew, { input: { round: 2 } });
  assert.deepEqual(reached, [undefined]);

  addFunction("Returns", [{ type: "orchestrationTrigger", name: "context", direction: "in" }], df.orchestrator(function* (context) {
    return context.df.continueAsNew(undefined);
  }));
  assert.deepEqual((await testOrchestrator("Returns").run()).continuedAsNew, { input: null });
});

test("an output of the client starts orchestrations, as in the oldest apps", async () => {
  const bindings = [...RETURNS, { ...CLIENT, direction: "out" }];
  const calls = offerClient({ startOrchestration: "o1" });
  const respondWith = (value) => respond((context) => {
    context.bindings.starter = value;
    context.done(null, { status: 202, body: "o1" });
  }, { bindings });
  const { status, body } = await respondWith([{ FunctionName: "hello", Input: { a: 1 }, InstanceId: "o1" }, { functionName: "other" }]);
  assert.deepEqual([status, body], [202, "o1"]);
  await respondWith('{"FunctionName":"asText"}');
  await respondWith(undefined);
  assert.deepEqual(calls, [
    ["startOrchestration", "hello", '{"a":1}', "o1", null, null],
    ["startOrchestration", "other", "null", null, null, null],
    ["startOrchestration", "asText", "null", null, null, null],
  ]);
  await assert.rejects(respondWith([{ Input: 1 }]), /The output 'starter' starts orchestrations/);
});
