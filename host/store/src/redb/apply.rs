//! What a commit does to the tables.

use std::sync::atomic::{AtomicU64, Ordering};

use ::redb::{ReadableTable, Table, WriteTransaction};
use dacapo_core::{Event, InstanceId, InstanceRecord, Message, MessageKey, Row};

use super::fault::Fault;
use super::prepare::{Prepared, Sent};
use super::tables::{ACTIVE, ACTIVITIES, APPS, HISTORY, IDS, INBOX, META, META_COUNTERS, RECORDS, TIMERS};
use crate::codec::{self, Counters, Fence};
use crate::{AppVersion, Receipt, StoreError};

/// The tables, open for writing in one transaction.
pub(super) struct Tables<'txn> {
    meta: Table<'txn, &'static str, &'static [u8]>,
    ids: Table<'txn, &'static str, u64>,
    records: Table<'txn, u64, &'static [u8]>,
    history: Table<'txn, (u64, u32), &'static [u8]>,
    inbox: Table<'txn, (u64, u64), &'static [u8]>,
    timers: Table<'txn, (i64, u64, u32), &'static [u8]>,
    activities: Table<'txn, (u64, u32), u32>,
}

/// Why a commit was not applied.
pub(super) enum Rejected {
    /// It does not follow what is stored, and has changed nothing.
    Refused(StoreError),
    /// It met damage on its way: the transaction holds a part of it and must not be committed.
    Spoiled(StoreError),
    /// The file failed, and with it the transaction.
    File(Fault),
}

/// What a commit that follows what is stored needs besides.
struct Plan {
    /// The instance is not stored yet.
    new: bool,
    /// The finished instance that it takes the place of.
    purge: Option<Row>,
}

impl<'txn> Tables<'txn> {
    pub fn open(txn: &'txn WriteTransaction) -> Result<Self, Fault> {
        Ok(Self {
            meta: txn.open_table(META)?,
            ids: txn.open_table(IDS)?,
            records: txn.open_table(RECORDS)?,
            history: txn.open_table(HISTORY)?,
            inbox: txn.open_table(INBOX)?,
            timers: txn.open_table(TIMERS)?,
            activities: txn.open_table(ACTIVITIES)?,
        })
    }

    pub fn write_counters(&mut self, counters: Counters) -> Result<(), Fault> {
        self.meta.insert(META_COUNTERS, codec::encode_counters(counters).as_slice())?;
        Ok(())
    }

    /// Applies one commit: all of it, or says why not.
    pub fn apply(&mut self, commit: &Prepared, counters: &mut Counters, rows: &AtomicU64) -> Result<Receipt, Rejected> {
        let plan = self.check(commit).map_err(|fault| match fault {
            Fault::Store(error) => Rejected::Refused(error),
            fault => Rejected::File(fault),
        })?;
        self.write(commit, plan, counters, rows).map_err(|fault| match fault {
            Fault::Store(error) => Rejected::Spoiled(error),
            fault => Rejected::File(fault),
        })
    }

    /// Whether the commit follows what is stored. Only reads.
    fn check(&self, commit: &Prepared) -> Result<Plan, Fault> {
        let stale = |reason: String| Err(Fault::Store(StoreError::Stale { instance: commit.id.clone(), reason }));
        let stored = self.fence(commit.row)?;
        if let Some(stored) = &stored {
            if stored.id != commit.id {
                return stale(format!("its row {} belongs to '{}'", commit.row.0, stored.id));
            }
            if stored.status.is_terminal() && !commit.status.is_terminal() {
                return stale(format!("it has ended: it is {}", stored.status.name()));
            }
        }
        let turns = stored.as_ref().map_or(0, |stored| stored.turns.end);
        let follows = match &commit.history {
            Some((turn, _)) => *turn == turns && turn.checked_add(1) == Some(commit.turns.end),
            None => commit.turns.end == turns,
        };
        if !follows || commit.turns.start > commit.turns.end {
            let came = commit.history.as_ref().map(|(turn, _)| *turn);
            return stale(format!("{turns} turns are stored, and the commit makes them {:?} with turn {came:?}", commit.turns));
        }
        if commit.consumed.iter().any(|(row, _)| *row != commit.row) {
            return stale("the commit consumes a message of another instance".into());
        }
        if commit.history.is_none() && !commit.activities_set.is_empty() {
            return stale("the commit schedules activities without a turn that says so".into());
        }
        if stored.is_some() {
            return Ok(Plan { new: false, purge: None });
        }
        let holder = self.ids.get(commit.id.as_str())?.map(|row| Row(row.value()));
        match holder.map(|row| self.fence(row)).transpose()?.flatten() {
            Some(holder) if !holder.status.is_terminal() => stale("another instance with this id is alive".into()),
            Some(_) if holder != commit.replaces => stale("an instance with this id has ended meanwhile".into()),
            Some(_) | None => Ok(Plan { new: true, purge: holder }),
        }
    }

    fn fence(&self, row: Row) -> Result<Option<Fence>, Fault> {
        Ok(self.records.get(row.0)?.map(|record| codec::decode_fence(record.value())).transpose()?)
    }

