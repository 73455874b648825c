//! Runs orchestrators without a host, against a script. Time is skipped: three days cost nothing.
//!
//! ```
//! use dacapo_sdk::prelude::*;
//! use dacapo_sdk::testing::Script;
//!
//! #[activity]
//! fn reserve(item: String) -> Result<String> {
//!     Ok(format!("the reservation of {item}"))
//! }
//!
//! #[orchestrator]
//! async fn order(ctx: Context, item: String) -> Result<String> {
//!     let reservation = ctx.call_activity::<reserve>(item).await?;
//!     let approval = ctx.wait_for_external_event::<bool>("Approval").timeout(Duration::from_secs(3 * 86_400));
//!     match approval.await? {
//!         Some(true) => Ok(reservation),
//!         _ => Err(Failure::new("NotApproved", reservation)),
//!     }
//! }
//!
//! let script = || Script::new().activity::<reserve>(reserve);
//!
//! let run = script().event_after(Duration::from_secs(60), "Approval", true).run::<order>("a lamp".to_owned());
//! assert_eq!(run.output.unwrap(), "the reservation of a lamp");
//! assert_eq!(run.elapsed, Duration::from_secs(60));
//!
//! let run = script().run::<order>("a lamp".to_owned());
//! assert!(run.output.unwrap_err().is("NotApproved"));
//! assert_eq!(run.elapsed, Duration::from_secs(3 * 86_400));
//! ```

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

pub use crate::action::Action;
use crate::action::value;
use crate::app::{self, Registered};
use crate::context;
use crate::failure::{Failure, Result};
use crate::function::{Activity, Orchestrator, decode_input, encode_output};
use crate::host::{Host, Parent, Perform, TaskId, Work};
use crate::http_call::HttpResponse;
use crate::level::Level;
use crate::retry::RetryPolicy;
use crate::timestamp::Timestamp;

/// What the world does to one run of an orchestrator: the answers to its calls, and the events that reach it.
///
/// An answer is given once for each attempt of a call, and takes no time unless [`takes`](Script::takes) says so. A call for
/// which there is none panics, and so does a wait for what never comes.
pub struct Script {
    start: Timestamp,
    instance_id: String,
    version: String,
    parent: Option<Parent>,
    answers: BTreeMap<Callee, Answer>,
    /// The answer that was given last.
    last: Option<Callee>,
    events: Vec<Event>,
}

/// What an orchestrator did, and how it ended.
#[derive(Debug)]
#[non_exhaustive]
pub struct ScriptedRun<T> {
    /// Its output. After [`continue_as_new`](crate::Context::continue_as_new) it is the failure `ContinuedAsNew`.
    pub output: Result<T>,
    /// All that it did, in order.
    pub actions: Vec<Action>,
    /// How long it took, for the orchestrator.
    pub elapsed: Duration,
    /// The custom status that it set last.
    pub custom_status: Option<Value>,
    /// The input of the next execution, if it continues as new.
    pub continued_as_new: Option<Value>,
    /// What it logged.
    pub log: Vec<(Level, String)>,
}

/// One operation that an orchestrator calls.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct EntityCall {
    /// The key of the entity.
    pub key: String,
    /// The operation.
    pub operation: String,
    /// Its input.
    pub input: Value,
}

/// Whose answer it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Callee {
    Activity(String),
    Orchestrator(String),
    /// By its name in lower case.
    Entity(String),
    Http,
}

struct Answer {
    give: Box<Give>,
    takes: Duration,
}

/// From the input of a call to its outcome, both as JSON.
type Give = dyn FnMut(&str) -> Result<String>;

struct Event {
    at: Timestamp,
    name: String,
    data: String,
}

impl Default for Script {
    fn default() -> Self {
        Self::new()
    }
}

impl Script {
    /// A script in which nothing happens. It begins at 2026-01-01T00:00:00Z, and the instance is called `test`.
    ///
    /// ```
    /// # use dacapo_sdk::prelude::*;
    /// # use dacapo_sdk::testing::Script;
    /// let script = Script::new();
    /// ```
    pub fn new() -> Self {
        const START: Timestamp = Timestamp::from_millis(1_767_225_600_000);
        Self {
            start: START,
            instance_id: "test".to_owned(),
            version: String::new(),
            parent: None,
            answers: BTreeMap::new(),
            last: None,
            events: Vec::new(),
        }
    }

