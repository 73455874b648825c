/** The client of durable-functions, for activities. It starts orchestrations; other requests go to the links of instances. */

import { HttpResponse } from "./azure-functions.js";
import { kindOf, requireLength, requireName, requireText } from "./border.js";
import { EntityId, hostEntityId } from "./entity-id.js";
import { DurableError } from "./failure.js";
import { toJson } from "./json.js";
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
  async startNew(orchestratorFunctionName, options) {
    const { instanceId, input, version } = optionsOf("startNew", options);
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

  async waitForCompletionOrCreateCheckStatusResponse(request, instanceId, options) {
    const { timeoutInMilliseconds = 10_000, retryIntervalInMilliseconds = 1000 } = optionsOf("waitForCompletionOrCreateCheckStatusResponse", options);
    requireLength(timeoutInMilliseconds, "timeoutInMilliseconds");
    requireLength(retryIntervalInMilliseconds, "retryIntervalInMilliseconds");
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

  async getStatus(instanceId, options) {
    const { showHistory = false, showHistoryOutput = false, showInput = true } = optionsOf("getStatus", options);
    const status = await statusOf(instanceId, { showHistory, showHistoryOutput, showInput });
    if (!status) {
      throw new Error(`there is no instance '${instanceId}'`);
    }
    return { ...status, createdTime: new Date(status.createdTime), lastUpdatedTime: new Date(status.lastUpdatedTime) };
  }

  /** The state after the last operation. An entity is an instance too: the link gives its status, which contains the state. */
  async readEntityState(entityId) {
    const { name, key } = hostEntityId(entityId);
    const status = await statusOf(new EntityId(name, key).toString(), { showInput: true });
    return status?.input?.exists ? new EntityStateResponse(true, JSON.parse(status.input.state)) : new EntityStateResponse(false);
  }

  async raiseEvent(instanceId, eventName, eventData) {
    const name = requireName(eventName, "eventName");
    const data = toJson(eventData, `the data of the event '${name}'`);
    const template = this.createHttpManagementPayload(instanceId).sendEventPostUri;
    await send("POST", template.replace(/\{eventName\}|%7BeventName%7D/i, encodeURIComponent(name)), data);
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

  async #withReason(instanceId, link, reason) {
    const text = requireText(reason ?? "", "reason");
    const template = this.createHttpManagementPayload(instanceId)[link];
    await send("POST", template.replace(/\{text\}|%7Btext%7D/i, encodeURIComponent(text)));
  }
}

/** The methods that need rights on the whole task hub, which an activity does not have. */
for (const method of ["getStatusAll", "getStatusBy", "purgeInstanceHistoryBy", "signalEntity"]) {
  DurableClient.prototype[method] = async () => {
    throw new DurableError(`an activity cannot call ${method}: do it in an orchestrator, or over the HTTP API of the host`, {
      type: "Unsupported",
      retriable: false,
    });
  };
}

/** The output of a completed instance, the status of one that has ended otherwise; nothing while it runs. */
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

function optionsOf(method, options) {
  if (options !== undefined && options !== null && typeof options !== "object") {
    throw new TypeError(`The options of ${method} must be an object, not ${kindOf(options)}.`);
  }
  return options ?? {};
}

/** Nothing if there is no such instance. */
async function statusOf(instanceId, shown) {
  const url = new URL(linksOf(instanceId).statusQueryGetUri);
  Object.entries(shown).forEach(([name, value]) => url.searchParams.set(name, value));
  const response = await fetch(url);
  return response.status === 404 ? undefined : response.json();
}

/** @param json the body, if there is one */
async function send(method, url, json) {
  const response = await fetch(url, {
    method,
    headers: json === undefined ? {} : { "Content-Type": "application/json" },
    body: json,
  });
  if (!response.ok && response.status !== 404 && response.status !== 410) {
    throw new Error(`${method} ${new URL(url).pathname}: ${response.status} ${await response.text()}`);
  }
  return response;
}

export function getClient() {
  return new DurableClient();
}
