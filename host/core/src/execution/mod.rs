//! One execution of an orchestrator: what the guest sees, and the state machine behind it.
//!
//! ```text
//!             begin_turn(now, recorded)   apply(event)*            end_turn() -> actions
//!   turn  ───────────────────────────────────────────────────────────────────────▶
//!   guest                                    call, create_timer, wait, outcome, ...
//! ```
//!
//! There is one [`Execution::apply`], for replay and live, and one `Execution::take` through which every action of
//! the guest goes: in a live turn it is collected, in a replayed turn it is compared with what history recorded.
//! All messages of a turn are applied before the guest is resumed, so a turn resumes its guest once.
//!
//! - The turn's side: `lifecycle` (turns and the end), `messages` (what arrives), `recorded`, `open`.
//! - The guest's side: `calls`, `channels` (external events), `entities` (operations and locks), `http`, `tasks` (waiting
//!   for all of these).
//! - Between them: `actions`.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use uuid::Uuid;

use crate::commit::{EventDelivery, Timer};
use crate::random::RandomStream;
use crate::{Event, ExecutionId, Failure, FunctionName, InstanceId, Parent, Payload, Seq, Timestamp};

mod actions;
pub mod arguments;
mod calls;
pub(crate) mod conditions;
mod entities;
mod external_events;
mod fault;
pub(crate) mod http;
mod lifecycle;
mod limits;
mod logs;
mod messages;
mod open;
mod recorded;
mod tasks;

use actions::Mode;
use external_events::Channel;
use tasks::Task;

pub use conditions::Conditions;
pub use fault::{Divergence, Fault, Shown};
pub use limits::{Limits, check_payload};
pub(crate) use logs::Logs;
pub use logs::{LogLevel, LogLine};
pub use open::{Lock, OpenWork};
pub use recorded::{RecordedAction, RecordedTurn};

/// The context of an execution: what it is given at its start and never changes.
#[derive(Debug, Clone)]
pub struct Context {
    pub instance: InstanceId,
    pub execution: ExecutionId,
    pub name: FunctionName,
    pub input: Payload,
    pub version_label: String,
    pub parent: Option<Parent>,
    pub event_delivery: EventDelivery,
}

/// A guest's handle of something that completes once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskId(pub u32);

/// How a task ended: its output, or why it has none.
pub type TaskOutcome = Result<Payload, Failure>;

/// The guest must not go on. The reason is in [`Execution::fault`]. The caller traps the guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the host has stopped this guest")]
pub struct Stopped;

/// The effects of a live turn.
#[derive(Debug, Default, PartialEq)]
pub struct TurnEffects {
    pub actions: Vec<Event>,
    pub timers_cleared: Vec<Timer>,
    pub activities_cleared: Vec<Seq>,
    pub logs: Vec<LogLine>,
    /// The lock that was requested or held when the turn began.
    pub lock_before: Option<Seq>,
}

/// See the module's documentation.
#[derive(Debug)]
pub struct Execution {
    context: Context,
    limits: Limits,
    /// The guest's conditions in this turn.
    conditions: Option<Arc<Conditions>>,
    /// No turn has recorded them yet.
    conditions_to_record: bool,
    mode: Mode,
    turn: u32,
    now: Timestamp,
    /// The number of events in the history, and in the turns before this one.
    events: usize,
    events_before: usize,
    /// Actions of this turn, and the bytes of their payloads.
    taken: usize,
    taken_bytes: usize,
    suspended: bool,
    tasks: Vec<Task>,
    /// The task that an action belongs to. None: no task waits for its result.
    owners: HashMap<Seq, TaskId>,
    channels: HashMap<String, Channel>,
    /// The tasks that the guest blocks on, if it gave a list.
    waiting: Vec<TaskId>,
    /// How many tasks are watched.
    watched: usize,
    /// Watched tasks that have completed and were not reported, by the rank of their completion.
    ready: BTreeMap<u64, TaskId>,
    /// Waits for events that became watched since the last wait.
    asking: BTreeSet<TaskId>,
    /// Something that the guest blocks on has completed, or it has not begun.
    runnable: bool,
    /// The last rank given to a completion or to the arrival of an event.
    ranks: u64,
    open: OpenWork,
    lock_before: Option<Seq>,
    timers_cleared: Vec<Timer>,
    activities_cleared: Vec<Seq>,
    custom_status: Option<Payload>,
    continue_as_new: Option<Payload>,
    logs: Logs,
    guids: u32,
    random: RandomStream,
    /// Fuel that the guest has spent since it was last taken.
    fuel: u64,
    /// Bytes of the payloads that it keeps, because the guest may read them again.
    payload_bytes: usize,
    fault: Option<Fault>,
}

impl Execution {
    pub fn new(context: Context, limits: Limits) -> Self {
        Self {
            random: RandomStream::new(context.execution, "random"),
            logs: Logs::new(limits.log_bytes_per_turn),
            context,
            limits,
            conditions: None,
            conditions_to_record: true,
            payload_bytes: 0,
            mode: Mode::Live { actions: Vec::new() },
            turn: 0,
            events: 0,
            events_before: 0,
            now: Timestamp(0),
            taken: 0,
            taken_bytes: 0,
            suspended: false,
            tasks: Vec::new(),
            owners: HashMap::new(),
            channels: HashMap::new(),
            waiting: Vec::new(),
            watched: 0,
            ready: BTreeMap::new(),
            asking: BTreeSet::new(),
            runnable: true,
            ranks: 0,
            open: OpenWork::default(),
            lock_before: None,
            timers_cleared: Vec::new(),
            activities_cleared: Vec::new(),
            custom_status: None,
            continue_as_new: None,
            guids: 0,
            fuel: 0,
            fault: None,
        }
    }

    pub fn context(&self) -> &Context {
        &self.context
    }

    /// The time of the turn. It stands still between waits.
    pub fn current_time(&self) -> Timestamp {
        self.now
    }

    /// The number of the turn, from 1. An executor compares it to reset its budget per turn.
    pub fn turn(&self) -> u32 {
        self.turn
    }

    /// The guest's conditions in this turn. None: they were not set, and the executor decides.
    pub fn conditions(&self) -> Option<&Arc<Conditions>> {
        self.conditions.as_ref()
    }

    pub fn is_replaying(&self) -> bool {
        matches!(self.mode, Mode::Replay { .. })
    }

    pub fn new_guid(&mut self) -> Uuid {
        self.guids += 1;
        self.context.execution.derive(&format!("guid:{}", self.guids))
    }

    pub fn random_bytes(&mut self, bytes: &mut [u8]) {
        self.random.fill(bytes);
    }

    /// Keeps a line until the turn is committed; a replayed line was written already.
    pub fn log(&mut self, level: LogLevel, message: &str) {
        if !self.is_replaying() {
            self.logs.push(level, message);
        }
    }

    /// Notes fuel that the guest has spent. Nothing that a guest can see depends on it.
    pub fn spend(&mut self, fuel: u64) {
        self.fuel = self.fuel.saturating_add(fuel);
    }

    pub(crate) fn take_fuel(&mut self) -> u64 {
        std::mem::take(&mut self.fuel)
    }

    pub fn custom_status(&self) -> Option<&Payload> {
        self.custom_status.as_ref()
    }

    /// Why the guest was stopped. Checked after each resume, before the result of the guest is used.
    pub fn fault(&self) -> Option<&Fault> {
        self.fault.as_ref()
    }
}
