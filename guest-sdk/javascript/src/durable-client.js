/** The client of durable-functions, as far as an activity can be one: it starts orchestrations, and knows the links of any instance. */

import { HttpResponse } from "./azure-functions.js";
import { EntityId, hostEntityId } from "./entity-id.js";
import { DurableError } from "./failure.js";
import { linksOf, startOrchestration } from "./management.js";

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
  async startNew(orchestratorFunctionName, { instanceId, input, version } = {}) {
    return startOrchestration(orchestratorFunctionName, input, { instanceId, version });
  }

  createHttpManagementPayload(instanceId) {
    return new HttpManagementPayload(linksOf(instanceId));
  }

  createCheckStatusResponse(_request, instanceId) {
    const payload = this.createHttpManagementPayload(instanceId);
    return new HttpResponse({
      status: 202,
      jsonBody: payload,
      headers: { "Content-Type": "application/json", Location: payload.statusQueryGetUri, "Retry-After": "10" },
    });
  }

  async waitForCompletionOrCreateCheckStatusResponse(request, instanceId, { timeoutInMilliseconds = 10_000, retryIntervalInMilliseconds = 1000 } = {}) {
    if (retryIntervalInMilliseconds > timeoutInMilliseconds) {
      throw new RangeError("retryIntervalInMilliseconds must not be greater than timeoutInMilliseconds.");
    }
    const deadline = Date.now() + timeoutInMilliseconds;
    for (;;) {
      const status = await this.getStatus(instanceId);
      const response = responseOfEnd(status);
      if (response) {
        return response;
      }
      const left = deadline - Date.now();
      if (left <= 0) {
        return this.createCheckStatusResponse(request, instanceId);
      }
      await new Promise((resolve) => setTimeout(resolve, Math.min(left, retryIntervalInMilliseconds)));
    }
  }

  async getStatus(instanceId, { showHistory = false, showHistoryOutput = false, showInput = true } = {}) {
    const status = await statusOf(instanceId, { showHistory, showHistoryOutput, showInput });
    if (!status) {
      throw new Error(`there is no instance '${instanceId}'`);
    }
    return { ...status, createdTime: new Date(status.createdTime), lastUpdatedTime: new Date(status.lastUpdatedTime) };
  }

  /** The state as the last operation left it. An entity is an instance, whose link opens it, and the state is in its status. */
  async readEntityState(entityId) {
    const { name, key } = hostEntityId(entityId);
    const status = await statusOf(new EntityId(name, key).toString(), { showInput: true });
    return status?.input?.exists ? new EntityStateResponse(true, JSON.parse(status.input.state)) : new EntityStateResponse(false);
  }

  async raiseEvent(instanceId, eventName, eventData) {
    const template = this.createHttpManagementPayload(instanceId).sendEventPostUri;
    const url = template.replace(/\{eventName\}|%7BeventName%7D/i, encodeURIComponent(eventName));
    await send("POST", url, eventData ?? null);
  }

  terminate(instanceId, reason) {
    return this.#withReason(instanceId, "terminatePostUri", reason);
  }

  suspend(instanceId, reason) {
    return this.#withReason(instanceId, "suspendPostUri", reason);
  }

  resume(instanceId, reason) {
    return this.#withReason(instanceId, "resumePostUri", reason);
  }

  rewind(instanceId, reason) {
    return this.#withReason(instanceId, "rewindPostUri", reason);
  }

  async purgeInstanceHistory(instanceId) {
    const response = await send("DELETE", this.createHttpManagementPayload(instanceId).purgeHistoryDeleteUri);
    return new PurgeHistoryResult(response.status === 404 ? 0 : (await response.json()).instancesDeleted);
  }

  async #withReason(instanceId, link, reason = "") {
    const template = this.createHttpManagementPayload(instanceId)[link];
    await send("POST", template.replace(/\{text\}|%7Btext%7D/i, encodeURIComponent(reason)));
  }
}

/** What needs rights on the whole task hub, which an activity does not have. */
for (const method of ["getStatusAll", "getStatusBy", "purgeInstanceHistoryBy", "signalEntity"]) {
  DurableClient.prototype[method] = async () => {
    throw new DurableError(`an activity cannot call ${method}: do it in an orchestrator, or over the HTTP API of the host`, {
      type: "Unsupported",
      retriable: false,
    });
  };
}

/** The output of one that has completed, the status of one that has ended otherwise; nothing while it has not ended. */
function responseOfEnd(status) {
  const { Completed, Canceled, Terminated, Failed } = OrchestrationRuntimeStatus;
  const respond = (code, body) => new HttpResponse({ status: code, jsonBody: body, headers: { "Content-Type": "application/json" } });
  switch (status.runtimeStatus) {
    case Completed:
      return respond(200, status.output);
    case Canceled:
    case Terminated:
      return respond(200, status);
    case Failed:
      return respond(500, status);
    default:
      return undefined;
  }
}

/** Nothing if there is no such instance. */
async function statusOf(instanceId, shown) {
  const url = new URL(linksOf(instanceId).statusQueryGetUri);
  Object.entries(shown).forEach(([name, value]) => url.searchParams.set(name, value));
  const response = await fetch(url);
  return response.status === 404 ? undefined : response.json();
}

async function send(method, url, body) {
  const response = await fetch(url, {
    method,
    headers: body === undefined ? {} : { "Content-Type": "application/json" },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  if (!response.ok && response.status !== 404 && response.status !== 410) {
    throw new Error(`${method} ${new URL(url).pathname}: ${response.status} ${await response.text()}`);
  }
  return response;
}

export function getClient() {
  return new DurableClient();
}
