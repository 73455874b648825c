/** Mistakes in apps end in failures that explain them. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { failureOfError } from "../src/failure.js";
import { console } from "../src/globals/console.js";
import { orchestrator } from "../src/index.js";
import { inspect, inspectAll } from "../src/inspect.js";
import * as df from "../src/durable-functions.js";
import { testEntity, testOrchestrator } from "../src/testing.js";

function cycle() {
  const self = {};
  return Object.assign(self, { self });
}

async function fails(name, errorType, words) {
  const { failureDetails } = (await testOrchestrator(name).activity("work", () => "done").run()).error;
  assert.equal(failureDetails.errorType, errorType);
  assert.match(failureDetails.errorMessage, words);
  assert.equal(failureDetails.isNonRetriable, true);
}

test("what is no task is refused", async () => {
  const yields = {
    yieldsANumber: [() => 42, /data of type number\. Only tasks/],
    yieldsNothing: [(context) => context.df.setCustomStatus("busy"), /data of type undefined.* without `yield`/],
    yieldsAList: [(context) => [context.df.callActivity("work")], /Task\.all/],
    yieldsAPromise: [() => Promise.resolve(42), /awaited, in an `async` orchestrator/],
  };
  for (const [name, [make, words]] of Object.entries(yields)) {
    df.app.orchestration(name, function* (context) {
      yield make(context);
    });
    await fails(name, "NotATask", words);
  }
});

test("an asynchronous generator is no orchestrator", async () => {
  df.app.orchestration("asyncGenerator", async function* () {});
  await fails("asyncGenerator", "InvalidOrchestrator", /cannot be an async generator/);
});

test("what never settles is found out, and what is not durable is refused", async () => {
  orchestrator("stuck", () => new Promise(() => {}));
  await fails("stuck", "NothingToWaitFor", /never completes.*must come from its context/);
});

test("an orchestration cannot be started under the own id", async () => {
  orchestrator("startsItself", (context) => {
    try {
      context.startOrchestration("other", null, { instanceId: context.instanceId });
    } catch (error) {
      return error.name;
    }
  });
  assert.equal((await testOrchestrator("startsItself").run()).output, "RangeError");
});

test("what throws while it is shown ends nothing", () => {
  const throws = () => {
    throw null;
  };
  const revoked = Proxy.revocable({}, {});
  revoked.revoke();
  const nameless = Object.create(null);
  const error = Object.defineProperty(new Error("x"), "message", { get: throws });
  assert.equal(inspect({ a: 1, get b() { return throws(); } }), "{ a: 1, b: [Getter: it threw] }");
  assert.equal(inspect([revoked.proxy, error]), "[[it cannot be looked at], [it cannot be looked at]]");
  assert.equal(inspect(Object.defineProperty({ a: 1 }, "constructor", { get: throws })), "{ a: 1 }");
  assert.equal(inspectAll(["%d %i %f %s", Symbol("s"), nameless, Symbol("t"), Symbol("u")]), "NaN NaN NaN Symbol(u)");
  console.count(Symbol("label"));
  orchestrator("throwsNull", () => ({ toJSON: throws }));
  return fails("throwsNull", "InvalidOutput", /cannot be written as JSON: null/);
});

test("what is not JSON is named", async () => {
  for (const [name, value] of Object.entries({ cycle: cycle(), bigint: 42n })) {
    orchestrator(`${name}Output`, () => value);
    orchestrator(`${name}Input`, (context) => context.callActivity("work", value));
    orchestrator(`${name}Event`, (context) => context.sendEvent("i", "e", value));
    orchestrator(`${name}Status`, (context) => context.setCustomStatus(value));
    await fails(`${name}Output`, "InvalidOutput", /^the output of '.*' cannot be written as JSON/);
    await fails(`${name}Input`, "InvalidInput", /^the input of the activity 'work'/);
    await fails(`${name}Event`, "InvalidInput", /^the data of the event 'e'/);
    await fails(`${name}Status`, "InvalidInput", /^the custom status/);
  }
  df.app.entity("vault", (context) => context.df.setState(cycle()));
  await assert.rejects(testEntity("vault", "fill"), { name: "InvalidState", message: /^the state of @vault@test/ });
});

test("whatever is thrown becomes a failure", () => {
  const wordless = {
    toString() {
      throw new Error("no text");
    },
    toJSON() {
      throw new Error("no JSON");
    },
  };
  const messages = [["text", "text"], [undefined, "undefined"], [{ code: 7 }, '{"code":7}'], [wordless, "what was thrown has no text"]];
  for (const [thrown, message] of messages) {
    assert.deepEqual(failureOfError(thrown), { errorType: "Error", message, details: null, retriable: true });
  }
  const unreadable = new Proxy(new Error("x"), {
    get() {
      throw new Error("unreadable");
    },
  });
  assert.equal(failureOfError(unreadable).errorType, "Error");
});

test("causes that go in a circle are told once", () => {
  const inner = new Error("inner");
  inner.cause = new Error("outer", { cause: inner });
  const { details } = failureOfError(inner.cause);
  assert.equal(details.match(/caused by: Error: inner/g).length, 1);
  assert.doesNotMatch(details, /caused by: Error: outer/);
});
