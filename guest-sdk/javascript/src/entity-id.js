import { requireFunctionName, requireId, requireLabel, wellFormed } from "./border.js";

/** The id of an entity. As a text it is `@name@key`, with the name in lower case. */
export class EntityId {
  constructor(name, key) {
    if (typeof name !== "string" || name === "") {
      throw new TypeError("An entity id needs a name.");
    }
    if (typeof key !== "string") {
      throw new TypeError("An entity id needs a key, a string.");
    }
    this.name = name;
    this.key = key;
  }

  toString() {
    return `@${this.name.toLowerCase()}@${this.key}`;
  }
}

/** Converts an `EntityId`, or an object with its properties, for the host. Checks it again, because properties may change. */
export function hostEntityId(id) {
  const { name, key } = id ?? {};
  const valid = new EntityId(name, key);
  const entity = { name: requireFunctionName(valid.name, "The name of an entity"), key: wellFormed(valid.key) };
  requireId(`@${entity.name}@${entity.key}`, "The id of an entity");
  return entity;
}

/** The name of an operation, which may be missing. */
export function operationText(operation) {
  return requireLabel(operation ?? "", "The operation of an entity");
}
