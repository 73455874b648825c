//! Migration: from now on, an instance runs on another version, if the history is one of that version too.
//!
//! The replay that finds it out and the change of the record are one turn, so nothing can come between them, and there is
//! no state half way: a crash leaves the instance on the one version or on the other.

use super::{Draft, Halt, Live, Memory, Turn};
use crate::VersionId;
use crate::event::{Delivery, Event, Message};

pub(super) const NOT_BEGUN: &str = "it has not begun: its version is chosen when it does";

impl Turn<'_> {
    /// The guest of the version that was asked for last, where the history ends. None: nobody asked, or for what is already so.
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
    /// Goes on with this version, and lets the history say so.
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
