import * as promises from "./timers-promises.js";

export { promises };
export { clearInterval, clearTimeout, setImmediate, setInterval, setTimeout } from "../globals/timers.js";
export const clearImmediate = (id) => globalThis.clearImmediate(id);
export * as default from "./timers.js";
