//! The messages of a hub's queues that were not processed yet, by queue. In memory only: when the hub is opened they are found in
//! its file, and from then on each durable turn of a message is noted here.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::{Mutex, MutexGuard, PoisonError};

use dacapo_core::Row;

#[derive(Default)]
pub(in crate::hub) struct Messages(Mutex<State>);

#[derive(Default)]
struct State {
    queues: BTreeMap<String, Queue>,
    /// Messages of all queues.
    stored: u64,
    /// Messages that are about to be stored.
    entering: u64,
}

#[derive(Default)]
struct Queue {
    /// Rows ascend in the order in which messages were put.
    rows: BTreeSet<Row>,
    /// Those that wait for a trigger.
    without_trigger: BTreeMap<Row, Waits>,
}

/// Whether a message waits for a trigger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::hub) enum Waits {
    /// It was found in the store, where its history says.
    Perhaps,
    /// It was told that there is none.
    Surely,
}

/// Room for messages that are about to be stored, until it is dropped.
pub(in crate::hub) struct Room<'a> {
    messages: &'a Messages,
    count: u64,
}

impl Drop for Room<'_> {
    fn drop(&mut self) {
        self.messages.lock().entering -= self.count;
    }
}

/// The messages of a queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Counted {
    pub name: String,
    pub messages: u64,
    pub oldest: Option<Row>,
}

impl Messages {
    fn lock(&self) -> MutexGuard<'_, State> {
        // No method leaves it half changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes room for `count` more, if there may be `most` in all. Otherwise returns how many there are.
    pub fn room(&self, count: u64, most: u64) -> Result<Room<'_>, u64> {
        let mut state = self.lock();
        let taken = state.stored.saturating_add(state.entering);
        if taken.saturating_add(count) > most {
            return Err(taken);
        }
        state.entering += count;
        Ok(Room { messages: self, count })
    }

    /// Notes that a message is in a queue. Returns whether that is new.
    pub fn put(&self, queue: &str, row: Row) -> bool {
        let mut state = self.lock();
        let is_new = match state.queues.get_mut(queue) {
            Some(known) => known.rows.insert(row),
            None => state.queues.entry(queue.to_owned()).or_default().rows.insert(row),
        };
        state.stored += u64::from(is_new);
        is_new
    }

    /// Notes that a message is in its queue no more.
    pub fn left(&self, queue: &str, row: Row) {
        let mut state = self.lock();
        let Some(known) = state.queues.get_mut(queue) else { return };
        known.without_trigger.remove(&row);
        let was_there = known.rows.remove(&row);
        if known.rows.is_empty() {
            state.queues.remove(queue);
        }
        state.stored -= u64::from(was_there);
    }

    /// Notes that a message waits for a trigger of its queue, before it is told that there is none.
    pub fn waits(&self, queue: &str, row: Row, waits: Waits) {
        // It may have left.
        if let Some(known) = self.lock().queues.get_mut(queue).filter(|known| known.rows.contains(&row)) {
            known.without_trigger.insert(row, waits);
        }
    }

    /// Notes that a message waits for no trigger.
    pub fn waits_no_more(&self, queue: &str, row: Row) {
        if let Some(known) = self.lock().queues.get_mut(queue) {
            known.without_trigger.remove(&row);
        }
    }

    /// Takes the messages of a queue that wait for a trigger.
    pub(super) fn take_waiting(&self, queue: &str) -> Vec<(Row, Waits)> {
        let taken = self.lock().queues.get_mut(queue).map(|known| std::mem::take(&mut known.without_trigger));
        taken.into_iter().flatten().collect()
    }

    /// The queues that have messages, by name.
    pub(super) fn counted(&self) -> Vec<Counted> {
        let state = self.lock();
        let counted = state.queues.iter().map(|(name, queue)| Counted {
            name: name.clone(),
            messages: queue.rows.len() as u64,
            oldest: queue.rows.first().copied(),
        });
        counted.collect()
    }

    /// The messages of a queue after this one, the oldest first.
    pub(super) fn after(&self, queue: &str, after: Option<Row>, most: usize) -> Vec<Row> {
        let state = self.lock();
        let begin = after.map_or(Bound::Unbounded, Bound::Excluded);
        let Some(known) = state.queues.get(queue) else { return Vec::new() };
        known.rows.range((begin, Bound::Unbounded)).take(most).copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_counted_once_and_the_oldest_come_first() {
        let messages = Messages::default();
        assert!(messages.put("b", Row(7)) && messages.put("a", Row(9)) && messages.put("a", Row(3)));
        assert!(!messages.put("a", Row(3)), "each turn of a message notes it");
        let counted = |name: &str, messages, oldest| Counted { name: name.into(), messages, oldest: Some(Row(oldest)) };
        assert_eq!(messages.counted(), [counted("a", 2, 3), counted("b", 1, 7)]);
        assert_eq!(messages.after("a", None, 10), [Row(3), Row(9)]);
        assert_eq!(messages.after("a", Some(Row(3)), 10), [Row(9)]);
        messages.left("a", Row(3));
        messages.left("a", Row(3));
        messages.left("b", Row(7));
        messages.left("c", Row(7));
        assert_eq!(messages.counted(), [counted("a", 1, 9)]);
        assert_eq!(messages.lock().stored, 1);
    }

    #[test]
    fn there_are_no_more_than_may_be_also_of_those_that_are_not_stored_yet() {
        let messages = Messages::default();
        messages.put("a", Row(1));
        let room = messages.room(2, 4).ok().unwrap();
        assert_eq!(messages.room(2, 4).err(), Some(3));
        let last = messages.room(1, 4).ok().unwrap();
        drop((room, last));
        assert!(messages.room(3, 4).is_ok());
        assert_eq!(messages.room(u64::MAX, 4).err(), Some(1));
    }

    #[test]
    fn those_that_wait_for_a_trigger_are_taken_once() {
        let messages = Messages::default();
        for row in 1..=4 {
            messages.put("a", Row(row));
        }
        messages.waits("a", Row(1), Waits::Perhaps);
        messages.waits("a", Row(2), Waits::Surely);
        messages.waits("a", Row(3), Waits::Surely);
        messages.waits("a", Row(4), Waits::Surely);
        messages.left("a", Row(3));
        messages.waits_no_more("a", Row(4));
        assert_eq!(messages.take_waiting("a"), [(Row(1), Waits::Perhaps), (Row(2), Waits::Surely)]);
        messages.waits("a", Row(3), Waits::Surely);
        messages.waits("b", Row(5), Waits::Surely);
        assert!(messages.take_waiting("a").is_empty(), "one that has left does not wait");
        assert_eq!(messages.lock().queues.len(), 1, "nothing is left behind");
    }
}
