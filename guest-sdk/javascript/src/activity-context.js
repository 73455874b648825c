import { nameOf } from "./definition.js";
import { logger } from "./logger.js";
import { startOrchestration } from "./management.js";

/** Who calls an activity, and what it may ask of its host. */
export class ActivityContext {
  log = logger;

  constructor({ name, instanceId, taskId, attempt }) {
    this.name = name;
    this.instanceId = instanceId;
    this.attempt = attempt;
    /** The same when the call is repeated after a crash: with it, what the activity changes elsewhere is changed once. */
    this.idempotencyKey = `${instanceId}:${taskId}`;
  }

  /** Starts an orchestration that runs on its own, and gives its id. */
  async startOrchestration(orchestrator, input, options) {
    return startOrchestration(nameOf(orchestrator), input, options);
  }
}
