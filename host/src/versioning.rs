//! How the versions of an app are named, and which of them a new orchestration may run on.
//!
//! **Names.** A version is a deployed file. It has at most one label, and a label names at most one version of an app. The latest
//! deployment decides both, and its response says what has changed:
//! - the same file under another label is the same version, which has the new label from then on;
//! - another file under the same label takes the label over. The version that had it keeps running, and is named by its digest.
//!
//! Commands, requests and starts may name a version by its label or by at least the first six digits of its digest
//! ([`Naming`]). A label with which the digest of another version begins is refused. If such a version is deployed later, the
//! label names neither of the two, and more digits or another label are needed. Labels are the same if they compare as equal
//! ([`compare`]): `1.0` and `01.0`, `beta` and `Beta`. A label may contain the same characters as an id ([`label_trouble`]).
//!
//! **Shares.** New starts that ask for no version run on the active one or, if versions have weights, on these in proportion. A
//! deployment with a percentage takes its share from all versions with weights, which keep their proportions; if none has a
//! weight, the active version keeps the rest. A rollback takes the share of the newest.
//!
//! **Starts.** A start that asks for a version gets the one of that name. If there is none, the label of a version that takes
//! new starts is compared with the requested one, as in Durable Functions ([`Match`]). Its app may say how ([`AppVersioning`]); else
//! the configuration of the host does.

use dacapo_core::InstanceId;
pub use dacapo_core::versioning::{AppVersioning, Failure, Match, compare};
use serde::{Deserialize, Serialize};

/// The most characters of an app's name.
pub const APP_NAME_CHARS_MAX: usize = 128;

/// Returns what is wrong with the name of an app, if anything.
pub fn app_name_trouble(name: &str) -> Option<String> {
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
    let is_name = !name.is_empty() && name.chars().count() <= APP_NAME_CHARS_MAX && name.chars().all(plain);
    let rule = || format!("must have 1 to {APP_NAME_CHARS_MAX} characters, all of them letters, digits, '-', '_' or '.'");
    (!is_name).then(rule)
}

/// Returns what is wrong with a label, if anything.
pub fn label_trouble(label: &str) -> Option<String> {
    if label.chars().any(crate::printable::misleads) {
        return Some("it contains a character that controls a terminal or cannot be seen".into());
    }
    InstanceId::orchestration(label).err().map(|why| why.to_string())
}

/// The fewest digits of a digest that name a version.
const DIGEST_DIGITS_MIN: usize = 6;

/// A label or the first digits of a digest, by which a version is named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Naming<'a> {
    text: &'a str,
    /// In lower case. None if it cannot be the beginning of a digest.
    digits: Option<String>,
}

impl<'a> Naming<'a> {
    pub fn new(text: &'a str) -> Self {
        let is_digest = text.len() >= DIGEST_DIGITS_MIN && text.chars().all(|c| c.is_ascii_hexdigit());
        Self { text, digits: is_digest.then(|| text.to_ascii_lowercase()) }
    }

    /// Whether it is this label. The empty label has no name.
    pub fn is_label(&self, label: &str) -> bool {
        !label.is_empty() && compare(self.text, label).is_eq()
    }

    /// Whether it is the beginning of this digest.
    pub fn begins(&self, digest: &str) -> bool {
        self.digits.as_ref().is_some_and(|digits| digest.starts_with(digits.as_str()))
    }
}

/// The settings for starts that ask for a version, of apps that have none of their own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct VersionRules {
    pub r#match: Match,
    pub failure: Failure,
}

impl VersionRules {
    /// Those of an app.
    pub fn of_app(self, own: &AppVersioning) -> Self {
        Self { r#match: own.r#match.unwrap_or(self.r#match), failure: own.failure.unwrap_or(self.failure) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_called_by_its_label_or_its_digest() {
        let digest = "3fa9c2d0";
        for (text, label, names_label, names_digest) in [
            ("1.0", "1.0", true, false),
            ("01.0", "1.0", true, false),
            ("BETA", "beta", true, false),
            ("1.0", "1.1", false, false),
            ("", "", false, false),
            ("3fa9c2", "1.0", false, true),
            ("3FA9C2D0", "", false, true),
            ("3fa9c", "", false, false),
            ("3fa9c2", "3fa9c2", true, true),
            ("3fa9cx", "", false, false),
        ] {
            let naming = Naming::new(text);
            assert_eq!((naming.is_label(label), naming.begins(digest)), (names_label, names_digest), "{text} for {label}");
        }
    }
}
