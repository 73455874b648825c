//! The replay gate: the recorded histories of living instances, replayed against a version before it gets them.
//!
//! ```text
//!   records ─▶ those of the app that have begun ─▶ snapshot, replay, verdict ─▶ progress ─▶ the client
//!              (all, or a sample)                  on one thread, one gate a hub
//! ```
//!
//! Nothing is changed by a check. A migration is a message to each instance: the turn that takes it in replays the history
//! once more, and moves the instance only if that goes well.

use std::collections::{BinaryHeap, HashSet};
use std::time::{Duration, Instant};

use dacapo_core::execution::{Divergence, Shown};
use dacapo_core::turn::{Halt, Rehearsal};
use dacapo_core::{Event, FunctionKind, HistoryEvent, InstanceId, InstanceRecord, VersionId};
use dacapo_store::InstanceQuery;
use sha2::{Digest as _, Sha256};
use tokio::sync::{mpsc, watch};

use crate::engine::modules::Held;
use crate::hub::error::HubError;
use crate::hub::hub_core::{Hub, HubCore};
use crate::hub::versions::app::Versions;
use crate::hub::versions::{PAGE, living};

/// Progress reports that are queued for a slow reader; beyond that the gate waits.
const PROGRESS_QUEUED: usize = 64;

/// What the histories are replayed against.
#[derive(Debug, Clone)]
pub enum Candidate {
    /// A file that is not deployed.
    Module(Vec<u8>),
    /// A label, or the beginning of a digest, of a deployed version.
    Deployed(String),
}

/// The instances that are checked or migrated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Which {
    All,
    /// So many of all, always the same ones.
    Sample(usize),
    These(Vec<InstanceId>),
}

/// The progress of a check or a migration, in this order: the first once, the second for each instance, the last once.
#[derive(Debug, Clone, PartialEq)]
pub enum ReplayProgress {
    Begun { app: String, version: VersionId, instances: u64 },
    Instance(Box<Checked>),
    Done(Totals),
}

/// The result for one instance.
#[derive(Debug, Clone, PartialEq)]
pub struct Checked {
    pub id: InstanceId,
    pub name: String,
    /// The version that it ran on.
    pub version: Option<VersionId>,
    /// Events in its history.
    pub events: usize,
    pub verdict: Verdict,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// The version replays its history without a divergence.
    Passed,
    /// It runs on the version from now on, or did so before.
    Migrated,
    /// The position in the history, counted from 0, what is recorded there, and what the version does instead.
    Diverged { position: usize, recorded: String, attempted: String },
    /// The version cannot run it at all, or it cannot be moved.
    Refused(String),
    /// It has ended meanwhile.
    Gone,
}

/// The sums of a check or a migration.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Totals {
    pub passed: u64,
    pub migrated: u64,
    pub diverged: u64,
    pub refused: u64,
    pub gone: u64,
    /// Events in the histories of all these instances.
    pub events: u64,
    pub elapsed: Duration,
}

impl Totals {
    fn add(&mut self, checked: &Checked) {
        match checked.verdict {
            Verdict::Passed => self.passed += 1,
            Verdict::Migrated => self.migrated += 1,
            Verdict::Diverged { .. } => self.diverged += 1,
            Verdict::Refused(_) => self.refused += 1,
            Verdict::Gone => self.gone += 1,
        }
        self.events += checked.events as u64;
    }
}

impl From<Halt> for Verdict {
    fn from(halt: Halt) -> Self {
        match halt {
            Halt::Diverged(divergence) => {
                let Divergence { position, recorded, attempted } = *divergence;
                let (recorded, attempted) = (Shown(recorded.as_ref()).to_string(), Shown(attempted.as_ref()).to_string());
                Verdict::Diverged { position, recorded, attempted }
            }
            Halt::NotStarted(why) => Verdict::Refused(why.to_string()),
            Halt::Unable(why) => Verdict::Refused(why),
        }
    }
}

impl Hub {
    /// Replays the histories of an app's living instances against a version. Dropping the receiver stops it.
    ///
    /// `UnknownApp`, `UnknownVersion`, `Deploy`.
    pub async fn check(&self, app: &str, candidate: Candidate, which: Which) -> Result<mpsc::Receiver<ReplayProgress>, HubError> {
        // Errors are returned before the first progress, after which there is only progress.
        let versions = self.0.catalog.versions(app)?;
        let gate = Gate::open(self, app, &versions, candidate).await?;
        let turn = self.0.deployment.gate.clone().acquire_owned().await.map_err(|_| HubError::ShuttingDown)?;
        let app = app.to_owned();
        let (sender, receiver) = mpsc::channel(PROGRESS_QUEUED);
        let thread = std::thread::Builder::new().name("replay-gate".into()).stack_size(STACK_BYTES);
        let spawned = thread.spawn(move || {
            let _turn = turn;
            gate.check(&app, &which, &sender);
        });
        spawned.map_err(|why| HubError::Unloadable(format!("the thread of the check cannot be started: {why}")))?;
        Ok(receiver)
    }

