/** What the host gives to activities and triggers, in tests. */

import { findHandler, registeredTriggers } from "../src/registry.js";

/** Replaces functions of the interface `client`, and returns the calls that are made. */
export function offerClient(functions) {
  const calls = [];
  const client = Object.fromEntries(
    Object.entries({ links: linksOf, ...functions }).map(([name, body]) => [
      name,
      (...args) => {
        if (name !== "links") {
          calls.push([name, ...args]);
        }
        return typeof body === "function" ? body(...args) : body;
      },
    ]),
  );
  globalThis.__dacapo = { imports: { client, logging: { log: (level, message) => lines.push([level, message]) } } };
  lines.length = 0;
  return calls;
}

/** The lines of the log. */
export const lines = [];

export function withdraw() {
  delete globalThis.__dacapo;
}

/** A function of the host that fails. */
export const refuse = (errorType, message = errorType) => () => {
  throw { errorType, message, details: null, retriable: false };
};

const VERBS = { sendEventPostUri: "/raiseEvent/{eventName}", terminatePostUri: "/terminate", purgeHistoryDeleteUri: "" };

function linksOf(id) {
  const link = (verb) => `http://localhost:8080/runtime/webhooks/durabletask/instances/${id}${verb}?taskHub=main&code=k`;
  return JSON.stringify({ id, statusQueryGetUri: link(""), ...Object.fromEntries(Object.entries(VERBS).map(([name, verb]) => [name, link(verb)])) });
}

/** Runs a registered trigger, and returns its output as the host gets it. */
export async function runTrigger(name, input, { invocationId = "i1", attempt = 1 } = {}) {
  const output = await findHandler("trigger", name)({ name, input: JSON.stringify(input), invocationId, attempt });
  return JSON.parse(JSON.stringify(output ?? null));
}

export function bindingsOf(name) {
  const found = registeredTriggers().find((trigger) => trigger.name === name);
  return found && JSON.parse(found.bindings);
}

/** The input of an HTTP trigger. */
export const request = (changes = {}) => ({ method: "GET", url: "http://example.com/api/x", headers: [], query: [], params: {}, ...changes });
