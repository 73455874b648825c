//! Write durable orchestrations for Dacapo in Rust.
//!
//! An **orchestrator** is an `async fn` that says what happens in which order. The host writes down each step, so an
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
//! Such a crate is a `cdylib`; `dacapo new hello --language rust` makes one. It is built, deployed and started by
//!
//! ```text
//! dacapo build
//! dacapo deploy hello.wasm
//! dacapo start-new hello_sequence --input '["Tokyo", "Seattle"]'
//! ```
//!
//! # How it runs
//!
//! When an orchestrator awaits something that has not happened yet, it is put to sleep, and may be forgotten. When it
//! goes on, the host may run it *again from the beginning*, handing it what it has recorded. So an orchestrator must do
//! the same each time, and it can: its only way out of the sandbox is its [`Context`], and all that this gives is the
//! same again on replay, [the time](Context::current_utc_date_time), [chance](Context::random) and
//! [unique ids](Context::new_guid) included. Whatever else a program does belongs into an activity.
//!
//! An activity runs at least once: twice, if the machine stops after its work and before that is written down.
//! [`ActivityContext`] has what an idempotency key is made of. The orchestrations that an activity
//! [starts](ActivityContext::start_orchestration) are started once all the same.
//!
//! # Entities
//!
//! An **entity** is durable state with operations that run one after another: a counter, an account, a device. The
//! attribute [`#[entity]`](entity) makes one from a type and its methods. There is one for each key, from its first
//! operation on. Orchestrators [call](Context::entity), signal (one way) and [lock](Context::lock) entities; entities and
//! clients signal them. An operation never waits, and one that fails changes nothing.
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
//! # What an orchestrator can wait for
//!
//! | | |
//! |---|---|
//! | an activity, with or without a [`RetryPolicy`] | [`Context::call_activity`] |
//! | another orchestration | [`Context::call_sub_orchestrator`] |
//! | an operation of an entity | [`Context::entity`], [`Context::call_entity`] |
//! | a lock on entities | [`Context::lock`] |
//! | an HTTP request, and the work that it starts | [`Context::call_http`] |
//! | a moment | [`Context::create_timer`], [`Context::create_timer_at`] |
//! | an event from outside, with or without a [timeout](EventWait::timeout) | [`Context::wait_for_external_event`] |
//! | several of them | [`when_all`], [`when_any`] |
//!
//! All of these are futures, [lazy](Task) as every future in Rust, so `join!`, `select!`, `FuturesUnordered` and the
//! rest of the crate `futures` work as they do anywhere. The [`prelude`] has `join!`, `try_join!` and `select!`; that one
//! is `futures::select_biased!`, which looks at its branches in their order, because an orchestrator has no use for a
//! random one. A race is won by what completed first. What is not a future of this crate, such as the timer of some async
//! runtime, has nobody who would wake it: an orchestrator that waits only for such fails with `NothingToWaitFor`.
//!
//! # Inputs, outputs, failures
//!
//! A function takes one input or none, and returns `T` or `Result<T, E>`. Input and output are any types of `serde`; on
//! the wire they are JSON. An activity takes its [`ActivityContext`] first, if it wants it, and may be a plain `fn`. The
//! attributes leave the function as it is, for tests to call, and add a *type* of the same name, which stands for the
//! function in [`Context::call_activity`] and in [`app!`]. A function is known to the host by its Rust name, or by
//! `#[activity(name = "SayHello")]`. Functions of other apps, in other languages, are called by name:
//! [`Context::call_activity_named`].
//!
//! A [`Failure`] has a type, which callers match on, a message, details, and says whether a retry may help. `?` makes one
//! of any error. An input that cannot be read is the failure `InvalidInput`; a panic is the failure `Panic`, with the
//! place in its details.
//!
//! # Tests
//!
//! Activities and the methods of entities are tested as what they are, functions. The module `testing` runs orchestrators
//! against a script, without a host and in no time.
//!
//! # What it says of itself
//!
//! [`manifest!`] puts a name, a version and what the app asks to reach into the file that is deployed.
//!
//! # Features
//!
//! - `files`: the module `files`, by which activities read the directories that the operator granted.
//! - `http`: the module `http`, by which activities call the hosts that the operator allowed.

#![warn(missing_docs)]

// In the tests here the macros name the crate as its users do.
#[cfg(test)]
extern crate self as dacapo_sdk;

#[cfg(not(target_family = "wasm"))]
mod action;
mod activity;
mod app;
mod bindings;
mod context;
mod entity;
mod entity_call;
mod entity_id;
mod executor;
mod exports;
mod failure;
#[cfg(feature = "files")]
pub mod files;
mod function;
mod host;
#[cfg(feature = "http")]
pub mod http;
mod http_call;
mod level;
mod management;
mod random;
mod retry;
#[cfg(not(target_family = "wasm"))]
mod scripted_host;
mod task;
#[cfg(not(target_family = "wasm"))]
pub mod testing;
mod timestamp;
mod wasm_host;
mod when;

#[cfg(test)]
mod tests;

