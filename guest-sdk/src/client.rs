//! The durable client: what activities and triggers may ask of their task hub.

use std::fmt::Display;
#[cfg(not(target_family = "wasm"))]
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::bindings::client as imports;
use crate::client_call::ClientCall;
use crate::entity_id::EntityId;
use crate::failure::{Failure, Result};
use crate::function::{Orchestrator, to_json};
use crate::management::ManagementLinks;
use crate::response::Response;
#[cfg(not(target_family = "wasm"))]
use crate::scripted_client::{ScriptedHub, unsupported};
use crate::status::{
    EntityFilter, EntityPage, EntityStatus, InstanceFilter, InstancePage, OrchestrationStatus, RuntimeStatus, StatusOptions,
};
use crate::timestamp::Timestamp;

/// The durable client: starts orchestrations, and reads and operates the instances and entities of the app's own task hub.
/// From [`TriggerContext::client`](crate::TriggerContext::client) and
/// [`ActivityContext::client`](crate::ActivityContext::client).
///
/// The administrator of the task hub grants it: a call that is not granted fails with `NotGranted`. Further failures, beside
/// those of each method: `InstanceNotFound`; `InstanceEnded`, for a message to an instance that has ended;
/// `InvalidArgument`; `LimitExceeded`; `Unavailable`, for example because the disk is full.
///
/// ```no_run
/// use dacapo_sdk::prelude::*;
///
/// # #[orchestrator] async fn order(ctx: Context, item: String) -> Result<()> { Ok(()) }
/// #[http_trigger(route = "orders", methods = ["POST"])]
/// fn place_order(ctx: TriggerContext, request: Request) -> Result<Response> {
///     let id = ctx.client().start_orchestration::<order>(request.json()?).start()?;
///     ctx.client().create_check_status_response(&id)
/// }
/// ```
///
/// Tests use the client of a `testing::ScriptedClient`, which records the calls.
#[derive(Clone, Debug)]
pub struct Client {
    hub: Hub,
}

/// Who answers the client.
#[derive(Clone, Debug)]
enum Hub {
    Host,
    #[cfg(not(target_family = "wasm"))]
    Scripted(Arc<Mutex<ScriptedHub>>),
    /// In a test that has no use for the client.
    #[cfg(not(target_family = "wasm"))]
    Nobody,
}

impl Client {
    pub(crate) const fn live() -> Self {
        Self { hub: Hub::Host }
    }

    #[cfg(not(target_family = "wasm"))]
    pub(crate) fn scripted(hub: Arc<Mutex<ScriptedHub>>) -> Self {
        Self { hub: Hub::Scripted(hub) }
    }

    #[cfg(not(target_family = "wasm"))]
    pub(crate) const fn of_nobody() -> Self {
        Self { hub: Hub::Nobody }
    }

    /// No host runs a test's function.
    #[cfg(target_family = "wasm")]
    pub(crate) const fn of_nobody() -> Self {
        Self::live()
    }

    /// Makes a call: with `live` on a host, of the test double with `seen`. Each method passes its own import, so that an app
    /// imports only what it calls.
    fn ask<T: DeserializeOwned>(
        &self,
        what: impl Display,
        live: impl FnOnce() -> Result<Answer<T>>,
        seen: impl FnOnce() -> ClientCall,
    ) -> Result<T> {
        let answer = match &self.hub {
            Hub::Host => live()?,
            #[cfg(not(target_family = "wasm"))]
            Hub::Scripted(hub) => {
                Answer::Json(hub.lock().expect("no answer of the script has panicked").call(seen())?.to_string())
            }
            #[cfg(not(target_family = "wasm"))]
            Hub::Nobody => return Err(unsupported()),
        };
        #[cfg(target_family = "wasm")]
        drop(seen);
        match answer {
            Answer::Value(value) => Ok(value),
            Answer::Json(json) => read(what, &json),
        }
    }
}

enum Answer<T> {
    Value(T),
    Json(String),
}

/// Reads JSON of the host.
fn read<T: DeserializeOwned>(what: impl Display, json: &str) -> Result<T> {
    serde_json::from_str(json).map_err(|error| {
        let message = format!("the host's answer cannot be read as {what}: {error}");
        Failure::new("InvalidOutput", message).details(json).not_retriable()
    })
}

