// The real library, from the folder where the tests have installed it.

import { createRequire } from "node:module";
import { join } from "node:path";

const require = createRequire(join(process.env.CLIENT_PACKAGES, "package.json"));

export const durable = require("durable-functions");
export const { HttpRequest, InvocationContext } = require("@azure/functions");
