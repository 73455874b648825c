import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
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

const stubborn = orchestrator("stubborn", (ctx, policy) => ctx.callActivity(reserve, "a lamp", { retry: policy }));

test("attempts begin when the host's do, which is held to the same cases", async () => {
  const cases = JSON.parse(await readFile(new URL("../../tests/retries.json", import.meta.url), "utf8"));
  for (const { what, policy, takes = 0, failures, attempts, succeeds } of cases) {
    let made = 0;
    const { output, elapsed } = await testOrchestrator(stubborn, policy)
      .activity(
        reserve,
        (_, { attempt }) => {
          made += 1;
          assert.equal(attempt, made, what);
          if (failures[attempt - 1] !== undefined) {
            throw new DurableError("not yet", { type: failures[attempt - 1] });
          }
          return "it";
        },
        { takes: { milliseconds: takes } },
      )
      .run();
    assert.equal(made, attempts.length, what);
    assert.equal(elapsed, attempts.at(-1) + takes, what);
    assert.equal(output === "it", succeeds, what);
  }
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

test("a task that has settled may be yielded and awaited again, as often as one likes", async () => {
  df.app.orchestration("again", function* (context) {
    const task = context.df.callActivity("once");
    let count = 0;
    for (let round = 0; round < 20_000; round += 1) {
      count += yield task;
    }
    return count;
  });
  df.app.orchestration("awaitsAny", async (context) => {
    const tasks = [context.df.callActivity("once"), context.df.waitForExternalEvent("never")];
    return [await context.df.Task.any(tasks), await tasks[0]];
  });
  const run = async (name) => (await testOrchestrator(name).activity("once", () => 1).run()).output;
  assert.equal(await run("again"), 20_000);
  assert.deepEqual(await run("awaitsAny"), [1, 1]);
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
  const { output } = await testOrchestrator("pings").event("Ping", "first", { after: 1500 }).event("Ping", "second", { after: 1600 }).run();
  assert.deepEqual(output, ["timeout", "first", "second"]);
});

test("an event that comes while nobody waits for it is left to the next wait", async () => {
  df.app.orchestration("busy", function* (context) {
    const lost = context.df.waitForExternalEvent("Ping");
    const timer = context.df.createTimer(new Date(context.df.currentUtcDateTime.getTime() + 1000));
    yield context.df.Task.any([lost, timer]);
    yield context.df.callActivity("long");
    const next = yield context.df.waitForExternalEvent("Ping");
    return [lost.isCompleted, next];
  });
  const { output } = await testOrchestrator("busy").activity("long", () => 1, { takes: 1000 }).event("Ping", "here", { after: 1500 }).run();
  assert.deepEqual(output, [false, "here"]);
});

test("results are taken as they come, from a race of all that are left", async () => {
  df.app.orchestration("drain", function* (context) {
    const pending = Array.from({ length: 100 }, (_, index) => context.df.callActivity("one", index));
    const order = [];
    while (pending.length > 0) {
      const winner = yield context.df.Task.any(pending);
      order.push(winner.result);
      pending.splice(pending.indexOf(winner), 1);
    }
    return order;
  });
  const { output } = await testOrchestrator("drain").activity("one", (index) => index).run();
  assert.deepEqual(output, Array.from({ length: 100 }, (_, index) => index));
});

test("what is no task is refused where it is yielded, and what cannot be called where it is called", async () => {
  df.app.orchestration("wrong", function* (context) {
    const refused = [];
    const attempts = [
      () => context.df.callSubOrchestrator("child", null, 1700),
      () => context.df.callSubOrchestrator("child", null, "id", 2),
      () => context.df.callEntity(new df.EntityId("box", "k"), 7),
      () => context.df.callActivityWithRetry("a", Object.assign(new df.RetryOptions(20, 2), { backoffCoefficient: "2" })),
      () => context.df.waitForExternalEvent(5),
      () => context.df.callHttp({ url: "http://localhost/" }),
      () => context.df.sendEvent(1800, "X"),
      () => context.df.startOrchestration("child", null, {}),
      () => new df.RetryOptions("20", "2"),
      () => context.df.Task.any([context.df.callActivity("a"), 1, null, "a"]),
      () => context.df.Task.all([{}]),
      () => 5,
    ];
    for (const attempt of attempts) {
      try {
        yield attempt();
      } catch (error) {
        refused.push(`${error.name}: ${error.message}`);
      }
    }
    return refused;
  });
  const { output } = await testOrchestrator("wrong").run();
  assert.deepEqual(
    output.map((refusal) => refusal.split(" (")[0]),
    [
      "TypeError: instanceId must be a string, not a number",
      "TypeError: version must be a string, not a number",
      "TypeError: The operation of an entity must be a string, not a number",
      "TypeError: backoffCoefficient must be a number, not a string",
      "TypeError: The name of an event must be a string, not a number",
      "TypeError: The method of callHttp must be a string, not undefined.",
      "TypeError: instanceId must be a string, not a number",
      "TypeError: instanceId must be a string, not an object",
      "TypeError: firstRetryIntervalInMilliseconds must be a number, not a string",
      "TypeError: Task.any takes a list of tasks.",
      "TypeError: Task.all takes a list of tasks.",
      "NotATask: Durable Functions programming constraint violation: the orchestration yielded data of type number. Only tasks can be yielded, as the calls of the context give them.",
    ],
  );
});

/** The error of each attempt: thrown at once, or where its task is yielded. */
async function refusals(name, attempts, prepare = (test) => test) {
  df.app.orchestration(name, function* (context) {
    const refused = [];
    for (const attempt of attempts) {
      try {
        yield attempt(context.df);
        refused.push("nothing");
      } catch (error) {
        refused.push(`${error.name}: ${error.message}`);
      }
    }
    return refused;
  });
  return (await prepare(testOrchestrator(name)).run()).output;
}

// The host ends an orchestrator that makes such a call, without an error that its code could catch. So the SDK refuses the
// call with one.
test("what the host would end an orchestrator for is refused where it is called", async () => {
  const box = (key) => new df.EntityId("box", key);
  const changed = Object.assign(box("k"), { key: 5 });
  const get = (options) => (d) => d.callHttp({ method: "GET", url: "http://localhost/", ...options });
  const cases = [
    [(d) => d.callActivity(""), /^TypeError: The name of an activity must be a string that is not empty/],
    [(d) => d.callActivity("a b"), /^RangeError: The name of an activity must not contain " "/],
    [(d) => d.callActivity("x".repeat(129)), /^RangeError: The name of an activity must have at most 128 characters/],
    [(d) => d.callSubOrchestrator(""), /^TypeError: The name of a sub-orchestration/],
    [(d) => d.callSubOrchestrator("child", null, "a/b"), /^RangeError: instanceId must not contain "\/"/],
    [(d) => d.callSubOrchestrator("child", null, "@box@k"), /^RangeError: instanceId must not begin with '@'/],
    [(d) => d.callSubOrchestrator("child", null, " "), /^RangeError: instanceId must not .* be white space only/],
    [(d) => d.callSubOrchestrator("child", null, ".."), /^RangeError: instanceId must not be '.' or '..'/],
    [(d) => d.callSubOrchestrator("child", null, "x".repeat(257)), /^RangeError: instanceId must have at most 256 characters: 'x{40}\.\.\.'/],
    [(d) => d.callSubOrchestrator("child", null, "id", "9".repeat(257)), /^RangeError: version must have at most 256 characters/],
    [(d) => d.callEntity(box("k"), "o".repeat(257)), /^RangeError: The operation of an entity must have at most 256 characters/],
    [(d) => d.startOrchestration("", 1), /^TypeError: The name of an orchestration/],
    [(d) => d.sendEvent("", "X"), /^TypeError: instanceId must be a string that is not empty/],
    [(d) => d.sendEvent("a", ""), /^TypeError: The name of an event/],
    [(d) => d.waitForExternalEvent(""), /^TypeError: The name of an event/],
    [(d) => d.callEntity(box("a/b"), "get"), /^RangeError: The id of an entity must not contain "\/"/],
    [(d) => d.callEntity(changed, "get"), /^TypeError: An entity id needs a key, a string/],
    [(d) => d.signalEntity(changed, "get"), /^TypeError: An entity id needs a key, a string/],
    [(d) => d.lock(), /^RangeError: lock needs at least one EntityId/],
    [(d) => d.lock(changed), /^TypeError: An entity id needs a key, a string/],
    [(d) => d.lock(box("a/b")), /^RangeError: The id of an entity must not contain/],
    [(d) => d.callHttp(), /^TypeError: The options of callHttp must be an object, not undefined/],
    [get({ url: undefined }), /^TypeError: The url of callHttp must be a string, not undefined/],
    [get({ url: "/x" }), /^TypeError: The url of callHttp must be an absolute http or https URL, and is '\/x'/],
    [get({ url: "ftp://localhost/" }), /^TypeError: The url of callHttp must be an absolute http/],
    [get({ url: "http://localhost:99999/" }), /^TypeError: The url of callHttp must be an absolute http/],
    [get({ url: "http://[::1" }), /^TypeError: The url of callHttp must be an absolute http/],
    [get({ enablePolling: "yes" }), /^TypeError: enablePolling must be a boolean, not a string \(yes\)/],
    [get({ timeoutMs: "x" }), /^TypeError: The timeoutMs of callHttp must be a number, not a string \(x\)/],
    [get({ timeoutMs: -5 }), /^RangeError: The timeoutMs of callHttp must not be negative/],
    [get({ timeoutMs: 0.5 }), /^RangeError: The timeoutMs of callHttp must be a whole number/],
    [get({ headers: "a: b" }), /^TypeError: The headers of callHttp must be an object, not a string/],
  ];
  const refused = await refusals("refused", cases.map(([attempt]) => attempt));
  refused.forEach((refusal, index) => assert.match(refusal, cases[index][1]));
});

test("a lock that is refused begins no critical section, and an input that is, no call", async () => {
  const cycle = {};
  cycle.self = cycle;
  const box = new df.EntityId("box", "k");
  const attempts = [
    (d) => d.lock(new df.EntityId("box", "a/b")),
    (d) => d.callSubOrchestrator("child"),
    (d) => d.lock(box),
    (d) => d.callEntity(box, "put", cycle),
    (d) => d.callEntity(box, "put", 1),
  ];
  const said = await refusals("afterRefusal", attempts, (test) => test.subOrchestrator("child", () => 1).entity("box", () => 1));
  assert.deepEqual(said.map((text) => text.split(":")[0]), ["RangeError", "nothing", "nothing", "InvalidInput", "nothing"]);
});

test("retry options and lists of tasks are checked by their names when they are used", async () => {
  const retry = (changes) => (d) => d.callActivityWithRetry("a", Object.assign(new df.RetryOptions(20, 2), changes));
  const cases = [
    [(d) => d.callActivityWithRetry("a", null), /^TypeError: retryOptions must be RetryOptions, not null/],
    [(d) => d.callActivityWithRetry("a", 5), /^TypeError: retryOptions must be RetryOptions, not a number \(5\)/],
    [(d) => d.callSubOrchestratorWithRetry("a"), /^TypeError: retryOptions must be RetryOptions, not undefined/],
    [(d) => d.callActivityWithRetry("a", {}), /^TypeError: firstRetryIntervalInMilliseconds must be a number, not undefined/],
    [() => new df.RetryOptions(20, Number.NaN), /^TypeError: maxNumberOfAttempts must be a number, not NaN/],
    [retry({ maxNumberOfAttempts: -1 }), /^RangeError: maxNumberOfAttempts must be at least 1/],
    [retry({ backoffCoefficient: -1 }), /^RangeError: backoffCoefficient must not be negative, and is -1/],
    [retry({ backoffCoefficient: Number.NaN }), /^TypeError: backoffCoefficient must be a number, not NaN/],
    [retry({ maxRetryIntervalInMilliseconds: -5 }), /^RangeError: maxRetryIntervalInMilliseconds must not be negative/],
    [retry({ nonRetriableErrorTypes: null }), /^TypeError: nonRetriableErrorTypes must be a list of strings, not null/],
    [retry({ nonRetriableErrorTypes: "Error" }), /^TypeError: nonRetriableErrorTypes must be a list of strings, not a string/],
    [retry({ nonRetriableErrorTypes: [5] }), /^TypeError: Each of nonRetriableErrorTypes must be a string/],
    [(d) => d.Task.all([, d.createTimer(new Date(0))]), /^TypeError: Task.all takes a list of tasks/],
    [(d) => d.Task.any(null), /^TypeError: Task.any takes a list of tasks/],
  ];
  const refused = await refusals("retries", cases.map(([attempt]) => attempt));
  refused.forEach((refusal, index) => assert.match(refusal, cases[index][1]));
});

test("addresses and headers of callHttp are taken as the host takes them", async () => {
  const half = "x-\ud83d";
  const urls = ["http://b\u00fccher.example/\u00fc", "HTTP://localhost", "http://[::1]:3000/", new URL("https://localhost/a b"), `http://localhost/${half}`];
  df.app.orchestration("addresses", function* (context) {
    for (const url of urls) {
      yield context.df.callHttp({ method: "GET", url, headers: { [half]: half }, timeoutMs: Infinity });
    }
    yield context.df.callHttp({ method: "GET", url: "http://localhost/", headers: new Map([["a", ["b", "c"]]]) });
  });
  const { actions } = await testOrchestrator("addresses").http(() => 1).run();
  const whole = "x-\ufffd";
  assert.deepEqual(actions.map(({ uri }) => uri), [...urls.slice(0, 3), "https://localhost/a%20b", `http://localhost/${whole}`, "http://localhost/"]);
  assert.deepEqual(actions[0].headers, { [whole]: whole });
  assert.deepEqual(actions[5].headers, { a: "b, c" });
});

test("half of an emoji becomes the replacement character wherever text leaves", async () => {
  df.app.orchestration("half", function* (context) {
    const half = "id-\u{1f600}".slice(0, 4);
    yield context.df.callSubOrchestrator("child", half, half);
    context.df.sendEvent(half, half, half);
    throw new RangeError(half);
  });
  const { actions, error } = await testOrchestrator("half").subOrchestrator("child", (input) => input).run();
  assert.deepEqual(
    actions.map(({ instanceId, name, input, data }) => [instanceId, name, input ?? data]),
    [
      ["id-\ufffd", "child", "id-\ud83d"],
      ["id-\ufffd", "id-\ufffd", "id-\ud83d"],
    ],
  );
  assert.equal(error.failureDetails?.errorMessage ?? error.message, "id-\ufffd");
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
