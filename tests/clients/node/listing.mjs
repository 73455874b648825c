// getStatusAll, getStatusBy, purgeInstanceHistoryBy: these affect all instances, so they run alone.

import { setTimeout as sleep } from "node:timers/promises";

import { checkAlone, equal, refused, truly } from "./checks.mjs";
import { durable } from "./library.mjs";
import { fresh } from "./world.mjs";

const Status = durable.OrchestrationRuntimeStatus;
const DAY = 86_400_000;

/** Methods of the library's class that its types do not show. */
const INTERNAL = [
  "constructor",
  "createGenericError",
  "createHttpResponse",
  "extractUniqueWebhookOrigins",
  "extractWebhookOrigins",
  "getClientResponseLinks",
  "getDistributedTracingHeaders",
  "getStatusInternal",
  "hasValidRequestUrl",
];

const idsOf = (statuses) => statuses.map(({ instanceId }) => instanceId).sort();

/** One instance of each status, and moments before the first and after the last was created. */
async function group(world) {
  await sleep(5);
  const createdTimeFrom = new Date();
  const ids = {};
  for (const state of ["completed", "failed", "terminated", "running", "suspended"]) ids[state] = await world.instance(state);
  await sleep(5);
  return { ids, time: { createdTimeFrom, createdTimeTo: new Date() } };
}

checkAlone("getStatusBy created time and status", async (world) => {
  const { ids, time } = await group(world);
  const by = async (filter) => idsOf(await world.client.getStatusBy(filter));
  const all = Object.values(ids).sort();
  equal(await by(time), all, "all of the time");
  equal(await by({ createdTimeFrom: time.createdTimeFrom }), all, "all from then on");
  const before = await by({ createdTimeTo: time.createdTimeFrom });
  truly(before.length > 0 && !before.some((id) => all.includes(id)), "all before then are wrong");
  const endedBadly = [Status.Failed, Status.Terminated];
  for (const runtimeStatus of [[Status.Completed], endedBadly, [Status.Running], [Status.Suspended], [Status.Canceled]]) {
    const expected = runtimeStatus.map((status) => ids[status.toLowerCase()]).filter(Boolean).sort();
    equal(await by({ ...time, runtimeStatus }), expected, `those that are ${runtimeStatus}`);
  }
  equal(await by({ createdTimeFrom: new Date(Date.now() + DAY) }), [], "those of tomorrow");
});

checkAlone("getStatusBy without a filter is getStatusAll", async (world) => {
  const everything = idsOf(await world.client.getStatusAll());
  truly(everything.length > 5, `there are only ${everything}`);
  equal(idsOf(await world.client.getStatusBy({})), everything, "all instances");
});

checkAlone("purgeInstanceHistoryBy created time and status", async (world) => {
  const { ids, time } = await group(world);
  const purge = async (filter) => (await world.client.purgeInstanceHistoryBy(filter)).instancesDeleted;
  equal(await purge({ ...time, runtimeStatus: [Status.Failed] }), 1, "the number of the failed");
  equal(await purge({ ...time, runtimeStatus: [Status.Failed] }), 0, "the number, the second time");
  equal(await purge({ createdTimeFrom: new Date(Date.now() + DAY) }), 0, "the number of tomorrow");
  equal(await purge(time), 2, "the number of all that have ended");
  equal(idsOf(await world.client.getStatusBy(time)), [ids.running, ids.suspended].sort(), "what is left");
  const byClient = /createdTimeFrom must be a valid Date/;
  const byHost = /400.*Please provide value for 'createdTimeFrom' parameter\./;
  await refused(() => purge({ createdTimeTo: new Date() }), world.webhooks ? byClient : byHost);
});

checkAlone("more instances than one page has: the client follows the pages", async (world) => {
  const count = 1_005;
  const prefix = fresh();
  const createdTimeFrom = new Date();
  const numbers = Array.from({ length: count }, (_, number) => number);
  const expected = numbers.map((number) => `${prefix}-${number}`).sort();
  const workers = Array.from({ length: 25 }, async () => {
    for (let number = numbers.pop(); number !== undefined; number = numbers.pop()) {
      await world.client.startNew("echo_orchestrator", { instanceId: `${prefix}-${number}`, input: number });
    }
  });
  await Promise.all(workers);
  const all = idsOf(await world.client.getStatusAll());
  equal(all.length, new Set(all).size, "the number of instances, of which each should be there once,");
  equal(all.filter((id) => id.startsWith(prefix)), expected, "the ids of all pages");
  equal(idsOf(await world.client.getStatusBy({ createdTimeFrom })), expected, "the ids of all pages since then");
  await world.reading(
    () => world.client.getStatusBy({ createdTimeFrom, runtimeStatus: [Status.Pending, Status.Running] }),
    (busy) => busy.length === 0,
    "what has not ended",
  );
  const { instancesDeleted } = await world.client.purgeInstanceHistoryBy({ createdTimeFrom, runtimeStatus: [Status.Completed] });
  equal(instancesDeleted, count, "the number of purged instances");
  equal(await world.client.getStatusBy({ createdTimeFrom }), [], "what is left");
});

checkAlone("every public method of the client was called", async (world) => {
  const methods = Object.getOwnPropertyNames(Object.getPrototypeOf(world.realClient)).filter((name) => !INTERNAL.includes(name));
  truly(methods.length >= 16, `the client has only ${methods}`);
  equal(methods.filter((name) => !world.called.has(name)), [], "the methods that were not called");
});
