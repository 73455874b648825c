/** When and how often a failed call is tried again. The host keeps the schedule. */

export class RetryOptions {
  backoffCoefficient;
  maxRetryIntervalInMilliseconds;
  retryTimeoutInMilliseconds;

  constructor(firstRetryIntervalInMilliseconds, maxNumberOfAttempts) {
    if (!(firstRetryIntervalInMilliseconds > 0)) {
      throw new RangeError("firstRetryIntervalInMilliseconds must be greater than 0.");
    }
    this.firstRetryIntervalInMilliseconds = firstRetryIntervalInMilliseconds;
    this.maxNumberOfAttempts = maxNumberOfAttempts;
  }
}

/** The policy of the contract, of a `RetryOptions` or anything that has its properties. */
export function retryPolicy(options) {
  const { firstRetryIntervalInMilliseconds, maxNumberOfAttempts, nonRetriableErrorTypes = [] } = options ?? {};
  if (!(firstRetryIntervalInMilliseconds > 0) || !(maxNumberOfAttempts >= 1)) {
    throw new TypeError("Retry options need firstRetryIntervalInMilliseconds and maxNumberOfAttempts, both greater than 0.");
  }
  return {
    maxAttempts: Math.floor(maxNumberOfAttempts),
    firstInterval: firstRetryIntervalInMilliseconds,
    backoffCoefficient: options.backoffCoefficient ?? 1,
    maxInterval: options.maxRetryIntervalInMilliseconds ?? null,
    timeout: options.retryTimeoutInMilliseconds ?? null,
    nonRetriableErrorTypes: [...nonRetriableErrorTypes],
  };
}
