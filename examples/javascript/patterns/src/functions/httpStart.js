// Starts any orchestration: POST /api/orchestrators/helloSequence, with its input as JSON. The response says where to ask for its status.
const { app } = require('@azure/functions');
const df = require('durable-functions');

app.http('httpStart', {
    route: 'orchestrators/{orchestratorName}',
    extraInputs: [df.input.durableClient()],
    handler: async (request, context) => {
        const client = df.getClient(context);
        const input = await request.json();
        const instanceId = await client.startNew(request.params.orchestratorName, { input });

        context.log(`Started orchestration with ID = '${instanceId}'.`);
        return client.createCheckStatusResponse(request, instanceId);
    },
});
