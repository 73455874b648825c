//! How long a client may keep the host waiting.
//!
//! ```text
//!   Greeting ─▶ Head ─▶ Exchange ─▶ Idle ─▶ Head ─▶ Exchange ...
//! ```
//!
//! The handshake, a head and the time between two requests each have a limit. Within an exchange only the time counts in which
//! the host waits for the client: for the rest of a body, or because the client does not read the response. For each of the two
//! the client has a credit of time, which is earned back by the bytes that do arrive. So a slow request fails and a long one
//! does not, and a stream of events may be silent for any time.
//!
//! Nothing here reads a clock.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeLimits {
    /// The TLS handshake.
    pub handshake: Duration,
    /// From the first byte of a request, or from the beginning of the connection, to the end of the head.
    pub head: Duration,
    /// Between two requests.
    pub idle: Duration,
    /// The credit of a client that sends a body or takes an answer.
    pub stall: Duration,
    /// The rate at which a byte earns credit.
    pub bytes_per_second: u32,
}

/// What a connection was waiting for when its time was up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Overdue {
    Handshake,
    Head,
    Idle,
    Body,
    Answer,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Handshake,
    Head,
    Exchange {
        /// More of the body is to come.
        body: bool,
        /// The caller is known and authorised.
        admitted: bool,
    },
    Idle,
}

/// The pace of one connection, shared by the parts that report to it.
#[derive(Debug, Clone)]
pub(super) struct SharedPace(Arc<Mutex<Pace>>);

impl SharedPace {
    pub fn new(limits: TimeLimits, secure: bool, now: Instant) -> Self {
        Self(Arc::new(Mutex::new(Pace::new(limits, secure, now))))
    }

    pub fn lock(&self) -> MutexGuard<'_, Pace> {
        // No method leaves it half changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug)]
pub(super) struct Pace {
    limits: TimeLimits,
    phase: Phase,
    /// When this phase began.
    since: Instant,
    sending: Credit,
    taking: Credit,
}

impl Pace {
    fn new(limits: TimeLimits, secure: bool, now: Instant) -> Self {
        let phase = if secure { Phase::Handshake } else { Phase::Head };
        let credit = Credit { left: limits.stall, waits_since: None };
        Self { limits, phase, since: now, sending: credit, taking: credit }
    }

    /// The TLS handshake is over.
    pub fn greeted(&mut self, now: Instant) {
        (self.phase, self.since) = (Phase::Head, now);
    }

    /// Bytes have arrived.
    pub fn received(&mut self, bytes: usize, now: impl FnOnce() -> Instant) {
        match self.phase {
            Phase::Handshake | Phase::Head => {}
            Phase::Idle => (self.phase, self.since) = (Phase::Head, now()),
            Phase::Exchange { .. } => self.sending.earn(bytes, &self.limits, now),
        }
    }

    /// There is nothing to read.
    pub fn starved(&mut self, now: impl FnOnce() -> Instant) {
        if matches!(self.phase, Phase::Exchange { body: true, .. }) {
            self.sending.wait(now);
        }
    }

    /// Bytes were taken by the client, or by its socket.
    pub fn sent(&mut self, bytes: usize, now: impl FnOnce() -> Instant) {
        self.taking.earn(bytes, &self.limits, now);
    }

    /// There is something to write, but the socket does not take it.
    pub fn blocked(&mut self, now: impl FnOnce() -> Instant) {
        self.taking.wait(now);
    }

    /// The head of a request is complete. The body may be.
    pub fn asked(&mut self, body: bool) {
        self.phase = Phase::Exchange { body, admitted: false };
        self.sending = Credit { left: self.limits.stall, waits_since: None };
    }

    /// The caller of the request is authorised.
    pub fn admitted(&mut self) {
        if let Phase::Exchange { admitted, .. } = &mut self.phase {
            *admitted = true;
        }
    }

    /// The body of the request is complete, or the rest is not wanted.
    pub fn body_ended(&mut self) {
        if let Phase::Exchange { body, .. } = &mut self.phase {
            *body = false;
        }
        self.sending.waits_since = None;
    }

    /// The response was passed to the connection completely.
    pub fn answered(&mut self, now: Instant) {
        (self.phase, self.since) = (Phase::Idle, now);
        self.sending.waits_since = None;
    }

    /// What the client has kept the host waiting for too long, if anything.
    pub fn overdue(&self, now: Instant) -> Option<Overdue> {
        let spent = now.saturating_duration_since(self.since);
        match self.phase {
            _ if self.taking.spent(now) => Some(Overdue::Answer),
            _ if self.sending.spent(now) => Some(Overdue::Body),
            Phase::Handshake => (spent > self.limits.handshake).then_some(Overdue::Handshake),
            Phase::Head => (spent > self.limits.head).then_some(Overdue::Head),
            // The end of the last response may still be waiting to be sent.
            Phase::Idle => (spent > self.limits.idle && self.taking.waits_since.is_none()).then_some(Overdue::Idle),
            Phase::Exchange { .. } => None,
        }
    }

    /// Since when the connection has had no authorised request. None while it has one.
    pub fn unused_since(&self) -> Option<Instant> {
        match self.phase {
            Phase::Exchange { admitted: true, .. } => None,
            Phase::Exchange { admitted: false, .. } | Phase::Handshake | Phase::Head | Phase::Idle => Some(self.since),
        }
    }

