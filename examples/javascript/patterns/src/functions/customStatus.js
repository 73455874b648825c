// Custom status: what a client sees while the orchestration runs.
const df = require('durable-functions');

df.app.orchestration('bookTrip', function* (context) {
    const steps = ['flight', 'hotel', 'car'];
    for (const [index, step] of steps.entries()) {
        context.df.setCustomStatus({ booking: step, percent: Math.round((100 * index) / steps.length) });
        yield context.df.callActivity('book', step);
    }
    context.df.setCustomStatus('done');
    return steps.length;
});

df.app.activity('book', { handler: async (what) => `booked: ${what}` });