    fn write(&mut self, commit: &Prepared, plan: Plan, counters: &mut Counters, rows: &AtomicU64) -> Result<Receipt, Fault> {
        let row = commit.row.0;
        if let Some(purged) = plan.purge {
            self.purge(purged)?;
        }
        if plan.new {
            self.ids.insert(commit.id.as_str(), row)?;
            counters.next_row = counters.next_row.max(row + 1);
        }
        self.records.insert(row, commit.record.as_slice())?;
        for turn in commit.forgotten.clone() {
            self.history.remove((row, turn))?;
        }
        if let Some((turn, events)) = &commit.history {
            self.history.insert((row, *turn), events.as_slice())?;
        }
        for (row, number) in &commit.consumed {
            self.inbox.remove((row.0, *number))?;
        }
        self.write_timers(commit)?;
        self.write_activities(commit)?;
        for bytes in &commit.kept {
            self.store_message(commit.row, bytes, counters)?;
        }
        let mut receipt = Receipt::default();
        for sent in &commit.sent {
            receipt.delivered.extend(self.send(sent, commit, counters, rows)?);
        }
        Ok(receipt)
    }

    // What is both set and cleared is cleared.

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
        let turn = commit.history.as_ref().map_or(0, |(turn, _)| *turn);
        for seq in &commit.activities_set {
            self.activities.insert((row, seq.0), turn)?;
        }
        for seq in &commit.activities_cleared {
            self.activities.remove((row, seq.0))?;
        }
        Ok(())
    }

    /// Hands a message over: to the instance that it is for, to the one that it starts, or as a refusal to who waits.
    fn send(
        &mut self,
        sent: &Sent,
        sender: &Prepared,
        counters: &mut Counters,
        rows: &AtomicU64,
    ) -> Result<Option<(MessageKey, Message)>, Fault> {
        let Sent { message, bytes } = sent;
        let living = self.living(&message.to)?;
        let Event::ExecutionStarted { execution, .. } = &message.event else {
            return match living {
                Some((row, _)) => self.deliver(row, message, bytes, counters).map(Some),
                None => Ok(None),
            };
        };
        match living {
            // Continue-as-new: the instance starts itself again.
            Some((row, fence)) if row == sender.row && fence.execution == *execution => {
                self.deliver(row, message, bytes, counters).map(Some)
            }
            Some(_) => {
                let Some(refusal) = message.refused(message.sent_at).map(Sent::new) else { return Ok(None) };
                match self.living(&refusal.message.to)? {
                    Some((row, _)) => self.deliver(row, &refusal.message, &refusal.bytes, counters).map(Some),
                    None => Ok(None),
                }
            }
            None => {
                let row = self.start(message, counters, rows)?;
                self.deliver(row, message, bytes, counters).map(Some)
            }
        }
    }

    /// The instance of this id, if it has not ended.
    fn living(&self, id: &InstanceId) -> Result<Option<(Row, Fence)>, Fault> {
        let Some(row) = self.ids.get(id.as_str())?.map(|row| Row(row.value())) else { return Ok(None) };
        let fence = self.fence(row)?;
        Ok(fence.filter(|fence| !fence.status.is_terminal()).map(|fence| (row, fence)))
    }

    /// Makes the instance that a message starts. No living one has its id.
    fn start(&mut self, message: &Message, counters: &mut Counters, rows: &AtomicU64) -> Result<Row, Fault> {
        let row = Row(rows.fetch_add(1, Ordering::Relaxed));
        let record = InstanceRecord::pending(row, message).expect("the message is an ExecutionStarted");
        let ended = self.ids.insert(message.to.as_str(), row.0)?.map(|row| Row(row.value()));
        if let Some(ended) = ended {
            self.purge(ended)?;
        }
        self.records.insert(row.0, codec::encode_record(&record).as_slice())?;
        counters.next_row = counters.next_row.max(row.0 + 1);
        Ok(row)
    }

    fn deliver(
        &mut self,
        row: Row,
        message: &Message,
        bytes: &[u8],
        counters: &mut Counters,
    ) -> Result<(MessageKey, Message), Fault> {
        Ok((self.store_message(row, bytes, counters)?, message.clone()))
    }

    fn store_message(&mut self, row: Row, bytes: &[u8], counters: &mut Counters) -> Result<MessageKey, Fault> {
        let number = counters.next_message;
        counters.next_message += 1;
        self.inbox.insert((row.0, number), bytes)?;
        Ok(MessageKey { row, number })
    }

    /// Deletes what is left of an instance that has ended. Its timers went when it ended.
    fn purge(&mut self, Row(row): Row) -> Result<(), Fault> {
        self.records.remove(row)?;
        self.history.retain_in((row, 0)..=(row, u32::MAX), |_, _| false)?;
        self.inbox.retain_in((row, 0)..=(row, u64::MAX), |_, _| false)?;
        self.activities.retain_in((row, 0)..=(row, u32::MAX), |_, _| false)?;
        Ok(())
    }
}

/// Records a version of an app and makes it the active one.
pub(super) fn put_app(txn: &WriteTransaction, version: &AppVersion) -> Result<(), Fault> {
    let (app, digest) = (version.app.as_str(), &version.version.0);
    txn.open_table(APPS)?.insert((app, digest), codec::encode_app(version).as_slice())?;
    txn.open_table(ACTIVE)?.insert(app, digest)?;
    Ok(())
}
