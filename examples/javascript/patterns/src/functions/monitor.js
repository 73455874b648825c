// A monitor: polls a job until it is done, at growing intervals, and gives up after a timeout.
const df = require('durable-functions');

df.app.orchestration('monitorJob', function* (context) {
    const { jobId, intervalMs = 1000, expiresAfterMs = 60000 } = context.df.getInput();
    const expiresAt = context.df.currentUtcDateTime.getTime() + expiresAfterMs;
    let interval = intervalMs;
    let polls = 0;

    while (context.df.currentUtcDateTime.getTime() < expiresAt) {
        polls++;
        const status = yield context.df.callActivity('getJobStatus', { jobId, polls });
        if (!context.df.isReplaying) {
            context.log(`job ${jobId} is ${status}`);
        }
        if (status === 'done') {
            return { done: true, polls };
        }

        const nextCheck = new Date(context.df.currentUtcDateTime.valueOf() + interval);
        yield context.df.createTimer(nextCheck);
        interval *= 1.5;
    }
    return { done: false, polls };
});

df.app.activity('getJobStatus', {
    handler: ({ polls }) => (polls < 4 ? 'running' : 'done'),
});
