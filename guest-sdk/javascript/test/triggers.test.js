/** Triggers of the modern API. */

import assert from "node:assert/strict";
import { afterEach, test } from "node:test";

import { eventGrid, eventHub, http, manual, orchestrator, queue, timer } from "../src/index.js";
import { testTrigger } from "../src/testing.js";
import { bindingsOf, offerClient, request, runTrigger, withdraw } from "./fakes.js";

afterEach(withdraw);

test("an HTTP trigger starts an orchestration and says where to ask", async () => {
  const calls = offerClient({ startOrchestration: "o1" });
  const order = orchestrator("order", async () => {});
  const trigger = http("orders", { route: "orders/{item}", methods: "POST" }, async (request, { client, invocationId, attempt }) => {
    assert.deepEqual([invocationId, attempt], ["i1", 1]);
    const id = await client.startOrchestration(order, { item: request.params.item });
    return client.checkStatusResponse(request, id);
  });
  assert.deepEqual([trigger.kind, trigger.name], ["trigger", "orders"]);
  assert.deepEqual(bindingsOf("orders"), [
    { type: "httpTrigger", name: "request", route: "orders/{item}", methods: ["POST"], direction: "in" },
    { type: "http", direction: "out", name: "$return" },
  ]);
  const { response } = await runTrigger("orders", request({ method: "POST", params: { item: "lamp" } }));
  assert.deepEqual([response.status, JSON.parse(response.body).id], [202, "o1"]);
  assert.deepEqual(calls, [["startOrchestration", "order", '{"item":"lamp"}', null, null, null]]);
  http("plain", () => "hi");
  assert.equal((await runTrigger("plain", request())).response.body, "hi");
});

test("the other triggers, and outputs", async () => {
  const seen = [];
  const handler = (value, context) => void seen.push([context.name, value, context.metadata.dequeueCount]);
  timer("nightly", "0 0 3 * * *", handler);
  queue("work", { queueName: "w", outputs: { audit: { queueName: "a" }, hub: { eventHubName: "h" } } }, (message, context) => {
    handler(message, context);
    context.send("audit", "one");
    context.send("audit", { two: 2 });
    assert.throws(() => context.send("other", 1), /'work' has no output 'other'/);
  });
  eventHub("batch", "h", handler);
  eventGrid("grid", handler);
  manual("byHand", handler);
  assert.deepEqual([bindingsOf("nightly")[0].schedule, bindingsOf("batch")[0].cardinality], ["0 0 3 * * *", "many"]);
  assert.deepEqual(bindingsOf("work").slice(1), [{ queueName: "a", type: "queue", direction: "out", name: "audit" }, { eventHubName: "h", type: "eventHub", direction: "out", name: "hub" }]);
  await runTrigger("nightly", { isPastDue: false });
  assert.deepEqual(await runTrigger("work", { message: "5", metadata: { dequeueCount: 2 } }), { outputs: { audit: ["one", { two: 2 }] } });
  await runTrigger("batch", { messages: ["1"], metadata: [{}] });
  await runTrigger("grid", { event: { type: "x" } });
  await runTrigger("byHand", { input: "text" });
  assert.deepEqual(seen, [["nightly", { isPastDue: false }, undefined], ["work", 5, 2], ["batch", [1], undefined], ["grid", { type: "x" }, undefined], ["byHand", "text", undefined]]);
});

test("what is wrong is named", () => {
  assert.throws(() => http("none"), /The handler of 'none' must be a function/);
  assert.throws(() => timer("tick", {}, () => {}), /The schedule of a timer must be a string/);
  assert.throws(() => queue("q1", {}, () => {}), /The name of a queue must be a string/);
  assert.throws(() => queue("q1", { queueName: "q", batch: 1 }, () => {}), /'q1' has an option 'batch', which/);
  assert.throws(() => http("h1", { outputs: { x: "q" } }, () => {}), /The output 'x' must have a queueName or an eventHubName/);
});

test("triggers are tested without a host", async () => {
  http("tested", { outputs: { audit: { queueName: "a" } } }, async (request, context) => {
    const status = await context.client.getStatus(request.query.get("id"));
    if (status) {
      return { jsonBody: status };
    }
    context.send("audit", { missing: request.params.id });
    return context.client.checkStatusResponse(request, await context.client.startOrchestration("order", await request.json(), { instanceId: context.invocationId }));
  });
  const first = await testTrigger("tested", { url: "http://localhost/api/tested?id=o1", params: { id: "7" }, body: { item: "lamp" } }, { invocationId: "call" });
  assert.deepEqual([first.response.status, (await first.response.json()).id, first.outputs], [202, "call", { audit: [{ missing: "7" }] }]);
  assert.deepEqual(first.actions, [{ type: "getStatus", instanceId: "o1" }, { type: "startOrchestration", name: "order", input: { item: "lamp" }, instanceId: "call" }]);

  const refused = testTrigger("tested", { body: "1", query: { id: "o1" } }, {
    client: {
      startOrchestration() {
        throw Object.assign(new Error("too many"), { name: "LimitExceeded" });
      },
    },
  });
  await assert.rejects(refused, { name: "LimitExceeded" });
  await assert.rejects(testTrigger("tested", {}, { client: { start: () => 1 } }), /The client has no function 'start'/);
  await assert.rejects(testTrigger("nothing"), { name: "FunctionNotFound" });

  const seen = [];
  const note = (value, context) => void seen.push(value, context.metadata.dequeueCount ?? context.metadata.sequenceNumberArray?.length);
  timer("t1", "0 0 * * * *", note);
  queue("t2", "q", note);
  eventHub("t3", "h", note);
  eventGrid("t4", note);
  manual("t5", note);
  await testTrigger("t1", { isPastDue: true });
  await testTrigger("t2", { a: 1 });
  await testTrigger("t3", [1, "x"]);
  await testTrigger("t4", { type: "e" });
  await testTrigger("t5", { b: 2 });
  assert.deepEqual(seen, [{ isPastDue: true, schedule: { adjustForDST: true }, scheduleStatus: {} }, undefined, { a: 1 }, 1, [1, "x"], 2, { type: "e" }, undefined, { b: 2 }, undefined]);
  assert.equal(globalThis.__dacapo?.imports, undefined);
});
