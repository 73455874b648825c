/** Retry policies: when and how often a failed call is retried. The host keeps the schedule. */

import { kindOf, optionalLength, requireLength, requireNumber, requireText } from "./border.js";

/** The largest number of attempts in the contract. */
const ATTEMPTS_MAX = 0xffff_ffff;

export class RetryOptions {
  backoffCoefficient;
  maxRetryIntervalInMilliseconds;
  retryTimeoutInMilliseconds;

  constructor(firstRetryIntervalInMilliseconds, maxNumberOfAttempts) {
    requireNumber(firstRetryIntervalInMilliseconds, "firstRetryIntervalInMilliseconds");
    requireNumber(maxNumberOfAttempts, "maxNumberOfAttempts");
    if (firstRetryIntervalInMilliseconds <= 0) {
      throw new RangeError("firstRetryIntervalInMilliseconds must be greater than 0.");
    }
    this.firstRetryIntervalInMilliseconds = firstRetryIntervalInMilliseconds;
    this.maxNumberOfAttempts = maxNumberOfAttempts;
  }
}

export function requireRetryOptions(options) {
  if (typeof options !== "object" || options === null) {
    throw new TypeError(`retryOptions must be RetryOptions, not ${kindOf(options)}.`);
  }
  return options;
}

/** Converts a `RetryOptions`, or an object with its properties, to the contract's policy. Properties may have changed. */
export function retryPolicy(options) {
  const { firstRetryIntervalInMilliseconds, maxNumberOfAttempts, nonRetriableErrorTypes } = requireRetryOptions(options);
  requireNumber(firstRetryIntervalInMilliseconds, "firstRetryIntervalInMilliseconds");
  requireNumber(maxNumberOfAttempts, "maxNumberOfAttempts");
  if (!(firstRetryIntervalInMilliseconds > 0)) {
    throw new RangeError("firstRetryIntervalInMilliseconds must be greater than 0.");
  }
  if (!(maxNumberOfAttempts >= 1)) {
    throw new RangeError("maxNumberOfAttempts must be at least 1.");
  }
  return {
    maxAttempts: Math.min(Math.floor(maxNumberOfAttempts), ATTEMPTS_MAX),
    firstInterval: firstRetryIntervalInMilliseconds,
    backoffCoefficient: requireLength(options.backoffCoefficient ?? 1, "backoffCoefficient"),
    maxInterval: optionalLength(options.maxRetryIntervalInMilliseconds, "maxRetryIntervalInMilliseconds"),
    timeout: optionalLength(options.retryTimeoutInMilliseconds, "retryTimeoutInMilliseconds"),
    nonRetriableErrorTypes: errorTypes(nonRetriableErrorTypes),
  };
}

function errorTypes(types = []) {
  if (typeof types === "string" || typeof types?.[Symbol.iterator] !== "function") {
    throw new TypeError(`nonRetriableErrorTypes must be a list of strings, not ${kindOf(types)}.`);
  }
  return Array.from(types, (type) => requireText(type, "Each of nonRetriableErrorTypes"));
}
