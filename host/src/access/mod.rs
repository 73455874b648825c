//! Authentication and authorisation of callers.
//!
//! ```text
//!   request ─▶ identify: the key, found by its hash; a link, parsed ─▶ Caller ─▶ admit: needs of the route, hub ─▶ handler
//! ```
//!
//! - [`Role`] and [`Scope`]: what a key allows, and where. [`Needs`]: what a route requires.
//! - [`KeyText`]: a key, which is shown once; only its hash is stored. [`FirstKey`]: the source of the first administrator's key.
//! - [`links`]: links in responses do not carry the caller's key, but a token that opens the one instance they are about.
//! - [`Denials`](denials): refused administrative actions, for the audit log; [`AuditQueue`](audit_queue): actions on instances.
//!
//! A caller without a key for a hub learns nothing of it, not even whether it exists.

mod audit_queue;
mod denials;
mod first_key;
mod key;
pub mod links;

use std::sync::Arc;

use serde_json::{Value, json};

use dacapo_core::InstanceId;
use dacapo_store::control::{AuditEntry, ControlError, ControlFile, KeyHash, KeyRecord};
use tokio::sync::watch;

pub use dacapo_store::control::{Role, Scope};
pub use first_key::{FIRST_KEY_VARIABLE, FirstKey};
pub use key::{KEY_NAME_CHARS_MAX, KEY_NAME_RULE, KeyText, is_key_name};

use audit_queue::AuditQueue;
use denials::Denials;
use links::{HubLinks, Issuer, LINK_ROLE, LinkKey, LinkToken};

/// The name of the key that the host creates when it has no administrator.
pub const FIRST_KEY: &str = "root";

/// The actor of changes to a data directory while no host runs.
pub const OFFLINE: &str = "offline";

/// Whether a host requires keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyPolicy {
    /// Every route but that for health needs a key.
    Required,
    /// Every client may do everything: for development, on a loopback address.
    NotRequired,
}

/// What a route requires of its caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    Nothing,
    /// Any key.
    Key,
    /// A key of the hub, or of the host, with this role.
    Hub(Role),
    /// The same, or a link of the instance that the route is about.
    Instance(Role),
    /// A key of the host with this role.
    Host(Role),
}

/// The caller of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Caller {
    /// Any client of a host that requires no keys.
    Developer,
    /// A client without a key.
    Nobody,
    Key {
        record: KeyRecord,
        hash: KeyHash,
    },
    Link {
        token: LinkToken,
        issuer: Issuer,
    },
    /// A local program, over the address for programs without a key. It is treated as if it had this key.
    Rpc(KeyRecord),
}

/// The name in the audit log for callers over the address for programs without a key.
const RPC: &str = "rpc";

/// The name in the audit log for the code that is deployed to a hub.
const CODE: &str = "code";

/// Why a request is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("a key is needed: in the query as code=, in the header x-functions-key, or as a bearer token")]
    NoKey,
    #[error("the key or link is not known here: it is mistyped, is of another host, or was revoked")]
    UnknownKey,
    /// The same whether or not the requested hub exists.
    #[error("the key '{key}' is one of {scope} and opens nothing else")]
    OtherScope { key: String, scope: Scope },
    #[error("the key '{key}' has the role {has}, and this needs the role {needs}")]
    WeakRole { key: String, has: Role, needs: Role },
    #[error("a link opens only its own instance")]
    OnlyInstance,
    #[error(
        "the link opens its instance for the role {has}, which is that of the key that it was issued to, and this needs the role \
         {needs}"
    )]
    WeakLink { has: Role, needs: Role },
    #[error(
        "the link was made by an earlier release, which did not record its issuer: it opens its instance for the role read, and \
         this needs the role {needs}; get the status of the instance with a key, and use the link in that response"
    )]
    OldLink { needs: Role },
}

/// Identifies and authorises callers.
pub struct Access {
    control: Arc<ControlFile>,
    key_policy: KeyPolicy,
    link_key: LinkKey,
    denials: Denials,
    audit_queue: Arc<AuditQueue>,
    /// The number of keys that were revoked so far.
    revocations: watch::Sender<u64>,
}

