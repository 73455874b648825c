//! The text of a key.

use std::fmt;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use dacapo_store::control::KeyHash;

const PREFIX: &str = "dcp_";
/// So many random bytes cannot be guessed, so their hash needs no salt and no key stretching.
const RANDOM_BYTES: usize = 32;
const ENCODED_CHARS: usize = 43;

/// The text of a key: `dcp_` and 43 characters. It grants all that the key may do, so it is never logged.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyText(Zeroizing<String>);

impl KeyText {
    pub fn random() -> Self {
        let mut bytes = Zeroizing::new([0; RANDOM_BYTES]);
        getrandom::fill(bytes.as_mut_slice()).expect("the system has random numbers");
        Self(Zeroizing::new(format!("{PREFIX}{}", BASE64_URL_SAFE_NO_PAD.encode(bytes.as_slice()))))
    }

    /// Parses a key. None: it does not have the form of one.
    pub fn parse(text: &str) -> Option<Self> {
        let encoded = text.strip_prefix(PREFIX)?;
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        (encoded.len() == ENCODED_CHARS && encoded.bytes().all(plain)).then(|| Self(Zeroizing::new(text.to_owned())))
    }

    /// Whether a text has the form of a key or of a link's token.
    pub fn is_key_or_link(text: &str) -> bool {
        text.starts_with(PREFIX) || text.starts_with(super::links::PREFIX)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The hash that is stored. Keys are looked up by it, so the time that a refusal takes reveals nothing of existing keys.
    pub fn hash(&self) -> KeyHash {
        Sha256::digest(self.0.as_bytes()).into()
    }
}

pub const KEY_NAME_CHARS_MAX: usize = 64;
pub const KEY_NAME_RULE: &str = "should be 1 to 64 letters, digits, '-', '_' or '.'";

/// Names of keys are shown in lists and typed in shells.
pub fn is_key_name(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    (1..=KEY_NAME_CHARS_MAX).contains(&name.len()) && name.chars().all(plain)
}

impl fmt::Debug for KeyText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("dcp_***")
    }
}
