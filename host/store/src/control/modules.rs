//! Which hubs need which deployed files. The files lie beside the control file, stored once for all hubs.

use std::collections::HashSet;

use dacapo_core::VersionId;
use redb::{ReadableTable as _, TableDefinition, WriteTransaction};

use super::ControlFile;
use super::file::{Result, fold};
use crate::redb::Fault;

/// Digest and folded hub.
pub(super) const MODULES: TableDefinition<([u8; 32], &str), ()> = TableDefinition::new("modules");

/// The fact that the table has recorded every file since the first one.
const TRACKED: &str = "modules-tracked";

impl ControlFile {
    /// Whether the table records every file. It does not if it was created when there were files already.
    pub fn tracks_modules(&self) -> Result<bool> {
        Ok(self.stored_fact(TRACKED)?.is_some())
    }

    /// Marks the table as recording every file from now on. Called while there are no files.
    pub fn track_modules(&self) -> Result<()> {
        self.fact(TRACKED, || vec![1]).map(drop)
    }

    /// Records that a hub needs these files. Returns those that were not recorded before.
    pub fn need_modules(&self, hub: &str, modules: &[VersionId]) -> Result<Vec<VersionId>> {
        let hub = fold(hub);
        let missing = self.read(|txn| {
            let noted = txn.open_table(MODULES)?;
            let mut missing = Vec::new();
            for module in modules {
                if noted.get((module.0, hub.as_str()))?.is_none() {
                    missing.push(*module);
                }
            }
            Ok(missing)
        })?;
        if !missing.is_empty() {
            self.write(|txn| {
                let mut noted = txn.open_table(MODULES)?;
                for module in &missing {
                    noted.insert((module.0, hub.as_str()), ())?;
                }
                Ok(Ok(()))
            })?;
        }
        Ok(missing)
    }

    /// Records that a hub does not need these files any more.
    pub fn release_modules(&self, hub: &str, modules: &[VersionId]) -> Result<()> {
        let hub = fold(hub);
        if modules.is_empty() {
            return Ok(());
        }
        self.write(|txn| {
            let mut noted = txn.open_table(MODULES)?;
            for module in modules {
                noted.remove((module.0, hub.as_str()))?;
            }
            Ok(Ok(()))
        })
    }

    /// The files that a hub needs. Reads the needs of all hubs.
    pub fn modules_of(&self, hub: &str) -> Result<Vec<VersionId>> {
        let hub = fold(hub);
        let needed = self.needs()?.into_iter().filter(|(_, of)| *of == hub);
        Ok(needed.map(|(module, _)| module).collect())
    }

    /// The files that any hub needs.
    pub fn needed_modules(&self) -> Result<HashSet<VersionId>> {
        Ok(self.needs()?.into_iter().map(|(module, _)| module).collect())
    }

    /// Whether some hub needs a file.
    pub fn is_module_needed(&self, module: VersionId) -> Result<bool> {
        self.read(|txn| {
            let noted = txn.open_table(MODULES)?;
            let first = noted.range((module.0, "")..)?.next().transpose()?;
            Ok(first.is_some_and(|(key, _)| key.value().0 == module.0))
        })
    }

    fn needs(&self) -> Result<Vec<(VersionId, String)>> {
        self.read(|txn| {
            let mut needs = Vec::new();
            for row in txn.open_table(MODULES)?.iter()? {
                let (key, _) = row?;
                let (digest, hub) = key.value();
                needs.push((VersionId(digest), hub.to_owned()));
            }
            Ok(needs)
        })
    }
}

/// Deletes what is recorded for a hub.
pub(super) fn forget(txn: &WriteTransaction, folded_hub: &str) -> std::result::Result<(), Fault> {
    Ok(txn.open_table(MODULES)?.retain(|(_, hub), ()| hub != folded_hub)?)
}
