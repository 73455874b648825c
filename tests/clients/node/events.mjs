// raiseEvent: payloads, names, every state.

import { check, equal, refused } from "./checks.mjs";
import { INPUTS } from "./starting.mjs";
import { STATES, fresh } from "./world.mjs";

check("raiseEvent with every kind of payload", async (world) => {
  const id = await world.instance("running");
  const payloads = Object.values(INPUTS);
  for (const payload of payloads) await world.client.raiseEvent(id, "Item", payload);
  await world.client.raiseEvent(id, "Done", "now");
  equal((await world.until(id, "Completed")).output, payloads, "what was received, in order");
});

check("raiseEvent without a payload is null", async (world) => {
  const id = await world.instance("running");
  await world.client.raiseEvent(id, "Item");
  await world.client.raiseEvent(id, "Item", undefined);
  await world.client.raiseEvent(id, "Done");
  equal((await world.until(id, "Completed")).output, [null, null], "what was received");
});

for (const state of STATES) {
  check(`raiseEvent to a ${state} instance`, async (world) => {
    const id = await world.instance(state);
    const call = () => world.client.raiseEvent(id, "Item", 1);
    if (state === "missing") {
      await refused(call, new RegExp(`^No instance with ID '${id}' found.$`));
    } else {
      // The client treats a 410 as success: an ended instance is no error.
      equal(await call(), undefined, "the answer");
    }
  });
}

check("raiseEvent to a suspended instance is kept until it is resumed", async (world) => {
  const id = await world.client.startNew("keep_events", { input: [3, []] });
  await world.until(id, "Running");
  await world.client.suspend(id, "for now");
  for (const number of [0, 1, 2]) await world.client.raiseEvent(id, "Item", number);
  equal((await world.client.getStatus(id)).runtimeStatus, "Suspended", "the status");
  await world.client.resume(id, "go on");
  equal((await world.until(id, "Completed")).output, [0, 1, 2], "what was received");
});

check("raiseEvent before the orchestrator waits is kept", async (world) => {
  const id = await world.client.startNew("chain_then_wait", { input: 20 });
  await world.client.raiseEvent(id, "go", "early");
  equal((await world.until(id, "Completed")).output, "early", "the output");
});

for (const [waitsFor, raises] of [
  ["Go", "Go"],
  ["Go", "gO"],
  ["Go On", "Go On"],
  ["gr\u00fc\u00df \u65e5\u672c", "gr\u00fc\u00df \u65e5\u672c"],
  ["a+b:c;d=e&f", "a+b:c;d=e&f"],
  ["\u00c4", "\u00e4"],
]) {
  check(`raiseEvent '${raises}' wakes who waits for '${waitsFor}'`, async (world) => {
    const id = await world.client.startNew("wait_event", { input: waitsFor });
    await world.client.raiseEvent(id, raises, 5);
    equal((await world.until(id, "Completed")).output, 5, "the output");
  });
}

check("raiseEvent with a task hub and a connection", async (world) => {
  const id = await world.instance("running");
  await world.client.raiseEvent(id, "Done", null, { taskHubName: world.hub, connectionName: "Storage" });
  await world.until(id, "Completed");
  const another = await world.instance("running");
  const options = { taskHubName: "Elsewhere", connectionName: "Other" };
  const elsewhere = world.webhooks ? /No instance with ID/ : /403.*opens nothing else/;
  await refused(() => world.client.raiseEvent(another, "Done", null, options), elsewhere);
});

check("raiseEvent without a name is refused by the client", async (world) => {
  await refused(() => world.client.raiseEvent(fresh(), "", 1), /eventName must be a valid string/);
});
