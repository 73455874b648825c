/** `stream/web`: what goes with `ReadableStream` (`globals/streams.js`), for apps that name it. Chunks wait for nothing but their turn. */

const { ReadableStream } = globalThis;

export class WritableStream {
  #sink;
  #controller;
  #abort = new AbortController();
  #error;
  #state = "writable";
  #writer = null;
  /** What was asked for last, as a promise: the next waits for it. */
  #last;
  #closing = Promise.withResolvers();

  constructor(sink = {}) {
    this.#sink = sink;
    this.#controller = { signal: this.#abort.signal, error: (error) => this.#fail(error) };
    this.#last = Promise.resolve(sink.start?.(this.#controller));
    this.#last.catch((error) => this.#fail(error));
    this.#closing.promise.catch(() => {});
  }

  get locked() {
    return this.#writer !== null;
  }

  getWriter() {
    if (this.#writer) {
      throw new TypeError("The stream has a writer already.");
    }
    const stream = this;
    this.#writer = {
      ready: Promise.resolve(),
      closed: this.#closing.promise,
      get desiredSize() {
        return stream.#state === "writable" ? 1 : stream.#state === "closed" ? 0 : null;
      },
      write: (chunk) => this.#next(() => this.#sink.write?.(chunk, this.#controller)),
      close: () => this.#close(),
      abort: (reason) => this.abort(reason),
      releaseLock: () => {
        this.#writer = null;
      },
    };
    return this.#writer;
  }

  close() {
    return this.#close();
  }

  async abort(reason) {
    if (this.#state === "writable") {
      this.#abort.abort(reason);
      this.#fail(reason);
      await this.#sink.abort?.(reason);
    }
  }

  #next(step) {
    const before = this.#last;
    this.#last = (async () => {
      await before;
      if (this.#state !== "writable") {
        throw this.#state === "closed" ? new TypeError("The stream is closed.") : this.#error;
      }
      try {
        await step();
      } catch (error) {
        this.#fail(error);
        throw error;
      }
    })();
    this.#last.catch(() => {});
    return this.#last;
  }

  #close() {
    return this.#next(async () => {
      await this.#sink.close?.();
      this.#state = "closed";
      this.#closing.resolve();
    });
  }

  #fail(error) {
    if (this.#state === "writable") {
      [this.#state, this.#error] = ["failed", error];
      this.#closing.reject(error);
    }
  }

  get [Symbol.toStringTag]() {
    return "WritableStream";
  }
}

export class TransformStream {
  constructor(transformer = {}) {
    let target;
    this.readable = new ReadableStream({
      start: (controller) => void (target = controller),
      cancel: (reason) => transformer.cancel?.(reason),
    });
    const controller = {
      get desiredSize() {
        return target.desiredSize;
      },
      enqueue: (chunk) => target.enqueue(chunk),
      error: (error) => target.error(error),
      terminate: () => target.close(),
    };
    const guarded = async (step) => {
      try {
        await step();
      } catch (error) {
        target.error(error);
        throw error;
      }
    };
    this.writable = new WritableStream({
      start: () => transformer.start?.(controller),
      write: (chunk) => guarded(() => (transformer.transform ? transformer.transform(chunk, controller) : controller.enqueue(chunk))),
      close: () => guarded(async () => (await transformer.flush?.(controller), target.close())),
      abort: (reason) => target.error(reason),
    });
  }

  get [Symbol.toStringTag]() {
    return "TransformStream";
  }
}

export class TextDecoderStream extends TransformStream {
  constructor(label, options) {
    const decoder = new TextDecoder(label, options);
    const put = (text, controller) => text !== "" && controller.enqueue(text);
    super({
      transform: (chunk, controller) => put(decoder.decode(chunk, { stream: true }), controller),
      flush: (controller) => put(decoder.decode(), controller),
    });
    this.encoding = decoder.encoding;
  }
}

export class TextEncoderStream extends TransformStream {
  constructor() {
    const encoder = new TextEncoder();
    super({ transform: (chunk, controller) => controller.enqueue(encoder.encode(String(chunk))) });
    this.encoding = "utf-8";
  }
}

class QueuingStrategy {
  constructor({ highWaterMark }) {
    this.highWaterMark = highWaterMark;
  }
}

export class CountQueuingStrategy extends QueuingStrategy {
  size() {
    return 1;
  }
}

export class ByteLengthQueuingStrategy extends QueuingStrategy {
  size(chunk) {
    return chunk.byteLength;
  }
}

async function pipeTo(target, { preventAbort, preventCancel, preventClose, signal } = {}) {
  const [reader, writer] = [this.getReader(), target.getWriter()];
  let isReading = true;
  try {
    for (;;) {
      signal?.throwIfAborted();
      isReading = true;
      const { done, value } = await reader.read();
      if (done) {
        break;
      }
      isReading = false;
      await writer.write(value);
    }
    if (!preventClose) {
      await writer.close();
    }
  } catch (error) {
    if (!preventAbort) {
      await writer.abort(error);
    }
    if (!isReading && !preventCancel) {
      await reader.cancel(error);
    }
    throw error;
  } finally {
    reader.releaseLock();
    writer.releaseLock();
  }
}

function pipeThrough({ readable, writable }, options) {
  this.pipeTo(writable, options).catch(() => {});
  return readable;
}

for (const [name, value] of Object.entries({ pipeTo, pipeThrough })) {
  Object.defineProperty(ReadableStream.prototype, name, { value, writable: true, configurable: true });
}
const added = { ByteLengthQueuingStrategy, CountQueuingStrategy, TextDecoderStream, TextEncoderStream, TransformStream, WritableStream };
for (const [name, value] of Object.entries(added)) {
  Object.defineProperty(globalThis, name, { value, writable: true, configurable: true });
}

export { ReadableStream };
export default { ...added, ReadableStream };