/// Orchestrations.
impl Client {
    /// Starts an orchestration.
    ///
    /// ```no_run
    /// # use dacapo_sdk::prelude::*;
    /// # #[orchestrator] async fn order(ctx: Context, item: String) -> Result<()> { Ok(()) }
    /// # fn example(ctx: TriggerContext) -> Result<()> {
    /// let id = ctx.client().start_orchestration::<order>("a lamp".to_owned()).instance_id("order-17").start()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn start_orchestration<O: Orchestrator>(&self, input: O::Input) -> OrchestrationStart<'_>
    where
        O::Input: Serialize,
    {
        self.start_orchestration_named(O::NAME, &input)
    }

    /// Starts an orchestration by name.
    ///
    /// ```no_run
    /// # use dacapo_sdk::prelude::*;
    /// # fn example(ctx: TriggerContext) -> Result<()> {
    /// let id = ctx.client().start_orchestration_named("SendSurvey", &"ada").start()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn start_orchestration_named(&self, name: &str, input: &impl Serialize) -> OrchestrationStart<'_> {
        OrchestrationStart {
            client: self,
            name: name.to_owned(),
            input: to_json(input),
            instance_id: None,
            version: None,
            start_at: None,
        }
    }

    /// Returns the status of an instance, with its input and without its history; none if there is no such instance.
    ///
    /// ```no_run
    /// # use dacapo_sdk::prelude::*;
    /// # fn example(ctx: TriggerContext) -> Result<()> {
    /// let is_known = ctx.client().get_status("order-17")?.is_some();
    /// # Ok(())
    /// # }
    /// ```
    pub fn get_status(&self, instance_id: &str) -> Result<Option<OrchestrationStatus>> {
        self.get_status_with(instance_id, &StatusOptions::default())
    }

    /// Returns the status of an instance with or without its input and history.
    ///
    /// ```no_run
    /// # use dacapo_sdk::prelude::*;
    /// # use dacapo_sdk::StatusOptions;
    /// # fn example(ctx: TriggerContext) -> Result<()> {
    /// let order = ctx.client().get_status_with("order-17", &StatusOptions::new().show_history(true))?;
    /// let events = order.and_then(|order| order.history).unwrap_or_default();
    /// # Ok(())
    /// # }
    /// ```
    pub fn get_status_with(&self, instance_id: &str, options: &StatusOptions) -> Result<Option<OrchestrationStatus>> {
        self.ask(
            format_args!("the status of '{instance_id}'"),
            || imports::get_status(instance_id, &to_json(options)?).map(Answer::Json),
            || ClientCall::GetStatus { instance_id: instance_id.to_owned(), options: options.clone() },
        )
    }

    /// Lists one page of the instances that match. [`instances`](Client::instances) lists all of them.
    ///
    /// ```no_run
    /// # use dacapo_sdk::prelude::*;
    /// # use dacapo_sdk::InstanceFilter;
    /// # fn example(ctx: TriggerContext, request: Request) -> Result<()> {
    /// let mut filter = InstanceFilter::new().function_name("order").top(10);
    /// if let Some(token) = request.query().get("after") {
    ///     filter = filter.continuation_token(token);
    /// }
    /// let page = ctx.client().list_instances(&filter)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn list_instances(&self, filter: &InstanceFilter) -> Result<InstancePage> {
        self.ask(
            "a page of instances",
            || imports::list_instances(&to_json(filter)?).map(Answer::Json),
            || ClientCall::ListInstances { filter: filter.clone() },
        )
    }

    /// Lists all instances that match, and asks for each page when it is needed.
    ///
    /// ```no_run
    /// # use dacapo_sdk::prelude::*;
    /// # use dacapo_sdk::{InstanceFilter, RuntimeStatus};
    /// # fn example(ctx: TriggerContext) -> Result<()> {
    /// for failed in ctx.client().instances(InstanceFilter::new().runtime_status(RuntimeStatus::Failed)) {
    ///     ctx.client().rewind(&failed?.instance_id, "the service is back")?;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn instances(&self, filter: InstanceFilter) -> impl Iterator<Item = Result<OrchestrationStatus>> {
        let mut filter = filter;
        pages(move |token| {
            filter.continuation_token = token.or(filter.continuation_token.take());
            self.list_instances(&filter).map(|page| (page.instances, page.continuation_token))
        })
    }

    /// Raises an external event for an instance. Returns once it is durable.
    ///
    /// ```no_run
    /// # use dacapo_sdk::prelude::*;
    /// # fn example(ctx: TriggerContext) -> Result<()> {
    /// ctx.client().raise_event("order-17", "Approval", &true)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn raise_event(&self, instance_id: &str, name: &str, data: &impl Serialize) -> Result<()> {
        let data = to_json(data)?;
        self.ask(
            "nothing",
            || imports::raise_event(instance_id, name, &data).map(Answer::Value),
            || ClientCall::RaiseEvent { instance_id: instance_id.to_owned(), name: name.to_owned(), data: value(&data) },
        )
    }

    /// Ends an instance. Its sub-orchestrations go on.
    ///
    /// ```no_run
    /// # use dacapo_sdk::prelude::*;
    /// # fn example(ctx: TriggerContext) -> Result<()> {
    /// ctx.client().terminate("order-17", "the customer has left")?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn terminate(&self, instance_id: &str, reason: &str) -> Result<()> {
        self.ask(
            "nothing",
            || imports::terminate(instance_id, reason).map(Answer::Value),
            || ClientCall::Terminate { instance_id: instance_id.to_owned(), reason: reason.to_owned() },
        )
    }

    /// Suspends an instance: its messages wait until it is resumed. Does nothing if it is suspended.
    ///
    /// ```no_run
    /// # use dacapo_sdk::prelude::*;
    /// # fn example(ctx: TriggerContext) -> Result<()> {
    /// ctx.client().suspend("order-17", "the stock is being counted")?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn suspend(&self, instance_id: &str, reason: &str) -> Result<()> {
        self.ask(
            "nothing",
            || imports::suspend(instance_id, reason).map(Answer::Value),
            || ClientCall::Suspend { instance_id: instance_id.to_owned(), reason: reason.to_owned() },
        )
    }

    /// Resumes an instance. Does nothing if it is not suspended.
    ///
    /// ```no_run
    /// # use dacapo_sdk::prelude::*;
    /// # fn example(ctx: TriggerContext) -> Result<()> {
    /// ctx.client().resume("order-17", "the stock is counted")?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn resume(&self, instance_id: &str, reason: &str) -> Result<()> {
        self.ask(
            "nothing",
            || imports::resume(instance_id, reason).map(Answer::Value),
            || ClientCall::Resume { instance_id: instance_id.to_owned(), reason: reason.to_owned() },
        )
    }

    /// Brings a failed instance back to the state before its failure; what has succeeded is not run again. Fails with
    /// `NotRewindable` if the instance has not failed.
    ///
    /// ```no_run
    /// # use dacapo_sdk::prelude::*;
    /// # fn example(ctx: TriggerContext) -> Result<()> {
    /// ctx.client().rewind("order-17", "the service is back")?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn rewind(&self, instance_id: &str, reason: &str) -> Result<()> {
        self.ask(
            "nothing",
            || imports::rewind(instance_id, reason).map(Answer::Value),
            || ClientCall::Rewind { instance_id: instance_id.to_owned(), reason: reason.to_owned() },
        )
    }

    /// Starts an orchestration anew with its recorded input, under an id that the host generates and that is returned.
    ///
    /// ```no_run
    /// # use dacapo_sdk::prelude::*;
    /// # fn example(ctx: TriggerContext) -> Result<()> {
    /// let new_id = ctx.client().restart("order-17")?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn restart(&self, instance_id: &str) -> Result<String> {
        self.restart_with(instance_id, None)
    }

    /// Starts an orchestration anew under an id of your choice, which no instance may have that goes on. The same id replaces an
    /// instance that has ended.
    ///
    /// ```no_run
    /// # use dacapo_sdk::prelude::*;
    /// # fn example(ctx: TriggerContext) -> Result<()> {
    /// ctx.client().restart_as("order-17", "order-17")?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn restart_as(&self, instance_id: &str, new_instance_id: &str) -> Result<String> {
        self.restart_with(instance_id, Some(new_instance_id))
    }

    fn restart_with(&self, instance_id: &str, new_id: Option<&str>) -> Result<String> {
        self.ask(
            "the id of an instance",
            || imports::restart(instance_id, new_id).map(Answer::Value),
            || ClientCall::Restart { instance_id: instance_id.to_owned(), new_instance_id: new_id.map(str::to_owned) },
        )
    }

    /// Removes every trace of an instance that has ended, or of an entity. Returns whether there was one. Fails with
    /// `InstanceNotEnded` if it goes on.
    ///
    /// ```no_run
    /// # use dacapo_sdk::prelude::*;
    /// # fn example(ctx: TriggerContext) -> Result<()> {
    /// let was_there = ctx.client().purge("order-17")?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn purge(&self, instance_id: &str) -> Result<bool> {
        self.ask(
            "whether there was an instance",
            || imports::purge(instance_id).map(Answer::Value),
            || ClientCall::Purge { instance_id: instance_id.to_owned() },
        )
    }

    /// Removes all instances that match and have ended. Returns how many. The filter needs a
    /// [`created_time_from`](InstanceFilter::created_time_from), and has no page.
    ///
    /// ```no_run
    /// # use dacapo_sdk::prelude::*;
    /// # use dacapo_sdk::{InstanceFilter, RuntimeStatus};
    /// # fn example(ctx: TriggerContext, now: Timestamp) -> Result<()> {
    /// let old = InstanceFilter::new()
    ///     .created_time_from(Timestamp::from_millis(0))
    ///     .created_time_to(now - Duration::from_secs(30 * 86_400))
    ///     .runtime_status(RuntimeStatus::Completed);
    /// let removed = ctx.client().purge_instances(&old)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn purge_instances(&self, filter: &InstanceFilter) -> Result<u32> {
        self.ask(
            "a number of instances",
            || imports::purge_instances(&to_json(filter)?).map(Answer::Value),
            || ClientCall::PurgeInstances { filter: filter.clone() },
        )
    }

    /// Waits until an instance has ended, but no longer than `timeout`, and returns its status then; none if there is no such
    /// instance.
    ///
    /// ```no_run
    /// # use dacapo_sdk::prelude::*;
    /// # fn example(ctx: TriggerContext) -> Result<()> {
    /// match ctx.client().wait_for_completion("order-17", Duration::from_secs(10))? {
    ///     Some(order) if order.runtime_status.is_ended() => ctx.log_info("it has ended"),
    ///     _ => ctx.log_info("it goes on"),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn wait_for_completion(&self, instance_id: &str, timeout: Duration) -> Result<Option<OrchestrationStatus>> {
        self.wait(instance_id, timeout)
    }

    fn wait<T: DeserializeOwned>(&self, instance_id: &str, timeout: Duration) -> Result<T> {
        self.ask(
            format_args!("the status of '{instance_id}'"),
            || imports::wait_for_completion(instance_id, timeout).map(Answer::Json),
            || ClientCall::WaitForCompletion { instance_id: instance_id.to_owned(), timeout },
        )
    }
}

