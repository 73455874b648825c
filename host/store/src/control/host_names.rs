//! The host names of task hubs: a request that reaches the host under one of them is for that hub.
//!
//! The records of the hubs hold them. They are looked up for each request, so there is an index of them in memory.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use redb::{ReadTransaction, ReadableTable as _};

use super::file::{HUBS, Result, decode, encode, fold};
use super::{AuditEntry, ControlError, ControlFile, HubRecord};
use crate::redb::Fault;

/// The most host names of a hub.
pub const HOST_NAMES_PER_HUB_MAX: usize = 100;

/// The limit of DNS.
pub const HOST_NAME_CHARS_MAX: usize = 253;

const LABEL_CHARS_MAX: usize = 63;

/// Which hub each host name leads to.
#[derive(Debug, Default)]
pub struct HostNames {
    /// By folded host name, the folded name of the hub. Not locked while anything waits for the disk.
    hubs: RwLock<HashMap<String, Arc<str>>>,
}

impl HostNames {
    /// Those in the records of all hubs.
    pub(super) fn load(txn: &ReadTransaction) -> std::result::Result<Self, Fault> {
        let mut hubs = HashMap::new();
        for row in txn.open_table(HUBS)?.iter()? {
            let (folded, record) = row?;
            let hub: Arc<str> = folded.value().into();
            hubs.extend(decode::<HubRecord>(record.value())?.host_names.into_iter().map(|name| (name, hub.clone())));
        }
        Ok(Self { hubs: RwLock::new(hubs) })
    }

    /// The folded name of the hub that a host name leads to. A name that is given as such comes before `*` for its first label.
    pub fn hub_of(&self, host: &str) -> Option<Arc<str>> {
        let hubs = self.read();
        if hubs.is_empty() {
            return None;
        }
        let host = fold(host.strip_suffix('.').unwrap_or(host));
        let under_wildcard = || hubs.get(&format!("*.{}", host.split_once('.')?.1));
        hubs.get(&host).or_else(under_wildcard).cloned()
    }

    fn read(&self) -> RwLockReadGuard<'_, HashMap<String, Arc<str>>> {
        self.hubs.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, HashMap<String, Arc<str>>> {
        self.hubs.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns what is wrong with a host name; None if it is valid. Case is ignored.
pub fn check_host_name(name: &str) -> Option<&'static str> {
    if !name.is_ascii() {
        return Some("should be written in ASCII letters, as the DNS has it: the labels of other alphabets begin with xn--");
    }
    let labels = || name.strip_prefix("*.").unwrap_or(name).split('.');
    let is_label = |label: &str| {
        (1..=LABEL_CHARS_MAX).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if name.len() > HOST_NAME_CHARS_MAX || !labels().all(is_label) {
        return Some(
            "should be a host name without a port: labels of letters, digits and '-', with dots between them; '*' may stand for the \
             first label",
        );
    }
    // What browsers take for an address ends in a number.
    let is_address = labels().next_back().is_some_and(|last| last.starts_with(|first: char| first.is_ascii_digit()));
    is_address.then_some("should be a name, not an address")
}

impl ControlFile {
    /// The host names of all hubs, as they are at any time.
    pub fn host_names(&self) -> &Arc<HostNames> {
        &self.host_names
    }

    /// Gives a hub a host name; nothing changes if it has it already. `NoHub`, `HostNameTaken`, `TooMany`.
    pub fn add_host_name(&self, hub: &str, name: &str, entry: &AuditEntry) -> Result<()> {
        let (folded, name) = (fold(hub), fold(name));
        self.change_host_name(hub, &name, entry, |names| {
            let owner = self.host_names.read().get(&name).filter(|owner| ***owner != *folded).cloned();
            if let Some(owner) = owner {
                return Err(ControlError::HostNameTaken { name: name.clone(), hub: owner.to_string() });
            }
            names.insert(name.clone());
            match names.len() {
                ..=HOST_NAMES_PER_HUB_MAX => Ok(()),
                _ => Err(ControlError::TooMany { what: "host names", limit: HOST_NAMES_PER_HUB_MAX }),
            }
        })
    }

    /// Takes a host name away from a hub. `NoHub`, `NoHostName`.
    pub fn remove_host_name(&self, hub: &str, name: &str, entry: &AuditEntry) -> Result<()> {
        let name = fold(name);
        self.change_host_name(hub, &name, entry, |names| match names.remove(&name) {
            true => Ok(()),
            false => Err(ControlError::NoHostName(name.clone())),
        })
    }

    fn change_host_name(
        &self,
        hub: &str,
        name: &str,
        entry: &AuditEntry,
        change: impl Fn(&mut BTreeSet<String>) -> Result<()>,
    ) -> Result<()> {
        let folded = fold(hub);
        let _alone = self.alone();
        let changed = self.change(entry, |txn| {
            let mut hubs = txn.open_table(HUBS)?;
            let stored = hubs.get(folded.as_str())?.map(|bytes| decode::<HubRecord>(bytes.value())).transpose()?;
            let Some(mut record) = stored else { return Ok(Err(ControlError::NoHub(hub.into()))) };
            if let Err(refusal) = change(&mut record.host_names) {
                return Ok(Err(refusal));
            }
            hubs.insert(folded.as_str(), encode(&record).as_slice())?;
            Ok(Ok(()))
        });
        self.index_host_names(&folded, [name.to_owned()]);
        changed
    }

    /// Makes the index show what the file says of some names of a hub, whatever became of a change of them.
    pub(super) fn index_host_names(&self, folded_hub: &str, names: impl IntoIterator<Item = String>) {
        // If it cannot be read, nothing is served until the host is started again.
        let Ok(record) = self.hub(folded_hub) else { return };
        let kept = record.map(|record| record.host_names).unwrap_or_default();
        let mut hubs = self.host_names.write();
        for name in names {
            if kept.contains(&name) {
                hubs.insert(name, folded_hub.into());
            } else if hubs.get(&name).is_some_and(|owner| **owner == *folded_hub) {
                hubs.remove(&name);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_names_are_those_of_the_dns() {
        let long = format!("{}.example", "a".repeat(63));
        for valid in
            ["shop.example", "Shop.EXAMPLE", "shop", "1.shop.localhost", "xn--bcher-kva.example", "*.shop.example", &long]
        {
            assert_eq!(check_host_name(valid), None, "{valid}");
        }
        let longer = format!("a{long}");
        let longest = ["abcdefg."; 32].concat() + "example";
        for (wrong, says) in [
            ("", "labels"),
            ("a..b", "labels"),
            ("a.", "labels"),
            (".a", "labels"),
            ("a.example:80", "without a port"),
            ("https://a.example", "labels"),
            ("a b", "labels"),
            ("a_b.example", "labels"),
            ("-a.example", "labels"),
            ("a-.example", "labels"),
            ("*", "labels"),
            ("a.*.example", "labels"),
            ("a*.example", "labels"),
            ("*.", "labels"),
            ("user@a.example", "labels"),
            ("b\u{fc}cher.example", "xn--"),
            ("10.0.0.1", "address"),
            ("[::1]", "labels"),
            ("0x7f000001", "address"),
            (&longer, "labels"),
            (&longest, "labels"),
        ] {
            let why = check_host_name(wrong).unwrap_or_else(|| panic!("{wrong}"));
            assert!(why.contains(says), "{wrong}: {why}");
        }
    }
}
