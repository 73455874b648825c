/**
 * `df.app.client`: functions with a trigger that start orchestrations. The host has an HTTP API for that, so these are not
 * run, and the build reports them.
 */

import { ignoredTrigger, registerTrigger } from "./registry.js";

export const http = ignoredTrigger("httpTrigger");
export const timer = ignoredTrigger("timerTrigger");
export const storageBlob = ignoredTrigger("blobTrigger");
export const storageQueue = ignoredTrigger("queueTrigger");
export const serviceBusQueue = ignoredTrigger("serviceBusTrigger");
export const serviceBusTopic = ignoredTrigger("serviceBusTrigger");
export const eventHub = ignoredTrigger("eventHubTrigger");
export const eventGrid = ignoredTrigger("eventGridTrigger");
export const cosmosDB = ignoredTrigger("cosmosDBTrigger");
export const generic = (functionName, options) => registerTrigger(functionName, options?.trigger?.type ?? "trigger");
