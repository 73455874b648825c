//! What the links in answers carry instead of a key.
//!
//! Durable Functions puts the caller's key into the links that it answers with, and clients hand these on: to a mail, to an
//! external system that is to raise an event. Whoever gets one of them could then do everything in the hub. Here a link
//! carries `dli_` and the HMAC-SHA256 of hub and instance, which opens that one instance and nothing else: it can be asked
//! for, told something, restarted and purged. The hub's time of creation is part of it, so that a hub of the same name that
//! is made later does not answer to the links of the one before.

use std::fmt;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use zeroize::Zeroizing;

use dacapo_core::InstanceId;
use dacapo_store::control::{ControlError, ControlFile, HubRecord};

const PREFIX: &str = "dli_";
const KEY_FACT: &str = "link-key";
const KEY_BYTES: usize = 32;

/// Signs the links of a host. Made once for each control file.
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

    pub fn links_of(&self, hub: &HubRecord) -> HubLinks {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("a key of any length is fine");
        mac.update(hub.name.to_ascii_lowercase().as_bytes());
        mac.update(b"\0");
        mac.update(&hub.created_at.to_be_bytes());
        HubLinks { mac }
    }
}

/// Signs the links of a hub.
#[derive(Clone)]
pub struct HubLinks {
    /// Of what all links of the hub have in common.
    mac: Hmac<Sha256>,
}

impl HubLinks {
    /// The token of the links of an instance.
    pub fn token(&self, id: &InstanceId) -> String {
        format!("{PREFIX}{}", BASE64_URL_SAFE_NO_PAD.encode(self.of(id).finalize().into_bytes()))
    }

    /// Compares in constant time.
    pub(super) fn is_of(&self, token: &LinkToken, id: &InstanceId) -> bool {
        self.of(id).verify_slice(&token.0).is_ok()
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

/// What a link says that it is.
#[derive(Clone, PartialEq, Eq)]
pub struct LinkToken(Vec<u8>);

impl LinkToken {
    /// None: it is no link.
    pub(super) fn parse(text: &str) -> Option<Self> {
        BASE64_URL_SAFE_NO_PAD.decode(text.strip_prefix(PREFIX)?).ok().map(Self)
    }
}

impl fmt::Debug for LinkToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("dli_***")
    }
}