    /// When it begins. To be said before events are.
    ///
    /// ```
    /// # use dacapo_sdk::prelude::*;
    /// # use dacapo_sdk::testing::Script;
    /// let script = Script::new().start_at("2026-12-24T18:00:00Z".parse().unwrap());
    /// ```
    #[must_use]
    pub fn start_at(mut self, start: Timestamp) -> Self {
        self.start = start;
        self
    }

    /// The id of the instance.
    ///
    /// ```
    /// # use dacapo_sdk::prelude::*;
    /// # use dacapo_sdk::testing::Script;
    /// let script = Script::new().instance_id("order-17");
    /// ```
    #[must_use]
    pub fn instance_id(mut self, id: impl Into<String>) -> Self {
        self.instance_id = id.into();
        self
    }

    /// The version that the instance was started with.
    ///
    /// ```
    /// # use dacapo_sdk::prelude::*;
    /// # use dacapo_sdk::testing::Script;
    /// let script = Script::new().version("2.1");
    /// ```
    #[must_use]
    pub fn version(mut self, version: impl Into<String>) -> Self {
        self.version = version.into();
        self
    }

    /// The orchestration that called.
    ///
    /// ```
    /// # use dacapo_sdk::prelude::*;
    /// # use dacapo_sdk::testing::Script;
    /// let script = Script::new().parent("orders", "orders-7");
    /// ```
    #[must_use]
    pub fn parent(mut self, name: impl Into<String>, instance_id: impl Into<String>) -> Self {
        self.parent = Some(Parent { name: name.into(), instance_id: instance_id.into() });
        self
    }

