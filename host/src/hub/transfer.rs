//! Instances that leave a hub as lines of a file, and come to another.

use std::collections::HashSet;
use std::sync::Arc;

use dacapo_core::{Delivery, Event, InstanceId, InstanceRecord, Message, RuntimeStatus, Seq, VersionId};
use dacapo_store::{AppVersion, InstanceQuery, PendingActivity, Snapshot, StoreError};
use dacapo_wasm::version_of;
use tokio::sync::mpsc;

use super::desk::Envelope;
use super::versions::PAGE;
use super::{Hub, HubError, Inner, now};
use crate::export::{Item, Line, Reader};

/// Lines that wait for a reader who is slow.
const LINES_QUEUED: usize = 64;

/// What is exported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exported {
    Instance(InstanceId),
    Hub,
}

/// How instances are taken in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ImportOptions {
    /// Whatever has the id of one goes.
    pub replace: bool,
    /// They go on at once. Otherwise they are suspended.
    pub resume: bool,
}

/// What a file has brought.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Imported {
    pub instances: Vec<InstanceId>,
    /// Versions that were not deployed before.
    pub versions: Vec<VersionId>,
}

impl Hub {
    /// The lines of an export, as they are read. Each instance is as one moment saw it; those of a hub, which goes on
    /// meanwhile, at different moments. Lines that end without `Done` were broken off by an error, which the log tells.
    ///
    /// `NotFound`
    pub fn export(&self, what: Exported, with_modules: bool) -> Result<mpsc::Receiver<Line>, HubError> {
        if let Exported::Instance(id) = &what
            && self.instance(id)?.is_none()
        {
            return Err(HubError::NotFound(id.clone()));
        }
        let (sender, receiver) = mpsc::channel(LINES_QUEUED);
        let inner = self.0.clone();
        self.0.tokio.spawn_blocking(move || match inner.write_lines(&what, with_modules, &sender) {
            Ok(()) => {}
            Err(Broken::Reader) => tracing::debug!("nobody reads an export any more"),
            Err(Broken::Hub(error)) => tracing::error!(%error, "an export was broken off"),
        });
        Ok(receiver)
    }

    /// Takes in what a file holds: all of it is read and checked before anything is changed, and then each instance is
    /// stored whole or not at all.
    ///
    /// `Import`, `AlreadyExists`, `Deploy`, `FunctionTaken`, `Limit`.
    pub async fn import(&self, file: Vec<u8>, options: ImportOptions) -> Result<Imported, HubError> {
        let inner = self.0.clone();
        let task = self.0.tokio.spawn_blocking(move || inner.import(&file, options));
        task.await.map_err(|_| HubError::ShuttingDown)?
    }
}

enum Broken {
    /// Whoever asked has gone.
    Reader,
    Hub(HubError),
}

impl<E: Into<HubError>> From<E> for Broken {
    fn from(error: E) -> Self {
        Broken::Hub(error.into())
    }
}

impl Inner {
    fn write_lines(&self, what: &Exported, with_modules: bool, lines: &mpsc::Sender<Line>) -> Result<(), Broken> {
        let write = |line| lines.blocking_send(line).map_err(|_| Broken::Reader);
        write(Line::header(&self.name))?;
        let needed = match what {
            Exported::Instance(id) => self.store.instance(id)?.and_then(|record| record.version),
            Exported::Hub => None,
        };
        let deployed = self.catalog.all().into_iter().flat_map(|(_, versions)| versions.all);
        let deployed: Vec<AppVersion> =
            deployed.filter(|version| *what == Exported::Hub || Some(version.version) == needed).collect();
        deployed.iter().try_for_each(|version| write(Line::app(version)))?;
        let mut written = HashSet::new();
        for version in deployed.iter().filter(|_| with_modules).filter(|version| written.insert(version.version)) {
            let bytes = self.shared.runtime().module(version.version).map_err(|why| HubError::Unloadable(why.to_string()))?;
            write(Line::module(version.version, &bytes))?;
        }
        let mut instances = 0;
        let mut export = |id: &InstanceId| -> Result<(), Broken> {
            let Some(snapshot) = self.store.snapshot(id)? else { return Ok(()) };
            instances += 1;
            Line::of(&snapshot).into_iter().try_for_each(write)
        };
        match what {
            Exported::Instance(id) => export(id)?,
            Exported::Hub => {
                let mut after = None;
                loop {
                    let page = self.store.instances(&InstanceQuery::default(), after.as_ref(), PAGE)?;
                    page.records.iter().try_for_each(|record| export(&record.id))?;
                    after = page.next;
                    if after.is_none() || self.is_closing() {
                        break;
                    }
                }
            }
        }
        if self.is_closing() {
            return Err(Broken::Hub(HubError::ShuttingDown));
        }
        write(Line::Done { instances })
    }

