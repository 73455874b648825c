// HTTP from an orchestrator: the call is durable, and a 202 Accepted is polled. The hub must allow the host of the URL.
const df = require('durable-functions');

df.app.orchestration('checkSite', function* (context) {
    const url = context.df.getInput();

    const response = yield context.df.callHttp({ method: 'GET', url });

    if (response.statusCode >= 400) {
        throw new Error(`${url} answered ${response.statusCode}`);
    }
    return { statusCode: response.statusCode, length: response.content.length };
});
