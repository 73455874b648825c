/** The interface `client` of the contract, in a test: it notes what is done with it, and answers what the test says. */

/** The parameters of each function. */
const PARAMETERS = {
  startOrchestration: ["name", "input", "instanceId", "version", "startAt"],
  getStatus: ["instanceId", "options"],
  listInstances: ["filter"],
  raiseEvent: ["instanceId", "name", "data"],
  terminate: ["instanceId", "reason"],
  suspend: ["instanceId", "reason"],
  resume: ["instanceId", "reason"],
  rewind: ["instanceId", "reason"],
  restart: ["instanceId", "newInstanceId"],
  purge: ["instanceId"],
  purgeInstances: ["filter"],
  waitForCompletion: ["instanceId", "timeout"],
  signalEntity: ["entity", "operation", "input", "at"],
  enqueue: ["queue", "messages", "at"],
  readEntity: ["entity"],
  listEntities: ["filter"],
};

/** The parameters that are JSON. */
const JSON_PARAMETERS = ["input", "data", "options", "filter"];

/** The results that are JSON, with their values if the test gives none. */
const JSON_RESULTS = {
  getStatus: null,
  waitForCompletion: null,
  listInstances: { instances: [], continuationToken: null },
  listEntities: { entities: [], continuationToken: null },
  readEntity: undefined,
};

const OTHER_RESULTS = { purge: false, purgeInstances: 0 };

/**
 * @param answers functions `(action) => result` by name, which may throw
 * @returns `{ client, actions }`
 */
export function scriptedClient(answers = {}) {
  const unknown = Object.keys(answers).find((name) => !Object.hasOwn(PARAMETERS, name));
  if (unknown !== undefined) {
    throw new TypeError(`The client has no function '${unknown}': there are ${Object.keys(PARAMETERS).join(", ")}.`);
  }
  const actions = [];
  const client = { links: linksOf };
  for (const [type, parameters] of Object.entries(PARAMETERS)) {
    client[type] = (...args) => {
      const action = actionOf(type, parameters, args);
      actions.push(action);
      return resultOf(type, action, answers[type], actions);
    };
  }
  return { client, actions };
}

function actionOf(type, parameters, args) {
  const action = { type };
  parameters.forEach((name, index) => {
    const value = JSON_PARAMETERS.includes(name) ? (args[index] === "" ? null : JSON.parse(args[index])) : args[index];
    if (value !== null && value !== undefined) {
      action[name] = value;
    }
  });
  return action;
}

function resultOf(type, action, answer, actions) {
  const given = answer ? answer(action) : undefined;
  if (type in JSON_RESULTS) {
    return JSON.stringify(given === undefined ? JSON_RESULTS[type] : given);
  }
  if (type === "startOrchestration" || type === "restart") {
    return given ?? action.newInstanceId ?? (type === "startOrchestration" ? action.instanceId : undefined) ?? `instance-${actions.filter((other) => other.type === type).length}`;
  }
  return given ?? OTHER_RESULTS[type];
}

const VERBS = { sendEventPostUri: "/raiseEvent/{eventName}", terminatePostUri: "/terminate?reason={text}", rewindPostUri: "/rewind?reason={text}", suspendPostUri: "/suspend?reason={text}", resumePostUri: "/resume?reason={text}" };

function linksOf(id) {
  const link = (verb = "") => `http://localhost:7071/runtime/webhooks/durabletask/instances/${encodeURIComponent(id)}${verb}${verb.includes("?") ? "&" : "?"}taskHub=TestHubName`;
  const verbs = Object.fromEntries(Object.entries(VERBS).map(([name, verb]) => [name, link(verb)]));
  return JSON.stringify({ id, statusQueryGetUri: link(), ...verbs, purgeHistoryDeleteUri: link(), restartPostUri: link("/restart") });
}
