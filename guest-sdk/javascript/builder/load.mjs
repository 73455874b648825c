/** Loads the bundle once in Node.js, so that an error during loading is a build error that names the user's file. */

import vm from "node:vm";

import { BuildError } from "./build-error.mjs";
import { GLOBAL_NAME } from "./bundle.mjs";

/** @returns the registered functions and triggers, those left out, the bindings that others lack, the functions that cannot be loaded, the inputs read during loading that may differ at run time, and whether it read variables */
export function loadOnce({ code, sourceMap, zones, fileName }) {
  const readsAtLoad = new Set();
  const imports = {
    orchestration: absent("the context of an orchestrator"),
    client: absent("the durable client"),
    logging: { log: (level, message) => console.error(`${level}: ${message}`) },
    poll: absent("waiting"),
    clock: absent("a timer"),
    environment: {
      getEnvironment() {
        readsAtLoad.add("process.env");
        return [];
      },
    },
    random: {
      getRandomBytes(length) {
        readsAtLoad.add("random numbers");
        return new Uint8Array(Number(length));
      },
    },
  };
  const context = vm.createContext({ ...OF_THE_ENGINE, __dacapo: { imports, sourceMap, timeZones: zones, isBuilding: true, isChecking: true } });
  const run = (source, filename) => vm.runInContext(source, context, { filename });
  try {
    run(code, fileName);
    run(`${GLOBAL_NAME}.loadApp()`, "load");
  } catch (error) {
    throw new BuildError(explain(error, context));
  }
  const { functions, triggers, leftOut, absentBindings, failed, variables } = JSON.parse(
    run(
      `JSON.stringify({ functions: ${GLOBAL_NAME}.describe(), triggers: ${GLOBAL_NAME}.describeTriggers(), leftOut: ${GLOBAL_NAME}.leftOut(), absentBindings: ${GLOBAL_NAME}.absent(), failed: ${GLOBAL_NAME}.failed(), variables: ${GLOBAL_NAME}.readsAtLoad() })`,
      "describe",
    ),
  );
  if (functions.length + triggers.length === 0 && Object.keys(failed).length === 0) {
    const reasons = leftOut.map(({ name, why }) => `  '${name}': ${why}`);
    throw new BuildError(reasons.length === 0 ? "the app registers no function." : ["the app has no function that can run here:", ...reasons].join("\n"));
  }
  return { functions, triggers, leftOut, absentBindings, failed, readsAtLoad: [...readsAtLoad], readsEnvironment: variables.length > 0, variables };
}

/** Globals of the engines that are no part of the language, so that a context of this module lacks them. */
const OF_THE_ENGINE = { DOMException, atob, btoa, performance };

function absent(what) {
  return new Proxy(
    {},
    {
      get() {
        throw new Error(`${what} is not available while the app is loaded`);
      },
    },
  );
}

/** Lets the bundle explain the error, because it can map positions to the original files. */
function explain(error, context) {
  context.__error = error;
  const failure = vm.runInContext(`typeof ${GLOBAL_NAME} === "object" ? JSON.stringify(${GLOBAL_NAME}.explain(__error)) : null`, context);
  const { errorType, message, details } = failure ? JSON.parse(failure) : { errorType: error.name, message: error.message, details: error.stack };
  return [`the app cannot be loaded: ${errorType}: ${message}`, details].filter(Boolean).join("\n");
}
