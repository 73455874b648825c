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

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use uuid::Uuid;

use crate::commit::Timer;
use crate::event::Outcome;
use crate::id::fold;
use crate::random::RandomStream;
use crate::retry::RetryPolicy;
use crate::{Event, ExecutionId, Failure, FunctionName, InstanceId, Parent, Payload, Seq, Timestamp};

mod fault;
mod limits;
mod recorded;

pub use fault::{Divergence, Fault};
pub use limits::{Limits, check_payload};
pub use recorded::{RecordedAction, RecordedTurn};

/// What an execution is told at its start and never changes.
#[derive(Debug, Clone)]
pub struct Context {
    pub instance: InstanceId,
    pub execution: ExecutionId,
    pub name: FunctionName,
    pub input: Payload,
    pub version_label: String,
    pub parent: Option<Parent>,
}

/// A guest's handle of something that completes once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskId(pub u32);

/// How a task ended: its output, or why it has none.
pub type TaskOutcome = Result<Payload, Failure>;

/// The guest must not go on: why is kept in the execution ([`Execution::fault`]). The caller traps the guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the host has stopped this orchestrator")]
pub struct Stopped;

/// How much a log line matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogLevel {
    Trace,
    Debug,
    Info,
    Warn,
    Error,
}

/// A line that the guest logged in a live turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    pub level: LogLevel,
    pub message: String,
}

/// What a live turn did.
#[derive(Debug, Default, PartialEq)]
pub struct TurnEffects {
    pub actions: Vec<Event>,
    pub timers_cleared: Vec<Timer>,
    pub activities_cleared: Vec<Seq>,
    pub logs: Vec<LogLine>,
}

#[derive(Debug)]
enum Work {
    Call(Call),
    Timer {
        seq: Seq,
    },
    /// `event` is what it was served with.
    ExternalEvent {
        folded_name: String,
        event: Option<Unread>,
    },
}

/// A call of an activity or a sub-orchestration, with what it takes to try it again.
#[derive(Debug)]
struct Call {
    target: Target,
    retry: Option<Box<Retry>>,
}

#[derive(Debug, Clone)]
enum Target {
    Activity { name: FunctionName, input: Payload },
    SubOrchestration { name: FunctionName, input: Payload, instance: Option<InstanceId> },
}

#[derive(Debug)]
struct Retry {
    policy: RetryPolicy,
    attempt: u32,
    first_started: Timestamp,
}

#[derive(Debug)]
struct Task {
    work: Work,
    /// Set once, with the rank of its completion among all completions of the execution.
    done: Option<(u64, TaskOutcome)>,
    /// The guest blocks on it.
    awaited: bool,
    /// The guest has seen how it ended.
    read: bool,
}

/// The unread events of one name, and the waits for it.
#[derive(Debug, Default)]
struct Channel {
    unread: VecDeque<Unread>,
    waits: VecDeque<TaskId>,
}

#[derive(Debug)]
struct Unread {
    /// Order of arrival over all names.
    rank: u64,
    name: String,
    data: Payload,
}

/// Where a turn's actions go.
#[derive(Debug)]
enum Mode {
    Live { actions: Vec<Event> },
    Replay { recorded: VecDeque<RecordedAction>, end_position: usize },
}

/// See the module's documentation.
#[derive(Debug)]
pub struct Execution {
    context: Context,
    limits: Limits,
    mode: Mode,
    turn: u32,
    now: Timestamp,
    /// Actions of this turn, and the bytes of their payloads: counted on replay too, so that it meets the same limit.
    taken: usize,
    taken_bytes: usize,
    suspended: bool,
    tasks: Vec<Task>,
    /// Which task an action belongs to, by its sequence number. None: nobody waits for it.
    owners: Vec<Option<TaskId>>,
    channels: HashMap<String, Channel>,
    waiting: Vec<TaskId>,
    /// Something that the guest blocks on has completed, or it has not begun.
    runnable: bool,
    completions: u64,
    arrivals: u64,
    open_timers: BTreeMap<Seq, Timestamp>,
    open_activities: BTreeSet<Seq>,
    open_children: BTreeSet<Seq>,
    timers_cleared: Vec<Timer>,
    activities_cleared: Vec<Seq>,
    custom_status: Option<Payload>,
    continue_as_new: Option<Payload>,
    logs: Vec<LogLine>,
    log_bytes: usize,
    guids: u32,
    random: RandomStream,
    fault: Option<Fault>,
}