    /// What an activity gives: often the activity itself, `.activity::<reserve>(reserve)`.
    ///
    /// ```
    /// # use dacapo_sdk::prelude::*;
    /// # use dacapo_sdk::testing::Script;
    /// # #[activity] fn double(number: u64) -> u64 { 2 * number }
    /// let script = Script::new().activity::<double>(|number| Ok(double(number)));
    /// ```
    #[must_use]
    pub fn activity<A: Activity>(self, answer: impl FnMut(A::Input) -> Result<A::Output> + 'static) -> Self
    where
        A::Input: DeserializeOwned,
        A::Output: Serialize,
    {
        self.activity_named(A::NAME, answer)
    }

    /// What an activity of another app gives.
    ///
    /// ```
    /// # use dacapo_sdk::prelude::*;
    /// # use dacapo_sdk::testing::Script;
    /// let script = Script::new().activity_named("charge", |cents: u64| match cents {
    ///     0 => Err(Failure::new("NothingToCharge", "it is for free")),
    ///     cents => Ok(format!("charged {cents}")),
    /// });
    /// ```
    #[must_use]
    pub fn activity_named<I: DeserializeOwned, O: Serialize>(
        self,
        name: &str,
        answer: impl FnMut(I) -> Result<O> + 'static,
    ) -> Self {
        self.answer(Callee::Activity(name.to_owned()), answer)
    }

    /// What a sub-orchestration gives.
    ///
    /// ```
    /// # use dacapo_sdk::prelude::*;
    /// # use dacapo_sdk::testing::Script;
    /// # #[orchestrator] async fn child(ctx: Context, number: u64) -> Result<u64> { Ok(number) }
    /// let script = Script::new().sub_orchestrator::<child>(|number| Ok(number + 1));
    /// ```
    #[must_use]
    pub fn sub_orchestrator<C: Orchestrator>(self, answer: impl FnMut(C::Input) -> Result<C::Output> + 'static) -> Self
    where
        C::Input: DeserializeOwned,
        C::Output: Serialize,
    {
        self.sub_orchestrator_named(C::NAME, answer)
    }

    /// What a sub-orchestration of another app gives.
    ///
    /// ```
    /// # use dacapo_sdk::prelude::*;
    /// # use dacapo_sdk::testing::Script;
    /// let script = Script::new().sub_orchestrator_named("pack", |item: String| Ok(format!("a parcel with {item}")));
    /// ```
    #[must_use]
    pub fn sub_orchestrator_named<I: DeserializeOwned, O: Serialize>(
        self,
        name: &str,
        answer: impl FnMut(I) -> Result<O> + 'static,
    ) -> Self {
        self.answer(Callee::Orchestrator(name.to_owned()), answer)
    }

    /// What calls of the entities of a name give.
    ///
    /// ```
    /// # use dacapo_sdk::prelude::*;
    /// # use dacapo_sdk::testing::Script;
    /// let script = Script::new().entity("Counter", |call| match call.operation.as_str() {
    ///     "get" => Ok(7),
    ///     other => Err(Failure::new("OperationNotFound", other)),
    /// });
    /// ```
    #[must_use]
    pub fn entity<O: Serialize>(self, name: &str, mut answer: impl FnMut(EntityCall) -> Result<O> + 'static) -> Self {
        let give = move |(key, operation, input)| answer(EntityCall { key, operation, input });
        self.answer(Callee::Entity(name.to_ascii_lowercase()), give)
    }

    /// What HTTP requests give. A request is as the host gets it: `method`, `uri`, `headers`, `content`.
    ///
    /// ```
    /// # use dacapo_sdk::prelude::*;
    /// # use dacapo_sdk::testing::Script;
    /// # use dacapo_sdk::HttpResponse;
    /// let script = Script::new().http(|request| Ok(HttpResponse::new(200, request["uri"].to_string())));
    /// ```
    #[must_use]
    pub fn http(self, answer: impl FnMut(Value) -> Result<HttpResponse> + 'static) -> Self {
        self.answer(Callee::Http, answer)
    }

    /// How long each attempt takes of what was answered last.
    ///
    /// ```
    /// # use dacapo_sdk::prelude::*;
    /// # use dacapo_sdk::testing::Script;
    /// # #[activity] fn double(number: u64) -> u64 { 2 * number }
    /// let script = Script::new().activity::<double>(|number| Ok(double(number))).takes(Duration::from_secs(60));
    /// ```
    #[must_use]
    pub fn takes(mut self, duration: Duration) -> Self {
        let answer = self.last.as_ref().and_then(|last| self.answers.get_mut(last));
        answer.expect("`takes` follows an answer").takes = duration;
        self
    }

    /// Raises an event, before the orchestrator begins to run.
    ///
    /// ```
    /// # use dacapo_sdk::prelude::*;
    /// # use dacapo_sdk::testing::Script;
    /// let script = Script::new().event("Approval", true);
    /// ```
    #[must_use]
    pub fn event(self, name: &str, data: impl Serialize) -> Self {
        self.event_after(Duration::ZERO, name, data)
    }

    /// Raises an event, so long after the start.
    ///
    /// ```
    /// # use dacapo_sdk::prelude::*;
    /// # use dacapo_sdk::testing::Script;
    /// let script = Script::new().event_after(Duration::from_secs(60), "Approval", true);
    /// ```
    #[must_use]
    pub fn event_after(mut self, after: Duration, name: &str, data: impl Serialize) -> Self {
        let data = serde_json::to_string(&data).expect("the data of the event can be written as JSON");
        self.events.push(Event { at: self.start + after, name: name.to_owned(), data });
        self
    }

    /// Runs an orchestrator to its end.
    ///
    /// ```
    /// # use dacapo_sdk::prelude::*;
    /// # use dacapo_sdk::testing::Script;
    /// #[orchestrator]
    /// async fn wait(ctx: Context, minutes: u64) -> Result<u64> {
    ///     ctx.create_timer(Duration::from_secs(60 * minutes)).await?;
    ///     Ok(minutes)
    /// }
    ///
    /// let run = Script::new().run::<wait>(5);
    /// assert_eq!(run.output.unwrap(), 5);
    /// assert_eq!(run.elapsed, Duration::from_secs(300));
    /// ```
    pub fn run<O: Orchestrator + Registered>(self, input: O::Input) -> ScriptedRun<O::Output>
    where
        O::Input: Serialize,
        O::Output: DeserializeOwned,
    {
        let start = self.start;
        let world = Rc::new(RefCell::new(World::new(self)));
        let input = serde_json::to_string(&input).expect("the input can be written as JSON");
        let outcome = app::run_orchestrator(&[O::entry()], Box::new(ScriptedHost(world.clone())), O::NAME, input);
        let world = Rc::into_inner(world).expect("the run is over").into_inner();
        let continued_as_new = world.find_last(|action| match action {
            Action::ContinueAsNew { input } => Some(input),
            _ => None,
        });
        let output = match (&continued_as_new, outcome) {
            (Some(_), Ok(_)) => Err(context::continued_as_new()),
            (_, outcome) => outcome.map(|json| serde_json::from_str(&json).expect("the output can be read as it was written")),
        };
        let custom_status = world.find_last(|action| match action {
            Action::SetCustomStatus { status } => Some(status),
            _ => None,
        });
        ScriptedRun {
            output,
            elapsed: world.now - start,
            custom_status,
            continued_as_new,
            log: world.log,
            actions: world.actions,
        }
    }

    fn answer<I: DeserializeOwned, O: Serialize>(
        mut self,
        callee: Callee,
        mut answer: impl FnMut(I) -> Result<O> + 'static,
    ) -> Self {
        let what = callee.to_string();
        let give = move |json: &str| {
            let output = decode_input(&what, json).and_then(&mut answer)?;
            encode_output(&what, &output)
        };
        self.answers.insert(callee.clone(), Answer { give: Box::new(give), takes: Duration::ZERO });
        self.last = Some(callee);
        self
    }
}

impl<T> ScriptedRun<T> {
    /// The activities that it called, with their inputs.
    ///
    /// ```
    /// # use dacapo_sdk::prelude::*;
    /// # use dacapo_sdk::testing::Script;
    /// # #[activity] fn double(number: u64) -> u64 { 2 * number }
    /// #[orchestrator]
    /// async fn twice(ctx: Context, number: u64) -> Result<u64> {
    ///     ctx.call_activity::<double>(number).await
    /// }
    ///
    /// let run = Script::new().activity::<double>(|number| Ok(double(number))).run::<twice>(4);
    /// assert_eq!(run.calls(), [("double", &serde_json::json!(4))]);
    /// ```
    pub fn calls(&self) -> Vec<(&str, &Value)> {
        let calls = self.actions.iter().filter_map(|action| match action {
            Action::CallActivity { name, input, .. } => Some((name.as_str(), input)),
            _ => None,
        });
        calls.collect()
    }
}

/// What an orchestrator sees of the script.
struct ScriptedHost(Rc<RefCell<World>>);

struct World {
    now: Timestamp,
    instance_id: String,
    version: String,
    parent: Option<Parent>,
    answers: BTreeMap<Callee, Answer>,
    /// Those that no wait has, in the order in which they are raised.
    events: Vec<Event>,
    tasks: BTreeMap<TaskId, Task>,
    scheduled: TaskId,
    drawn: u64,
    actions: Vec<Action>,
    log: Vec<(Level, String)>,
}

enum Task {
    /// How it ends is known when it is scheduled.
    Ends {
        at: Timestamp,
        outcome: Result<String>,
        is_timer: bool,
    },
    WaitsFor(EventWait),
    Completed(Result<String>),
}

/// A wait has an event while it is asked for, and for good once it is read. The contract has the rule.
struct EventWait {
    name: String,
    made: Timestamp,
    /// It completes in the very `wait` in which it is given one.
    event: Option<Event>,
    is_read: bool,
}

impl World {
    fn new(mut script: Script) -> Self {
        script.events.sort_by_key(|event| event.at);
        Self {
            now: script.start,
            instance_id: script.instance_id,
            version: script.version,
            parent: script.parent,
            answers: script.answers,
            events: script.events,
            tasks: BTreeMap::new(),
            scheduled: 0,
            drawn: 0,
            actions: Vec::new(),
            log: Vec::new(),
        }
    }

    fn find_last<T: Clone>(&self, which: impl Fn(&Action) -> Option<&T>) -> Option<T> {
        self.actions.iter().rev().find_map(which).cloned()
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
            Action::CreateTimer { fire_at } => Task::Ends { at: *fire_at, outcome: Ok("null".to_owned()), is_timer: true },
            Action::WaitForExternalEvent { name } => Task::WaitsFor(EventWait::new(name, self.now)),
            Action::LockEntities { .. } => Task::Ends { at: self.now, outcome: Ok("null".to_owned()), is_timer: false },
            other => unreachable!("{other:?} is nothing to wait for"),
        };
        self.actions.push(action);
        self.scheduled += 1;
        self.tasks.insert(self.scheduled, task);
        self.scheduled
    }

    /// A call with all its attempts.
    fn call(&mut self, callee: Callee, input: &str, retry: Option<&RetryPolicy>) -> Task {
        let Some(answer) = self.answers.get_mut(&callee) else { panic!("the script does not say what {callee} gives") };
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

    fn raise(&mut self, event: Event) {
        let behind = self.events.partition_point(|other| other.at <= event.at);
        self.events.insert(behind, event);
    }

    /// Puts back what a wait was given and has not read, in front of what was raised at the same moment.
    fn put_back(&mut self, event: Event) {
        let before = self.events.partition_point(|other| other.at < event.at);
        self.events.insert(before, event);
    }

    /// Takes the events from waits that have not read theirs and are not asked for any more. Then those that are asked for get
    /// what has been raised by now, the one that was made first first.
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
        loop {
            self.serve(pending);
            let mut ended: Vec<(Timestamp, TaskId)> =
                pending.iter().filter_map(|id| Some((self.tasks[id].ended(self.now)?, *id))).collect();
            if !ended.is_empty() {
                ended.sort();
                let ended: Vec<TaskId> = ended.into_iter().map(|(_, id)| id).collect();
                for id in &ended {
                    self.tasks.entry(*id).and_modify(Task::complete);
                }
                return ended;
            }
            let names: Vec<&str> = pending.iter().filter_map(|id| self.tasks[id].awaits()).collect();
            let is_awaited = |event: &&Event| names.iter().any(|name| event.name.eq_ignore_ascii_case(name));
            let events = self.events.iter().filter(is_awaited).map(|event| event.at);
            let ends = pending.iter().filter_map(|id| self.tasks[id].ends());
            match events.chain(ends).min() {
                Some(next) => self.now = next,
                None => panic!("the orchestrator waits for what the script never raises: {}", names.join(", ")),
            }
        }
    }

    /// Calls cannot be canceled, and neither can what has completed and was read.
    fn cancel(&mut self, id: TaskId) -> bool {
        let task = self.tasks.get_mut(&id).expect("a task is canceled before it is released");
        let event = match task {
            Task::Ends { is_timer: true, .. } => None,
            Task::WaitsFor(wait) if !wait.is_read => wait.give_back(),
            Task::Ends { .. } | Task::WaitsFor(_) | Task::Completed(_) => return false,
        };
        *task = Task::Completed(Err(Failure::new("Canceled", "it was cancelled").not_retriable()));
        event.into_iter().for_each(|event| self.put_back(event));
        true
    }

    fn outcome(&mut self, id: TaskId) -> Option<Result<String>> {
        match self.tasks.get_mut(&id)? {
            Task::Completed(outcome) => Some(outcome.clone()),
            Task::WaitsFor(wait) => {
                wait.is_read |= wait.event.is_some();
                wait.event.as_ref().map(|event| Ok(event.data.clone()))
            }
            Task::Ends { .. } => None,
        }
    }

    /// A number that was not drawn before.
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
        Self { name: name.to_owned(), made, event: None, is_read: false }
    }

