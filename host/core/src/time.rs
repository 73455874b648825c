//! Moments and durations. The core compares and adds them; it never reads a clock.

use std::time::Duration;

/// A moment: microseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// Milliseconds since the epoch, with the microseconds as a fraction: how guests see time.
    pub fn as_millis(self) -> f64 {
        self.0 as f64 / 1_000.0
    }

    /// Converts a time from a guest. One that is out of range becomes the nearest representable moment, NaN becomes the epoch.
    pub fn from_millis(millis: f64) -> Self {
        Self((millis * 1_000.0).round() as i64)
    }

    /// Nanoseconds since the epoch, for clocks that count them.
    pub fn as_nanos(self) -> u64 {
        (self.0.max(0) as u64).saturating_mul(1_000)
    }

    pub fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)))
    }

    /// The time of a turn that begins now, after one at `last`. It does not go back if the machine's clock is set back by a
    /// minute at most. After a larger correction the new time holds: the old one was wrong, and an instance that kept to it
    /// would wait until the clock catches up with it.
    pub fn after_turn(self, last: Timestamp) -> Self {
        const CORRECTION_MAX: Duration = Duration::from_secs(60);
        if last.since(self) <= CORRECTION_MAX { self.max(last) } else { self }
    }

    /// How long after `earlier` this is; zero if it is not.
    pub fn since(self, earlier: Timestamp) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0).max(0) as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A clock was two hours ahead for a moment, and instances that had a turn meanwhile waited two hours for timers of a minute.
    #[test]
    fn a_small_correction_is_not_noticed_and_a_large_one_is_followed() {
        let minute = 60_000_000;
        let at = Timestamp(200 * minute);
        assert_eq!(at.after_turn(Timestamp(100 * minute)), at);
        assert_eq!(at.after_turn(Timestamp(201 * minute)), Timestamp(201 * minute));
        assert_eq!(at.after_turn(Timestamp(320 * minute)), at);
    }
}
