/**
 * The files of the directories that an activity is granted, over `wasi:filesystem`. Every function blocks, as the host's do; `fs` makes its
 * three forms of them. Numbers of descriptors count from 3, and belong to one call of a function.
 */

import { basename, dirname, join, resolve } from "node:path";

import { ActivityScope } from "../activity.js";
import { DurableError } from "../failure.js";
import { hostError } from "../host-error.js";
import { release, toU64 } from "../reactor.js";
import { currentScope } from "../scope.js";
import { constants } from "./fs-constants.js";

/** The most that one call of the host reads or writes. */
const CHUNK_BYTES = 1 << 20;

/** The longest chain of symbolic links that `realpath` follows. */
const LINKS_MAX = 40;

/** Open files of each call: `{ descriptor, position, appends, path }` by number. */
const opened = new WeakMap();
const granted = new WeakMap();

/** The activity that runs. */
function scopeFor(syscall, path) {
  const scope = currentScope();
  if (scope === null) {
    throw failed("ENOENT", `files are not available while the app is loaded, and those of the app are not part of a component`, syscall, path);
  }
  if (!(scope instanceof ActivityScope)) {
    throw new DurableError("files are for activities: an orchestrator or entity would not read the same again on replay", { type: "NotDeterministic", retriable: false });
  }
  return scope;
}

function directories(scope) {
  let found = granted.get(scope);
  if (!found) {
    // The longest first, because one may be in another.
    found = globalThis.__dacapo.imports.preopens.getDirectories().sort(([, a], [, b]) => b.length - a.length);
    granted.set(scope, found);
  }
  return found;
}

/** The granted directory that holds a path, and the path in it. */
function place(syscall, given) {
  const path = pathOf(given);
  const scope = scopeFor(syscall, path);
  for (const [descriptor, name] of directories(scope)) {
    const root = name.replace(/\/+$/, "");
    if (path === root || path.startsWith(`${root}/`)) {
      return { descriptor, inner: path.slice(root.length + 1) || ".", path };
    }
  }
  throw failed("ENOENT", "no such file or directory: no directory that holds it is granted to this app", syscall, path);
}

function pathOf(given) {
  const text = given instanceof URL ? decodeURIComponent(given.pathname) : ArrayBuffer.isView(given) ? Buffer.from(given).toString() : given;
  if (typeof text !== "string" || text.includes("\0")) {
    throw Object.assign(new TypeError(`The path must be a string, a Buffer or a URL, without null bytes.`), { code: "ERR_INVALID_ARG_TYPE" });
  }
  return resolve("/", text);
}

const CODES = {
  access: ["EACCES", "permission denied"],
  "bad-descriptor": ["EBADF", "bad file descriptor"],
  busy: ["EBUSY", "resource busy or locked"],
  "cross-device": ["EXDEV", "cross-device link not permitted"],
  exist: ["EEXIST", "file already exists"],
  "file-too-large": ["EFBIG", "file too large"],
  "insufficient-space": ["ENOSPC", "no space left on device"],
  invalid: ["EINVAL", "invalid argument"],
  io: ["EIO", "i/o error"],
  "is-directory": ["EISDIR", "illegal operation on a directory"],
  loop: ["ELOOP", "too many symbolic links encountered"],
  "name-too-long": ["ENAMETOOLONG", "name too long"],
  "no-entry": ["ENOENT", "no such file or directory"],
  "not-directory": ["ENOTDIR", "not a directory"],
  "not-empty": ["ENOTEMPTY", "directory not empty"],
  "not-permitted": ["EPERM", "operation not permitted"],
  "read-only": ["EROFS", "read-only file system"],
  unsupported: ["ENOTSUP", "operation not supported"],
};

function failed(code, reason, syscall, path) {
  return Object.assign(new Error(`${code}: ${reason}, ${syscall}${path === undefined ? "" : ` '${path}'`}`), { code, syscall, path, errno: -1 });
}

function attempt(syscall, path, body) {
  try {
    return body();
  } catch (error) {
    const reason = hostError(error);
    if (typeof reason !== "string") {
      throw error;
    }
    throw failed(...(CODES[reason] ?? [`E${reason.toUpperCase().replaceAll("-", "")}`, reason]), syscall, path);
  }
}

/** Calls `body(descriptor, inner)` with the place of a path. */
function at(syscall, given, body) {
  const { descriptor, inner, path } = place(syscall, given);
  return attempt(syscall, path, () => body(descriptor, inner, path));
}

const FOLLOW = { symlinkFollow: true };
const NO_FOLLOW = { symlinkFollow: false };

