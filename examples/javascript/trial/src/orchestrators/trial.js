import { DateTime, Duration } from 'luxon';

/** The customer can subscribe until the trial ends. Without a subscription, a reminder is sent halfway. */
export default function* trial(context) {
    const { customer, period } = context.df.getInput();
    const start = DateTime.fromJSDate(context.df.currentUtcDateTime, { zone: 'utc' });
    const end = start.plus(Duration.fromISO(period));

    const subscription = context.df.waitForExternalEvent('Subscribed');
    const reminding = context.df.callSubOrchestrator('reminder', { customer, start: start.toISO(), end: end.toISO() });
    let winner = yield context.df.Task.any([subscription, reminding]);
    if (winner === reminding) {
        const expiry = context.df.createTimer(end.toJSDate());
        winner = yield context.df.Task.any([subscription, expiry]);
        if (winner === expiry) {
            return { customer, subscribed: false, days: Math.round(end.diff(start, 'days').days) };
        }
        expiry.cancel();
    }
    return { customer, subscribed: true, plan: subscription.result };
}
