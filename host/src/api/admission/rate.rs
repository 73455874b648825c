//! Limits on how many per second: requests of a task hub, and task hubs that a client without a key opens.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What a full bucket allows at once, in seconds of its rate.
const BURST: Duration = Duration::from_secs(1);

/// The number of buckets at which those that are full again are dropped.
const BUCKETS_MAX: usize = 1_024;

/// One bucket for each hub that has had requests recently, or for each client.
#[derive(Default)]
pub(in crate::api) struct Rates {
    // Nothing awaits while it is locked.
    buckets: Mutex<HashMap<String, Bucket>>,
}

/// A token bucket. It fills with time, so its whole state is when it is full.
struct Bucket {
    full_at: Instant,
}

impl Rates {
    /// Takes one request from the bucket of a hub or a client, or returns how long to wait for the next.
    pub fn take(&self, whose: &str, per_second: u64, now: Instant) -> Result<(), Duration> {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bucket) = buckets.get_mut(whose) {
            return bucket.take(per_second, now);
        }
        if buckets.len() >= BUCKETS_MAX {
            buckets.retain(|_, bucket| bucket.full_at > now);
        }
        buckets.entry(whose.to_owned()).or_insert(Bucket { full_at: now }).take(per_second, now)
    }
}

impl Bucket {
    fn take(&mut self, per_second: u64, now: Instant) -> Result<(), Duration> {
        let request = Duration::from_secs(1) / u32::try_from(per_second.max(1)).unwrap_or(u32::MAX);
        let full_at = self.full_at.max(now) + request;
        match full_at.saturating_duration_since(now + BURST) {
            Duration::ZERO => {
                self.full_at = full_at;
                Ok(())
            }
            wait => Err(wait),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_may_come_at_once_and_then_at_the_rate() {
        let (rates, begin) = (Rates::default(), Instant::now());
        let at = |millis| begin + Duration::from_millis(millis);
        for _ in 0..10 {
            rates.take("a", 10, at(0)).unwrap();
        }
        assert_eq!(rates.take("a", 10, at(0)), Err(Duration::from_millis(100)));
        rates.take("b", 10, at(0)).expect("another hub has a bucket of its own");
        rates.take("a", 10, at(100)).unwrap();
        assert_eq!(rates.take("a", 10, at(150)), Err(Duration::from_millis(50)));
        assert_eq!((0..100).filter(|_| rates.take("a", 10, at(60_000)).is_ok()).count(), 10, "no more than a full bucket");
    }

    #[test]
    fn a_rate_may_change() {
        let (rates, now) = (Rates::default(), Instant::now());
        rates.take("a", 1, now).unwrap();
        rates.take("a", 1, now).unwrap_err();
        rates.take("a", u64::MAX, now + Duration::from_millis(1)).unwrap();
    }

    #[test]
    fn full_buckets_are_forgotten() {
        let (rates, now) = (Rates::default(), Instant::now());
        for hub in 0..2 * BUCKETS_MAX {
            rates.take(&hub.to_string(), 1, now + Duration::from_secs(2 * hub as u64)).unwrap();
        }
        assert!(rates.buckets.lock().unwrap().len() <= BUCKETS_MAX);
    }
}
