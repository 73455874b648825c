//! Events: a kind and a block of fields.

use std::sync::Arc;

use dacapo_core::event::Outcome;
use dacapo_core::execution::Conditions;
use dacapo_core::{Event, ExecutionId, Failure, FunctionName, InstanceId, Parent, Payload, Seq, Timestamp, VersionId};

use super::wire::{Bad, Reader, Result, Writer};

// The numbers of the kinds. They are never changed and never reused.
const ORCHESTRATOR_STARTED: u8 = 1;
const EXECUTION_STARTED: u8 = 2;
const TASK_COMPLETED: u8 = 3;
const TASK_FAILED: u8 = 4;
const SUB_ORCHESTRATION_INSTANCE_COMPLETED: u8 = 5;
const SUB_ORCHESTRATION_INSTANCE_FAILED: u8 = 6;
const TIMER_FIRED: u8 = 7;
const EVENT_RAISED: u8 = 8;
const EXECUTION_SUSPENDED: u8 = 9;
const EXECUTION_RESUMED: u8 = 10;
const EXECUTION_TERMINATED: u8 = 11;
const TASK_SCHEDULED: u8 = 12;
const SUB_ORCHESTRATION_INSTANCE_CREATED: u8 = 13;
const TIMER_CREATED: u8 = 14;
const EVENT_SENT: u8 = 15;
const EXECUTION_COMPLETED: u8 = 16;
const EXECUTION_REWOUND: u8 = 17;
const ENTITY_OPERATION_COMPLETED: u8 = 18;
const ENTITY_OPERATION_FAILED: u8 = 19;
const ENTITY_LOCK_GRANTED: u8 = 20;
const OPERATION_REQUESTED: u8 = 21;
const LOCK_REQUESTED: u8 = 22;
const LOCK_RELEASED: u8 = 23;
const STATE_PURGED: u8 = 24;
const ENTITY_OPERATION_CALLED: u8 = 25;
const ENTITY_OPERATION_SIGNALED: u8 = 26;
const ENTITY_LOCK_REQUESTED: u8 = 27;
const ENTITY_UNLOCK_SENT: u8 = 28;
const EXECUTION_MIGRATED: u8 = 29;
/// The last one that this release knows.
const LAST_KIND: u8 = EXECUTION_MIGRATED;

const COMPLETED: u8 = 0;
const FAILED: u8 = 1;
const TERMINATED: u8 = 2;
const CONTINUED_AS_NEW: u8 = 3;

pub(super) fn write_event(w: &mut Writer, event: &Event) {
    w.byte(kind(event));
    w.block(|w| write_fields(w, event));
}

pub(super) fn read_event(r: &mut Reader<'_>) -> Result<Event> {
    let kind = r.byte()?;
    read_fields(kind, &mut r.block()?)
}

fn kind(event: &Event) -> u8 {
    match event {
        Event::OrchestratorStarted { .. } => ORCHESTRATOR_STARTED,
        Event::ExecutionStarted { .. } => EXECUTION_STARTED,
        Event::TaskCompleted { .. } => TASK_COMPLETED,
        Event::TaskFailed { .. } => TASK_FAILED,
        Event::SubOrchestrationInstanceCompleted { .. } => SUB_ORCHESTRATION_INSTANCE_COMPLETED,
        Event::SubOrchestrationInstanceFailed { .. } => SUB_ORCHESTRATION_INSTANCE_FAILED,
        Event::TimerFired { .. } => TIMER_FIRED,
        Event::EventRaised { .. } => EVENT_RAISED,
        Event::ExecutionSuspended { .. } => EXECUTION_SUSPENDED,
        Event::ExecutionResumed { .. } => EXECUTION_RESUMED,
        Event::ExecutionTerminated { .. } => EXECUTION_TERMINATED,
        Event::ExecutionRewound { .. } => EXECUTION_REWOUND,
        Event::ExecutionMigrated { .. } => EXECUTION_MIGRATED,
        Event::EntityOperationCompleted { .. } => ENTITY_OPERATION_COMPLETED,
        Event::EntityOperationFailed { .. } => ENTITY_OPERATION_FAILED,
        Event::EntityLockGranted { .. } => ENTITY_LOCK_GRANTED,
        Event::OperationRequested { .. } => OPERATION_REQUESTED,
        Event::LockRequested { .. } => LOCK_REQUESTED,
        Event::LockReleased { .. } => LOCK_RELEASED,
        Event::StatePurged => STATE_PURGED,
        Event::TaskScheduled { .. } => TASK_SCHEDULED,
        Event::SubOrchestrationInstanceCreated { .. } => SUB_ORCHESTRATION_INSTANCE_CREATED,
        Event::TimerCreated { .. } => TIMER_CREATED,
        Event::EventSent { .. } => EVENT_SENT,
        Event::EntityOperationCalled { .. } => ENTITY_OPERATION_CALLED,
        Event::EntityOperationSignaled { .. } => ENTITY_OPERATION_SIGNALED,
        Event::EntityLockRequested { .. } => ENTITY_LOCK_REQUESTED,
        Event::EntityUnlockSent { .. } => ENTITY_UNLOCK_SENT,
        Event::ExecutionCompleted { .. } => EXECUTION_COMPLETED,
    }
}

