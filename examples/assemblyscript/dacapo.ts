// Durable orchestrations in AssemblyScript: bindings of the contract `dacapo:guest@0.1.0` to its canonical ABI, and a small API
// for apps.
//
// Inputs, outputs and event data are JSON texts. Exceptions cannot be caught, so calls that can fail return an `Outcome`.

/** Why a function did not succeed. */
export class Failure {
  constructor(
    /** A short name that callers match on. */
    public errorType: string,
    /** One sentence for people. */
    public message: string,
    /** Whether a retry policy may try again. */
    public retriable: bool = false,
    public details: string | null = null,
  ) {}
}

/** How a function ended: with an output, or with a failure. */
export class Outcome {
  constructor(
    /** JSON; empty if it failed. */
    public output: string,
    public failure: Failure | null = null,
  ) {}

  get failed(): bool {
    return this.failure != null;
  }

  /** Why it failed; empty if it did not. */
  get message(): string {
    const failure = this.failure;
    return failure ? failure.message : "";
  }
}

export function succeed(output: string): Outcome {
  return new Outcome(output);
}

export function fail(failure: Failure): Outcome {
  return new Outcome("", failure);
}

/** One call of an activity. */
export class Call {
  constructor(
    public input: string,
    public instanceId: string,
    /** Together with the instance id, an idempotency key: the same when the call is repeated after a crash. */
    public taskId: u32,
    /** 1 for the first attempt under the caller's retry policy, then 2, and so on. */
    public attempt: u32,
  ) {}
}

/** One call of a trigger. */
export class TriggerCall {
  constructor(
    /** JSON, as `run-trigger` of the contract describes it. */
    public input: string,
    /** An idempotency key: the same when the call is repeated, for example because a message is delivered again. */
    public invocationId: string,
    /** 1 for the first time that the call is made, then 2, and so on. */
    public attempt: u32,
  ) {}
}

/** All times are in milliseconds. */
export class RetryPolicy {
  backoffCoefficient: f64 = 1;
  /** NaN: no limit. The same holds for `timeout`. */
  maxInterval: f64 = NaN;
  timeout: f64 = NaN;
  nonRetriableErrorTypes: string[] = [];

  constructor(public maxAttempts: u32, public firstInterval: f64) {}
}

/** Something that was scheduled and completes once. */
export class Task {
  constructor(public handle: i32) {}

  /** Waits until the task has completed. */
  wait(): Outcome {
    taskOutcome(this.handle, area);
    if (!load<u8>(area)) {
      waitAny([this]);
      taskOutcome(this.handle, area);
    }
    return liftOutcome(area + 4);
  }

  /** Cancels a timer or a wait for an event. Returns false if it has completed already. */
  cancel(): bool {
    return taskCancel(this.handle);
  }
}

/** Registers an orchestrator. Call it at the top level of a file. */
export function orchestrator(name: string, run: (input: string) => Outcome): void {
  orchestrators.set(name, run);
}

/** Registers an activity. Call it at the top level of a file. */
export function activity(name: string, run: (call: Call) => Outcome): void {
  activities.set(name, run);
}

/**
 * Registers a trigger. Call it at the top level of a file. Its bindings are JSON, in the form of a `function.json` of Azure Functions; its
 * output is JSON too: `null`, or an object with `response` or `outputs` or both.
 */
export function trigger(name: string, bindings: string, run: (call: TriggerCall) => Outcome): void {
  triggers.set(name, run);
  triggerBindings.set(name, bindings);
}

export function callActivity(name: string, input: string, retry: RetryPolicy | null = null): Task {
  const policy = retry || new RetryPolicy(1, 0);
  const nameBytes = utf8(name), inputBytes = utf8(input);
  const types = policy.nonRetriableErrorTypes.map<ArrayBuffer>((type) => utf8(type));
  const list = new StaticArray<u32>(2 * types.length);
  for (let i = 0; i < types.length; i++) {
    list[2 * i] = <u32>changetype<usize>(types[i]);
    list[2 * i + 1] = types[i].byteLength;
  }
  return new Task(scheduleActivity(
    changetype<usize>(nameBytes), nameBytes.byteLength,
    changetype<usize>(inputBytes), inputBytes.byteLength,
    retry != null, policy.maxAttempts, policy.firstInterval, policy.backoffCoefficient,
    !isNaN(policy.maxInterval), policy.maxInterval,
    !isNaN(policy.timeout), policy.timeout,
    changetype<usize>(list), types.length,
  ));
}

