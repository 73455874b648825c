/**
 * Bindings of functions, in the form of a `function.json`: which of them the host has, what a trigger hands to its function, and what
 * the function hands back. All programming models use this.
 */

import { wellFormed } from "./border.js";
import { Client } from "./client.js";
import { bytesOf } from "./globals/fetch.js";
import { log } from "./log.js";

/** The name of the output that a function returns. */
export const RETURN = "$return";

/** The types that the contract has (`record trigger` in `dacapo.wit`), and those of durable functions. */
const TRIGGERS = ["httpTrigger", "timerTrigger", "queueTrigger", "eventHubTrigger", "eventGridTrigger", "manualTrigger"];
const DURABLE_TRIGGERS = { orchestrationTrigger: "orchestrator", activityTrigger: "activity", entityTrigger: "entity" };
const QUEUES = ["queue", "eventHub"];
const OUTPUTS = ["http", ...QUEUES];
const OUTPUTS_OF = { trigger: OUTPUTS, activity: QUEUES };
const CLIENTS = ["durableClient", "orchestrationClient"];

const KNOWN = new Map([...TRIGGERS, ...Object.keys(DURABLE_TRIGGERS), ...OUTPUTS, ...CLIENTS].map((type) => [type.toLowerCase(), type]));

/** What to do instead of what has no counterpart. */
const ADVICE = [
  [/blob/i, "a program that watches the storage can send a request to an HTTP trigger; an activity can read and write blobs with fetch"],
  [/serviceBus|kafka|rabbit/i, "a program that receives the messages can put them into a queue, for a queueTrigger"],
  [/cosmos|sql|table|mongo|documentDB/i, "an activity can call the database's HTTP API with fetch; changes can be sent to a queueTrigger or an HTTP trigger"],
  [/warmup/i, "an instance needs no warming up"],
  [/./, "an activity can call the service with fetch, and the service can send a request to an HTTP trigger"],
];

/**
 * The bindings of a function, with the types spelled as the contract spells them.
 *
 * @returns `{ trigger, kind, bindings, absent, declared }`: those that the host has, those that it lacks, and all of them in their order. Or
 * `{ leftOut }`: a sentence that says why the function cannot run, and what to do instead
 */
export function readBindings(given) {
  const declared = given.map((binding) => normalized(binding));
  const triggers = declared.filter(({ type, direction }) => direction === "in" && /trigger$/i.test(type));
  if (triggers.length !== 1) {
    return { leftOut: triggers.length === 0 ? "none of its bindings is a trigger" : "it has more than one trigger" };
  }
  const [trigger] = triggers;
  const kind = DURABLE_TRIGGERS[trigger.type] ?? "trigger";
  if (kind === "trigger" && !TRIGGERS.includes(trigger.type)) {
    return { leftOut: `there is no '${trigger.type}' here: ${adviceForType(trigger.type)}` };
  }
  const isHere = (binding) => binding === trigger || hasCounterpart(binding, kind);
  const absent = declared.filter((binding) => !isHere(binding)).map((binding) => ({ ...binding, advice: adviceFor(binding, kind) }));
  return { trigger, kind, bindings: declared.filter(isHere), absent, declared };
}

function normalized(given) {
  const type = KNOWN.get(String(given?.type).toLowerCase()) ?? String(given?.type);
  const direction = String(given?.direction ?? (/trigger$/i.test(type) ? "in" : "")).toLowerCase();
  const binding = { ...given, type, direction };
  if (/^eventHub/.test(type)) {
    // The oldest apps name the event hub `path`. The contract's default of `cardinality` is another than the original's.
    binding.eventHubName ??= binding.path;
    binding.cardinality ??= direction === "in" ? "one" : undefined;
  }
  return binding;
}

function hasCounterpart({ type, direction }, kind) {
  return CLIENTS.includes(type) || (direction === "out" && (OUTPUTS_OF[kind] ?? []).includes(type));
}

function adviceFor({ type, direction }, kind) {
  if (direction === "out" && OUTPUTS.includes(type)) {
    const who = type === "http" ? "a trigger" : "a trigger or an activity";
    return `return the value, and let ${who} send it, which alone can have this output here`;
  }
  return adviceForType(type);
}

function adviceForType(type) {
  return ADVICE.find(([pattern]) => pattern.test(type))[1];
}

