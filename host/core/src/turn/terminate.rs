//! Termination: ends an instance at once, without running its guest.

use super::actions::TurnActions;
use super::{Draft, Memory, TurnResult, lock};
use crate::commit::Timer;
use crate::event::{Delivery, Event, HistoryEvent, Message, Outcome};
use crate::execution::OpenWork;

/// Ends the instance. Its open work is read from its history, so it does not matter if the guest cannot be replayed. Messages
/// that arrived with the termination are dropped, except the start of an instance that had not begun.
pub(super) fn terminate(mut draft: Draft, memory: &Memory, inbox: Vec<Delivery>) -> TurnResult {
    let mut open = match memory {
        Memory::Hot(live) => lock(&live.execution).open().clone(),
        Memory::Cold(history) => {
            let mut open = OpenWork::default();
            for page in history.pages() {
                match page {
                    Ok(events) => events.iter().for_each(|entry| open.note(&entry.event)),
                    Err(why) => return TurnResult::put_back(why),
                }
            }
            open
        }
    };
    let (mut started, mut terminated) = (None, None);
    let (mut terminated_for, mut recursively) = (None, false);
    for delivery in inbox {
        draft.consume(delivery.stored);
        draft.clear_source(&delivery.message.event);
        open.note(&delivery.message.event);
        let Message { sent_at: at, event, .. } = delivery.message;
        if let Event::ExecutionTerminated { reason, recurse, .. } = &event {
            terminated_for.get_or_insert_with(|| reason.clone());
            recursively |= recurse;
            terminated.get_or_insert(HistoryEvent { at, event });
        } else if matches!(event, Event::ExecutionStarted { .. }) && draft.commit.record.turns.is_empty() {
            started.get_or_insert(HistoryEvent { at, event });
        }
    }
    draft.events.extend(started.into_iter().chain(terminated));
    let reason = terminated_for.unwrap_or_default();
    for (&seq, child) in open.children.iter().filter(|_| recursively) {
        let parent = Some(draft.waiter(seq));
        draft.commit.sent.push(draft.to(child, Event::ExecutionTerminated { reason: reason.clone(), recurse: true, parent }));
    }
    draft.commit.timers_cleared.extend(open.timers.iter().map(|(&seq, &fire_at)| Timer { fire_at, seq }));
    draft.commit.activities_cleared.extend(&open.activities);
    let outcome = Outcome::Terminated { reason };
    let release =
        open.lock.as_ref().map(|lock| Event::EntityUnlockSent { seq: open.next_seq(), entities: lock.entities.clone() });
    let actions = release.into_iter().chain([Event::ExecutionCompleted { outcome: outcome.clone() }]).collect();
    let acts = TurnActions { actions, lock_before: open.lock.map(|lock| lock.seq), effective: false, conditions: None };
    draft.commit.record.halted = None;
    TurnResult::of(Some(draft.ended(&outcome, acts)))
}
