/** Timers: durable ones in an orchestrator, real ones in an activity, none in an entity. */

import { kindOf } from "../border.js";
import { enqueueJob } from "../promise.js";
import { requireScope } from "../scope.js";

const cancels = new Map();
let last = 0;

function start(callback, milliseconds, tick) {
  requireFunction(callback);
  last += 1;
  const id = last;
  arm(id, milliseconds, () => tick(id));
  return id;
}

function requireFunction(callback) {
  if (typeof callback !== "function") {
    throw new TypeError(`The callback of a timer must be a function, not ${kindOf(callback)}.`);
  }
}

function arm(id, milliseconds, tick) {
  const delay = Number(milliseconds);
  cancels.set(id, requireScope("a timer").setTimer(delay > 0 ? delay : 0, tick));
}

export function setTimeout(callback, milliseconds = 0, ...args) {
  return start(callback, milliseconds, (id) => {
    cancels.delete(id);
    callback(...args);
  });
}

export function setInterval(callback, milliseconds = 0, ...args) {
  return start(callback, milliseconds, function tick(id) {
    arm(id, milliseconds, () => tick(id));
    callback(...args);
  });
}

export function clearTimeout(id) {
  cancels.get(id)?.();
  cancels.delete(id);
}

export const clearInterval = clearTimeout;

export function setImmediate(callback, ...args) {
  requireFunction(callback);
  enqueueJob(() => callback(...args));
}
