import assert from "node:assert/strict";
import { test } from "node:test";

import { testOrchestrator, testTrigger } from "dacapo-sdk/testing";

import { order, reserve, startOrder } from "../src/app.ts";

const reserved = () => testOrchestrator(order, "a lamp").activity(reserve, (item) => `the reservation of ${item}`);

test("an approved order is sent", async () => {
  const { output, elapsed } = await reserved().event("Approval", true, { after: { hours: 2 } }).run();
  assert.equal(output, "the reservation of a lamp is on its way");
  assert.equal(elapsed, 2 * 3_600_000);
});

test("without an answer it expires", async () => {
  const { output, elapsed } = await reserved().run();
  assert.equal(output, "the reservation of a lamp has expired");
  assert.equal(elapsed, 3 * 86_400_000);
});

test("a reservation is tried again", async () => {
  const { output, elapsed } = await testOrchestrator(order, "a lamp")
    .activity(reserve, (item, { attempt }) => {
      if (attempt < 3) {
        throw new Error("try later");
      }
      return "r-17";
    })
    .event("Approval", false)
    .run();
  assert.equal(output, "r-17 was rejected");
  assert.equal(elapsed, 1000 + 2000);
});

test("a request starts an order", async () => {
  const { response, actions } = await testTrigger(startOrder, { body: '"a lamp"' });
  assert.equal(response?.status, 202);
  assert.deepEqual(actions, [{ type: "startOrchestration", name: "order", input: "a lamp" }]);
});