/** Schedules a timer. `fireAt` is in milliseconds since 1970. */
export function createTimer(fireAt: f64): Task {
  return new Task(scheduleTimer(fireAt));
}

export function waitForExternalEvent(name: string): Task {
  const bytes = utf8(name);
  return new Task(scheduleEvent(changetype<usize>(bytes), bytes.byteLength));
}

/** Waits until a task has completed, and returns the index of the one that completed first. */
export function waitAny(tasks: Task[]): u32 {
  const handles = new StaticArray<i32>(tasks.length);
  for (let i = 0; i < tasks.length; i++) handles[i] = tasks[i].handle;
  waitForTasks(changetype<usize>(handles), tasks.length, area);
  const completed = load<usize>(area);
  const first = load<u32>(completed);
  heap.free(completed);
  return first;
}

/**
 * The durable client of the app's own task hub, for activities and triggers. Outputs, options and filters are JSON; a refusal is a failure
 * with a type, such as `InstanceNotFound` or `NotGranted`.
 */
export class Client {
  /** Starts an orchestration. The output is its instance id. `startAt` is in milliseconds since 1970; NaN: at once. */
  static startOrchestration(
    name: string, input: string, instanceId: string | null = null, version: string | null = null, startAt: f64 = NaN,
  ): Outcome {
    const nameBytes = utf8(name), inputBytes = utf8(input), id = utf8(instanceId || ""), label = utf8(version || "");
    clientStart(
      changetype<usize>(nameBytes), nameBytes.byteLength, changetype<usize>(inputBytes), inputBytes.byteLength,
      instanceId != null, changetype<usize>(id), id.byteLength, version != null, changetype<usize>(label), label.byteLength,
      !isNaN(startAt), startAt, area,
    );
    return quoted(liftOutcome(area));
  }

  /** The status of an instance; `null` if there is none. */
  static getStatus(instanceId: string, options: string = ""): Outcome {
    const id = utf8(instanceId), optionBytes = utf8(options);
    clientStatus(changetype<usize>(id), id.byteLength, changetype<usize>(optionBytes), optionBytes.byteLength, area);
    return liftOutcome(area);
  }

  /** A page: `instances` and `continuationToken`. */
  static listInstances(filter: string = ""): Outcome {
    const bytes = utf8(filter);
    clientList(changetype<usize>(bytes), bytes.byteLength, area);
    return liftOutcome(area);
  }

  static raiseEvent(instanceId: string, name: string, data: string): Outcome {
    const id = utf8(instanceId), nameBytes = utf8(name), dataBytes = utf8(data);
    clientRaise(
      changetype<usize>(id), id.byteLength, changetype<usize>(nameBytes), nameBytes.byteLength,
      changetype<usize>(dataBytes), dataBytes.byteLength, area,
    );
    return liftDone();
  }

  static terminate(instanceId: string, reason: string): Outcome {
    const id = utf8(instanceId), bytes = utf8(reason);
    clientTerminate(changetype<usize>(id), id.byteLength, changetype<usize>(bytes), bytes.byteLength, area);
    return liftDone();
  }

  static suspend(instanceId: string, reason: string): Outcome {
    const id = utf8(instanceId), bytes = utf8(reason);
    clientSuspend(changetype<usize>(id), id.byteLength, changetype<usize>(bytes), bytes.byteLength, area);
    return liftDone();
  }

  static resume(instanceId: string, reason: string): Outcome {
    const id = utf8(instanceId), bytes = utf8(reason);
    clientResume(changetype<usize>(id), id.byteLength, changetype<usize>(bytes), bytes.byteLength, area);
    return liftDone();
  }

  /** Brings a failed instance back to the state before its failure. */
  static rewind(instanceId: string, reason: string): Outcome {
    const id = utf8(instanceId), bytes = utf8(reason);
    clientRewind(changetype<usize>(id), id.byteLength, changetype<usize>(bytes), bytes.byteLength, area);
    return liftDone();
  }

  /** Starts an orchestration anew. The output is the id of the new instance: this one, or one that the host generates. */
  static restart(instanceId: string, newInstanceId: string | null = null): Outcome {
    const id = utf8(instanceId), newId = utf8(newInstanceId || "");
    clientRestart(changetype<usize>(id), id.byteLength, newInstanceId != null, changetype<usize>(newId), newId.byteLength, area);
    return quoted(liftOutcome(area));
  }

  /** Removes an instance that has ended, or an entity. The output is whether there was one. */
  static purge(instanceId: string): Outcome {
    const id = utf8(instanceId);
    clientPurge(changetype<usize>(id), id.byteLength, area);
    return load<u8>(area) ? liftOutcome(area) : succeed(load<bool>(area, 4) ? "true" : "false");
  }

