//! Write durable orchestrations for Dacapo in Rust.
//!
//! An **orchestrator** is an `async fn` that says what happens in which order. The host records each step, so an
//! orchestration survives crashes and restarts, and may take a second or a year. An **activity** is a function that does
//! one piece of real work. Both are compiled to wasm, together, as an **app**:
//!
//! ```
//! use dacapo_sdk::prelude::*;
//!
//! #[orchestrator]
//! async fn hello_sequence(ctx: Context, cities: Vec<String>) -> Result<Vec<String>> {
//!     let mut greetings = Vec::new();
//!     for city in cities {
//!         greetings.push(ctx.call_activity::<say_hello>(city).await?);
//!     }
//!     Ok(greetings)
//! }
//!
//! #[activity]
//! fn say_hello(name: String) -> String {
//!     format!("Hello, {name}!")
//! }
//!
//! dacapo_sdk::app!(hello_sequence, say_hello);
//! # fn main() {}
//! ```
//!
//! The crate is a `cdylib`; `dacapo new hello --language rust` creates one. Build, deploy and start it with:
//!
//! ```text
//! dacapo build
//! dacapo deploy hello.wasm
//! dacapo start-new hello_sequence --input '["Tokyo", "Seattle"]'
//! ```
//!
//! # How it runs
//!
//! When an orchestrator awaits something that has not happened yet, it is suspended, and may be evicted from memory. To
//! resume it, the host may run it *again from the beginning*, a replay, and give it the results that it has recorded. So
//! an orchestrator must do the same each time, and it does: its only access to the outside is its [`Context`], whose
//! methods return the same values on replay, including [the time](Context::current_utc_date_time), [random
//! numbers](Context::random) and [unique ids](Context::new_guid). All other input and output belongs in an activity.
//!
//! An activity runs at least once: it runs again if the machine stops after its work and before the result is recorded.
//! [`ActivityContext`] has the parts of an idempotency key. The orchestrations that an activity
//! [starts](ActivityContext::start_orchestration) are started only once.
//!
//! # Entities
//!
//! An **entity** is durable state with operations that run one after another: a counter, an account, a device. The
//! attribute [`#[entity]`](entity) makes one from a type and its methods. Each key has its own entity, which is created by
//! its first operation. Orchestrators [call](Context::entity), signal (one way) and [lock](Context::lock) entities;
//! entities and clients signal them. An operation never waits, and one that fails changes nothing.
//!
//! ```
//! use dacapo_sdk::prelude::*;
//!
//! #[derive(Default, Serialize, Deserialize)]
//! struct Counter {
//!     value: i64,
//! }
//!
//! #[entity]
//! impl Counter {
//!     fn add(&mut self, amount: i64) -> i64 {
//!         self.value += amount;
//!         self.value
//!     }
//! }
//!
//! #[orchestrator]
//! async fn count_visit(ctx: Context, page: String) -> Result<i64> {
//!     ctx.entity::<Counter>("all pages").add(1).signal()?;
//!     ctx.entity::<Counter>(page).add(1).await
//! }
//!
//! dacapo_sdk::app!(Counter, count_visit);
//! # fn main() {}
//! ```
//!
//! # Triggers and the durable client
//!
//! A **trigger** is a function by which the world reaches the app. It runs like an activity, and may be a plain `fn`. Its
//! attribute says what starts it:
//!
//! | | |
//! |---|---|
//! | [`#[http_trigger]`](macro@http_trigger) | a [`Request`] on a route, which it answers with a [`Response`], a text or [`Json`] |
//! | [`#[timer_trigger]`](macro@timer_trigger) | a schedule ([`TimerInfo`]) |
//! | [`#[queue_trigger]`](macro@queue_trigger) | a message of a queue: any type, or a [`QueueMessage`] |
//! | [`#[event_hub_trigger]`](macro@event_hub_trigger) | an [`EventHubEvent`] of an event hub, or many |
//! | [`#[event_grid_trigger]`](macro@event_grid_trigger) | an [`EventGridEvent`] |
//! | [`#[manual_trigger]`](macro@manual_trigger) | an operator |
//!
//! Any trigger can send messages to queues and event hubs: see [`Output`]. Triggers and activities hold the durable [`Client`]
//! of their task hub. It starts orchestrations; reads, lists, suspends, resumes, terminates, rewinds, restarts and purges
//! instances; raises events; signals, reads and lists entities; and makes the responses by which a client over HTTP follows
//! an orchestration.
//!
//! ```
//! use dacapo_sdk::prelude::*;
//!
//! # #[orchestrator] async fn order(ctx: Context, item: String) -> Result<()> { Ok(()) }
//! #[http_trigger(route = "orders", methods = ["POST"])]
//! fn place_order(ctx: TriggerContext, request: Request) -> Result<Response> {
//!     let id = ctx.client().start_orchestration::<order>(request.json()?).start()?;
//!     ctx.client().create_check_status_response(&id)
//! }
//!
//! #[http_trigger(route = "orders/{id}/approval", methods = ["PUT"])]
//! fn approve(ctx: TriggerContext, request: Request) -> Result<()> {
//!     let id = request.params().get("id").unwrap_or_default();
//!     ctx.client().raise_event(id, "Approval", &true)
//! }
//!
//! dacapo_sdk::app!(order, place_order, approve);
//! # fn main() {}
//! ```
//!
//! # What an orchestrator can wait for
//!
//! | | |
//! |---|---|
//! | an activity, with or without a [`RetryPolicy`] | [`Context::call_activity`] |
//! | another orchestration | [`Context::call_sub_orchestrator`] |
//! | an operation of an entity | [`Context::entity`], [`Context::call_entity`] |
//! | a lock on entities | [`Context::lock`] |
//! | an HTTP request, and the work that it starts | [`Context::call_http`] |
//! | a duration, or a point in time | [`Context::create_timer`], [`Context::create_timer_at`] |
//! | an event from outside, with or without a [timeout](EventWait::timeout) | [`Context::wait_for_external_event`] |
//! | several of them | [`when_all`], [`when_any`] |
//!
//! All of these are futures, [lazy](Task) like every future in Rust, so `join!`, `select!`, `FuturesUnordered` and the
//! rest of the crate `futures` work as usual. The [`prelude`] has `join!`, `try_join!` and `select!`. This `select!` is
//! `futures::select_biased!`, which polls its branches in order rather than in a random order. The task that completed
//! first wins a race. A future from elsewhere, such as the timer of an async runtime, would never be woken: an
//! orchestrator that waits only for such futures fails with `NothingToWaitFor`.
//!
//! # Inputs, outputs, failures
//!
//! A function takes one input or none, and returns `T` or `Result<T, E>`. Inputs and outputs are any types that `serde`
//! supports, and are passed as JSON. An activity may take its [`ActivityContext`] as its first parameter, and may be a
//! plain `fn`. The attributes leave the function as it is, so that tests can call it, and add a *type* of the same name,
//! which represents the function in [`Context::call_activity`] and in [`app!`]. The host knows a function by its Rust
//! name, or by the name in `#[activity(name = "SayHello")]`. Functions of other apps, in other languages, are called by
//! name: [`Context::call_activity_named`].
//!
//! A [`Failure`] has a type, which callers match on, a message, details, and a flag that says whether a retry may help.
//! `?` converts any error to a failure. An input that cannot be read is the failure `InvalidInput`; a panic is the
//! failure `Panic`, with its location in the details.
//!
//! # Tests
//!
//! Activities, triggers and the methods of entities are plain functions, so tests can call them. The module `testing` runs
//! orchestrators against a script, without a host, and skips the time that they wait. Its `ScriptedClient` is a task hub for
//! triggers and activities, which records what their client asks of it.
//!
//! # The manifest
//!
//! [`manifest!`] puts a name, a version and the grants that the app asks for into the deployed file.
//!
//! # Features
//!
//! - `files`: the module `files`, with which activities read the directories that the operator granted.
//! - `http`: the module `http`, with which activities send requests to the hosts that the operator allowed.

