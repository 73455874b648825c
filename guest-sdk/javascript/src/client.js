/**
 * The durable client of the app's own task hub: the interface `client` of the contract, with values of JavaScript in place of JSON
 * texts. Activities and triggers have it.
 */

import { optionalId, optionalText, requireFunctionName, requireLength, requireName, requireText } from "./border.js";
import { checkStatusResponse, endOf, endResponse, linksFor } from "./check-status.js";
import { nameOf } from "./definition.js";
import { milliseconds } from "./duration.js";
import { hostEntityId, operationText } from "./entity-id.js";
import { DurableError } from "./failure.js";
import { hostError } from "./host-error.js";
import { toJson } from "./json.js";
import { mayUseClient } from "./scope.js";

export class Client {
  /**
   * Starts an orchestration and returns its id. Without an `instanceId` the host derives one from the call, so that a call that is
   * repeated starts nothing twice.
   */
  async startOrchestration(orchestrator, input, { instanceId, version, startAt } = {}) {
    const name = requireFunctionName(nameOf(orchestrator), "The name of an orchestration");
    const [id, label] = [optionalId(instanceId), optionalText(version, "version")];
    return call("startOrchestration", name, toJson(input, `the input of '${name}'`), id, label, optionalTime(startAt, "startAt"));
  }

  /** The status of an instance, or undefined if there is none. */
  async getStatus(instanceId, options) {
    return fromJson(call("getStatus", idText(instanceId), optionsText(options)));
  }

  /** A page: `{ instances, continuationToken }`. */
  async listInstances(filter) {
    return fromJson(call("listInstances", optionsText(filter)));
  }

  /** All instances that match, page by page. */
  async *instances(filter = {}) {
    let continuationToken;
    do {
      const page = await this.listInstances({ ...filter, continuationToken });
      yield* page.instances;
      continuationToken = page.continuationToken;
    } while (continuationToken);
  }

  async raiseEvent(instanceId, eventName, data) {
    const name = requireName(eventName, "eventName");
    call("raiseEvent", idText(instanceId), name, toJson(data, `the data of the event '${name}'`));
  }

  async terminate(instanceId, reason) {
    call("terminate", idText(instanceId), reasonText(reason));
  }

  async suspend(instanceId, reason) {
    call("suspend", idText(instanceId), reasonText(reason));
  }

  async resume(instanceId, reason) {
    call("resume", idText(instanceId), reasonText(reason));
  }

  async rewind(instanceId, reason) {
    call("rewind", idText(instanceId), reasonText(reason));
  }

  /** Starts it anew with its recorded input, and returns the id of the new instance. */
  async restart(instanceId, newInstanceId) {
    return call("restart", idText(instanceId), optionalId(newInstanceId));
  }

  /** Whether there was something to remove. */
  async purge(instanceId) {
    return call("purge", idText(instanceId));
  }

  /** The number of instances that were removed. */
  async purgeInstances(filter) {
    return call("purgeInstances", optionsText(filter));
  }

  /** Waits until an instance has ended, at most so long; returns its status, or undefined if there is no such instance. */
  async waitForCompletion(instanceId, timeout) {
    return fromJson(call("waitForCompletion", idText(instanceId), requireLength(milliseconds(timeout, "timeout"), "timeout")));
  }

  /** Sends a one-way operation, which is delivered at once, or not before `at`. */
  async signalEntity(id, operation, input, { at } = {}) {
    const json = toJson(input, `the input of the operation '${operation}'`);
    call("signalEntity", hostEntityId(id), operationText(operation), json, optionalTime(at, "at"));
  }

  /**
   * Puts messages into a queue, at once or so that they are not delivered before `at`. One message is a text, or a value that
   * becomes JSON; an array is several. If the call of the activity or trigger is repeated, it puts none of them again.
   */
  async enqueue(queue, messages, { at } = {}) {
    const all = Array.isArray(messages) ? messages : [messages];
    call("enqueue", requireName(queue, "queue"), all.map(messageText), optionalTime(at, "at"));
  }

  /** The state of an entity; undefined if there is none. */
  async readEntity(id) {
    const state = call("readEntity", hostEntityId(id)) ?? undefined;
    return state === undefined ? undefined : JSON.parse(state);
  }

  /** A page: `{ entities, continuationToken }`. */
  async listEntities(filter) {
    return fromJson(call("listEntities", optionsText(filter)));
  }

  /** The links for managing an instance over HTTP. */
  links(instanceId) {
    const links = fromJson(call("links", idText(instanceId)));
    if (!links) {
      throw new TypeError(`'${instanceId}' cannot be the id of an instance.`);
    }
    return links;
  }

  /** The response 202 of a trigger that has started an instance, with its links. */
  checkStatusResponse(request, instanceId) {
    return checkStatusResponse(linksFor(this.links(instanceId), request));
  }

  /** Waits for the output of an instance, at most so long, and responds with it, or as `checkStatusResponse`. */
  async outputOrCheckStatusResponse(request, instanceId, { timeout = DEFAULT_TIMEOUT } = {}) {
    const end = endOf(await this.waitForCompletion(instanceId, timeout));
    return end ? endResponse(end) : this.checkStatusResponse(request, instanceId);
  }
}

/** That of the original, in milliseconds. */
const DEFAULT_TIMEOUT = 10_000;

/** Calls a function of the host. A failure is a `DurableError` with its type as `name`. */
function call(method, ...args) {
  if (!mayUseClient()) {
    throw new DurableError("the durable client is for activities and triggers: an orchestrator calls an activity that uses it", {
      type: "NotAvailable",
      retriable: false,
    });
  }
  try {
    return globalThis.__dacapo.imports.client[method](...args);
  } catch (thrown) {
    const failure = hostError(thrown);
    throw typeof failure?.errorType === "string" ? new DurableError(failure.message, { type: failure.errorType, retriable: failure.retriable }) : failure;
  }
}

const idText = (instanceId) => requireText(instanceId, "instanceId");
const reasonText = (reason) => requireText(reason ?? "", "reason");
const messageText = (message) => (typeof message === "string" ? requireText(message, "a message") : toJson(message, "a message"));
const fromJson = (text) => JSON.parse(text) ?? undefined;

/** Options and filters. Points in time may be dates, also those of a date library. */
function optionsText(options) {
  const given = Object.entries(options ?? {}).filter(([, value]) => value !== undefined && value !== null);
  const json = (value) => (typeof value.toISOString === "function" ? value.toISOString() : value);
  return given.length === 0 ? "" : toJson(Object.fromEntries(given.map(([name, value]) => [name, json(value)])), "the options");
}

function optionalTime(time, what) {
  if (time === undefined || time === null) {
    return null;
  }
  const milliseconds = Number(time);
  if (!Number.isFinite(milliseconds)) {
    throw new TypeError(`${what} must be a valid Date.`);
  }
  return milliseconds;
}