  /** Removes all instances that match and have ended. The output is how many. The filter needs `createdTimeFrom`. */
  static purgeInstances(filter: string): Outcome {
    const bytes = utf8(filter);
    clientPurgeAll(changetype<usize>(bytes), bytes.byteLength, area);
    return load<u8>(area) ? liftOutcome(area) : succeed(load<u32>(area, 4).toString());
  }

  /** Waits until an instance has ended, at most so many milliseconds. The output is its status; `null` if there is none. */
  static waitForCompletion(instanceId: string, timeout: f64): Outcome {
    const id = utf8(instanceId);
    clientWait(changetype<usize>(id), id.byteLength, timeout, area);
    return liftOutcome(area);
  }

  /** Sends a one-way operation to an entity. `deliverAt` is in milliseconds since 1970; NaN: at once. */
  static signalEntity(name: string, key: string, operation: string, input: string, deliverAt: f64 = NaN): Outcome {
    const nameBytes = utf8(name), keyBytes = utf8(key), operationBytes = utf8(operation), inputBytes = utf8(input);
    clientSignal(
      changetype<usize>(nameBytes), nameBytes.byteLength, changetype<usize>(keyBytes), keyBytes.byteLength,
      changetype<usize>(operationBytes), operationBytes.byteLength, changetype<usize>(inputBytes), inputBytes.byteLength,
      !isNaN(deliverAt), deliverAt, area,
    );
    return liftDone();
  }

  /** The state of an entity; `null` if there is none. */
  static readEntity(name: string, key: string): Outcome {
    const nameBytes = utf8(name), keyBytes = utf8(key);
    clientRead(changetype<usize>(nameBytes), nameBytes.byteLength, changetype<usize>(keyBytes), keyBytes.byteLength, area);
    if (load<u8>(area)) return liftOutcome(area);
    return succeed(load<u8>(area, 4) ? lift(area + 8) : "null");
  }

  /** A page: `entities` and `continuationToken`. */
  static listEntities(filter: string = ""): Outcome {
    const bytes = utf8(filter);
    clientEntities(changetype<usize>(bytes), bytes.byteLength, area);
    return liftOutcome(area);
  }

  /** The links for managing an instance over HTTP. */
  static links(instanceId: string): Outcome {
    const id = utf8(instanceId);
    clientLinks(changetype<usize>(id), id.byteLength, area);
    return liftOutcome(area);
  }
}

/** Writes a line to the host's log. A replay does not write it again. */
export function log(level: Level, message: string): void {
  const bytes = utf8(message);
  writeLine(level, changetype<usize>(bytes), bytes.byteLength);
}

export const enum Level { trace, debug, info, warn, error }

/** Converts a text to a JSON string. */
export function quote(text: string): string {
  const parts: string[] = ['"'];
  let from = 0;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit >= 0x20 && unit != 0x22 && unit != 0x5c) continue;
    parts.push(text.substring(from, i));
    parts.push("\\u" + unit.toString(16).padStart(4, "0"));
    from = i + 1;
  }
  parts.push(text.substring(from));
  parts.push('"');
  return parts.join("");
}

/** Converts a JSON string to its text. */
export function unquote(json: string): string {
  const quoted = json.trim();
  if (!quoted.startsWith('"')) throw new Error("not a JSON string: " + json);
  const parts: string[] = [];
  let from = 1;
  for (let i = quoted.indexOf("\\"); i >= 0; i = quoted.indexOf("\\", from)) {
    parts.push(quoted.substring(from, i));
    const escape = quoted.charAt(i + 1);
    const plain = "\"\\/bfnrt".indexOf(escape);
    if (plain >= 0) parts.push("\"\\/\b\f\n\r\t".charAt(plain));
    else parts.push(String.fromCharCode(<i32>parseInt(quoted.substr(i + 2, 4), 16)));
    from = plain >= 0 ? i + 2 : i + 6;
  }
  parts.push(quoted.substring(from, quoted.length - 1));
  return parts.join("");
}

// The canonical ABI. Strings and lists are an address and a length; a result that does not fit into one value is returned in
// memory. The host allocates memory for what it writes with `cabi_realloc`, and this file frees it after reading. The results
// of exports are never freed: each run has its own instance, whose memory is discarded with it.