#![warn(missing_docs)]

// The macros expand to paths that begin with `dacapo_sdk`, also in the tests of this crate.
#[cfg(test)]
extern crate self as dacapo_sdk;

#[cfg(not(target_family = "wasm"))]
mod action;
mod activity;
mod app;
mod base64;
mod bindings;
mod client;
mod client_call;
mod context;
mod entity;
mod entity_call;
mod entity_id;
mod executor;
mod exports;
mod failure;
mod fields;
#[cfg(feature = "files")]
pub mod files;
mod function;
mod host;
#[cfg(feature = "http")]
pub mod http;
mod http_call;
mod level;
mod management;
mod multipart;
mod random;
mod request;
mod response;
mod retry;
#[cfg(not(target_family = "wasm"))]
mod scripted_client;
#[cfg(not(target_family = "wasm"))]
mod scripted_host;
mod status;
mod task;
#[cfg(not(target_family = "wasm"))]
pub mod testing;
mod timestamp;
mod trigger;
mod wasm_host;
mod when;

#[cfg(test)]
mod tests;

pub use activity::ActivityContext;
pub use client::{Client, OrchestrationStart};
pub use context::{Context, DetachedStart};
/// Makes a `fn` or an `async fn` an activity: a function that does real work and runs at least once.
///
/// It takes its [`ActivityContext`], an input, both in this order, or nothing, and returns `T` or `Result<T, E>` with
/// any `E` that converts to a [`Failure`]. The function itself stays as it is; a type of the same name is added. A
/// function without a parameter for the input ignores the input of the call.
///
/// ```
/// use dacapo_sdk::prelude::*;
///
/// #[activity]
/// fn area((width, height): (f64, f64)) -> f64 {
///     width * height
/// }
///
/// #[activity(name = "Parse")]
/// async fn parse(ctx: ActivityContext, text: String) -> Result<i64> {
///     ctx.log_info(format!("attempt {}", ctx.attempt()));
///     Ok(text.trim().parse()?)
/// }
///
/// assert_eq!(area((2.0, 3.0)), 6.0);
/// ```
pub use dacapo_sdk_macros::activity;
/// Makes a type an entity: durable state, and operations that run one after another.
///
/// On an `impl` block each method is an operation. The state is the value itself. Its type implements `Serialize`,
/// `Deserialize` and `Default`, which is the initial state. A method takes `&self` or `&mut self`, optionally a reference
/// to its [`EntityContext`], and an input or none, and returns `T` or `Result<T, E>` with any `E` that converts to a
/// [`Failure`]. One that fails changes nothing. Methods that are not operations belong in another `impl` block.
///
/// The name is that of the type, or `#[entity(name = "...")]`. Names of operations are compared ignoring case; an unknown
/// one is the failure `OperationNotFound`. Without a method `delete`, an operation of that name deletes the state.
///
/// ```
/// use dacapo_sdk::prelude::*;
///
/// #[derive(Default, Serialize, Deserialize)]
/// struct Counter {
///     value: i64,
/// }
///
/// #[entity]
/// impl Counter {
///     fn add(&mut self, amount: i64) -> i64 {
///         self.value += amount;
///         self.value
///     }
///
///     fn get(&self) -> i64 {
///         self.value
///     }
///
///     fn reset_at(&self, ctx: &EntityContext, at: Timestamp) -> Result<()> {
///         ctx.signal_entity_at(ctx.entity_id(), "delete", &(), at)
///     }
/// }
///
/// let mut counter = Counter::default();
/// assert_eq!(counter.add(2), 2);
/// ```
///
/// On a function: it is called for every operation, and its second parameter is the state:
///
/// ```
/// use dacapo_sdk::prelude::*;
///
/// #[entity]
/// fn counter(ctx: &EntityContext, value: &mut i64) -> Result<i64> {
///     match ctx.operation_name() {
///         "add" => *value += ctx.input::<i64>()?,
///         "get" => {}
///         "reset" => ctx.delete_on_exit(),
///         _ => return Err(ctx.operation_not_found()),
///     }
///     Ok(*value)
/// }
/// ```
///
/// Orchestrators call an entity with [`Context::entity`], which returns a proxy with its operations as methods, or with
/// [`Context::call_entity`] and related methods.
pub use dacapo_sdk_macros::entity;
/// Makes a `fn` or an `async fn` an event grid trigger: it runs for each event that is posted to the webhook of the task hub,
/// or for each of a kind that its code picks out.
///
/// It takes its [`TriggerContext`], the event and its [outputs](Output), each if it wants it and in this order. The event is an
/// [`EventGridEvent`], or any other type that the JSON of an event can be read as. The trigger returns nothing or a
/// `Result<(), E>`; the event is posted again if it fails. The name is that of the function, or `name = "..."`.
///
/// ```
/// use dacapo_sdk::prelude::*;
///
/// # #[orchestrator] async fn order(ctx: Context, item: String) -> Result<()> { Ok(()) }
/// #[event_grid_trigger]
/// fn on_shop_event(ctx: TriggerContext, event: EventGridEvent<Value>) -> Result<()> {
///     if event.event_type == "Shop.OrderPlaced" {
///         let item = event.data["item"].as_str().unwrap_or_default();
///         ctx.client().start_orchestration::<order>(item.to_owned()).instance_id(event.id).start()?;
///     }
///     Ok(())
/// }
///
/// dacapo_sdk::app!(order, on_shop_event);
/// # fn main() {}
/// ```
pub use dacapo_sdk_macros::event_grid_trigger;
/// Makes a `fn` or an `async fn` an event hub trigger: it runs for the events of an event hub.
///
/// The first argument of the attribute is the name of the hub. The trigger takes its [`TriggerContext`], the events and its
/// [outputs](Output), each if it wants it and in this order. A `Vec<EventHubEvent<T>>` is a batch of [events](EventHubEvent);
/// with an `EventHubEvent<T>` each call has one. The trigger returns nothing or a `Result<(), E>`; if it fails, the events are
/// delivered again. The name is that of the function, or `name = "..."`.
///
/// ```
/// use dacapo_sdk::prelude::*;
///
/// #[event_hub_trigger("readings")]
/// fn add_up(ctx: TriggerContext, readings: Vec<EventHubEvent<f64>>) -> Result<()> {
///     let sum: f64 = readings.iter().map(|reading| reading.body).sum();
///     ctx.client().signal_entity(&EntityId::new("Meter", "all"), "add", &sum)
/// }
///
/// dacapo_sdk::app!(add_up);
/// # fn main() {}
/// ```
pub use dacapo_sdk_macros::event_hub_trigger;
/// Makes a `fn` or an `async fn` an HTTP trigger: it runs for each request on its route, and answers it.
///
/// It takes its [`TriggerContext`], a [`Request`] and its [outputs](Output), each if it wants it and in this order. It returns
/// what implements [`IntoResponse`], or a `Result` with that and any `E` that converts to a [`Failure`]: a [`Response`], a text,
/// [`Json`], a JSON [`Value`] or nothing. A failure `BadRequest` is answered with 400 and its message, any other with 500.
///
/// The arguments of the attribute, all optional:
///
/// - `route = "orders/{id:int}"`: the path after the host's prefix, which is `api` by default. Without it: the name.
/// - `methods = ["GET", "POST"]`: the methods that are served. Without it: all.
/// - `auth_level = "anonymous"`: needs no key. `"function"`, the default, needs a key of the task hub; `"admin"`, one that
///   administers it.
/// - `name = "..."`: the name. Without it: that of the function.
///
/// ```
/// use dacapo_sdk::prelude::*;
///
/// # #[orchestrator] async fn order(ctx: Context, item: String) -> Result<()> { Ok(()) }
/// #[http_trigger(route = "orders", methods = ["POST"])]
/// fn place_order(ctx: TriggerContext, request: Request) -> Result<Response> {
///     let id = ctx.client().start_orchestration::<order>(request.json()?).start()?;
///     ctx.client().create_check_status_response(&id)
/// }
///
/// #[http_trigger(route = "orders/{id}", methods = ["GET"], auth_level = "anonymous")]
/// async fn show_order(ctx: TriggerContext, request: Request) -> Result<Response> {
///     let id = request.params().get("id").unwrap_or_default();
///     match ctx.client().get_status(id)? {
///         Some(status) => Response::new(200).json(&json!({ "order": id, "status": status.runtime_status })),
///         None => Ok(Response::new(404).text(format!("there is no order {id}"))),
///     }
/// }
///
/// #[http_trigger(auth_level = "anonymous")]
/// fn hello() -> &'static str {
///     "Hello!"
/// }
///
/// dacapo_sdk::app!(order, place_order, show_order, hello);
/// # fn main() {}
/// ```
pub use dacapo_sdk_macros::http_trigger;
/// Makes a `fn` or an `async fn` a manual trigger: it runs when an operator says so.
///
/// It takes its [`TriggerContext`], an input and its [outputs](Output), each if it wants it and in this order. A `String` is the
/// text that the operator gave, any other type is read from JSON. The trigger returns nothing or a `Result<(), E>`. The name
/// is that of the function, or `name = "..."`.
///
/// ```
/// use dacapo_sdk::prelude::*;
/// use dacapo_sdk::{InstanceFilter, RuntimeStatus};
///
/// #[manual_trigger(name = "RewindAll")]
/// fn rewind_all(ctx: TriggerContext, reason: String) -> Result<()> {
///     for failed in ctx.client().instances(InstanceFilter::new().runtime_status(RuntimeStatus::Failed)) {
///         ctx.client().rewind(&failed?.instance_id, &reason)?;
///     }
///     Ok(())
/// }
///
/// dacapo_sdk::app!(rewind_all);
/// # fn main() {}
/// ```
pub use dacapo_sdk_macros::manual_trigger;
/// Makes an `async fn` an orchestrator: a durable function.
///
/// It takes its [`Context`] and an input, or the context alone, and returns `T` or `Result<T, E>` with any `E` that
/// converts to a [`Failure`]. A type of the same name is added, which represents it in calls.
///
/// ```
/// use dacapo_sdk::prelude::*;
///
/// #[orchestrator(name = "Remind")]
/// async fn remind(ctx: Context, at: Timestamp) -> Result<()> {
///     ctx.create_timer_at(at).await?;
///     ctx.call_activity_named("Ring", &()).await
/// }
/// ```
pub use dacapo_sdk_macros::orchestrator;
/// Makes a `fn` or an `async fn` a queue trigger: it runs for each message of a queue.
///
/// The first argument of the attribute is the name of the queue. The trigger takes its [`TriggerContext`], a message and its
/// [outputs](Output), each if it wants it and in this order. A `String` is the text of the message, any other type is read from
/// JSON; [`QueueMessage`] has what the queue knows, too. The trigger returns nothing or a `Result<(), E>`; if it fails, the
/// message is delivered again later, a few times, and then goes to the poison queue. What it has started is not started
/// again. The name is that of the function, or `name = "..."`.
///
/// ```
/// use dacapo_sdk::prelude::*;
///
/// #[derive(Serialize, Deserialize)]
/// struct Order {
///     item: String,
/// }
///
/// # #[orchestrator] async fn ship(ctx: Context, order: Order) -> Result<()> { Ok(()) }
/// #[queue_trigger("orders")]
/// fn take_order(ctx: TriggerContext, order: Order, #[queue_output("letters")] letters: &mut Output<String>) -> Result<()> {
///     letters.send(format!("{} is on its way", order.item));
///     ctx.client().start_orchestration::<ship>(order).start().map(drop)
/// }
///
/// dacapo_sdk::app!(ship, take_order);
/// # fn main() {}
/// ```
pub use dacapo_sdk_macros::queue_trigger;
/// Makes a `fn` or an `async fn` a timer trigger: it runs on a schedule.
///
/// The first argument of the attribute is the schedule: six fields from the second to the day of the week, five from the
/// minute, or a time span such as `"00:05:00"`. The trigger takes its [`TriggerContext`], a [`TimerInfo`] and its
/// [outputs](Output), each if it wants it and in this order, and returns nothing or a `Result<(), E>`.
///
/// Further arguments: `run_on_startup = true` runs it when the host starts, too; `use_monitor = false` does not make up for an
/// occurrence that was missed while the host was not running; `name = "..."` is the name, which otherwise is that of the
/// function.
///
/// ```
/// use dacapo_sdk::prelude::*;
/// use dacapo_sdk::InstanceFilter;
///
/// #[timer_trigger("0 0 3 * * *", run_on_startup = false)]
/// fn purge_old(ctx: TriggerContext, timer: TimerInfo) -> Result<()> {
///     let Some(tomorrow) = timer.schedule_status.and_then(|status| status.next) else { return Ok(()) };
///     let old = InstanceFilter::new()
///         .created_time_from(Timestamp::from_millis(0))
///         .created_time_to(tomorrow - Duration::from_secs(31 * 86_400));
///     let removed = ctx.client().purge_instances(&old)?;
///     ctx.log_info(format!("{removed} instances are removed"));
///     Ok(())
/// }
///
/// dacapo_sdk::app!(purge_old);
/// # fn main() {}
/// ```
pub use dacapo_sdk_macros::timer_trigger;
pub use entity::EntityContext;
pub use entity_call::{Entity, EntityCall, EntityLock, EntityProxy, LockRequest};
pub use entity_id::{EntityId, ParseEntityIdError};
pub use failure::{Failure, Result};
pub use fields::Fields;
pub use function::{Activity, Orchestrator};
pub use host::Parent;
pub use http_call::{HttpRequest, HttpResponse};
pub use level::Level;
pub use management::ManagementLinks;
pub use multipart::FormPart;
pub use random::{Random, RandomRange};
pub use request::Request;
pub use response::{IntoResponse, Json, Response};
pub use retry::RetryPolicy;
/// Any JSON.
pub use serde_json::{Value, json};
pub use status::{
    EntityFilter, EntityPage, EntityStatus, InstanceFilter, InstancePage, OrchestrationStatus, RuntimeStatus, StatusOptions,
};
pub use task::{ActivityCall, EventWait, EventWithTimeout, SubOrchestratorCall, Task, Timer};
pub use timestamp::{ParseTimestampError, Timestamp};
pub use trigger::{EventGridEvent, EventHubEvent, Output, QueueMessage, ScheduleStatus, TimerInfo, TriggerContext};
pub use when::{when_all, when_any};

