//! Executes Rust closures in place of wasm, so that the engine can be tested and simulated without it.

use std::collections::HashMap;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Poll, Waker};

use crate::entity::{Operation, OperationResult, SharedOperation};
use crate::execution::{Conditions, Execution, Stopped, TaskId, TaskOutcome};
use crate::guest::{
    ActivityCall, ActivityFuture, ClientCall, ClientFuture, EntityGuest, Executor, Guest, HubClient, NotNow, OperationError,
    SharedClient, SharedExecution, Start, StartError, StartFuture, Step,
};
use crate::{Failure, Payload, VersionId};

type GuestFuture = Pin<Box<dyn Future<Output = TaskOutcome> + Send>>;
type Orchestrator = Arc<dyn Fn(Handle) -> GuestFuture + Send + Sync>;
type Entity = Arc<dyn Fn(&Operation, &SharedOperation) -> Result<OperationResult, Failure> + Send + Sync>;
type Activity = Arc<dyn Fn(ActivityCall) -> TaskOutcome + Send + Sync>;

/// Functions by folded name, for every version that has no set of its own.
#[derive(Default, Clone)]
pub struct Scripted {
    orchestrators: HashMap<String, Orchestrator>,
    activities: HashMap<String, Activity>,
    entities: HashMap<String, Entity>,
    http: Option<Activity>,
    not_now: Option<NotNow>,
    versions: HashMap<VersionId, Scripted>,
    conditions: Arc<Conditions>,
}

impl Scripted {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn orchestrator<F, R>(mut self, name: &str, run: F) -> Self
    where
        F: Fn(Handle) -> R + Send + Sync + 'static,
        R: Future<Output = TaskOutcome> + Send + 'static,
    {
        self.orchestrators.insert(crate::id::fold(name), Arc::new(move |handle| Box::pin(run(handle))));
        self
    }

    pub fn activity(mut self, name: &str, run: impl Fn(ActivityCall) -> TaskOutcome + Send + Sync + 'static) -> Self {
        self.activities.insert(crate::id::fold(name), Arc::new(run));
        self
    }

    pub fn entity(
        mut self,
        name: &str,
        run: impl Fn(&Operation, &SharedOperation) -> Result<OperationResult, Failure> + Send + Sync + 'static,
    ) -> Self {
        self.entities.insert(crate::id::fold(name), Arc::new(run));
        self
    }

    /// Sets the function that answers HTTP requests.
    pub fn http(mut self, run: impl Fn(ActivityCall) -> TaskOutcome + Send + Sync + 'static) -> Self {
        self.http = Some(Arc::new(run));
        self
    }

    /// Makes every start of a guest fail with this reason.
    pub fn not_now(mut self, why: NotNow) -> Self {
        self.not_now = Some(why);
        self
    }

    /// Uses other functions for one version.
    pub fn version(mut self, version: VersionId, functions: Scripted) -> Self {
        self.versions.insert(version, functions);
        self
    }

    /// Sets the current configuration.
    pub fn set_conditions(&mut self, conditions: Conditions) {
        self.conditions = Arc::new(conditions);
    }

    fn of(&self, version: VersionId) -> &Scripted {
        self.versions.get(&version).unwrap_or(self)
    }

    fn check(&self) -> Result<(), NotNow> {
        self.not_now.map_or(Ok(()), Err)
    }
}

impl Executor for Scripted {
    fn start(&self, version: VersionId, execution: SharedExecution) -> Result<Box<dyn Guest>, StartError> {
        self.check()?;
        let handle = Handle(execution);
        let name = handle.with(|e| e.context().name.folded());
        let missing = || StartError::Unable(format!("no orchestrator '{name}' in {version}"));
        let orchestrator = self.of(version).orchestrators.get(&name).ok_or_else(missing)?;
        Ok(Box::new(ScriptedGuest(orchestrator(handle))))
    }

    fn conditions(&self, _version: VersionId) -> Arc<Conditions> {
        self.conditions.clone()
    }

