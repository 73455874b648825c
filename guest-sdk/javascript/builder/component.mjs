/** Makes a component from a bundle, with one of the engines. */

import { cp, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { BuildError } from "./build-error.mjs";
import { GLOBAL_NAME } from "./bundle.mjs";

const WIT = fileURLToPath(new URL("../wit/", import.meta.url));
const CONTRACT = fileURLToPath(new URL("../../wit/dacapo.wit", import.meta.url));

/**
 * The tool initialises the component on its own host. That of QuickJS implements the streams of WASI but not its HTTP, and
 * stubs what it does not implement. The types of its stubs do not match those of its streams. So all imports of the SDK have
 * a version that the tool does not know, which is replaced by the version of real hosts when the tool has finished.
 */
const UNKNOWN_VERSION = "7.2.0";
const WASI_VERSION = "0.2.0";

export async function makeComponent(bundled, { engine, loadsAtStart, readsEnvironment, optSize }, { componentize }) {
  const folder = await mkdtemp(join(tmpdir(), "dacapo-build-"));
  try {
    const witPath = join(folder, "wit");
    await cp(WIT, witPath, { recursive: true });
    await cp(CONTRACT, join(witPath, "deps", "dacapo.wit"));
    const source = outerModule(bundled, { loadsAtStart, readsEnvironment, hasBigIntegers: engine === "starlingmonkey" });
    const world = WORLDS[`${bundled.usesFetch}, ${bundled.usesFiles}`];
    const { component } = await ENGINES[engine]({ componentize, folder, source, witPath, world, optSize });
    return withVersion(component);
  } catch (error) {
    throw new BuildError(`the component cannot be made: ${error.message}`);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** By whether the app sends requests, and whether it uses files. */
const WORLDS = {
  "false, false": "javascript-app",
  "true, false": "javascript-app-with-http",
  "false, true": "javascript-app-with-files",
  "true, true": "javascript-app-with-http-and-files",
};

const ENGINES = {
  quickjs: ({ componentize, source, witPath, world, optSize }) => componentize({ jsSource: source, witPath, world, optSize, sync: true }),

  async starlingmonkey({ componentize, folder, source, witPath, world }) {
    const sourcePath = join(folder, "outer.js");
    await writeFile(sourcePath, source);
    // The engine's own `fetch` needs the engine's event loop; the SDK has its own.
    return componentize({ sourcePath, witPath, worldName: world, disableFeatures: ["http", "fetch-event"] });
  },
};

/** The module with the imports and exports. All other code is in the script, which runs in sloppy mode. */
function outerModule({ code, sourceMap, zones, usesFetch, usesFiles }, { loadsAtStart, readsEnvironment, hasBigIntegers }) {
  const modules = {
    orchestration: "dacapo:guest/orchestration@0.1.0",
    client: "dacapo:guest/client@0.1.0",
    logging: "dacapo:guest/logging@0.1.0",
    environment: `wasi:cli/environment@${UNKNOWN_VERSION}`,
    clock: `wasi:clocks/monotonic-clock@${UNKNOWN_VERSION}`,
    poll: `wasi:io/poll@${UNKNOWN_VERSION}`,
    random: `wasi:random/random@${UNKNOWN_VERSION}`,
    ...(usesFetch && {
      httpTypes: `wasi:http/types@${UNKNOWN_VERSION}`,
      httpHandler: `wasi:http/outgoing-handler@${UNKNOWN_VERSION}`,
    }),
    ...(usesFiles && { preopens: `wasi:filesystem/preopens@${UNKNOWN_VERSION}` }),
  };
  const names = Object.keys(modules);
  const mayLoadAgain = readsEnvironment && !loadsAtStart;
  return `${names.map((name) => `import * as ${name} from "${modules[name]}";`).join("\n")}
const dacapo = { imports: { ${names.join(", ")} }, sourceMap: ${JSON.stringify(sourceMap)}, timeZones: ${JSON.stringify(zones)}, hasBigIntegers: ${hasBigIntegers}, isBuilding: true };
globalThis.__dacapo = dacapo;
${mayLoadAgain ? "const code = " : "(0, eval)("}${JSON.stringify(code)}${mayLoadAgain ? ";\n(0, eval)(code)" : ")"};
let app = { ...globalThis.${GLOBAL_NAME} };
let load = () => {
  load = () => {};
  app.loadApp();
};
${loadsAtStart ? "" : "load();"}
${fillFreeMemory(code.length)}
app.rehearse();
dacapo.isBuilding = false;
${mayLoadAgain ? LOAD_AGAIN : ""}
export function describe() {
  load();
  return app.describe();
}
export function runOrchestrator(name, input) {
  load();
  return app.runOrchestrator(name, input);
}
export function runActivity(call) {
  load();
  return app.runActivity(call);
}
export function runEntityOperation(operation) {
  load();
  return app.runEntityOperation(operation);
}
export function describeTriggers() {
  load();
  return app.describeTriggers();
}
export function runTrigger(call) {
  load();
  return app.runTrigger(call);
}
`;
}

/**
 * What compiling the code has left in free memory would become part of the component, so zeros take its place. The small pieces stay filled, so that
 * what an instance makes lies together, and it writes to fewer pages.
 */
const fillFreeMemory = (length) => `[${length}, ${length}, ...Array(16).fill(${length >> 4})].map((size) => new Uint8Array(size));
dacapo.filled = [];
for (let size = 8; size <= 4096; size *= 1.4) {
  for (let count = 0; count < 200; count += 1) {
    dacapo.filled.push("\\0".repeat(size));
  }
}`;

/** What the app read while it was loaded may be different in an instance, which then loads the app again. */
const LOAD_AGAIN = `load = () => {
  load = () => {};
  if (!app.isEnvironmentAsRead()) {
    (0, eval)(code);
    app = { ...globalThis.${GLOBAL_NAME} };
    app.loadApp();
  }
};`;

function withVersion(component) {
  // The versions have the same length, so no size in the file changes.
  const text = Buffer.from(component).toString("latin1");
  const unknown = new RegExp(`(wasi:[a-z]+/[a-z-]+@)${UNKNOWN_VERSION.replaceAll(".", "\\.")}`, "g");
  return Buffer.from(text.replace(unknown, `$1${WASI_VERSION}`), "latin1");
}
