//! A commit in stored form, encoded on the caller's thread, so that the writer thread only works on B-trees.

use std::ops::Range;

use dacapo_core::commit::Timer;
use dacapo_core::{Commit, ExecutionId, InstanceId, Message, Once, Row, Seq};

use crate::Snapshot;
use crate::codec::{self, ListingFields};

pub(super) struct Prepared {
    pub id: InstanceId,
    pub row: Row,
    pub execution: ExecutionId,
    pub turns: Range<u32>,
    pub listing_fields: ListingFields,
    pub record: Vec<u8>,
    pub entity: Option<Vec<u8>>,
    pub vanishes: bool,
    pub replaces: Option<Row>,
    pub forgotten: Range<u32>,
    /// The turn and its events.
    pub history: Option<(u32, Vec<u8>)>,
    /// Rows and numbers of messages.
    pub consumed: Vec<(Row, u64)>,
    pub kept: Vec<Vec<u8>>,
    pub sent: Vec<Sent>,
    pub timers_set: Vec<Timer>,
    /// The stored value of the timers. Empty if none is set.
    pub timer: Vec<u8>,
    pub timers_cleared: Vec<Timer>,
    /// Each with the turn that scheduled it.
    pub activities_set: Vec<(Seq, u32)>,
    pub activities_cleared: Vec<Seq>,
    pub once: Vec<Once>,
    pub announced: Option<Vec<u8>>,
}

pub(super) struct Sent {
    pub message: Message,
    pub bytes: Vec<u8>,
}

impl Prepared {
    pub fn new(commit: Commit) -> Self {
        let record = codec::encode_record(&commit.record);
        let timer = match commit.timers_set.is_empty() {
            true => Vec::new(),
            false => codec::encode_timer(&commit.record.id, commit.record.execution),
        };
        Self {
            id: commit.record.id,
            row: commit.record.row,
            execution: commit.record.execution,
            turns: commit.record.turns,
            listing_fields: ListingFields { status: commit.record.status, created: commit.record.created },
            record,
            entity: commit.entity.as_ref().map(codec::encode_entity),
            vanishes: commit.vanishes,
            replaces: commit.replaces.map(|replaced| replaced.row),
            forgotten: commit.forgotten,
            history: commit.history.map(|chunk| (chunk.turn, codec::encode_history(&chunk.events))),
            consumed: commit.consumed.into_iter().map(|key| (key.row, key.number)).collect(),
            kept: commit.kept.iter().map(codec::encode_message).collect(),
            sent: commit.sent.into_iter().map(Sent::new).collect(),
            timers_set: commit.timers_set,
            timer,
            timers_cleared: commit.timers_cleared,
            activities_set: commit.activities_set.iter().map(|activity| (activity.seq, activity.turn)).collect(),
            activities_cleared: commit.activities_cleared,
            once: commit.once,
            announced: commit.announced.as_ref().map(codec::encode_announcement),
        }
    }

    /// About how many bytes it writes.
    pub fn size(&self) -> usize {
        // The cost of a small row besides its value: its key and its entry in a page.
        const ROW: usize = 32;
        let history = self.history.as_ref().map_or(0, |(_, bytes)| bytes.len());
        let beside = [&self.entity, &self.announced].into_iter().flatten().map(|bytes| bytes.len() + ROW).sum::<usize>();
        let kept: usize = self.kept.iter().map(|bytes| bytes.len() + ROW).sum();
        let sent: usize = self.sent.iter().map(|sent| sent.bytes.len() + 2 * ROW).sum();
        let timers = self.timers_set.len() * (self.timer.len() + ROW);
        let small = self.activities_set.len() + self.activities_cleared.len() + self.timers_cleared.len() + self.consumed.len();
        let small = small + self.once.len();
        self.record.len() + history + beside + kept + sent + timers + (small + 2) * ROW
    }
}

/// An instance from another hub.
pub(super) struct Restored {
    pub id: InstanceId,
    pub row: Row,
    pub listing_fields: ListingFields,
    pub record: Vec<u8>,
    pub entity: Option<Vec<u8>>,
    pub history: Vec<(u32, Vec<u8>)>,
    pub inbox: Vec<Sent>,
    pub timers: Vec<Timer>,
    /// The stored value of the timers.
    pub timer: Vec<u8>,
    pub activities: Vec<(Seq, u32)>,
    /// The instance that has its id is removed.
    pub replaces: bool,
}

impl Restored {
    pub fn new(snapshot: &Snapshot, replaces: bool) -> Self {
        let record = &snapshot.record;
        Self {
            id: record.id.clone(),
            row: record.row,
            listing_fields: ListingFields { status: record.status, created: record.created },
            record: codec::encode_record(record),
            entity: snapshot.entity.as_ref().map(codec::encode_entity),
            history: snapshot.history.iter().map(|chunk| (chunk.turn, codec::encode_history(&chunk.events))).collect(),
            inbox: snapshot.inbox.iter().cloned().map(Sent::new).collect(),
            timers: snapshot.timers.clone(),
            timer: codec::encode_timer(&record.id, record.execution),
            activities: snapshot.activities.clone(),
            replaces,
        }
    }

    /// About how many bytes it writes.
    pub fn size(&self) -> usize {
        let history: usize = self.history.iter().map(|(_, bytes)| bytes.len()).sum();
        let inbox: usize = self.inbox.iter().map(|sent| sent.bytes.len()).sum();
        self.record.len() + history + inbox + self.timers.len() * self.timer.len()
    }
}

impl Sent {
    pub fn new(message: Message) -> Self {
        Self { bytes: codec::encode_message(&message), message }
    }
}
