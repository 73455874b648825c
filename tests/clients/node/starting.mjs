// startNew: inputs, ids, versions, refusals.

import { check, equal, refused, truly } from "./checks.mjs";
import { ENDED, fresh } from "./world.mjs";

export const INPUTS = {
  null: null,
  zero: 0,
  "a number": -12.5,
  "an empty string": "",
  false: false,
  true: true,
  "an empty list": [],
  "an empty object": {},
  "a string": "hello",
  "a nested value": { a: [1, { b: null }], c: { d: [[], {}] } },
  unicode: "gr\u00fc\u00df \u65e5\u672c\u8a9e \u{1F600} \u0000 \u2028",
  "what looks like JSON": '{"a":1}',
  "a megabyte": "large \u00e4 ".repeat(120_000),
};

for (const [name, input] of Object.entries(INPUTS)) {
  check(`startNew with ${name} as input`, async (world) => {
    const id = await world.client.startNew("echo_orchestrator", { input });
    await world.until(id, "Completed");
    const status = await world.client.getStatus(id, { showInput: true });
    equal([status.input, status.output], [input, input], "input and output");
  });
}

check("startNew without an input sends an empty string", async (world) => {
  for (const options of [undefined, {}, { input: undefined }]) {
    const id = await world.client.startNew("echo_orchestrator", options);
    const status = await world.until(id, "Completed");
    equal([status.input, status.output], ["", ""], "input and output");
    equal(id.length, 32, `the length of the new id ${id}`);
  }
});

const IDS = {
  spaces: "two words here",
  "a plus": "a+b",
  "a colon": "urn:order:1",
  "an ampersand": "a&b",
  "a semicolon": "a;b",
  "an equals sign": "a=b",
  unicode: "gr\u00fc\u00df-\u65e5\u672c\u8a9e-\u{1F600}",
  "an at sign": "ada@example.org",
  quotes: "it's \"it\"",
  brackets: "[a]{b}(c)<d>",
  "a lone percent sign": "100%",
  "other marks": "~!$*,|^`_.-",
  "256 characters": "x".repeat(212),
};

for (const [name, text] of Object.entries(IDS)) {
  check(`an id with ${name}`, async (world) => {
    const { client } = world;
    const id = `${fresh()}-${fresh().slice(0, 8)}${text}`.slice(0, 256);
    equal(await client.startNew("collect_events", { instanceId: id }), id, "the id of the new instance");
    equal((await world.until(id, "Running")).instanceId, id, "the id in the status");
    await client.suspend(id, "r");
    await client.resume(id, "r");
    await client.raiseEvent(id, "Done", null);
    equal((await world.until(id, "Completed")).output, [], "the output");
    truly((await client.getStatusAll()).some((status) => status.instanceId === id), "it is not in the list");
    equal((await client.purgeInstanceHistory(id)).instancesDeleted, 1, "the number of purged instances");
    equal(await world.statusOrNone(id), null, "the status after the purge");
  });
}

check("an id that is encoded already is decoded once", async (world) => {
  const suffix = fresh();
  equal(await world.client.startNew("echo_orchestrator", { instanceId: `p%41q-${suffix}` }), `pAq-${suffix}`, "the id");
  await world.until(`pAq-${suffix}`, "Completed");
});

for (const [name, instanceId, pattern] of [
  ["of an entity", "@counter@x", /400.*@/],
  ["that is too long", "x".repeat(257), /400.*256/],
  ["with a slash", "a/b", /404/],
  ["with an encoded slash", "a%2Fb", /400.*\//],
  ["with a control character", "a\u0007b", /400.*not allowed/],
]) {
  check(`an id ${name} is refused`, async (world) => {
    await refused(() => world.client.startNew("echo_orchestrator", { instanceId }), pattern);
    equal((await world.raw("GET", "instances?top=1"))[0], 200, "the status code of the next request");
  });
}

check("startNew with a version", async (world) => {
  for (const version of ["2.0 beta", "1", "\u00e4+&=#%41"]) {
    const id = await world.client.startNew("seen", { version });
    equal((await world.until(id, "Completed")).output.version, version, "the version that the orchestrator sees");
  }
});

check("startNew of an unknown orchestrator says which are known", async (world) => {
  const pattern = /400.*The function 'nobody' doesn't exist.*known orchestrator functions.*'echo_orchestrator'/;
  await refused(() => world.client.startNew("nobody"), pattern);
  await refused(() => world.client.startNew(""), /orchestratorFunctionName must be a valid string/);
});

for (const state of ["running", "suspended", "pending"]) {
  check(`startNew on the id of a ${state} instance is refused`, async (world) => {
    const instanceId = await world.instance(state);
    await refused(() => world.client.startNew("echo_orchestrator", { instanceId }), /409.*already exists/);
    equal((await world.client.getStatus(instanceId)).runtimeStatus.toLowerCase(), state, "the status afterwards");
  });
}

for (const state of ENDED) {
  check(`startNew on the id of a ${state} instance replaces it`, async (world) => {
    const instanceId = await world.instance(state);
    equal(await world.client.startNew("echo_orchestrator", { instanceId, input: "again" }), instanceId, "the id");
    const status = await world.reading(() => world.client.getStatus(instanceId), ({ output }) => output === "again", "the status");
    equal([status.name, status.input], ["echo_orchestrator", "again"], "name and input");
  });
}

check("startNew of one id many times at once starts one", async (world) => {
  const instanceId = fresh();
  const starts = Array.from({ length: 12 }, () => world.client.startNew("collect_events", { instanceId }));
  const answers = await Promise.allSettled(starts);
  const started = answers.filter(({ status }) => status === "fulfilled").map(({ value }) => value);
  equal(started, [instanceId], "the successful starts");
  const refusals = answers.filter(({ status }) => status === "rejected").map(({ reason }) => reason.message);
  truly(refusals.every((message) => /409/.test(message)), `${refusals}`);
});
