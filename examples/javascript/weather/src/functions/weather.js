const df = require('durable-functions');
const moment = require('moment');

// A real app would ask a weather service.
df.app.activity('getWeather', {
    handler: function (input) {
        const { location, at } = JSON.parse(input);
        weatherOf = location === 'Seattle' ? 'mist' : clearWeatherConditions[1];
        return JSON.stringify({ conditions: weatherOf, observedAt: moment.utc(at).toISOString() });
    },
});

df.app.activity('sendAlert', {
    handler: function (phone, context) {
        context.log(`sent to ${phone} at ${moment.utc().format('YYYY')}`);
    },
});
