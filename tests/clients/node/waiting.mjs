// waitForCompletionOrCreateCheckStatusResponse.

import { setTimeout as sleep } from "node:timers/promises";

import { check, equal, refused, truly } from "./checks.mjs";
import { STATES, statusName } from "./world.mjs";

async function wait(world, id, timeoutInMilliseconds = 300, retryIntervalInMilliseconds = 100) {
  const options = { timeoutInMilliseconds, retryIntervalInMilliseconds };
  const answer = await world.client.waitForCompletionOrCreateCheckStatusResponse(world.trigger(), id, options);
  return [answer.status, await answer.json()];
}

for (const state of STATES) {
  check(`wait for completion of a ${state} instance`, async (world) => {
    const id = await world.instance(state);
    if (state === "missing") {
      await refused(() => wait(world, id), /HTTP 404 response/);
      return;
    }
    const [code, body] = await wait(world, id);
    if (state === "completed") {
      equal([code, body], [200, { a: 1 }], "the answer");
    } else if (state === "failed" || state === "terminated") {
      equal([code, body.runtimeStatus], [state === "failed" ? 500 : 200, statusName(state)], "status code and status");
      equal(body.instanceId, id, "the id");
    } else {
      equal(code, 202, "the status code");
      truly(body.statusQueryGetUri.includes(`/instances/${id}?`), `the link is ${body.statusQueryGetUri}`);
    }
  });
}

check("wait for completion with falsy outputs", async (world) => {
  // The library's own response has an empty body for null.
  for (const [input, body] of [[null, ""], [0, "0"], ["", '""'], [false, "false"], [[], "[]"]]) {
    const id = await world.client.startNew("echo_orchestrator", { input });
    equal((await world.until(id, "Completed")).output, input, "the output");
    const answer = await world.client.waitForCompletionOrCreateCheckStatusResponse(world.trigger(), id);
    equal([answer.status, await answer.text()], [200, body], "the answer");
  }
});

check("wait for completion of an instance that completes meanwhile", async (world) => {
  const id = await world.instance("running");
  const waiting = wait(world, id, 20_000, 50);
  await sleep(200);
  await world.client.raiseEvent(id, "Done", null);
  equal(await waiting, [200, []], "the answer");
});

check("wait for completion with an interval longer than the timeout is refused by the client", async (world) => {
  await refused(() => wait(world, "any", 100, 200), /should be bigger than retry timeout/);
});
