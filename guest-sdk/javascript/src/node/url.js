export * as default from "./url.js";
export const { URL, URLSearchParams } = globalThis;
