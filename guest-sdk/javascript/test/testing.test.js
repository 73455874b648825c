import assert from "node:assert/strict";
import { test } from "node:test";

import { activity, DurableError, entity, orchestrator } from "../src/index.js";
import * as df from "../src/durable-functions.js";
import { testEntity, testOrchestrator } from "../src/testing.js";

const reserve = activity("reserve", (item) => `reservation of ${item}`);

const order = orchestrator("order", async (ctx, item) => {
  const reservation = await ctx.callActivity(reserve, item, { retry: { maxAttempts: 3, firstInterval: { seconds: 1 }, backoffCoefficient: 2 } });
  const approved = await ctx.waitForExternalEvent("Approval", { timeout: { days: 3 } });
  if (!approved) {
    throw new DurableError(`${reservation} was not approved`, { type: "NotApproved", retriable: false });
  }
  return `${reservation} is on its way`;
});

test("an event in time wins the race, and time is skipped", async () => {
  const { output, elapsed, actions } = await testOrchestrator(order, "a lamp")
    .activity(reserve, (item) => `reservation of ${item}`)
    .event("approval", true, { after: { hours: 2 } })
    .run();
  assert.equal(output, "reservation of a lamp is on its way");
  assert.equal(elapsed, 2 * 3_600_000);
  assert.deepEqual(actions.map(({ type }) => type), ["callActivity", "waitForExternalEvent", "createTimer"]);
});

test("a failure is a result", async () => {
  const { error, elapsed } = await testOrchestrator(order, "a lamp").activity(reserve, () => "it").run();
  assert.equal(error.failureDetails.errorType, "NotApproved");
  assert.equal(error.failureDetails.isNonRetriable, true);
  assert.equal(elapsed, 3 * 86_400_000);
});

test("retries follow the policy", async () => {
  const attempts = [];
  const { output, elapsed } = await testOrchestrator(order, "a lamp")
    .activity(reserve, (_, { attempt }) => {
      attempts.push(attempt);
      if (attempt < 3) {
        throw new Error("busy");
      }
      return "it";
    })
    .event("Approval", true)
    .run();
  assert.equal(output, "it is on its way");
  assert.deepEqual(attempts, [1, 2, 3]);
  assert.equal(elapsed, 3000);
});

test("what the test does not script is named", async () => {
  const { error } = await testOrchestrator(order, "a lamp").run();
  assert.match(error.message, /calls the activity 'reserve', and the test has no result for it/);
});

test("generators run as they do on a host", async () => {
  df.app.orchestration("race", function* (context) {
    const slow = context.df.callActivity("slow", 1);
    const quick = context.df.callActivity("quick", 2);
    const winner = yield context.df.Task.any([slow, quick]);
    const both = yield context.df.Task.all([slow, quick]);
    return [winner === quick, both];
  });
  const { output } = await testOrchestrator("race")
    .activity("slow", () => "slow", { takes: { seconds: 5 } })
    .activity("quick", () => "quick", { takes: { seconds: 1 } })
    .run();
  assert.deepEqual(output, [true, ["slow", "quick"]]);
});

test("a task that is not yielded is not scheduled", async () => {
  df.app.orchestration("lazy", function* (context) {
    context.df.callActivity("never", 1);
    return yield context.df.callActivity("once", 2);
  });
  const { actions } = await testOrchestrator("lazy").activity("once", (input) => input).run();
  assert.deepEqual(actions, [{ type: "callActivity", name: "once", input: 2 }]);
});

test("a wait that lost a race does not take the event of the next one", async () => {
  df.app.orchestration("pings", function* (context) {
    const got = [];
    for (let round = 0; round < 3; round += 1) {
      const ping = context.df.waitForExternalEvent("Ping");
      const timer = context.df.createTimer(new Date(context.df.currentUtcDateTime.getTime() + 1000));
      const winner = yield context.df.Task.any([ping, timer]);
      got.push(winner === ping ? ping.result : "timeout");
    }
    return got;
  });
  const { output, actions } = await testOrchestrator("pings").event("Ping", "first", { after: 1500 }).event("Ping", "second", { after: 1600 }).run();
  assert.deepEqual(output, ["timeout", "first", "second"]);
  assert.equal(actions.filter(({ type }) => type === "waitForExternalEvent").length, 2, "the lost wait lends its handle");
});

