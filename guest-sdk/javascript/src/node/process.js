export default globalThis.process;
export const { argv, cwd, emitWarning, env, hrtime, nextTick, platform, uptime, version, versions } = globalThis.process;