pub use activity::ActivityContext;
pub use context::{Context, DetachedStart};
/// Makes a `fn` or an `async fn` an activity: a function that does real work, at least once.
///
/// It takes its [`ActivityContext`], an input, both in this order, or nothing, and returns `T` or `Result<T, E>` with
/// any `E` that becomes a [`Failure`]. The function itself stays as it is; a type of the same name is added. A function
/// without an input ignores what it is given.
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
/// On an `impl` block each method is an operation. The state is the value itself, of a type of `serde` that has a
/// `Default`, with which it begins; on the wire it is JSON. A method takes `&self` or `&mut self`, its [`EntityContext`]
/// by reference if it wants it, and an input or none, and returns `T` or `Result<T, E>` with any `E` that becomes a
/// [`Failure`]. One that fails changes nothing. Methods that are no operations belong into another `impl` block.
///
/// The name is that of the type, or `#[entity(name = "...")]`. Operations are found ignoring case; one that is unknown is
/// the failure `OperationNotFound`. Without a method `delete` there is an operation of that name, which deletes the state.
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
/// On a function, it is called with every operation, and its second parameter is the state:
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
/// Orchestrators reach an entity by [`Context::entity`], which gives a proxy with its operations as methods, or by
/// [`Context::call_entity`] and its kin.
pub use dacapo_sdk_macros::entity;
/// Makes an `async fn` an orchestrator: a function that is durable.
///
/// It takes its [`Context`] and an input, or the context alone, and returns `T` or `Result<T, E>` with any `E` that
/// becomes a [`Failure`]. A type of the same name is added, which stands for it in calls.
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
pub use entity::EntityContext;
pub use entity_call::{Entity, EntityCall, EntityLock, EntityProxy, LockRequest};
pub use entity_id::{EntityId, ParseEntityIdError};
pub use failure::{Failure, Result};
pub use function::{Activity, Orchestrator};
pub use host::Parent;
pub use http_call::{HttpRequest, HttpResponse};
pub use level::Level;
pub use management::{ActivityStart, ManagementLinks};
pub use random::{Random, RandomRange};
pub use retry::RetryPolicy;
pub use task::{ActivityCall, EventWait, EventWithTimeout, SubOrchestratorCall, Task, Timer};
pub use timestamp::{ParseTimestampError, Timestamp};
pub use when::{when_all, when_any};

/// The standard library's allocator lets memory grow for its first allocation. Instances live so short that this costs nearly
/// as much as all else that they do: the host has the kernel make it accessible, and inaccessible again. This allocator first
/// takes what lies behind the data of the module, where `dacapo build` has the linker leave room.
#[cfg(all(feature = "allocator", target_family = "wasm"))]
#[global_allocator]
static HEAP: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;

/// What nearly every app needs: `use dacapo_sdk::prelude::*;`
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
        ActivityContext, Context, EntityContext, EntityId, Failure, HttpRequest, Level, Result, RetryPolicy, Timestamp, activity,
        entity, orchestrator, when_all, when_any,
    };
}

/// What the macros expand to. Not part of the API.
#[doc(hidden)]
pub mod __private {
    pub use crate::app::{Entry, Registered};
    pub use crate::bindings::generated;
    pub use crate::entity::DispatchOperation;
    pub use crate::exports::{describe, run_activity, run_entity_operation, run_orchestrator};
    pub use crate::function::{Fallible, decode_input, encode_output};
    pub use serde::Serialize;
    pub use serde::de::DeserializeOwned;
}

/// Makes an app of durable functions: the exports by which the host finds and runs them. Once per crate.
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
            use $crate::__private::generated::{ActivityCall, EntityOperation, EntityResult, Failure, Function, Guest};

            fn entries() -> ::std::vec::Vec<$crate::__private::Entry> {
                ::std::vec![$(<$function as $crate::__private::Registered>::entry()),*]
            }

            // Natively nothing is exported; what the app holds is in use all the same.
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
            }

            #[cfg(target_family = "wasm")]
            $crate::__private::generated::export_app!(App with_types_in $crate::__private::generated);
        };
    };
}

/// Puts a manifest into the app: what it says of itself to whoever deploys it. Once per crate, if at all.
///
/// The path is that of a JSON file, from the folder of the crate's `Cargo.toml`. All members may be missing:
///
/// ```json
/// {
///   "name": "file-index",
///   "version": "1.2",
///   "grants": {
///     "outbound": ["https://api.example.org"],
///     "directories": [{ "guest": "/data", "writable": false }],
///     "environment": ["MODE"],
///     "secrets": ["API_KEY"]
///   }
/// }
/// ```
///
/// `name` and `version` are what the app and this version of it are called, if `dacapo deploy` is told nothing else.
/// `grants` is what the app asks for: its activities reach that as far as the administrator grants it, and nothing else.
/// Without `grants` they reach all that is granted.
///
/// ```
/// dacapo_sdk::manifest!("src/example_manifest.json");
/// # fn main() {}
/// ```
#[macro_export]
macro_rules! manifest {
    ($path:literal) => {
        const _: () = {
            // Natively only that there is such a file is checked.
            const MANIFEST: &[u8] = ::core::include_bytes!(::core::concat!(::core::env!("CARGO_MANIFEST_DIR"), "/", $path));

            #[cfg(target_family = "wasm")]
            #[unsafe(link_section = "dacapo:manifest")]
            #[used]
            static SECTION: [u8; MANIFEST.len()] =
                *::core::include_bytes!(::core::concat!(::core::env!("CARGO_MANIFEST_DIR"), "/", $path));
        };
    };
}