    fn start_entity(&self, version: VersionId, scope: SharedOperation) -> Result<Box<dyn EntityGuest>, StartError> {
        self.check()?;
        let id = scope.lock().expect("a scripted entity panicked").entity.clone();
        let name = id.entity_name().map_or_else(String::new, |name| name.folded());
        let missing = || StartError::Unable(format!("no entity '{name}' in {version}"));
        let run = self.of(version).entities.get(&name).ok_or_else(missing)?;
        Ok(Box::new(ScriptedEntity { run: run.clone(), scope }))
    }

    fn run_http(&self, _caller: Option<VersionId>, call: ActivityCall) -> ActivityFuture {
        let answer = self.http.clone();
        Box::pin(async move {
            match answer {
                Some(run) => run(call),
                None => Err(Failure::retriable(Failure::HTTP_REQUEST_FAILED, "nothing answers")),
            }
        })
    }

    fn run_activity(&self, version: VersionId, call: ActivityCall, _client: SharedClient) -> ActivityFuture {
        let activity = self.of(version).activities.get(&call.name.folded()).cloned();
        Box::pin(async move {
            match activity {
                Some(run) => run(call),
                None => Err(Failure::permanent(Failure::ACTIVITY_NOT_FOUND, format!("no activity '{}'", call.name))),
            }
        })
    }
}

/// The client of a call that belongs to no task hub.
pub struct NoHub;

impl HubClient for NoHub {
    fn start_orchestration(&self, _start: Start) -> StartFuture {
        Box::pin(async { Err(Failure::retriable(Failure::UNAVAILABLE, "there is no task hub")) })
    }

    fn call(&self, _call: ClientCall) -> ClientFuture {
        Box::pin(async { Err(Failure::retriable(Failure::UNAVAILABLE, "there is no task hub")) })
    }
}

struct ScriptedGuest(GuestFuture);

impl Guest for ScriptedGuest {
    fn resume(&mut self) -> Step {
        match self.0.as_mut().poll(&mut std::task::Context::from_waker(Waker::noop())) {
            Poll::Ready(outcome) => Step::Ended(outcome),
            Poll::Pending => Step::Waiting,
        }
    }
}

struct ScriptedEntity {
    run: Entity,
    scope: SharedOperation,
}

impl EntityGuest for ScriptedEntity {
    fn run(&mut self, operation: &Operation) -> Result<OperationResult, OperationError> {
        Ok((self.run)(operation, &self.scope)?)
    }
}

/// A scripted orchestrator's handle of its execution.
#[derive(Clone)]
pub struct Handle(SharedExecution);

impl Handle {
    pub fn with<T>(&self, act: impl FnOnce(&mut Execution) -> T) -> T {
        act(&mut self.0.lock().expect("a scripted orchestrator panicked"))
    }

    pub fn input(&self) -> Payload {
        self.with(|e| e.context().input.clone())
    }

    /// Blocks until one of the tasks has completed.
    pub async fn wait(&self, tasks: &[TaskId]) -> Vec<u32> {
        poll_fn(|_| match self.with(|e| e.wait(tasks)) {
            Ok(done) if !done.is_empty() => Poll::Ready(done),
            _ => Poll::Pending,
        })
        .await
    }

    /// Blocks until one of the watched tasks has completed.
    pub async fn wait_watched(&self) -> Vec<u32> {
        poll_fn(|_| match self.with(|e| e.wait_watched()) {
            Ok(done) if !done.is_empty() => Poll::Ready(done),
            _ => Poll::Pending,
        })
        .await
    }

    /// Blocks until the task has completed, and returns its outcome.
    pub async fn outcome(&self, task: TaskId) -> TaskOutcome {
        self.wait(&[task]).await;
        self.with(|e| e.outcome(task).cloned().expect("the wait has said that it completed"))
    }

    /// Makes a host call that may be refused. A guest that was stopped never resumes; the turn finds the reason.
    pub async fn act<T>(&self, act: impl FnOnce(&mut Execution) -> Result<T, Stopped>) -> T {
        match self.with(act) {
            Ok(value) => value,
            Err(Stopped) => std::future::pending().await,
        }
    }

    /// Calls an activity and waits for it.
    pub async fn activity(&self, name: &str, input: &str) -> TaskOutcome {
        let task = self.act(|e| e.call_activity(name, input.into(), None)).await;
        self.outcome(task).await
    }
}
