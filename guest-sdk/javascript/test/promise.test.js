import assert from "node:assert/strict";
import { test } from "node:test";

import { endRaces, FULFILLED, JobPromise, REACT, runAsync, runJobs, settleWants, takeUnhandledRejections, WANT } from "../src/promise.js";

/** A program must log the same with the promises of the SDK as with those of Node.js. */
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

/** A thenable that counts its waiters. */
function countingTask() {
  const reactions = [];
  return {
    wanted: 0,
    [REACT](reaction) {
      this.wanted += 1;
      reactions.push(reaction);
    },
    [WANT](isWanted) {
      this.wanted += isWanted ? 1 : -1;
    },
    complete: (value) => reactions.forEach((reaction) => reaction.react(FULFILLED, value)),
  };
}

test("what lost a race wants nothing any more, until somebody waits for it again", () => {
  const [direct, inFlow, behindThen, inAll, other] = Array.from({ length: 5 }, countingTask);
  const losers = [direct, inFlow, behindThen, inAll];
  const flowOf = (task) =>
    runAsync(null, [], function* () {
      return yield task;
    });
  const flow = flowOf(inFlow);
  const all = JobPromise.all([JobPromise.all([inAll])]);
  const then = flowOf(behindThen).then((value) => value);
  const wanted = () => {
    runJobs();
    return losers.map((task) => task.wanted > 0);
  };
  JobPromise.race([direct, flow, then, all, other]).then(() => {});
  assert.deepEqual(wanted(), [true, true, true, true]);
  other.complete();
  assert.deepEqual(wanted(), [false, false, false, false]);

  const seen = [];
  JobPromise.race([flow, countingTask()]).then((value) => seen.push(value));
  assert.deepEqual(wanted(), [false, true, false, false]);
  inFlow.complete("event");
  runJobs();
  assert.deepEqual(seen, ["event"]);
});

/** Promises of tasks, and the tasks. */
function flows(count) {
  const tasks = Array.from({ length: count }, countingTask);
  const promises = tasks.map((task) => runAsync(null, [], () => waitsFor(task)));
  runJobs();
  return { tasks, promises };
}

function* waitsFor(task) {
  return yield task;
}

// Every race of the remaining tasks added a reaction to each of them, so that 400 activities were too many for one turn.
test("a race of many is told the first, wants all until it is decided, and leaves them to the next", () => {
  const { tasks, promises } = flows(20);
  const wanted = () => {
    runJobs();
    settleWants();
    return tasks.filter((task) => task.wanted > 0).length;
  };
  const left = new Map(promises.entries());
  const order = [];
  const isLeft = ([index]) => left.delete(index);
  for (const winner of [7, 0, 19, 3]) {
    JobPromise.race(Array.from(left, ([index, promise]) => promise.then(() => [index]))).then(isLeft);
    JobPromise.race(left.values()).then((value) => order.push(value));
    runJobs();
    tasks[winner].complete(winner);
    runJobs();
  }
  assert.deepEqual(order, [7, 0, 19, 3]);
  assert.equal(wanted(), 0, "nobody waits any more");
  JobPromise.race(left.values()).then((value) => order.push(value));
  assert.equal(wanted(), 16);
  tasks[5].complete(5);
  runJobs();
  assert.equal(order.at(-1), 5);
  endRaces();
});

test("a race of many that loses a race itself wants nothing, until somebody waits for it again", () => {
  const { tasks, promises } = flows(10);
  const wanted = () => {
    runJobs();
    settleWants();
    return tasks.filter((task) => task.wanted > 0).length;
  };
  const [other] = flows(1).promises;
  const timer = countingTask();
  const inner = JobPromise.race(promises);
  const seen = [];
  JobPromise.race([inner, timer]).then((value) => seen.push(value));
  assert.equal(wanted(), 10);
  timer.complete("late");
  assert.equal(wanted(), 0);
  JobPromise.race([inner, other]).then((value) => seen.push(value));
  assert.equal(wanted(), 10);
  tasks[9].complete("ninth");
  runJobs();
  assert.deepEqual(seen, ["late", "ninth"]);
  assert.equal(wanted(), 0);
  endRaces();
});

test("races of many are what races are", () => {
  const { tasks, promises } = flows(10);
  const results = [];
  const tell = (name) => [(value) => results.push(`${name}: ${value}`), (reason) => results.push(`${name} failed: ${reason}`)];
  JobPromise.race([...promises, ...promises]).then(...tell("each twice"));
  JobPromise.race(promises.slice(1)).then(...tell("overlapping"));
  JobPromise.race([...promises, "value"]).then(...tell("with a value"));
  runJobs();
  settleWants();
  assert.deepEqual(results, ["with a value: value"]);
  tasks[0].complete("first");
  runJobs();
  assert.deepEqual(results.slice(1), ["each twice: first"]);
  JobPromise.race(promises).then(...tell("with one that has settled"));
  runJobs();
  assert.deepEqual(results.slice(2), ["with one that has settled: first"]);
  settleWants();
  assert.deepEqual(tasks.map((task) => task.wanted > 0), [false, ...Array(9).fill(true)], "the race that overlaps goes on");
  tasks[4].complete(JobPromise.reject("broken"));
  runJobs();
  assert.deepEqual(results.slice(3), ["overlapping failed: broken"]);
  settleWants();
  JobPromise.race(Array.from({ length: 10 }, () => JobPromise.reject("all"))).then(...tell("of failures"));
  runJobs();
  assert.deepEqual(results.slice(4), ["of failures failed: all"]);
  assert.deepEqual(takeUnhandledRejections(), []);
  endRaces();
});

test("what nobody was ever to wait for goes on by itself", () => {
  const task = countingTask();
  runAsync(null, [], function* () {
    yield task;
  });
  runJobs();
  assert.equal(task.wanted, 1);
});
