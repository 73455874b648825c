// Drives the real JavaScript client of Durable Functions against a running host, and checks every outcome.

import { parseArgs } from "node:util";

const { values } = parseArgs({
  options: {
    url: { type: "string" }, // the address of the host
    binding: { type: "string" }, // the durable client binding that a Functions host passes to a function, in JSON
    switch: { type: "string" }, // the address of a service that can be switched on
    packages: { type: "string" }, // the folder in which the library is installed
    only: { type: "string", default: "" }, // run only checks whose name matches this regular expression
  },
});

process.env.CLIENT_PACKAGES = values.packages;
// With this variable set, as on a site; otherwise the library sends all but its RPC to localhost:7071.
process.env.WEBSITE_HOSTNAME = new URL(values.url).host;

const { runChecks } = await import("./checks.mjs");
const { World } = await import("./world.mjs");
// Each module adds its checks, which run in this order.
for (const subject of ["starting", "reading", "events", "steering", "waiting", "links", "entities", "listing"]) {
  await import(`./${subject}.mjs`);
}

const world = new World({ url: values.url, binding: JSON.parse(values.binding), switchUrl: values.switch });
// Kept-alive connections would keep the process running.
process.exit((await runChecks(world, values.only)) ? 0 : 1);
