//! How the versions of an app are named, and which of them a new orchestration may run on.
//!
//! **Names.** A version is a deployed file. It has at most one label, and a label names at most one version of an app. Whoever
//! deployed last has decided both, and is told what that has changed:
//! - the same file under another label is the same version, which is called that from then on;
//! - another file under the same label takes the label over. The version that had it goes on, and is named by its digest.
//!
//! Wherever a version is asked for, in a command, a request or a start, it may be called by its label or by the first digits,
//! six at least, of its digest ([`Naming`]). A label with which the digest of another version begins is refused; where there is one
//! all the same, because that version came later, it names neither, until more digits or another label are said. Labels are the
//! same if they compare as equal ([`compare`]): `1.0` and `01.0`, `beta` and `Beta`. What may stand in one is the same as in an id
//! ([`label_trouble`]).
//!
//! **Shares.** New starts that ask for no version go to the active one; or, where versions have weights, to these in proportion. A
//! deployment with a percentage takes its share from all that had one, who keep theirs in proportion to each other; where nobody
//! had one, the active version has the rest. A rollback takes the share of the newest.
//!
//! **Starts.** A start that asks for a version gets the one of that name. If there is none, the label of a version that takes
//! new starts is held against what was asked for, as Durable Functions does ([`Match`]).

use std::cmp::Ordering;

use dacapo_core::InstanceId;
use serde::{Deserialize, Serialize};

/// How the version that a start asks for is held against the labels of the deployed versions. The words are those of
/// `host.json`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Match {
    /// Not at all: it is for the orchestration to read.
    None,
    /// A version with just this label.
    Strict,
    /// A version with just this label, or else a later one. What has no label takes every start.
    #[default]
    CurrentOrOlder,
}

/// What becomes of a start that no version matches.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Failure {
    /// It is refused. One that cannot be refused any more, because it was accepted before, waits, halted, for a version.
    #[default]
    Reject,
    /// It is accepted, and fails at once.
    Fail,
}

/// Characters of the name of an app.
pub const APP_NAME_CHARS_MAX: usize = 128;

/// What is wrong with the name of an app, wherever it comes from.
pub fn app_name_trouble(name: &str) -> Option<String> {
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
    let is_name = !name.is_empty() && name.chars().count() <= APP_NAME_CHARS_MAX && name.chars().all(plain);
    let rule = || format!("must have 1 to {APP_NAME_CHARS_MAX} characters, all of them letters, digits, '-', '_' or '.'");
    (!is_name).then(rule)
}

/// What is wrong with a label.
pub fn label_trouble(label: &str) -> Option<String> {
    if label.chars().any(crate::printable::misleads) {
        return Some("it contains a character that controls a terminal or cannot be seen".into());
    }
    InstanceId::orchestration(label).err().map(|why| why.to_string())
}

/// Digits of a digest that name a version, at least.
const DIGEST_DIGITS_MIN: usize = 6;

/// What a version may be called by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Naming<'a> {
    text: &'a str,
    /// Lowercase; none if it cannot be the beginning of a digest.
    digits: Option<String>,
}

impl<'a> Naming<'a> {
    pub fn new(text: &'a str) -> Self {
        let is_digest = text.len() >= DIGEST_DIGITS_MIN && text.chars().all(|c| c.is_ascii_hexdigit());
        Self { text, digits: is_digest.then(|| text.to_ascii_lowercase()) }
    }

    /// Whether it is this label. No label is the name of nothing.
    pub fn is_label(&self, label: &str) -> bool {
        !label.is_empty() && compare(self.text, label).is_eq()
    }

    /// Whether a digest begins so.
    pub fn begins(&self, digest: &str) -> bool {
        self.digits.as_ref().is_some_and(|digits| digest.starts_with(digits.as_str()))
    }
}

/// The two together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct VersionRules {
    pub r#match: Match,
    pub failure: Failure,
}

impl Match {
    /// Whether a version that is not the one asked for may take the start all the same.
    pub fn takes(self, asked: &str, label: &str) -> bool {
        match self {
            Match::None => true,
            Match::Strict => compare(asked, label).is_eq(),
            Match::CurrentOrOlder => label.is_empty() || compare(asked, label).is_le(),
        }
    }
}

/// The order of two versions as the original has it: no version before any, `System.Version`s by their numbers, and
/// everything else as texts without regard to case.
pub fn compare(one: &str, other: &str) -> Ordering {
    match (one.is_empty(), other.is_empty()) {
        (true, true) => return Ordering::Equal,
        (true, false) => return Ordering::Less,
        (false, true) => return Ordering::Greater,
        (false, false) => {}
    }
    match (numbers(one), numbers(other)) {
        (Some(one), Some(other)) => one.cmp(&other),
        _ => one.to_uppercase().cmp(&other.to_uppercase()),
    }
}

/// A `System.Version`: two to four numbers. One that is missing comes before 0.
fn numbers(text: &str) -> Option<Vec<u32>> {
    let number = |part: &str| part.trim().parse::<u32>().ok().filter(|&number| number <= i32::MAX as u32);
    let numbers: Vec<u32> = text.split('.').map(number).collect::<Option<_>>()?;
    (2..=4).contains(&numbers.len()).then_some(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_ordered_as_in_the_original() {
        use Ordering::{Equal, Greater, Less};
        for (one, order, other) in [
            ("", Equal, ""),
            ("", Less, "0.0"),
            ("1.0", Greater, ""),
            ("1.9", Less, "1.10"),
            ("1.0", Less, "1.0.0"),
            ("1.0.0.0", Equal, "1.0.0.0"),
            ("01.2", Equal, "1.2"),
            // Not System.Versions: texts.
            ("2", Greater, "10"),
            ("1.0-beta", Equal, "1.0-BETA"),
            ("v1", Less, "V2"),
            ("1.2.3.4.5", Less, "1.2.3.4.6"),
            ("1.99999999999", Less, "1.9a"),
        ] {
            assert_eq!(compare(one, other), order, "{one} and {other}");
            assert_eq!(compare(other, one), order.reverse(), "{other} and {one}");
        }
    }

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

    #[test]
    fn strategies_take_what_they_say() {
        assert!(Match::None.takes("9.0", "1.0"));
        assert!(Match::Strict.takes("1.0", "1.0") && !Match::Strict.takes("1.0", "1.1") && !Match::Strict.takes("1.0", ""));
        let older = Match::CurrentOrOlder;
        assert!(older.takes("1.0", "1.0") && older.takes("1.0", "1.1") && older.takes("1.0", "") && !older.takes("1.2", "1.1"));
    }
}
