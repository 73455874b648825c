//! Applies changes to the tables.
//!
//! - [`Tables`]: the tables in one transaction, and how a commit is written to them.
//! - `check`: whether a commit follows the stored state.
//! - `send`: delivers the messages of a commit.
//! - `remove`: removes instances.
//! - `restore`: instances that come from another hub.
//! - `zones`: the zones that the transaction has touched.

use std::sync::atomic::AtomicU64;

use ::redb::{ReadableTable, ReadableTableMetadata, Table, WriteTransaction};
use dacapo_core::{Row, Seq, VersionId};

use super::fault::Fault;
use super::prepare::Prepared;
use super::tables::{
    ACTIVE, ACTIVITIES, APPS, HISTORY, IDS, INBOX, META, META_COUNTERS, ONCE, OUTBOX, RECORDS, STATES, TIMERS, ZONES,
};
use crate::codec::{self, CommitGuard, Counters};
use crate::{AppChange, Receipt, StoreError};

mod check;
mod remove;
mod restore;
mod send;
mod zones;

pub(super) use zones::build_zones;

use zones::Zones;

/// The tables, open for writing in one transaction.
pub(super) struct Tables<'txn> {
    meta: Table<'txn, &'static str, &'static [u8]>,
    ids: Table<'txn, &'static str, u64>,
    records: Table<'txn, u64, &'static [u8]>,
    states: Table<'txn, u64, &'static [u8]>,
    zones: Zones<'txn>,
    history: Table<'txn, (u64, u32), &'static [u8]>,
    inbox: Table<'txn, (u64, u64), &'static [u8]>,
    timers: Table<'txn, (i64, u64, u32), &'static [u8]>,
    activities: Table<'txn, (u64, u32), u32>,
    once: Table<'txn, (u64, u32, u128), ()>,
    outbox: Table<'txn, u64, &'static [u8]>,
    counters: Counters,
    /// The source of rows for new instances.
    rows: &'txn AtomicU64,
}

/// Why a change was not applied.
pub(super) enum Rejected {
    /// It does not follow the stored state, and has changed nothing.
    Refused(StoreError),
    /// It found damage while it was applied: the transaction holds a part of it and must not be committed.
    Damaged(StoreError),
    /// The file failed, and with it the transaction.
    File(Fault),
}

impl From<Fault> for Rejected {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Store(error) => Rejected::Damaged(error),
            fault => Rejected::File(fault),
        }
    }
}

/// What to do for a commit that passed the check.
struct Plan {
    /// The instance is not stored yet.
    new: bool,
    /// The finished instance that it replaces.
    replaces: Option<Row>,
}

impl<'txn> Tables<'txn> {
    pub fn open(txn: &'txn WriteTransaction, counters: Counters, rows: &'txn AtomicU64) -> Result<Self, Fault> {
        Ok(Self {
            meta: txn.open_table(META)?,
            ids: txn.open_table(IDS)?,
            records: txn.open_table(RECORDS)?,
            states: txn.open_table(STATES)?,
            zones: Zones::new(txn.open_table(ZONES)?),
            history: txn.open_table(HISTORY)?,
            inbox: txn.open_table(INBOX)?,
            timers: txn.open_table(TIMERS)?,
            activities: txn.open_table(ACTIVITIES)?,
            once: txn.open_table(ONCE)?,
            outbox: txn.open_table(OUTBOX)?,
            counters,
            rows,
        })
    }

    /// Writes the touched zones and the counters. Returns the counters after this transaction, and the change of the number of
    /// living instances.
    pub fn finish(mut self) -> Result<(Counters, i64), Fault> {
        let born = self.zones.write()?;
        self.counters.transactions += 1;
        self.meta.insert(META_COUNTERS, codec::encode_counters(self.counters).as_slice())?;
        Ok((self.counters, born))
    }

    /// Applies one commit as a whole, or returns why not.
    pub fn apply(&mut self, commit: &Prepared) -> Result<Receipt, Rejected> {
        let plan = self.check(commit).map_err(|fault| match fault {
            Fault::Store(error) => Rejected::Refused(error),
            fault => Rejected::File(fault),
        })?;
        Ok(self.write(commit, &plan)?)
    }

    pub fn forget_announcements(&mut self, up_to: u64) -> Result<(), Rejected> {
        Ok(self.outbox.retain_in(..=up_to, |_, _| false).map_err(Fault::from)?)
    }