    fn import(self: &Arc<Self>, file: &[u8], options: ImportOptions) -> Result<Imported, HubError> {
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
        let mut imported = Imported::default();
        for (version, bytes) in modules {
            imported.versions.extend(self.adopt(version, &bytes, &apps)?);
        }
        for snapshot in snapshots {
            let id = snapshot.record.id.clone();
            self.take_in(snapshot, options)?;
            imported.instances.push(id);
        }
        Ok(imported)
    }

    /// An instance runs only on what is deployed in its own hub: a digest alone gives nobody the code of another.
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

    /// Deploys a module as the version that the file says it is. None: it was deployed before.
    fn adopt(&self, version: VersionId, bytes: &[u8], apps: &[AppVersion]) -> Result<Option<VersionId>, HubError> {
        if self.catalog.has(version) {
            return Ok(None);
        }
        let _held = self.shared.modules().hold(version_of(bytes));
        let prepared = self.executor.prepare(bytes).map_err(|error| HubError::Deploy(Arc::new(error)))?;
        let mut adopted = None;
        for app in apps.iter().filter(|app| app.version == version && app.version == prepared.version) {
            let app = AppVersion { functions: prepared.functions.clone(), size: bytes.len() as u64, ..app.clone() };
            self.apply_policies(Some((&app.app, version)));
            if self.record(version, || self.catalog.adopt(self.store.as_ref(), &self.rules().limits, app))? {
                adopted = Some(version);
            }
        }
        Ok(adopted)
    }

    fn take_in(self: &Arc<Self>, mut snapshot: Snapshot, options: ImportOptions) -> Result<(), HubError> {
        let id = snapshot.record.id.clone();
        snapshot.record.row = self.store.next_row();
        snapshot.record.version = snapshot.record.version.filter(|version| self.catalog.has(*version));
        if !options.resume {
            suspend(&mut snapshot);
        }
        let replaced = if options.replace { self.store.snapshot(&id)? } else { None };
        let receipt = self.store.restore(&snapshot, options.replace).map_err(|error| match error {
            StoreError::Stale { .. } => HubError::AlreadyExists { id: id.clone(), status: RuntimeStatus::Running },
            error => error.into(),
        })?;
        if let Some(replaced) = replaced {
            let seqs: Vec<Seq> = replaced.activities.iter().map(|(seq, _)| *seq).collect();
            self.activities.cancel(replaced.record.row, &seqs);
        }
        let deliveries = receipt.delivered.into_iter().map(|(key, message)| Delivery { message, stored: Some(key) });
        self.desk.deliver_all(deliveries.map(Envelope::of));
        self.changes.tell(&snapshot.record, false);
        self.schedule_activities(pending_activities(&snapshot));
        self.set_timers(&snapshot.record, &snapshot.timers);
        Ok(())
    }
}

/// Lets an instance that has not ended do nothing of its own until it is resumed. The message does it, as it would have at
/// home; the status makes sure that it is taken in before anything else.
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

/// The activities that had not reported: they run again.
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
