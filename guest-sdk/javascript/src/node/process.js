export default globalThis.process;
export const { arch, argv, cwd, emitWarning, env, execArgv, exitCode, hrtime, memoryUsage, nextTick, off, on, once, pid, platform, release, stderr, stdin, stdout, uptime, version, versions } = globalThis.process;