/// The standard library's allocator grows the memory for its first allocation. For short-lived instances this costs nearly as
/// much as the rest of the run, because the kernel must make the pages accessible and later inaccessible again. This allocator
/// first uses the memory behind the data of the module, where `dacapo build` tells the linker to leave space.
#[cfg(all(feature = "allocator", target_family = "wasm"))]
#[global_allocator]
static HEAP: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;

/// The items that nearly every app needs: `use dacapo_sdk::prelude::*;`
///
/// ```
/// use dacapo_sdk::prelude::*;
///
/// #[orchestrator]
/// async fn either(ctx: Context) -> Result<&'static str> {
///     let mut event = ctx.wait_for_external_event::<()>("Go");
///     let mut timer = ctx.create_timer(Duration::from_secs(60));
///     select! {
///         _ = event => Ok("the event came"),
///         _ = timer => Ok("a minute is over"),
///     }
/// }
/// ```
pub mod prelude {
    pub use std::time::Duration;

    pub use futures_util::{join, select_biased as select, try_join};
    pub use serde::{Deserialize, Serialize};

    pub use crate::{
        ActivityContext, Client, Context, EntityContext, EntityId, EventGridEvent, EventHubEvent, Failure, HttpRequest, Json,
        Level, Output, QueueMessage, Request, Response, Result, RetryPolicy, TimerInfo, Timestamp, TriggerContext, Value,
        activity, entity, event_grid_trigger, event_hub_trigger, http_trigger, json, manual_trigger, orchestrator, queue_trigger,
        timer_trigger, when_all, when_any,
    };
}

