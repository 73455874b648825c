//! An instance between turns, and the directories of a runtime.

use std::sync::Arc;
use std::time::Duration;

use dacapo_core::execution::Limits;
use dacapo_core::guest::ActivityFuture;
use dacapo_core::scripted::NoHub;
use dacapo_core::turn::{Live, Memory, Turn};
use dacapo_core::{
    ActivityCall, Delivery, Event, ExecutionId, Executor as _, Failure, FunctionName, HistoryEvent, InstanceId, InstanceRecord,
    Message, Row, Seq, Timestamp, VersionId,
};
use dacapo_wasm::{
    Account, Checkpoint, Compiler, Config, GuestLimits, IdleMemoryBudget, OutboundBytes, Policy, PoolSize, Runtime, Tenant,
};
use tempfile::TempDir;

use crate::guest::Guest;

/// A runtime with one tenant and small limits, and its directories.
pub struct Host {
    pub runtime: Runtime,
    pub tenant: Tenant,
    pub config: Config,
    /// Counts the bytes that the tenant's activities send and receive.
    pub outbound: Arc<OutboundBytes>,
    policy: Policy,
    _directory: TempDir,
}

/// The settings that a test may change.
pub struct Setup {
    pub pool: PoolSize,
    pub policy: Policy,
    pub compiler: Compiler,
    pub checkpoint: Checkpoint,
    pub idle_activities: usize,
    pub versions: usize,
}

impl Host {
    pub fn new() -> Self {
        Self::with(|_| {})
    }

    pub fn with(configure: impl FnOnce(&mut Setup)) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut config = Config::new(directory.path().join("modules"), directory.path().join("cache"));
        let limits = GuestLimits {
            orchestrator_memory_bytes: 4 << 20,
            activity_memory_bytes: 8 << 20,
            table_elements: 1_000,
            stack_bytes: 256 << 10,
            fuel_per_turn: 2_000_000,
            activity_time: Duration::from_secs(20),
            trigger_time: Duration::from_secs(2),
            activity_log_bytes: 10_000,
        };
        let mut setup = Setup {
            pool: PoolSize::small(),
            policy: Policy { limits, ..Policy::default() },
            compiler: Compiler::InProcess,
            checkpoint: Checkpoint::default(),
            idle_activities: 0,
            versions: 100,
        };
        configure(&mut setup);
        let Setup { pool, policy, compiler, checkpoint, idle_activities, versions } = setup;
        config.versions = versions;
        config.idle_activities = idle_activities;
        config.checkpoint = checkpoint;
        config.most = policy.limits.clone();
        config.pool = pool;
        config.compiler = compiler;
        let runtime = Runtime::new(config.clone()).unwrap();
        let account = account();
        let outbound = account.outbound.clone();
        Self { tenant: runtime.tenant(account, policy.clone()), runtime, config, outbound, policy, _directory: directory }
    }

    pub fn policy(&self) -> Policy {
        self.policy.clone()
    }

    /// Simulates a new process on the same directories.
    pub fn restart(&mut self) {
        self.runtime = Runtime::new(self.config.clone()).unwrap();
        let account = Account { outbound: self.outbound.clone(), ..account() };
        self.tenant = self.runtime.tenant(account, self.policy.clone());
    }

    pub fn deploy(&self, guest: &Guest) -> VersionId {
        self.runtime.prepare(&guest.module()).unwrap_or_else(|why| panic!("{why}")).version
    }

    /// Returns the future result of an activity call.
    pub fn run_activity(&self, version: VersionId, call: ActivityCall) -> ActivityFuture {
        self.tenant.run_activity(version, call, Arc::new(NoHub))
    }

    /// Runs an orchestrator that never waits, and returns its outcome.
    pub fn outcome(&self, guest: &Guest) -> Result<String, Failure> {
        let mut instance = Instance::new(self, self.deploy(guest), true);
        instance.start();
        instance.outcome().expect("it has ended")
    }
}

/// A tenant that may have any memory.
pub fn account() -> Account {
    Account { idle_memory: IdleMemoryBudget(Arc::new(|_bytes| Some(Box::new(())))), ..Account::default() }
}

/// One instance, hot or cold.
pub struct Instance<'a> {
    host: &'a Host,
    version: VersionId,
    hot: bool,
    started: Event,
    pub now: i64,
    pub record: InstanceRecord,
    pub history: Vec<HistoryEvent>,
    live: Option<Live>,
    pub logs: Vec<String>,
}