/// Queues.
impl Client {
    /// Puts messages into a queue: a text as it is, anything else as JSON. Returns once they are durable. A message waits until an
    /// app has a trigger for its queue.
    ///
    /// If the call of the activity or trigger is repeated, the messages that it has put are not put again.
    ///
    /// ```no_run
    /// # use dacapo_sdk::prelude::*;
    /// # fn example(ctx: TriggerContext) -> Result<()> {
    /// ctx.client().enqueue("orders", ["a lamp", "a desk"])?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn enqueue<M: Serialize>(&self, queue: &str, messages: impl IntoIterator<Item = M>) -> Result<()> {
        self.put(queue, messages, None)
    }

    /// Puts messages into a queue that are not delivered before `at`.
    ///
    /// ```no_run
    /// # use dacapo_sdk::prelude::*;
    /// # fn example(ctx: TriggerContext) -> Result<()> {
    /// ctx.client().enqueue_at("reminders", [json!({ "order": 17 })], "2030-01-01T00:00:00Z".parse()?)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn enqueue_at<M: Serialize>(&self, queue: &str, messages: impl IntoIterator<Item = M>, at: Timestamp) -> Result<()> {
        self.put(queue, messages, Some(at))
    }

    fn put<M: Serialize>(&self, queue: &str, messages: impl IntoIterator<Item = M>, deliver_at: Option<Timestamp>) -> Result<()> {
        let messages = messages.into_iter().map(|message| to_text(&message)).collect::<Result<Vec<String>>>()?;
        self.ask(
            "nothing",
            || imports::enqueue(queue, &messages, deliver_at).map(Answer::Value),
            || ClientCall::Enqueue { queue: queue.to_owned(), messages: messages.clone(), deliver_at },
        )
    }
}

