import assert from "node:assert/strict";
import { test } from "node:test";

import { JobPromise, runAsync, runJobs, takeUnhandledRejections } from "../src/promise.js";

/** What a program logs with the promises of the SDK must be what it logs with those of Node.js. */
async function compare(program) {
  const expected = [];
  program(Promise, (line) => expected.push(line));
  await new Promise((resolve) => setImmediate(resolve));
  const actual = [];
  program(JobPromise, (line) => actual.push(line));
  runJobs();
  assert.deepEqual(actual, expected);
}

test("jobs run in the order of the standard", () =>
  compare((P, log) => {
    const thenable = { then: (resolve) => resolve("thenable") };
    P.resolve(1).then(log).then(() => log("a2"));
    P.resolve(thenable).then(log);
    new P((resolve) => resolve(P.resolve("inner"))).then(log);
    P.reject(new Error("x")).catch((error) => log(error.message)).finally(() => log("finally"));
    P.resolve(2).then(() => P.resolve("nested")).then(log);
    P.resolve("passes").finally(() => "ignored").then(log);
    P.reject("thrown").finally(() => {}).then(log, (reason) => log(`rejected ${reason}`));
    P.resolve().then(() => { throw "late"; }).then(log, log);
    P.resolve("through").then(null, log).then(log);
    log("synchronous");
  }));

test("the body of an `async` function runs as by the standard", () =>
  compare((P, log) => {
    const body = (generator) => (P === Promise ? native(generator) : runAsync(null, [], generator));
    class Late extends P {
      then(...reactions) {
        log("a `then` of its own");
        return super.then(...reactions);
      }
    }
    const inner = () =>
      body(function* () {
        log(yield 1);
        log(yield P.resolve(2));
        log(yield { then: (resolve) => resolve(3) });
        log(yield new Late((resolve) => resolve(4)));
        try {
          yield P.reject("caught");
        } catch (error) {
          log(error);
        }
        return P.resolve("result");
      });
    inner().then(log);
    body(function* () {
      yield inner();
      throw "thrown";
    }).then(log, (error) => log(`rejected ${error}`));
    P.resolve().then(() => log("between"));
  }));

/** An `async` function of the engine that does what a generator does. */
async function native(generator) {
  const running = generator();
  let step = running.next();
  while (!step.done) {
    let value;
    try {
      value = await step.value;
    } catch (error) {
      step = running.throw(error);
      continue;
    }
    step = running.next(value);
  }
  return step.value;
}

test("combinators", () =>
  compare((P, log) => {
    const show = (name) => [(value) => log([name, JSON.stringify(value)]), (error) => log([name, "rejected", error.errors ?? error])];
    P.all([1, P.resolve(2), { then: (resolve) => resolve(3) }]).then(...show("all"));
    P.all([]).then(...show("none"));
    P.all([P.reject("first"), P.reject("second")]).then(...show("all rejected"));
    P.allSettled([P.reject("no"), 1]).then(...show("settled"));
    P.any([P.reject("no"), P.resolve("yes")]).then(...show("any"));
    P.any([P.reject("a"), P.reject("b")]).then(...show("any rejected"));
    P.any([]).then(...show("any of none"));
    P.race([new P(() => {}), P.resolve("winner")]).then(...show("race"));
  }));

test("a promise resolves once", () =>
  compare((P, log) => {
    new P((resolve, reject) => {
      resolve("first");
      reject("second");
      throw "third";
    }).then(log, log);
    const self = new P((resolve) => setSelf = resolve);
    var setSelf;
    setSelf(self);
    self.then(log, (error) => log(error.constructor.name));
    new P((resolve) => resolve(Object.defineProperty({}, "then", { get() { throw "getter"; } }))).then(log, log);
    new P((resolve) => resolve({ then(fulfil, reject) { fulfil("one"); reject("two"); throw "three"; } })).then(log, log);
  }));

test("classes derived from it", () =>
  compare((P, log) => {
    class Special extends P {}
    log(Special.resolve(1).then(() => {}) instanceof Special);
    log(Special.all([]) instanceof Special);
    const plain = P.resolve(1);
    log(Special.resolve(plain) === plain);
    log(P.resolve(plain) === plain);
    log(Object.prototype.toString.call(plain));
    log(P.name);
  }));

test("rejections that nobody listens to are told once", () => {
  JobPromise.reject("forgotten");
  JobPromise.reject("caught").catch(() => {});
  runJobs();
  assert.deepEqual(takeUnhandledRejections(), ["forgotten"]);
  assert.deepEqual(takeUnhandledRejections(), []);
});
