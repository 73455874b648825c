/** Formats values for humans, as `console.log` does. */

import { originalStack } from "./stack.js";

const DEPTH_MAX = 4;
const ENTRIES_MAX = 100;

/** Formats values in one line. The first may have placeholders: `%s`, `%d`, `%i`, `%f`, `%j`, `%o`, `%O`, `%%`. */
export function inspectAll(values) {
  const rest = [...values];
  const texts = [];
  if (typeof rest[0] === "string" && rest.length > 1) {
    texts.push(rest.shift().replace(/%([sdifjoO%])/g, (placeholder, kind) => substitute(placeholder, kind, rest)));
  }
  for (const value of rest) {
    texts.push(typeof value === "string" ? value : inspect(value));
  }
  return texts.join(" ");
}

function substitute(placeholder, kind, rest) {
  if (kind === "%") {
    return "%";
  }
  if (rest.length === 0) {
    return placeholder;
  }
  const value = rest.shift();
  switch (kind) {
    case "s":
      return typeof value === "object" && value !== null ? inspect(value) : String(value);
    case "d":
    case "f":
      return String(numberOf(value));
    case "j":
      return jsonOf(value);
    case "i":
      return String(Math.trunc(numberOf(value)));
    default:
      return inspect(value);
  }
}

function jsonOf(value) {
  try {
    return JSON.stringify(value) ?? "undefined";
  } catch {
    return "[Circular]";
  }
}

/** As in Node.js, a value that cannot be converted to a number is NaN. */
function numberOf(value) {
  try {
    return Number(value);
  } catch {
    return NaN;
  }
}

/** Never throws, even if reading the value does (a getter, a revoked proxy): a log line must not end the function. */
export function inspect(value, depth = 0, outer = []) {
  try {
    return inspectOpenly(value, depth, outer);
  } catch {
    return "[it cannot be looked at]";
  }
}

function inspectOpenly(value, depth, outer) {
  if (typeof value === "string") {
    return depth === 0 ? value : JSON.stringify(value);
  }
  if (typeof value === "bigint") {
    return `${value}n`;
  }
  if (typeof value === "function") {
    return `[${value.name ? `Function: ${value.name}` : "Function"}]`;
  }
  if (typeof value !== "object" || value === null) {
    return String(value);
  }
  if (outer.includes(value)) {
    return "[Circular]";
  }
  const seen = [...outer, value];
  const inner = (item) => inspect(item, depth + 1, seen);
  return inspectSpecial(value, inner) ?? inspectObject(value, depth, inner);
}

function inspectSpecial(value, inner) {
  if (value instanceof Error) {
    const cause = value.cause === undefined ? "" : `\ncaused by: ${inner(value.cause)}`;
    return [`${value.name}: ${value.message}`, originalStack(value)].filter(Boolean).join("\n") + cause;
  }
  if (value instanceof Date) {
    return Number.isNaN(value.getTime()) ? "Invalid Date" : value.toISOString();
  }
  if (value instanceof RegExp) {
    return String(value);
  }
  return undefined;
}

/** Only a text is used as a name. */
function nameOfClass(value) {
  try {
    const name = value.constructor?.name;
    return typeof name === "string" ? name : undefined;
  } catch {
    return undefined;
  }
}

function inspectObject(value, depth, inner) {
  const name = nameOfClass(value);
  if (depth >= DEPTH_MAX) {
    return `[${Array.isArray(value) ? "Array" : (name ?? "Object")}]`;
  }
  if (Array.isArray(value) || ArrayBuffer.isView(value)) {
    return list("[", Array.from(value, inner), "]");
  }
  if (value instanceof Map) {
    return list("Map {", Array.from(value, ([key, item]) => `${inner(key)} => ${inner(item)}`), "}");
  }
  if (value instanceof Set) {
    return list("Set {", Array.from(value, inner), "}");
  }
  const prefix = name && name !== "Object" ? `${name} {` : "{";
  return list(prefix, Object.keys(value).map((key) => `${key}: ${inspectProperty(value, key, inner)}`), "}");
}

function inspectProperty(value, key, inner) {
  let item;
  try {
    item = value[key];
  } catch {
    return "[Getter: it threw]";
  }
  return inner(item);
}

function list(open, items, close) {
  const shown = items.slice(0, ENTRIES_MAX);
  if (items.length > ENTRIES_MAX) {
    shown.push(`... ${items.length - ENTRIES_MAX} more`);
  }
  const space = shown.length > 0 && open.endsWith("{") ? " " : "";
  return `${open}${space}${shown.join(", ")}${space}${close}`;
}
