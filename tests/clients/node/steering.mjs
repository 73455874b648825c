// terminate, suspend, resume, rewind, purgeInstanceHistory: each in every state.

import { check, equal, refused, truly } from "./checks.mjs";
import { ENDED, STATES, fresh, statusName } from "./world.mjs";

/** The library does not escape a reason in the query: an `&` begins another parameter, and a `+` is a space. */
const REASONS = [
  ["it was time: a&b", "it was time: a"],
  ["a+b", "a b"],
  ["a=b; 100% gr\u00fc\u00df?", "a=b; 100% gr\u00fc\u00df?"],
];
const [REASON, CUT] = REASONS[0];

async function outcome(call, refusal) {
  if (refusal === undefined) equal(await call(), undefined, "the answer");
  else await refused(call, refusal);
}

async function statusIs(world, id, state) {
  if (state !== "missing") await world.until(id, statusName(state));
}

const missing = (id) => new RegExp(`^No instance with ID '${id}' found.$`);
const becomes = (state, next) => ([...ENDED, "missing"].includes(state) ? state : next);

for (const state of STATES) {
  // The library treats a 410 as success: an ended instance is no error.
  check(`terminate a ${state} instance`, async (world) => {
    const id = await world.instance(state);
    await outcome(() => world.client.terminate(id, REASON), state === "missing" ? missing(id) : undefined);
    await statusIs(world, id, becomes(state, "terminated"));
    if (!ENDED.includes(state) && state !== "missing") equal((await world.client.getStatus(id)).output, CUT, "the output");
  });

  check(`suspend a ${state} instance`, async (world) => {
    const id = await world.instance(state);
    const refusal = { missing: missing(id), suspended: /unexpected status code: 500.*[Cc]annot suspend/ }[state];
    await outcome(() => world.client.suspend(id, REASON), refusal);
    await statusIs(world, id, becomes(state, "suspended"));
  });

  check(`resume a ${state} instance`, async (world) => {
    const id = await world.instance(state);
    const notSuspended = /unexpected status code: 500.*[Cc]annot resume/;
    const refusal = { missing: missing(id), running: notSuspended, pending: notSuspended }[state];
    await outcome(() => world.client.resume(id, REASON), refusal);
    await statusIs(world, id, state === "suspended" ? "running" : state);
  });

  if (state !== "failed") {
    check(`rewind a ${state} instance`, async (world) => {
      const id = await world.instance(state);
      const refusal = state === "missing" ? /instance/i : /rewind|rewound/;
      await refused(() => world.client.rewind(id, "try again"), refusal);
      await refused(() => world.client.rewind(id, "try again"), /^(?!.*object Object)(?!The operation failed)/);
      await statusIs(world, id, state);
    });
  }

  check(`purgeInstanceHistory of a ${state} instance`, async (world) => {
    const id = await world.instance(state);
    const call = () => world.client.purgeInstanceHistory(id);
    if (["running", "suspended", "pending"].includes(state)) {
      const why = "Only orchestrations in a terminal state can be purged";
      await refused(call, new RegExp(`unexpected status code: 412.*${why}.*${id} has status ${statusName(state)}`));
      await statusIs(world, id, state);
      return;
    }
    equal((await call()).instancesDeleted, state === "missing" ? 0 : 1, "the number of purged instances");
    equal(await world.statusOrNone(id), null, "the status");
    equal((await call()).instancesDeleted, 0, "the number, the second time");
    equal(await world.raw("GET", `instances/${id}?showHistory=true`), [404, null], "the answer about its history");
  });
}

for (const [reason, arrives] of REASONS) {
  check(`the reason '${reason}'`, async (world) => {
    const id = await world.instance("running");
    await world.client.suspend(id, reason);
    await world.client.resume(id, "go on");
    const { history } = await world.client.getStatus(id, { showHistory: true });
    const reasons = history.filter(({ Reason }) => Reason).map(({ EventType, Reason }) => [EventType, Reason]);
    equal(reasons, [["ExecutionSuspended", arrives], ["ExecutionResumed", "go on"]], "the reasons in the history");
    await world.client.terminate(id, reason);
    equal((await world.until(id, "Terminated")).output, arrives, "the output");
  });
}

check("rewind a failed instance: what failed runs again, what succeeded does not", async (world) => {
  const [good, bad] = [`${fresh()}-on`, `${fresh()}-off`];
  const asked = async (name) => (await world.raw("GET", `${world.switchUrl}/${name}/asked`))[1];
  const id = await world.client.startNew("fetch_all", { input: [`${world.switchUrl}/${good}`, `${world.switchUrl}/${bad}`] });
  await world.until(id, "Failed");
  equal(await asked(good), 1, "how often the good service was asked");
  const before = await asked(bad);
  await world.raw("POST", `${world.switchUrl}/${bad}/on`);
  equal(await world.client.rewind(id, "the service is back"), undefined, "the answer");
  equal((await world.until(id, "Completed")).output, [200, 200], "the output");
  equal([await asked(good), await asked(bad)], [1, before + 1], "how often the services were asked");
  const { history } = await world.client.getStatus(id, { showHistory: true });
  truly(JSON.stringify(history).includes("the service is back"), `the reason is not in the history: ${JSON.stringify(history)}`);
});

check("rewind an instance that fails again", async (world) => {
  const id = await world.instance("failed");
  equal(await world.client.rewind(id, REASON), undefined, "the answer");
  await world.until(id, "Failed");
  await world.client.rewind(id, "again", { taskHubName: world.hub, connectionName: "Storage" });
  await world.until(id, "Failed");
});

check("terminate passes while an instance is busy", async (world) => {
  const id = await world.client.startNew("call", { input: { name: "sleep", input: 3000 } });
  await world.until(id, "Running");
  await world.client.terminate(id, "enough");
  equal((await world.until(id, "Terminated")).output, "enough", "the output");
});
