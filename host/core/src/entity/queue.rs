//! In which order the messages of a turn are dealt with.

use std::collections::{HashSet, VecDeque};

use crate::{Delivery, Event, MessageKey, Timestamp};

/// Brings the messages of a turn into order: first what was scheduled and is due, by its time; then what is stored, as it
/// was stored; then what has just come. Each once, whether it was in memory, came through the mailbox, or both.
pub(super) fn in_order(waiting: Vec<Delivery>, inbox: Vec<Delivery>, now: Timestamp) -> VecDeque<Delivery> {
    let mut known: HashSet<MessageKey> = HashSet::new();
    let (mut due, mut stored, mut new) = (Vec::new(), Vec::new(), Vec::new());
    for delivery in waiting.into_iter().chain(inbox) {
        if delivery.stored.is_some_and(|key| !known.insert(key)) {
            continue;
        }
        match (deliver_at(&delivery), delivery.stored) {
            (Some(at), _) if at <= now => due.push((at, delivery)),
            (_, Some(_)) => stored.push(delivery),
            (_, None) => new.push(delivery),
        }
    }
    // What is not stored yet comes last among what is due at the same time, too.
    due.sort_by_key(|(at, delivery)| (*at, delivery.stored.map_or(u64::MAX, |key| key.number)));
    stored.sort_by_key(|delivery| delivery.stored);
    due.into_iter().map(|(_, delivery)| delivery).chain(stored).chain(new).collect()
}

/// When an operation is to be run, if it is scheduled.
pub(super) fn deliver_at(delivery: &Delivery) -> Option<Timestamp> {
    match &delivery.message.event {
        Event::OperationRequested { deliver_at, .. } => *deliver_at,
        _ => None,
    }
}
