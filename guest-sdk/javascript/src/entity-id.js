/** Names an entity. Its text is `@name@key`, with the name in lower case. */
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

/** For the host, of an `EntityId` or anything that has its properties. */
export function hostEntityId(id) {
  const { name, key } = id ?? {};
  return { name: new EntityId(name, key).name, key };
}
