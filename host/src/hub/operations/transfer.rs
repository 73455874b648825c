//! Export and import of instances, as lines of a file.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use dacapo_core::execution::OpenWork;
use dacapo_core::{Delivery, Event, ExecutionId, InstanceId, InstanceRecord, Message, Parent, RuntimeStatus, Seq, VersionId};
use dacapo_store::{AppVersion, Cursor, InstanceQuery, PendingActivity, Snapshot, StoreError};
use tokio::sync::watch;

use crate::engine::fair_threads::SLICE;
use crate::export::{Brought, Item, Line, Reader};
use crate::hub::error::{HubError, join_result};
use crate::hub::hub_core::{Hub, HubCore, now};
use crate::hub::mailbox::Envelope;
use crate::hub::operations::schedules::Startup;
use crate::hub::versions::app::Versions;
use crate::hub::versions::deploy::PreparedFile;

/// Instances whose ids are read ahead.
const IDS_AHEAD: usize = 250;

/// Bytes after which the next part of an export begins. The events of one turn stay together.
const PART_BYTES: usize = 64 << 10;

/// A history that has more bytes is read turn by turn, not in one transaction.
const WHOLE_BYTES: usize = 1 << 20;

/// Copies of exported data that are in memory at once: the decoded values, the stored bytes, these as text, and the lines.
const COPIES: usize = 4;

/// What is exported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exported {
    Instance(InstanceId),
    Hub,
}

/// The options of an import.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ImportOptions {
    /// Existing instances with the same ids are replaced.
    pub replace: bool,
    /// The instances run at once. Otherwise they are suspended.
    pub resume: bool,
}

/// The result of an import.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Imported {
    pub instances: Vec<InstanceId>,
    /// Versions that were not deployed before.
    pub versions: Vec<VersionId>,
    pub waiting: Vec<Waiting>,
}

/// An imported instance that waits for others that will not report to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    pub instance: InstanceId,
    /// Sub-orchestrations that are not in the hub, have ended, or have another parent; and entities that are not in the hub.
    pub on: Vec<InstanceId>,
}

impl Hub {
    /// Begins an export. Each instance is consistent in itself; those of a hub, which runs meanwhile, are read at different
    /// moments. One with a long history may continue as new, be rewound or purged while that is read: then the export ends with
    /// an error, and must be repeated.
    ///
    /// `NotFound`
    pub fn export(&self, what: Exported, with_modules: bool) -> Result<Export, HubError> {
        let catalog = self.0.catalog.all();
        let of_app = |(_, Versions { all, active }): (String, Versions)| {
            all.into_iter().map(move |version| (active == Some(version.version), version))
        };
        let mut deployed: Vec<(bool, AppVersion)> = catalog.into_iter().flat_map(of_app).collect();
        let (ids, next) = match what {
            Exported::Instance(id) => {
                let record = self.instance(&id)?.ok_or(HubError::NotFound(id))?;
                deployed.retain(|(_, version)| Some(version.version) == record.version);
                (VecDeque::from([record.id]), Next::None)
            }
            Exported::Hub => (VecDeque::new(), Next::First),
        };
        let mut modules = VecDeque::new();
        for (_, version) in deployed.iter().filter(|_| with_modules) {
            if !modules.contains(&version.version) {
                modules.push_back(version.version);
            }
        }
        let apps = deployed.iter().map(|(active, version)| Line::app(version, *active));
        let head = std::iter::once(Line::header(&self.0.name)).chain(apps).collect();
        Ok(Export { hub: self.clone(), head, modules, ids, open: None, next, instances: 0, done: false })
    }

    /// Imports a file: all of it is read and checked before anything is changed, and then each instance is stored whole or not
    /// at all.
    ///
    /// `Import`, `AlreadyExists`, `Deploy`, `FunctionTaken`, `Limit`.
    pub async fn import(&self, file: Vec<u8>, options: ImportOptions) -> Result<Imported, HubError> {
        let hub = self.clone();
        let reading = self.0.tokio.spawn_blocking(move || hub.0.read_import(&file, options));
        let Import { apps, modules, snapshots } = join_result(reading.await)??;
        let mut prepared = Vec::new();
        for module in modules {
            prepared.push(self.prepare(module, watch::Sender::default()).await?);
        }
        let hub = self.clone();
        let task = self.0.tokio.spawn_blocking(move || {
            let mut imported = Imported { versions: hub.0.deploy_brought(&prepared, &apps)?, ..Imported::default() };
            let mut open = Vec::new();
            for snapshot in snapshots {
                let id = snapshot.record.id.clone();
                open.extend(open_work(&snapshot).map(|work| (id.clone(), snapshot.record.execution, work)));
                hub.0.take_in(snapshot, options)?;
                imported.instances.push(id);
            }
            // Only now, when all are stored: they may wait for each other.
            for (instance, execution, work) in open {
                let on = hub.0.not_here(&instance, execution, work)?;
                if !on.is_empty() {
                    imported.waiting.push(Waiting { instance, on });
                }
            }
            hub.0.spawn_schedules_of_apps(Startup::Nobody);
            Ok(imported)
        });
        join_result(task.await)?
    }
}

