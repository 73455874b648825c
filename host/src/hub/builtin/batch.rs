//! Batches of messages for event-hub triggers. Each message stays an orchestration of its own; those whose activities run at the
//! same time share one call of the trigger, and its outcome.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use dacapo_core::{ExecutionId, VersionId};
use tokio::sync::oneshot;

use super::message::Message;
use super::trigger::Answer;
use crate::hub::client::RepeatableCall;

/// How long a batch waits for more messages: as long as those that are put together take to get here.
const GATHERS: Duration = Duration::from_millis(20);

/// Bytes of the texts of a batch, unless one message has more.
const BYTES_MAX: usize = 1 << 20;

/// Which messages can share a call.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct BatchKey {
    pub queue: String,
    pub version: VersionId,
    pub attempt: u32,
}

/// One message of a batch.
pub(super) struct Member {
    pub message: Message,
    pub execution: ExecutionId,
    pub repeatable: RepeatableCall,
}

/// The messages of a batch, and those who wait for its outcome: all but the one that has opened it.
pub(super) type Members = Vec<(Member, Option<oneshot::Sender<Answer>>)>;

/// The batches that messages can join.
#[derive(Default)]
pub(in crate::hub) struct Batches(Mutex<State>);

#[derive(Default)]
struct State {
    open: HashMap<BatchKey, Open>,
    /// The number of the last batch.
    last: u64,
}

struct Open {
    number: u64,
    members: Members,
    bytes: usize,
    /// Gets the members when there is no room for more.
    full: oneshot::Sender<Members>,
}

pub(super) enum Joined {
    Opened(Opened),
    /// Gets the outcome of the batch. If the sender is dropped, the call was stopped.
    Member(oneshot::Receiver<Answer>),
}

/// A batch, for the one that has opened it. Dropping it gives up the others.
pub(super) struct Opened {
    batches: Arc<Batches>,
    key: BatchKey,
    number: u64,
    full: oneshot::Receiver<Members>,
}

impl Batches {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a message to the batch of its key, or opens one. `most`: messages of a batch.
    pub(super) fn join(self: &Arc<Self>, key: BatchKey, member: Member, most: usize) -> Joined {
        let mut state = self.lock();
        let bytes = member.message.text.len();
        match state.open.get_mut(&key) {
            Some(open) if open.bytes + bytes <= BYTES_MAX => {
                let (answer, answered) = oneshot::channel();
                open.members.push((member, Some(answer)));
                open.bytes += bytes;
                if open.members.len() >= most {
                    state.close(&key);
                }
                return Joined::Member(answered);
            }
            Some(_) => state.close(&key),
            None => {}
        }
        state.last += 1;
        let (number, (full, filled)) = (state.last, oneshot::channel());
        state.open.insert(key.clone(), Open { number, members: vec![(member, None)], bytes, full });
        if most <= 1 {
            state.close(&key);
        }
        Joined::Opened(Opened { batches: self.clone(), key, number, full: filled })
    }
}

impl State {
    /// Hands a batch over to the one that has opened it.
    fn close(&mut self, key: &BatchKey) {
        if let Some(open) = self.open.remove(key) {
            // If that one is gone, so is the batch.
            let _ = open.full.send(open.members);
        }
    }
}

impl Opened {
    /// Waits for more messages, until there is no room for more or it has taken long enough. Returns all of them.
    pub async fn members(mut self) -> Members {
        if let Ok(Ok(members)) = tokio::time::timeout(GATHERS, &mut self.full).await {
            return members;
        }
        self.close();
        self.full.try_recv().expect("a batch is handed over before it can be joined no more")
    }

    fn close(&self) {
        let mut state = self.batches.lock();
        if state.open.get(&self.key).is_some_and(|open| open.number == self.number) {
            state.close(&self.key);
        }
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        self.full.close();
        self.close();
    }
}

#[cfg(test)]
mod tests {
    use dacapo_core::{Row, Seq};
    use uuid::Uuid;

    use super::*;

    fn join(batches: &Arc<Batches>, text: &str, attempt: u32) -> Joined {
        let key = BatchKey { queue: "q".into(), version: VersionId([0; 32]), attempt };
        let message = Message { queue: "q".into(), id: text.into(), text: text.into(), inserted_at: 0.0, reason: None };
        let repeatable = RepeatableCall { caller: Row(1), seq: Seq(0) };
        batches.join(key, Member { message, execution: ExecutionId(Uuid::nil()), repeatable }, 3)
    }

    fn opened(joined: Joined) -> Opened {
        match joined {
            Joined::Opened(opened) => opened,
            Joined::Member(_) => panic!("there is no batch yet"),
        }
    }

    fn member(joined: Joined) -> oneshot::Receiver<Answer> {
        match joined {
            Joined::Opened(_) => panic!("there is a batch"),
            Joined::Member(answered) => answered,
        }
    }

    fn texts(members: &Members) -> Vec<&str> {
        members.iter().map(|(member, _)| member.message.text.as_str()).collect()
    }

    #[tokio::test]
    async fn messages_share_a_call_and_its_outcome() {
        let batches = Arc::new(Batches::default());
        let (first, retried) = (opened(join(&batches, "a", 1)), opened(join(&batches, "x", 2)));
        let (second, third) = (member(join(&batches, "b", 1)), member(join(&batches, "c", 1)));
        // It is full.
        let next = opened(join(&batches, "d", 1));
        let members = first.members().await;
        assert_eq!(texts(&members), ["a", "b", "c"]);
        for (_, answer) in members {
            if let Some(answer) = answer {
                answer.send(Answer::Done).unwrap();
            }
        }
        assert_eq!((second.await, third.await), (Ok(Answer::Done), Ok(Answer::Done)));
        assert_eq!(texts(&next.members().await), ["d"]);
        assert_eq!(texts(&retried.members().await), ["x"]);
        assert!(batches.lock().open.is_empty());
    }

    #[tokio::test]
    async fn texts_of_a_batch_have_a_limit() {
        let batches = Arc::new(Batches::default());
        let large = "x".repeat(BYTES_MAX);
        let (first, second) = (opened(join(&batches, &large, 1)), opened(join(&batches, "b", 1)));
        assert_eq!(first.members().await.len(), 1);
        assert_eq!(texts(&second.members().await), ["b"]);
    }

    #[tokio::test]
    async fn who_waits_for_a_call_that_was_stopped_is_told() {
        let batches = Arc::new(Batches::default());
        let first = opened(join(&batches, "a", 1));
        let second = member(join(&batches, "b", 1));
        drop(first);
        assert!(second.await.is_err());
        let third = opened(join(&batches, "c", 1));
        assert_eq!(texts(&third.members().await), ["c"]);
    }
}
