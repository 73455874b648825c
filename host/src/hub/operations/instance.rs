//! Operations of clients on one instance. Everything that changes one goes through its mailbox.

use dacapo_core::{Event, ExecutionId, FunctionName, InstanceId, InstanceRecord, Once, Payload, RuntimeStatus, Timestamp};
use uuid::Uuid;

use crate::hub::error::HubError;
use crate::hub::hub_core::{Hub, HubCore};
use crate::hub::mailbox::{IfEnded, Posting};
use crate::hub::versions::catalog::Beginning;

/// What a client asks for when it starts an orchestration.
#[derive(Debug, Clone)]
pub struct StartRequest {
    pub name: FunctionName,
    /// None: the hub generates one.
    pub id: Option<InstanceId>,
    pub input: Payload,
    /// The version label; empty for none.
    pub version: String,
    /// It does not begin before then. None: at once.
    pub start_at: Option<Timestamp>,
}

/// A request to restart an orchestration.
#[derive(Debug, Clone)]
pub struct RestartRequest {
    pub id: InstanceId,
    pub new_id: NewId,
    /// The version label; none for that of the original.
    pub version: Option<String>,
}

/// The id under which an orchestration is restarted.
#[derive(Debug, Clone)]
pub enum NewId {
    Same,
    Generated,
    Chosen(InstanceId),
}

impl HubCore {
    /// Starts an orchestration with this execution id.
    pub(in crate::hub) async fn start(&self, execution: ExecutionId, request: StartRequest) -> Result<InstanceId, HubError> {
        self.start_where(execution, request, IfEnded::Replace).await
    }

    /// Starts a built-in orchestration.
    pub(in crate::hub) async fn start_built_in(
        &self,
        execution: ExecutionId,
        request: StartRequest,
        once: Option<Once>,
    ) -> Result<(), HubError> {
        self.begin(execution, request, Posting { once, ..Posting::default() }, |_| Ok(())).await.map(drop)
    }

    async fn start_where(&self, execution: ExecutionId, request: StartRequest, ended: IfEnded) -> Result<InstanceId, HubError> {
        let posting = Posting { ended, ..Posting::default() };
        self.begin(execution, request, posting, |beginning| self.catalog.require_start(beginning)).await
    }

    async fn begin(
        &self,
        execution: ExecutionId,
        request: StartRequest,
        posting: Posting,
        require: impl FnOnce(&Beginning<'_>) -> Result<(), HubError>,
    ) -> Result<InstanceId, HubError> {
        let StartRequest { name, id, input, version, start_at } = request;
        self.check_input(&input)?;
        self.check_storage()?;
        let _birth = self.begin_birth()?;
        let id = id.unwrap_or_else(|| InstanceId::from_uuid(execution.0));
        require(&Beginning { name: &name, id: &id, asked: &version, parent: None })?;
        let event = Event::ExecutionStarted { execution, name, input, version, parent: None, start_at };
        self.post_as(&id, event, posting).await?;
        Ok(id)
    }
}

impl Hub {
    /// Starts an orchestration; returns once that is durable.
    ///
    /// `UnknownOrchestrator`; `AlreadyExists` while an instance with this id lives: one that has ended is replaced.
    pub async fn start_new(&self, request: StartRequest) -> Result<InstanceId, HubError> {
        self.start_new_where(request, IfEnded::Replace).await
    }

    /// Like [`Self::start_new`]. `ended`: whether an instance with the id that has ended is replaced.
    pub async fn start_new_where(&self, request: StartRequest, ended: IfEnded) -> Result<InstanceId, HubError> {
        self.0.start_where(ExecutionId(Uuid::new_v4()), request, ended).await
    }

    /// Starts an orchestration anew with its recorded input. `NotFound`; `AlreadyExists` if the id is in use.
    pub async fn restart(&self, request: RestartRequest) -> Result<InstanceId, HubError> {
        self.restart_once(ExecutionId(Uuid::new_v4()), request).await
    }

    /// The same as this execution. If it has been started before, nothing happens.
    pub(in crate::hub) async fn restart_once(
        &self,
        execution: ExecutionId,
        request: RestartRequest,
    ) -> Result<InstanceId, HubError> {
        let RestartRequest { id, new_id, version } = request;
        refuse_entity(&id, "only orchestrations can be restarted")?;
        let to = match new_id {
            NewId::Same => id.clone(),
            NewId::Generated => InstanceId::from_uuid(execution.0),
            NewId::Chosen(id) => id,
        };
        let begun = to.clone();
        let original = self
            .read(move |hub| -> Result<_, HubError> {
                if hub.0.has_begun(&begun, execution)? {
                    return Ok(None);
                }
                let record = hub.instance(&id)?.ok_or(HubError::NotFound(id))?;
                let input = hub.input_of(&record)?;
                Ok(Some((record, input)))
            })
            .await?;
        let Some((record, input)) = original else { return Ok(to) };
        let input = input.unwrap_or_else(|| "null".into());
        let version = version.unwrap_or(record.version_label);
        self.0.start(execution, StartRequest { name: record.name, id: Some(to), input, version, start_at: None }).await
    }

