//! Runs orchestrators against a script, without a host. Waiting takes no real time, whatever the duration. Activities and triggers
//! are plain functions; [`ScriptedClient`] is a task hub for those that ask it something.
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

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

pub use crate::action::Action;
use crate::app::{self, Registered};
use crate::client::Client;
pub use crate::client_call::ClientCall;
use crate::context;
use crate::entity_id::EntityId;
use crate::failure::Result;
use crate::function::{Activity, Orchestrator, decode_input, encode_output};
use crate::host::Parent;
use crate::http_call::HttpResponse;
use crate::level::Level;
use crate::scripted_client::ScriptedHub;
use crate::scripted_host::{Answer, Callee, Event, Step, World};
use crate::status::OrchestrationStatus;
use crate::timestamp::Timestamp;

/// The script of one run of an orchestrator: the answers to its calls, and the events that reach it.
///
/// An answer is called once for each attempt of a call, and takes no time unless [`takes`](Script::takes) sets one. A call
/// without an answer panics, and so does a wait for an event that is never raised.
pub struct Script {
    pub(crate) world: World,
    /// The callee of the answer that was set last.
    last: Option<Callee>,
}

/// The actions of an orchestrator, and its outcome.
#[derive(Debug)]
#[non_exhaustive]
pub struct ScriptedRun<T> {
    /// The output. After [`continue_as_new`](crate::Context::continue_as_new) it is the failure `ContinuedAsNew`.
    pub output: Result<T>,
    /// All actions, in order.
    pub actions: Vec<Action>,
    /// The duration of the run, in the orchestrator's time.
    pub elapsed: Duration,
    /// The custom status that it set last.
    pub custom_status: Option<Value>,
    /// The input of the next execution, if it continues as new.
    pub continued_as_new: Option<Value>,
    /// The log lines.
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
    /// The input.
    pub input: Value,
}

impl Default for Script {
    fn default() -> Self {
        Self::new()
    }
}

impl Script {
    /// Makes an empty script. It begins at 2026-01-01T00:00:00Z, and the instance id is `test`.
    ///
    /// ```
    /// # use dacapo_sdk::prelude::*;
    /// # use dacapo_sdk::testing::Script;
    /// let script = Script::new();
    /// ```
    pub fn new() -> Self {
        const START: Timestamp = Timestamp::from_millis(1_767_225_600_000);
        Self { world: World::new(START, "test"), last: None }
    }

    /// Sets the start time. To be called before events are added.
    ///
    /// ```
    /// # use dacapo_sdk::prelude::*;
    /// # use dacapo_sdk::testing::Script;
    /// let script = Script::new().start_at("2026-12-24T18:00:00Z".parse().unwrap());
    /// ```
    #[must_use]
    pub fn start_at(mut self, start: Timestamp) -> Self {
        self.world.now = start;
        self
    }

    /// Sets the instance id.
    ///
    /// ```
    /// # use dacapo_sdk::prelude::*;
    /// # use dacapo_sdk::testing::Script;
    /// let script = Script::new().instance_id("order-17");
    /// ```
    #[must_use]
    pub fn instance_id(mut self, id: impl Into<String>) -> Self {
        self.world.instance_id = id.into();
        self
    }

    /// Sets the version that the instance was started with.
    ///
    /// ```
    /// # use dacapo_sdk::prelude::*;
    /// # use dacapo_sdk::testing::Script;
    /// let script = Script::new().version("2.1");
    /// ```
    #[must_use]
    pub fn version(mut self, version: impl Into<String>) -> Self {
        self.world.version = version.into();
        self
    }

    /// Sets the parent: the orchestration that called this one.
    ///
    /// ```
    /// # use dacapo_sdk::prelude::*;
    /// # use dacapo_sdk::testing::Script;
    /// let script = Script::new().parent("orders", "orders-7");
    /// ```
    #[must_use]
    pub fn parent(mut self, name: impl Into<String>, instance_id: impl Into<String>) -> Self {
        self.world.parent = Some(Parent { name: name.into(), instance_id: instance_id.into() });
        self
    }

    /// Sets the answer of an activity, often the activity itself: `.activity::<reserve>(reserve)`.
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

    /// Sets the answer of an activity of another app.
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

    /// Sets the answer of a sub-orchestration.
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

    /// Sets the answer of a sub-orchestration of another app.
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

    /// Sets the answer to calls of entities with this name.
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

    /// Sets the answer to HTTP requests. A request has the form that the host gets: `method`, `uri`, `headers`, `content`.
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