/// The text of a message.
fn to_text(message: &impl Serialize) -> Result<String> {
    let json = to_json(message)?;
    match json.starts_with('"') {
        true => read("a text", &json),
        false => Ok(json),
    }
}

/// Entities.
impl Client {
    /// Sends a one-way operation to an entity. Returns once it is durable.
    ///
    /// ```no_run
    /// # use dacapo_sdk::prelude::*;
    /// # fn example(ctx: TriggerContext) -> Result<()> {
    /// ctx.client().signal_entity(&EntityId::new("Counter", "clicks"), "add", &2)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn signal_entity(&self, entity: &EntityId, operation: &str, input: &impl Serialize) -> Result<()> {
        self.signal(entity, operation, to_json(input)?, None)
    }

    /// Sends a one-way operation that does not run before `at`.
    ///
    /// ```no_run
    /// # use dacapo_sdk::prelude::*;
    /// # fn example(ctx: TriggerContext) -> Result<()> {
    /// ctx.client().signal_entity_at(&EntityId::new("Counter", "clicks"), "reset", &(), "2030-01-01T00:00:00Z".parse()?)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn signal_entity_at(&self, entity: &EntityId, operation: &str, input: &impl Serialize, at: Timestamp) -> Result<()> {
        self.signal(entity, operation, to_json(input)?, Some(at))
    }

    fn signal(&self, entity: &EntityId, operation: &str, input: String, deliver_at: Option<Timestamp>) -> Result<()> {
        self.ask(
            "nothing",
            || imports::signal_entity(entity, operation, &input, deliver_at).map(Answer::Value),
            || ClientCall::SignalEntity {
                entity: entity.clone(),
                operation: operation.to_owned(),
                input: value(&input),
                deliver_at,
            },
        )
    }

    /// Returns the state of an entity; none if there is no such entity, or it has no state.
    ///
    /// ```no_run
    /// # use dacapo_sdk::prelude::*;
    /// # fn example(ctx: TriggerContext) -> Result<()> {
    /// let clicks: Option<u64> = ctx.client().read_entity(&EntityId::new("Counter", "clicks"))?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn read_entity<T: DeserializeOwned>(&self, entity: &EntityId) -> Result<Option<T>> {
        self.ask(
            format_args!("the state of {entity}, a {}", std::any::type_name::<T>()),
            || Ok(imports::read_entity(entity)?.map_or(Answer::Value(None), Answer::Json)),
            || ClientCall::ReadEntity { entity: entity.clone() },
        )
    }

    /// Lists one page of the entities that match. [`entities`](Client::entities) lists all of them.
    ///
    /// ```no_run
    /// # use dacapo_sdk::prelude::*;
    /// # use dacapo_sdk::EntityFilter;
    /// # fn example(ctx: TriggerContext) -> Result<()> {
    /// let page = ctx.client().list_entities(&EntityFilter::new().entity_name("counter").top(10))?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn list_entities(&self, filter: &EntityFilter) -> Result<EntityPage> {
        self.ask(
            "a page of entities",
            || imports::list_entities(&to_json(filter)?).map(Answer::Json),
            || ClientCall::ListEntities { filter: filter.clone() },
        )
    }

    /// Lists all entities that match, and asks for each page when it is needed.
    ///
    /// ```no_run
    /// # use dacapo_sdk::prelude::*;
    /// # use dacapo_sdk::EntityFilter;
    /// # fn example(ctx: TriggerContext) -> Result<()> {
    /// let counters = ctx.client().entities(EntityFilter::new().entity_name("counter")).collect::<Result<Vec<_>>>()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn entities(&self, filter: EntityFilter) -> impl Iterator<Item = Result<EntityStatus>> {
        let mut filter = filter;
        pages(move |token| {
            filter.continuation_token = token.or(filter.continuation_token.take());
            self.list_entities(&filter).map(|page| (page.entities, page.continuation_token))
        })
    }
}

