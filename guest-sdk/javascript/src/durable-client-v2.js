/** The client of durable-functions 1.x and 2.x, whose methods take their options one by one. */

import { endOf, linksFor } from "./check-status.js";
import { Client } from "./client.js";
import { DurableClient } from "./durable-client.js";

export class DurableOrchestrationClient extends DurableClient {
  /** Some apps have moved to the options of 3.x already. */
  async startNew(orchestratorFunctionName, instanceIdOrOptions, input) {
    const isId = typeof instanceIdOrOptions !== "object" || instanceIdOrOptions === null;
    return super.startNew(orchestratorFunctionName, isId ? { instanceId: instanceIdOrOptions, input } : instanceIdOrOptions);
  }

  createCheckStatusResponse(request, instanceId) {
    const body = linksFor(this.createHttpManagementPayload(instanceId), request);
    return { status: 202, body, headers: { "Content-Type": "application/json", Location: body.statusQueryGetUri, "Retry-After": 10 } };
  }

  async waitForCompletionOrCreateCheckStatusResponse(request, instanceId, timeoutInMilliseconds, retryIntervalInMilliseconds) {
    const end = endOf(await this.waitForEnd(instanceId, { timeoutInMilliseconds, retryIntervalInMilliseconds }));
    if (end?.status === 404) {
      return end;
    }
    return end
      ? { status: end.status, body: JSON.stringify(end.jsonBody), headers: { "Content-Type": "application/json" } }
      : this.createCheckStatusResponse(request, instanceId);
  }

  /** As in the original, the times are texts, and there is an empty text if there is no such instance. */
  async getStatus(instanceId, showHistory, showHistoryOutput, showInput) {
    return (await new Client().getStatus(instanceId, { showHistory, showHistoryOutput, showInput })) ?? "";
  }

  async getStatusBy(createdTimeFrom, createdTimeTo, runtimeStatus) {
    return super.getStatusBy({ createdTimeFrom, createdTimeTo, runtimeStatus });
  }

  async raiseEvent(instanceId, eventName, eventData, taskHubName) {
    return super.raiseEvent(instanceId, eventName, eventData, { taskHubName });
  }

  async rewind(instanceId, reason, taskHubName) {
    return super.rewind(instanceId, reason, { taskHubName });
  }

  async purgeInstanceHistoryBy(createdTimeFrom, createdTimeTo, runtimeStatus) {
    return super.purgeInstanceHistoryBy({ createdTimeFrom, createdTimeTo, runtimeStatus });
  }

  async signalEntity(entityId, operationName, operationContent, taskHubName) {
    return super.signalEntity(entityId, operationName, operationContent, { taskHubName });
  }

  async readEntityState(entityId, taskHubName) {
    return super.readEntityState(entityId, { taskHubName });
  }
}