    /// Sets how long each attempt takes for the answer that was set last.
    ///
    /// ```
    /// # use dacapo_sdk::prelude::*;
    /// # use dacapo_sdk::testing::Script;
    /// # #[activity] fn double(number: u64) -> u64 { 2 * number }
    /// let script = Script::new().activity::<double>(|number| Ok(double(number))).takes(Duration::from_secs(60));
    /// ```
    #[must_use]
    pub fn takes(mut self, duration: Duration) -> Self {
        let answer = self.last.as_ref().and_then(|last| self.world.answers.get_mut(last));
        answer.expect("`takes` follows an answer").takes = duration;
        self
    }

    /// Raises an event before the orchestrator starts.
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

    /// Raises an event a duration after the start.
    ///
    /// ```
    /// # use dacapo_sdk::prelude::*;
    /// # use dacapo_sdk::testing::Script;
    /// let script = Script::new().event_after(Duration::from_secs(60), "Approval", true);
    /// ```
    #[must_use]
    pub fn event_after(mut self, after: Duration, name: &str, data: impl Serialize) -> Self {
        let data = serde_json::to_string(&data).expect("the data of the event can be written as JSON");
        self.world.raise(Event { at: self.world.now + after, name: name.to_owned(), data });
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
        let start = self.world.now;
        let input = serde_json::to_string(&input).expect("the input can be written as JSON");
        let (world, outcome) = self.world.play(|host| app::run_orchestrator(&[O::entry()], host, O::NAME, input));
        let (elapsed, mut actions, mut log) = (world.now - start, Vec::new(), Vec::new());
        for step in world.steps {
            match step {
                Step::Scheduled(_, action) | Step::Did(action) => actions.push(action),
                Step::Logged(level, message) => log.push((level, message)),
                Step::WaitedFor(_) | Step::Canceled(_) => {}
            }
        }
        let continued_as_new = find_last(&actions, |action| match action {
            Action::ContinueAsNew { input } => Some(input),
            _ => None,
        });
        let output = match (&continued_as_new, outcome) {
            (Some(_), Ok(_)) => Err(context::continued_as_new()),
            (_, outcome) => outcome.map(|json| serde_json::from_str(&json).expect("the output can be read as it was written")),
        };
        let custom_status = find_last(&actions, |action| match action {
            Action::SetCustomStatus { status } => Some(status),
            _ => None,
        });
        ScriptedRun { output, actions, elapsed, custom_status, continued_as_new, log }
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
        self.world.answers.insert(callee.clone(), Answer { give: Box::new(give), takes: Duration::ZERO });
        self.last = Some(callee);
        self
    }
}

impl<T> ScriptedRun<T> {
    /// Returns the activities that it called, with their inputs.
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

/// A task hub for the durable client of activities and triggers in tests. It records the calls. Every message to it succeeds and
/// changes nothing; a start returns the given id, or else `instance-1` and so on; what it does not know does not exist.
///
/// ```
/// use dacapo_sdk::OrchestrationStatus;
/// use dacapo_sdk::prelude::*;
/// use dacapo_sdk::testing::{ClientCall, ScriptedClient};
///
/// # #[orchestrator] async fn order(ctx: Context, item: String) -> Result<()> { Ok(()) }
/// #[http_trigger(route = "orders/{id}", methods = ["PUT"])]
/// fn place_order(ctx: TriggerContext, request: Request) -> Result<Response> {
///     let id = request.params().get("id").unwrap_or_default();
///     if ctx.client().get_status(id)?.is_some() {
///         return Ok(Response::new(409).text("there is such an order"));
///     }
///     ctx.client().start_orchestration::<order>(request.json()?).instance_id(id).start()?;
///     ctx.client().create_check_status_response(id)
/// }
///
/// let put = |id: &str, hub: &ScriptedClient| {
///     let request = Request::new("PUT", "http://localhost:7071/api/orders").with_param("id", id).with_json(&"a lamp")?;
///     place_order(TriggerContext::for_test("place_order", hub.client()), request)
/// };
///
/// let hub = ScriptedClient::new().instance(OrchestrationStatus::new("order", "order-17"));
/// assert_eq!(put("order-17", &hub).unwrap().status, 409);
/// assert_eq!(put("order-18", &hub).unwrap().status, 202);
/// let started = hub.calls().into_iter().find_map(|call| match call {
///     ClientCall::StartOrchestration { name, input, instance_id, .. } => Some((name, input, instance_id)),
///     _ => None,
/// });
/// assert_eq!(started, Some(("order".to_owned(), json!("a lamp"), Some("order-18".to_owned()))));
/// ```
#[derive(Clone, Debug, Default)]
pub struct ScriptedClient {
    hub: Arc<Mutex<ScriptedHub>>,
}

impl ScriptedClient {
    /// Makes a task hub without instances and entities.
    ///
    /// ```
    /// # use dacapo_sdk::testing::ScriptedClient;
    /// assert_eq!(ScriptedClient::new().client().get_status("order-17"), Ok(None));
    /// ```
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an instance.
    ///
    /// ```
    /// # use dacapo_sdk::OrchestrationStatus;
    /// # use dacapo_sdk::testing::ScriptedClient;
    /// let hub = ScriptedClient::new().instance(OrchestrationStatus::new("order", "order-17"));
    /// assert!(hub.client().get_status("order-17").unwrap().is_some());
    /// ```
    #[must_use]
    pub fn instance(self, status: OrchestrationStatus) -> Self {
        self.lock().instances.insert(status.instance_id.clone(), status);
        self
    }

