/**
 * For tests under Node.js: `node --import dacapo-sdk/register --test` replaces `durable-functions` and `@azure/functions`
 * with the SDK, as the build does.
 */

import Module, { register } from "node:module";
import { fileURLToPath } from "node:url";

import { standIns } from "./stand-ins.js";

register("./register-hooks.js", import.meta.url);

// Hooks of `register` see `import`, not `require`.
const resolveFilename = Module._resolveFilename;
Module._resolveFilename = function (request, ...rest) {
  return request in standIns ? fileURLToPath(standIns[request]) : resolveFilename.call(this, request, ...rest);
};
