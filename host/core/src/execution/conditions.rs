//! The part of the host's configuration that a guest can observe.

use std::sync::Arc;

use super::limits::Limits;

/// The host's configuration for an execution: all that the guest can observe, or that its past turns may have needed.
///
/// It is recorded in the history, in the first turn to which it applies, so that a replay runs under the same values. What only
/// decides whether something is allowed now is not part of it: a replay accepts what was recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conditions {
    /// Bytes of all memories of the guest, which can observe that one cannot grow.
    pub memory_bytes: u64,
    /// Elements of all its tables, which are observable in the same way.
    pub table_elements: u64,
    /// Fuel of one turn. The guest cannot observe it, but a replay must not run out where the recorded turn did not.
    pub fuel_per_turn: u64,
    /// Tasks of one execution; recorded for the same reason as the fuel.
    pub tasks: u64,
    /// Bytes of one payload; recorded for the same reason as the fuel.
    pub payload_bytes: u64,
    /// The environment variables that it can read.
    pub environment: Vec<(String, String)>,
}

impl Conditions {
    /// The conditions of a turn that begins now, in an execution that ran under `self` so far. The limits of a turn come from
    /// `now`. But the guest keeps the memory, tables and environment that it has seen: memory and tables may only grow.
    fn renewed(&self, now: &Conditions) -> Conditions {
        Conditions {
            memory_bytes: self.memory_bytes.max(now.memory_bytes),
            table_elements: self.table_elements.max(now.table_elements),
            environment: self.environment.clone(),
            ..now.clone()
        }
    }

    /// The conditions of the next live turn, if they differ from the previous ones and so must be recorded.
    pub(super) fn change(before: Option<&Arc<Self>>, now: &Arc<Self>) -> Option<Arc<Self>> {
        match before {
            Some(before) if Arc::ptr_eq(before, now) => None,
            Some(before) => Some(before.renewed(now)).filter(|renewed| **before != *renewed).map(Arc::new),
            None => Some(now.clone()),
        }
    }
}

impl Default for Conditions {
    fn default() -> Self {
        let Limits { tasks, payload_bytes, .. } = Limits::default();
        Self {
            memory_bytes: 128 << 20,
            table_elements: 50_000,
            fuel_per_turn: 2_000_000_000,
            tasks: tasks as u64,
            payload_bytes: payload_bytes as u64,
            environment: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guest_keeps_its_room_and_its_environment_and_has_the_bounds_of_today() {
        let environment = |value: &str| vec![("MODE".to_owned(), value.to_owned())];
        let before = Conditions { environment: environment("old"), ..Conditions::default() };
        let now = Conditions {
            memory_bytes: before.memory_bytes / 2,
            table_elements: before.table_elements * 2,
            fuel_per_turn: 7,
            environment: environment("new"),
            ..Conditions::default()
        };
        let expected = Conditions { memory_bytes: before.memory_bytes, environment: environment("old"), ..now.clone() };
        let (before, now) = (Arc::new(before), Arc::new(now));
        assert_eq!(Conditions::change(None, &now), Some(now.clone()));
        assert_eq!(Conditions::change(Some(&now), &Arc::new((*now).clone())), None);
        let changed = Conditions::change(Some(&before), &now).unwrap();
        assert_eq!(*changed, expected);
        assert_eq!(Conditions::change(Some(&changed), &now), None, "it is recorded once");
    }
}