fn write_fields(w: &mut Writer, event: &Event) {
    match event {
        Event::OrchestratorStarted { conditions } => conditions.iter().for_each(|conditions| write_conditions(w, conditions)),
        Event::StatePurged => {}
        Event::ExecutionStarted { execution, name, input, version, parent, start_at } => {
            write_execution(w, *execution);
            w.text(name.as_str());
            w.text(input);
            w.text(version);
            w.option(parent.as_ref(), write_parent);
            w.option(*start_at, write_time);
        }
        Event::TaskCompleted { seq, result }
        | Event::SubOrchestrationInstanceCompleted { seq, result }
        | Event::EntityOperationCompleted { seq, result } => {
            write_seq(w, *seq);
            w.text(result);
        }
        Event::TaskFailed { seq, failure }
        | Event::SubOrchestrationInstanceFailed { seq, failure }
        | Event::EntityOperationFailed { seq, failure } => {
            write_seq(w, *seq);
            write_failure(w, failure);
        }
        Event::TimerFired { seq, fire_at } | Event::TimerCreated { seq, fire_at } => {
            write_seq(w, *seq);
            write_time(w, *fire_at);
        }
        Event::EventRaised { name, data } => {
            w.text(name);
            w.text(data);
        }
        Event::ExecutionSuspended { reason } | Event::ExecutionResumed { reason } => w.text(reason),
        Event::ExecutionTerminated { reason, recurse, parent } => {
            w.text(reason);
            w.flag(*recurse);
            w.option(parent.as_ref(), write_parent);
        }
        Event::ExecutionRewound { reason, parent } => {
            w.text(reason);
            w.option(parent.as_ref(), write_parent);
        }
        Event::ExecutionMigrated { version } => w.raw(&version.0),
        Event::EntityLockGranted { seq } => write_seq(w, *seq),
        Event::OperationRequested { operation, input, caller, deliver_at } => {
            w.text(operation);
            w.text(input);
            w.option(caller.as_ref(), write_parent);
            w.option(*deliver_at, write_time);
        }
        Event::LockRequested { entities, position, owner } | Event::LockReleased { entities, position, owner } => {
            write_instances(w, entities);
            w.number((*position).into());
            write_parent(w, owner);
        }
        Event::TaskScheduled { seq, name, input, attempt } => {
            write_seq(w, *seq);
            w.text(name.as_str());
            w.text(input);
            w.number((*attempt).into());
        }
        Event::SubOrchestrationInstanceCreated { seq, name, instance, input, version, detached } => {
            write_seq(w, *seq);
            w.text(name.as_str());
            w.text(instance.as_str());
            w.text(input);
            w.flag(*detached);
            w.text(version);
        }
        Event::EventSent { seq, instance, name, data } => {
            write_seq(w, *seq);
            w.text(instance.as_str());
            w.text(name);
            w.text(data);
        }
        Event::EntityOperationCalled { seq, entity, operation, input } => {
            write_operation(w, *seq, entity, operation, input);
        }
        Event::EntityOperationSignaled { seq, entity, operation, input, deliver_at } => {
            write_operation(w, *seq, entity, operation, input);
            w.option(*deliver_at, write_time);
        }
        Event::EntityLockRequested { seq, entities } | Event::EntityUnlockSent { seq, entities } => {
            write_seq(w, *seq);
            write_instances(w, entities);
        }
        Event::ExecutionCompleted { outcome } => write_outcome(w, outcome),
    }
}

fn write_operation(w: &mut Writer, seq: Seq, entity: &InstanceId, operation: &str, input: &str) {
    write_seq(w, seq);
    w.text(entity.as_str());
    w.text(operation);
    w.text(input);
}

