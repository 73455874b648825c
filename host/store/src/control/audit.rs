//! The audit log: who did what to a hub or to the host.
//!
//! Each scope has its own bound, so that one tenant cannot push out the lines of another. Denied actions have a bound of their
//! own, so that they cannot push out what was done; and so have actions on single instances, of which there may be very many.

use redb::{ReadableTable as _, WriteTransaction};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Scope;
use super::file::{AUDIT, AUDIT_COUNTS, AUDIT_OF};
use super::file::{decode, encode, fold};
use crate::redb::Fault;

/// The most lines kept for a scope: of done and of denied actions, on the scope itself and on its instances, each.
pub const AUDIT_PER_SCOPE_MAX: u64 = 10_000;

/// A line of the audit log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AuditEntry {
    /// Microseconds since 1970.
    pub at: i64,
    /// The name of a key and its scope, `dev` (no keys are needed), or `offline` (on the file itself).
    pub actor: String,
    #[serde(rename = "hub")]
    pub scope: Scope,
    /// Such as `hub.create`.
    pub action: String,
    /// The parameters; never a key or a secret.
    #[serde(default)]
    pub details: Value,
    /// It was refused, and nothing was done.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub denied: bool,
}

/// The prefix of actions on single instances.
const OF_INSTANCES: &str = "instance.";

/// Appended to a scope for actions on its instances. No hub can have such a name.
const OF_INSTANCES_SUFFIX: &str = "/instances";

impl AuditEntry {
    /// The group of lines that it shares a bound with.
    fn partition(&self) -> String {
        let scope = fold(self.scope.as_str());
        if self.action.starts_with(OF_INSTANCES) { scope + OF_INSTANCES_SUFFIX } else { scope }
    }
}

pub(super) fn append(txn: &WriteTransaction, entry: &AuditEntry) -> Result<(), Fault> {
    let scope = entry.partition();
    let (mut log, mut of, mut counts) = (txn.open_table(AUDIT)?, txn.open_table(AUDIT_OF)?, txn.open_table(AUDIT_COUNTS)?);
    let number = log.last()?.map_or(1, |(number, _)| number.value() + 1);
    log.insert(number, encode(entry).as_slice())?;
    of.insert((scope.as_str(), entry.denied, number), ())?;
    let count = counts.get((scope.as_str(), entry.denied))?.map_or(0, |count| count.value());
    if count < AUDIT_PER_SCOPE_MAX {
        counts.insert((scope.as_str(), entry.denied), count + 1)?;
        return Ok(());
    }
    let oldest = of.range((scope.as_str(), entry.denied, 0)..)?.next().transpose()?.map(|(key, _)| key.value().2);
    if let Some(oldest) = oldest {
        of.remove((scope.as_str(), entry.denied, oldest))?;
        log.remove(oldest)?;
    }
    Ok(())
}

/// The newest lines before a number, newest first.
pub(super) fn read(
    txn: &redb::ReadTransaction,
    scope: Option<&Scope>,
    before: u64,
    limit: usize,
) -> Result<Vec<(u64, AuditEntry)>, Fault> {
    let log = txn.open_table(AUDIT)?;
    let numbers = match scope {
        None => log.range(..before)?.rev().take(limit).map(|line| Ok(line?.0.value())).collect::<Result<Vec<u64>, Fault>>()?,
        Some(scope) => {
            let (of, scope) = (txn.open_table(AUDIT_OF)?, fold(scope.as_str()));
            let of_instances = format!("{scope}{OF_INSTANCES_SUFFIX}");
            let mut numbers = Vec::new();
            for (partition, denied) in [(&scope, false), (&scope, true), (&of_instances, false), (&of_instances, true)] {
                let lines = of.range((partition.as_str(), denied, 0)..(partition.as_str(), denied, before))?.rev().take(limit);
                for line in lines {
                    numbers.push(line?.0.value().2);
                }
            }
            numbers.sort_unstable_by(|a, b| b.cmp(a));
            numbers.truncate(limit);
            numbers
        }
    };
    let line = |number| -> Result<Option<(u64, AuditEntry)>, Fault> {
        log.get(number)?.map(|bytes| decode(bytes.value()).map(|entry| (number, entry))).transpose()
    };
    numbers.into_iter().filter_map(|number| line(number).transpose()).collect()
}
