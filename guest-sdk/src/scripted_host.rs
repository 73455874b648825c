//! A test double of the host that plays a script. The time does not advance while an orchestrator runs; when it waits, the time
//! jumps to the next event or outcome. It implements the contract's interface `orchestration`.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use crate::action::{Action, value};
use crate::failure::{Failure, Result};
use crate::host::{Host, Parent, Perform, TaskId, Work};
use crate::level::Level;
use crate::retry::RetryPolicy;
use crate::timestamp::Timestamp;

/// The state of the test double: the script, and the steps of the function that runs.
pub(crate) struct World {
    pub(crate) now: Timestamp,
    pub(crate) instance_id: String,
    pub(crate) version: String,
    pub(crate) parent: Option<Parent>,
    pub(crate) answers: BTreeMap<Callee, Answer>,
    /// How long granting a lock takes.
    pub(crate) lock_takes: Duration,
    pub(crate) steps: Vec<Step>,
    /// The events that no wait has, in the order in which they are raised.
    events: Vec<Event>,
    tasks: BTreeMap<TaskId, Task>,
    scheduled: TaskId,
    drawn: u64,
}

/// The callee that an answer is for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Callee {
    Activity(String),
    Orchestrator(String),
    /// By its name in lower case.
    Entity(String),
    Http,
}

pub(crate) struct Answer {
    pub(crate) give: Box<Give>,
    pub(crate) takes: Duration,
}

/// Computes the outcome of a call from its input, both as JSON.
pub(crate) type Give = dyn FnMut(&str) -> Result<String>;

pub(crate) struct Event {
    pub(crate) at: Timestamp,
    pub(crate) name: String,
    pub(crate) data: String,
}

/// A call of the host.
#[cfg_attr(not(test), expect(dead_code, reason = "only the tests of this crate look at tasks and waits"))]
pub(crate) enum Step {
    Scheduled(TaskId, Action),
    Did(Action),
    WaitedFor(Vec<TaskId>),
    Canceled(TaskId),
    Logged(Level, String),
}

enum Task {
    /// The outcome, and its time, are known when the task is scheduled.
    Ends {
        at: Timestamp,
        outcome: Result<String>,
        is_timer: bool,
    },
    WaitsFor(EventWait),
}

/// A wait holds its event while the guest asks for the wait, and permanently once it is claimed or read. See the contract.
struct EventWait {
    name: String,
    made: Timestamp,
    /// The wait completes in the same `wait` in which it gets an event.
    event: Option<Event>,
    /// Whether it was the first that a `wait` reported.
    is_claimed: bool,
    is_read: bool,
}

/// The host that the function calls.
struct ScriptedHost(Rc<RefCell<World>>);

impl World {
    pub(crate) fn new(now: Timestamp, instance_id: &str) -> Self {
        Self {
            now,
            instance_id: instance_id.to_owned(),
            version: String::new(),
            parent: None,
            answers: BTreeMap::new(),
            lock_takes: Duration::ZERO,
            steps: Vec::new(),
            events: Vec::new(),
            tasks: BTreeMap::new(),
            scheduled: 0,
            drawn: 0,
        }
    }

    /// Runs a function of an app on this host.
    pub(crate) fn play<T>(self, run: impl FnOnce(Box<dyn Host>) -> T) -> (Self, T) {
        let world = Rc::new(RefCell::new(self));
        let outcome = run(Box::new(ScriptedHost(world.clone())));
        (Rc::into_inner(world).expect("the run is over").into_inner(), outcome)
    }

    fn did(&mut self, action: Action) {
        self.steps.push(Step::Did(action));
    }