impl Access {
    pub fn open(control: Arc<ControlFile>, key_policy: KeyPolicy) -> Result<Self, ControlError> {
        let link_key = LinkKey::of(&control)?;
        let audit_queue = AuditQueue::new(control.clone());
        Ok(Self { control, key_policy, link_key, denials: Denials::default(), audit_queue, revocations: watch::Sender::new(0) })
    }

    pub fn control(&self) -> &Arc<ControlFile> {
        &self.control
    }

    /// Creates the first administrator's key of the host, unless there is one. Returns it if it is to be printed.
    pub fn first_key(&self, source: &FirstKey) -> anyhow::Result<Option<KeyText>> {
        let keys = self.control.keys(&Scope::Host)?;
        if self.key_policy == KeyPolicy::NotRequired || keys.iter().any(|(key, _)| key.role == Role::Administer) {
            return Ok(None);
        }
        let taken = |name: &str| keys.iter().any(|(key, _)| key.name.eq_ignore_ascii_case(name));
        let name =
            std::iter::once(FIRST_KEY.to_owned()).chain((2..).map(|n| format!("{FIRST_KEY}-{n}"))).find(|name| !taken(name));
        let name = name.expect("there is always a greater number");
        let (text, printed) = source.take()?;
        add_key(&self.control, &text, Scope::Host, &name, Role::Administer, "host")?;
        Ok(printed.then_some(text))
    }

    /// Finds the caller by its key or link.
    pub fn identify(&self, credential: Option<&str>) -> Result<Caller, Denied> {
        let Some(text) = credential else {
            return Ok(if self.key_policy == KeyPolicy::NotRequired { Caller::Developer } else { Caller::Nobody });
        };
        if self.key_policy == KeyPolicy::NotRequired {
            return Ok(Caller::Developer);
        }
        if let Some(token) = LinkToken::parse(text) {
            let issuer = token.issuer(&self.control)?.ok_or(Refusal::UnknownKey)?;
            return Ok(Caller::Link { token, issuer });
        }
        let hash = KeyText::parse(text).ok_or(Refusal::UnknownKey)?.hash();
        let record = self.control.key(&hash)?.ok_or(Refusal::UnknownKey)?;
        self.note_use(hash);
        Ok(Caller::Key { record, hash })
    }

    /// Checks that a caller meets the needs of a route, for the hub and the instance that the route is about, if any.
    pub fn admit(&self, caller: &Caller, needs: Needs, hub: Option<&str>, instance: Option<&InstanceId>) -> Result<(), Denied> {
        match (caller, needs) {
            (Caller::Developer, _) | (_, Needs::Nothing) | (Caller::Key { .. }, Needs::Key) => Ok(()),
            (Caller::Rpc(_), Needs::Key) => Ok(()),
            (Caller::Nobody, _) => Err(Refusal::NoKey.into()),
            (Caller::Key { record, .. } | Caller::Rpc(record), Needs::Host(role)) => Ok(check_key(record, None, role)?),
            (Caller::Key { record, .. } | Caller::Rpc(record), Needs::Hub(role) | Needs::Instance(role)) => {
                Ok(check_key(record, hub, role)?)
            }
            (Caller::Link { token, issuer }, Needs::Instance(role)) if role <= LINK_ROLE => {
                let (Some(hub), Some(instance)) = (hub, instance) else { return Err(Refusal::UnknownKey.into()) };
                let record = self.control.hub(hub)?.ok_or(Refusal::UnknownKey)?;
                match self.link_key.links_of(&record, issuer).is_of(token, instance) {
                    true => Ok(check_link(issuer, role)?),
                    false => Err(Refusal::UnknownKey.into()),
                }
            }
            (Caller::Link { .. }, _) => Err(Refusal::OnlyInstance.into()),
        }
    }

    /// Revokes a key: it opens nothing from then on, and streams that were opened with it end. Error: `NoKey`.
    pub fn revoke_key(&self, scope: &Scope, name: &str, entry: &AuditEntry) -> Result<(), ControlError> {
        self.control.revoke_key(scope, name, entry)?;
        self.revocations.send_modify(|count| *count += 1);
        Ok(())
    }

    /// The input of [`Self::revoked`]. To be taken before a caller is identified, so that no revocation is missed in between.
    pub fn revocations(&self) -> watch::Receiver<u64> {
        self.revocations.subscribe()
    }

