// Drives the real JavaScript client of Durable Functions against a running host, and checks every outcome.

import { parseArgs } from "node:util";

const { values } = parseArgs({
  options: {
    url: { type: "string" }, // the address of the host
    binding: { type: "string" }, // what the host would hand to a function as its durable client, in JSON
    switch: { type: "string" }, // the address of a service that can be switched on
    packages: { type: "string" }, // the folder in which the library is installed
    only: { type: "string", default: "" }, // only checks whose name matches this regular expression
  },
});

process.env.CLIENT_PACKAGES = values.packages;
// On a site; anywhere else the library sends all but its RPC to localhost:7071.
process.env.WEBSITE_HOSTNAME = new URL(values.url).host;

const { runChecks } = await import("./checks.mjs");
const { World } = await import("./world.mjs");
// Each adds its checks, and they run in this order.
for (const subject of ["starting", "reading", "events", "steering", "waiting", "links", "entities", "listing"]) {
  await import(`./${subject}.mjs`);
}

const world = new World({ url: values.url, binding: JSON.parse(values.binding), switchUrl: values.switch });
// Connections that are kept alive would keep the process alive, too.
process.exit((await runChecks(world, values.only)) ? 0 : 1);
