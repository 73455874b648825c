/** The functions of the app, as its modules register them while they are loaded. */

import { noteFunctionName, wellFormed } from "./border.js";
import { DurableError } from "./failure.js";

/** Functions by name in lower case, because names are compared ignoring case. */
const functions = new Map();

/** Functions that cannot run here, each with the reason. The build reports them. */
const leftOut = [];

/** Bindings that the host lacks, of functions that run without them. The build reports them. */
const absent = [];

const AN = { orchestrator: "an orchestrator", activity: "an activity", entity: "an entity", trigger: "a trigger" };

/** The contract's limit. */
const NAME = /^[^\s\x00-\x1f\x7f-\x9f]{1,128}$/;

/**
 * @param kind `orchestrator`, `activity`, `entity` or `trigger`
 * @param handler the function that `guest.js` calls, by kind: `(run, input)`, `(call)`, `(context)`, `(call)`
 * @param body the function of the app that the handler calls
 * @param bindings those of a trigger
 */
export function register(kind, name, handler, body, bindings) {
  if (typeof name !== "string" || !NAME.test(name) || wellFormed(name) !== name) {
    throw new TypeError(`'${name}' cannot be the name of ${AN[kind]}: it needs 1 to 128 characters, none of them white space.`);
  }
  const known = functions.get(name.toLowerCase());
  if (known) {
    throw new Error(`The ${kind} '${name}' has the name of the ${known.kind} '${known.name}': names are unique in an app, ignoring case.`);
  }
  functions.set(name.toLowerCase(), { kind, name, handler, body, bindings });
  noteFunctionName(name);
}

/** Notes that a function is not part of the component, and why. */
export function leaveOut(name, why) {
  leftOut.push({ name, why });
}

/** Notes which bindings of a function the host lacks (`absent` of `readBindings`). */
export function noteAbsent(functionName, bindings) {
  absent.push(...bindings.map(({ type, direction, name, advice }) => ({ functionName, type, direction, name, advice })));
}

export function absentBindings() {
  return [...absent];
}

/** The orchestrators, activities and entities. */
export function registeredFunctions() {
  return [...functions.values()].filter(({ kind }) => kind !== "trigger").map(({ name, kind }) => ({ name, kind }));
}

export function registeredTriggers() {
  const triggers = [...functions.values()].filter(({ kind }) => kind === "trigger");
  return triggers.map(({ name, bindings }) => ({ name, bindings: JSON.stringify(bindings) }));
}

export function functionsLeftOut() {
  return [...leftOut];
}

/** The binding of a registered trigger that starts it. */
export function triggerOf(name) {
  findHandler("trigger", name);
  return functions.get(name.toLowerCase()).bindings.find(({ direction, type }) => direction === "in" && /trigger$/i.test(type));
}

/** The function of the app, for errors. */
export function findBody(name) {
  return functions.get(name.toLowerCase())?.body;
}

export function findHandler(kind, name) {
  const found = functions.get(name.toLowerCase());
  if (found?.kind !== kind) {
    const type = { orchestrator: "OrchestratorNotFound", activity: "ActivityNotFound", entity: "EntityNotFound", trigger: "FunctionNotFound" }[kind];
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