    fn write(&mut self, commit: &Prepared, plan: &Plan) -> Result<Receipt, Fault> {
        let row = commit.row.0;
        let mut receipt = Receipt::default();
        if let Some(replaced) = plan.replaces {
            receipt.delivered = self.replace(replaced)?;
        }
        if plan.new {
            self.ids.insert(commit.id.as_str(), row)?;
            self.counters.next_row = self.counters.next_row.max(row + 1);
        }
        self.records.insert(row, commit.record.as_slice())?;
        self.zones.set(commit.row, commit.listing_fields)?;
        if let Some(entity) = &commit.entity {
            self.states.insert(row, entity.as_slice())?;
        }
        self.write_history(commit)?;
        for (row, number) in &commit.consumed {
            self.inbox.remove((row.0, *number))?;
        }
        self.write_timers(commit)?;
        self.write_activities(commit)?;
        self.write_once(commit)?;
        for bytes in &commit.kept {
            self.store_message(commit.row, bytes)?;
        }
        if let Some(announced) = &commit.announced {
            self.outbox.insert(self.counters.next_announcement, announced.as_slice())?;
            self.counters.next_announcement += 1;
        }
        for sent in &commit.sent {
            receipt.delivered.extend(self.send(sent, commit)?);
        }
        if commit.vanishes {
            self.vanish(commit)?;
        }
        Ok(receipt)
    }

    /// Removes the activities of forgotten turns too: nothing else describes them.
    fn write_history(&mut self, commit: &Prepared) -> Result<(), Fault> {
        let row = commit.row.0;
        for turn in commit.forgotten.clone() {
            self.history.remove((row, turn))?;
        }
        if !commit.forgotten.is_empty() {
            self.activities.retain_in((row, 0)..=(row, u32::MAX), |_, turn| !commit.forgotten.contains(&turn))?;
        }
        if let Some((turn, events)) = &commit.history {
            self.history.insert((row, *turn), events.as_slice())?;
        }
        Ok(())
    }

    // A timer or an activity that is both set and cleared is cleared.

    fn write_timers(&mut self, commit: &Prepared) -> Result<(), Fault> {
        let row = commit.row.0;
        for timer in &commit.timers_set {
            self.timers.insert((timer.fire_at.0, row, timer.seq.0), commit.timer.as_slice())?;
        }
        for timer in &commit.timers_cleared {
            self.timers.remove((timer.fire_at.0, row, timer.seq.0))?;
        }
        Ok(())
    }

    fn write_activities(&mut self, commit: &Prepared) -> Result<(), Fault> {
        let row = commit.row.0;
        for (seq, turn) in &commit.activities_set {
            self.activities.insert((row, seq.0), turn)?;
        }
        for seq in &commit.activities_cleared {
            self.activities.remove((row, seq.0))?;
        }
        Ok(())
    }

    /// Notes what was taken in, and forgets that of calls that will not run again.
    fn write_once(&mut self, commit: &Prepared) -> Result<(), Fault> {
        for once in &commit.once {
            let caller = once.caller.0;
            if self.activities.range((caller, 0)..=(caller, u32::MAX))?.next().transpose()?.is_some() {
                self.once.insert((caller, once.call.0, once.id.as_u128()), ())?;
            }
        }
        let row = commit.row.0;
        if self.once.is_empty()? {
            return Ok(());
        }
        if commit.listing_fields.status.is_terminal() || commit.turns.is_empty() {
            return self.forget_once(row, row);
        }
        for Seq(seq) in &commit.activities_cleared {
            self.once.retain_in((row, *seq, 0)..=(row, *seq, u128::MAX), |_, ()| false)?;
        }
        Ok(())
    }

    fn forget_once(&mut self, first: u64, last: u64) -> Result<(), Fault> {
        Ok(self.once.retain_in((first, 0, 0)..=(last, u32::MAX, u128::MAX), |_, ()| false)?)
    }

    /// Puts a message into an inbox. Returns its number.
    fn store_message(&mut self, row: Row, bytes: &[u8]) -> Result<u64, Fault> {
        let number = self.counters.next_message;
        self.counters.next_message += 1;
        self.inbox.insert((row.0, number), bytes)?;
        Ok(number)
    }

    /// The instance that has this id.
    fn holder(&self, id: &str) -> Result<Option<(Row, CommitGuard)>, Fault> {
        let Some(row) = self.ids.get(id)?.map(|row| Row(row.value())) else { return Ok(None) };
        Ok(self.guard(row)?.map(|guard| (row, guard)))
    }

    fn guard(&self, row: Row) -> Result<Option<CommitGuard>, Fault> {
        Ok(self.records.get(row.0)?.map(|record| codec::decode_commit_guard(record.value())).transpose()?)
    }
}

pub(super) fn change_app(txn: &WriteTransaction, change: &AppChange) -> Result<(), Fault> {
    let app = change.app.as_str();
    let (mut apps, mut active) = (txn.open_table(APPS)?, txn.open_table(ACTIVE)?);
    for version in &change.put {
        apps.insert((app, &version.version.0), codec::encode_app(version).as_slice())?;
    }
    for version in &change.removed {
        apps.remove((app, &version.0))?;
    }
    let current = active.get(app)?.map(|digest| VersionId(*digest.value()));
    match change.active {
        Some(version) => drop(active.insert(app, &version.0)?),
        None if current.is_some_and(|current| change.removed.contains(&current)) => drop(active.remove(app)?),
        None => {}
    }
    Ok(())
}
