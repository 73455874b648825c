/** The SDK: an app that uses all of it, whose own tests are in F#, and its triggers and activities on a fake of the host. */

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { fileURLToPath, pathToFileURL } from "node:url";
import { join } from "node:path";
import process from "node:process";
import { after, before, test } from "node:test";

import "../../javascript/src/register.js";
import { findHandler } from "../../javascript/src/registry.js";
import { bindingsOf, lines, offerClient, request, runTrigger, withdraw } from "../../javascript/test/fakes.js";
import { defaultToolsFolder } from "../builder/tools.mjs";

const APP = fileURLToPath(new URL("app/", import.meta.url));

before(async () => {
  const script = fileURLToPath(new URL("../test.mjs", import.meta.url));
  // Without this variable, which makes tests report to their parent.
  const { NODE_TEST_CONTEXT, ...env } = process.env;
  const { status, stdout, stderr } = spawnSync(process.execPath, [script, APP, "--tools", defaultToolsFolder()], { encoding: "utf8", env });
  assert.equal(status, 0, stdout + stderr);
  assert.match(stdout, /^# pass 12$/m, "the tests in F# run");
  assert.doesNotMatch(stderr, /warning/);
  await import(pathToFileURL(join(APP, ".dacapo/fsharp/index.js")));
});

after(withdraw);

test("an HTTP trigger starts an orchestration and says where to ask", async () => {
  const calls = offerClient({ startOrchestration: (name, input, id) => id });
  assert.deepEqual(bindingsOf("start")[0], { type: "httpTrigger", name: "request", route: "orders/{id}", methods: ["POST"], authLevel: "anonymous", direction: "in" });
  const order = { item: "lamp", shape: "Nothing", limit: 5 };
  const { response } = await runTrigger("start", request({ method: "POST", params: { id: "o1" }, body: JSON.stringify(order) }));
  assert.deepEqual([response.status, JSON.parse(response.body).id], [202, "o1"]);
  assert.deepEqual(calls, [["startOrchestration", "order", '{"Item":"lamp","Shape":{"Case":"Nothing"},"Limit":5}', "o1", null, null]]);
});

test("a body that does not fit is answered with 400", async () => {
  offerClient({});
  const answer = async (body) => (await runTrigger("start", request({ method: "POST", params: { id: "o1" }, body }))).response;
  const misfit = await answer('{"item":1}');
  assert.deepEqual([misfit.status, misfit.body], [400, "the body of the request does not fit the type Order: .Item is 1, and must be a string"]);
  const broken = await answer("{");
  assert.equal(broken.status, 400);
  assert.match(broken.body, /^the body of the request is not JSON: /);
});

test("requests and responses", async () => {
  const headers = [["x-a", "1"]];
  const { response } = await runTrigger("echo", request({ method: "PUT", url: "http://h/api/echo?q=1&q=2", headers, query: [["q", "1"], ["q", "2"]], body: "text" }));
  assert.deepEqual([response.status, JSON.parse(response.body)], [201, ["PUT", "text", "1", "1", "1", "2"]]);
  assert.equal(new Map(response.headers).get("x-b"), "b");
});

test("timers, queues, events and outputs", async () => {
  const calls = offerClient({ purgeInstances: 3, raiseEvent: undefined });
  assert.equal(bindingsOf("nightly")[0].schedule, "0 0 3 * * *");
  const timer = { isPastDue: true, scheduleStatus: { last: "2030-01-01T00:00:00Z", next: "2030-01-02T00:00:00Z" } };
  assert.deepEqual(await runTrigger("nightly", timer), { outputs: { out: [{ late: true, next: "2030-01-02T00:00:00.000Z", removed: 3 }] } });
  assert.deepEqual(JSON.parse(calls[0][1]), { runtimeStatus: ["Completed"], createdTimeFrom: "2026-01-01T00:00:00.000Z" });

  await runTrigger("work", { message: '{"Item":"i1","Shape":{"Case":"Circle","Fields":[2]},"Limit":null}', metadata: {} });
  assert.deepEqual(calls[1], ["raiseEvent", "i1", "Arrived", '{"Case":"Circle","Fields":[2]}']);
  await assert.rejects(runTrigger("work", { message: "5", metadata: {} }), { name: "InvalidInput", message: "the message of the trigger 'work' does not fit the type Order: it is 5, and must be an object (Order)" });

  assert.deepEqual(await runTrigger("texts", { message: "5.0", metadata: {} }), { outputs: { copies: ["5.0"] } }, "a text stays one");
  assert.deepEqual(await runTrigger("note", { input: "5.0" }), { outputs: { copies: ["5.0"] } }, "what an operator gives too");
  await runTrigger("events", { messages: ["a", "1"], metadata: [{}, {}] });
  await runTrigger("grid", { event: { subject: "s" } });
  assert.deepEqual(lines, [["info", "a|1"], ["warn", "s"]]);
});

test("the whole client", async () => {
  const status = { name: "order", instanceId: "a1", runtimeStatus: "Completed", input: null, output: [1], customStatus: null, createdTime: "2030-01-01T00:00:00Z", lastUpdatedTime: "2030-01-01T00:00:00Z" };
  const calls = offerClient({
    getStatus: JSON.stringify({ ...status, historyEvents: [] }),
    listInstances: JSON.stringify({ instances: [status], continuationToken: "t" }),
    suspend: undefined,
    resume: undefined,
    rewind: undefined,
    terminate: undefined,
    restart: "a2",
    purge: true,
    waitForCompletion: JSON.stringify(status),
    signalEntity: undefined,
    enqueue: undefined,
    readEntity: '{"Count":2}',
    listEntities: JSON.stringify({ entities: [{ entityId: { name: "counter", key: "k" }, lastOperationTime: null, state: { Count: 2 } }], continuationToken: null }),
  });
  await runTrigger("manage", { input: "a1" });
  const told = { output: [1], ended: true, ids: ["a1"], token: "t", again: "a2", purged: true, state: { Count: 2 }, entities: ["k"] };
  const { link, ...rest } = JSON.parse(lines[0][1]);
  assert.deepEqual(rest, told);
  assert.match(link, /\/instances\/a1/);
  assert.deepEqual(
    calls.map(([name, ...args]) => [name, ...args.map((arg) => (typeof arg === "string" && arg.startsWith("{") ? JSON.parse(arg) : arg))]),
    [
      ["getStatus", "a1", { showHistory: true }],
      ["listInstances", { instanceIdPrefix: "a", top: 2 }],
      ["suspend", "a1", "s"],
      ["resume", "a1", "r"],
      ["rewind", "a1", "w"],
      ["terminate", "a1", "t"],
      ["restart", "a1", null],
      ["purge", "a1"],
      ["waitForCompletion", "a1", 5000],
      ["signalEntity", { name: "counter", key: "k" }, "add", '"x"', Date.UTC(2030, 0, 1)],
      ["enqueue", "orders", ["a", "b"], null],
      ["enqueue", "counts", ['{"Count":1}'], Date.UTC(2030, 0, 1)],
      ["readEntity", { name: "counter", key: "k" }],
      ["listEntities", { entityName: "counter", fetchState: true }],
    ],
  );
});

test("activities", async () => {
  const run = (name, input) => findHandler("activity", name)({ name, input: JSON.stringify(input), instanceId: "i", taskId: 3, attempt: 2 });
  assert.equal(await run("slow", "text"), "TEXT");
  assert.deepEqual(await run("describe", null), ["describe", "i", "2", "i:3"]);
  assert.equal(await run("reserve", { item: "lamp", shape: "Nothing" }), "lamp");
  await assert.rejects(run("reserve", { item: "unicorn", shape: "Nothing" }), { name: "OutOfStock", message: /unicorn/ });
  await assert.rejects(run("slow", 5), { name: "InvalidInput", message: "the input of the activity 'slow' does not fit the type string: it is 5, and must be a string" });
});