/// The content of a file, checked.
struct Import {
    apps: Vec<Brought>,
    /// Those of versions that are not deployed.
    modules: Vec<Vec<u8>>,
    snapshots: Vec<Snapshot>,
}

/// An export, read on demand. One that was not read to the end has no line that says `done`.
pub struct Export {
    /// A handle, which keeps the hub open.
    hub: Hub,
    head: Vec<Line>,
    modules: VecDeque<VersionId>,
    /// The next instances.
    ids: VecDeque<InstanceId>,
    /// The instance that is being written, and the next turn of its history to write.
    open: Option<(InstanceRecord, u32)>,
    next: Next,
    /// Instances that are written.
    instances: u64,
    done: bool,
}

/// Where the list of instances continues after `ids`.
enum Next {
    First,
    After(Cursor),
    None,
}

impl Export {
    /// Returns about how many bytes of memory the next item takes to read.
    pub fn needs(&self) -> Result<usize, HubError> {
        let store = &self.hub.0.store;
        let bytes = if let Some((record, turn)) = &self.open {
            store.history_bytes(record.row, *turn..turn + 1, usize::MAX)?
        } else {
            let next = self.ids.front().filter(|_| self.head.is_empty() && self.modules.is_empty());
            let Some(record) = next.map(|id| store.instance(id)).transpose()?.flatten() else { return Ok(0) };
            let history = store.history_bytes(record.row, record.turns, WHOLE_BYTES)?;
            store.inbox_size(record.row)?.bytes + if history < WHOLE_BYTES { history } else { 0 }
        };
        Ok(COPIES.saturating_mul(bytes))
    }

    /// Returns the next lines; none after the last. Reads from the disk.
    pub fn read(&mut self) -> Result<Option<String>, HubError> {
        if self.done {
            return Ok(None);
        }
        let (begun, mut text) = (Instant::now(), String::new());
        while text.len() < PART_BYTES && begun.elapsed() < SLICE && !self.done {
            if self.hub.0.is_closing() {
                return Err(HubError::ShuttingDown);
            }
            // A large item is left to the next call, for which memory is reserved.
            if !text.is_empty() && self.needs()? > PART_BYTES {
                break;
            }
            for line in self.item()? {
                text.push_str(&line.text());
            }
        }
        Ok(Some(text))
    }

    fn item(&mut self) -> Result<Vec<Line>, HubError> {
        if !self.head.is_empty() {
            return Ok(std::mem::take(&mut self.head));
        }
        if let Some(version) = self.modules.pop_front() {
            let bytes = self.hub.0.engine.runtime().module(version).map_err(|why| HubError::Unloadable(why.to_string()))?;
            return Ok(vec![Line::module(version, &bytes)]);
        }
        if let Some((record, turn)) = self.open.take() {
            let events = self.hub.0.store.history(record.row, turn..turn + 1)?;
            if events.is_empty() {
                return Err(HubError::HistoryChanged(record.id));
            }
            let mut lines = vec![Line::turn(turn, &events)];
            self.go_on(record, turn + 1, &mut lines);
            return Ok(lines);
        }
        if let Some(id) = self.ids.pop_front() {
            return self.instance(&id);
        }
        let after = match std::mem::replace(&mut self.next, Next::None) {
            Next::First => None,
            Next::After(cursor) => Some(cursor),
            Next::None => {
                self.done = true;
                return Ok(vec![Line::Done { instances: self.instances }]);
            }
        };
        let page = self.hub.0.store.instances(&InstanceQuery::default(), after.as_ref(), IDS_AHEAD)?;
        self.ids.extend(page.records.into_iter().map(|record| record.id));
        self.next = page.next.map_or(Next::None, Next::After);
        Ok(Vec::new())
    }

