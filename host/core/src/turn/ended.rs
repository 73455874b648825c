//! Messages that reach an instance after its end, and rewinds that reach one that has not ended.

use super::actions::report;
use super::migrate::is_migration;
use super::{Draft, Memory, Refusals, Turn, TurnResult, history};
use crate::Failure;
use crate::commit::{InstanceRecord, RuntimeStatus};
use crate::event::{Delivery, Event, HistoryEvent, Message, Outcome, Parent};

/// How to answer an `ExecutionRewound`.
enum Answer {
    Rewind,
    Nothing,
    Tell(Message),
    Refuse(String),
}

impl Turn<'_> {
    /// Runs a turn of an instance that has ended: rewinds it, or keeps or drops the messages.
    pub(super) fn run_ended(&self, record: InstanceRecord, memory: Memory, inbox: Vec<Delivery>) -> TurnResult {
        let mut draft = Draft::new(record, self.now);
        let inbox = draft.drop_stale(inbox);
        let migration_refused = inbox.iter().any(is_migration).then(|| "it has ended".to_owned());
        let (rewinds, rest): (Vec<_>, Vec<_>) = inbox.into_iter().partition(is_rewind);
        let history = match memory {
            Memory::Cold(history) => match history::whole(history.as_ref()) {
                Ok(history) => history,
                Err(why) => return TurnResult::put_back(why),
            },
            Memory::Hot(_) => Vec::new(),
        };
        let (wanted, mut refused) = draft.answer_all(rewinds, &history);
        for rewind in &wanted {
            let mut attempt = draft.clone();
            attempt.consume_all(wanted.clone());
            match self.rewind(attempt, &history, rewind, &rest) {
                Ok(result) => return TurnResult { refused: Refusals { rewind: refused, migration: None }, ..result },
                Err(why) => match why.passing() {
                    Ok(why) => return TurnResult::put_back(why),
                    Err(why) => refused = draft.cannot_rewind(rewind, &history, why.to_string()).or(refused),
                },
            }
        }
        draft.keep_or_drop(rest);
        let refused = Refusals { rewind: refused, migration: migration_refused };
        TurnResult { refused, ..TurnResult::of(draft.commit_if_changed()) }
    }
}

impl Draft {
    /// Answers the rewinds that reach an instance which has not ended. Returns the other messages, and why a client's rewind
    /// was refused.
    pub fn answer_rewinds(&mut self, inbox: Vec<Delivery>) -> (Vec<Delivery>, Option<String>) {
        let (rewinds, rest): (Vec<_>, Vec<_>) = inbox.into_iter().partition(is_rewind);
        let (_, refused) = self.answer_all(rewinds, &[]);
        (rest, refused)
    }

    /// Answers rewinds. Returns those to be tried, and why a client's rewind was refused.
    fn answer_all(&mut self, rewinds: Vec<Delivery>, history: &[HistoryEvent]) -> (Vec<Delivery>, Option<String>) {
        let (mut wanted, mut refused) = (Vec::new(), None);
        for rewind in rewinds {
            match self.answer(&rewind.message, history) {
                Answer::Rewind => wanted.push(rewind),
                Answer::Nothing => self.consume(rewind.stored),
                Answer::Tell(message) => {
                    self.consume(rewind.stored);
                    self.commit.sent.push(message);
                }
                Answer::Refuse(why) => {
                    self.consume(rewind.stored);
                    refused = Some(why);
                }
            }
        }
        (wanted, refused)
    }

    fn answer(&self, message: &Message, history: &[HistoryEvent]) -> Answer {
        let Event::ExecutionRewound { parent, .. } = &message.event else { return Answer::Nothing };
        let (record, status) = (&self.commit.record, self.commit.record.status);
        let Some(parent) = parent else {
            return match status {
                RuntimeStatus::Failed => Answer::Rewind,
                _ => Answer::Refuse(format!(
                    "only a failed instance can be rewound, and '{}' has the status {}",
                    record.id,
                    status.name()
                )),
            };
        };
        if !record.parent.as_ref().is_some_and(|own| own.is_same(parent)) {
            let failure = message.id_in_use("is not the sub-orchestration that is to be rewound");
            return Answer::Tell(parent.message(Event::SubOrchestrationInstanceFailed { seq: parent.seq, failure }, self.now));
        }
        match status {
            RuntimeStatus::Failed | RuntimeStatus::Terminated => Answer::Rewind,
            RuntimeStatus::Completed | RuntimeStatus::Canceled => Answer::Tell(self.report_again(parent, history)),
            RuntimeStatus::Running | RuntimeStatus::ContinuedAsNew | RuntimeStatus::Pending | RuntimeStatus::Suspended => {
                Answer::Nothing
            }
        }
    }

    /// Returns the reason, for a client; a parent gets the report again that it wanted to undo.
    fn cannot_rewind(&mut self, rewind: &Delivery, history: &[HistoryEvent], why: String) -> Option<String> {
        self.consume(rewind.stored);
        let Event::ExecutionRewound { parent: Some(parent), .. } = &rewind.message.event else { return Some(why) };
        self.commit.sent.push(self.report_again(parent, history));
        None
    }

    fn report_again(&self, parent: &Parent, history: &[HistoryEvent]) -> Message {
        let ended = history.iter().rev().find_map(|entry| match &entry.event {
            Event::ExecutionCompleted { outcome: Outcome::ContinuedAsNew { .. } } => None,
            Event::ExecutionCompleted { outcome } => Some(report(outcome, &self.commit.record.name, parent.seq)),
            _ => None,
        });
        let unknown = || Event::SubOrchestrationInstanceFailed {
            seq: parent.seq,
            failure: Failure::permanent(
                Failure::INSTANCE_NOT_FOUND,
                format!("how the sub-orchestration '{}' ended is not in its history", self.commit.record.id),
            ),
        };
        parent.message(ended.unwrap_or_else(unknown), self.now)
    }

    /// A failed instance keeps what a rewind would need; everything else is dropped.
    fn keep_or_drop(&mut self, inbox: Vec<Delivery>) {
        let failed = self.commit.record.status == RuntimeStatus::Failed;
        for delivery in inbox {
            if failed && is_needed_by_rewind(&delivery.message.event) {
                self.keep(delivery);
            } else {
                self.clear_source(&delivery.message.event);
                self.consume(delivery.stored);
            }
        }
    }
}

fn is_rewind(delivery: &Delivery) -> bool {
    matches!(delivery.message.event, Event::ExecutionRewound { .. })
}

/// Timers do not, because a rewind sets them again, nor lock grants, because the locks were released.
fn is_needed_by_rewind(event: &Event) -> bool {
    matches!(
        event,
        Event::TaskCompleted { .. }
            | Event::TaskFailed { .. }
            | Event::SubOrchestrationInstanceCompleted { .. }
            | Event::SubOrchestrationInstanceFailed { .. }
            | Event::EntityOperationCompleted { .. }
            | Event::EntityOperationFailed { .. }
            | Event::EventRaised { .. }
    )
}