/// The items that the expanded macros use. Not part of the API.
#[doc(hidden)]
pub mod __private {
    pub use crate::app::{Entry, Registered};
    pub use crate::bindings::generated;
    pub use crate::entity::DispatchOperation;
    pub use crate::exports::{describe, describe_triggers, run_activity, run_entity_operation, run_orchestrator, run_trigger};
    pub use crate::function::{Fallible, decode_input, encode_output};
    pub use crate::trigger::{Outputs, TriggerInput, conclude, kind, respond};
    pub use serde::Serialize;
    pub use serde::de::DeserializeOwned;
}

/// Makes an app of durable functions: generates the exports with which the host finds and runs them. Once per crate.
///
/// ```
/// use dacapo_sdk::prelude::*;
///
/// #[orchestrator]
/// async fn greet(ctx: Context, name: String) -> Result<String> {
///     ctx.call_activity::<say_hello>(name).await
/// }
///
/// #[activity]
/// fn say_hello(name: String) -> String {
///     format!("Hello, {name}!")
/// }
///
/// dacapo_sdk::app!(greet, say_hello);
/// # fn main() {}
/// ```
#[macro_export]
macro_rules! app {
    ($($function:ty),* $(,)?) => {
        const _: () = {
            use $crate::__private::generated::{
                ActivityCall, EntityOperation, EntityResult, Failure, Function, Guest, Trigger, TriggerCall,
            };

            fn entries() -> ::std::vec::Vec<$crate::__private::Entry> {
                ::std::vec![$(<$function as $crate::__private::Registered>::entry()),*]
            }

            // Natively nothing is exported; this use of the functions avoids warnings about dead code.
            const _: fn() -> ::std::vec::Vec<$crate::__private::Entry> = entries;

            #[allow(dead_code)]
            struct App;

            impl Guest for App {
                fn describe() -> ::std::vec::Vec<Function> {
                    $crate::__private::describe(&entries())
                }

                fn run_orchestrator(
                    name: ::std::string::String,
                    input: ::std::string::String,
                ) -> ::std::result::Result<::std::string::String, Failure> {
                    $crate::__private::run_orchestrator(&entries(), &name, input)
                }

                fn run_activity(call: ActivityCall) -> ::std::result::Result<::std::string::String, Failure> {
                    $crate::__private::run_activity(&entries(), call)
                }

                fn run_entity_operation(operation: EntityOperation) -> ::std::result::Result<EntityResult, Failure> {
                    $crate::__private::run_entity_operation(&entries(), operation)
                }

                fn describe_triggers() -> ::std::vec::Vec<Trigger> {
                    $crate::__private::describe_triggers(&entries())
                }

                fn run_trigger(call: TriggerCall) -> ::std::result::Result<::std::string::String, Failure> {
                    $crate::__private::run_trigger(&entries(), call)
                }
            }

            #[cfg(target_family = "wasm")]
            $crate::__private::generated::export_app!(App with_types_in $crate::__private::generated);
        };
    };
}

