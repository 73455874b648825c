/**
 * `df.app.client`: functions that start orchestrations when something happens outside. The host has an HTTP API for
 * that, so these are named at the build and not run.
 */

import { registerTrigger } from "./registry.js";

const ignored = (type) => (functionName) => registerTrigger(functionName, type);

export const http = ignored("httpTrigger");
export const timer = ignored("timerTrigger");
export const storageBlob = ignored("blobTrigger");
export const storageQueue = ignored("queueTrigger");
export const serviceBusQueue = ignored("serviceBusTrigger");
export const serviceBusTopic = ignored("serviceBusTrigger");
export const eventHub = ignored("eventHubTrigger");
export const eventGrid = ignored("eventGridTrigger");
export const cosmosDB = ignored("cosmosDBTrigger");
export const generic = (functionName, options) => registerTrigger(functionName, options?.trigger?.type ?? "trigger");
