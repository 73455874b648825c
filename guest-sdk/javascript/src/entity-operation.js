import { logger } from "./logger.js";

/** The context of an operation of an entity. Changes of `state` are kept if the operation succeeds. */
export class EntityOperationContext {
  #df;
  #isDeleted = false;

  log = logger;

  constructor(df, initialState) {
    this.#df = df;
    this.id = df.entityId;
    this.operation = df.operationName;
    this.isNew = df.isNewlyConstructed;
    this.state = df.getState(initialState);
  }

  /** Deletes the entity at the end of the operation. */
  delete() {
    this.#isDeleted = true;
  }

  signalEntity(id, operation, input) {
    this.#df.signalEntity(id, operation, input);
  }

  /** For the SDK: returns the new state. */
  close() {
    if (this.#isDeleted || this.state === undefined) {
      this.#df.destructOnExit();
    } else {
      this.#df.setState(this.state);
    }
  }
}