/// Embeds a manifest in the app: its name, its version and the grants that it asks for. At most once per crate.
///
/// The argument is the path of a JSON file, relative to the folder of the crate's `Cargo.toml`. All members are optional:
///
/// ```json
/// {
///   "name": "file-index",
///   "version": "1.2",
///   "grants": {
///     "outbound": ["https://api.example.org"],
///     "directories": [{ "guest": "/data", "writable": false }],
///     "environment": ["MODE"],
///     "secrets": ["API_KEY"],
///     "client": "read"
///   }
/// }
/// ```
///
/// `name` and `version` are the defaults of `dacapo deploy` for the name of the app and the label of this version. `grants`
/// is what the app asks for: its activities and triggers can access what is both listed here and granted by the administrator.
/// Without `grants` they can access everything that is granted. `client` is what they may do with the durable [`Client`]: `none`,
/// `read` or `operate`.
///
/// ```
/// dacapo_sdk::manifest!("src/example_manifest.json");
/// # fn main() {}
/// ```
#[macro_export]
macro_rules! manifest {
    ($path:literal) => {
        const _: () = {
            // A native build only checks that the file exists.
            const MANIFEST: &[u8] = ::core::include_bytes!(::core::concat!(::core::env!("CARGO_MANIFEST_DIR"), "/", $path));

            #[cfg(target_family = "wasm")]
            #[unsafe(link_section = "dacapo:manifest")]
            #[used]
            static SECTION: [u8; MANIFEST.len()] =
                *::core::include_bytes!(::core::concat!(::core::env!("CARGO_MANIFEST_DIR"), "/", $path));
        };
    };
}
