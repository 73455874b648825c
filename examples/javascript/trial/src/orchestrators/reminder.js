import { DateTime, Interval } from 'luxon';

/** Sends a reminder in the middle of the trial period. */
export default function* reminder(context) {
    const { customer, start, end } = context.df.getInput();
    const period = Interval.fromDateTimes(DateTime.fromISO(start, { zone: 'utc' }), DateTime.fromISO(end, { zone: 'utc' }));
    const [firstHalf] = period.divideEqually(2);

    yield context.df.createTimer(firstHalf.end.toJSDate());

    const left = Math.round(period.end.diff(firstHalf.end, 'seconds').seconds);
    return yield context.df.callActivity('sendMail', { to: customer, text: `${left} seconds are left` });
}