test("a critical section has rules", async () => {
  df.app.orchestration("section", function* (context) {
    const [a, b] = ["a", "b"].map((key) => new df.EntityId("Account", key));
    const lock = yield context.df.lock(b, a);
    const broken = [];
    for (const attempt of [
      () => context.df.callEntity(new df.EntityId("Account", "c"), "get"),
      () => context.df.signalEntity(a, "add", 1),
      () => context.df.callSubOrchestrator("child"),
      () => context.df.lock(a),
    ]) {
      try {
        attempt();
      } catch (error) {
        broken.push(error.constructor.code);
      }
    }
    const value = yield context.df.callEntity(a, "get");
    lock.release();
    return { broken, value, isLocked: context.df.isLocked().isLocked };
  });
  const { output, actions } = await testOrchestrator("section").entity("Account", () => 7).run();
  assert.deepEqual(output, { broken: Array(4).fill("LOCKING_RULES_VIOLATION"), value: 7, isLocked: false });
  assert.deepEqual(actions.map(({ type }) => type), ["lockEntities", "callEntity", "unlockEntities"]);
});

test("entities of both styles", async () => {
  const counter = entity("counter", {
    initialState: () => 0,
    operations: {
      add(ctx, amount) {
        ctx.state += amount;
        return ctx.state;
      },
      reset: (ctx) => ctx.delete(),
    },
  });
  assert.deepEqual(await testEntity(counter, "add", 5), { output: 5, state: 5, signals: [] });
  assert.deepEqual(await testEntity(counter, "reset", undefined, { state: 5 }), { output: null, state: undefined, signals: [] });
  await assert.rejects(testEntity(counter, "toString"), { name: "OperationNotFound" });

  df.app.entity("classic", (context) => {
    context.df.setState(context.df.getState(() => 1) + context.df.getInput());
    context.df.signalEntity(new df.EntityId("log", "x"), "write", context.df.entityKey);
    context.df.return("done");
  });
  assert.deepEqual(await testEntity("classic", "add", 2), {
    output: "done",
    state: 3,
    signals: [{ entity: { name: "log", key: "x" }, operation: "write", input: "test" }],
  });
});

test("a registered function is called by itself, and may get a policy", async () => {
  const call = df.app.activity("registered", { handler: () => {} });
  const child = df.app.orchestration("child", function* () {});
  df.app.orchestration("callsRegistered", function* () {
    return [yield call(1), yield call(2).withRetry(new df.RetryOptions(10, 3)), yield child(3, "child-1")];
  });
  df.app.orchestration("awaitsRegistered", async () => await call(2).withRetry(new df.RetryOptions(10, 3)));
  for (const name of ["callsRegistered", "awaitsRegistered"]) {
    const { output, actions } = await testOrchestrator(name)
      .activity("registered", (input, { attempt }) => {
        if (input === 2 && attempt < 3) {
          throw new Error("again");
        }
        return input;
      })
      .subOrchestrator("child", (input, { instanceId }) => [input, instanceId])
      .run();
    assert.deepEqual(output, name === "callsRegistered" ? [1, 2, [3, "child-1"]] : 2);
    assert.equal(actions.length, name === "callsRegistered" ? 3 : 1);
  }
  assert.throws(() => call(1), /'registered' can be called in an orchestrator only/);
});

test("a child may ask for a version", async () => {
  df.app.orchestration("asksForVersions", function* (context) {
    const retry = new df.RetryOptions(10, 2);
    return [
      yield context.df.callSubOrchestrator("child", 1, "child-1", "2.0"),
      yield context.df.callSubOrchestratorWithRetry("child", retry, 2, undefined, "2.0"),
      yield context.df.callSubOrchestrator("child", 3),
    ];
  });
  const awaits = orchestrator("awaitsVersions", async (ctx) => [
    await ctx.callSubOrchestrator("child", 1, { instanceId: "child-1", version: "2.0" }),
    await ctx.callSubOrchestrator("child", 2, { version: "2.0", retry: { maxAttempts: 2, firstInterval: 10 } }),
    await ctx.callSubOrchestrator("child", 3),
  ]);
  for (const name of ["asksForVersions", awaits]) {
    const { output, actions } = await testOrchestrator(name).subOrchestrator("child", (_, { version }) => version ?? "none").run();
    assert.deepEqual(output, ["2.0", "2.0", "none"]);
    assert.deepEqual(actions.map(({ input, instanceId, version, retry }) => [input, instanceId, version, retry?.maxAttempts]), [
      [1, "child-1", "2.0", undefined],
      [2, undefined, "2.0", 2],
      [3, undefined, undefined, undefined],
    ]);
  }
});