impl Execution {
    pub fn new(context: Context, limits: Limits) -> Self {
        Self {
            random: RandomStream::new(context.execution, "random"),
            context,
            limits,
            mode: Mode::Live { actions: Vec::new() },
            turn: 0,
            now: Timestamp(0),
            taken: 0,
            taken_bytes: 0,
            suspended: false,
            tasks: Vec::new(),
            owners: Vec::new(),
            channels: HashMap::new(),
            waiting: Vec::new(),
            runnable: true,
            completions: 0,
            arrivals: 0,
            open_timers: BTreeMap::new(),
            open_activities: BTreeSet::new(),
            open_children: BTreeSet::new(),
            timers_cleared: Vec::new(),
            activities_cleared: Vec::new(),
            custom_status: None,
            continue_as_new: None,
            logs: Vec::new(),
            log_bytes: 0,
            guids: 0,
            fault: None,
        }
    }
}

/// The turn's side.
impl Execution {
    /// Begins a turn whose actions are collected.
    pub fn begin_live_turn(&mut self, now: Timestamp) {
        self.begin_turn(now, Mode::Live { actions: Vec::new() });
    }

    /// Begins a turn whose actions are compared with those recorded. `end_position` is where the turn ends in history.
    pub fn begin_replayed_turn(&mut self, now: Timestamp, recorded: VecDeque<RecordedAction>, end_position: usize) {
        self.begin_turn(now, Mode::Replay { recorded, end_position });
    }

    fn begin_turn(&mut self, now: Timestamp, mode: Mode) {
        self.mode = mode;
        self.now = now;
        self.turn += 1;
        self.taken = 0;
        self.taken_bytes = 0;
        self.timers_cleared.clear();
        self.activities_cleared.clear();
        self.log_bytes = 0;
    }

    /// Whether this event concerns the execution. One that does not (a result that came twice, a timer that was
    /// cancelled) must be neither recorded nor applied.
    pub fn expects(&self, event: &Event) -> bool {
        match event {
            Event::TaskCompleted { seq, .. } | Event::TaskFailed { seq, .. } => self.open_activities.contains(seq),
            Event::SubOrchestrationInstanceCompleted { seq, .. } | Event::SubOrchestrationInstanceFailed { seq, .. } => {
                self.open_children.contains(seq)
            }
            Event::TimerFired { seq, .. } => self.open_timers.contains_key(seq),
            Event::ExecutionSuspended { .. } => !self.suspended,
            Event::ExecutionResumed { .. } => self.suspended,
            Event::ExecutionStarted { .. } => self.turn <= 1,
            Event::EventRaised { .. } | Event::ExecutionTerminated { .. } => true,
            Event::OrchestratorStarted
            | Event::TaskScheduled { .. }
            | Event::SubOrchestrationInstanceCreated { .. }
            | Event::TimerCreated { .. }
            | Event::EventSent { .. }
            | Event::ExecutionCompleted { .. } => false,
        }
    }

    /// Takes in one message. The same for replay and live.
    pub fn apply(&mut self, event: &Event) {
        match event {
            Event::TaskCompleted { seq, result } => {
                self.close_activity(*seq);
                self.complete_call(*seq, Ok(result.clone()));
            }
            Event::TaskFailed { seq, failure } => {
                self.close_activity(*seq);
                self.complete_call(*seq, Err(failure.clone()));
            }
            Event::SubOrchestrationInstanceCompleted { seq, result } => {
                self.open_children.remove(seq);
                self.complete_call(*seq, Ok(result.clone()));
            }
            Event::SubOrchestrationInstanceFailed { seq, failure } => {
                self.open_children.remove(seq);
                self.complete_call(*seq, Err(failure.clone()));
            }
            Event::TimerFired { seq, .. } => self.fire_timer(*seq),
            Event::EventRaised { name, data } => self.raise(name, data),
            Event::ExecutionSuspended { .. } => self.suspended = true,
            Event::ExecutionResumed { .. } => self.suspended = false,
            Event::OrchestratorStarted
            | Event::ExecutionStarted { .. }
            | Event::ExecutionTerminated { .. }
            | Event::TaskScheduled { .. }
            | Event::SubOrchestrationInstanceCreated { .. }
            | Event::TimerCreated { .. }
            | Event::EventSent { .. }
            | Event::ExecutionCompleted { .. } => {}
        }
    }