    /// Resolves when the key of a caller, or the key that its link was issued to, is revoked. Never, if it has none.
    pub fn revoked(&self, caller: &Caller, mut revocations: watch::Receiver<u64>) -> impl Future<Output = ()> + Send + use<> {
        let key = match caller {
            Caller::Key { hash, .. } => Some(*hash),
            Caller::Link { issuer, .. } => issuer.key().copied(),
            Caller::Developer | Caller::Nobody | Caller::Rpc(_) => None,
        };
        let control = self.control.clone();
        async move {
            let Some(key) = key else { return std::future::pending().await };
            while revocations.changed().await.is_ok() {
                // A read error does not mean that it was revoked.
                if matches!(control.key(&key), Ok(None)) {
                    return;
                }
            }
            // The sender is gone: no key can be revoked any more.
            std::future::pending().await
        }
    }

    /// Makes the links of a hub for a caller, which allow no more than it may do itself. None if no keys are required: then links
    /// carry no token.
    pub fn links_for(&self, caller: &Caller, hub: &str) -> Result<Option<HubLinks>, ControlError> {
        match caller {
            Caller::Key { record, hash } => self.links_of(hub, &Issuer::Key { record: record.clone(), hash: *hash }),
            Caller::Link { issuer, .. } => self.links_of(hub, issuer),
            Caller::Rpc(record) => self.links_of(hub, &Issuer::Rpc(record.role)),
            Caller::Developer | Caller::Nobody => Ok(None),
        }
    }

    /// Makes the links of a hub for its own code.
    pub fn links_for_code(&self, hub: &str) -> Result<Option<HubLinks>, ControlError> {
        self.links_of(hub, &Issuer::Hub)
    }

    fn links_of(&self, hub: &str, issuer: &Issuer) -> Result<Option<HubLinks>, ControlError> {
        if self.key_policy == KeyPolicy::NotRequired {
            return Ok(None);
        }
        Ok(self.control.hub(hub)?.map(|record| self.link_key.links_of(&record, issuer)))
    }

    /// Writes to the audit log that a caller with a key was refused because the key does not allow the action.
    pub fn note_denial(self: &Arc<Self>, caller: &Caller, action: &'static str, hub: Option<&str>) {
        let (Caller::Key { record: key, .. } | Caller::Rpc(key)) = caller else { return };
        let Some(suppressed) = self.denials.claim(caller.actor(), action, now()) else { return };
        let details = json!({ "hub": hub, "alsoDenied": suppressed });
        let entry = AuditEntry { denied: true, ..entry(caller, key.scope.clone(), action, details) };
        let access = self.clone();
        in_background(move || access.control.note(&entry));
    }

    /// Writes a completed action to the audit log. If that fails, the action stays done. Blocks on the disk.
    pub fn note_done(&self, entry: &AuditEntry) {
        if let Err(error) = self.control.note(entry) {
            tracing::warn!(%error, action = entry.action, "the audit log could not be written");
        }
    }

    /// Queues an action on a single instance for the audit log.
    pub async fn note_soon(&self, entry: AuditEntry) {
        self.audit_queue.add(entry).await;
    }

    fn note_use(&self, hash: [u8; 32]) {
        let at = now();
        if self.control.must_note_use(&hash, at) {
            let control = self.control.clone();
            in_background(move || control.note_use(&hash, at));
        }
    }
}

fn check_key(key: &KeyRecord, hub: Option<&str>, needs: Role) -> Result<(), Refusal> {
    let covers = match hub {
        Some(hub) => key.scope.covers(hub),
        None => key.scope == Scope::Host,
    };
    if !covers {
        return Err(Refusal::OtherScope { key: key.name.clone(), scope: key.scope.clone() });
    }
    if key.role < needs {
        return Err(Refusal::WeakRole { key: key.name.clone(), has: key.role, needs });
    }
    Ok(())
}

fn check_link(issuer: &Issuer, needs: Role) -> Result<(), Refusal> {
    match (issuer, issuer.role()) {
        (_, has) if has >= needs => Ok(()),
        (Issuer::EarlierRelease, _) => Err(Refusal::OldLink { needs }),
        (Issuer::Key { .. } | Issuer::Hub | Issuer::Rpc(_), has) => Err(Refusal::WeakLink { has, needs }),
    }
}

