/**
 * What `orchestrator { }` does between two steps, as `async` functions: the SDK for JavaScript runs those deterministically.
 */

import { DurableError } from "dacapo-sdk";

export async function run(body) {
  return body();
}

export async function bind(task, next) {
  return next(await task);
}

export async function repeat(isTrue, body) {
  while (isTrue()) {
    await body();
  }
}

export async function forEach(items, body) {
  for (const item of items) {
    await body(item);
  }
}

export async function recover(body, handle) {
  try {
    return await body();
  } catch (error) {
    return await handle(error);
  }
}

export async function finish(body, compensate) {
  try {
    return await body();
  } finally {
    compensate();
  }
}

/** Waits for tasks of which some are flows. As for tasks of the host, the result is `{ index }` of the one that settled first. */
export function first(tasks) {
  return Promise.race(tasks.map(ended));
}

async function ended(task, index) {
  try {
    await task;
  } catch {
    // Whoever looks at the task gets the error.
  }
  return { index };
}

/** Runs the body of a function of the app. What it throws may be no `Error`: F# has its own classes. */
export async function guarded(body) {
  try {
    return await body();
  } catch (error) {
    throw asError(error);
  }
}

function asError(error) {
  if (error instanceof Error || typeof error !== "object" || error === null) {
    return error;
  }
  return new DurableError(error.message || fieldsOf(error), { type: error.constructor?.name || "Exception" });
}

/** Of `exception OutOfStock of item: string * left: int`. */
function fieldsOf(error) {
  const fields = Object.entries(error).filter(([name]) => name !== "message");
  return fields.length === 1 ? String(fields[0][1]) : fields.map(([name, value]) => `${name} = ${value}`).join(", ");
}
