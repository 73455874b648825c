//! Migration: moves an instance to another version, if its history replays on that version.
//!
//! The replay that checks this and the change of the record are one turn, so nothing can come between them: a crash leaves the
//! instance on one version or the other.

use super::{Draft, Halt, Live, Memory, Turn};
use crate::VersionId;
use crate::event::{Delivery, Event, Message};

pub(super) const NOT_BEGUN: &str = "it has not begun: its version is chosen when it does";

impl Turn<'_> {
    /// The version requested last, and its guest after the replay. None: no request, or it already runs on that version.
    pub(super) fn migrate(
        &self,
        draft: &Draft,
        memory: &Memory,
        migrations: &[Delivery],
    ) -> Result<Option<(VersionId, Live)>, Halt> {
        let Some(version) = migrations.last().and_then(|delivery| target(&delivery.message.event)) else { return Ok(None) };
        let record = &draft.commit.record;
        if record.turns.is_empty() {
            return Err(Halt::because(NOT_BEGUN));
        }
        if record.version == Some(version) && record.halted.is_none() {
            return Ok(None);
        }
        let Memory::Cold(history) = memory else {
            return Err(Halt::because("its history was not loaded"));
        };
        let mut moved = record.clone();
        moved.version = Some(version);
        self.replay(&moved, history.as_ref(), &[]).map(|(live, _events)| Some((version, live)))
    }
}

impl Draft {
    /// Continues on this version, and records that in the history.
    pub fn migrated(&mut self, version: VersionId, inbox: &mut Vec<Delivery>) {
        self.commit.record.version = Some(version);
        self.commit.record.halted = None;
        let message = Message {
            to: self.commit.record.id.clone(),
            execution: Some(self.commit.record.execution),
            sent_at: self.now,
            event: Event::ExecutionMigrated { version },
        };
        inbox.insert(0, Delivery { message, stored: None });
    }
}

pub(super) fn is_migration(delivery: &Delivery) -> bool {
    target(&delivery.message.event).is_some()
}

fn target(event: &Event) -> Option<VersionId> {
    match event {
        Event::ExecutionMigrated { version } => Some(*version),
        _ => None,
    }
}
