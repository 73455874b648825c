// Fan-out and fan-in: counts the words of many texts in parallel, and adds up the counts.
const df = require('durable-functions');

df.app.orchestration('countWords', function* (context) {
    const texts = yield context.df.callActivity('listTexts', context.df.getInput());

    const tasks = texts.map((text) => context.df.callActivity('countWordsOfText', text));
    const counts = yield context.df.Task.all(tasks);

    return { texts: texts.length, words: counts.reduce((sum, count) => sum + count, 0) };
});

df.app.activity('listTexts', {
    handler: (number = 5) => Array.from({ length: number }, (_, i) => 'so many words '.repeat(i + 1)),
});

df.app.activity('countWordsOfText', {
    handler: async (text) => text.split(/\s+/).filter(Boolean).length,
});