/// A refusal, or a control file that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Denied {
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error(transparent)]
    Control(#[from] ControlError),
}

impl Caller {
    /// A caller over the address for programs without a key, which opens one hub for one role.
    pub fn rpc(hub: &str, role: Role) -> Self {
        Caller::Rpc(KeyRecord { name: RPC.into(), scope: Scope::Hub(hub.into()), role, created_at: 0 })
    }

    /// The code that is deployed to a hub.
    pub fn code(hub: &str) -> Self {
        Caller::Rpc(KeyRecord { name: CODE.into(), scope: Scope::Hub(hub.into()), role: Role::Operate, created_at: 0 })
    }

    /// The hub of its key, for requests that name none.
    pub fn own_hub(&self) -> Option<&str> {
        match self {
            Caller::Key { record, .. } | Caller::Rpc(record) | Caller::Link { issuer: Issuer::Key { record, .. }, .. } => {
                match &record.scope {
                    Scope::Hub(name) => Some(name),
                    Scope::Host => None,
                }
            }
            Caller::Developer
            | Caller::Nobody
            | Caller::Link { issuer: Issuer::Hub | Issuer::Rpc(_) | Issuer::EarlierRelease, .. } => None,
        }
    }

    /// Whether it is not restricted to one hub.
    pub fn is_of_host(&self) -> bool {
        match self {
            Caller::Developer => true,
            Caller::Key { record, .. } => record.scope == Scope::Host,
            Caller::Nobody | Caller::Link { .. } | Caller::Rpc(_) => false,
        }
    }

    /// The actor in the audit log. The name of a key has no slash.
    pub fn actor(&self) -> String {
        match self {
            Caller::Developer => "dev".into(),
            Caller::Nobody => "nobody".into(),
            Caller::Link { issuer: Issuer::Key { record, .. }, .. } => format!("link of {}", key_name(record)),
            Caller::Link { issuer: Issuer::Hub | Issuer::Rpc(_) | Issuer::EarlierRelease, .. } => "link".into(),
            Caller::Key { record, .. } | Caller::Rpc(record) => key_name(record),
        }
    }
}

fn key_name(record: &KeyRecord) -> String {
    format!("{}/{}", record.scope.as_str(), record.name)
}

/// A line of the audit log for an action of a caller, now.
pub fn entry(caller: &Caller, scope: Scope, action: &str, details: Value) -> AuditEntry {
    entry_of(caller.actor(), scope, action, details)
}

/// A line of the audit log for an action of the host itself.
pub fn entry_of_host(scope: Scope, action: &str) -> AuditEntry {
    entry_of("host".into(), scope, action, json!({}))
}

/// A line of the audit log for an action on the data directory while no host runs.
pub fn entry_offline(scope: Scope, action: &str, details: Value) -> AuditEntry {
    entry_of(OFFLINE.into(), scope, action, details)
}

fn entry_of(actor: String, scope: Scope, action: &str, details: Value) -> AuditEntry {
    AuditEntry { at: now(), actor, scope, action: action.into(), details, denied: false }
}

/// Creates a key, and returns its text, which is never shown again.
pub fn create_key(control: &ControlFile, scope: Scope, name: &str, role: Role, actor: &str) -> Result<KeyText, ControlError> {
    let text = KeyText::random();
    add_key(control, &text, scope, name, role, actor)?;
    Ok(text)
}

fn add_key(control: &ControlFile, text: &KeyText, scope: Scope, name: &str, role: Role, actor: &str) -> Result<(), ControlError> {
    let entry = entry_of(actor.into(), scope.clone(), "key.create", json!({ "key": name, "role": role }));
    control.add_key(&text.hash(), &KeyRecord { name: name.into(), scope, role, created_at: entry.at }, &entry)
}

/// Microseconds since 1970.
pub fn now() -> i64 {
    chrono::Utc::now().timestamp_micros()
}

/// Writes to the control file without waiting for it.
fn in_background(write: impl FnOnce() -> Result<(), ControlError> + Send + 'static) {
    tokio::task::spawn_blocking(move || {
        if let Err(error) = write() {
            tracing::warn!(%error, "the control file could not be written");
        }
    });
}

#[cfg(test)]
mod tests;
