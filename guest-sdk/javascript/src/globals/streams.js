/** `ReadableStream`, as far as bodies need it: chunks of any kind, one reader at a time. Nothing is read before it is asked for. */

export class ReadableStream {
  #source;
  #controller;
  #chunks = [];
  /** `open`, `closed` or `failed`. */
  #state = "open";
  #error;
  /** Reads that wait for a chunk: `{ resolve, reject }`. */
  #reads = [];
  #starting;
  #isPulling = false;
  #reader = null;

  constructor(source = {}) {
    this.#source = source ?? {};
    this.#controller = {
      desiredSize: 1,
      enqueue: (chunk) => this.#enqueue(chunk),
      close: () => this.#close(),
      error: (error) => this.#fail(error),
    };
    // It starts in the constructor, as elsewhere; an error that `start` throws at once is that of the constructor.
    this.#starting = Promise.resolve(this.#source.start?.(this.#controller));
    this.#starting.catch((error) => this.#fail(error));
  }

  /** A stream of what an iterable or an asynchronous iterable yields. */
  static from(iterable) {
    const iterator = iterable[Symbol.asyncIterator]?.() ?? iterable[Symbol.iterator]();
    return new ReadableStream({
      async pull(controller) {
        const { done, value } = await iterator.next();
        if (done) {
          controller.close();
        } else {
          controller.enqueue(await value);
        }
      },
      cancel: (reason) => iterator.return?.(reason),
    });
  }

  get locked() {
    return this.#reader !== null;
  }

  getReader() {
    this.#requireUnlocked();
    const reader = {
      read: () => this.#read(),
      cancel: (reason) => this.#cancel(reason),
      releaseLock: () => {
        if (this.#reader === reader) {
          this.#reader = null;
        }
      },
    };
    this.#reader = reader;
    return reader;
  }

  async cancel(reason) {
    this.#requireUnlocked();
    await this.#cancel(reason);
  }

  /** Two streams with the same chunks. */
  tee() {
    const reader = this.getReader();
    const branches = [];
    const pull = async () => {
      const { done, value } = await reader.read();
      branches.forEach((branch) => (done ? branch.close() : branch.enqueue(value)));
    };
    const branch = () => new ReadableStream({ start: (controller) => void branches.push(controller), pull });
    return [branch(), branch()];
  }

  async *values({ preventCancel = false } = {}) {
    const reader = this.getReader();
    let isAtEnd = false;
    try {
      for (;;) {
        const { done, value } = await reader.read();
        if (done) {
          isAtEnd = true;
          return;
        }
        yield value;
      }
    } finally {
      if (!isAtEnd && !preventCancel) {
        await reader.cancel();
      }
      reader.releaseLock();
    }
  }

  [Symbol.asyncIterator](options) {
    return this.values(options);
  }

  get [Symbol.toStringTag]() {
    return "ReadableStream";
  }

  #requireUnlocked() {
    if (this.#reader) {
      throw new TypeError("The stream has a reader already.");
    }
  }

  #enqueue(chunk) {
    if (this.#state !== "open") {
      throw new TypeError("The stream is closed.");
    }
    const read = this.#reads.shift();
    if (read) {
      read.resolve({ done: false, value: chunk });
    } else {
      this.#chunks.push(chunk);
    }
  }

  #close() {
    if (this.#state === "open") {
      this.#state = "closed";
      this.#reads.splice(0).forEach(({ resolve }) => resolve({ done: true, value: undefined }));
    }
  }

  #fail(error) {
    if (this.#state === "open") {
      [this.#state, this.#error] = ["failed", error];
      this.#chunks = [];
      this.#reads.splice(0).forEach(({ reject }) => reject(error));
    }
  }

  #read() {
    if (this.#chunks.length > 0) {
      return Promise.resolve({ done: false, value: this.#chunks.shift() });
    }
    if (this.#state !== "open") {
      return this.#state === "closed" ? Promise.resolve({ done: true, value: undefined }) : Promise.reject(this.#error);
    }
    return new Promise((resolve, reject) => {
      this.#reads.push({ resolve, reject });
      void this.#pull();
    });
  }

  async #pull() {
    if (this.#isPulling || !this.#source.pull) {
      return;
    }
    this.#isPulling = true;
    try {
      await this.#starting;
      while (this.#state === "open" && this.#reads.length > 0) {
        await this.#source.pull(this.#controller);
      }
    } catch (error) {
      this.#fail(error);
    } finally {
      this.#isPulling = false;
    }
  }

  async #cancel(reason) {
    if (this.#state === "open") {
      this.#chunks = [];
      this.#close();
      await this.#source.cancel?.(reason);
    }
  }
}