    fn schedule(&mut self, action: Action) -> TaskId {
        let task = match &action {
            Action::CallActivity { name, input, retry } => {
                self.call(Callee::Activity(name.clone()), &input.to_string(), retry.as_ref())
            }
            Action::CallSubOrchestrator { name, input, retry, .. } => {
                self.call(Callee::Orchestrator(name.clone()), &input.to_string(), retry.as_ref())
            }
            Action::CallEntity { entity, operation, input } => {
                let call = serde_json::json!([entity.key(), operation, input]);
                self.call(Callee::Entity(entity.name().to_owned()), &call.to_string(), None)
            }
            Action::CallHttp { request } => self.call(Callee::Http, &request.to_string(), None),
            Action::CreateTimer { fire_at } => {
                Task::Ends { at: self.now.max(*fire_at), outcome: Ok("null".to_owned()), is_timer: true }
            }
            Action::WaitForExternalEvent { name } => Task::WaitsFor(EventWait::new(name, self.now)),
            Action::LockEntities { .. } => {
                Task::Ends { at: self.now + self.lock_takes, outcome: Ok("null".to_owned()), is_timer: false }
            }
            other => unreachable!("{other:?} does not make a task"),
        };
        self.scheduled += 1;
        self.steps.push(Step::Scheduled(self.scheduled, action));
        self.tasks.insert(self.scheduled, task);
        self.scheduled
    }

    /// Plays a call with all its attempts.
    fn call(&mut self, callee: Callee, input: &str, retry: Option<&RetryPolicy>) -> Task {
        let Some(answer) = self.answers.get_mut(&callee) else { panic!("the script has no answer for {callee}") };
        let (mut at, mut attempt) = (self.now, 1);
        loop {
            at = at + answer.takes;
            let outcome = (answer.give)(input);
            let again = match (&outcome, retry) {
                (Err(failure), Some(policy)) => pause(policy, failure, attempt, at - self.now),
                _ => None,
            };
            match again {
                Some(pause) => at = at + pause,
                None => return Task::Ends { at, outcome, is_timer: false },
            }
            attempt += 1;
        }
    }

    pub(crate) fn raise(&mut self, event: Event) {
        let behind = self.events.partition_point(|other| other.at <= event.at);
        self.events.insert(behind, event);
    }

    /// Puts back an event that a wait got and the guest has not read, before events that were raised at the same time.
    fn put_back(&mut self, event: Event) {
        let before = self.events.partition_point(|other| other.at < event.at);
        self.events.insert(before, event);
    }

    /// Takes back unclaimed events from waits that are no longer asked for. Then the waits that are asked for get the events that
    /// have been raised by now, the oldest wait first.
    fn serve(&mut self, pending: &[TaskId]) {
        let unasked = self.tasks.iter_mut().rev().filter(|(id, _)| !pending.contains(id));
        let given_back: Vec<Event> = unasked.filter_map(|(_, task)| task.wait()?.give_back()).collect();
        given_back.into_iter().for_each(|event| self.put_back(event));
        for (_, task) in self.tasks.iter_mut().filter(|(id, _)| pending.contains(id)) {
            let Some(wait) = task.wait().filter(|wait| wait.event.is_none()) else { continue };
            let is_meant = |event: &Event| event.at <= self.now && event.name.eq_ignore_ascii_case(&wait.name);
            wait.event = self.events.iter().position(is_meant).map(|index| self.events.remove(index));
        }
    }

    fn wait(&mut self, pending: &[TaskId]) -> Vec<TaskId> {
        self.steps.push(Step::WaitedFor(pending.to_vec()));
        loop {
            self.serve(pending);
            let ended = pending.iter().filter_map(|id| Some((self.tasks[id].ended(self.now)?, *id)));
            let mut ended: Vec<(Timestamp, TaskId)> = ended.collect();
            ended.sort();
            if let Some((_, first)) = ended.first() {
                self.tasks.entry(*first).and_modify(Task::claim);
                return ended.into_iter().map(|(_, id)| id).collect();
            }
            let names: Vec<&str> = pending.iter().filter_map(|id| self.tasks[id].awaits()).collect();
            let is_awaited = |event: &&Event| names.iter().any(|name| event.name.eq_ignore_ascii_case(name));
            let events = self.events.iter().filter(is_awaited).map(|event| event.at);
            let ends = pending.iter().filter_map(|id| self.tasks[id].ends());
            match events.chain(ends).min() {
                Some(next) => self.now = next,
                None => panic!("the orchestrator waits for events that the script never raises: {}", names.join(", ")),
            }
        }
    }