/// Answers over HTTP.
impl Client {
    /// Returns the links for managing an instance over HTTP. Fails with `Unavailable` on a host without an address.
    ///
    /// ```no_run
    /// # use dacapo_sdk::prelude::*;
    /// # fn example(ctx: TriggerContext) -> Result<()> {
    /// let status = ctx.client().management_links("order-17")?.status_query_get_uri;
    /// # Ok(())
    /// # }
    /// ```
    pub fn management_links(&self, instance_id: &str) -> Result<ManagementLinks> {
        self.ask(
            format_args!("the links of '{instance_id}'"),
            || imports::links(instance_id).map(Answer::Json),
            || ClientCall::ManagementLinks { instance_id: instance_id.to_owned() },
        )
    }

    /// Makes the response of an HTTP trigger that has started an instance: 202 with the links in the body, and headers that tell
    /// the client where to ask for the status, and when.
    ///
    /// ```no_run
    /// # use dacapo_sdk::prelude::*;
    /// # #[orchestrator] async fn order(ctx: Context, item: String) -> Result<()> { Ok(()) }
    /// #[http_trigger]
    /// fn place_order(ctx: TriggerContext, request: Request) -> Result<Response> {
    ///     let id = ctx.client().start_orchestration::<order>(request.json()?).start()?;
    ///     ctx.client().create_check_status_response(&id)
    /// }
    /// ```
    pub fn create_check_status_response(&self, instance_id: &str) -> Result<Response> {
        let links = self.management_links(instance_id)?;
        let response = Response::new(202).header("location", &*links.status_query_get_uri).header("retry-after", "10");
        response.json(&links)
    }

