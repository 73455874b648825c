/** `events`: the port that is published on npm, and what Node.js has added since. */

// With a path, because the name alone is that of the module of Node.js.
import EventEmitter from "events/events.js";

export const { once, listenerCount } = EventEmitter;
export const defaultMaxListeners = 10;
export const errorMonitor = Symbol("events.errorMonitor");
export const captureRejectionSymbol = Symbol.for("nodejs.rejection");
export const captureRejections = false;
export const usingDomains = false;

const emit = EventEmitter.prototype.emit;

/** Tells the monitors of errors first. */
EventEmitter.prototype.emit = function (type, ...args) {
  if (type === "error" && this._events?.[errorMonitor]) {
    emit.call(this, errorMonitor, ...args);
  }
  return emit.call(this, type, ...args);
};

const isTarget = (emitter) => typeof emitter.addEventListener === "function";

export const getEventListeners = (emitter, name) => (isTarget(emitter) ? [] : emitter.listeners(name));
export const getMaxListeners = (emitter) => (isTarget(emitter) ? 0 : emitter.getMaxListeners());

export function setMaxListeners(count = defaultMaxListeners, ...emitters) {
  emitters.filter((emitter) => !isTarget(emitter)).forEach((emitter) => emitter.setMaxListeners(count));
}

export function addAbortListener(signal, listener) {
  signal.addEventListener("abort", listener, { once: true });
  return { [Symbol.dispose ?? Symbol.for("dispose")]: () => signal.removeEventListener("abort", listener) };
}

/** An asynchronous iterator of the arguments of each event. */
export function on(emitter, name, { signal, close = [] } = {}) {
  const [events, waiting] = [[], []];
  let end = null;
  const onEvent = (...args) => {
    const next = waiting.shift();
    next ? next.resolve({ done: false, value: args }) : events.push(args);
  };
  const finish = (how) => {
    end ??= how;
    emitter.off(name, onEvent);
    emitter.off("error", onError);
    waiting.splice(0).forEach(end);
  };
  const onError = (error) => finish(({ reject }) => reject(error));
  const stop = () => finish(({ resolve }) => resolve({ done: true, value: undefined }));
  emitter.on(name, onEvent);
  emitter.on("error", onError);
  close.forEach((event) => emitter.once(event, stop));
  signal?.addEventListener("abort", () => onError(signal.reason), { once: true });
  return {
    next: () =>
      new Promise((resolve, reject) => {
        if (events.length > 0) {
          resolve({ done: false, value: events.shift() });
        } else if (end) {
          end({ resolve, reject });
        } else {
          waiting.push({ resolve, reject });
        }
      }),
    return: async () => (stop(), { done: true, value: undefined }),
    throw: async (error) => (onError(error), { done: true, value: undefined }),
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}

export class EventEmitterAsyncResource extends EventEmitter {}

export { EventEmitter };
export default Object.assign(EventEmitter, {
  EventEmitter,
  EventEmitterAsyncResource,
  addAbortListener,
  captureRejectionSymbol,
  captureRejections,
  errorMonitor,
  getEventListeners,
  getMaxListeners,
  on,
  setMaxListeners,
  usingDomains,
});
