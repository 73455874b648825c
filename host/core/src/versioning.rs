//! Versions as Durable Functions names and compares them: the settings of orchestration versioning in `host.json`.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

/// How the version that a start asks for is compared with the labels of the deployed versions. The names are those of
/// `host.json`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Match {
    /// Not at all: the requested version is only passed to the orchestration.
    None,
    /// Only a version with this label.
    Strict,
    /// A version with this label, or else a later one. A version without a label takes every start.
    #[default]
    CurrentOrOlder,
}

/// What happens to a start that no version matches.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Failure {
    /// It is refused. One that was accepted before and can no longer be refused is halted until there is a version for it.
    #[default]
    Reject,
    /// It is accepted, and fails at once.
    Fail,
}

/// What an app says about the versions of its orchestrations, in its `host.json`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AppVersioning {
    /// The version of orchestrations that are started without one. Empty: none.
    pub default: String,
    /// None: that of the host's configuration.
    pub r#match: Option<Match>,
    /// The same.
    pub failure: Option<Failure>,
}

impl Match {
    /// Whether a version with this label may take a start that asks for another one.
    pub fn takes(self, asked: &str, label: &str) -> bool {
        match self {
            Match::None => true,
            Match::Strict => compare(asked, label).is_eq(),
            Match::CurrentOrOlder => label.is_empty() || compare(asked, label).is_le(),
        }
    }
}

/// Compares two versions as Durable Functions does: no version before any, `System.Version`s by their numbers, and everything
/// else as strings, ignoring case.
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

/// Parses a `System.Version` of two to four numbers. A missing number compares as less than 0.
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
            // Not System.Versions: compared as strings.
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
    fn strategies_take_what_they_say() {
        assert!(Match::None.takes("9.0", "1.0"));
        assert!(Match::Strict.takes("1.0", "1.0") && !Match::Strict.takes("1.0", "1.1") && !Match::Strict.takes("1.0", ""));
        let older = Match::CurrentOrOlder;
        assert!(older.takes("1.0", "1.0") && older.takes("1.0", "1.1") && older.takes("1.0", "") && !older.takes("1.2", "1.1"));
    }
}
