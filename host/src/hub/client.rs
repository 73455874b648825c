//! The durable client of activities and triggers.

use std::future::{pending, ready};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock, Weak};

use dacapo_core::guest::{ClientCall, ClientFuture, ClientMessage, ClientQuery, GuestMemory, HubClient, Start, StartFuture};
use dacapo_core::{Event, ExecutionId, Failure, InstanceId, Once, Row, Seq};
use uuid::Uuid;

use crate::hub::activity::memory::RunMemory;
use crate::hub::error::HubError;
use crate::hub::hub_core::{Hub, HubCore};
use crate::hub::mailbox::Posting;
use crate::hub::operations::instance::{NewId, RestartRequest, StartRequest};

/// The messages that one call may send. The name of each is kept until the call cannot be repeated any more.
const MESSAGES_OF_A_CALL: u32 = 100_000;

/// Answers the queries of clients whose parameters and results are the JSON of the management API, which implements this.
pub trait QueryApi: Send + Sync {
    fn query(self: Arc<Self>, hub: Hub, query: ClientQuery) -> ClientFuture;
}

/// The management API of a host, once there is one. It is set once, and does not keep the API in memory.
#[derive(Clone, Default)]
pub struct Queries(Arc<OnceLock<Weak<dyn QueryApi>>>);

impl Queries {
    pub fn set(&self, api: Weak<dyn QueryApi>) {
        // A host has one API.
        let _ = self.0.set(api);
    }

    fn api(&self) -> Option<Arc<dyn QueryApi>> {
        self.0.get().and_then(Weak::upgrade)
    }
}

/// The client of one call of a function. As far as the function is deterministic, all runs of a call start the same in the same
/// order, so the ids of what they start are derived from the call.
pub(in crate::hub) struct Caller {
    hub: Arc<HubCore>,
    execution: ExecutionId,
    seq: Seq,
    starts: AtomicU32,
    restarts: AtomicU32,
    messages: AtomicU32,
    /// None: it is not repeated.
    call: Option<RepeatableCall>,
    memory: RunMemory,
}

/// A call that is repeated if the host crashes, or if it fails.
#[derive(Debug, Clone, Copy)]
pub(in crate::hub) struct RepeatableCall {
    /// The instance that waits for it.
    pub caller: Row,
    pub seq: Seq,
}

impl RepeatableCall {
    /// The name of a message that it sends, by the id of the message.
    pub fn once(self, id: Uuid) -> Once {
        Once { caller: self.caller, call: self.seq, id }
    }
}

impl Caller {
    /// `execution` and `seq` identify the call.
    pub fn new(hub: Arc<HubCore>, execution: ExecutionId, seq: Seq, memory: RunMemory) -> Self {
        let (starts, restarts, messages) = Default::default();
        Self { hub, execution, seq, starts, restarts, messages, call: None, memory }
    }

    /// Its messages are delivered once, although the call may be repeated.
    pub fn of(self, call: RepeatableCall) -> Self {
        Self { call: Some(call), ..self }
    }

    /// Takes the numbers of the next messages. Returns the first. `LimitExceeded`
    fn numbers(&self, count: usize) -> Result<u32, Failure> {
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        let first = self.messages.try_update(Ordering::Relaxed, Ordering::Relaxed, |first| {
            first.checked_add(count).filter(|next| *next <= MESSAGES_OF_A_CALL)
        });
        first.map_err(|_| {
            let why = format!("one call of a function may send {MESSAGES_OF_A_CALL} messages: send the others from another call");
            Failure::permanent(Failure::LIMIT_EXCEEDED, why)
        })
    }

    /// The name of the next message.
    fn next(&self) -> Result<Option<Once>, Failure> {
        let number = self.numbers(1)?;
        Ok(self.call.map(|call| call.once(ExecutionId::of_message(self.execution, self.seq, number).0)))
    }

    /// Names messages that are put into a queue.
    fn named(&self, texts: Vec<String>) -> Result<Vec<(Uuid, String)>, Failure> {
        let first = self.numbers(texts.len())?;
        let name = |number| ExecutionId::of_message(self.execution, self.seq, number).0;
        Ok((first..).zip(texts).map(|(number, text)| (name(number), text)).collect())
    }
}

impl HubClient for Caller {
    fn start_orchestration(&self, start: Start) -> StartFuture {
        let number = self.starts.fetch_add(1, Ordering::Relaxed);
        Box::pin(self.hub.clone().start_once(ExecutionId::of_start(self.execution, self.seq, number), start))
    }