fn read_fields(kind: u8, r: &mut Reader<'_>) -> Result<Event> {
    Ok(match kind {
        ORCHESTRATOR_STARTED => Event::OrchestratorStarted { conditions: r.added(read_conditions)?.map(Arc::new) },
        EXECUTION_STARTED => Event::ExecutionStarted {
            execution: read_execution(r)?,
            name: read_name(r)?,
            input: read_payload(r)?,
            version: read_string(r)?,
            parent: r.option(read_parent)?,
            start_at: r.added(|r| r.option(read_time))?.flatten(),
        },
        TASK_COMPLETED => Event::TaskCompleted { seq: read_seq(r)?, result: read_payload(r)? },
        TASK_FAILED => Event::TaskFailed { seq: read_seq(r)?, failure: read_failure(r)? },
        SUB_ORCHESTRATION_INSTANCE_COMPLETED => {
            Event::SubOrchestrationInstanceCompleted { seq: read_seq(r)?, result: read_payload(r)? }
        }
        SUB_ORCHESTRATION_INSTANCE_FAILED => {
            Event::SubOrchestrationInstanceFailed { seq: read_seq(r)?, failure: read_failure(r)? }
        }
        TIMER_FIRED => Event::TimerFired { seq: read_seq(r)?, fire_at: read_time(r)? },
        EVENT_RAISED => Event::EventRaised { name: read_string(r)?, data: read_payload(r)? },
        EXECUTION_SUSPENDED => Event::ExecutionSuspended { reason: read_string(r)? },
        EXECUTION_RESUMED => Event::ExecutionResumed { reason: read_string(r)? },
        EXECUTION_TERMINATED => Event::ExecutionTerminated {
            reason: read_string(r)?,
            recurse: r.added(Reader::flag)?.unwrap_or(false),
            parent: r.added(|r| r.option(read_parent))?.flatten(),
        },
        EXECUTION_REWOUND => Event::ExecutionRewound { reason: read_string(r)?, parent: r.option(read_parent)? },
        ENTITY_OPERATION_COMPLETED => Event::EntityOperationCompleted { seq: read_seq(r)?, result: read_payload(r)? },
        ENTITY_OPERATION_FAILED => Event::EntityOperationFailed { seq: read_seq(r)?, failure: read_failure(r)? },
        ENTITY_LOCK_GRANTED => Event::EntityLockGranted { seq: read_seq(r)? },
        OPERATION_REQUESTED => Event::OperationRequested {
            operation: read_string(r)?,
            input: read_payload(r)?,
            caller: r.option(read_parent)?,
            deliver_at: r.option(read_time)?,
        },
        LOCK_REQUESTED => Event::LockRequested { entities: read_instances(r)?, position: r.number32()?, owner: read_parent(r)? },
        LOCK_RELEASED => Event::LockReleased { entities: read_instances(r)?, position: r.number32()?, owner: read_parent(r)? },
        STATE_PURGED => Event::StatePurged,
        TASK_SCHEDULED => {
            Event::TaskScheduled { seq: read_seq(r)?, name: read_name(r)?, input: read_payload(r)?, attempt: r.number32()? }
        }
        SUB_ORCHESTRATION_INSTANCE_CREATED => Event::SubOrchestrationInstanceCreated {
            seq: read_seq(r)?,
            name: read_name(r)?,
            instance: read_instance(r)?,
            input: read_payload(r)?,
            detached: r.flag()?,
            version: r.added(read_string)?.unwrap_or_default(),
        },
        TIMER_CREATED => Event::TimerCreated { seq: read_seq(r)?, fire_at: read_time(r)? },
        EVENT_SENT => {
            Event::EventSent { seq: read_seq(r)?, instance: read_instance(r)?, name: read_string(r)?, data: read_payload(r)? }
        }
        ENTITY_OPERATION_CALLED => Event::EntityOperationCalled {
            seq: read_seq(r)?,
            entity: read_instance(r)?,
            operation: read_string(r)?,
            input: read_payload(r)?,
        },
        ENTITY_OPERATION_SIGNALED => Event::EntityOperationSignaled {
            seq: read_seq(r)?,
            entity: read_instance(r)?,
            operation: read_string(r)?,
            input: read_payload(r)?,
            deliver_at: r.option(read_time)?,
        },
        ENTITY_LOCK_REQUESTED => Event::EntityLockRequested { seq: read_seq(r)?, entities: read_instances(r)? },
        ENTITY_UNLOCK_SENT => Event::EntityUnlockSent { seq: read_seq(r)?, entities: read_instances(r)? },
        EXECUTION_MIGRATED => Event::ExecutionMigrated { version: VersionId(r.raw()?) },
        EXECUTION_COMPLETED => Event::ExecutionCompleted { outcome: read_outcome(r)? },
        0 => return Err(Bad::Malformed("an event has no kind")),
        newer => return Err(Bad::Newer { found: newer.into(), known: LAST_KIND.into() }),
    })
}

fn write_conditions(w: &mut Writer, conditions: &Conditions) {
    let Conditions { memory_bytes, table_elements, fuel_per_turn, tasks, payload_bytes, environment } = conditions;
    for number in [memory_bytes, table_elements, fuel_per_turn, tasks, payload_bytes] {
        w.number(*number);
    }
    w.block(|w| {
        for (name, value) in environment {
            w.text(name);
            w.text(value);
        }
    });
}

