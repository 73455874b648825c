// Function chaining: one activity after the other.
const df = require('durable-functions');

df.app.orchestration('helloSequence', function* (context) {
    const cities = context.df.getInput() || ['Tokyo', 'Seattle', 'Cairo'];
    const greetings = [];
    for (const city of cities) {
        greetings.push(yield context.df.callActivity('sayHello', city));
    }
    return greetings;
});

df.app.activity('sayHello', {
    handler: (city) => `Hello, ${city}!`,
});
