//! The tokens that links in responses carry instead of a key.
//!
//! Durable Functions puts the caller's key into the links of its responses, and clients pass these on: in a mail, to an external
//! system that is to raise an event. Every recipient could then do everything in the hub. Here a link carries `dli_`, its issuer,
//! and the HMAC-SHA256 of issuer, hub and instance. It opens that one instance and nothing else: the instance can be queried,
//! sent events, restarted and purged, as far as the [`Issuer`] allows. The hub's time of creation is part of the HMAC, so that a
//! later hub of the same name does not accept the links of an earlier one.
//!
//! ```text
//!   dli_ + base64url( id of the key, or zeros for the hub's own code | HMAC )        48 bytes
//!   dli_ + base64url( HMAC )                                                         32 bytes, of releases before that
//! ```

use std::fmt;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use zeroize::Zeroizing;

use dacapo_core::InstanceId;
use dacapo_store::control::{ControlError, ControlFile, HubRecord, KeyHash, KeyId, KeyRecord, Role};

pub(super) const PREFIX: &str = "dli_";
const KEY_FACT: &str = "link-key";
const KEY_BYTES: usize = 32;
const MAC_BYTES: usize = 32;

/// The issuer id of links that the code of a hub has made. No key's hash begins with it.
const HUB_CODE: KeyId = [0; size_of::<KeyId>()];

/// The issuer ids for local programs without a key, with the role to read or to operate.
const RPC_READER: KeyId = reserved(1);
const RPC_OPERATOR: KeyId = reserved(2);

const fn reserved(number: u8) -> KeyId {
    let mut id = HUB_CODE;
    id[id.len() - 1] = number;
    id
}

/// The highest role that a link can have.
pub(super) const LINK_ROLE: Role = Role::Operate;

/// Who a link was issued to. It grants at most the rights of its issuer, and is revoked with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Issuer {
    /// The holder of a key, who may pass the link on.
    Key { record: KeyRecord, hash: KeyHash },
    /// The code that is deployed to the hub.
    Hub,
    /// A local program without a key, with this role.
    Rpc(Role),
    /// An earlier release, which did not record the issuer and gave links to readers, too: so they allow reading only.
    EarlierRelease,
}

impl Issuer {
    /// The role of its links.
    pub(super) fn role(&self) -> Role {
        match self {
            Issuer::Key { record, .. } => record.role.min(LINK_ROLE),
            Issuer::Hub => LINK_ROLE,
            Issuer::Rpc(role) => (*role).min(LINK_ROLE),
            Issuer::EarlierRelease => Role::Read,
        }
    }

    /// The key whose revocation ends its links.
    pub(super) fn key(&self) -> Option<&KeyHash> {
        match self {
            Issuer::Key { hash, .. } => Some(hash),
            Issuer::Hub | Issuer::Rpc(_) | Issuer::EarlierRelease => None,
        }
    }
}

/// Signs the links of a host. Generated once for each control file.
pub(super) struct LinkKey(Zeroizing<Vec<u8>>);

impl LinkKey {
    pub fn of(control: &ControlFile) -> Result<Self, ControlError> {
        let key = control.fact(KEY_FACT, || {
            let mut key = vec![0; KEY_BYTES];
            getrandom::fill(&mut key).expect("the system has random numbers");
            key
        })?;
        Ok(Self(Zeroizing::new(key)))
    }

    pub fn links_of(&self, hub: &HubRecord, issuer: &Issuer) -> HubLinks {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("a key of any length is fine");
        mac.update(hub.name.to_ascii_lowercase().as_bytes());
        mac.update(b"\0");
        mac.update(&hub.created_at.to_be_bytes());
        let given_to = match issuer {
            Issuer::Key { hash, .. } => Some(id_of(hash)),
            Issuer::Hub => Some(HUB_CODE),
            Issuer::Rpc(Role::Read) => Some(RPC_READER),
            Issuer::Rpc(Role::Operate | Role::Deploy | Role::Administer) => Some(RPC_OPERATOR),
            Issuer::EarlierRelease => None,
        };
        if let Some(id) = given_to {
            // No instance id begins with this byte, so a token with an issuer is never valid as one without.
            mac.update(b"\0");
            mac.update(&id);
        }
        HubLinks { given_to, mac }
    }
}

fn id_of(hash: &KeyHash) -> KeyId {
    *hash.first_chunk().expect("an id is shorter than a hash")
}

/// Signs the links of a hub that are given to one issuer.
#[derive(Clone)]
pub struct HubLinks {
    given_to: Option<KeyId>,
    /// The state after the input that all these links have in common.
    mac: Hmac<Sha256>,
}

impl HubLinks {
    /// The token of the links of an instance.
    pub fn token(&self, id: &InstanceId) -> String {
        let mut bytes = self.given_to.map_or_else(Vec::new, |id| id.to_vec());
        bytes.extend_from_slice(&self.of(id).finalize().into_bytes());
        format!("{PREFIX}{}", BASE64_URL_SAFE_NO_PAD.encode(bytes))
    }

    /// Compares in constant time.
    pub(super) fn is_of(&self, token: &LinkToken, id: &InstanceId) -> bool {
        self.of(id).verify_slice(&token.mac).is_ok()
    }

    fn of(&self, id: &InstanceId) -> Hmac<Sha256> {
        let mut mac = self.mac.clone();
        mac.update(id.as_str().as_bytes());
        mac
    }
}

impl fmt::Debug for HubLinks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HubLinks")
    }
}

/// A parsed link token, not yet verified.
#[derive(Clone, PartialEq, Eq)]
pub struct LinkToken {
    given_to: Option<KeyId>,
    mac: [u8; MAC_BYTES],
}

impl LinkToken {
    /// None: it is not a link token.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(text.strip_prefix(PREFIX)?).ok()?;
        let (given_to, mac) = bytes.split_last_chunk()?;
        let given_to = if given_to.is_empty() { None } else { Some(given_to.try_into().ok()?) };
        Some(Self { given_to, mac: *mac })
    }

    /// The issuer that it claims. None: a key that no longer exists.
    pub(super) fn issuer(&self, control: &ControlFile) -> Result<Option<Issuer>, ControlError> {
        match self.given_to {
            None => Ok(Some(Issuer::EarlierRelease)),
            Some(HUB_CODE) => Ok(Some(Issuer::Hub)),
            Some(RPC_READER) => Ok(Some(Issuer::Rpc(Role::Read))),
            Some(RPC_OPERATOR) => Ok(Some(Issuer::Rpc(Role::Operate))),
            Some(id) => Ok(control.key_of_id(&id)?.map(|(hash, record)| Issuer::Key { record, hash })),
        }
    }
}

impl fmt::Debug for LinkToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("dli_***")
    }
}
