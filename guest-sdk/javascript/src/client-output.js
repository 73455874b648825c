/** Outputs of the type `orchestrationClient` or `durableClient`: as the oldest apps do, a function starts orchestrations by a value of it. */

import { DurableClient } from "./durable-client.js";

export function isClientOutput({ type, direction }) {
  return direction === "out" && (type === "durableClient" || type === "orchestrationClient");
}

/**
 * Starts what the values of these outputs describe: an object with `FunctionName`, `InstanceId` and `Input`, an array of them, or either as JSON.
 *
 * @param valueOf returns the value of an output, by its name
 */
export async function startByOutputs(bindings, valueOf) {
  for (const { name } of bindings.filter(isClientOutput)) {
    const given = valueOf(name);
    const value = typeof given === "string" ? JSON.parse(given) : given;
    for (const start of value === undefined || value === null ? [] : [value].flat()) {
      const { functionname, instanceid, input } = withLowerCaseNames(start);
      if (typeof functionname !== "string") {
        throw new TypeError(`The output '${name}' starts orchestrations: { FunctionName, InstanceId, Input }, of which the first is needed, or an array of these.`);
      }
      await new DurableClient().startNew(functionname, { instanceId: instanceid ?? undefined, input });
    }
  }
}

/** The original compares names ignoring case. */
function withLowerCaseNames(value) {
  return Object.fromEntries(Object.entries(Object(value)).map(([name, member]) => [name.toLowerCase(), member]));
}
