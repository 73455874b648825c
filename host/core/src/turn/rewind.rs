//! Rewinding: returns an instance to the state before a failure, and continues from there.
//!
//! ```text
//!   history:  turn 0 ... turn start-1 | turn start ... turn N         inbox: what came after the end
//!             replayed                | results that failed: dropped ◀──┘
//!                                     | other messages: carried over
//!                                     ▼
//!                                     turn start, run live: ExecutionRewound, what was carried over, what came since
//! ```
//!
//! Work that succeeded is not run again, because its result is in the kept history, is carried over, or was kept in the inbox.
//! Work that failed is open again after the replay, and is started again. The actions of the forgotten turns are forgotten too:
//! `OpenWork` gives later actions other numbers, so that results are not mixed up.

use super::{Draft, Halt, Turn, TurnEnd, TurnResult, finish, lock};
use crate::Seq;
use crate::commit::{RuntimeStatus, ScheduledActivity, Timer};
use crate::event::{Delivery, Event, HistoryEvent, Message, Outcome};
use crate::execution::{Execution, OpenWork, RecordedTurn};

/// The messages of the forgotten turns and of the inbox, by what is done with them.
struct RewindPlan {
    /// To be taken in, in this order.
    carried: Vec<Delivery>,
    /// Failed results. The work that they belong to is started again.
    dropped: Vec<Delivery>,
    /// Messages that the execution no longer expects.
    stale: Vec<Delivery>,
}

impl Turn<'_> {
    /// Rewinds an instance that has failed or was terminated. `Err`: why that is impossible; then nothing has changed.
    pub(super) fn rewind(
        &self,
        mut draft: Draft,
        history: &[HistoryEvent],
        rewind: &Delivery,
        inbox: &[Delivery],
    ) -> Result<TurnResult, Halt> {
        let turns = RecordedTurn::split(history);
        if turns.is_empty() || turns.len() != draft.commit.record.turns.len() {
            return Err(Halt::because("its history is not complete"));
        }
        let cut = cut_at(&turns);
        let (kept, forgotten) = history.split_at(cut.checked_sub(1).map_or(0, |last| turns[last].end));
        draft.commit.record.usage.replayed_events += kept.len() as u64;
        draft.forget_turns(cut, forgotten);
        draft.commit.record.version = self.active_version.or(draft.commit.record.version);
        let kept_conditions = turns[..cut].iter().find_map(|turn| turn.conditions);
        let mut live = self.start(&draft.commit.record, history.iter().map(|entry| &entry.event), kept_conditions)?;
        for turn in turns.into_iter().take(cut) {
            live.replay_turn(turn)?;
        }

        let before = lock(&live.execution).open().clone();
        let plan = RewindPlan::new(&draft, &before, rewind, forgotten, inbox);
        check(&draft, &before, &plan)?;
        draft.drop_all(plan.stale);
        {
            let mut execution = lock(&live.execution);
            self.go_on_under(&draft.commit.record, &mut execution);
            execution.begin_live_turn(draft.now);
            draft.take_in(&mut execution, plan.carried);
        }
        let rest = live.run_guest()?;
        match &rest {
            TurnEnd::Waiting => {
                draft.begin_again(&lock(&live.execution), &before, kept, rewind);
                draft.call_again_all(&lock(&live.execution), &plan.dropped, kept);
                draft.consume_all(plan.dropped);
            }
            // It failed again at once: the next rewind needs the earlier failures.
            TurnEnd::Ended(Outcome::Failed(_)) | TurnEnd::Aborted(Outcome::Failed(_)) => draft.keep_all(plan.dropped),
            TurnEnd::Ended(_) | TurnEnd::Aborted(_) => draft.consume_all(plan.dropped),
        }
        Ok(finish(draft, live, rest))
    }
}

