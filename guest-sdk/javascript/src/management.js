/** The host functions of activities. */

import { optionalId, optionalText, requireFunctionName, requireText } from "./border.js";
import { DurableError } from "./failure.js";
import { hostError } from "./host-error.js";
import { toJson } from "./json.js";

const host = () => globalThis.__dacapo.imports.management;

/** The links for managing an instance. */
export function linksOf(instanceId) {
  const links = JSON.parse(host().links(requireText(instanceId, "instanceId")));
  if (!links) {
    throw new TypeError(`'${instanceId}' cannot be the id of an instance.`);
  }
  return links;
}

/**
 * Starts an orchestration that runs on its own, and returns its id. Without an `instanceId` the host derives one, which is
 * the same when the call of the activity is repeated after a crash.
 */
export function startOrchestration(name, input, { instanceId, version } = {}) {
  const orchestration = requireFunctionName(name, "The name of an orchestration");
  const [id, label] = [optionalId(instanceId), optionalText(version, "version")];
  const json = toJson(input, `the input of '${name}'`);
  try {
    return host().startOrchestration(orchestration, json, id, label);
  } catch (thrown) {
    throw refusal(hostError(thrown));
  }
}

function refusal(failure) {
  if (typeof failure?.errorType !== "string") {
    return failure;
  }
  return new DurableError(failure.message, { type: failure.errorType, retriable: failure.retriable });
}
