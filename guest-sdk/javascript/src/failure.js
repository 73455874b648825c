/**
 * Failures are values of the contract (`types.failure` in `dacapo.wit`). This module converts errors of JavaScript to
 * failures, and failures from the host to errors.
 */

import { wellFormed } from "./border.js";
import { originalStack, placeOf } from "./stack.js";

/** The maximum length of a chain of causes; a cycle ends earlier. */
const CAUSES_MAX = 16;

/** An error with a type that callers can match on, and that a retry policy respects. */
export class DurableError extends Error {
  constructor(message, { type = "DurableError", retriable = true, properties, cause } = {}) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = type;
    this.retriable = retriable;
    this.properties = properties;
  }
}

/** The words of Durable Functions with which the host begins the message of a failed activity or sub-orchestration. */
const SAYS_WHO_FAILED = /^(Activity|Orchestrator) function '[^']*' failed: /;

/** The error of a failed task: the failure of an activity, a sub-orchestration, an entity or the host. */
export class TaskFailedError extends Error {
  constructor(failureDetails, taskName, taskId) {
    const { errorType, errorMessage } = failureDetails;
    super(SAYS_WHO_FAILED.test(errorMessage) ? errorMessage : `${errorType}: ${errorMessage}`);
    this.name = "TaskFailedError";
    this.failureDetails = failureDetails;
    this.taskName = taskName;
    this.taskId = taskId;
    if (failureDetails.stackTrace) {
      this.stack = failureDetails.stackTrace;
    }
  }
}

const ownProperties = (error) => (error instanceof DurableError ? error.properties : undefined);

let propertiesOf = ownProperties;

/** Sets the provider of `df.app.setExceptionPropertiesProvider`. */
export function setExceptionPropertiesProvider(provider) {
  propertiesOf = provider ? (error) => provider.getExceptionProperties(error) ?? ownProperties(error) : ownProperties;
}

/** If a caller does not catch the failure of a task, it fails with the same failure. */
const failureOfTask = new WeakMap();

export function errorOfFailure(failure, taskName, taskId) {
  const error = new TaskFailedError(failureDetails(failure), taskName, taskId);
  failureOfTask.set(error, failure);
  return error;
}

/** @param body the function of the app that failed, which is named if no line of the app threw the error */
export function failureOfError(error, body) {
  // Any value can be thrown, and reading its properties may throw.
  return failureOfTask.get(error) ?? {
    errorType: wellFormed(safely(() => errorType(error)) ?? "Error"),
    message: wellFormed(safely(() => messageOf(error)) ?? "what was thrown has no text"),
    details: safely(() => wellFormed(safely(() => details(error)) ?? placeOf(body))) ?? null,
    retriable: safely(() => !(error?.retriable === false || error?.isNonRetriable === true)) ?? true,
  };
}

function errorType(error) {
  if (!(error instanceof Error)) {
    return "Error";
  }
  // A class that does not set `name` inherits that of `Error`: then the name of the class is used.
  return String(error.name === "Error" ? error.constructor?.name || "Error" : error.name);
}

function messageOf(error) {
  if (error instanceof Error) {
    return String(error.message);
  }
  if (typeof error === "string") {
    return error;
  }
  try {
    return JSON.stringify(error) ?? String(error);
  } catch {
    return String(error);
  }
}

/**
 * Stack, causes and properties as one text:
 *
 *     at charge (src/functions/charge.ts:12:9)
 *     caused by: RangeError: too much
 *     at limit (src/limit.ts:3:5)
 *     properties: {"cents":1999}
 */
function details(error) {
  const lines = [stackOf(error)];
  const seen = new Set([error]);
  let cause = error?.cause;
  while (cause !== undefined && cause !== null && !seen.has(cause) && seen.size <= CAUSES_MAX) {
    seen.add(cause);
    lines.push(`${CAUSED_BY}${errorType(cause)}: ${messageOf(cause)}`, stackOf(cause));
    cause = cause.cause;
  }
  const properties = safely(() => JSON.stringify(propertiesOf(error)));
  if (properties !== undefined) {
    lines.push(PROPERTIES + properties);
  }
  return lines.filter(Boolean).join("\n") || null;
}

const CAUSED_BY = "caused by: ";
const PROPERTIES = "properties: ";

function stackOf(error) {
  return error instanceof Error ? originalStack(error) : "";
}

/** Parses a text that `details` has written. Details from other languages are treated as a stack trace. */
function failureDetails({ errorType, message, details, retriable }) {
  const lines = (details ?? "").split("\n");
  const last = lines.at(-1);
  const properties = last.startsWith(PROPERTIES) ? safely(() => JSON.parse(last.slice(PROPERTIES.length))) : undefined;
  if (properties !== undefined) {
    lines.pop();
  }
  const [stack, ...causes] = `\n${lines.join("\n")}`.split(`\n${CAUSED_BY}`);
  const innerFailure = causes.reduceRight((inner, cause) => {
    const [title, ...stack] = cause.split("\n");
    const [type, ...message] = title.split(": ");
    return detailsObject({ errorType: type, message: message.join(": "), stack: stack.join("\n"), retriable: true }, inner);
  }, undefined);
  return detailsObject({ errorType, message, stack: stack.slice(1), retriable, properties }, innerFailure);
}

function detailsObject({ errorType, message, stack, retriable, properties }, innerFailure) {
  return {
    errorType,
    errorMessage: message,
    stackTrace: stack || undefined,
    isNonRetriable: !retriable,
    properties,
    innerFailure,
    isCausedBy: (type) => errorType === type || (innerFailure?.isCausedBy(type) ?? false),
  };
}

function safely(compute) {
  try {
    return compute();
  } catch {
    return undefined;
  }
}