    /// Returns the lines of an instance; none if it is gone by now.
    fn instance(&mut self, id: &InstanceId) -> Result<Vec<Line>, HubError> {
        let store = &self.hub.0.store;
        let Some(record) = store.instance(id)? else { return Ok(Vec::new()) };
        let is_long = store.history_bytes(record.row, record.turns, WHOLE_BYTES)? >= WHOLE_BYTES;
        let snapshot = if is_long { store.snapshot_without_history(id)? } else { store.snapshot(id)? };
        let Some(snapshot) = snapshot else { return Ok(Vec::new()) };
        let mut lines = Line::of(&snapshot);
        let turns = &snapshot.record.turns;
        let written = if is_long { turns.start } else { turns.end };
        self.go_on(snapshot.record, written, &mut lines);
        Ok(lines)
    }

    /// Continues with an instance of which all is written up to a turn.
    fn go_on(&mut self, record: InstanceRecord, turn: u32, lines: &mut Vec<Line>) {
        if turn < record.turns.end {
            self.open = Some((record, turn));
        } else {
            self.instances += 1;
            lines.push(Line::End);
        }
    }
}

impl HubCore {
    fn read_import(&self, file: &[u8], options: ImportOptions) -> Result<Import, HubError> {
        let (mut apps, mut modules, mut snapshots) = (Vec::new(), Vec::new(), Vec::new());
        for item in Reader::new(file).map_err(HubError::Import)? {
            match item.map_err(HubError::Import)? {
                Item::App(version) => apps.push(version),
                Item::Module(version, bytes) => modules.push((version, bytes)),
                Item::Instance(snapshot) => snapshots.push(*snapshot),
            }
        }
        let brought: HashSet<VersionId> = modules.iter().map(|(version, _)| *version).collect();
        for snapshot in &snapshots {
            self.check_instance(&snapshot.record, &brought, options)?;
        }
        self.check_import(file.len(), &snapshots)?;
        let modules = modules.into_iter().filter(|(version, _)| !self.catalog.has(*version)).map(|(_, bytes)| bytes).collect();
        Ok(Import { apps, modules, snapshots })
    }

    /// Checks an instance. It runs only on what is deployed in its own hub: a digest alone gives no access to another hub's code.
    fn check_instance(
        &self,
        record: &InstanceRecord,
        brought: &HashSet<VersionId>,
        options: ImportOptions,
    ) -> Result<(), HubError> {
        if let Some(version) = record.version.filter(|_| !record.status.is_terminal() && !record.id.is_entity())
            && !brought.contains(&version)
            && !self.catalog.has(version)
        {
            let (id, app) = (record.id.clone(), record.name.to_string());
            return Err(HubError::NotDeployed { id, name: app, version });
        }
        match self.store.instance(&record.id)? {
            Some(existing) if !options.replace => Err(HubError::AlreadyExists { id: record.id.clone(), status: existing.status }),
            Some(_) | None => Ok(()),
        }
    }

    /// Deploys the modules of a file as the versions that it describes: those of an app at once, in their order, and with
    /// their shares of the new starts if the app is new here. Returns those that were not deployed before.
    fn deploy_brought(&self, modules: &[PreparedFile], apps: &[Brought]) -> Result<Vec<VersionId>, HubError> {
        let mut of_apps: BTreeMap<&str, Vec<Brought>> = BTreeMap::new();
        for Brought { version, active } in apps {
            let Some(module) = modules.iter().find(|module| module.app.version == version.version) else { continue };
            let here = AppVersion { functions: module.app.functions.clone(), size: module.size, ..version.clone() };
            of_apps.entry(&version.app).or_default().push(Brought { version: here, active: *active });
        }
        let mut adopted = Vec::new();
        for (app, mut brought) in of_apps {
            brought.sort_by_key(|brought| (brought.version.deployed_at, brought.version.version));
            let versions: Vec<VersionId> = brought.iter().map(|brought| brought.version.version).collect();
            self.apply_policies(&versions.iter().map(|version| (app, *version)).collect::<Vec<_>>());
            let record = || self.catalog.deploy_brought(self.store.as_ref(), &self.rules().limits, app, &brought);
            adopted.extend(self.record(&versions, record)?);
        }
        Ok(adopted)
    }