    fn close_activity(&mut self, seq: Seq) {
        if self.open_activities.remove(&seq) {
            self.activities_cleared.push(seq);
        }
    }

    fn clear_timer(&mut self, seq: Seq) {
        if let Some(fire_at) = self.open_timers.remove(&seq) {
            self.timers_cleared.push(Timer { fire_at, seq });
        }
    }

    fn owner(&self, seq: Seq) -> Option<TaskId> {
        self.owners.get(seq.0 as usize).copied().flatten()
    }

    /// An attempt of a call has ended: the call is complete, unless its policy says to try again.
    fn complete_call(&mut self, seq: Seq, outcome: TaskOutcome) {
        let Some(id) = self.owner(seq) else { return };
        if let Err(failure) = &outcome
            && let Work::Call(Call { retry: Some(retry), .. }) = &self.tasks[id.0 as usize].work
            && let Some(fire_at) = retry.policy.next_attempt(retry.attempt, retry.first_started, self.now, failure)
        {
            // A fault here is found by whoever ends the turn.
            let _ = self.take_timer(fire_at, id);
            return;
        }
        self.complete(id, outcome);
    }

    fn fire_timer(&mut self, seq: Seq) {
        self.clear_timer(seq);
        let Some(id) = self.owner(seq) else { return };
        match &mut self.tasks[id.0 as usize].work {
            Work::Timer { .. } => self.complete(id, Ok("null".into())),
            Work::Call(call) => {
                let retry = call.retry.as_mut().expect("only a call with a retry policy owns a timer");
                retry.attempt += 1;
                let (attempt, target) = (retry.attempt, call.target.clone());
                let _ = self.take_call(&target, attempt, id);
            }
            Work::ExternalEvent { .. } => {}
        }
    }

    fn raise(&mut self, name: &str, data: &Payload) {
        let rank = self.arrivals;
        self.arrivals += 1;
        let event = Unread { rank, name: name.into(), data: data.clone() };
        let channel = self.channels.entry(fold(name)).or_default();
        match channel.waits.pop_front() {
            Some(id) => self.serve(id, event),
            None => channel.unread.push_back(event),
        }
    }

    fn complete(&mut self, id: TaskId, outcome: TaskOutcome) {
        let task = &mut self.tasks[id.0 as usize];
        if task.done.is_some() {
            return;
        }
        task.done = Some((self.completions, outcome));
        self.completions += 1;
        self.runnable |= task.awaited;
    }

    /// Whether the guest has something to go on with.
    pub fn is_runnable(&self) -> bool {
        self.runnable && !self.suspended
    }

    pub fn is_suspended(&self) -> bool {
        self.suspended
    }

    /// Why the guest was stopped. Asked after each resume, and before what the guest itself says is believed.
    pub fn fault(&self) -> Option<&Fault> {
        self.fault.as_ref()
    }

    /// Records how the execution ends after its function has returned. What the guest made is checked here, where it
    /// enters. Open timers are given up: an orchestration is complete when its function has returned. Activities that
    /// it did not wait for still run, unless it continues as new.
    pub fn finish(&mut self, result: TaskOutcome) -> Outcome {
        let outcome = match (result, self.continue_as_new.take()) {
            (Ok(_), Some(input)) => Outcome::ContinuedAsNew { input },
            (Ok(output), None) => match check_payload("the output", &output, &self.limits, Failure::INVALID_OUTPUT) {
                Ok(()) => Outcome::Completed(output),
                Err(failure) => Outcome::Failed(failure),
            },
            (Err(failure), _) => Outcome::Failed(failure),
        };
        if matches!(outcome, Outcome::ContinuedAsNew { .. }) {
            self.clear_activities();
        }
        self.end(outcome.clone());
        outcome
    }

