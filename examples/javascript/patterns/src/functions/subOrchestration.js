// Sub-orchestrations: each device is provisioned by an orchestration of its own.
const df = require('durable-functions');

const provisionDevice = df.app.orchestration('provisionDevice', function* (context) {
    const deviceId = context.df.getInput();
    yield context.df.callActivity('createPackage', deviceId);
    const address = yield context.df.callActivity('installPackage', deviceId);
    return { deviceId, address, parent: context.df.parentInstanceId };
});

df.app.orchestration('provisionDevices', function* (context) {
    const devices = context.df.getInput() || ['lamp', 'door'];

    const tasks = devices.map((device) =>
        context.df.callSubOrchestrator('provisionDevice', device, `${context.df.instanceId}:${device}`)
    );
    const provisioned = yield context.df.Task.all(tasks);

    const last = yield provisionDevice('gateway');
    return [...provisioned, last].map(({ deviceId, address }) => `${deviceId} at ${address}`);
});

df.app.activity('createPackage', { handler: (deviceId) => `package-${deviceId}` });

df.app.activity('installPackage', { handler: (deviceId) => `10.0.0.${deviceId.length}` });
