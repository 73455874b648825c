/**
 * Critical sections: while an orchestration holds locks, it may call only locked entities, each with one call at a time,
 * and must not signal them or call sub-orchestrations. The rules are checked when a call is made.
 */

import { EntityId, hostEntityId } from "./entity-id.js";

export class LockingRulesViolationError extends Error {
  static code = "LOCKING_RULES_VIOLATION";

  constructor(message, options) {
    super(message, options);
    this.name = "LockingRulesViolationError";
  }
}

/** The result of `lock`. It ends the critical section, with `release` or at the end of a `using` block. */
export class DurableLock {
  #release;

  constructor(ownedLocks, release) {
    this.ownedLocks = Object.freeze([...ownedLocks]);
    this.#release = release;
  }

  release() {
    this.#release?.();
    this.#release = undefined;
  }

  [Symbol.dispose ?? Symbol.for("Symbol.dispose")]() {
    this.release();
  }
}

export class LockState {
  constructor(isLocked, ownedLocks) {
    this.isLocked = isLocked;
    this.ownedLocks = ownedLocks;
  }
}

/** The critical section that an orchestration is in, or none. It begins when the lock is requested. */
export class CriticalSection {
  #owned = null;
  #called = null;

  get state() {
    return new LockState(this.#owned !== null, this.#owned ? [...this.#owned.values()] : []);
  }

  /** @param ids the arguments of `lock`: ids, or one list of them */
  begin(ids) {
    const entities = ids.flat();
    if (entities.length === 0) {
      throw new RangeError("lock needs at least one EntityId.");
    }
    if (!entities.every((id) => id instanceof EntityId)) {
      throw new TypeError("lock takes EntityIds.");
    }
    // Invalid ids are refused before the section begins.
    entities.forEach(hostEntityId);
    if (this.#owned) {
      throw new LockingRulesViolationError("A critical section cannot be entered inside another one.");
    }
    const sorted = entities.map((id) => [id.toString(), id]).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
    this.#owned = new Map(sorted);
    this.#called = new Set();
    return [...this.#owned.values()];
  }

  end() {
    this.#owned = null;
    this.#called = null;
  }

  /** @returns a function to be called when the call has ended */
  checkCall(id) {
    const text = new EntityId(id.name, id.key).toString();
    if (!this.#owned) {
      return () => {};
    }
    if (!this.#owned.has(text)) {
      throw new LockingRulesViolationError("In a critical section only locked entities can be called.");
    }
    if (this.#called.has(text)) {
      throw new LockingRulesViolationError("In a critical section an entity can be called by one call at a time.");
    }
    this.#called.add(text);
    return () => this.#called?.delete(text);
  }

  checkSignal(id) {
    if (this.#owned?.has(new EntityId(id.name, id.key).toString())) {
      throw new LockingRulesViolationError("In a critical section the locked entities cannot be signaled.");
    }
  }

  checkSubOrchestration() {
    if (this.#owned) {
      throw new LockingRulesViolationError("In a critical section sub-orchestrations cannot be called.");
    }
  }
}