    /// Cancels a task, but not calls or completed tasks. A wait whose event was not read can be canceled: the event is put back.
    fn cancel(&mut self, id: TaskId) -> bool {
        let task = self.tasks.get_mut(&id).expect("a task is canceled before it is released");
        let event = match task {
            Task::Ends { is_timer: true, at, .. } if *at > self.now => None,
            Task::WaitsFor(wait) if !wait.is_read => wait.event.take(),
            Task::Ends { .. } | Task::WaitsFor(_) => return false,
        };
        let canceled = Err(Failure::new("Canceled", "it was cancelled").not_retriable());
        *task = Task::Ends { at: self.now, outcome: canceled, is_timer: false };
        event.into_iter().for_each(|event| self.put_back(event));
        self.steps.push(Step::Canceled(id));
        true
    }

    fn outcome(&mut self, id: TaskId) -> Option<Result<String>> {
        match self.tasks.get_mut(&id)? {
            Task::Ends { at, outcome, .. } => Some(outcome.clone()).filter(|_| *at <= self.now),
            Task::WaitsFor(wait) => {
                wait.is_read |= wait.event.is_some();
                wait.event.as_ref().map(|event| Ok(event.data.clone()))
            }
        }
    }

    /// Returns a number that was not drawn before.
    fn draw(&mut self) -> u64 {
        self.drawn += 1;
        // Consecutive numbers, spread over all bits: the finalizer of splitmix64.
        let mut number = self.drawn.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        number ^ (number >> 31)
    }
}

impl EventWait {
    fn new(name: &str, made: Timestamp) -> Self {
        Self { name: name.to_owned(), made, event: None, is_claimed: false, is_read: false }
    }

    /// Gives up its event, unless that is claimed or read.
    fn give_back(&mut self) -> Option<Event> {
        if self.is_claimed || self.is_read { None } else { self.event.take() }
    }
}

impl Task {
    fn wait(&mut self) -> Option<&mut EventWait> {
        match self {
            Task::WaitsFor(wait) => Some(wait),
            Task::Ends { .. } => None,
        }
    }

    fn claim(&mut self) {
        if let Some(wait) = self.wait() {
            wait.is_claimed = true;
        }
    }

    /// The time when it ends, if that is known.
    fn ends(&self) -> Option<Timestamp> {
        match self {
            Task::Ends { at, .. } => Some(*at),
            Task::WaitsFor(_) => None,
        }
    }

    /// The time when it ended, if it has ended by now.
    fn ended(&self, now: Timestamp) -> Option<Timestamp> {
        match self {
            Task::Ends { at, .. } => Some(*at).filter(|at| *at <= now),
            Task::WaitsFor(wait) => wait.event.as_ref().map(|event| event.at.max(wait.made)),
        }
    }

    /// The name of the event that it waits for.
    fn awaits(&self) -> Option<&str> {
        match self {
            Task::WaitsFor(wait) => Some(&wait.name),
            Task::Ends { .. } => None,
        }
    }
}

/// The pause before the next attempt; none if there is no further attempt.
fn pause(policy: &RetryPolicy, failure: &Failure, attempt: u32, elapsed: Duration) -> Option<Duration> {
    let is_final = !failure.retriable || policy.non_retriable_error_types.contains(&failure.error_type);
    if is_final || attempt >= policy.max_attempts {
        return None;
    }
    let factor = policy.backoff_coefficient.powi(i32::try_from(attempt - 1).unwrap_or(i32::MAX));
    let pause = Duration::try_from_secs_f64(policy.first_interval.as_secs_f64() * factor).unwrap_or(Duration::MAX);
    let pause = policy.max_interval.map_or(pause, |max| pause.min(max));
    match policy.timeout {
        Some(timeout) if elapsed.saturating_add(pause) >= timeout => None,
        _ => Some(pause),
    }
}

