// Retries: a policy retries an unreliable activity; one that never succeeds fails after the last attempt.
const df = require('durable-functions');

const retryOptions = new df.RetryOptions(100, 5);
retryOptions.backoffCoefficient = 2;
retryOptions.maxRetryIntervalInMilliseconds = 1000;

df.app.orchestration('retryUntilItWorks', function* (context) {
    const { failures = 2 } = context.df.getInput() || {};

    const result = yield context.df.callActivityWithRetry('flaky', retryOptions, failures);

    try {
        yield context.df.callActivityWithRetry('flaky', new df.RetryOptions(10, 2), 1000);
    } catch (error) {
        return { result, caught: error.message };
    }
});

df.app.activity('flaky', {
    handler: (failures, context) => {
        const attempt = (context.retryContext ? context.retryContext.retryCount : 0) + 1;
        if (attempt <= failures) {
            throw new Error(`attempt ${attempt} failed`);
        }
        return `attempt ${attempt} succeeded`;
    },
});
