/** The host functions of activities. */

import assert from "node:assert/strict";
import { afterEach, test } from "node:test";

import { ActivityContext } from "../src/activity-context.js";
import * as df from "../src/durable-functions.js";

const call = { name: "dispatch", instanceId: "caller", taskId: 3, attempt: 1 };

const { fetch } = globalThis;

afterEach(() => {
  globalThis.fetch = fetch;
  delete globalThis.__dacapo;
});

function offer(management) {
  globalThis.__dacapo = { imports: { management } };
}

test("both styles start orchestrations", async () => {
  const starts = [];
  offer({
    startOrchestration(...start) {
      starts.push(start);
      return start[2] ?? "derived";
    },
  });
  const context = new ActivityContext(call);
  assert.equal(await context.startOrchestration({ name: "order" }, { item: "lamp" }, { instanceId: "o1", version: "2.0" }), "o1");
  assert.equal(await context.startOrchestration("order"), "derived");
  const client = df.getClient(context);
  assert.equal(await client.startNew("order", { instanceId: "o2", input: [1], version: "2.0" }), "o2");
  assert.equal(await client.startNew("order"), "derived");
  assert.deepEqual(starts, [
    ["order", '{"item":"lamp"}', "o1", "2.0"],
    ["order", "null", null, null],
    ["order", "[1]", "o2", "2.0"],
    ["order", "null", null, null],
  ]);
  await assert.rejects(client.startNew(undefined), { name: "TypeError", message: /name of an orchestration/ });
});

test("a start that is refused says why, as each engine throws it", async () => {
  const failure = { errorType: "InstanceAlreadyExists", message: "'o1' is running", details: null, retriable: false };
  for (const thrown of [failure, Object.assign(new Error("a failed result"), { payload: failure })]) {
    offer({
      startOrchestration() {
        throw thrown;
      },
    });
    const refused = { name: "InstanceAlreadyExists", message: "'o1' is running", retriable: false };
    await assert.rejects(new ActivityContext(call).startOrchestration("order"), refused);
    await assert.rejects(df.getClient().startNew("order"), refused);
  }
});

test("a client reads the state of an entity", async () => {
  offer({ links: (id) => JSON.stringify({ id, statusQueryGetUri: `http://127.0.0.1/instances/${encodeURIComponent(id)}?sig=x` }) });
  const asked = [];
  const answers = [Response.json({ input: { exists: true, state: '{"count":3}' } }), Response.json({ input: { exists: false } }), new Response("", { status: 404 })];
  globalThis.fetch = async (url) => {
    asked.push(String(url));
    return answers.shift();
  };
  const read = () => df.getClient().readEntityState(new df.EntityId("Counter", "a"));
  assert.deepEqual({ ...(await read()) }, { entityExists: true, entityState: { count: 3 } });
  assert.equal((await read()).entityExists, false);
  assert.equal((await read()).entityExists, false);
  assert.equal(asked[0], "http://127.0.0.1/instances/%40counter%40a?sig=x&showInput=true");
});

// `raiseEvent(id, undefined)` raised an event called "undefined", and a lone surrogate was a URIError.
test("a client refuses what is no argument by its name, and mends text that is not well formed", async () => {
  const half = "x-\ud83d";
  const sent = [];
  globalThis.fetch = async (url, { body } = {}) => {
    sent.push([String(url).slice("http://127.0.0.1/".length), body]);
    return new Response("", { status: 202 });
  };
  const link = (path) => `http://127.0.0.1/${path}`;
  const withReason = Object.fromEntries(["terminate", "suspend", "resume", "rewind"].map((verb) => [`${verb}PostUri`, link(`${verb}?reason={text}`)]));
  offer({ links: (id) => JSON.stringify({ id, sendEventPostUri: link("raiseEvent/{eventName}"), statusQueryGetUri: link("status"), ...withReason }) });
  const client = df.getClient();
  const cases = [
    [() => client.raiseEvent("a", undefined), /^eventName must be a string, not undefined/],
    [() => client.raiseEvent("a", 5), /^eventName must be a string, not a number \(5\)/],
    [() => client.raiseEvent("a", ""), /^eventName must be a string that is not empty/],
    [() => client.raiseEvent(5, "x"), /^instanceId must be a string/],
    [() => client.terminate("a", Symbol("x")), /^reason must be a string, not a symbol/],
    [() => client.suspend("a", 5), /^reason must be a string/],
    [() => client.rewind("a", {}), /^reason must be a string, not an object/],
    [() => client.getStatus(5), /^instanceId must be a string/],
    [() => client.getStatus("a", 5), /^The options of getStatus must be an object, not a number/],
    [() => client.purgeInstanceHistory(null), /^instanceId must be a string, not null/],
    [() => client.startNew("order", 5), /^The options of startNew must be an object/],
    [() => client.startNew("", {}), /^The name of an orchestration/],
    [() => client.readEntityState("x"), /^An entity id needs a name/],
    [() => client.waitForCompletionOrCreateCheckStatusResponse(null, "a", { timeoutInMilliseconds: "x" }), /^timeoutInMilliseconds must be a number/],
  ];
  for (const [call, message] of cases) {
    await assert.rejects(call, { name: "TypeError", message });
  }
  await assert.rejects(client.raiseEvent("a", "x", 5n), { name: "InvalidInput", message: /^the data of the event 'x'/ });
  assert.deepEqual(sent, []);
  await client.raiseEvent("a", half, half);
  await client.raiseEvent("a", "x");
  await client.terminate("a", half);
  await client.resume("a");
  assert.deepEqual(sent, [["raiseEvent/x-%EF%BF%BD", '"x-\\ud83d"'], ["raiseEvent/x", "null"], ["terminate?reason=x-%EF%BF%BD", undefined], ["resume?reason=", undefined]]);
});

test("a client waits for the end of an instance, or tells where to ask", async () => {
  const statuses = [];
  globalThis.fetch = async () => Response.json(statuses.length > 1 ? statuses.shift() : statuses[0]);
  offer({ links: (id) => JSON.stringify({ id, statusQueryGetUri: `http://127.0.0.1/instances/${id}` }) });
  const wait = (options) => df.getClient().waitForCompletionOrCreateCheckStatusResponse(undefined, "o1", options);
  const quick = { timeoutInMilliseconds: 20, retryIntervalInMilliseconds: 1 };

  statuses.push({ runtimeStatus: "Running" }, { runtimeStatus: "Completed", output: [42] });
  const completed = await wait({ timeoutInMilliseconds: 10_000, retryIntervalInMilliseconds: 1 });
  assert.deepEqual([completed.status, completed.body], [200, "[42]"]);

  statuses.splice(0, 1, { runtimeStatus: "Failed", output: "no" });
  const failed = await wait(quick);
  assert.deepEqual([failed.status, JSON.parse(failed.body).output], [500, "no"]);

  statuses.splice(0, 1, { runtimeStatus: "Running" });
  const late = await wait(quick);
  assert.deepEqual([late.status, late.headers.get("Location")], [202, "http://127.0.0.1/instances/o1"]);

  await assert.rejects(wait({ timeoutInMilliseconds: 1, retryIntervalInMilliseconds: 2 }), RangeError);
});
