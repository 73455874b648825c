//! The control file and its operations.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use redb::{
    Database, Durability, ReadTransaction, ReadableTable as _, ReadableTableMetadata as _, TableDefinition, WriteTransaction,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{AuditEntry, ControlError, HostNames, HubRecord, KeyHash, KeyId, KeyRecord, Scope, Wake, audit, modules};
use crate::StoreError;
use crate::redb::{DiskFile, Failed, Fault, RedbFile};

/// Folded name → record.
pub(super) const HUBS: TableDefinition<&str, &[u8]> = TableDefinition::new("hubs");
const WAKES: TableDefinition<&str, &[u8]> = TableDefinition::new("wakes");
const KEYS: TableDefinition<KeyHash, &[u8]> = TableDefinition::new("keys");
/// Folded scope and name → hash.
const KEY_NAMES: TableDefinition<(&str, &str), KeyHash> = TableDefinition::new("key_names");
/// Hash → about when the key was last used.
const KEY_USES: TableDefinition<KeyHash, i64> = TableDefinition::new("key_uses");
/// Folded hub and name → the secret, sealed by the host.
const SECRETS: TableDefinition<(&str, &str), &[u8]> = TableDefinition::new("secrets");
/// Folded hub → its usage, in the host's format.
const USAGE: TableDefinition<&str, &[u8]> = TableDefinition::new("usage");
const FACTS: TableDefinition<&str, &[u8]> = TableDefinition::new("facts");
pub(super) const AUDIT: TableDefinition<u64, &[u8]> = TableDefinition::new("audit");
/// Folded scope, whether denied, and number.
pub(super) const AUDIT_OF: TableDefinition<(&str, bool, u64), ()> = TableDefinition::new("audit_of");
pub(super) const AUDIT_COUNTS: TableDefinition<(&str, bool), u64> = TableDefinition::new("audit_counts");

const FORMAT: &str = "format";
const FORMAT_KNOWN: u8 = 1;

/// A host has one such file, and it is small.
const CACHE_BYTES: usize = 16 << 20;
const REOPEN_PAUSE: Duration = Duration::from_secs(1);

/// More keys than this are a mistake.
pub const KEYS_PER_SCOPE_MAX: usize = 1_000;
pub const SECRETS_PER_HUB_MAX: usize = 1_000;

/// The least time between two notes of the use of a key.
const USE_NOTED_EVERY: Duration = Duration::from_secs(60);

/// The control file of a host. Reads see every change that has returned; a change that returns `Ok` survives any crash, and
/// one that returns an error has not happened, unless the disk failed while it was saved.
///
/// All methods may block on the disk.
pub struct ControlFile {
    file: RedbFile,
    /// When the use of each key was last noted by this process.
    noted: Mutex<HashMap<KeyHash, i64>>,
    /// Held while host names are changed, also while the change is being saved.
    changing_names: Mutex<()>,
    pub(super) host_names: Arc<HostNames>,
}

pub(super) type Result<T, E = ControlError> = std::result::Result<T, E>;
/// The inner error is a refusal without a fault of the file: then nothing is changed.
pub(super) type Outcome<T> = std::result::Result<Result<T>, Fault>;