/** Logs which inputs of a call have no value, because the host lacks them. */
export function warnOfInputs(functionName, absent) {
  for (const { type, name, advice } of absent.filter(({ direction }) => direction !== "out")) {
    log("warn", `The input '${name}' of '${functionName}' is undefined: there is no '${type}' here. Instead, ${advice}.`);
  }
}

/**
 * Logs which outputs of a call are not sent, because the host lacks them.
 *
 * @param valueOf returns the value of an output binding, by its name
 */
export function warnOfOutputs(functionName, absent, valueOf) {
  for (const { type, name, advice } of absent.filter(({ direction }) => direction === "out")) {
    const value = valueOf(name);
    if (value !== undefined && value !== null) {
      log("warn", `What '${functionName}' gave to its output '${name}' is not sent: there is no '${type}' here. Instead, ${advice}.`);
    }
  }
}

/** JSON in a message is parsed, as in the original; any other text stays one. */
function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/**
 * What a trigger other than `httpTrigger` hands to its function, and its metadata. An operator who runs one by hand gives a text.
 *
 * @returns `{ value, metadata }`
 */
export function readInput(trigger, input) {
  const byHand = input.input;
  switch (trigger.type) {
    case "timerTrigger":
      return { value: byHand === undefined ? input : { isPastDue: false, schedule: { adjustForDST: true }, scheduleStatus: undefined }, metadata: {} };
    case "queueTrigger": {
      const text = byHand ?? input.message;
      return { value: parsed(text), metadata: { queueTrigger: text, ...input.metadata } };
    }
    case "eventHubTrigger":
      return readEvents(trigger, byHand === undefined ? input : { messages: [byHand], metadata: [{}] });
    case "eventGridTrigger": {
      const event = byHand === undefined ? input.event : parsed(byHand);
      return { value: event, metadata: { data: event?.data } };
    }
    default:
      return byHand === undefined ? { value: undefined, metadata: {} } : { value: parsed(byHand), metadata: { input: byHand } };
  }
}

/** With `"cardinality": "many"` a function gets all events of a batch. The names of the metadata are those of the original. */
function readEvents({ cardinality }, { messages, metadata = [] }) {
  const column = (name) => messages.map((_, index) => metadata[index]?.[name]);
  const columns = { enqueuedTimeUtc: column("enqueuedTime"), sequenceNumber: column("sequenceNumber"), offset: column("offset"), partitionKey: column("partitionKey") };
  const entries = Object.entries(columns);
  if (String(cardinality).toLowerCase() === "many") {
    return { value: messages.map(parsed), metadata: Object.fromEntries(entries.map(([name, values]) => [`${name}Array`, values])) };
  }
  return { value: parsed(messages[0]), metadata: Object.fromEntries(entries.map(([name, values]) => [name, values[0]])) };
}

/**
 * The output of a call, for the host: null, or `{ response, outputs }`.
 *
 * @param valueOf returns the value of an output binding, by its name
 * @param responseFor converts the value of an `http` output to a response of the contract
 */
export async function writeOutputs(bindings, valueOf, responseFor) {
  const result = {};
  for (const { type, direction, name } of bindings) {
    if (direction !== "out") {
      continue;
    }
    const value = valueOf(name);
    if (type === "http") {
      result.response = (await responseFor(value)) ?? result.response;
    } else if (value !== undefined && value !== null) {
      result.outputs = { ...result.outputs, [name]: messageOf(value) };
    }
  }
  return Object.keys(result).length === 0 ? null : result;
}

/**
 * Puts the messages of an activity's outputs into their queues.
 *
 * @param valueOf returns the value of an output binding, by its name
 */
export async function sendOutputs(bindings, valueOf) {
  for (const { direction, name, queueName, eventHubName } of bindings) {
    const value = direction === "out" ? valueOf(name) : undefined;
    if (value !== undefined && value !== null) {
      await new Client().enqueue(queueName ?? eventHubName, messageOf(value));
    }
  }
}

/** A message is a text, or a value for JSON; an array is several. */
function messageOf(value) {
  if (Array.isArray(value)) {
    return value.map((item) => (Array.isArray(item) ? item : messageOf(item)));
  }
  if (typeof value === "string") {
    return wellFormed(value);
  }
  const bytes = bytesOf(value);
  return bytes ? new TextDecoder().decode(bytes) : value;
}
