// Waits for clear weather and sends an alert. Dates are handled with moment; the input may be JSON within a string.
const df = require('durable-functions');
const moment = require('moment');

// Without `const`, in sloppy mode, this makes a global variable, which weather.js reads.
clearWeatherConditions = ['clear sky', 'few clouds', 'scattered clouds'];

df.app.orchestration('monitorWeather', function* (context) {
    let input = context.df.getInput();
    if (typeof input === 'string') {
        input = JSON.parse(input);
    }
    const { location, phone, everySeconds = 60, forMinutes = 120 } = input;
    const endTime = moment.utc(context.df.currentUtcDateTime).add(forMinutes, 'm');
    context.log(`watching ${location} until ${endTime.format('HH:mm')}`);

    while (moment.utc(context.df.currentUtcDateTime).isBefore(endTime)) {
        const report = yield context.df.callActivity('getWeather', JSON.stringify({ location, at: context.df.currentUtcDateTime }));
        const { conditions, observedAt } = JSON.parse(report);
        if (clearWeatherConditions.includes(conditions)) {
            yield context.df.callActivity('sendAlert', phone);
            const early = moment.duration(endTime.diff(moment(observedAt))).humanize();
            return `${conditions} in ${location}, ${early} before the deadline`;
        }

        const nextCheckpoint = moment.utc(context.df.currentUtcDateTime).add(everySeconds, 's');
        yield context.df.createTimer(nextCheckpoint.toDate());
    }
    return 'it is still cloudy';
});
