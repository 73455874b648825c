//! Initialises and upgrades a database to a task hub of this release.

use ::redb::{Database, Durability, ReadableTable, TableHandle, WriteTransaction};

use super::apply::build_zones;
use super::fault::Fault;
use super::tables::{
    ACTIVE, ACTIVITIES, APPS, HISTORY, IDS, INBOX, META, META_COUNTERS, META_FORMAT, ONCE, OUTBOX, RECORDS, STATES, TIMERS, ZONES,
};
use crate::StoreError;
use crate::codec::{self, Counters};

const FRESH: Counters = Counters { transactions: 0, next_row: 1, next_message: 1, next_announcement: 1 };

/// Checks that the file is a task hub, or makes it one. Returns its counters.
///
/// The first release stored no zones. If it wrote to the hub last, they are built from the records here, once, before the hub
/// is used: some microseconds for each instance. A crash meanwhile leaves the hub as it was.
pub(super) fn prepare(database: &Database) -> Result<Counters, Fault> {
    let mut txn = database.begin_write()?;
    txn.set_durability(Durability::Immediate).expect("no savepoint was made");
    let counters = match txn.list_tables()?.next() {
        None => {
            txn.open_table(META)?.insert(META_FORMAT, codec::encode_hub_format().as_slice())?;
            FRESH
        }
        Some(_) => match stored_counters(&txn)? {
            current if current.next_announcement > 0 && has_all(&txn)? => return Ok(current),
            current if current.next_announcement > 0 => current,
            outdated => upgrade(&txn, outdated)?,
        },
    };
    txn.open_table(META)?.insert(META_COUNTERS, codec::encode_counters(counters).as_slice())?;
    open_all(&txn)?;
    txn.commit().map_err(|error| Fault::File(error.into()))?;
    Ok(counters)
}

fn stored_counters(txn: &WriteTransaction) -> Result<Counters, Fault> {
    let meta = txn.open_table(META)?;
    let read = |name| -> Result<Vec<u8>, Fault> {
        let value = meta.get(name)?.map(|value| value.value().to_vec());
        Ok(value.ok_or_else(|| StoreError::Corrupt(format!("it is not a task hub: it has no {name}")))?)
    };
    codec::check_hub_format(&read(META_FORMAT)?)?;
    Ok(codec::decode_counters(&read(META_COUNTERS)?)?)
}

/// Builds what the first release did not store.
fn upgrade(txn: &WriteTransaction, counters: Counters) -> Result<Counters, Fault> {
    tracing::info!("an earlier release wrote the task hub; indexing its instances");
    build_zones(txn)?;
    let last = txn.open_table(OUTBOX)?.last()?.map_or(0, |(number, _)| number.value());
    Ok(Counters { next_announcement: last + 1, ..counters })
}

/// Whether the hub has the newest table: those of earlier releases lack it.
fn has_all(txn: &WriteTransaction) -> Result<bool, Fault> {
    Ok(txn.list_tables()?.any(|table| table.name() == ONCE.name()))
}

/// Creates every table, so that readers need not check whether one exists.
fn open_all(txn: &WriteTransaction) -> Result<(), Fault> {
    txn.open_table(IDS)?;
    txn.open_table(RECORDS)?;
    txn.open_table(STATES)?;
    txn.open_table(ZONES)?;
    txn.open_table(HISTORY)?;
    txn.open_table(INBOX)?;
    txn.open_table(TIMERS)?;
    txn.open_table(ACTIVITIES)?;
    txn.open_table(ONCE)?;
    txn.open_table(OUTBOX)?;
    txn.open_table(APPS)?;
    txn.open_table(ACTIVE)?;
    Ok(())
}