    /// Records an end that the guest did not choose: a limit, a termination. Nothing of it runs on.
    pub fn abort(&mut self, outcome: Outcome) {
        self.fault = None;
        self.clear_activities();
        self.end(outcome);
    }

    fn clear_activities(&mut self) {
        self.activities_cleared.extend(std::mem::take(&mut self.open_activities));
    }

    fn end(&mut self, outcome: Outcome) {
        // Refused only by a divergence, which the caller finds as the fault.
        let _ = self.take(Event::ExecutionCompleted { outcome });
        let open = std::mem::take(&mut self.open_timers);
        self.timers_cleared.extend(open.into_iter().map(|(seq, fire_at)| Timer { fire_at, seq }));
        self.open_children.clear();
    }

    /// Ends a live turn and hands over what it did.
    pub fn end_live_turn(&mut self) -> TurnEffects {
        let Mode::Live { actions } = &mut self.mode else { return TurnEffects::default() };
        TurnEffects {
            actions: std::mem::take(actions),
            timers_cleared: std::mem::take(&mut self.timers_cleared),
            activities_cleared: std::mem::take(&mut self.activities_cleared),
            logs: std::mem::take(&mut self.logs),
        }
    }

    /// Ends a replayed turn: every recorded action must have been taken, otherwise the execution has a fault.
    pub fn end_replayed_turn(&mut self) {
        let Mode::Replay { recorded, .. } = &mut self.mode else { return };
        if let Some(RecordedAction { position, event }) = recorded.pop_front() {
            self.fault.get_or_insert(Fault::Diverged(Divergence { position, recorded: Some(event), attempted: None }));
        }
    }

    /// The events that the guest never read, in the order in which they arrived: continue-as-new takes them along.
    pub fn take_unread(&mut self) -> Vec<Event> {
        let served = self.tasks.iter_mut().filter(|task| !task.read).filter_map(|task| match &mut task.work {
            Work::ExternalEvent { event, .. } => event.take(),
            Work::Call(_) | Work::Timer { .. } => None,
        });
        let mut unread: Vec<Unread> = served.collect();
        unread.extend(self.channels.drain().flat_map(|(_, channel)| channel.unread));
        unread.sort_by_key(|event| event.rank);
        unread.into_iter().map(|event| Event::EventRaised { name: event.name, data: event.data }).collect()
    }

    pub fn custom_status(&self) -> Option<&Payload> {
        self.custom_status.as_ref()
    }

    /// Counts turns from 1. An executor that resets a budget per turn compares it.
    pub fn turn(&self) -> u32 {
        self.turn
    }
}

