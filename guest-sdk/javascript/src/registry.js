/** The functions of the app, as its modules register them while they are loaded. */

import { noteFunctionName, wellFormed } from "./border.js";
import { DurableError } from "./failure.js";

/** Functions by name in lower case, because names are compared ignoring case. */
const functions = new Map();

/** Registered triggers that are not run, such as HTTP triggers. The build reports them. */
const ignoredTriggers = [];

/** The contract's limit. */
const NAME = /^[^\s\x00-\x1f\x7f-\x9f]{1,128}$/;

/**
 * @param kind `orchestrator`, `activity` or `entity`
 * @param handler the function that `guest.js` calls, by kind: `(run, input)`, `(call)`, `(context)`
 * @param body the function of the app that the handler calls
 */
export function register(kind, name, handler, body) {
  if (typeof name !== "string" || !NAME.test(name) || wellFormed(name) !== name) {
    throw new TypeError(`'${name}' cannot be the name of an ${kind}: it needs 1 to 128 characters, none of them white space.`);
  }
  const known = functions.get(name.toLowerCase());
  if (known) {
    throw new Error(`The ${kind} '${name}' has the name of the ${known.kind} '${known.name}': names are unique, ignoring case.`);
  }
  functions.set(name.toLowerCase(), { kind, name, handler, body });
  noteFunctionName(name);
}

export function registerTrigger(name, type) {
  ignoredTriggers.push({ name, type });
}

/** Makes the registration function of a trigger that is not run. */
export const ignoredTrigger = (type) => (name) => registerTrigger(name, type);

export function registeredFunctions() {
  return [...functions.values()].map(({ name, kind }) => ({ name, kind }));
}

export function registeredTriggers() {
  return [...ignoredTriggers];
}

/** The function of the app, for errors. */
export function findBody(name) {
  return functions.get(name.toLowerCase())?.body;
}

export function findHandler(kind, name) {
  const found = functions.get(name.toLowerCase());
  if (found?.kind !== kind) {
    const type = { orchestrator: "OrchestratorNotFound", activity: "ActivityNotFound", entity: "EntityNotFound" }[kind];
    throw new DurableError(`this app has no ${kind} '${name}'`, { type, retriable: false });
  }
  return found.handler;
}

/** Checks that the handler is a function when it is registered, not only when it is called. */
export function requireHandler(name, handler) {
  if (typeof handler !== "function") {
    throw new TypeError(`The handler of '${name}' must be a function.`);
  }
  return handler;
}