    /// Since when the connection has had a request that is not authorised, or not yet. None if it has no such request.
    pub fn unadmitted_since(&self) -> Option<Instant> {
        match self.phase {
            Phase::Exchange { admitted: false, .. } => Some(self.since),
            Phase::Exchange { admitted: true, .. } | Phase::Handshake | Phase::Head | Phase::Idle => None,
        }
    }
}

/// The time for which a client may still keep the host waiting.
#[derive(Debug, Clone, Copy)]
struct Credit {
    left: Duration,
    waits_since: Option<Instant>,
}

impl Credit {
    fn wait(&mut self, now: impl FnOnce() -> Instant) {
        self.waits_since.get_or_insert_with(now);
    }

    /// Ends the wait, if there is one, and earns credit for `bytes`.
    fn earn(&mut self, bytes: usize, limits: &TimeLimits, now: impl FnOnce() -> Instant) {
        if let Some(since) = self.waits_since.take() {
            let earned = Duration::from_secs_f64(bytes as f64 / f64::from(limits.bytes_per_second));
            let left = self.left.saturating_sub(now().saturating_duration_since(since));
            self.left = left.saturating_add(earned).min(limits.stall);
        }
    }

    fn spent(&self, now: Instant) -> bool {
        self.waits_since.is_some_and(|since| now.saturating_duration_since(since) > self.left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: TimeLimits = TimeLimits {
        handshake: Duration::from_secs(10),
        head: Duration::from_secs(15),
        idle: Duration::from_secs(75),
        stall: Duration::from_secs(30),
        bytes_per_second: 1_000,
    };

    /// What happens at a second.
    enum Does {
        Greeted,
        Received(usize),
        Starved,
        Sent(usize),
        Blocked,
        Asked(bool),
        BodyEnded,
        Answered,
    }
    use Does::*;

    /// Plays events, each with its second, and checks when the connection is overdue, and for what.
    #[track_caller]
    fn check(secure: bool, happens: &[(u64, Does)], expected: Option<(u64, Overdue)>) {
        let begin = Instant::now();
        let at = |second| begin + Duration::from_secs(second);
        let mut pace = Pace::new(LIMITS, secure, begin);
        let mut happens = happens.iter().peekable();
        let overdue = (0..1_000).find_map(|second| {
            let now = || at(second);
            while let Some((_, does)) = happens.next_if(|(when, _)| *when == second) {
                match *does {
                    Greeted => pace.greeted(now()),
                    Received(bytes) => pace.received(bytes, now),
                    Starved => pace.starved(now),
                    Sent(bytes) => pace.sent(bytes, now),
                    Blocked => pace.blocked(now),
                    Asked(body) => pace.asked(body),
                    BodyEnded => pace.body_ended(),
                    Answered => pace.answered(now()),
                }
            }
            Some((second, pace.overdue(now())?))
        });
        assert_eq!(overdue, expected);
    }

    #[test]
    fn who_says_nothing_is_overdue() {
        check(false, &[], Some((16, Overdue::Head)));
        check(true, &[], Some((11, Overdue::Handshake)));
        check(true, &[(5, Greeted)], Some((21, Overdue::Head)));
        check(false, &[(1, Asked(false)), (2, Answered)], Some((78, Overdue::Idle)));
    }

    #[test]
    fn a_head_that_trickles_is_overdue_from_its_first_byte() {
        check(false, &[(5, Received(1)), (14, Received(1))], Some((16, Overdue::Head)));
        let second = [(1, Asked(false)), (2, Answered), (50, Received(1)), (60, Received(1))];
        check(false, &second, Some((66, Overdue::Head)));
    }

    #[test]
    fn a_body_must_come_at_a_rate() {
        check(false, &[(1, Asked(true)), (1, Starved)], Some((32, Overdue::Body)));
        // 10,000 bytes make up for ten seconds of waiting, a single byte does not.
        check(false, &[(1, Asked(true)), (1, Starved), (11, Received(10_000)), (11, Starved)], Some((42, Overdue::Body)));
        let trickle = [(1, Asked(true)), (1, Starved), (11, Received(1)), (11, Starved), (21, Received(1)), (21, Starved)];
        check(false, &trickle, Some((32, Overdue::Body)));
        // A client that waits for the host is not overdue.
        check(false, &[(1, Asked(true)), (1, Starved), (2, Received(5)), (2, BodyEnded), (3, Starved)], None);
    }

    #[test]
    fn an_answer_must_be_taken() {
        check(false, &[(1, Asked(false)), (2, Blocked)], Some((33, Overdue::Answer)));
        check(false, &[(1, Asked(false)), (2, Blocked), (30, Sent(1)), (31, Blocked)], Some((34, Overdue::Answer)));
        check(false, &[(1, Asked(false)), (2, Blocked), (30, Sent(90_000))], None);
        // Also its end, which is written when hyper has finished with it.
        check(false, &[(1, Asked(false)), (2, Blocked), (3, Answered)], Some((33, Overdue::Answer)));
    }

    #[test]
    fn who_is_being_served_is_not_unused() {
        let begin = Instant::now();
        let mut pace = Pace::new(LIMITS, false, begin);
        assert_eq!(pace.unused_since(), Some(begin));
        pace.asked(false);
        assert_eq!((pace.unused_since(), pace.unadmitted_since()), (Some(begin), Some(begin)));
        pace.admitted();
        assert_eq!((pace.unused_since(), pace.unadmitted_since()), (None, None));
        pace.answered(begin);
        assert_eq!(pace.unused_since(), Some(begin));
    }
}
