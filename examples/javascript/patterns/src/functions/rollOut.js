// Orchestrations that run on their own: an activity starts one for each device, without waiting for it.
const df = require('durable-functions');

df.app.orchestration('rollOut', function* (context) {
    const started = [];
    for (const device of context.df.getInput() || ['lamp', 'door']) {
        started.push(yield context.df.callActivity('startProvisioning', device));
    }
    return started;
});

df.app.activity('startProvisioning', {
    extraInputs: [df.input.durableClient()],
    handler: async (device, context) => {
        const client = df.getClient(context);
        const instanceId = await client.startNew('provisionDevice', { instanceId: `provision-${device}`, input: device });
        context.log(`Started orchestration with ID = '${instanceId}'.`);
        return instanceId;
    },
});
