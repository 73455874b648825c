// A counter: an entity, and an orchestration that calls it and signals it.
const df = require('durable-functions');

df.app.entity('jsCounter', function (context) {
    const currentValue = context.df.getState(() => 0);
    switch (context.df.operationName) {
        case 'add':
            context.df.setState(currentValue + context.df.getInput());
            break;
        case 'reset':
            context.df.setState(0);
            break;
        case 'get':
            context.df.return(currentValue);
            break;
    }
});

df.app.orchestration('countUp', function* (context) {
    const entityId = new df.EntityId('jsCounter', context.df.getInput() || 'myCounter');

    yield context.df.callEntity(entityId, 'reset');
    context.df.signalEntity(entityId, 'add', 1);
    yield context.df.callEntity(entityId, 'add', 2);

    return yield context.df.callEntity(entityId, 'get');
});

// Two entities in a critical section: no other operation sees the intermediate state.
df.app.orchestration('moveCount', function* (context) {
    const { from, to, amount } = context.df.getInput();
    const source = new df.EntityId('jsCounter', from);
    const target = new df.EntityId('jsCounter', to);

    const lock = yield context.df.lock(source, target);
    try {
        const available = yield context.df.callEntity(source, 'get');
        if (available < amount) {
            return false;
        }
        yield context.df.callEntity(source, 'add', -amount);
        yield context.df.callEntity(target, 'add', amount);
        return true;
    } finally {
        lock.release();
    }
});