const optionsOf = (options) => (typeof options === "string" ? { encoding: options } : (options ?? {}));
const encoded = (bytes, encoding) => (encoding && encoding !== "buffer" ? bytes.toString(encoding) : bytes);
const bytesOf = (data, encoding) => (typeof data === "string" ? Buffer.from(data, encoding) : ArrayBuffer.isView(data) ? Buffer.from(data.buffer, data.byteOffset, data.byteLength) : Buffer.from(String(data)));

// Descriptors.

function files(syscall) {
  const scope = scopeFor(syscall);
  if (!opened.has(scope)) {
    opened.set(scope, { next: 3, byNumber: new Map() });
  }
  return opened.get(scope);
}

function file(number, syscall) {
  const found = files(syscall).byNumber.get(number);
  if (!found) {
    throw failed("EBADF", "bad file descriptor", syscall);
  }
  return found;
}

const FLAGS = {
  r: constants.O_RDONLY,
  "r+": constants.O_RDWR,
  w: constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC,
  "w+": constants.O_RDWR | constants.O_CREAT | constants.O_TRUNC,
  a: constants.O_WRONLY | constants.O_CREAT | constants.O_APPEND,
  "a+": constants.O_RDWR | constants.O_CREAT | constants.O_APPEND,
};

function flagsOf(flags = "r") {
  if (typeof flags === "number") {
    return flags;
  }
  const known = FLAGS[flags.replace(/[xs]/g, "")];
  if (known === undefined) {
    throw Object.assign(new TypeError(`The argument 'flags' is invalid. Received '${flags}'`), { code: "ERR_INVALID_ARG_VALUE" });
  }
  return flags.includes("x") ? known | constants.O_EXCL : known;
}

export function open(path, flags) {
  const bits = flagsOf(flags ?? "r");
  const has = (flag) => (bits & flag) !== 0;
  const writes = has(constants.O_WRONLY) || has(constants.O_RDWR);
  const descriptor = at("open", path, (directory, inner) =>
    directory.openAt(
      has(constants.O_NOFOLLOW) ? NO_FOLLOW : FOLLOW,
      inner,
      { create: has(constants.O_CREAT), directory: has(constants.O_DIRECTORY), exclusive: has(constants.O_EXCL), truncate: has(constants.O_TRUNC) },
      { read: !has(constants.O_WRONLY), write: writes },
    ),
  );
  const all = files("open");
  const number = all.next;
  all.next += 1;
  all.byNumber.set(number, { descriptor, position: 0, appends: has(constants.O_APPEND), path: pathOf(path) });
  return number;
}

export function close(number) {
  release(file(number, "close").descriptor);
  files("close").byNumber.delete(number);
}

/** `read(number, buffer, offset, length, position)`, or with an object in place of what follows the buffer. @returns the count of bytes */
export function read(number, buffer, offset = 0, length, position) {
  if (typeof offset === "object" && offset !== null) {
    return read(number, buffer, offset.offset, offset.length, offset.position);
  }
  const it = file(number, "read");
  const start = typeof position === "number" && position >= 0 ? position : typeof position === "bigint" ? Number(position) : it.position;
  const bytes = readAt(it, start, Math.min(length ?? buffer.byteLength - offset, buffer.byteLength - offset));
  new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.byteLength).set(bytes, offset);
  if (start === it.position && typeof position !== "number") {
    it.position += bytes.length;
  }
  return bytes.length;
}

function readAt({ descriptor, path }, position, length) {
  const [bytes] = attempt("read", path, () => descriptor.read(toU64(Math.min(length, CHUNK_BYTES)), toU64(position)));
  return Uint8Array.from(bytes);
}

/** `write(number, buffer, offset, length, position)`, or `write(number, text, position, encoding)`. @returns the count of bytes */
export function write(number, data, ...rest) {
  const it = file(number, "write");
  const isText = typeof data === "string";
  const [offset, length, position] = isText ? [0, undefined, rest[0]] : typeof rest[0] === "object" && rest[0] !== null ? [rest[0].offset, rest[0].length, rest[0].position] : rest;
  const whole = bytesOf(data, isText ? rest[1] : undefined);
  const bytes = whole.subarray(offset ?? 0, length === undefined || length === null ? undefined : (offset ?? 0) + length);
  const start = it.appends ? sizeOf(it) : typeof position === "number" ? position : it.position;
  writeAt(it, bytes, start);
  if (typeof position !== "number") {
    it.position = start + bytes.length;
  }
  return bytes.length;
}

