/** `perf_hooks`: the clock. Marks and measures are kept by nobody. */

export * as default from "./perf_hooks.js";
export const { performance } = globalThis;
export const constants = {};
export const monitorEventLoopDelay = () => ({ enable: () => true, disable: () => true, reset() {}, min: 0, max: 0, mean: 0, stddev: 0, exceeds: 0, percentile: () => 0 });
export const createHistogram = monitorEventLoopDelay;

export class PerformanceObserver {
  static supportedEntryTypes = [];
  observe() {}
  disconnect() {}
}
