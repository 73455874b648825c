/** Entities: `context.df` of their handlers, and how one operation is run. */

import { EntityId, hostEntityId, operationText } from "./entity-id.js";
import { DurableError } from "./failure.js";
import { inputFromJson, toJson } from "./json.js";

/** The scope of an operation. It may await promises that it resolves itself, but nothing from outside. */
export class EntityScope {
  waitsFor = "an operation of an entity never waits";

  constructor(host) {
    this.host = host;
  }

  randomBytes(length) {
    return this.host.randomBytes(length);
  }

  setTimer() {
    throw cannot("setTimeout");
  }

  requireFetch() {
    throw cannot("fetch");
  }

  park() {
    return false;
  }
}

function cannot(what) {
  return new DurableError(`${what} is for activities: an operation of an entity never waits`, {
    type: "NotDeterministic",
    retriable: false,
  });
}

/** `context.df` of an entity, as durable-functions 3.x defines it. */
export class DurableEntityContext {
  #host;
  #operation;
  #state;
  #output = "null";

  constructor(host, operation) {
    this.#host = host;
    this.#operation = operation;
    this.#state = operation.state ?? null;
    this.entityId = new EntityId(operation.entity.name, operation.entity.key);
    this.entityName = operation.entity.name;
    this.entityKey = operation.entity.key;
    this.operationName = operation.operation;
    this.isNewlyConstructed = this.#state === null;
  }

  getState(initializer) {
    return this.#state === null ? initializer?.() : JSON.parse(this.#state);
  }

  setState(state) {
    this.#state = toJson(state, `the state of ${this.entityId}`, "InvalidState");
  }

  getInput() {
    return inputFromJson(this.#operation.input);
  }

  return(result) {
    this.#output = toJson(result, `the result of '${this.operationName}' of ${this.entityId}`, "InvalidOutput");
  }

  destructOnExit() {
    this.#state = null;
  }

  signalEntity(entity, operationName, operationInput) {
    const input = toJson(operationInput, `the input of the operation '${operationName}'`);
    this.#host.signalEntity(hostEntityId(entity), operationText(operationName), input, null);
  }

  /** The result of the operation, for the host. */
  outcome() {
    return { output: this.#output, state: this.#state };
  }
}
