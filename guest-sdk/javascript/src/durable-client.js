/** The client of durable-functions 3.x. */

import { kindOf, requireLength } from "./border.js";
import { checkStatusResponse, endOf, endResponse, linksFor } from "./check-status.js";
import { Client } from "./client.js";
import { DurableError } from "./failure.js";

export const OrchestrationRuntimeStatus = Object.freeze({
  Running: "Running",
  Completed: "Completed",
  ContinuedAsNew: "ContinuedAsNew",
  Failed: "Failed",
  Canceled: "Canceled",
  Terminated: "Terminated",
  Pending: "Pending",
  Suspended: "Suspended",
});

export class DurableOrchestrationStatus {
  constructor(status) {
    Object.assign(this, status);
    this.createdTime = new Date(status.createdTime);
    this.lastUpdatedTime = new Date(status.lastUpdatedTime);
  }
}

export class PurgeHistoryResult {
  constructor(instancesDeleted) {
    this.instancesDeleted = instancesDeleted;
  }
}

export class EntityStateResponse {
  constructor(entityExists, entityState) {
    this.entityExists = entityExists;
    this.entityState = entityState;
  }
}

export class HttpManagementPayload {
  constructor(links) {
    Object.assign(this, links);
  }
}

export class DurableClient {
  #client = new Client();

