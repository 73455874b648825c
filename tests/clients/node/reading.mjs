// getStatus: every state and every flag.

import { check, equal, refused, truly } from "./checks.mjs";
import { STATES, statusName } from "./world.mjs";

for (const state of STATES) {
  check(`getStatus of a ${state} instance`, async (world) => {
    const id = await world.instance(state);
    if (state === "missing") {
      const pattern = new RegExp(`HTTP 404 response.*could not find any data.*${id}\\.$`);
      await refused(() => world.client.getStatus(id), pattern);
      return;
    }
    const status = await world.client.getStatus(id);
    equal([status.instanceId, status.runtimeStatus], [id, statusName(state)], "id and status");
    const { createdTime, lastUpdatedTime } = status;
    truly(createdTime instanceof Date && Math.abs(Date.now() - createdTime) < 300_000, `it was created at ${createdTime}`);
    truly(createdTime <= lastUpdatedTime && lastUpdatedTime <= Date.now(), `it was updated at ${lastUpdatedTime}`);
  });
}

check("getStatus of a failed instance says why", async (world) => {
  const { name, output } = await world.client.getStatus(await world.instance("failed"));
  equal(name, "return_error", "the name");
  truly(/^Orchestrator function 'return_error' failed: .*the probe fails/.test(output), `the output is ${output}`);
});

check("getStatus of a terminated instance has the reason as its output", async (world) => {
  equal((await world.client.getStatus(await world.instance("terminated"))).output, "not needed", "the output");
});

check("getStatus has the custom status", async (world) => {
  const id = await world.client.startNew("set_status", { input: 5 });
  const status = await world.reading(() => world.client.getStatus(id), ({ customStatus }) => customStatus !== null, "the status");
  equal(status.customStatus, "xxxxx", "the custom status");
});

for (const [flags, results] of [
  [{}, null],
  [{ showInput: true }, null],
  [{ showHistoryOutput: true }, null],
  [{ showHistory: true }, [undefined, undefined, undefined]],
  [{ showHistory: true, showHistoryOutput: true }, [1, 2, 2]],
  [{ showHistory: true, showHistoryOutput: true, showInput: true }, [1, 2, 2]],
]) {
  check(`getStatus with ${Object.keys(flags).join(", ") || "no flags"}`, async (world) => {
    const id = await world.client.startNew("chain", { input: 2 });
    await world.until(id, "Completed");
    const { history } = await world.client.getStatus(id, flags);
    if (results === null) {
      equal(history, undefined, "the history");
      return;
    }
    const types = history.map(({ EventType }) => EventType);
    equal(types, ["ExecutionStarted", "TaskCompleted", "TaskCompleted", "ExecutionCompleted"], "the types of the events");
    equal([history[0].FunctionName, history[1].FunctionName], ["chain", "add_one"], "the functions");
    equal(history.slice(1).map(({ Result }) => Result), results, "the results");
    truly(history[1].ScheduledTime <= history[1].Timestamp, JSON.stringify(history[1]));
    equal(history[3].OrchestrationStatus, "Completed", "how it ended");
  });
}

check("getStatus with and without the input", async (world) => {
  const id = await world.instance("completed");
  equal((await world.client.getStatus(id, { showInput: true })).input, { a: 1 }, "the input");
  equal((await world.client.getStatus(id)).input, { a: 1 }, "the input, without the flag");
  // With a base address for RPC the library does not send a flag that is false.
  const { input } = await world.client.getStatus(id, { showInput: false });
  equal(input, world.webhooks ? null : { a: 1 }, "the input that was not requested");
});