/// The guest's side. Every method that can be misused returns [`Stopped`], upon which the caller traps the guest.
impl Execution {
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// The time of the turn. It stands still between waits.
    pub fn current_time(&self) -> Timestamp {
        self.now
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

    pub fn call_activity(&mut self, name: &str, input: Payload, retry: Option<RetryPolicy>) -> Result<TaskId, Stopped> {
        let name = self.check_name(name)?;
        self.check("the input of an activity", &input)?;
        self.call(Target::Activity { name, input }, retry)
    }

    pub fn call_sub_orchestrator(
        &mut self,
        name: &str,
        input: Payload,
        instance: Option<&str>,
        retry: Option<RetryPolicy>,
    ) -> Result<TaskId, Stopped> {
        let name = self.check_name(name)?;
        self.check("the input of a sub-orchestration", &input)?;
        let instance = self.check_instance(instance)?;
        self.call(Target::SubOrchestration { name, input, instance }, retry)
    }

    fn call(&mut self, target: Target, retry: Option<RetryPolicy>) -> Result<TaskId, Stopped> {
        let retry = retry.map(|policy| Box::new(Retry { policy, attempt: 1, first_started: self.now }));
        let id = self.add_task(Work::Call(Call { target: target.clone(), retry }))?;
        self.take_call(&target, 1, id)?;
        Ok(id)
    }

    pub fn create_timer(&mut self, fire_at: Timestamp) -> Result<TaskId, Stopped> {
        let id = self.add_task(Work::Timer { seq: self.next_seq() })?;
        self.take_timer(fire_at, id)?;
        Ok(id)
    }

    pub fn wait_for_external_event(&mut self, name: &str) -> Result<TaskId, Stopped> {
        if name.is_empty() {
            return Err(self.fail("an external event must have a name"));
        }
        let folded_name = fold(name);
        let id = self.add_task(Work::ExternalEvent { folded_name: folded_name.clone(), event: None })?;
        let channel = self.channels.entry(folded_name).or_default();
        match channel.unread.pop_front() {
            Some(event) => self.serve(id, event),
            None => channel.waits.push_back(id),
        }
        Ok(id)
    }

    /// Returns the id of the instance that will run.
    pub fn start_orchestration(&mut self, name: &str, input: Payload, instance: Option<&str>) -> Result<InstanceId, Stopped> {
        let name = self.check_name(name)?;
        self.check("the input of an orchestration", &input)?;
        let seq = self.next_seq();
        let instance = self.check_instance(instance)?.unwrap_or_else(|| InstanceId::of_child(self.context.execution, seq));
        self.take_numbered(
            None,
            Event::SubOrchestrationInstanceCreated { seq, name, instance: instance.clone(), input, detached: true },
        )?;
        Ok(instance)
    }

    pub fn send_event(&mut self, instance: &str, name: &str, data: Payload) -> Result<(), Stopped> {
        self.check("the data of an event", &data)?;
        if name.is_empty() {
            return Err(self.fail("an external event must have a name"));
        }
        let instance =
            InstanceId::any(instance).map_err(|why| self.fail(&format!("'{instance}' is not an instance id: {why}")))?;
        let seq = self.next_seq();
        self.take_numbered(None, Event::EventSent { seq, instance, name: name.into(), data })
    }

    pub fn continue_as_new(&mut self, input: Payload) -> Result<(), Stopped> {
        self.check("the input of continue-as-new", &input)?;
        self.continue_as_new = Some(input);
        Ok(())
    }

    pub fn set_custom_status(&mut self, status: Payload) -> Result<(), Stopped> {
        let max = self.limits.custom_status_bytes;
        if status.len() > max {
            let message = format!("the custom status has {} bytes, {max} are allowed", status.len());
            return Err(self.stop(Failure::permanent(Failure::LIMIT_EXCEEDED, message)));
        }
        self.check("the custom status", &status)?;
        self.custom_status = Some(status);
        Ok(())
    }

    /// Keeps a line until the turn is committed; a replayed line was written already.
    pub fn log(&mut self, level: LogLevel, message: &str) {
        if self.is_replaying() || self.log_bytes > self.limits.log_bytes_per_turn {
            return;
        }
        self.log_bytes += message.len() + 1;
        let (level, message) = if self.log_bytes > self.limits.log_bytes_per_turn {
            (LogLevel::Warn, format!("log lines dropped: more than {} bytes in one turn", self.limits.log_bytes_per_turn))
        } else {
            (level, message.to_owned())
        };
        self.logs.push(LogLine { level, message });
    }

    /// Which of the tasks have completed, as indexes into `tasks` in the order of completion. Empty: the guest blocks
    /// until the next [`crate::Guest::resume`], and then asks again.
    pub fn wait(&mut self, tasks: &[TaskId]) -> Result<Vec<u32>, Stopped> {
        if tasks.is_empty() {
            return Err(self.fail("it waits on nothing: the list of tasks is empty"));
        }
        for id in std::mem::take(&mut self.waiting) {
            self.tasks[id.0 as usize].awaited = false;
        }
        let mut done: Vec<(u64, u32)> = Vec::new();
        for (index, id) in tasks.iter().enumerate() {
            if let Some((rank, _)) = &self.tasks[id.0 as usize].done {
                done.push((*rank, index as u32));
            }
        }
        self.runnable = false;
        if done.is_empty() {
            for id in tasks {
                self.tasks[id.0 as usize].awaited = true;
            }
            self.waiting.extend_from_slice(tasks);
        }
        done.sort_unstable();
        Ok(done.into_iter().map(|(_, index)| index).collect())
    }

    pub fn outcome(&mut self, task: TaskId) -> Option<&TaskOutcome> {
        let task = &mut self.tasks[task.0 as usize];
        task.read |= task.done.is_some();
        task.done.as_ref().map(|(_, outcome)| outcome)
    }

    /// Gives up a timer or a wait for an event. An event that was handed to the wait and that the guest has not read goes
    /// back to where it was, for the next wait. False, and nothing done, for anything else and for what has completed.
    pub fn cancel(&mut self, task: TaskId) -> bool {
        let entry = &mut self.tasks[task.0 as usize];
        let canceled = Err(Failure::permanent(Failure::CANCELED, "it was cancelled"));
        match (&entry.work, &mut entry.done) {
            (Work::ExternalEvent { event: Some(_), .. }, Some((_, outcome))) if !entry.read && outcome.is_ok() => {
                *outcome = canceled;
                self.put_back(task);
                return true;
            }
            (_, Some(_)) | (Work::Call(_), None) => return false,
            (Work::Timer { seq }, None) => {
                let seq = *seq;
                self.clear_timer(seq);
            }
            (Work::ExternalEvent { folded_name, .. }, None) => {
                if let Some(channel) = self.channels.get_mut(folded_name) {
                    channel.waits.retain(|&waiting| waiting != task);
                }
            }
        }
        self.complete(task, canceled);
        true
    }

    /// Gives the event that a wait was served with to the next wait, or back to the front of the unread ones.
    fn put_back(&mut self, task: TaskId) {
        let Work::ExternalEvent { folded_name, event } = &mut self.tasks[task.0 as usize].work else { return };
        let (Some(event), channel) = (event.take(), self.channels.entry(folded_name.clone()).or_default()) else { return };
        match channel.waits.pop_front() {
            Some(next) => self.serve(next, event),
            None => channel.unread.push_front(event),
        }
    }

    /// Completes a wait with an event.
    fn serve(&mut self, wait: TaskId, served: Unread) {
        let data = served.data.clone();
        if let Work::ExternalEvent { event, .. } = &mut self.tasks[wait.0 as usize].work {
            *event = Some(served);
        }
        self.complete(wait, Ok(data));
    }
}

/// Actions.
impl Execution {
    fn next_seq(&self) -> Seq {
        Seq(self.owners.len() as u32)
    }