  get taskHubName() {
    return taskHubOf(this.#client.links(ANY_ID)) ?? "";
  }

  /** The origins of the links that the host makes. */
  get uniqueWebhookOrigins() {
    return [new URL(this.#client.links(ANY_ID).statusQueryGetUri).origin];
  }

  /** Beside the options of the original there is `startAt`: the orchestration does not begin before this Date. */
  async startNew(orchestratorFunctionName, options) {
    const { instanceId, input, version, startAt } = optionsOf("startNew", options);
    return this.#client.startOrchestration(orchestratorFunctionName, input, { instanceId, version, startAt });
  }

  createHttpManagementPayload(instanceId) {
    return new HttpManagementPayload(this.#client.links(instanceId));
  }

  /** The links have the origin to which the request was sent. */
  createCheckStatusResponse(request, instanceId) {
    return checkStatusResponse(linksFor(this.createHttpManagementPayload(instanceId), request));
  }

  async waitForCompletionOrCreateCheckStatusResponse(request, instanceId, options) {
    const end = endOf(await this.waitForEnd(instanceId, optionsOf("waitForCompletionOrCreateCheckStatusResponse", options)));
    return end ? endResponse(end) : this.createCheckStatusResponse(request, instanceId);
  }

  /** The status at the end, or when the time is over; undefined if there is no such instance. The original has no such method. */
  async waitForCompletion(instanceId, timeoutInMilliseconds) {
    const status = await this.#client.waitForCompletion(instanceId, timeoutInMilliseconds);
    return status && new DurableOrchestrationStatus(status);
  }

  /** For the SDK: the status at the end, or when the time is over; undefined if there is no such instance. The host waits, so the interval is only checked. */
  async waitForEnd(instanceId, { timeoutInMilliseconds = 10_000, retryIntervalInMilliseconds = 1000 } = {}) {
    requireLength(timeoutInMilliseconds, "timeoutInMilliseconds");
    requireLength(retryIntervalInMilliseconds, "retryIntervalInMilliseconds");
    if (retryIntervalInMilliseconds > timeoutInMilliseconds) {
      throw new RangeError("retryIntervalInMilliseconds must not be greater than timeoutInMilliseconds.");
    }
    return this.#client.waitForCompletion(instanceId, timeoutInMilliseconds);
  }

  async getStatus(instanceId, options) {
    const { showHistory, showHistoryOutput, showInput } = optionsOf("getStatus", options);
    const status = await this.#client.getStatus(instanceId, { showHistory, showHistoryOutput, showInput });
    return new DurableOrchestrationStatus(existing(status, instanceId));
  }

  /** As in the original, the times of lists are texts. */
  async getStatusAll() {
    return this.#list({});
  }

  async getStatusBy(filter) {
    const { taskHubName, connectionName, ...wanted } = optionsOf("getStatusBy", filter);
    this.#requireOwnHub(taskHubName);
    return this.#list(wanted);
  }

  /** A page, `{ instances, continuationToken }`, which the original does not have. */
  async listInstances(filter) {
    return this.#client.listInstances(optionsOf("listInstances", filter));
  }

  async #list(filter) {
    const found = [];
    for await (const status of this.#client.instances(filter)) {
      found.push(status);
    }
    return found;
  }

  async raiseEvent(instanceId, eventName, eventData, options) {
    this.#requireOwnHub(optionsOf("raiseEvent", options).taskHubName);
    await unlessEnded(instanceId, () => this.#client.raiseEvent(instanceId, eventName, eventData));
  }

  async terminate(instanceId, reason) {
    await unlessEnded(instanceId, () => this.#client.terminate(instanceId, reason));
  }

  async suspend(instanceId, reason) {
    await unlessEnded(instanceId, () => this.#client.suspend(instanceId, reason));
  }

  async resume(instanceId, reason) {
    await unlessEnded(instanceId, () => this.#client.resume(instanceId, reason));
  }

  async rewind(instanceId, reason, options) {
    this.#requireOwnHub(optionsOf("rewind", options).taskHubName);
    try {
      await unlessMissing(instanceId, () => this.#client.rewind(instanceId, reason));
    } catch (error) {
      throw error.name === "NotRewindable" ? new Error(error.message, { cause: error }) : error;
    }
  }

  /**
   * Returns the id of the new instance, which is that of the old one if `restartWithNewInstanceId` is false. Other than in the original
   * that may be the new id itself.
   */
  async restart(instanceId, restartWithNewInstanceId = true) {
    const given = typeof restartWithNewInstanceId === "string" ? restartWithNewInstanceId : undefined;
    const newInstanceId = given ?? (restartWithNewInstanceId ? undefined : instanceId);
    return unlessMissing(instanceId, () => this.#client.restart(instanceId, newInstanceId));
  }

  async purgeInstanceHistory(instanceId) {
    return new PurgeHistoryResult((await this.#client.purge(instanceId)) ? 1 : 0);
  }

  async purgeInstanceHistoryBy(filter) {
    const { createdTimeFrom, createdTimeTo, runtimeStatus, instanceIdPrefix, functionName, version } = optionsOf("purgeInstanceHistoryBy", filter);
    const wanted = { createdTimeFrom, createdTimeTo, runtimeStatus, instanceIdPrefix, functionName, version };
    return new PurgeHistoryResult(await this.#client.purgeInstances(wanted));
  }

  /** Beside the options of the original there is `at`: the signal is not delivered before this Date. */
  async signalEntity(entityId, operationName, operationContent, options) {
    const { taskHubName, at } = optionsOf("signalEntity", options);
    this.#requireOwnHub(taskHubName);
    await this.#client.signalEntity(entityId, operationName, operationContent, { at });
  }

  async readEntityState(entityId, options) {
    this.#requireOwnHub(optionsOf("readEntityState", options).taskHubName);
    const state = await this.#client.readEntity(entityId);
    return state === undefined ? new EntityStateResponse(false) : new EntityStateResponse(true, state);
  }

  /** A page, `{ entities, continuationToken }`. The original has no such method. */
  async listEntities(filter) {
    return this.#client.listEntities(optionsOf("listEntities", filter));
  }

  #requireOwnHub(taskHubName) {
    if (taskHubName && taskHubName.toLowerCase() !== this.taskHubName.toLowerCase()) {
      throw new DurableError(`the client works in its own task hub '${this.taskHubName}', not in '${taskHubName}': send a request to the host's HTTP API`, {
        type: "Unsupported",
        retriable: false,
      });
    }
  }
}

/** An id that any instance could have, for what all links have in common. */
const ANY_ID = "INSTANCEID";

function taskHubOf({ statusQueryGetUri }) {
  const query = [...new URL(statusQueryGetUri).searchParams];
  return query.find(([name]) => name.toLowerCase() === "taskhub")?.[1];
}

/** The value of a binding `durableClient`: the host's addresses. They are looked up when they are read. */
export function clientBinding() {
  const links = () => new DurableClient().createHttpManagementPayload(ANY_ID);
  return {
    get taskHubName() {
      return taskHubOf(links()) ?? "";
    },
    get managementUrls() {
      return { ...links() };
    },
    get baseUrl() {
      return links().statusQueryGetUri.replace(/\/instances\/.*$/s, "");
    },
    get requiredQueryStringParameters() {
      return new URL(links().statusQueryGetUri).search.slice(1);
    },
    get creationUrls() {
      const [base, query] = [this.baseUrl, this.requiredQueryStringParameters];
      return { createNewInstancePostUri: `${base}/orchestrators/{functionName}[/{instanceId}]${query && `?${query}`}` };
    },
  };
}

function existing(status, instanceId) {
  if (!status) {
    throw new Error(`DurableClient error: HTTP 404: there is no instance '${instanceId}'.`);
  }
  return status;
}

/** As in the original, what is sent to an instance that has ended is dropped without an error. */
async function unlessEnded(instanceId, send) {
  try {
    await unlessMissing(instanceId, send);
  } catch (error) {
    if (error.name !== "InstanceEnded") {
      throw error;
    }
  }
}

async function unlessMissing(instanceId, send) {
  try {
    return await send();
  } catch (error) {
    throw error.name === "InstanceNotFound" ? new Error(`No instance with ID '${instanceId}' found.`, { cause: error }) : error;
  }
}

function optionsOf(method, options) {
  if (options !== undefined && options !== null && typeof options !== "object") {
    throw new TypeError(`The options of ${method} must be an object, not ${kindOf(options)}.`);
  }
  return options ?? {};
}

/** The key under which a context has the client of its programming model, if that is not this one. */
export const CLIENT = Symbol("client");

export function getClient(context) {
  return context?.[CLIENT] ?? new DurableClient();
}
