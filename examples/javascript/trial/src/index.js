import * as df from 'durable-functions';

import trial from './orchestrators/trial.js';
import reminder from './orchestrators/reminder.js';

df.app.orchestration('trial', trial);
df.app.orchestration('reminder', reminder);

df.app.activity('sendMail', { handler: ({ to, text }) => `to ${to}: ${text}` });