    /// Waits until an instance has ended, but no longer than `timeout`, and makes the response of an HTTP trigger: 200 with the
    /// output if it has completed, 500 with its status if it has failed, 200 with its status if it was terminated, and if it goes on
    /// the response of [`create_check_status_response`](Client::create_check_status_response). 404 if there is no such instance.
    ///
    /// ```no_run
    /// # use dacapo_sdk::prelude::*;
    /// # #[orchestrator] async fn order(ctx: Context, item: String) -> Result<()> { Ok(()) }
    /// #[http_trigger]
    /// fn place_order(ctx: TriggerContext, request: Request) -> Result<Response> {
    ///     let id = ctx.client().start_orchestration::<order>(request.json()?).start()?;
    ///     ctx.client().wait_for_completion_or_create_check_status_response(&id, Duration::from_secs(10))
    /// }
    /// ```
    pub fn wait_for_completion_or_create_check_status_response(&self, instance_id: &str, timeout: Duration) -> Result<Response> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Ended {
            runtime_status: RuntimeStatus,
            output: Box<RawValue>,
        }
        // What goes into the response stays as the host has written it.
        let status: Box<RawValue> = self.wait(instance_id, timeout)?;
        let ended: Option<Ended> = read(format_args!("the status of '{instance_id}'"), status.get())?;
        let Some(Ended { runtime_status, output }) = ended else {
            return Ok(Response::new(404));
        };
        match runtime_status {
            RuntimeStatus::Completed => Response::new(200).json(&output),
            RuntimeStatus::Failed => Response::new(500).json(&status),
            ended if ended.is_ended() => Response::new(200).json(&status),
            _ => self.create_check_status_response(instance_id),
        }
    }
}

