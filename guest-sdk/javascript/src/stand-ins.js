/** Maps the modules that apps import to those of the SDK that replace them. */
const url = (file) => new URL(file, import.meta.url).href;

export const standIns = {
  "durable-functions": url("durable-functions.js"),
  "@azure/functions": url("azure-functions.js"),
  "dacapo-sdk": url("index.js"),
  "dacapo-sdk/durable-functions": url("durable-functions.js"),
  "dacapo-sdk/azure-functions": url("azure-functions.js"),
  "dacapo-sdk/testing": url("testing.js"),
};
