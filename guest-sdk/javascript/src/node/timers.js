export * as default from "./timers.js";
export * as promises from "./timers-promises.js";
export { clearInterval, clearTimeout, setImmediate, setInterval, setTimeout } from "../globals/timers.js";
