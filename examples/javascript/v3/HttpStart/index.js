// Starts the orchestration: POST /api/greetings with cities as JSON. The response says where to ask for its status.
const df = require('durable-functions');

module.exports = async function (context, req) {
    const client = df.getClient(context);
    const instanceId = await client.startNew('HelloSequence', undefined, req.body);

    context.log(`Started orchestration with ID = '${instanceId}'.`);
    return client.createCheckStatusResponse(context.bindingData.req, instanceId);
};