    /// Adds an entity.
    ///
    /// ```
    /// # use dacapo_sdk::EntityId;
    /// # use dacapo_sdk::testing::ScriptedClient;
    /// let clicks = EntityId::new("Counter", "clicks");
    /// let hub = ScriptedClient::new().entity(clicks.clone(), 7);
    /// assert_eq!(hub.client().read_entity(&clicks), Ok(Some(7)));
    /// ```
    #[must_use]
    pub fn entity(self, id: EntityId, state: impl Serialize) -> Self {
        let state = serde_json::to_value(state).expect("the state can be written as JSON");
        self.lock().entities.insert(id, state);
        self
    }

    /// Adds an answer, which may fail: JSON in the form of the contract, or none for calls that it is not for.
    ///
    /// ```
    /// # use dacapo_sdk::prelude::*;
    /// # use dacapo_sdk::testing::{ClientCall, ScriptedClient};
    /// let hub = ScriptedClient::new().answer(|call| match call {
    ///     ClientCall::StartOrchestration { .. } => Some(Err(Failure::new("LimitExceeded", "there are too many instances"))),
    ///     _ => None,
    /// });
    /// assert!(hub.client().start_orchestration_named("order", &"a lamp").start().unwrap_err().is("LimitExceeded"));
    /// ```
    #[must_use]
    pub fn answer(self, answer: impl FnMut(&ClientCall) -> Option<Result<Value>> + Send + 'static) -> Self {
        self.lock().answers.push(Box::new(answer));
        self
    }

    /// Returns its client, for [`TriggerContext::for_test`](crate::TriggerContext::for_test) and
    /// [`ActivityContext::with_client`](crate::ActivityContext::with_client).
    ///
    /// ```
    /// # use dacapo_sdk::prelude::*;
    /// # use dacapo_sdk::testing::ScriptedClient;
    /// let context = TriggerContext::for_test("place_order", ScriptedClient::new().client());
    /// ```
    pub fn client(&self) -> Client {
        Client::scripted(self.hub.clone())
    }

    /// Returns the calls until now, in order.
    ///
    /// ```
    /// # use dacapo_sdk::testing::{ClientCall, ScriptedClient};
    /// let hub = ScriptedClient::new();
    /// hub.client().purge("order-17").unwrap();
    /// assert_eq!(hub.calls(), [ClientCall::Purge { instance_id: "order-17".to_owned() }]);
    /// ```
    pub fn calls(&self) -> Vec<ClientCall> {
        self.lock().calls.clone()
    }

    fn lock(&self) -> MutexGuard<'_, ScriptedHub> {
        self.hub.lock().expect("no answer of the script has panicked")
    }
}

fn find_last(actions: &[Action], which: impl Fn(&Action) -> Option<&Value>) -> Option<Value> {
    actions.iter().rev().find_map(which).cloned()
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::rc::Rc;

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

    /// The host's own schedule is tested with the same cases.
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
            let attempts = Rc::new(Cell::new(0));
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

    /// A wait that lost a race but was not dropped is still asked for, and is the oldest. As in the host, the first event that a
    /// `wait` reports is claimed by that, even if it is not read at once.
    #[test]
    fn a_wait_that_is_kept_takes_the_next_event() {
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
        assert_eq!(script.run::<rounds>(()).output.unwrap(), [2, 1]);
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
    #[should_panic(expected = "waits for events that the script never raises: Go")]
    fn a_wait_for_ever_is_told() {
        #[orchestrator]
        async fn patient(ctx: Context) -> Result<()> {
            ctx.wait_for_external_event("Go").await
        }
        Script::new().run::<patient>(());
    }

    #[test]
    #[should_panic(expected = "the script has no answer for the activity `double`")]
    fn an_answer_that_is_missing_is_told() {
        #[orchestrator]
        async fn calls(ctx: Context) -> Result<u64> {
            ctx.call_activity::<double>(1).await
        }
        Script::new().run::<calls>(());
    }
}