@external("dacapo:guest/orchestration@0.1.0", "call-activity")
declare function scheduleActivity(
  name: usize, nameLength: i32, input: usize, inputLength: i32, hasRetry: bool,
  maxAttempts: u32, firstInterval: f64, backoffCoefficient: f64, hasMaxInterval: bool, maxInterval: f64,
  hasTimeout: bool, timeout: f64, nonRetriable: usize, nonRetriableCount: i32,
): i32;
@external("dacapo:guest/orchestration@0.1.0", "create-timer")
declare function scheduleTimer(fireAt: f64): i32;
@external("dacapo:guest/orchestration@0.1.0", "wait-for-external-event")
declare function scheduleEvent(name: usize, nameLength: i32): i32;
@external("dacapo:guest/orchestration@0.1.0", "wait")
declare function waitForTasks(tasks: usize, count: i32, returned: usize): void;
@external("dacapo:guest/orchestration@0.1.0", "[method]task.outcome")
declare function taskOutcome(task: i32, returned: usize): void;
@external("dacapo:guest/orchestration@0.1.0", "[method]task.cancel")
declare function taskCancel(task: i32): bool;
/** The current time, in milliseconds since 1970: the time of the turn, the same on replay. */
@external("dacapo:guest/orchestration@0.1.0", "current-time")
export declare function currentTime(): f64;
@external("dacapo:guest/client@0.1.0", "start-orchestration")
declare function clientStart(
  name: usize, nameLength: i32, input: usize, inputLength: i32, hasId: bool, id: usize, idLength: i32,
  hasVersion: bool, version: usize, versionLength: i32, hasStartAt: bool, startAt: f64, returned: usize,
): void;
@external("dacapo:guest/client@0.1.0", "get-status")
declare function clientStatus(id: usize, idLength: i32, options: usize, optionsLength: i32, returned: usize): void;
@external("dacapo:guest/client@0.1.0", "list-instances")
declare function clientList(filter: usize, filterLength: i32, returned: usize): void;
@external("dacapo:guest/client@0.1.0", "raise-event")
declare function clientRaise(
  id: usize, idLength: i32, name: usize, nameLength: i32, data: usize, dataLength: i32, returned: usize,
): void;
@external("dacapo:guest/client@0.1.0", "terminate")
declare function clientTerminate(id: usize, idLength: i32, reason: usize, reasonLength: i32, returned: usize): void;
@external("dacapo:guest/client@0.1.0", "suspend")
declare function clientSuspend(id: usize, idLength: i32, reason: usize, reasonLength: i32, returned: usize): void;
@external("dacapo:guest/client@0.1.0", "resume")
declare function clientResume(id: usize, idLength: i32, reason: usize, reasonLength: i32, returned: usize): void;
@external("dacapo:guest/client@0.1.0", "rewind")
declare function clientRewind(id: usize, idLength: i32, reason: usize, reasonLength: i32, returned: usize): void;
@external("dacapo:guest/client@0.1.0", "restart")
declare function clientRestart(id: usize, idLength: i32, hasNewId: bool, newId: usize, newIdLength: i32, returned: usize): void;
@external("dacapo:guest/client@0.1.0", "purge")
declare function clientPurge(id: usize, idLength: i32, returned: usize): void;
@external("dacapo:guest/client@0.1.0", "purge-instances")
declare function clientPurgeAll(filter: usize, filterLength: i32, returned: usize): void;
@external("dacapo:guest/client@0.1.0", "wait-for-completion")
declare function clientWait(id: usize, idLength: i32, timeout: f64, returned: usize): void;
@external("dacapo:guest/client@0.1.0", "signal-entity")
declare function clientSignal(
  name: usize, nameLength: i32, key: usize, keyLength: i32, operation: usize, operationLength: i32,
  input: usize, inputLength: i32, hasDeliverAt: bool, deliverAt: f64, returned: usize,
): void;
@external("dacapo:guest/client@0.1.0", "read-entity")
declare function clientRead(name: usize, nameLength: i32, key: usize, keyLength: i32, returned: usize): void;
@external("dacapo:guest/client@0.1.0", "list-entities")
declare function clientEntities(filter: usize, filterLength: i32, returned: usize): void;
@external("dacapo:guest/client@0.1.0", "links")
declare function clientLinks(id: usize, idLength: i32, returned: usize): void;
@external("dacapo:guest/logging@0.1.0", "log")
declare function writeLine(level: i32, message: usize, messageLength: i32): void;

/** The area where imports return results that do not fit into one value; the largest is a task's outcome. */
const area = memory.data(40, 4);

const orchestrators = new Map<string, (input: string) => Outcome>();
const activities = new Map<string, (call: Call) => Outcome>();
const triggers = new Map<string, (call: TriggerCall) => Outcome>();
const triggerBindings = new Map<string, string>();

