/** The durable client, in activities and triggers. */

import assert from "node:assert/strict";
import { afterEach, test } from "node:test";

import { ActivityContext } from "../src/activity-context.js";
import { Client } from "../src/client.js";
import * as df from "../src/durable-functions.js";
import { enter, leave } from "../src/scope.js";
import { EntityScope } from "../src/entity.js";
import { V3Context } from "../src/v3-context.js";
import { offerClient, refuse, withdraw } from "./fakes.js";

const call = { name: "dispatch", instanceId: "caller", taskId: 3, attempt: 1 };
const v3Client = () => df.getClient(new V3Context({ functionName: "f", bindings: [], invocationId: "i" }));
const FROM = new Date("2026-01-01T00:00:00Z");

afterEach(withdraw);

test("all styles start orchestrations", async () => {
  const calls = offerClient({ startOrchestration: (name, input, id) => id ?? "derived" });
  const context = new ActivityContext(call);
  assert.equal(await context.startOrchestration({ name: "order" }, { item: "lamp" }, { instanceId: "o1", version: "2.0" }), "o1");
  assert.equal(await context.client.startOrchestration("order", undefined, { startAt: FROM }), "derived");
  const client = df.getClient(context);
  assert.equal(await client.startNew("order", { instanceId: "o2", input: [1], version: "2.0" }), "o2");
  assert.equal(await client.startNew("order"), "derived");
  assert.equal(await v3Client().startNew("order", "o3", 0), "o3");
  assert.equal(await v3Client().startNew("order"), "derived");
  assert.equal(await v3Client().startNew("order", { input: "x" }), "derived");
  assert.deepEqual(calls.map(([, ...args]) => args), [
    ["order", '{"item":"lamp"}', "o1", "2.0", null],
    ["order", "null", null, null, FROM.getTime()],
    ["order", "[1]", "o2", "2.0", null],
    ["order", "null", null, null, null],
    ["order", "0", "o3", null, null],
    ["order", "null", null, null, null],
    ["order", '"x"', null, null, null],
  ]);
});

test("a start that is refused says why, as each engine throws it", async () => {
  const failure = { errorType: "InstanceAlreadyExists", message: "'o1' is running", details: null, retriable: false };
  for (const thrown of [failure, Object.assign(new Error("a failed result"), { payload: failure })]) {
    offerClient({
      startOrchestration() {
        throw thrown;
      },
    });
    const refused = { name: "InstanceAlreadyExists", message: "'o1' is running", retriable: false };
    await assert.rejects(new ActivityContext(call).startOrchestration("order"), refused);
    await assert.rejects(df.getClient().startNew("order"), refused);
  }
});

test("the status of an instance, with its options", async () => {
  const status = { name: "order", instanceId: "o1", runtimeStatus: "Running", input: 1, output: null, createdTime: "2026-01-01T00:00:00Z", lastUpdatedTime: "2026-01-02T00:00:00Z" };
  const calls = offerClient({ getStatus: (id) => JSON.stringify(id === "o1" ? status : null) });
  const found = await df.getClient().getStatus("o1", { showHistory: true, showHistoryOutput: true, showInput: false });
  assert.deepEqual([found.runtimeStatus, found.createdTime, found.lastUpdatedTime], ["Running", FROM, new Date("2026-01-02T00:00:00Z")]);
  assert.deepEqual(await v3Client().getStatus("o1", false, false, true), status, "the times of the older client are texts");
  await df.getClient().getStatus("o1");
  assert.deepEqual(calls, [
    ["getStatus", "o1", '{"showHistory":true,"showHistoryOutput":true,"showInput":false}'],
    ["getStatus", "o1", '{"showHistory":false,"showHistoryOutput":false,"showInput":true}'],
    ["getStatus", "o1", ""],
  ]);
  await assert.rejects(df.getClient().getStatus("none"), { name: "Error", message: /404: there is no instance 'none'/ });
  assert.equal(await v3Client().getStatus("none"), "", "the older client does not throw");
  assert.equal(await new Client().getStatus("none"), undefined);
});