    fn add_task(&mut self, work: Work) -> Result<TaskId, Stopped> {
        if self.tasks.len() >= self.limits.tasks {
            let message = format!("more than {} tasks in one execution: use continue-as-new", self.limits.tasks);
            return Err(self.stop(Failure::permanent(Failure::LIMIT_EXCEEDED, message)));
        }
        self.tasks.push(Task { work, done: None, awaited: false, read: false });
        Ok(TaskId(self.tasks.len() as u32 - 1))
    }

    fn take_timer(&mut self, fire_at: Timestamp, owner: TaskId) -> Result<(), Stopped> {
        let seq = self.next_seq();
        self.take_numbered(Some(owner), Event::TimerCreated { seq, fire_at })?;
        self.open_timers.insert(seq, fire_at);
        Ok(())
    }

    fn take_call(&mut self, target: &Target, attempt: u32, owner: TaskId) -> Result<(), Stopped> {
        let seq = self.next_seq();
        match target.clone() {
            Target::Activity { name, input } => {
                self.take_numbered(Some(owner), Event::TaskScheduled { seq, name, input, attempt })?;
                self.open_activities.insert(seq);
            }
            Target::SubOrchestration { name, input, instance } => {
                let instance = instance.unwrap_or_else(|| InstanceId::of_child(self.context.execution, seq));
                self.take_numbered(
                    Some(owner),
                    Event::SubOrchestrationInstanceCreated { seq, name, instance, input, detached: false },
                )?;
                self.open_children.insert(seq);
            }
        }
        Ok(())
    }