impl ControlFile {
    /// Opens the file, or makes a new one. The directory must exist.
    ///
    /// `Locked` if another process has it open; `Missing` if it is empty.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let (file, ()) = RedbFile::open(Box::new(DiskFile::new(path)), CACHE_BYTES, REOPEN_PAUSE, prepare)?;
        let host_names = Arc::new(file.read(HostNames::load)?);
        Ok(Self { file, noted: Mutex::default(), changing_names: Mutex::default(), host_names })
    }

    /// Locks out all other changes of host names.
    pub(super) fn alone(&self) -> MutexGuard<'_, ()> {
        self.changing_names.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Commits an empty transaction, to find out whether the file can be written.
    pub fn probe(&self) -> Result<()> {
        self.write(|_| Ok(Ok(())))
    }

    // Hubs.

    pub fn hub(&self, name: &str) -> Result<Option<HubRecord>> {
        self.read(|txn| get(txn, HUBS, fold(name).as_str()))
    }

    /// Hubs by name, after this one.
    pub fn hubs(&self, after: Option<&str>, limit: usize) -> Result<Vec<HubRecord>> {
        let after = after.map(fold);
        self.read(|txn| {
            let hubs = txn.open_table(HUBS)?;
            let from = match &after {
                Some(after) => std::ops::Bound::Excluded(after.as_str()),
                None => std::ops::Bound::Unbounded,
            };
            hubs.range::<&str>((from, std::ops::Bound::Unbounded))?.take(limit).map(|row| decode(row?.1.value())).collect()
        })
    }

    pub fn hub_count(&self) -> Result<u64> {
        self.read(|txn| Ok(txn.open_table(HUBS)?.len()?))
    }

    /// Creates a hub, without host names. `HubExists`.
    pub fn create_hub(&self, record: &HubRecord, entry: &AuditEntry) -> Result<()> {
        let name = fold(&record.name);
        let record = HubRecord { host_names: BTreeSet::new(), ..record.clone() };
        self.change(entry, |txn| {
            let mut hubs = txn.open_table(HUBS)?;
            if hubs.get(name.as_str())?.is_some() {
                return Ok(Err(ControlError::HubExists(record.name.clone())));
            }
            hubs.insert(name.as_str(), encode(&record).as_slice())?;
            Ok(Ok(()))
        })
    }

    /// Changes a hub, and returns its new record. `NoHub`. Its name, its time of creation and its host names stay.
    pub fn change_hub(&self, name: &str, entry: &AuditEntry, change: impl Fn(&mut HubRecord)) -> Result<HubRecord> {
        let folded = fold(name);
        self.change(entry, |txn| {
            let mut hubs = txn.open_table(HUBS)?;
            let stored = hubs.get(folded.as_str())?.map(|bytes| decode::<HubRecord>(bytes.value())).transpose()?;
            let Some(stored) = stored else { return Ok(Err(ControlError::NoHub(name.into()))) };
            let mut changed = stored.clone();
            change(&mut changed);
            let HubRecord { name, created_at, host_names, .. } = stored;
            let changed = HubRecord { name, created_at, host_names, ..changed };
            hubs.insert(folded.as_str(), encode(&changed).as_slice())?;
            Ok(Ok(changed))
        })
    }

    /// Deletes a hub with its keys, secrets, host names, usage and needed files; the audit log stays. `NoHub`.
    pub fn delete_hub(&self, name: &str, entry: &AuditEntry) -> Result<()> {
        let folded = fold(name);
        let _alone = self.alone();
        let host_names = self.hub(name)?.map(|record| record.host_names).unwrap_or_default();
        let deleted = self.change(entry, |txn| {
            if txn.open_table(HUBS)?.remove(folded.as_str())?.is_none() {
                return Ok(Err(ControlError::NoHub(name.into())));
            }
            txn.open_table(WAKES)?.remove(folded.as_str())?;
            modules::forget(txn, &folded)?;
            txn.open_table(USAGE)?.remove(folded.as_str())?;
            let (mut names, mut keys, mut uses) = (txn.open_table(KEY_NAMES)?, txn.open_table(KEYS)?, txn.open_table(KEY_USES)?);
            let mut hashes = Vec::new();
            for row in names.extract_from_if((folded.as_str(), "").., |(hub, _), _| hub == folded)? {
                hashes.push(row?.1.value());
            }
            for hash in &hashes {
                keys.remove(hash)?;
                uses.remove(hash)?;
            }
            txn.open_table(SECRETS)?.retain_in((folded.as_str(), "").., |(hub, _), _| hub != folded)?;
            Ok(Ok(hashes))
        });
        self.index_host_names(&folded, host_names);
        let hashes = deleted?;
        let mut noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
        noted.retain(|hash, _| !hashes.contains(hash));
        Ok(())
    }

    // When hubs must be opened.

    /// When the hub must be opened. None: it has never been open.
    pub fn wake(&self, hub: &str) -> Result<Option<Wake>> {
        self.read(|txn| get(txn, WAKES, fold(hub).as_str()))
    }

    /// All hubs that were ever opened, with their folded names.
    pub fn wakes(&self) -> Result<Vec<(String, Wake)>> {
        self.read(|txn| by_name(txn, WAKES))
    }

    /// Treats the hub as never opened: when it is opened next, its file is made if it is missing.
    pub fn forget_wake(&self, hub: &str) -> Result<()> {
        let hub = fold(hub);
        self.write(|txn| {
            txn.open_table(WAKES)?.remove(hub.as_str())?;
            Ok(Ok(()))
        })
    }

    pub fn set_wake(&self, hub: &str, wake: Wake) -> Result<()> {
        let hub = fold(hub);
        self.write(|txn| {
            txn.open_table(WAKES)?.insert(hub.as_str(), encode(&wake).as_slice())?;
            Ok(Ok(()))
        })
    }

    // Usage of hubs. Only the host knows its format.

    pub fn usage<T: DeserializeOwned>(&self, hub: &str) -> Result<Option<T>> {
        self.read(|txn| get(txn, USAGE, fold(hub).as_str()))
    }

    /// The usage of all hubs that have any, by folded name.
    pub fn usages<T: DeserializeOwned>(&self) -> Result<HashMap<String, T>> {
        self.read(|txn| by_name(txn, USAGE))
    }

    /// Saves the usage of hubs, replacing what was saved of each. The usage of a hub that is gone is dropped.
    pub fn put_usages<T: Serialize>(&self, usages: &HashMap<String, T>) -> Result<()> {
        self.write(|txn| {
            let (hubs, mut kept) = (txn.open_table(HUBS)?, txn.open_table(USAGE)?);
            for (hub, usage) in usages {
                let hub = fold(hub);
                if hubs.get(hub.as_str())?.is_some() {
                    kept.insert(hub.as_str(), encode(usage).as_slice())?;
                }
            }
            Ok(Ok(()))
        })
    }

    // Keys.

    /// The key whose text has this hash.
    pub fn key(&self, hash: &KeyHash) -> Result<Option<KeyRecord>> {
        self.read(|txn| get(txn, KEYS, *hash))
    }

    /// The key whose hash begins with this.
    pub fn key_of_id(&self, id: &KeyId) -> Result<Option<(KeyHash, KeyRecord)>> {
        let mut from = KeyHash::default();
        from[..id.len()].copy_from_slice(id);
        self.read(|txn| {
            let keys = txn.open_table(KEYS)?;
            let Some(row) = keys.range(from..)?.next() else { return Ok(None) };
            let (hash, record) = row?;
            match hash.value().starts_with(id) {
                true => Ok(Some((hash.value(), decode(record.value())?))),
                false => Ok(None),
            }
        })
    }

    /// The keys of a scope by name, with about when each was last used, in microseconds since 1970.
    pub fn keys(&self, scope: &Scope) -> Result<Vec<(KeyRecord, Option<i64>)>> {
        let scope = fold(scope.as_str());
        self.read(|txn| {
            let (names, keys, uses) = (txn.open_table(KEY_NAMES)?, txn.open_table(KEYS)?, txn.open_table(KEY_USES)?);
            let mut found = Vec::new();
            for row in names.range((scope.as_str(), "")..)? {
                let (name, hash) = row?;
                if name.value().0 != scope {
                    break;
                }
                let hash = hash.value();
                let stored = keys.get(hash)?.ok_or_else(|| StoreError::Corrupt("a key has a name but no record".into()))?;
                found.push((decode(stored.value())?, uses.get(hash)?.map(|at| at.value())));
            }
            Ok(found)
        })
    }

    /// Adds a key. `KeyExists` if the scope has a key of this name, `NoHub`, `TooMany`.
    pub fn add_key(&self, hash: &KeyHash, record: &KeyRecord, entry: &AuditEntry) -> Result<()> {
        let (scope, name) = (fold(record.scope.as_str()), fold(&record.name));
        self.change(entry, |txn| {
            if let Scope::Hub(hub) = &record.scope
                && txn.open_table(HUBS)?.get(scope.as_str())?.is_none()
            {
                return Ok(Err(ControlError::NoHub(hub.clone())));
            }
            let mut names = txn.open_table(KEY_NAMES)?;
            if names.get((scope.as_str(), name.as_str()))?.is_some() {
                return Ok(Err(ControlError::KeyExists(record.name.clone())));
            }
            if rows_of(&names, &scope, KEYS_PER_SCOPE_MAX)? >= KEYS_PER_SCOPE_MAX {
                return Ok(Err(ControlError::TooMany { what: "keys", limit: KEYS_PER_SCOPE_MAX }));
            }
            names.insert((scope.as_str(), name.as_str()), hash)?;
            txn.open_table(KEYS)?.insert(hash, encode(record).as_slice())?;
            Ok(Ok(()))
        })
    }

    /// Revokes a key, which opens nothing from then on. `NoKey`.
    pub fn revoke_key(&self, scope: &Scope, name: &str, entry: &AuditEntry) -> Result<()> {
        let (scope, folded) = (fold(scope.as_str()), fold(name));
        let hash = self.change(entry, |txn| {
            let hash = txn.open_table(KEY_NAMES)?.remove((scope.as_str(), folded.as_str()))?.map(|hash| hash.value());
            let Some(hash) = hash else { return Ok(Err(ControlError::NoKey(name.into()))) };
            txn.open_table(KEYS)?.remove(hash)?;
            txn.open_table(KEY_USES)?.remove(hash)?;
            Ok(Ok(hash))
        })?;
        self.noted.lock().unwrap_or_else(PoisonError::into_inner).remove(&hash);
        Ok(())
    }

    /// Whether this use of a key must be noted, by a call of `note_use`: true at most once a minute for a key.
    pub fn must_note_use(&self, hash: &KeyHash, at: i64) -> bool {
        let mut noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
        let every = i64::try_from(USE_NOTED_EVERY.as_micros()).unwrap_or(i64::MAX);
        let due = noted.get(hash).is_none_or(|&last| at.saturating_sub(last) >= every);
        if due {
            noted.insert(*hash, at);
        }
        due
    }

    /// Notes the use of a key, if it still exists.
    pub fn note_use(&self, hash: &KeyHash, at: i64) -> Result<()> {
        self.write(|txn| {
            if txn.open_table(KEYS)?.get(hash)?.is_some() {
                txn.open_table(KEY_USES)?.insert(hash, at)?;
            }
            Ok(Ok(()))
        })
    }

    // Secrets, sealed by the host.

    pub fn secret(&self, hub: &str, name: &str) -> Result<Option<Vec<u8>>> {
        let hub = fold(hub);
        self.read(|txn| Ok(txn.open_table(SECRETS)?.get((hub.as_str(), name))?.map(|bytes| bytes.value().to_vec())))
    }

    pub fn secret_names(&self, hub: &str) -> Result<Vec<String>> {
        let hub = fold(hub);
        self.read(|txn| {
            let mut names = Vec::new();
            for row in txn.open_table(SECRETS)?.range((hub.as_str(), "")..)? {
                match row?.0.value() {
                    (of, name) if of == hub => names.push(name.to_owned()),
                    _ => break,
                }
            }
            Ok(names)
        })
    }

    /// Saves a secret, replacing one of the same name. `NoHub`, `TooMany`.
    pub fn put_secret(&self, hub: &str, name: &str, sealed: &[u8], entry: &AuditEntry) -> Result<()> {
        let folded = fold(hub);
        self.change(entry, |txn| {
            if txn.open_table(HUBS)?.get(folded.as_str())?.is_none() {
                return Ok(Err(ControlError::NoHub(hub.into())));
            }
            let mut secrets = txn.open_table(SECRETS)?;
            let is_new = secrets.get((folded.as_str(), name))?.is_none();
            if is_new && rows_of(&secrets, &folded, SECRETS_PER_HUB_MAX)? >= SECRETS_PER_HUB_MAX {
                return Ok(Err(ControlError::TooMany { what: "secrets", limit: SECRETS_PER_HUB_MAX }));
            }
            secrets.insert((folded.as_str(), name), sealed)?;
            Ok(Ok(()))
        })
    }

    /// Deletes a secret. `NoSecret`.
    pub fn delete_secret(&self, hub: &str, name: &str, entry: &AuditEntry) -> Result<()> {
        let hub = fold(hub);
        self.change(entry, |txn| {
            let removed = txn.open_table(SECRETS)?.remove((hub.as_str(), name))?.is_some();
            Ok(if removed { Ok(()) } else { Err(ControlError::NoSecret(name.into())) })
        })
    }

    // Facts of the host itself.

    /// Returns a fact, if the host has saved it.
    pub(super) fn stored_fact(&self, name: &str) -> Result<Option<Vec<u8>>> {
        self.read(|txn| Ok(txn.open_table(FACTS)?.get(name)?.map(|kept| kept.value().to_vec())))
    }

    /// Returns a fact, which is made and saved if there is none.
    pub fn fact(&self, name: &str, make: impl Fn() -> Vec<u8>) -> Result<Vec<u8>> {
        self.write(|txn| {
            let mut facts = txn.open_table(FACTS)?;
            if let Some(kept) = facts.get(name)? {
                return Ok(Ok(kept.value().to_vec()));
            }
            let made = make();
            facts.insert(name, made.as_slice())?;
            Ok(Ok(made))
        })
    }

    /// Returns the highest number ever passed under this name, this one included. `before` gives the highest that may have been
    /// used before it was saved.
    pub fn highest(&self, name: &str, number: u64, before: impl Fn() -> u64) -> Result<u64> {
        self.write(|txn| {
            let mut facts = txn.open_table(FACTS)?;
            let kept = facts.get(name)?.and_then(|kept| kept.value().try_into().ok()).map(u64::from_le_bytes);
            let highest = number.max(kept.unwrap_or_else(&before));
            if kept != Some(highest) {
                facts.insert(name, highest.to_le_bytes().as_slice())?;
            }
            Ok(Ok(highest))
        })
    }

    /// The newest lines of the audit log before a number, newest first: of a scope, or all. The numbers of lines rise.
    pub fn audit(&self, scope: Option<&Scope>, before: Option<u64>, limit: usize) -> Result<Vec<(u64, AuditEntry)>> {
        self.read(|txn| audit::read(txn, scope, before.unwrap_or(u64::MAX), limit))
    }

    /// Adds a line to the audit log for something that does not change this file.
    pub fn note(&self, entry: &AuditEntry) -> Result<()> {
        self.note_all(std::slice::from_ref(entry))
    }

    /// Adds several lines, in one transaction.
    pub fn note_all(&self, entries: &[AuditEntry]) -> Result<()> {
        self.write(|txn| entries.iter().try_for_each(|entry| audit::append(txn, entry)).map(Ok))?;
        entries.iter().for_each(log);
        Ok(())
    }

    /// Makes a change and adds its line of the audit log, in one transaction.
    pub(super) fn change<T>(&self, entry: &AuditEntry, work: impl Fn(&WriteTransaction) -> Outcome<T>) -> Result<T> {
        let value = self.write(|txn| match work(txn)? {
            Ok(value) => audit::append(txn, entry).map(|()| Ok(value)),
            refused => Ok(refused),
        })?;
        log(entry);
        Ok(value)
    }

    pub(super) fn write<T>(&self, work: impl Fn(&WriteTransaction) -> Outcome<T>) -> Result<T> {
        let written = self.file.with(|database: &Database| {
            let mut txn = database.begin_write()?;
            txn.set_durability(Durability::Immediate).expect("no savepoint was made");
            let outcome = work(&txn)?;
            if outcome.is_ok() {
                txn.commit().map_err(|error| Fault::Uncertain(error.into()))?;
            }
            Ok(outcome)
        });
        written.map_err(|Failed { error, .. }| error)?
    }

    pub(super) fn read<T>(&self, run: impl Fn(&ReadTransaction) -> std::result::Result<T, Fault>) -> Result<T> {
        Ok(self.file.read(run)?)
    }
}