    /// Moves living instances of an app to one of its versions, one after the other, as far as their histories allow.
    ///
    /// `UnknownApp`, `UnknownVersion`.
    pub async fn migrate(&self, app: &str, to: &str, which: Which) -> Result<mpsc::Receiver<ReplayProgress>, HubError> {
        let version = self.0.catalog.versions(app)?.find(app, to)?;
        let turn = self.0.deployment.gate.clone().acquire_owned().await.map_err(|_| HubError::ShuttingDown)?;
        let (hub, app) = (self.clone(), app.to_owned());
        let (sender, receiver) = mpsc::channel(PROGRESS_QUEUED);
        self.0.tokio.spawn(async move {
            let _turn = turn;
            let began = Instant::now();
            let inner = hub.0.clone();
            let (named, wanted) = (app.clone(), which.clone());
            let found = tokio::task::spawn_blocking(move || inner.concerned(&named, &wanted)).await;
            let Ok(Ok(found)) = found else { return };
            let ids = match which {
                Which::These(ids) => ids,
                Which::All | Which::Sample(_) => found.clone(),
            };
            let found: HashSet<InstanceId> = found.into_iter().collect();
            let begun = ReplayProgress::Begun { app, version, instances: ids.len() as u64 };
            if sender.send(begun).await.is_err() {
                return;
            }
            let mut totals = Totals::default();
            for id in ids {
                let checked = hub.migrate_one(&id, version, found.contains(&id)).await;
                totals.add(&checked);
                if sender.send(ReplayProgress::Instance(Box::new(checked))).await.is_err() {
                    return;
                }
            }
            // The receiver may be dropped by now.
            let _ = sender.send(ReplayProgress::Done(Totals { elapsed: began.elapsed(), ..totals })).await;
        });
        Ok(receiver)
    }

    async fn migrate_one(&self, id: &InstanceId, version: VersionId, is_concerned: bool) -> Checked {
        let asked = id.clone();
        let record = self.read(move |hub| hub.instance(&asked)).await.ok().flatten();
        let (name, own) = record.as_ref().map_or((String::new(), None), |record| (record.name.to_string(), record.version));
        // Until the turn that moves it is saved: the version must not be removed meanwhile.
        let _choice = self.0.catalog.choice();
        let holds = record.is_some_and(|record| self.0.catalog.holds(version, FunctionKind::Orchestrator, &record.name));
        let verdict = match (is_concerned, holds) {
            (false, _) => Verdict::Refused("it is not a running orchestration of this app".into()),
            (true, false) => Verdict::Refused(format!("the version has no orchestrator '{name}'")),
            (true, true) => match self.0.post(id, Event::ExecutionMigrated { version }).await {
                Ok(()) => Verdict::Migrated,
                Err(HubError::Ended { .. } | HubError::NotFound(_)) => Verdict::Gone,
                Err(HubError::NotMigratable { why, .. }) => Verdict::Refused(why),
                Err(error) => Verdict::Refused(error.to_string()),
            },
        };
        Checked { id: id.clone(), name, version: own, events: 0, verdict }
    }
}

/// Guests run on stacks of their own; this one is for loading a version, which may have to be compiled again.
const STACK_BYTES: usize = 4 << 20;

/// A version against which histories are replayed.
struct Gate {
    /// A handle, which keeps the hub open.
    hub: Hub,
    version: VersionId,
    orchestrators: Vec<String>,
    /// Holds the file: one that was only checked is removed afterwards.
    _held: Held,
}

impl Gate {
    async fn open(hub: &Hub, app: &str, versions: &Versions, candidate: Candidate) -> Result<Self, HubError> {
        let orchestrators = |functions: &[(dacapo_core::FunctionName, FunctionKind)]| {
            let orchestrators = functions.iter().filter(|(_, kind)| *kind == FunctionKind::Orchestrator);
            orchestrators.map(|(name, _)| name.folded()).collect()
        };
        match candidate {
            Candidate::Deployed(text) => {
                let version = versions.find(app, &text)?;
                let functions = versions.get(version).map_or(&[][..], |version| &version.functions[..]);
                let held = hub.0.engine.modules().hold(version);
                Ok(Self { hub: hub.clone(), version, orchestrators: orchestrators(functions), _held: held })
            }
            Candidate::Module(bytes) => {
                let preparation = hub.0.preparation(bytes, watch::Sender::default()).await?;
                let (app, held) = hub.0.prepared(hub.0.executor.examine_async(preparation)).await?;
                Ok(Self { hub: hub.clone(), version: app.version, orchestrators: orchestrators(&app.functions), _held: held })
            }
        }
    }

