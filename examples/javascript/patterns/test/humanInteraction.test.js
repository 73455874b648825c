// Run without a host: node --import dacapo-sdk/register --test
const assert = require('node:assert/strict');
const { test } = require('node:test');
const { testOrchestrator } = require('dacapo-sdk/testing');

require('../src/functions/humanInteraction');

const verification = () =>
    testOrchestrator('verifyPhoneNumber', { phoneNumber: '+1555123' }).activity('sendChallenge', () => 42);

test('the right code authorizes', async () => {
    const { output, actions } = await verification()
        .event('ChallengeResponse', 1, { after: { seconds: 10 } })
        .event('ChallengeResponse', 42, { after: { seconds: 20 } })
        .run();
    assert.equal(output, true);
    assert.equal(actions[0].name, 'sendChallenge');
});

test('nobody answers in time', async () => {
    const { output, elapsed } = await verification().run();
    assert.equal(output, false);
    assert.equal(elapsed, 90 * 1000);
});

test('three wrong codes are enough', async () => {
    const wrong = verification();
    [1, 2, 3, 42].forEach((code) => wrong.event('ChallengeResponse', code));
    assert.equal((await wrong.run()).output, false);
});