/// Writes the line to the host's log too, which cannot be shortened with a key.
fn log(entry: &AuditEntry) {
    let AuditEntry { actor, scope, action, details, denied, .. } = entry;
    tracing::info!(target: "dacapo::audit", actor, hub = scope.as_str(), action, %details, denied);
}

/// Checks that this is a control file, or makes it one. Creates every table, so that readers need not check.
fn prepare(database: &Database) -> std::result::Result<(), Fault> {
    let txn = database.begin_write()?;
    let is_new = txn.list_tables()?.next().is_none();
    if is_new {
        txn.open_table(FACTS)?.insert(FORMAT, [FORMAT_KNOWN].as_slice())?;
    }
    match txn.open_table(FACTS)?.get(FORMAT)?.map(|format| format.value().to_vec()).as_deref() {
        Some([FORMAT_KNOWN]) => {}
        Some(&[found, ..]) => {
            let (found, known) = (found.into(), FORMAT_KNOWN.into());
            return Err(StoreError::NewerFormat { what: "the control file", found, known }.into());
        }
        Some([]) | None => return Err(StoreError::Corrupt("it is not the control file of a host".into()).into()),
    }
    for table in [HUBS, WAKES, USAGE, FACTS] {
        txn.open_table(table)?;
    }
    txn.open_table(KEYS)?;
    txn.open_table(KEY_NAMES)?;
    txn.open_table(KEY_USES)?;
    txn.open_table(SECRETS)?;
    txn.open_table(modules::MODULES)?;
    txn.open_table(AUDIT)?;
    txn.open_table(AUDIT_OF)?;
    txn.open_table(AUDIT_COUNTS)?;
    txn.commit().map_err(|error| Fault::File(error.into()))
}