    fn check(&self, app: &str, which: &Which, progress: &mpsc::Sender<ReplayProgress>) {
        let began = Instant::now();
        let ids = match self.hub.0.concerned(app, which) {
            Ok(ids) => ids,
            Err(error) => return tracing::error!(%error, "the instances of an app could not be read for a check"),
        };
        let begun = ReplayProgress::Begun { app: app.to_owned(), version: self.version, instances: ids.len() as u64 };
        let mut totals = Totals::default();
        if !self.hub.0.send_blocking(progress, begun) {
            return;
        }
        for id in ids {
            let checked = self.check_one(id);
            // It may have been checked in part.
            if self.hub.0.is_closing() {
                return;
            }
            totals.add(&checked);
            if !self.hub.0.send_blocking(progress, ReplayProgress::Instance(Box::new(checked))) {
                return;
            }
        }
        self.hub.0.send_blocking(progress, ReplayProgress::Done(Totals { elapsed: began.elapsed(), ..totals }));
    }

    fn check_one(&self, id: InstanceId) -> Checked {
        let snapshot = match self.hub.0.store.snapshot(&id) {
            Ok(Some(snapshot)) if !snapshot.record.status.is_terminal() => snapshot,
            Ok(_) => return Checked { id, name: String::new(), version: None, events: 0, verdict: Verdict::Gone },
            Err(error) => {
                let verdict = Verdict::Refused(format!("its history cannot be read: {error}"));
                return Checked { id, name: String::new(), version: None, events: 0, verdict };
            }
        };
        let record = snapshot.record;
        let history: Vec<HistoryEvent> = snapshot.history.into_iter().flat_map(|chunk| chunk.events).collect();
        let verdict = if self.orchestrators.contains(&record.name.folded()) {
            self.replay_one(&record, &history)
        } else {
            Verdict::Refused(format!("the version has no orchestrator '{}'", record.name))
        };
        Checked { id, name: record.name.to_string(), version: record.version, events: history.len(), verdict }
    }

    /// Replays a history. Blocks this thread until the guest has a permit.
    fn replay_one(&self, record: &InstanceRecord, history: &[HistoryEvent]) -> Verdict {
        let executor = match self.hub.0.tokio.block_on(self.hub.0.with_permit(self.version)) {
            Ok(Some(executor)) => executor,
            Ok(None) => return Verdict::Refused("the task hub is closed".into()),
            Err(why) => return Verdict::Refused(why.to_string()),
        };
        let rules = self.hub.0.rules();
        let rehearsal = Rehearsal { executor: &executor, limits: &rules.execution, version: self.version };
        rehearsal.run(record, history, |_| !self.hub.0.is_closing()).map_or_else(Verdict::from, |()| Verdict::Passed)
    }
}

impl HubCore {
    /// Returns the selected orchestrations of an app that have begun and not ended: the oldest first, or a sample in any order.
    fn concerned(&self, app: &str, which: &Which) -> Result<Vec<InstanceId>, HubError> {
        let versions = self.catalog.versions(app)?;
        let is_of_app = |record: &InstanceRecord| {
            !record.id.is_entity()
                && !record.turns.is_empty()
                && record.version.is_some_and(|version| versions.get(version).is_some())
        };
        let query = InstanceQuery { statuses: living(), ..InstanceQuery::default() };
        let (mut found, mut after) = (Vec::new(), None);
        let named: HashSet<&InstanceId> = match which {
            Which::These(ids) => ids.iter().collect(),
            Which::All | Which::Sample(_) => HashSet::new(),
        };
        let mut sample = BinaryHeap::new();
        loop {
            let page = self.store.instances(&query, after.as_ref(), PAGE)?;
            for record in page.records.into_iter().filter(&is_of_app) {
                match which {
                    Which::All => found.push(record.id),
                    Which::These(_) if named.contains(&record.id) => found.push(record.id),
                    Which::These(_) => {}
                    // Those with the smallest digests: spread over all, and chosen without knowing how many there are.
                    Which::Sample(size) => {
                        let digest: [u8; 32] = Sha256::digest(record.id.as_str()).into();
                        sample.push((digest, record.id));
                        if sample.len() > *size {
                            sample.pop();
                        }
                    }
                }
            }
            after = page.next;
            if after.is_none() {
                found.extend(sample.into_iter().map(|(_, id)| id));
                return Ok(found);
            }
        }
    }
}
