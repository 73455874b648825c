import { logger } from "./logger.js";

/** What an operation of an entity knows and may do. What it makes of `state` is kept if the operation succeeds. */
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

  /** For the SDK: hands the state over. */
  close() {
    if (this.#isDeleted || this.state === undefined) {
      this.#df.destructOnExit();
    } else {
      this.#df.setState(this.state);
    }
  }
}
