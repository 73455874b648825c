/** `fs`: functions that block, functions with callbacks, and streams. */

import { EventEmitter } from "node:events";
import { Readable, Writable } from "node:stream";

import * as files from "./files.js";
import { constants } from "./fs-constants.js";
import promises from "./fs-promises.js";

export const { Dirent, Stats } = files;

const CALLS = Object.entries(files).filter(([name]) => name !== "Dirent" && name !== "Stats");

/** What the callback gets after the error, of a call with these arguments. */
const RESULTS = { read: (count, [, buffer]) => [count, buffer], write: (count, [, buffer]) => [count, buffer] };

function withCallback(name, call) {
  return (...args) => {
    const callback = args.pop();
    if (typeof callback !== "function") {
      throw Object.assign(new TypeError(`The last argument of fs.${name} must be a function.`), { code: "ERR_INVALID_ARG_TYPE" });
    }
    let results;
    try {
      const result = call(...args);
      results = [null, ...(RESULTS[name]?.(result, args) ?? [result])];
    } catch (error) {
      results = [error];
    }
    process.nextTick(() => callback(...results));
  };
}

const calls = Object.fromEntries(CALLS.flatMap(([name, call]) => [[name, withCallback(name, call)], [`${name}Sync`, call]]));

/** Without an error. */
calls.exists = (path, callback) => process.nextTick(() => callback(files.exists(path)));
// The values that `util.promisify` gives are objects.
const PROMISIFY = Symbol.for("nodejs.util.promisify.custom");
calls.exists[PROMISIFY] = async (path) => files.exists(path);
calls.read[PROMISIFY] = async (number, buffer, ...how) => ({ bytesRead: files.read(number, buffer, ...how), buffer });
calls.write[PROMISIFY] = async (number, buffer, ...how) => ({ bytesWritten: files.write(number, buffer, ...how), buffer });
calls.realpath.native = calls.realpath;
calls.realpathSync.native = calls.realpathSync;

export const {
  access, accessSync, appendFile, appendFileSync, chmod, chmodSync, chown, chownSync, close, closeSync, copyFile, copyFileSync, cp, cpSync, exists, existsSync,
  fchmod, fchmodSync, fchown, fchownSync, fdatasync, fdatasyncSync, fstat, fstatSync, fsync, fsyncSync, ftruncate, ftruncateSync, futimes, futimesSync,
  lchown, lchownSync, lstat, lstatSync, lutimes, lutimesSync, mkdir, mkdirSync, mkdtemp, mkdtempSync, open, openSync, read, readSync, readFile, readFileSync,
  readdir, readdirSync, readlink, readlinkSync, readv, readvSync, realpath, realpathSync, rename, renameSync, rm, rmSync, rmdir, rmdirSync, stat, statSync,
  symlink, symlinkSync, truncate, truncateSync, unlink, unlinkSync, utimes, utimesSync, write, writeSync, writeFile, writeFileSync, writev, writevSync,
} = calls;

/** Opens when it is first read. */
export class ReadStream extends Readable {
  bytesRead = 0;
  #position;
  #end;

  constructor(path, options = {}) {
    const { fd, flags = "r", start = 0, end = Infinity, encoding, highWaterMark = 65_536, signal, emitClose } = typeof options === "string" ? { encoding: options } : options;
    super({ highWaterMark, encoding, signal, emitClose });
    Object.assign(this, { path, fd: typeof fd === "object" ? fd?.fd : fd, flags });
    [this.#position, this.#end] = [start, end];
  }

  _construct(callback) {
    attempt(callback, () => {
      this.fd ??= files.open(this.path, this.flags);
      process.nextTick(() => (this.emit("open", this.fd), this.emit("ready")));
    });
  }

  _read(size) {
    try {
      const buffer = Buffer.alloc(Math.max(0, Math.min(size, this.#end - this.#position + 1)));
      const count = buffer.length === 0 ? 0 : files.read(this.fd, buffer, 0, buffer.length, this.#position);
      this.#position += count;
      this.bytesRead += count;
      this.push(count === 0 ? null : buffer.subarray(0, count));
    } catch (error) {
      this.destroy(error);
    }
  }

  _destroy(error, callback) {
    closeAndCall(this, error, callback);
  }

  close(callback) {
    this.destroy(null, callback);
  }
}

export class WriteStream extends Writable {
  bytesWritten = 0;
  #position;

  constructor(path, options = {}) {
    const { fd, flags = "w", start, encoding, highWaterMark, signal, emitClose } = typeof options === "string" ? { encoding: options } : options;
    super({ highWaterMark, defaultEncoding: encoding ?? "utf8", signal, emitClose });
    Object.assign(this, { path, fd: typeof fd === "object" ? fd?.fd : fd, flags });
    this.#position = start;
  }

  _construct(callback) {
    attempt(callback, () => {
      this.fd ??= files.open(this.path, this.flags);
      process.nextTick(() => (this.emit("open", this.fd), this.emit("ready")));
    });
  }

  _write(chunk, _encoding, callback) {
    attempt(callback, () => {
      files.write(this.fd, chunk, 0, chunk.length, this.#position);
      this.bytesWritten += chunk.length;
      this.#position = this.#position === undefined ? undefined : this.#position + chunk.length;
    });
  }

  _destroy(error, callback) {
    closeAndCall(this, error, callback);
  }

  close(callback) {
    this.end(callback);
  }
}

function attempt(callback, body) {
  try {
    body();
  } catch (error) {
    callback(error);
    return;
  }
  callback();
}

function closeAndCall(stream, error, callback) {
  const { fd } = stream;
  stream.fd = null;
  attempt((other) => callback(error ?? other ?? null), () => (typeof fd === "number" ? files.close(fd) : undefined));
}

export const createReadStream = (path, options) => new ReadStream(path, options);
export const createWriteStream = (path, options) => new WriteStream(path, options);

export const opendirSync = (path) => {
  const entries = files.readdir(path, { withFileTypes: true });
  return {
    path,
    readSync: () => entries.shift() ?? null,
    read: async () => entries.shift() ?? null,
    closeSync() {},
    async close() {},
    async *[Symbol.asyncIterator]() {
      yield* entries.splice(0);
    },
  };
};
export const opendir = withCallback("opendir", opendirSync);

/** Nothing tells a guest of changes. */
export const watch = () => {
  throw new Error("fs.watch cannot work in a sandbox: nothing tells a guest that a file has changed.");
};
export const watchFile = watch;
export const unwatchFile = () => {};
export class FSWatcher extends EventEmitter {}

export { constants, promises };
export const { F_OK, R_OK, W_OK, X_OK } = constants;
export default { ...calls, Dirent, FSWatcher, F_OK, R_OK, ReadStream, Stats, W_OK, WriteStream, X_OK, constants, createReadStream, createWriteStream, opendir, opendirSync, promises, unwatchFile, watch, watchFile };