    /// Raises an external event; returns once it is durable.
    pub async fn raise_event(&self, id: &InstanceId, name: &str, data: Payload) -> Result<(), HubError> {
        self.check_event(id, name, &data).await?;
        self.0.post(id, Event::EventRaised { name: name.into(), data }).await
    }

    pub(in crate::hub) async fn check_event(&self, id: &InstanceId, name: &str, data: &Payload) -> Result<(), HubError> {
        refuse_entity(id, "events are for orchestrations: signal it instead")?;
        self.0.check_input(data)?;
        if name.is_empty() {
            return Err(HubError::InvalidPayload("an external event must have a name".into()));
        }
        self.require_alive(id).await?;
        self.0.check_storage()
    }

    /// Ends an instance, and the sub-orchestrations that it waits for if `recurse`.
    pub async fn terminate(&self, id: &InstanceId, reason: &str, recurse: bool) -> Result<(), HubError> {
        refuse_entity(id, "cannot be terminated: delete it instead")?;
        self.require_alive(id).await?;
        self.0.post(id, Event::ExecutionTerminated { reason: reason.into(), recurse, parent: None }).await
    }

    /// Suspends an instance: its messages wait until it is resumed.
    pub async fn suspend(&self, id: &InstanceId, reason: &str) -> Result<(), HubError> {
        if self.living(id).await?.status == RuntimeStatus::Suspended {
            return Err(HubError::AlreadySuspended(id.clone()));
        }
        self.0.post(id, Event::ExecutionSuspended { reason: reason.into() }).await
    }

    /// Resumes a suspended instance; one that was halted continues on the active version of its app.
    pub async fn resume(&self, id: &InstanceId, reason: &str) -> Result<(), HubError> {
        if self.living(id).await?.status != RuntimeStatus::Suspended {
            return Err(HubError::NotSuspended(id.clone()));
        }
        self.0.post(id, Event::ExecutionResumed { reason: reason.into() }).await
    }

    /// Brings a failed instance back to the state before its failure, with the active version of its app; returns once
    /// that is durable. What succeeded is not run again; sub-orchestrations that failed are rewound too.
    ///
    /// `NotFound`, `NotRewindable`.
    pub async fn rewind(&self, id: &InstanceId, reason: &str) -> Result<(), HubError> {
        refuse_entity(id, "only orchestrations can be rewound")?;
        let record = self.existing(id).await?;
        if record.status != RuntimeStatus::Failed {
            return Err(HubError::NotRewindable { id: id.clone(), why: not_failed(record.status) });
        }
        self.0.post(id, Event::ExecutionRewound { reason: reason.into(), parent: None }).await
    }

    /// Sends a one-way operation to an entity; returns once it is durable, which is usually once it has been run.
    pub async fn signal_entity(
        &self,
        id: &InstanceId,
        operation: &str,
        input: Payload,
        deliver_at: Option<Timestamp>,
    ) -> Result<(), HubError> {
        self.check_signal(id, &input).await?;
        self.0.post(id, Event::OperationRequested { operation: operation.into(), input, caller: None, deliver_at }).await
    }

    pub(in crate::hub) async fn check_signal(&self, id: &InstanceId, input: &Payload) -> Result<(), HubError> {
        self.0.check_input(input)?;
        self.0.catalog.require_entity(id)?;
        self.0.check_storage()?;
        if let Err(full) = self.0.check_birth() {
            match self.existing(id).await {
                Err(HubError::NotFound(_)) => return Err(full),
                // It exists, so no instance is created.
                existing => drop(existing?),
            }
        }
        Ok(())
    }

    /// Waits until the instance has ended. Dropping the future stops the waiting.
    pub async fn wait(&self, id: &InstanceId) -> Result<InstanceRecord, HubError> {
        let waiter = self.0.waiters.register(id);
        // When its last turn is settled, the run queue is updated before the waiters, so the end is not missed.
        if !self.0.run_queue.is_alive(id) {
            let record = self.existing(id).await?;
            if record.status.is_terminal() {
                return Ok(record);
            }
        }
        waiter.ended().await.ok_or(HubError::ShuttingDown)
    }

    async fn existing(&self, id: &InstanceId) -> Result<InstanceRecord, HubError> {
        let id = id.clone();
        self.read(move |hub| hub.instance(&id)?.ok_or(HubError::NotFound(id))).await
    }

    /// `NotFound`, `Ended`
    pub async fn require_alive(&self, id: &InstanceId) -> Result<(), HubError> {
        if !self.0.run_queue.is_alive(id) {
            self.living(id).await?;
        }
        Ok(())
    }

    /// `NotFound`, `Ended`
    async fn living(&self, id: &InstanceId) -> Result<InstanceRecord, HubError> {
        let record = self.existing(id).await?;
        if record.status.is_terminal() {
            return Err(HubError::Ended { id: id.clone(), status: record.status });
        }
        Ok(record)
    }
}

fn refuse_entity(id: &InstanceId, what: &'static str) -> Result<(), HubError> {
    match id.is_entity() {
        true => Err(HubError::NotForEntities { id: id.clone(), what }),
        false => Ok(()),
    }
}

fn not_failed(status: RuntimeStatus) -> String {
    format!("only failed orchestrations can be, and it is {}", status.name())
}
