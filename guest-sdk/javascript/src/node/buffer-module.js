export * as default from "./buffer-module.js";
export { Buffer } from "./buffer.js";
export const { atob, btoa } = globalThis;
