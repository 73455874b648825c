const df = require('durable-functions');

module.exports = df.orchestrator(function* (context) {
    const greetings = [];
    for (const city of context.df.getInput() || ['Tokyo']) {
        greetings.push(yield context.df.callActivity('SayHello', city));
    }
    return greetings;
});