/// The start of an orchestration by an activity or trigger. Made by [`Client::start_orchestration`].
///
/// ```no_run
/// # use dacapo_sdk::prelude::*;
/// # fn example(ctx: TriggerContext) -> Result<()> {
/// ctx.client().start_orchestration_named("SendSurvey", &"ada").instance_id("survey-ada").version("2.0").start()?;
/// # Ok(())
/// # }
/// ```
#[must_use = "nothing happens before `start`"]
pub struct OrchestrationStart<'a> {
    client: &'a Client,
    name: String,
    input: Result<String>,
    instance_id: Option<String>,
    version: Option<String>,
    start_at: Option<Timestamp>,
}

impl OrchestrationStart<'_> {
    /// Sets the instance id. Without one the host derives it from this call of the activity or trigger.
    ///
    /// ```no_run
    /// # use dacapo_sdk::prelude::*;
    /// # fn example(ctx: TriggerContext) -> Result<()> {
    /// ctx.client().start_orchestration_named("SendSurvey", &"ada").instance_id("survey-ada").start()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn instance_id(mut self, id: impl Into<String>) -> Self {
        self.instance_id = Some(id.into());
        self
    }

    /// Sets the version that the orchestration asks for.
    ///
    /// ```no_run
    /// # use dacapo_sdk::prelude::*;
    /// # fn example(ctx: TriggerContext) -> Result<()> {
    /// ctx.client().start_orchestration_named("SendSurvey", &"ada").version("2.0").start()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn version(mut self, label: impl Into<String>) -> Self {
        self.version = Some(label.into());
        self
    }

    /// Sets when the orchestration begins; until then it is `Pending`.
    ///
    /// ```no_run
    /// # use dacapo_sdk::prelude::*;
    /// # fn example(ctx: TriggerContext) -> Result<()> {
    /// ctx.client().start_orchestration_named("SendSurvey", &"ada").start_at("2030-01-01T08:00:00Z".parse()?).start()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn start_at(mut self, at: Timestamp) -> Self {
        self.start_at = Some(at);
        self
    }

    /// Starts the orchestration and returns its instance id once the start is durable. If the call of the activity or trigger
    /// is repeated, after a crash or because a message is delivered again, orchestrations that it has started are not started
    /// again.
    ///
    /// Fails with `OrchestratorNotFound`, `InstanceAlreadyExists` (a live instance with this id was not started by this call),
    /// `VersionMismatch`, `LimitExceeded`, `InvalidArgument`, `NotGranted` or `Unavailable`.
    ///
    /// ```no_run
    /// # use dacapo_sdk::prelude::*;
    /// # fn example(ctx: TriggerContext) -> Result<()> {
    /// match ctx.client().start_orchestration_named("SendSurvey", &"ada").instance_id("survey-ada").start() {
    ///     Err(failure) if failure.is("InstanceAlreadyExists") => ctx.log_info("it is under way"),
    ///     started => drop(started?),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn start(self) -> Result<String> {
        let Self { client, name, input, instance_id, version, start_at } = self;
        let input = input?;
        let (id, label) = (instance_id.as_deref(), version.as_deref());
        client.ask(
            "the id of an instance",
            || imports::start_orchestration(&name, &input, id, label, start_at).map(Answer::Value),
            || ClientCall::StartOrchestration {
                name: name.clone(),
                input: value(&input),
                instance_id: instance_id.clone(),
                version: version.clone(),
                start_at,
            },
        )
    }
}

/// Parses JSON that this crate has written.
fn value(json: &str) -> Value {
    serde_json::from_str(json).expect("it was written as JSON")
}

/// Goes through all pages of a list. `fetch` gets the token of the page before.
fn pages<T>(mut fetch: impl FnMut(Option<String>) -> Result<(Vec<T>, Option<String>)>) -> impl Iterator<Item = Result<T>> {
    let mut page = Vec::new().into_iter();
    let mut token = None;
    let mut is_last = false;
    std::iter::from_fn(move || {
        loop {
            if let Some(item) = page.next() {
                return Some(Ok(item));
            }
            if is_last {
                return None;
            }
            match fetch(token.take()) {
                Ok((items, next)) => {
                    is_last = next.is_none();
                    (page, token) = (items.into_iter(), next);
                }
                Err(failure) => {
                    is_last = true;
                    return Some(Err(failure));
                }
            }
        }
    })
}