function writeAt({ descriptor, path }, bytes, position) {
  let written = 0;
  while (written < bytes.length) {
    const chunk = bytes.subarray(written, written + CHUNK_BYTES);
    written += Number(attempt("write", path, () => descriptor.write(chunk, toU64(position + written))));
  }
}

const sizeOf = ({ descriptor, path }) => Number(attempt("fstat", path, () => descriptor.stat()).size);

export const fstat = (number) => new Stats(attempt("fstat", undefined, () => file(number, "fstat").descriptor.stat()));
export const ftruncate = (number, length = 0) => attempt("ftruncate", undefined, () => file(number, "ftruncate").descriptor.setSize(toU64(length)));
export const fsync = (number) => attempt("fsync", undefined, () => file(number, "fsync").descriptor.sync());
export const fdatasync = fsync;
export const fchmod = (number) => void file(number, "fchmod");
export const fchown = (number) => void file(number, "fchown");
export const futimes = (number) => void file(number, "futimes");

function withFile(target, flags, body) {
  if (typeof target === "number") {
    return body(target);
  }
  const number = open(target, flags);
  try {
    return body(number);
  } finally {
    close(number);
  }
}

export function readFile(target, options) {
  const { encoding, flag } = optionsOf(options);
  return withFile(target, flag ?? "r", (number) => {
    const it = file(number, "read");
    const chunks = [];
    for (;;) {
      const bytes = readAt(it, it.position, CHUNK_BYTES);
      if (bytes.length === 0) {
        return encoded(Buffer.concat(chunks), encoding);
      }
      it.position += bytes.length;
      chunks.push(bytes);
    }
  });
}

export function writeFile(target, data, options) {
  const { encoding, flag } = optionsOf(options);
  withFile(target, flag ?? "w", (number) => void write(number, bytesOf(data, encoding)));
}

export const appendFile = (target, data, options) => writeFile(target, data, { ...optionsOf(options), flag: "a" });

export function readv(number, buffers, position) {
  let count = 0;
  for (const buffer of buffers) {
    count += read(number, buffer, 0, buffer.byteLength, typeof position === "number" ? position + count : undefined);
  }
  return count;
}

export function writev(number, buffers, position) {
  return write(number, Buffer.concat(buffers.map((buffer) => bytesOf(buffer))), undefined, undefined, position);
}

// Paths.

const MODES = { directory: constants.S_IFDIR, "regular-file": constants.S_IFREG, "symbolic-link": constants.S_IFLNK };

class Kind {
  isFile() {
    return this.kind === "regular-file";
  }

  isDirectory() {
    return this.kind === "directory";
  }

  isSymbolicLink() {
    return this.kind === "symbolic-link";
  }

  isBlockDevice() {
    return this.kind === "block-device";
  }

  isCharacterDevice() {
    return this.kind === "character-device";
  }

  isFIFO() {
    return this.kind === "fifo";
  }

  isSocket() {
    return this.kind === "socket";
  }
}

export class Stats extends Kind {
  constructor(stat) {
    super();
    Object.defineProperty(this, "kind", { value: stat.type });
    Object.assign(this, { dev: 0, ino: 0, mode: (MODES[stat.type] ?? 0) | (stat.type === "directory" ? 0o755 : 0o644), nlink: Number(stat.linkCount), uid: 0, gid: 0, rdev: 0, size: Number(stat.size), blksize: 4096 });
    this.blocks = Math.ceil(this.size / 512);
    const times = { atime: stat.dataAccessTimestamp, mtime: stat.dataModificationTimestamp, ctime: stat.statusChangeTimestamp };
    for (const [name, time] of Object.entries({ ...times, birthtime: times.ctime })) {
      this[`${name}Ms`] = time ? Number(time.seconds) * 1000 + time.nanoseconds / 1e6 : 0;
      this[name] = new Date(this[`${name}Ms`]);
    }
  }
}

export class Dirent extends Kind {
  constructor(name, kind, parentPath) {
    super();
    Object.defineProperty(this, "kind", { value: kind });
    Object.assign(this, { name, parentPath, path: parentPath });
  }
}

const statWith = (flags, syscall) => (path, { throwIfNoEntry = true } = {}) => {
  try {
    return new Stats(at(syscall, path, (directory, inner) => directory.statAt(flags, inner)));
  } catch (error) {
    if (error.code === "ENOENT" && !throwIfNoEntry) {
      return undefined;
    }
    throw error;
  }
};

export const stat = statWith(FOLLOW, "stat");
export const lstat = statWith(NO_FOLLOW, "lstat");