export function describe(): usize {
  const list = heap.alloc(8);
  const functions = heap.alloc(12 * (orchestrators.size + activities.size));
  store<usize>(list, functions);
  store<i32>(list, orchestrators.size + activities.size, 4);
  const after = describeAll(functions, orchestrators.keys(), 0);
  describeAll(after, activities.keys(), 1);
  return list;
}

function describeAll(at: usize, names: string[], kind: u8): usize {
  for (let i = 0; i < names.length; i++, at += 12) {
    lower(at, names[i]);
    store<u8>(at, kind, 8);
  }
  return at;
}

export function runOrchestrator(name: usize, nameLength: i32, input: usize, inputLength: i32): usize {
  const run = orchestrators.get(take(name, nameLength));
  return lowerOutcome(run(take(input, inputLength)));
}

export function runActivity(
  name: usize, nameLength: i32, input: usize, inputLength: i32, instanceId: usize, instanceIdLength: i32, taskId: u32, attempt: u32,
): usize {
  const run = activities.get(take(name, nameLength));
  return lowerOutcome(run(new Call(take(input, inputLength), take(instanceId, instanceIdLength), taskId, attempt)));
}

export function describeTriggers(): usize {
  const names = triggers.keys();
  const list = heap.alloc(8);
  const described = heap.alloc(16 * names.length);
  store<usize>(list, described);
  store<i32>(list, names.length, 4);
  for (let i = 0; i < names.length; i++) {
    lower(described + 16 * i, names[i]);
    lower(described + 16 * i + 8, triggerBindings.get(names[i]));
  }
  return list;
}

export function runTrigger(
  name: usize, nameLength: i32, input: usize, inputLength: i32, invocationId: usize, invocationIdLength: i32, attempt: u32,
): usize {
  const run = triggers.get(take(name, nameLength));
  return lowerOutcome(run(new TriggerCall(take(input, inputLength), take(invocationId, invocationIdLength), attempt)));
}

export function cabi_realloc(old: usize, _oldSize: usize, _alignment: usize, size: usize): usize {
  return old ? heap.realloc(old, size) : heap.alloc(size);
}

/** Called by `throw` and failed assertions. The host makes the failure from the line that is logged here. */
export function abort(message: string | null, file: string | null, line: u32, column: u32): void {
  log(Level.error, "panicked at " + (file || "") + ":" + line.toString() + ":" + column.toString() + ": " + (message || "it aborted"));
  unreachable();
}

function lowerOutcome(outcome: Outcome): usize {
  const at = heap.alloc(36);
  const failure = outcome.failure;
  store<u8>(at, failure != null);
  if (failure) lowerFailure(at + 4, failure);
  else lower(at + 4, outcome.output);
  return at;
}

function lowerFailure(at: usize, failure: Failure): void {
  lower(at, failure.errorType);
  lower(at + 8, failure.message);
  const details = failure.details;
  store<u8>(at, details != null, 16);
  if (details) lower(at + 20, details);
  store<u8>(at, failure.retriable, 28);
}

function liftOutcome(at: usize): Outcome {
  if (!load<u8>(at)) return succeed(lift(at + 4));
  const errorType = lift(at + 4), message = lift(at + 12);
  const details = load<u8>(at, 20) ? lift(at + 24) : null;
  return fail(new Failure(errorType, message, load<bool>(at, 32), details));
}

/** Reads a result without a value. */
function liftDone(): Outcome {
  return load<u8>(area) ? liftOutcome(area) : succeed("null");
}

/** The host gives an id as a text; outputs are JSON. */
function quoted(outcome: Outcome): Outcome {
  return outcome.failed ? outcome : succeed(quote(outcome.output));
}

/** Writes a string in the form of the ABI: its bytes into new memory, their address and length at `at`. */
function lower(at: usize, text: string): void {
  const bytes = utf8(text);
  const address = heap.alloc(bytes.byteLength);
  memory.copy(address, changetype<usize>(bytes), bytes.byteLength);
  store<usize>(at, address);
  store<i32>(at, bytes.byteLength, 4);
}

function lift(at: usize): string {
  return take(load<usize>(at), load<i32>(at, 4));
}

/** Reads a string that the host has written, and frees it. */
function take(address: usize, length: i32): string {
  const text = String.UTF8.decodeUnsafe(address, length);
  heap.free(address);
  return text;
}

/** Encodes as UTF-8. A lone surrogate becomes U+FFFD. */
function utf8(text: string): ArrayBuffer {
  return String.UTF8.encode(text, false, String.UTF8.ErrorMode.REPLACE);
}
