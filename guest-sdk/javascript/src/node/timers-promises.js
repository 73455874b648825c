export * as default from "./timers-promises.js";

export const setTimeout = (milliseconds, value, options) => promised(options, (resolve) => globalThis.setTimeout(resolve, milliseconds, value), globalThis.clearTimeout);
export const setImmediate = (value, options) => promised(options, (resolve) => globalThis.setImmediate(resolve, value), globalThis.clearImmediate);

function promised({ signal } = {}, start, stop) {
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    const timer = start(resolve);
    signal?.addEventListener("abort", () => (stop(timer), reject(signal.reason)), { once: true });
  });
}

export async function* setInterval(milliseconds, value, options) {
  for (;;) {
    yield await setTimeout(milliseconds, value, options);
  }
}

export const scheduler = { wait: (milliseconds, options) => setTimeout(milliseconds, undefined, options), yield: () => setImmediate() };