    /// What it was given, unless it has read that.
    fn give_back(&mut self) -> Option<Event> {
        if self.is_read { None } else { self.event.take() }
    }
}

impl Task {
    fn wait(&mut self) -> Option<&mut EventWait> {
        match self {
            Task::WaitsFor(wait) => Some(wait),
            Task::Ends { .. } | Task::Completed(_) => None,
        }
    }

    /// When it ends, if that is known.
    fn ends(&self) -> Option<Timestamp> {
        match self {
            Task::Ends { at, .. } => Some(*at),
            Task::WaitsFor(_) | Task::Completed(_) => None,
        }
    }

    /// When it has ended, if it has by now.
    fn ended(&self, now: Timestamp) -> Option<Timestamp> {
        match self {
            Task::Ends { at, .. } => Some(*at).filter(|at| *at <= now),
            Task::WaitsFor(wait) => wait.event.as_ref().map(|event| event.at.max(wait.made)),
            Task::Completed(_) => None,
        }
    }

    /// The event that it waits for.
    fn awaits(&self) -> Option<&str> {
        match self {
            Task::WaitsFor(wait) => Some(&wait.name),
            Task::Ends { .. } | Task::Completed(_) => None,
        }
    }

    fn complete(&mut self) {
        if let Task::Ends { outcome, .. } = self {
            *self = Task::Completed(outcome.clone());
        }
    }
}