/// The first turn to forget: the last one, or an earlier one that brought a failed result on which the guest did not act.
fn cut_at(turns: &[RecordedTurn<'_>]) -> usize {
    let last = turns.len() - 1;
    let idle = turns[..last].iter().rev().take_while(|turn| turn.actions.is_empty()).count();
    (last - idle..last).find(|&turn| turns[turn].messages.iter().any(|event| has_failed(event))).unwrap_or(last)
}

fn has_failed(event: &Event) -> bool {
    matches!(event, Event::TaskFailed { .. } | Event::SubOrchestrationInstanceFailed { .. } | Event::EntityOperationFailed { .. })
}

/// Checks that the instance can be rewound.
fn check(draft: &Draft, before: &OpenWork, plan: &RewindPlan) -> Result<(), Halt> {
    if before.lock.is_some() {
        let why = "it ended while it held or requested locks of entities, which were released: restart it instead";
        return Err(Halt::because(why));
    }
    if !before.can_rewind() {
        return Err(Halt::because("it was rewound too often"));
    }
    // A terminated instance did not keep what came after its end.
    let mut open = before.clone();
    plan.carried.iter().chain(&plan.dropped).for_each(|delivery| open.note(&delivery.message.event));
    if draft.commit.record.status == RuntimeStatus::Terminated && !open.operations.is_empty() {
        return Err(Halt::because("it was terminated while it waited for an operation of an entity, whose result is lost"));
    }
    Ok(())
}

impl RewindPlan {
    fn new(draft: &Draft, open: &OpenWork, rewind: &Delivery, forgotten: &[HistoryEvent], inbox: &[Delivery]) -> Self {
        let recorded = forgotten.iter().filter(|entry| is_carried(&entry.event)).map(|entry| {
            let HistoryEvent { at, event } = entry.clone();
            let (to, execution) = (draft.commit.record.id.clone(), Some(draft.commit.record.execution));
            Delivery { message: Message { to, execution, sent_at: at, event }, stored: None }
        });
        let mut plan = Self { carried: Vec::new(), dropped: Vec::new(), stale: Vec::new() };
        for delivery in recorded.chain(inbox.iter().cloned()) {
            let event = &delivery.message.event;
            let to = match (is_carried(event), has_failed(event)) {
                (true, false) => &mut plan.carried,
                (true, true) if open.awaits(event) == Some(true) => &mut plan.dropped,
                (true, true) | (false, _) => &mut plan.stale,
            };
            to.push(delivery);
        }
        // A history begins with the start, even if its first turn is forgotten.
        let first = plan.carried.first().map(|first| &first.message.event);
        let position = usize::from(matches!(first, Some(Event::ExecutionStarted { .. })));
        // The stored message is consumed already, together with all other requests to rewind.
        plan.carried.insert(position, Delivery { message: rewind.message.clone(), stored: None });
        plan
    }
}

/// Whether a message is taken in again. One that ended the instance is not.
fn is_carried(event: &Event) -> bool {
    !event.is_action() && !matches!(event, Event::OrchestratorStarted { .. } | Event::ExecutionTerminated { .. })
}

impl Draft {
    /// Removes the last turns from the record, and their activities, which only that history describes.
    fn forget_turns(&mut self, cut: usize, forgotten: &[HistoryEvent]) {
        let last = self.commit.record.turns.end;
        self.commit.record.turns.end = self.commit.record.turns.start + cut as u32;
        self.commit.forgotten = self.commit.record.turns.end..last;
        for entry in forgotten {
            if let Event::TaskScheduled { seq, .. } = entry.event {
                self.commit.activities_cleared.push(seq);
            }
        }
    }

    /// Starts again what was open before the turn and still is: timers, activities, and children, which are rewound too.
    fn begin_again(&mut self, execution: &Execution, before: &OpenWork, kept: &[HistoryEvent], rewind: &Delivery) {
        let open = execution.open();
        let timers = before.timers.iter().filter(|(seq, _)| open.timers.contains_key(seq));
        self.commit.timers_set.extend(timers.map(|(&seq, &fire_at)| Timer { fire_at, seq }));
        let mut turn = self.commit.record.turns.start;
        for (index, entry) in kept.iter().enumerate() {
            match &entry.event {
                Event::OrchestratorStarted { .. } if index > 0 => turn += 1,
                Event::TaskScheduled { seq, name, input, attempt } if open.activities.contains(seq) => {
                    let (name, input) = (name.clone(), input.clone());
                    self.commit.activities_set.push(ScheduledActivity { seq: *seq, turn, name, input, attempt: *attempt });
                }
                _ => {}
            }
        }
        let Event::ExecutionRewound { reason, .. } = &rewind.message.event else { return };
        for (seq, child) in before.children.iter().filter(|(seq, _)| open.children.contains_key(seq)) {
            let parent = Some(self.waiter(*seq));
            self.commit.sent.push(self.to(child, Event::ExecutionRewound { reason: reason.clone(), parent }));
        }
    }

    /// Calls failed operations again. The others are still in progress.
    fn call_again_all(&mut self, execution: &Execution, dropped: &[Delivery], kept: &[HistoryEvent]) {
        let failed: Vec<Seq> = dropped
            .iter()
            .filter_map(|delivery| match delivery.message.event {
                Event::EntityOperationFailed { seq, .. } => Some(seq),
                _ => None,
            })
            .filter(|seq| execution.open().operations.contains_key(seq))
            .collect();
        for entry in kept {
            if matches!(&entry.event, Event::EntityOperationCalled { seq, .. } if failed.contains(seq)) {
                self.commit.sent.extend(self.call_again(&entry.event));
            }
        }
    }
}
