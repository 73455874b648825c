// Defines and runs checks.
//
// Each prints one line: `ok NAME` or `FAIL NAME: WHY`. The last line is `done COUNT`.

import { isDeepStrictEqual } from "node:util";

const SECONDS_MAX = 60;
const AT_ONCE = 12;

const together = [];
const alone = [];

/** Adds a check that shares nothing with others: it runs while they do. */
export function check(name, run) {
  together.push({ name, run });
}

/** Adds a check that looks at all instances: it runs after the others, one at a time, in order. */
export function checkAlone(name, run) {
  alone.push({ name, run });
}

/** Runs the checks whose name matches. Whether all passed. */
export async function runChecks(world, only) {
  const wanted = (checks) => checks.filter(({ name }) => new RegExp(only).test(name));
  const passed = [];
  const queue = wanted(together);
  const places = Array.from({ length: AT_ONCE }, async () => {
    for (let next = queue.shift(); next; next = queue.shift()) passed.push(await runOne(world, next));
  });
  await Promise.all(places);
  for (const next of wanted(alone)) passed.push(await runOne(world, next));
  console.log(`done ${passed.length}`);
  return passed.every(Boolean);
}

async function runOne(world, { name, run }) {
  const begun = performance.now();
  let timer;
  const timeout = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Failed(`not done within ${SECONDS_MAX} seconds`)), SECONDS_MAX * 1000);
  });
  try {
    await Promise.race([run(world), timeout]);
  } catch (error) {
    const why = error instanceof Failed ? error.message : `${error?.stack ?? error}`;
    console.log(`FAIL ${name}: ${why.replace(/\s+/g, " ")}`);
    return false;
  } finally {
    clearTimeout(timer);
  }
  console.log(`ok ${name} (${((performance.now() - begun) / 1000).toFixed(2)} s)`);
  return true;
}

/** What was expected did not happen. */
export class Failed extends Error {}

export function equal(seen, expected, what) {
  if (!isDeepStrictEqual(seen, expected)) throw new Failed(`${what} is ${shown(seen)}, expected ${shown(expected)}`);
}

export function truly(condition, what) {
  if (!condition) throw new Failed(what);
}

/** The call throws, or its promise is rejected, with an Error whose message matches. */
export async function refused(call, pattern) {
  let answer;
  try {
    answer = await call();
  } catch (error) {
    const matches = error instanceof Error && pattern.test(error.message);
    truly(matches, `it was refused with ${shown(error.message)}, expected ${pattern}`);
    return;
  }
  throw new Failed(`it was not refused, but answered ${shown(answer)}; expected ${pattern}`);
}

export function shown(value) {
  const text = JSON.stringify(value) ?? String(value);
  return text.length <= 300 ? text : `${text.slice(0, 300)}... (${text.length} characters)`;
}