    /// Returns those for which an instance waits and that will not report to it.
    fn not_here(&self, instance: &InstanceId, execution: ExecutionId, open: OpenWork) -> Result<Vec<InstanceId>, HubError> {
        let mut missing = Vec::new();
        for child in open.children.into_values() {
            let reports = |record: InstanceRecord| {
                let is_its = |parent: &Parent| parent.instance == *instance && parent.execution == execution;
                !record.status.is_terminal() && record.parent.as_ref().is_some_and(is_its)
            };
            if !self.store.instance(&child)?.is_some_and(reports) {
                missing.push(child);
            }
        }
        let asked = open.lock.filter(|lock| !lock.granted).into_iter().flat_map(|lock| lock.entities);
        for entity in open.operations.into_values().chain(asked) {
            if self.store.instance(&entity)?.is_none() && !missing.contains(&entity) {
                missing.push(entity);
            }
        }
        Ok(missing)
    }

    fn take_in(self: &Arc<Self>, mut snapshot: Snapshot, options: ImportOptions) -> Result<(), HubError> {
        let id = snapshot.record.id.clone();
        snapshot.record.row = self.store.next_row();
        snapshot.record.version = snapshot.record.version.filter(|version| self.catalog.has(*version));
        if !options.resume {
            suspend(&mut snapshot);
        }
        let replaced = if options.replace { self.store.snapshot_without_history(&id)? } else { None };
        let receipt = self.store.restore(&snapshot, options.replace).map_err(|error| match error {
            StoreError::Stale { .. } => HubError::AlreadyExists { id: id.clone(), status: RuntimeStatus::Running },
            error => error.into(),
        })?;
        if let Some(replaced) = &replaced {
            self.message_left(&replaced.record);
        }
        self.note_message(&snapshot.record);
        if let Some(replaced) = replaced {
            let seqs: Vec<Seq> = replaced.activities.iter().map(|(seq, _)| *seq).collect();
            self.activities.cancel(replaced.record.row, &seqs);
            self.run_queue.forget(&id);
        }
        let deliveries = receipt.delivered.into_iter().map(|(key, message)| Delivery { message, stored: Some(key) });
        self.run_queue.deliver_all(deliveries.map(Envelope::of));
        self.changes.tell(&snapshot.record, false);
        self.schedule_activities(pending_activities(&snapshot));
        self.set_timers(&snapshot.record, &snapshot.timers);
        Ok(())
    }
}

/// Returns what an orchestration has begun and has no result of. None: it waits for nothing.
fn open_work(snapshot: &Snapshot) -> Option<OpenWork> {
    if snapshot.record.status.is_terminal() || snapshot.record.id.is_entity() {
        return None;
    }
    let mut open = OpenWork::default();
    let happened = snapshot.history.iter().flat_map(|chunk| &chunk.events).map(|entry| &entry.event);
    // Results in the inbox are taken in after the import.
    let arrived = snapshot.inbox.iter().filter(|message| message.execution.is_none_or(|of| of == snapshot.record.execution));
    happened.chain(arrived.map(|message| &message.event)).for_each(|event| open.note(event));
    let waits = !open.children.is_empty() || !open.operations.is_empty() || open.lock.is_some();
    waits.then_some(open)
}

/// Suspends an instance that has not ended, until it is resumed. The message does that, as in any hub; the status makes sure
/// that it is taken in before anything else.
fn suspend(snapshot: &mut Snapshot) {
    let record = &mut snapshot.record;
    if record.status.is_terminal() || record.status == RuntimeStatus::Suspended {
        return;
    }
    let event = Event::ExecutionSuspended { reason: "it was imported".into() };
    snapshot.inbox.push(Message { to: record.id.clone(), execution: None, sent_at: now(), event });
    if record.id.is_entity() {
        if let Some(entity) = &mut snapshot.entity {
            entity.waiting = true;
        }
    } else if record.status != RuntimeStatus::Pending {
        record.status = RuntimeStatus::Suspended;
    }
}

/// Returns the activities that have no result: they run again.
fn pending_activities(snapshot: &Snapshot) -> Vec<PendingActivity> {
    let record = &snapshot.record;
    let events = || snapshot.history.iter().flat_map(|chunk| &chunk.events).map(|entry| &entry.event);
    let scheduled = |wanted: Seq| {
        events().find_map(|event| match event {
            Event::TaskScheduled { seq, name, input, attempt } if *seq == wanted => Some((name, input, *attempt)),
            _ => None,
        })
    };
    let pending = snapshot.activities.iter().filter_map(|&(seq, _)| {
        let (name, input, attempt) = scheduled(seq)?;
        Some(PendingActivity {
            row: record.row,
            seq,
            instance: record.id.clone(),
            execution: record.execution,
            version: record.version,
            name: name.clone(),
            input: input.clone(),
            attempt,
        })
    });
    pending.collect()
}
