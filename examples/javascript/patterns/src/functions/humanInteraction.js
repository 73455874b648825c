// Human interaction with a timeout: sends a code to a phone; the user has three attempts and a limited time to enter it.
const df = require('durable-functions');

df.app.orchestration('verifyPhoneNumber', function* (context) {
    const { phoneNumber, timeoutMs = 90 * 1000 } = context.df.getInput();
    if (!phoneNumber) {
        throw new Error('A phone number is needed.');
    }

    const code = yield context.df.callActivity('sendChallenge', phoneNumber);

    const expiration = new Date(context.df.currentUtcDateTime.getTime() + timeoutMs);
    const timeoutTask = context.df.createTimer(expiration);

    let authorized = false;
    for (let attempt = 0; attempt < 3; attempt++) {
        const responseTask = context.df.waitForExternalEvent('ChallengeResponse');

        const winner = yield context.df.Task.any([responseTask, timeoutTask]);
        if (winner !== responseTask) {
            break;
        }
        if (responseTask.result === code) {
            authorized = true;
            break;
        }
    }

    if (!timeoutTask.isCompleted) {
        timeoutTask.cancel();
    }
    return authorized;
});

df.app.activity('sendChallenge', {
    handler: (phoneNumber, context) => {
        const code = Number(phoneNumber.slice(-4)) + 1;
        context.log(`Sending the code ${code} to ${phoneNumber}`);
        return code;
    },
});