/// Names that differ only in case are the same.
pub(super) fn fold(name: &str) -> String {
    name.to_ascii_lowercase()
}

/// How many rows of a table begin with this, counted up to `most`.
fn rows_of<V: redb::Value>(
    table: &redb::Table<(&'static str, &'static str), V>,
    first: &str,
    most: usize,
) -> std::result::Result<usize, Fault> {
    let mut count = 0;
    for row in table.range((first, "")..)? {
        if row?.0.value().0 != first || count == most {
            break;
        }
        count += 1;
    }
    Ok(count)
}

fn get<K: redb::Key + 'static, T: DeserializeOwned>(
    txn: &ReadTransaction,
    table: TableDefinition<K, &'static [u8]>,
    key: K::SelfType<'_>,
) -> std::result::Result<Option<T>, Fault> {
    let table = txn.open_table(table)?;
    let value = table.get(key)?;
    value.map(|bytes| decode(bytes.value())).transpose()
}

/// The rows of a table of names.
fn by_name<T: DeserializeOwned, C: FromIterator<(String, T)>>(
    txn: &ReadTransaction,
    table: TableDefinition<&'static str, &'static [u8]>,
) -> std::result::Result<C, Fault> {
    let mut rows = Vec::new();
    for row in txn.open_table(table)?.iter()? {
        let (name, value) = row?;
        rows.push((name.value().to_owned(), decode(value.value())?));
    }
    Ok(rows.into_iter().collect())
}

pub(super) fn encode(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("the records of the control file have only texts for keys")
}

pub(super) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> std::result::Result<T, Fault> {
    serde_json::from_slice(bytes).map_err(|why| StoreError::Corrupt(format!("the control file: {why}")).into())
}
