/** `input`, `output` and `trigger` of `@azure/functions`, which describe bindings; and the bindings of a function. */

import { RETURN } from "./bindings.js";

/** Makes the functions of one of them, of `{ function: type }`. */
function descriptions(types, suffix) {
  const functions = Object.fromEntries(Object.entries(types).map(([name, type]) => [name, (options) => withName({ ...options, type }, suffix)]));
  return Object.freeze({ ...functions, generic: (options) => withName({ ...options }, suffix) });
}

/** A name is made of the description, so that describing a binding again gives the same one. */
function withName(binding, suffix) {
  const type = String(binding.type);
  const word = type.toLowerCase().endsWith(suffix.toLowerCase()) ? type : type + suffix;
  binding.name ||= word + digest(JSON.stringify(binding));
  return binding;
}

/** FNV-1a, 32 bits. */
function digest(text) {
  let hash = 0x811c9dc5;
  for (let index = 0; index < text.length; index += 1) {
    hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193);
  }
  return (hash >>> 0).toString(16).padStart(8, "0");
}

export const trigger = descriptions(
  {
    http: "httpTrigger",
    timer: "timerTrigger",
    storageBlob: "blobTrigger",
    storageQueue: "queueTrigger",
    serviceBusQueue: "serviceBusTrigger",
    serviceBusTopic: "serviceBusTrigger",
    eventHub: "eventHubTrigger",
    eventGrid: "eventGridTrigger",
    cosmosDB: "cosmosDBTrigger",
    sql: "sqlTrigger",
    mySql: "mysqlTrigger",
    webPubSub: "webPubSubTrigger",
    connectorTrigger: "connectorTrigger",
    mcpTool: "mcpToolTrigger",
    mcpResource: "mcpResourceTrigger",
    mcpPrompt: "mcpPromptTrigger",
    warmup: "warmupTrigger",
  },
  "Trigger",
);

export const input = descriptions(
  { storageBlob: "blob", table: "table", cosmosDB: "cosmosDB", sql: "sql", mySql: "mysql", webPubSubConnection: "webPubSubConnection", webPubSubContext: "webPubSubContext" },
  "Input",
);

export const output = descriptions(
  {
    http: "http",
    storageBlob: "blob",
    storageQueue: "queue",
    table: "table",
    serviceBusQueue: "serviceBus",
    serviceBusTopic: "serviceBus",
    eventHub: "eventHub",
    eventGrid: "eventGrid",
    cosmosDB: "cosmosDB",
    sql: "sql",
    mySql: "mysql",
    webPubSub: "webPubSub",
  },
  "Output",
);

/** The bindings of a function, in the form of a `function.json`. */
export function bindingsOf({ trigger, return: result, extraInputs = [], extraOutputs = [] }) {
  return [
    { ...trigger, direction: "in" },
    ...extraInputs.map((binding) => ({ ...binding, direction: "in" })),
    ...(result ? [{ ...result, name: RETURN, direction: "out" }] : []),
    ...extraOutputs.map((binding) => ({ ...binding, direction: "out" })),
  ];
}