impl std::fmt::Display for Callee {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Callee::Activity(name) => write!(f, "the activity `{name}`"),
            Callee::Orchestrator(name) => write!(f, "the sub-orchestration `{name}`"),
            Callee::Entity(name) => write!(f, "the entity `{name}`"),
            Callee::Http => f.write_str("an HTTP request"),
        }
    }
}

impl Host for ScriptedHost {
    fn schedule(&self, work: &Work) -> TaskId {
        let action = match work {
            Work::CallActivity { name, input, retry } => {
                Action::CallActivity { name: name.clone(), input: value(input), retry: retry.clone() }
            }
            Work::CallSubOrchestrator { name, input, instance_id, version, retry } => Action::CallSubOrchestrator {
                name: name.clone(),
                input: value(input),
                instance_id: instance_id.clone(),
                version: version.clone(),
                retry: retry.clone(),
            },
            Work::CreateTimer { fire_at } => Action::CreateTimer { fire_at: *fire_at },
            Work::WaitForExternalEvent { name } => Action::WaitForExternalEvent { name: name.clone() },
            Work::Other(work) => work.seen(),
        };
        self.0.borrow_mut().schedule(action)
    }

    fn wait(&self, pending: &[TaskId]) -> Vec<TaskId> {
        self.0.borrow_mut().wait(pending)
    }

    fn outcome(&self, task: TaskId) -> Option<Result<String>> {
        self.0.borrow_mut().outcome(task)
    }

    fn cancel(&self, task: TaskId) -> bool {
        self.0.borrow_mut().cancel(task)
    }

    fn release(&self, task: TaskId) {
        self.0.borrow_mut().tasks.remove(&task);
    }

    fn perform(&self, effect: &dyn Perform) {
        self.0.borrow_mut().did(effect.seen());
    }

    fn start_orchestration(&self, name: &str, input: &str, instance_id: Option<&str>) -> String {
        let instance_id = instance_id.map_or_else(|| self.new_guid(), str::to_owned);
        let action = Action::StartOrchestration { name: name.to_owned(), input: value(input), instance_id: instance_id.clone() };
        self.0.borrow_mut().did(action);
        instance_id
    }

    fn send_event(&self, instance_id: &str, name: &str, data: &str) {
        let mut world = self.0.borrow_mut();
        if instance_id == world.instance_id {
            let event = Event { at: world.now, name: name.to_owned(), data: data.to_owned() };
            world.raise(event);
        }
        let (instance_id, name) = (instance_id.to_owned(), name.to_owned());
        world.did(Action::SendEvent { instance_id, name, data: value(data) });
    }

    fn continue_as_new(&self, input: &str) {
        self.0.borrow_mut().did(Action::ContinueAsNew { input: value(input) });
    }

    fn set_custom_status(&self, status: &str) {
        self.0.borrow_mut().did(Action::SetCustomStatus { status: value(status) });
    }

    fn instance_id(&self) -> String {
        self.0.borrow().instance_id.clone()
    }

    fn execution_id(&self) -> String {
        "execution".to_owned()
    }

    fn parent(&self) -> Option<Parent> {
        self.0.borrow().parent.clone()
    }

    fn version(&self) -> String {
        self.0.borrow().version.clone()
    }

    fn current_time(&self) -> Timestamp {
        self.0.borrow().now
    }

    fn new_guid(&self) -> String {
        let number = self.0.borrow_mut().draw();
        format!("{:08x}-{:04x}-4000-8000-{:012x}", number >> 32, number >> 16 & 0xffff, number & 0xffff)
    }

    fn random_bytes(&self, length: u32) -> Vec<u8> {
        assert!(length <= 65_536, "the contract allows no more at a time");
        let mut world = self.0.borrow_mut();
        (0..length).map(|_| world.draw().to_le_bytes()[0]).collect()
    }

    fn is_replaying(&self) -> bool {
        false
    }

    fn log(&self, level: Level, message: &str) {
        self.0.borrow_mut().steps.push(Step::Logged(level, message.to_owned()));
    }
}
