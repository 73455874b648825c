/** Loads the files of the app that register functions. */

import { failureOfError } from "./failure.js";
import { leaveOut } from "./registry.js";
import { originalStack } from "./stack.js";

/** The name of the error of code that calls a module of Node.js that does not exist here (`builder/bundle.mjs`). */
export const ABSENT = "NodeModuleNotFound";

/**
 * Calls a function that loads one. If it needs a package or a module of Node.js that cannot be loaded here, its functions are left out, because
 * others may run without it. Any other error is that of the app.
 */
export function load(what, register) {
  try {
    register();
  } catch (error) {
    const [place = ""] = error instanceof Error ? originalStack(error).split("\n") : [];
    if (error?.name !== ABSENT && !place.includes("node_modules/")) {
      throw error;
    }
    leaveOut(what, `it needs what cannot be loaded here: ${error.message} ${place.trim()}`.trim());
  }
}

/** Functions of the model v3 that could not be loaded, each with the reason. */
const failed = {};

export function failedFunctions() {
  return { ...failed };
}

/** The same for one function of the model v3. While the build checks the app, an error is that of the function, which the build leaves out. */
export function loadFunction(name, register) {
  try {
    load(name, register);
  } catch (error) {
    if (!globalThis.__dacapo?.isChecking) {
      throw error;
    }
    const { errorType, message, details } = failureOfError(error);
    failed[name] = [`${errorType}: ${message}`, details].filter(Boolean).join("\n");
  }
}
