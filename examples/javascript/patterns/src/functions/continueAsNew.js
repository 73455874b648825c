// Continue as new: an orchestration that could run for ever, here for a few rounds, with a history that stays short.
const df = require('durable-functions');

df.app.orchestration('periodicCleanup', function* (context) {
    const { round = 1, rounds = 3, cleaned = [] } = context.df.getInput() || {};

    cleaned.push(yield context.df.callActivity('cleanUp', round));

    const next = new Date(context.df.currentUtcDateTime.getTime() + 50);
    yield context.df.createTimer(next);

    if (round < rounds) {
        context.df.continueAsNew({ round: round + 1, rounds, cleaned });
    }
    return cleaned;
});

df.app.activity('cleanUp', { handler: (round) => `round ${round}` });
