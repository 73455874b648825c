/** `fs/promises`. */

import * as files from "./files.js";
import { constants } from "./fs-constants.js";

/** An open file. */
class FileHandle {
  constructor(fd) {
    this.fd = fd;
  }

  async close() {
    files.close(this.fd);
  }

  async read(buffer, ...how) {
    const target = ArrayBuffer.isView(buffer) ? buffer : (buffer?.buffer ?? Buffer.alloc(16_384));
    const rest = ArrayBuffer.isView(buffer) ? how : [{ ...buffer }];
    return { bytesRead: files.read(this.fd, target, ...rest), buffer: target };
  }

  async write(data, ...how) {
    return { bytesWritten: files.write(this.fd, data, ...how), buffer: data };
  }

  async *readLines({ encoding = "utf8" } = {}) {
    yield* files.readFile(this.fd, { encoding }).replace(/\r?\n$/, "").split(/\r?\n/);
  }

  async [Symbol.asyncDispose ?? Symbol.for("asyncDispose")]() {
    await this.close();
  }
}

for (const [name, call] of Object.entries({
  appendFile: files.appendFile,
  chmod: files.fchmod,
  chown: files.fchown,
  datasync: files.fdatasync,
  readFile: files.readFile,
  stat: files.fstat,
  sync: files.fsync,
  truncate: files.ftruncate,
  utimes: files.futimes,
  writeFile: files.writeFile,
})) {
  FileHandle.prototype[name] = async function (...args) {
    return call(this.fd, ...args);
  };
}

const promised = (call) => async (...args) => call(...args.map((argument) => (argument instanceof FileHandle ? argument.fd : argument)));

const { access, appendFile, chmod, chown, copyFile, cp, lchown, lstat, lutimes, mkdir, mkdtemp, readFile, readdir, readlink, realpath, rename, rm, rmdir, stat, symlink, truncate, unlink, utimes } =
  Object.fromEntries(Object.entries(files).map(([name, call]) => [name, promised(call)]));

const open = async (path, flags) => new FileHandle(files.open(path, flags));

/** The data may come in pieces. */
async function writeFile(target, data, options) {
  const number = target instanceof FileHandle ? target.fd : target;
  if (typeof data === "string" || ArrayBuffer.isView(data)) {
    files.writeFile(number, data, options);
    return;
  }
  const chunks = [];
  for await (const chunk of data) {
    chunks.push(typeof chunk === "string" ? Buffer.from(chunk) : chunk);
  }
  files.writeFile(number, Buffer.concat(chunks), options);
}

export { access, appendFile, chmod, chown, constants, copyFile, cp, lchown, lstat, lutimes, mkdir, mkdtemp, open, readFile, readdir, readlink, realpath, rename, rm, rmdir, stat, symlink, truncate, unlink, utimes, writeFile };
export default { access, appendFile, chmod, chown, constants, copyFile, cp, lchown, lstat, lutimes, mkdir, mkdtemp, open, readFile, readdir, readlink, realpath, rename, rm, rmdir, stat, symlink, truncate, unlink, utimes, writeFile };