test("lists are read to the last page", async () => {
  const pages = { undefined: { instances: [{ instanceId: "a" }], continuationToken: "t1" }, t1: { instances: [], continuationToken: "t2" }, t2: { instances: [{ instanceId: "b" }], continuationToken: null } };
  const calls = offerClient({ listInstances: (filter) => JSON.stringify(pages[filter && JSON.parse(filter).continuationToken] ?? pages.undefined) });
  const ids = (list) => list.map(({ instanceId }) => instanceId);
  assert.deepEqual(ids(await df.getClient().getStatusAll()), ["a", "b"]);
  assert.deepEqual(calls.map(([, filter]) => filter), ["", '{"continuationToken":"t1"}', '{"continuationToken":"t2"}']);
  calls.length = 0;
  const runtimeStatus = [df.OrchestrationRuntimeStatus.Running, df.OrchestrationRuntimeStatus.Pending];
  assert.deepEqual(ids(await df.getClient().getStatusBy({ createdTimeFrom: FROM, runtimeStatus })), ["a", "b"]);
  assert.deepEqual(ids(await v3Client().getStatusBy(FROM, undefined, runtimeStatus)), ["a", "b"]);
  assert.deepEqual(ids(await v3Client().getStatusAll()), ["a", "b"]);
  const filter = '{"createdTimeFrom":"2026-01-01T00:00:00.000Z","runtimeStatus":["Running","Pending"]';
  assert.deepEqual([calls[0][1], calls[3][1], calls[6][1]], [`${filter}}`, `${filter}}`, ""]);
  assert.equal(calls[1][1], `${filter},"continuationToken":"t1"}`);
});

test("what is sent to an instance that has ended is dropped, and one that does not exist is an error", async () => {
  const verbs = ["raiseEvent", "terminate", "suspend", "resume"];
  offerClient(Object.fromEntries(verbs.map((verb) => [verb, refuse("InstanceEnded")])));
  for (const verb of verbs) {
    await df.getClient().createHttpManagementPayload("o1");
    await df.getClient()[verb]("o1", "why");
    await assert.rejects(new Client()[verb]("o1", "why"), { name: "InstanceEnded" }, "the modern client tells");
  }
  offerClient({ ...Object.fromEntries(verbs.map((verb) => [verb, refuse("InstanceNotFound")])), rewind: refuse("InstanceNotFound"), restart: refuse("InstanceNotFound") });
  for (const verb of [...verbs, "rewind", "restart"]) {
    await assert.rejects(df.getClient()[verb]("o1", "why"), { name: "Error", message: "No instance with ID 'o1' found." });
  }
  offerClient({ rewind: refuse("NotRewindable", "it has not failed"), terminate: refuse("NotGranted", "the app's grant 'client' is 'read'") });
  await assert.rejects(df.getClient().rewind("o1", "again"), { name: "Error", message: "it has not failed" });
  await assert.rejects(v3Client().terminate("o1", "why"), { name: "NotGranted", message: /'read'/ });
});

test("the other operations", async () => {
  const calls = offerClient({ raiseEvent: undefined, restart: (id, wanted) => wanted ?? "new", purge: (id) => id === "o1", purgeInstances: 3, signalEntity: undefined, enqueue: undefined, readEntity: (entity) => (entity.key === "a" ? "[1]" : undefined), rewind: undefined });
  const client = df.getClient();
  await client.raiseEvent("o1", "Approval", { ok: true }, { taskHubName: "MAIN" });
  await v3Client().raiseEvent("o1", "Approval");
  assert.equal(await client.restart("o1"), "new");
  assert.equal(await client.restart("o1", false), "o1");
  assert.deepEqual(await client.purgeInstanceHistory("o1"), new df.PurgeHistoryResult(1));
  assert.deepEqual(await client.purgeInstanceHistory("o2"), new df.PurgeHistoryResult(0));
  assert.deepEqual(await client.purgeInstanceHistoryBy({ createdTimeFrom: FROM, runtimeStatus: ["Failed"] }), new df.PurgeHistoryResult(3));
  assert.deepEqual(await v3Client().purgeInstanceHistoryBy(FROM, FROM), new df.PurgeHistoryResult(3));
  const id = new df.EntityId("Counter", "a");
  await client.signalEntity(id, "add", 2);
  await client.signalEntity(id, undefined, undefined, { at: FROM });
  await new Client().enqueue("orders", "a \ud800");
  await new Client().enqueue("orders", [{ n: 1 }, "b", [2]], { at: FROM });
  await client.rewind("o1", "mended");
  assert.deepEqual(await client.readEntityState(id), new df.EntityStateResponse(true, [1]));
  assert.deepEqual(await client.readEntityState(new df.EntityId("Counter", "b")), new df.EntityStateResponse(false));
  const entity = { name: "Counter", key: "a" };
  const from = '{"createdTimeFrom":"2026-01-01T00:00:00.000Z"';
  assert.deepEqual(calls, [
    ["raiseEvent", "o1", "Approval", '{"ok":true}'],
    ["raiseEvent", "o1", "Approval", "null"],
    ["restart", "o1", null],
    ["restart", "o1", "o1"],
    ["purge", "o1"],
    ["purge", "o2"],
    ["purgeInstances", `${from},"runtimeStatus":["Failed"]}`],
    ["purgeInstances", `${from},"createdTimeTo":"2026-01-01T00:00:00.000Z"}`],
    ["signalEntity", entity, "add", "2", null],
    ["signalEntity", entity, "", "null", FROM.getTime()],
    ["enqueue", "orders", ["a \ufffd"], null],
    ["enqueue", "orders", ['{"n":1}', "b", "[2]"], FROM.getTime()],
    ["rewind", "o1", "mended"],
    ["readEntity", entity],
    ["readEntity", { name: "Counter", key: "b" }],
  ]);
  await assert.rejects(client.raiseEvent("o1", "x", 1, { taskHubName: "other" }), { name: "Unsupported", message: /own task hub 'main', not in 'other'/ });
});

