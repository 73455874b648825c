export const { console } = globalThis;
export default globalThis.console;
