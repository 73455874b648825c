/** `os`: what is the same for all guests, so that an orchestrator may read it. */

import { UV_UDP_REUSEADDR, dlopen, errno, priority, signals } from "unenv/node/internal/os/constants";

export * as default from "./os.js";
export const constants = { UV_UDP_REUSEADDR, dlopen, errno, signals, priority };
export const EOL = "\n";
export const devNull = "/dev/null";
export const arch = () => "wasm32";
export const machine = arch;
export const platform = () => process.platform;
export const type = () => "WASI";
export const release = () => "";
export const version = () => "";
export const endianness = () => "LE";
export const hostname = () => "localhost";
export const homedir = () => "/";
export const tmpdir = () => "/tmp";
export const availableParallelism = () => 1;
export const cpus = () => [{ model: "", speed: 0, times: { user: 0, nice: 0, sys: 0, idle: 0, irq: 0 } }];
export const freemem = () => MEMORY_BYTES;
export const totalmem = () => MEMORY_BYTES;
export const loadavg = () => [0, 0, 0];
export const uptime = () => process.uptime();
export const networkInterfaces = () => ({});
export const getPriority = () => 0;
export const setPriority = () => {};
export const userInfo = () => ({ uid: -1, gid: -1, username: "", homedir: "/", shell: null });

/** The memory that an address of WebAssembly can reach. */
const MEMORY_BYTES = 2 ** 32;