fn read_conditions(r: &mut Reader<'_>) -> Result<Conditions> {
    let numbers = [r.number()?, r.number()?, r.number()?, r.number()?, r.number()?];
    let [memory_bytes, table_elements, fuel_per_turn, tasks, payload_bytes] = numbers;
    let (mut variables, mut environment) = (r.block()?, Vec::new());
    while !variables.is_empty() {
        environment.push((read_string(&mut variables)?, read_string(&mut variables)?));
    }
    Ok(Conditions { memory_bytes, table_elements, fuel_per_turn, tasks, payload_bytes, environment })
}

fn write_outcome(w: &mut Writer, outcome: &Outcome) {
    match outcome {
        Outcome::Completed(result) => {
            w.byte(COMPLETED);
            w.text(result);
        }
        Outcome::Failed(failure) => {
            w.byte(FAILED);
            write_failure(w, failure);
        }
        Outcome::Terminated { reason } => {
            w.byte(TERMINATED);
            w.text(reason);
        }
        Outcome::ContinuedAsNew { input } => {
            w.byte(CONTINUED_AS_NEW);
            w.text(input);
        }
    }
}

fn read_outcome(r: &mut Reader<'_>) -> Result<Outcome> {
    Ok(match r.byte()? {
        COMPLETED => Outcome::Completed(read_payload(r)?),
        FAILED => Outcome::Failed(read_failure(r)?),
        TERMINATED => Outcome::Terminated { reason: read_string(r)? },
        CONTINUED_AS_NEW => Outcome::ContinuedAsNew { input: read_payload(r)? },
        newer => return Err(Bad::Newer { found: newer.into(), known: CONTINUED_AS_NEW.into() }),
    })
}

fn write_failure(w: &mut Writer, failure: &Failure) {
    w.block(|w| {
        w.text(&failure.error_type);
        w.text(&failure.message);
        w.option(failure.details.as_deref(), Writer::text);
        w.flag(failure.retriable);
    });
}

fn read_failure(r: &mut Reader<'_>) -> Result<Failure> {
    let r = &mut r.block()?;
    Ok(Failure { error_type: read_string(r)?, message: read_string(r)?, details: r.option(read_string)?, retriable: r.flag()? })
}

pub(super) fn write_parent(w: &mut Writer, parent: &Parent) {
    w.block(|w| {
        w.text(parent.name.as_str());
        w.text(parent.instance.as_str());
        write_execution(w, parent.execution);
        write_seq(w, parent.seq);
    });
}

pub(super) fn read_parent(r: &mut Reader<'_>) -> Result<Parent> {
    let r = &mut r.block()?;
    Ok(Parent { name: read_name(r)?, instance: read_instance(r)?, execution: read_execution(r)?, seq: read_seq(r)? })
}

pub(super) fn write_execution(w: &mut Writer, execution: ExecutionId) {
    w.raw(execution.0.as_bytes());
}

pub(super) fn read_execution(r: &mut Reader<'_>) -> Result<ExecutionId> {
    Ok(ExecutionId(uuid::Uuid::from_bytes(r.raw()?)))
}

fn write_seq(w: &mut Writer, seq: Seq) {
    w.number(seq.0.into());
}

fn read_seq(r: &mut Reader<'_>) -> Result<Seq> {
    r.number32().map(Seq)
}

pub(super) fn write_time(w: &mut Writer, time: Timestamp) {
    w.signed(time.0);
}

pub(super) fn read_time(r: &mut Reader<'_>) -> Result<Timestamp> {
    r.signed().map(Timestamp)
}

pub(super) fn read_string(r: &mut Reader<'_>) -> Result<String> {
    r.text().map(str::to_owned)
}

pub(super) fn read_payload(r: &mut Reader<'_>) -> Result<Payload> {
    r.text().map(Payload::from)
}

pub(super) fn read_instance(r: &mut Reader<'_>) -> Result<InstanceId> {
    InstanceId::stored(r.text()?).map_err(|_| Bad::Malformed("an instance id breaks the rules for ids"))
}

fn write_instances(w: &mut Writer, instances: &[InstanceId]) {
    w.block(|w| instances.iter().for_each(|instance| w.text(instance.as_str())));
}

fn read_instances(r: &mut Reader<'_>) -> Result<Vec<InstanceId>> {
    let mut list = r.block()?;
    let mut instances = Vec::new();
    while !list.is_empty() {
        instances.push(read_instance(&mut list)?);
    }
    Ok(instances)
}

pub(super) fn read_name(r: &mut Reader<'_>) -> Result<FunctionName> {
    FunctionName::new(r.text()?).map_err(|_| Bad::Malformed("a function name breaks the rules for names"))
}
