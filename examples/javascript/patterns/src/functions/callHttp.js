// HTTP from an orchestrator: durable, and polled if the answer is 202 Accepted. The hub must allow the address.
const df = require('durable-functions');

df.app.orchestration('checkSite', function* (context) {
    const url = context.df.getInput();

    const response = yield context.df.callHttp({ method: 'GET', url });

    if (response.statusCode >= 400) {
        throw new Error(`${url} answered ${response.statusCode}`);
    }
    return { statusCode: response.statusCode, length: response.content.length };
});
