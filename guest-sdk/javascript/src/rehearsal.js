/**
 * Warms up the engine while the component is made, with orchestrators that do what most orchestrators do.
 *
 * Instances share the pages of memory that they have not written to. Doing something for the first time writes in many
 * places: QuickJS creates a built-in function when it is first used, and a shape, the list of an object's properties, when
 * the first object gets it; it drops a shape when no object has it any more. So the build does everything once, and keeps
 * objects with these shapes. It does so after it has loaded the app: what that leaves free is scattered over the memory.
 */

import { OrchestratorContext } from "./context.js";
import { OrchestrationContext } from "./orchestration-context.js";
import { runHandler } from "./orchestration.js";
import { Run } from "./run.js";
import { runInScope } from "./scope.js";

const kept = [];

export function rehearse() {
  perform(generator, (run) => new OrchestrationContext(run, "", "null"));
  perform(asynchronous, (run) => new OrchestratorContext(run.actions));
}

/** Runs an orchestrator until it waits for the tasks that it puts into `tasks`. */
function perform(orchestrator, makeContext) {
  const run = new Run(new RehearsalHost());
  const context = makeContext(run);
  const tasks = [];
  try {
    runInScope(run, runHandler, run, orchestrator, context, tasks);
  } catch (error) {
    if (error !== END) {
      throw error;
    }
  }
  [run, context, ...tasks].forEach(keepShapes);
}

function* generator({ df }, tasks) {
  df.getInput();
  yield df.callActivity("activity", null);
  const event = df.waitForExternalEvent("event");
  const timer = df.createTimer(new Date(df.currentUtcDateTime.getTime() + 1));
  yield df.Task.any([event, timer]);
  const both = df.Task.all([df.callActivity("activity", null), event]);
  tasks.push(event, timer, both);
  yield both;
}

async function asynchronous(context, tasks) {
  await context.callActivity("activity", null);
  await context.waitForExternalEvent("event", { timeout: 1 });
  const activity = context.callActivity("activity", null);
  const first = context.any([activity, context.sleep(1)]);
  const both = Promise.all([activity, first]);
  tasks.push(activity, first, both);
  await both;
}

const END = new Error("the rehearsal is over");

/** A host whose tasks complete with `null`. The third wait throws `END`. */
class RehearsalHost {
  #waits = 0;
  #watched = 0;

  watch(number) {
    this.#watched = number;
  }

  waitWatched() {
    this.#waits += 1;
    if (this.#waits === 3) {
      throw END;
    }
    return [this.#watched];
  }

  currentTime() {
    return 0;
  }
}

for (const schedule of ["callActivity", "createTimer", "waitForExternalEvent"]) {
  RehearsalHost.prototype[schedule] = function () {
    return { outcome: () => ({ tag: "ok", val: "null" }), cancel: () => true, watch: (number) => this.watch(number), unwatch: () => {} };
  };
}

/**
 * Keeps the shapes of an object and of the objects that it refers to. An object gets its properties one by one, and has
 * another shape after each.
 */
function keepShapes(object) {
  if (typeof object !== "object" || object === null || kept.includes(object)) {
    return;
  }
  kept.push(object);
  const part = [];
  for (const key of Object.keys(object)) {
    part.push(key);
    kept.push(withProperties(Object.getPrototypeOf(object), part));
    keepShapes(object[key]);
  }
}

function withProperties(prototype, keys) {
  const object = Object.create(prototype);
  for (const key of keys) {
    object[key] = undefined;
  }
  return object;
}