// The client of the original could not do all that the contract has.
test("what the original's client lacks", async () => {
  const status = { name: "order", instanceId: "o1", runtimeStatus: "Running", createdTime: "2026-01-01T00:00:00Z", lastUpdatedTime: "2026-01-01T00:00:00Z" };
  const page = (items) => JSON.stringify({ ...items, continuationToken: "t" });
  const calls = offerClient({ startOrchestration: "o1", waitForCompletion: (id) => JSON.stringify(id === "o1" ? status : null), listInstances: page({ instances: [status] }), listEntities: page({ entities: [] }), restart: (_, id) => id, purgeInstances: 0 });
  const client = df.getClient();
  await client.startNew("order", { startAt: FROM });
  assert.deepEqual((await client.waitForCompletion("o1", 500)).createdTime, FROM);
  assert.equal(await client.waitForCompletion("none", 0), undefined);
  assert.deepEqual(await client.listInstances({ functionName: "order", top: 1 }), { instances: [status], continuationToken: "t" });
  assert.deepEqual(await client.listEntities({ lastOperationTimeFrom: FROM, continuationToken: "t" }), { entities: [], continuationToken: "t" });
  assert.equal(await client.restart("o1", "o2"), "o2");
  await client.purgeInstanceHistoryBy({ createdTimeFrom: FROM, instanceIdPrefix: "o", functionName: "order", version: "2" });
  assert.deepEqual(calls, [
    ["startOrchestration", "order", "null", null, null, FROM.getTime()],
    ["waitForCompletion", "o1", 500],
    ["waitForCompletion", "none", 0],
    ["listInstances", '{"functionName":"order","top":1}'],
    ["listEntities", '{"lastOperationTimeFrom":"2026-01-01T00:00:00.000Z","continuationToken":"t"}'],
    ["restart", "o1", "o2"],
    ["purgeInstances", '{"createdTimeFrom":"2026-01-01T00:00:00.000Z","instanceIdPrefix":"o","functionName":"order","version":"2"}'],
  ]);
});

test("links have the origin of the request", async () => {
  offerClient({});
  const client = df.getClient();
  assert.equal(client.taskHubName, "main");
  assert.deepEqual(client.uniqueWebhookOrigins, ["http://localhost:8080"]);
  const response = client.createCheckStatusResponse({ url: "https://shop.example/api/start?x=1" }, "o1");
  const body = await response.json();
  assert.deepEqual([response.status, response.headers.get("Retry-After"), body.id], [202, "10", "o1"]);
  assert.equal(body.statusQueryGetUri, "https://shop.example/runtime/webhooks/durabletask/instances/o1?taskHub=main&code=k");
  assert.equal(body.sendEventPostUri, "https://shop.example/runtime/webhooks/durabletask/instances/o1/raiseEvent/{eventName}?taskHub=main&code=k");
  assert.equal(response.headers.get("Location"), body.statusQueryGetUri);
  const scheduled = client.createCheckStatusResponse({ url: "https://shop.example/" }, "report:20261201T080000Z");
  assert.equal((await scheduled.json()).id, "report:20261201T080000Z", "an id that looks like a URL stays as it is");
  assert.equal(client.createCheckStatusResponse(undefined, "o1").headers.get("Location"), client.createHttpManagementPayload("o1").statusQueryGetUri);
  const older = v3Client().createCheckStatusResponse({ http: { url: "https://shop.example/" } }, "o1");
  assert.deepEqual([older.status, older.body.statusQueryGetUri, older.headers["Retry-After"]], [202, body.statusQueryGetUri, 10]);
});

