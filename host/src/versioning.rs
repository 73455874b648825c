//! Which version of an app a new orchestration may run on, as Durable Functions decides it: by the version that the start
//! asks for and the label of what is deployed.

use std::cmp::Ordering;

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
    fn strategies_take_what_they_say() {
        assert!(Match::None.takes("9.0", "1.0"));
        assert!(Match::Strict.takes("1.0", "1.0") && !Match::Strict.takes("1.0", "1.1") && !Match::Strict.takes("1.0", ""));
        let older = Match::CurrentOrOlder;
        assert!(older.takes("1.0", "1.0") && older.takes("1.0", "1.1") && older.takes("1.0", "") && !older.takes("1.2", "1.1"));
    }
}
