/** `df.app.client`: the triggers of `app`, for handlers `(triggerInput, client, context)`. */

import * as app from "./azure-functions-app.js";
import { getClient } from "./durable-client.js";
import { durableClient } from "./durable-functions-input.js";
import { requireHandler } from "./registry.js";

const isClient = ({ type }) => type === "durableClient" || type === "orchestrationClient";

const withClient = (registration) => (functionName, options) => {
  const handler = requireHandler(functionName, options?.handler);
  const extraInputs = options.extraInputs ?? [];
  registration(functionName, {
    ...options,
    extraInputs: extraInputs.some(isClient) ? extraInputs : [...extraInputs, durableClient()],
    handler: (triggerInput, context) => handler(triggerInput, getClient(context), context),
  });
};

export const http = withClient(app.http);
export const timer = withClient(app.timer);
export const storageBlob = withClient(app.storageBlob);
export const storageQueue = withClient(app.storageQueue);
export const serviceBusQueue = withClient(app.serviceBusQueue);
export const serviceBusTopic = withClient(app.serviceBusTopic);
export const eventHub = withClient(app.eventHub);
export const eventGrid = withClient(app.eventGrid);
export const cosmosDB = withClient(app.cosmosDB);
export const generic = withClient(app.generic);