test("a client waits for the end of an instance, or tells where to ask", async () => {
  const status = { runtimeStatus: "Completed", output: [42] };
  const calls = offerClient({ waitForCompletion: (id) => JSON.stringify(id === "o1" ? status : null) });
  const wait = (options) => df.getClient().waitForCompletionOrCreateCheckStatusResponse(undefined, "o1", options);
  const completed = await wait();
  assert.deepEqual([completed.status, await completed.json()], [200, [42]]);
  assert.deepEqual(await v3Client().waitForCompletionOrCreateCheckStatusResponse(undefined, "o1", 5000, 100), { status: 200, body: "[42]", headers: { "Content-Type": "application/json" } });
  assert.deepEqual(calls, [["waitForCompletion", "o1", 10_000], ["waitForCompletion", "o1", 5000]], "the host waits, in one call");

  Object.assign(status, { runtimeStatus: "Failed", output: "no" });
  const failed = await wait();
  assert.deepEqual([failed.status, (await failed.json()).output], [500, "no"]);
  Object.assign(status, { runtimeStatus: "Running", output: null });
  assert.equal((await wait()).status, 202);
  assert.equal((await v3Client().waitForCompletionOrCreateCheckStatusResponse(undefined, "o1")).status, 202);
  assert.equal((await new Client().outputOrCheckStatusResponse(undefined, "o1", { timeout: { seconds: 2 } })).status, 202);
  assert.equal(calls.at(-1)[2], 2000);

  assert.equal((await df.getClient().waitForCompletionOrCreateCheckStatusResponse(undefined, "none")).status, 404);
  assert.deepEqual(await v3Client().waitForCompletionOrCreateCheckStatusResponse(undefined, "none"), { status: 404 });
  assert.equal((await new Client().outputOrCheckStatusResponse(undefined, "none")).status, 404);
  await assert.rejects(wait({ timeoutInMilliseconds: 1, retryIntervalInMilliseconds: 2 }), RangeError);
});

// `raiseEvent(id, undefined)` raised an event called "undefined", and a lone surrogate was a URIError.
test("a client refuses what is no argument by its name, and mends text that is not well formed", async () => {
  const half = "x-\ud83d";
  const calls = offerClient({ raiseEvent: undefined, terminate: undefined, resume: undefined });
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
    [() => client.startNew(undefined), /^The name of an orchestration/],
    [() => client.readEntityState("x"), /^An entity id needs a name/],
    [() => client.waitForCompletionOrCreateCheckStatusResponse(null, "a", { timeoutInMilliseconds: "x" }), /^timeoutInMilliseconds must be a number/],
    [() => client.signalEntity(new df.EntityId("a", "b"), "x", 1, { at: new Date(NaN) }), /^at must be a valid Date/],
  ];
  for (const [call, message] of cases) {
    await assert.rejects(call, { name: "TypeError", message });
  }
  await assert.rejects(client.raiseEvent("a", "x", 5n), { name: "InvalidInput", message: /^the data of the event 'x'/ });
  assert.deepEqual(calls, []);
  await client.raiseEvent("a", half, half);
  await client.terminate("a", half);
  await client.resume("a");
  assert.deepEqual(calls, [["raiseEvent", "a", "x-\ufffd", '"x-\\ud83d"'], ["terminate", "a", "x-\ufffd"], ["resume", "a", ""]]);
});

test("an entity or orchestrator has no client, and is told what to do", async () => {
  offerClient({ startOrchestration: "x" });
  enter(new EntityScope({}));
  try {
    await assert.rejects(df.getClient().startNew("order"), { name: "NotAvailable", message: /for activities and triggers/ });
  } finally {
    leave();
  }
});