test("a wait that is given up while its event is on its way leaves it to the next", async () => {
  const late = orchestrator("late", async (ctx) => {
    const first = await ctx.waitForExternalEvent("Go", { timeout: 1000 });
    const second = await ctx.waitForExternalEvent("Go", { timeout: 1000 });
    return [first ?? null, second ?? null];
  });
  const outcomes = [];
  for (const after of [500, 1000, 1500, 2500]) {
    outcomes.push((await testOrchestrator(late).event("Go", "went", { after }).run()).output);
  }
  assert.deepEqual(outcomes, [["went", null], ["went", null], [null, "went"], [null, null]]);
});

test("a wait that is given up when its event has arrived leaves it to the next", async () => {
  const stopped = orchestrator("stopped", async (ctx) => {
    const [stop, go] = [ctx.waitForExternalEvent("Stop"), ctx.waitForExternalEvent("Go")];
    const { task } = await ctx.any([stop, go]);
    go.cancel();
    return [task === stop, await ctx.waitForExternalEvent("Go"), await ctx.waitForExternalEvent("Go")];
  });
  const { output } = await testOrchestrator(stopped).event("Stop", null, { after: 5 }).event("Go", 1, { after: 5 }).event("Go", 2, { after: 5 }).run();
  assert.deepEqual(output, [true, 1, 2]);
});

test("what the original has not: scheduling without waiting, giving up a wait, starting and sending", async () => {
  df.app.orchestration("additions", function* (context) {
    context.df.createTimer(new Date(1000)).schedule().cancel();
    const go = context.df.waitForExternalEvent("Go").schedule();
    go.cancel();
    const id = context.df.startOrchestration("other", { a: 1 }, "other-1");
    context.df.sendEvent(id, "Go", 5);
    return [id, go.isCompleted];
  });
  const { output, actions } = await testOrchestrator("additions").run();
  assert.deepEqual(output, ["other-1", true]);
  assert.deepEqual(actions, [
    { type: "createTimer", fireAt: new Date(1000) },
    { type: "waitForExternalEvent", name: "Go" },
    { type: "startOrchestration", name: "other", input: { a: 1 }, instanceId: "other-1" },
    { type: "sendEvent", instanceId: "other-1", name: "Go", data: 5 },
  ]);
});

test("properties of a failure reach the caller", async () => {
  df.app.orchestration("asksWhy", function* (context) {
    try {
      yield context.df.callActivity("charge");
    } catch ({ failureDetails: { errorType, properties, isNonRetriable } }) {
      return { errorType, properties, isNonRetriable };
    }
  });
  const { output } = await testOrchestrator("asksWhy")
    .activity("charge", () => {
      throw new DurableError("no", { type: "Declined", retriable: false, properties: { cents: 1999 } });
    })
    .run();
  assert.deepEqual(output, { errorType: "Declined", properties: { cents: 1999 }, isNonRetriable: true });
});

test("HTTP, custom status and continue as new", async () => {
  df.app.orchestration("calls", function* (context) {
    const response = yield context.df.callHttp({ method: "POST", url: "http://example.org/", body: { a: 1 }, enablePolling: false });
    context.df.setCustomStatus({ got: response.statusCode });
    context.df.continueAsNew({ round: 2 });
  });
  const { actions, customStatus, continuedAsNew } = await testOrchestrator("calls")
    .http(({ content }) => ({ statusCode: 200, headers: {}, content }))
    .run();
  assert.deepEqual(actions[0], { type: "callHttp", method: "POST", uri: "http://example.org/", content: '{"a":1}', asynchronousPatternEnabled: false });
  assert.deepEqual(customStatus, { got: 200 });
  assert.deepEqual(continuedAsNew, { input: { round: 2 } });
});
