/** Timers: durable ones in an orchestrator, real ones in an activity, none in an entity. */

import { enqueueJob } from "../promise.js";
import { requireScope } from "../scope.js";

const cancels = new Map();
let last = 0;

function start(milliseconds, tick) {
  last += 1;
  const id = last;
  arm(id, milliseconds, () => tick(id));
  return id;
}

function arm(id, milliseconds, tick) {
  const delay = Number(milliseconds);
  cancels.set(id, requireScope("a timer").setTimer(delay > 0 ? delay : 0, tick));
}

export function setTimeout(callback, milliseconds = 0, ...args) {
  return start(milliseconds, (id) => {
    cancels.delete(id);
    callback(...args);
  });
}

export function setInterval(callback, milliseconds = 0, ...args) {
  return start(milliseconds, function tick(id) {
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
  enqueueJob(() => callback(...args));
}
