//! How far timers have been delivered, and when the next one is due.

use std::sync::{Mutex, MutexGuard};

use dacapo_core::{Row, Seq, Timestamp};
use dacapo_store::TimerKey;
use tokio::sync::Notify;

#[derive(Default)]
pub(in crate::hub) struct Timers {
    state: Mutex<State>,
    pub sooner: Notify,
}

#[derive(Default)]
pub(super) struct State {
    pub cursor: Cursor,
    /// When the timer task wakes.
    pub wakes_at: Option<Timestamp>,
}

/// Every timer up to here has been delivered.
#[derive(Default)]
pub(super) struct Cursor(pub Option<TimerKey>);

impl Cursor {
    /// Returns the position. It is never ahead of the clock: if that was set back, timers that were passed because they seemed
    /// due are delivered again later. An execution takes each only once.
    pub fn at(&mut self, now: Timestamp) -> Option<TimerKey> {
        if self.0.is_some_and(|last| last.fire_at > now) {
            self.0 = Some(TimerKey { fire_at: now, row: Row(0), seq: Seq(0) });
        }
        self.0
    }
}

impl Timers {
    /// Wakes the task, which finds that the hub is closing.
    pub fn stop(&self) {
        self.sooner.notify_one();
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no holder of this lock panics")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(fire_at: i64) -> TimerKey {
        TimerKey { fire_at: Timestamp(fire_at), row: Row(7), seq: Seq(1) }
    }

    /// A clock was ahead for a moment: from then on every timer that was set seemed to be due, until the host was started again.
    #[test]
    fn a_clock_that_was_ahead_leaves_no_cursor_in_the_future() {
        let mut cursor = Cursor::default();
        assert_eq!(cursor.at(Timestamp(100)), None);
        cursor.0 = Some(key(7_200));
        assert_eq!(cursor.at(Timestamp(7_200)), Some(key(7_200)));
        let back = cursor.at(Timestamp(100)).expect("timers were delivered");
        assert!(key(99) < back && back < key(101));
        assert_eq!(cursor.at(Timestamp(200)), Some(back));
    }
}
