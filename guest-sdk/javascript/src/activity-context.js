import { logger } from "./logger.js";

/** Who calls an activity. */
export class ActivityContext {
  log = logger;

  constructor({ name, instanceId, taskId, attempt }) {
    this.name = name;
    this.instanceId = instanceId;
    this.attempt = attempt;
    /** The same when the call is repeated after a crash: with it, what the activity changes elsewhere is changed once. */
    this.idempotencyKey = `${instanceId}:${taskId}`;
  }
}