/// The time of the first turn, in seconds.
pub const START: i64 = 1_700_000_000;

impl<'a> Instance<'a> {
    pub fn new(host: &'a Host, version: VersionId, hot: bool) -> Self {
        Self::of_execution(host, version, hot, 7)
    }

    pub fn of_execution(host: &'a Host, version: VersionId, hot: bool, execution: u128) -> Self {
        Self::of(host, version, hot, started(execution, "Main", "\"in\""))
    }

    /// An instance of one of several functions of an app.
    pub fn named(host: &'a Host, version: VersionId, name: &str, input: &str) -> Self {
        Self::of(host, version, true, started(7, name, input))
    }

    fn of(host: &'a Host, version: VersionId, hot: bool, started: Event) -> Self {
        let record = InstanceRecord::pending(Row(1), &message(started.clone())).unwrap();
        Self { started, host, version, hot, now: START - 1, record, history: Vec::new(), live: None, logs: Vec::new() }
    }

    pub fn start(&mut self) -> &mut Self {
        self.turn([self.started.clone()])
    }

    /// Runs one turn, a second after the last one.
    pub fn turn(&mut self, events: impl IntoIterator<Item = Event>) -> &mut Self {
        self.now += 1;
        let inbox = events.into_iter().map(|event| Delivery { message: message(event), stored: None }).collect();
        let memory = match self.live.take() {
            Some(live) if self.hot => Memory::Hot(live),
            _ => Memory::cold(self.history.clone()),
        };
        let now = Timestamp(self.now * 1_000_000);
        let turn = Turn {
            executor: &self.host.tenant,
            limits: &Limits::default(),
            now,
            begins_on: Ok(self.version),
            active_version: None,
        };
        let result = turn.run(self.record.clone(), memory, inbox);
        self.logs.extend(result.logs.into_iter().map(|line| line.message));
        self.live = result.live;
        if let Some(commit) = result.commit {
            self.history.extend(commit.history.iter().flat_map(|chunk| chunk.events.clone()));
            self.record = commit.record;
        }
        assert_eq!(self.record.halted, None);
        self
    }

    /// Raises the event `Go`.
    pub fn go(&mut self) -> &mut Self {
        self.turn([Event::EventRaised { name: "Go".into(), data: "1".into() }])
    }

    pub fn fire(&mut self, seq: u32) -> &mut Self {
        let timer = self.history.iter().find_map(|e| match e.event {
            Event::TimerCreated { seq: Seq(found), fire_at } if found == seq => Some(fire_at),
            _ => None,
        });
        let fire_at = timer.expect("the timer exists");
        // At the first full second that is not before it.
        self.now = self.now.max(-(-fire_at.0).div_euclid(1_000_000) - 1);
        self.turn([Event::TimerFired { seq: Seq(seq), fire_at }])
    }

    /// The seconds after [`START`] at which timers fire.
    pub fn timers(&self) -> Vec<i64> {
        let timers = self.history.iter().filter_map(|e| match e.event {
            Event::TimerCreated { fire_at, .. } => Some(fire_at.0 / 1_000_000 - START),
            _ => None,
        });
        timers.collect()
    }

    pub fn outcome(&self) -> Option<Result<String, Failure>> {
        use dacapo_core::event::Outcome;
        self.history.iter().find_map(|e| match &e.event {
            Event::ExecutionCompleted { outcome: Outcome::Completed(output) } => Some(Ok(output.to_string())),
            Event::ExecutionCompleted { outcome: Outcome::Failed(failure) } => Some(Err(failure.clone())),
            Event::ExecutionCompleted { outcome } => panic!("{outcome:?}"),
            _ => None,
        })
    }

    pub fn output(&self) -> String {
        self.outcome().expect("it has ended").expect("it has succeeded")
    }
}

/// The name differs in case from the guest's: names are compared ignoring case.
fn started(execution: u128, name: &str, input: &str) -> Event {
    Event::ExecutionStarted {
        execution: ExecutionId(uuid::Uuid::from_u128(execution)),
        name: FunctionName::new(name).unwrap(),
        input: input.into(),
        version: String::new(),
        parent: None,
        start_at: None,
    }
}

fn message(event: Event) -> Message {
    Message { to: InstanceId::any("i").unwrap(), execution: None, sent_at: Timestamp(0), event }
}
