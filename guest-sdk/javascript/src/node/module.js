/** `module`: there are the modules that the build has found, and no others. */

export * as default from "./module.js";
export const builtinModules = [];
export const isBuiltin = () => false;

export function createRequire() {
  const require = (name) => {
    throw Object.assign(new Error(`'${name}' cannot be loaded: the build finds only modules whose names are written out, in import, require(...) and import(...)`), { code: "MODULE_NOT_FOUND" });
  };
  return Object.assign(require, { resolve: require, cache: {} });
}

export const register = () => {};