export function access(path) {
  stat(path);
}

export function exists(path) {
  try {
    stat(path);
    return true;
  } catch (error) {
    if (error.code === undefined) {
      throw error;
    }
    return false;
  }
}

export function readdir(path, options) {
  const { withFileTypes, recursive } = optionsOf(options);
  const parent = pathOf(path);
  const entries = [];
  const walk = (folder, prefix) => {
    for (const { name, type } of entriesOf(folder)) {
      entries.push(withFileTypes ? new Dirent(name, type, folder) : prefix + name);
      if (recursive && type === "directory") {
        walk(join(folder, name), `${prefix}${name}/`);
      }
    }
  };
  walk(parent, "");
  return entries;
}

function entriesOf(path) {
  const descriptor = at("scandir", path, (directory, inner) => directory.openAt(FOLLOW, inner, { directory: true }, { read: true }));
  const stream = attempt("scandir", path, () => descriptor.readDirectory());
  const entries = [];
  for (;;) {
    const entry = attempt("scandir", path, () => stream.readDirectoryEntry());
    if (entry === null || entry === undefined) {
      break;
    }
    entries.push(entry);
  }
  release(stream);
  release(descriptor);
  return entries.sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** @returns with `recursive`, the first directory that was made */
export function mkdir(path, options) {
  if (options?.recursive !== true) {
    at("mkdir", path, (directory, inner) => directory.createDirectoryAt(inner));
    return undefined;
  }
  const found = stat(path, { throwIfNoEntry: false });
  if (found) {
    if (!found.isDirectory()) {
      throw failed("EEXIST", "file already exists", "mkdir", pathOf(path));
    }
    return undefined;
  }
  // Fails if there is no granted directory at all.
  place("mkdir", path);
  const first = mkdir(dirname(pathOf(path)), options);
  mkdir(path);
  return first ?? pathOf(path);
}

export function mkdtemp(prefix) {
  const path = `${prefix}${crypto.randomUUID().slice(0, 6)}`;
  mkdir(path);
  return path;
}

export const rmdir = (path, options) => (options?.recursive ? rm(path, { recursive: true }) : at("rmdir", path, (directory, inner) => directory.removeDirectoryAt(inner)));
export const unlink = (path) => at("unlink", path, (directory, inner) => directory.unlinkFileAt(inner));

export function rm(path, { recursive = false, force = false } = {}) {
  const found = lstat(path, { throwIfNoEntry: !force });
  if (!found) {
    return;
  }
  if (!found.isDirectory()) {
    unlink(path);
    return;
  }
  if (!recursive) {
    throw failed("ERR_FS_EISDIR", "it is a directory: `recursive` removes it", "rm", pathOf(path));
  }
  readdir(path).forEach((name) => rm(join(pathOf(path), name), { recursive }));
  rmdir(path);
}

export function rename(from, to) {
  const target = place("rename", to);
  at("rename", from, (directory, inner) => directory.renameAt(inner, target.descriptor, target.inner));
}

export function copyFile(from, to, mode = 0) {
  writeFile(to, readFile(from), { flag: (mode & constants.COPYFILE_EXCL) === 0 ? "w" : "wx" });
}

export function cp(from, to, options = {}) {
  if (!stat(from).isDirectory()) {
    copyFile(from, to);
    return;
  }
  if (!options.recursive) {
    throw failed("ERR_FS_EISDIR", "it is a directory: `recursive` copies it", "cp", pathOf(from));
  }
  mkdir(to, { recursive: true });
  readdir(from).forEach((name) => cp(join(pathOf(from), name), join(pathOf(to), name), options));
}

export const truncate = (target, length = 0) => withFile(target, "r+", (number) => ftruncate(number, length));
export const readlink = (path) => at("readlink", path, (directory, inner) => directory.readlinkAt(inner));
export const symlink = (target, path) => at("symlink", path, (directory, inner) => directory.symlinkAt(target, inner));

export function realpath(path) {
  let resolved = pathOf(path);
  for (let links = 0; lstat(resolved).isSymbolicLink(); links += 1) {
    if (links === LINKS_MAX) {
      throw failed("ELOOP", "too many symbolic links encountered", "realpath", pathOf(path));
    }
    resolved = resolve(dirname(resolved), readlink(resolved));
  }
  return join(dirname(resolved), basename(resolved));
}

// WASI has no modes and owners, and the host sets the times.
export const chmod = access;
export const chown = access;
export const lchown = access;
export const utimes = access;
export const lutimes = access;