    fn take_numbered(&mut self, owner: Option<TaskId>, action: Event) -> Result<(), Stopped> {
        self.owners.push(owner);
        self.take(action)
    }

    /// Every action goes through here: collected in a live turn, compared in a replayed one.
    fn take(&mut self, action: Event) -> Result<(), Stopped> {
        if self.fault.is_some() {
            return Err(Stopped);
        }
        self.count(&action)?;
        match &mut self.mode {
            Mode::Live { actions } => {
                actions.push(action);
                Ok(())
            }
            Mode::Replay { recorded, end_position } => {
                let (position, recorded) = match recorded.pop_front() {
                    Some(next) if next.event == action => return Ok(()),
                    Some(next) => (next.position, Some(next.event)),
                    None => (*end_position, None),
                };
                self.fault = Some(Fault::Diverged(Divergence { position, recorded, attempted: Some(action) }));
                Err(Stopped)
            }
        }
    }

    /// Holds an action against the limits of a turn. The end of the execution is never refused: limits lead to it.
    fn count(&mut self, action: &Event) -> Result<(), Stopped> {
        self.taken += 1;
        self.taken_bytes += payload_bytes(action);
        let Limits { actions_per_turn, action_bytes_per_turn, .. } = self.limits;
        let message = if matches!(action, Event::ExecutionCompleted { .. }) {
            return Ok(());
        } else if self.taken > actions_per_turn {
            format!("more than {actions_per_turn} actions in one turn")
        } else if self.taken_bytes > action_bytes_per_turn {
            format!("actions with more than {action_bytes_per_turn} bytes in one turn")
        } else {
            return Ok(());
        };
        Err(self.stop(Failure::permanent(Failure::LIMIT_EXCEEDED, message)))
    }

    fn check_name(&mut self, name: &str) -> Result<FunctionName, Stopped> {
        FunctionName::new(name).map_err(|why| self.fail(&format!("'{name}' is not a function name: {why}")))
    }

    fn check_instance(&mut self, id: Option<&str>) -> Result<Option<InstanceId>, Stopped> {
        let Some(id) = id else { return Ok(None) };
        let parsed = InstanceId::orchestration(id).map_err(|why| self.fail(&format!("'{id}' is not an instance id: {why}")))?;
        if parsed == self.context.instance || self.context.parent.as_ref().is_some_and(|parent| parent.instance == parsed) {
            return Err(self.fail(&format!("'{id}' is the id of this instance or its parent: a child needs another")));
        }
        Ok(Some(parsed))
    }

    fn check(&mut self, what: &str, payload: &Payload) -> Result<(), Stopped> {
        check_payload(what, payload, &self.limits, "InvalidArgument").map_err(|failure| self.stop(failure))
    }

    fn fail(&mut self, message: &str) -> Stopped {
        self.stop(Failure::permanent("InvalidArgument", message))
    }

    fn stop(&mut self, failure: Failure) -> Stopped {
        self.fault.get_or_insert(Fault::Failed(failure));
        Stopped
    }
}

fn payload_bytes(action: &Event) -> usize {
    match action {
        Event::TaskScheduled { input, .. } | Event::SubOrchestrationInstanceCreated { input, .. } => input.len(),
        Event::EventSent { data, .. } => data.len(),
        Event::OrchestratorStarted
        | Event::ExecutionStarted { .. }
        | Event::TaskCompleted { .. }
        | Event::TaskFailed { .. }
        | Event::SubOrchestrationInstanceCompleted { .. }
        | Event::SubOrchestrationInstanceFailed { .. }
        | Event::TimerFired { .. }
        | Event::EventRaised { .. }
        | Event::ExecutionSuspended { .. }
        | Event::ExecutionResumed { .. }
        | Event::ExecutionTerminated { .. }
        | Event::TimerCreated { .. }
        | Event::ExecutionCompleted { .. } => 0,
    }
}