/// How long the host waits before the next attempt; none if there is none.
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
        self.0.borrow_mut().actions.push(effect.seen());
    }

    fn start_orchestration(&self, name: &str, input: &str, instance_id: Option<&str>) -> String {
        let instance_id = instance_id.map_or_else(|| self.new_guid(), str::to_owned);
        let action = Action::StartOrchestration { name: name.to_owned(), input: value(input), instance_id: instance_id.clone() };
        self.0.borrow_mut().actions.push(action);
        instance_id
    }

    fn send_event(&self, instance_id: &str, name: &str, data: &str) {
        let mut world = self.0.borrow_mut();
        if instance_id == world.instance_id {
            let event = Event { at: world.now, name: name.to_owned(), data: data.to_owned() };
            world.raise(event);
        }
        let (instance_id, name) = (instance_id.to_owned(), name.to_owned());
        world.actions.push(Action::SendEvent { instance_id, name, data: value(data) });
    }

    fn continue_as_new(&self, input: &str) {
        self.0.borrow_mut().actions.push(Action::ContinueAsNew { input: value(input) });
    }

    fn set_custom_status(&self, status: &str) {
        self.0.borrow_mut().actions.push(Action::SetCustomStatus { status: value(status) });
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
        let mut world = self.0.borrow_mut();
        (0..length).map(|_| world.draw().to_le_bytes()[0]).collect()
    }

    fn is_replaying(&self) -> bool {
        false
    }

    fn log(&self, level: Level, message: &str) {
        self.0.borrow_mut().log.push((level, message.to_owned()));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::prelude::*;

    #[activity]
    fn double(number: u64) -> u64 {
        2 * number
    }

    fn doubles() -> Script {
        Script::new().activity::<double>(|number| Ok(double(number)))
    }

    #[test]
    fn calls_get_their_answers_after_their_time() {
        #[orchestrator]
        async fn race(ctx: Context) -> Result<(u64, bool)> {
            let doubled = ctx.call_activity::<double>(4).await?;
            let mut slow = ctx.call_sub_orchestrator_named::<u64>("slow", &doubled);
            let mut timer = ctx.create_timer(Duration::from_secs(5));
            select! {
                _ = slow => Ok((doubled, true)),
                _ = timer => Ok((doubled, false)),
            }
        }
        let script = |seconds| doubles().sub_orchestrator_named("slow", Ok::<u64, _>).takes(Duration::from_secs(seconds));
        let run = script(4).run::<race>(());
        assert_eq!((run.output.clone().unwrap(), run.elapsed), ((8, true), Duration::from_secs(4)));
        assert_eq!(run.calls(), [("double", &json!(4))]);
        let run = script(6).run::<race>(());
        assert_eq!((run.output.unwrap(), run.elapsed), ((8, false), Duration::from_secs(5)));
    }

    /// The host's own schedule is held to the same cases.
    #[test]
    fn attempts_begin_when_the_hosts_do() {
        #[orchestrator]
        async fn stubborn(ctx: Context, of: Value) -> Result<u64> {
            let millis = |name: &str| of[name].as_u64().map(Duration::from_millis);
            let mut policy = RetryPolicy::new(of["maxAttempts"].as_u64().unwrap() as u32, millis("firstInterval").unwrap());
            policy.backoff_coefficient = of["backoffCoefficient"].as_f64().unwrap();
            (policy.max_interval, policy.timeout) = (millis("maxInterval"), millis("timeout"));
            let types = of["nonRetriableErrorTypes"].as_array().into_iter().flatten();
            policy.non_retriable_error_types = types.map(|name| name.as_str().unwrap().to_owned()).collect();
            ctx.call_activity::<double>(1).retry(policy).await
        }
        let cases: Vec<Value> = serde_json::from_str(include_str!("../tests/retries.json")).unwrap();
        for case in cases {
            let attempts = Rc::new(std::cell::Cell::new(0));
            let (counted, failures) = (attempts.clone(), case["failures"].clone());
            let takes = Duration::from_millis(case["takes"].as_u64().unwrap_or(0));
            let script = Script::new().activity::<double>(move |number| {
                counted.set(counted.get() + 1);
                match failures[counted.get() - 1].as_str() {
                    Some(error_type) => Err(Failure::new(error_type, "not yet")),
                    None => Ok(number),
                }
            });
            let run = script.takes(takes).run::<stubborn>(case["policy"].clone());
            let expected: Vec<u64> = serde_json::from_value(case["attempts"].clone()).unwrap();
            assert_eq!(attempts.get(), expected.len(), "{}", case["what"]);
            assert_eq!(
                run.elapsed,
                Duration::from_millis(expected.last().unwrap() + takes.as_millis() as u64),
                "{}",
                case["what"]
            );
            assert_eq!(run.output.is_ok(), case["succeeds"].as_bool().unwrap(), "{}", case["what"]);
        }
    }

    #[test]
    fn events_are_taken_in_order_and_given_back() {
        #[orchestrator]
        async fn mailbox(ctx: Context) -> Result<Vec<Option<u64>>> {
            let mut letters = Vec::new();
            for _ in 0..3 {
                letters.push(ctx.wait_for_external_event("Letter").timeout(Duration::from_secs(2)).await?);
            }
            Ok(letters)
        }
        let run = Script::new().event_after(Duration::from_secs(3), "letter", 2).event("Letter", 1).run::<mailbox>(());
        assert_eq!(run.output.unwrap(), [Some(1), None, Some(2)]);
        assert_eq!(run.elapsed, Duration::from_secs(3));
    }

    /// A wait that lost its race and is kept, but not awaited, took the event of the next one.
    #[test]
    fn an_event_goes_to_a_wait_that_is_asked_for() {
        #[orchestrator]
        async fn rounds(ctx: Context) -> Result<Vec<u64>> {
            let mut first = ctx.wait_for_external_event::<u64>("Go");
            let mut timer = ctx.create_timer(Duration::from_secs(1));
            select! {
                _ = first => return Err(Failure::new("Early", "nothing was raised yet")),
                _ = timer => {}
            }
            let second = ctx.wait_for_external_event::<u64>("Go").await?;
            Ok(vec![second, first.await?])
        }
        let script = Script::new().event_after(Duration::from_secs(2), "Go", 1).event_after(Duration::from_secs(3), "Go", 2);
        assert_eq!(script.run::<rounds>(()).output.unwrap(), [1, 2]);
    }

    #[test]
    fn what_an_orchestrator_does_is_seen() {
        #[orchestrator]
        async fn busy(ctx: Context, round: u64) -> Result<()> {
            let counter = EntityId::new("Counter", "a");
            let lock = ctx.lock([&counter]).await?;
            let count: u64 = ctx.call_entity(&counter, "add", &1).await?;
            lock.unlock();
            ctx.set_custom_status(count)?;
            ctx.send_event("other", "Counted", &count)?;
            let response = ctx.call_http(HttpRequest::get("https://example.org/")).await?;
            ctx.log_info(format!("{} {}", ctx.instance_id(), response.status));
            ctx.continue_as_new(round + 1)
        }
        let script = Script::new().instance_id("me").entity("counter", |call| Ok(call.input.as_u64().map(|input| input + 6)));
        let run = script.http(|_| Ok(HttpResponse::new(204, ""))).run::<busy>(1);
        assert!(run.output.unwrap_err().is("ContinuedAsNew"));
        assert_eq!((run.custom_status, run.continued_as_new), (Some(json!(7)), Some(json!(2))));
        assert_eq!(run.log, [(Level::Info, "me 204".to_owned())]);
        let counter = EntityId::new("Counter", "a");
        let expected = [
            Action::LockEntities { entities: vec![counter.clone()] },
            Action::CallEntity { entity: counter, operation: "add".into(), input: json!(1) },
            Action::UnlockEntities,
            Action::SetCustomStatus { status: json!(7) },
            Action::SendEvent { instance_id: "other".into(), name: "Counted".into(), data: json!(7) },
        ];
        assert_eq!(run.actions[..5], expected);
    }

    #[test]
    #[should_panic(expected = "waits for what the script never raises: Go")]
    fn a_wait_for_ever_is_told() {
        #[orchestrator]
        async fn patient(ctx: Context) -> Result<()> {
            ctx.wait_for_external_event("Go").await
        }
        Script::new().run::<patient>(());
    }

    #[test]
    #[should_panic(expected = "the script does not say what the activity `double` gives")]
    fn an_answer_that_is_missing_is_told() {
        #[orchestrator]
        async fn calls(ctx: Context) -> Result<u64> {
            ctx.call_activity::<double>(1).await
        }
        Script::new().run::<calls>(());
    }
}
