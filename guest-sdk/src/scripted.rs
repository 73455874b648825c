//! A host that follows a script, for the tests of what this crate builds on the imports.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use crate::action::Action as Seen;
use crate::app::{self, Entry};
use crate::entity::{OperationCall, OperationOutcome};
use crate::entity_id::EntityId;
use crate::failure::{Failure, Result};
use crate::host::{Host, Parent, Perform, TaskId, Work};
use crate::level::Level;
use crate::timestamp::Timestamp;

/// What the `wait`s give, one after the other: tasks, numbered from 1 as they are scheduled, and their outcomes.
pub(crate) type Script = Vec<Batch>;

/// What one `wait` gives.
type Batch = Vec<(TaskId, Result<&'static str>)>;

/// Runs an orchestrator against a script; gives what it did, line by line, and its outcome.
pub(crate) fn run(entry: Entry, input: &str, script: Script) -> (Vec<String>, Result<String>) {
    let host = ScriptedHost { script: RefCell::new(script.into()), ..ScriptedHost::default() };
    let did = host.did.clone();
    let name = entry.name;
    let outcome = app::run_orchestrator(&[entry], Box::new(host), name, input.to_owned());
    (did.take(), outcome)
}

/// Runs one operation of an entity; gives what it did, and its output and the new state.
pub(crate) fn operate(
    entry: Entry,
    operation: &str,
    input: &str,
    state: Option<&str>,
) -> (Vec<String>, Result<OperationOutcome>) {
    let host = ScriptedHost::default();
    let did = host.did.clone();
    let call = OperationCall {
        name: entry.name.to_owned(),
        key: "a".to_owned(),
        operation: operation.to_owned(),
        input: input.to_owned(),
        state: state.map(str::to_owned),
    };
    let outcome = app::run_entity_operation(&[entry], Box::new(host), call);
    (did.take(), outcome)
}

/// What only some apps do, as a line.
fn line(seen: &Seen) -> String {
    match seen {
        Seen::CallEntity { entity, operation, input } => format!("call {entity} {operation}({input})"),
        Seen::CallHttp { request } => format!("http {request}"),
        Seen::LockEntities { entities } => {
            format!("lock {}", entities.iter().map(EntityId::to_string).collect::<Vec<_>>().join(" "))
        }
        Seen::UnlockEntities => "unlock".to_owned(),
        Seen::SignalEntity { entity, operation, input, deliver_at } => {
            let at = deliver_at.map(|at| format!(" at {} ms", at.as_millis()));
            format!("signal {entity} {operation}({input}){}", at.unwrap_or_default())
        }
        other => unreachable!("{other:?} comes another way"),
    }
}

#[derive(Default)]
struct ScriptedHost {
    script: RefCell<VecDeque<Batch>>,
    outcomes: RefCell<BTreeMap<TaskId, Result<String>>>,
    scheduled: Cell<TaskId>,
    drawn: Cell<u8>,
    did: Rc<RefCell<Vec<String>>>,
}

impl ScriptedHost {
    fn note(&self, line: String) {
        self.did.borrow_mut().push(line);
    }
}

impl Host for ScriptedHost {
    fn schedule(&self, work: &Work) -> TaskId {
        let task = self.scheduled.get() + 1;
        self.scheduled.set(task);
        self.note(match work {
            Work::CallActivity { name, input, retry } => {
                let retry = retry.as_ref().map(|retry| format!(" up to {} times", retry.max_attempts));
                format!("{task}: call {name}({input}){}", retry.unwrap_or_default())
            }
            Work::CallSubOrchestrator { name, input, instance_id, version, .. } => {
                let id = instance_id.as_ref().map(|id| format!(" as {id}"));
                let version = version.as_ref().map(|version| format!(" on {version}"));
                format!("{task}: orchestrate {name}({input}){}{}", id.unwrap_or_default(), version.unwrap_or_default())
            }
            Work::CreateTimer { fire_at } => format!("{task}: timer at {} ms", fire_at.as_millis()),
            Work::WaitForExternalEvent { name } => format!("{task}: event {name}"),
            Work::Other(work) => format!("{task}: {}", line(&work.seen())),
        });
        task
    }

    fn wait(&self, pending: &[TaskId]) -> Vec<TaskId> {
        self.note(format!("wait for {pending:?}"));
        let batch = self.script.borrow_mut().pop_front().expect("the script says how this wait ends");
        let mut completed = Vec::new();
        for (task, outcome) in batch {
            assert!(pending.contains(&task), "the script completes a task that nobody waits for");
            self.outcomes.borrow_mut().insert(task, outcome.map(str::to_owned));
            completed.push(task);
        }
        completed
    }

    fn outcome(&self, task: TaskId) -> Option<Result<String>> {
        self.outcomes.borrow().get(&task).cloned()
    }

    fn cancel(&self, task: TaskId) -> bool {
        let mut outcomes = self.outcomes.borrow_mut();
        let is_pending = !outcomes.contains_key(&task);
        if is_pending {
            outcomes.insert(task, Err(Failure::new("Canceled", "canceled")));
            self.note(format!("cancel {task}"));
        }
        is_pending
    }

    fn release(&self, task: TaskId) {
        self.outcomes.borrow_mut().remove(&task);
    }

    fn perform(&self, effect: &dyn Perform) {
        self.note(line(&effect.seen()));
    }

    fn start_orchestration(&self, name: &str, input: &str, instance_id: Option<&str>) -> String {
        self.note(format!("start {name}({input})"));
        instance_id.unwrap_or("derived").to_owned()
    }

    fn send_event(&self, instance_id: &str, name: &str, data: &str) {
        self.note(format!("send {name}({data}) to {instance_id}"));
    }

    fn continue_as_new(&self, input: &str) {
        self.note(format!("continue as new({input})"));
    }

    fn set_custom_status(&self, status: &str) {
        self.note(format!("status {status}"));
    }

    fn instance_id(&self) -> String {
        "me".to_owned()
    }

    fn execution_id(&self) -> String {
        "execution".to_owned()
    }

    fn parent(&self) -> Option<Parent> {
        None
    }

    fn version(&self) -> String {
        String::new()
    }

    fn current_time(&self) -> Timestamp {
        Timestamp::from_millis(1_000)
    }

    fn new_guid(&self) -> String {
        "guid".to_owned()
    }

    fn random_bytes(&self, length: u32) -> Vec<u8> {
        assert!(length <= 65_536, "the contract allows no more at a time");
        self.drawn.set(self.drawn.get() + 1);
        vec![self.drawn.get(); length as usize]
    }

    fn is_replaying(&self) -> bool {
        false
    }

    fn log(&self, level: Level, message: &str) {
        self.note(format!("{level}: {message}"));
    }
}
