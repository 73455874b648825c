import { Client } from "./client.js";
import { logger } from "./logger.js";

/** The context of an activity: its call, and the host functions that it may use. */
export class ActivityContext {
  log = logger;
  client = new Client();

  constructor({ name, instanceId, taskId, attempt }) {
    this.name = name;
    this.instanceId = instanceId;
    this.attempt = attempt;
    /** The same when the call is repeated after a crash, so that other systems can detect a repeated request. */
    this.idempotencyKey = `${instanceId}:${taskId}`;
  }

  /** Starts an orchestration that runs on its own, and returns its id. */
  async startOrchestration(orchestrator, input, options) {
    return this.client.startOrchestration(orchestrator, input, options);
  }
}