    fn call(&self, call: ClientCall) -> ClientFuture {
        let hub = Hub::of(&self.hub);
        match call {
            ClientCall::Message { to, message } => {
                let once = match self.next() {
                    Ok(once) => once,
                    Err(failure) => return Box::pin(ready(Err(failure))),
                };
                answer(async move { hub.message(&to, message, once).await.map(|()| None) })
            }
            ClientCall::Restart { id, new_id } => {
                let number = self.restarts.fetch_add(1, Ordering::Relaxed);
                let execution = ExecutionId::of_restart(self.execution, self.seq, number);
                answer(async move {
                    let new_id = match new_id {
                        None => NewId::Generated,
                        Some(new_id) if new_id == id => NewId::Same,
                        Some(new_id) => NewId::Chosen(new_id),
                    };
                    let restarted = hub.restart_once(execution, RestartRequest { id, new_id, version: None }).await?;
                    Ok(Some(restarted.to_string()))
                })
            }
            ClientCall::Purge { id } => answer(async move {
                match hub.purge(&id).await {
                    Ok(0) | Err(HubError::NotFound(_)) => Ok(None),
                    Ok(_) => Ok(Some(String::new())),
                    Err(error) => Err(error),
                }
            }),
            ClientCall::Enqueue { queue, messages, deliver_at } => {
                let (messages, call) = match self.named(messages) {
                    Ok(named) => (named, self.call),
                    Err(failure) => return Box::pin(ready(Err(failure))),
                };
                answer(async move { hub.0.enqueue_named(&queue, messages, deliver_at, call).await.map(|()| None) })
            }
            ClientCall::ReadEntity { id } => answer(async move {
                let state = hub.read(move |hub| hub.entity_state(&id)).await?;
                Ok(state.map(|state| state.to_string()))
            }),
            ClientCall::Query(query) => match hub.0.queries.api() {
                Some(api) => api.query(hub, query),
                None => {
                    let why = "this host answers no queries: it does not serve HTTP";
                    Box::pin(ready(Err(Failure::permanent(Failure::UNAVAILABLE, why))))
                }
            },
        }
    }

    fn memory(&self) -> Box<dyn GuestMemory> {
        Box::new(self.memory.of_guest())
    }
}

impl Hub {
    /// `once`: its name, if it is not to be delivered again.
    async fn message(&self, to: &InstanceId, message: ClientMessage, once: Option<Once>) -> Result<(), HubError> {
        // Before the instance is looked at: it may have ended since.
        if once.is_some_and(|once| matches!(self.0.store.has_taken(&once), Ok(true))) {
            return Ok(());
        }
        let posting = Posting { once, ..Posting::default() };
        match message {
            ClientMessage::RaiseEvent { name, data } => {
                self.check_event(to, &name, &data).await?;
                self.0.post_as(to, Event::EventRaised { name, data }, posting).await
            }
            ClientMessage::Terminate { reason } => self.terminate(to, &reason, false).await,
            ClientMessage::Suspend { reason } => match self.suspend(to, &reason).await {
                Err(HubError::AlreadySuspended(_)) => Ok(()),
                suspended => suspended,
            },
            ClientMessage::Resume { reason } => match self.resume(to, &reason).await {
                Err(HubError::NotSuspended(_)) => Ok(()),
                resumed => resumed,
            },
            ClientMessage::Rewind { reason } => self.rewind(to, &reason).await,
            ClientMessage::Signal { operation, input, deliver_at } => {
                self.check_signal(to, &input).await?;
                let event = Event::OperationRequested { operation, input, caller: None, deliver_at };
                self.0.post_as(to, event, posting).await
            }
        }
    }
}

/// Makes the future of a call.
fn answer(call: impl Future<Output = Result<Option<String>, HubError>> + Send + 'static) -> ClientFuture {
    Box::pin(async move { answered(call.await).await })
}

/// The call is dropped with the hub, without an outcome, and an activity runs again when the hub is opened again.
async fn answered<T>(done: Result<T, HubError>) -> Result<T, Failure> {
    match done {
        Err(HubError::ShuttingDown) => pending().await,
        done => done.map_err(failure_of),
    }
}

impl HubCore {
    async fn start_once(self: Arc<Self>, execution: ExecutionId, start: Start) -> Result<InstanceId, Failure> {
        let Start { name, input, instance, version, start_at } = start;
        let id = instance.unwrap_or_else(|| InstanceId::from_uuid(execution.0));
        if self.has_begun(&id, execution).map_err(failure_of)? {
            return Ok(id);
        }
        let started = self.start(execution, StartRequest { name, id: Some(id), input, version, start_at }).await;
        answered(started).await
    }

    /// Whether this execution has been started, even if it has continued as new or ended since.
    pub(in crate::hub) fn has_begun(&self, id: &InstanceId, execution: ExecutionId) -> Result<bool, HubError> {
        Ok(self.store.instance(id)?.is_some_and(|record| record.first_execution == execution))
    }
}

fn failure_of(error: HubError) -> Failure {
    let message = error.to_string();
    match error {
        HubError::UnknownOrchestrator { .. } => Failure::permanent(Failure::ORCHESTRATOR_NOT_FOUND, message),
        HubError::AlreadyExists { .. } => Failure::permanent(Failure::INSTANCE_ALREADY_EXISTS, message),
        HubError::NotFound(_) => Failure::permanent(Failure::INSTANCE_NOT_FOUND, message),
        HubError::Ended { .. } => Failure::permanent(Failure::INSTANCE_ENDED, message),
        HubError::NotTerminal { .. } => Failure::permanent(Failure::INSTANCE_NOT_ENDED, message),
        HubError::NotRewindable { .. } => Failure::permanent(Failure::NOT_REWINDABLE, message),
        HubError::UnknownEntity { .. } => Failure::permanent(Failure::ENTITY_NOT_FOUND, message),
        HubError::NotForEntities { .. } => Failure::permanent(Failure::INVALID_ARGUMENT, message),
        HubError::VersionMismatch(_) => Failure::permanent(Failure::VERSION_MISMATCH, message),
        HubError::TooLarge { .. } | HubError::InvalidPayload(_) => Failure::permanent(Failure::INVALID_ARGUMENT, message),
        HubError::Limit { .. } => Failure::retriable(Failure::LIMIT_EXCEEDED, message),
        _ => Failure::retriable(Failure::UNAVAILABLE, message),
    }
}
