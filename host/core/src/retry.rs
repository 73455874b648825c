//! Retry policies.

use std::time::Duration;

use crate::{Failure, Timestamp};

/// When and how often a failed activity or sub-orchestration is tried again.
#[derive(Debug, Clone, PartialEq)]
pub struct RetryPolicy {
    /// Attempts in all, the first one included.
    pub max_attempts: u32,
    /// Between the first failure and the second attempt.
    pub first_interval: Duration,
    /// What each further interval is multiplied by.
    pub backoff_coefficient: f64,
    pub max_interval: Option<Duration>,
    /// No new attempt starts this long after the first one started.
    pub timeout: Option<Duration>,
    pub non_retriable_error_types: Vec<String>,
}

impl RetryPolicy {
    /// When the next attempt starts, or none if `failure` is final. `attempt` is the one that failed, from 1.
    pub fn next_attempt(&self, attempt: u32, first_started: Timestamp, now: Timestamp, failure: &Failure) -> Option<Timestamp> {
        if !failure.retriable || self.non_retriable_error_types.contains(&failure.error_type) || attempt >= self.max_attempts {
            return None;
        }
        let next = now.plus(self.interval_after(attempt));
        match self.timeout {
            Some(timeout) if next >= first_started.plus(timeout) => None,
            _ => Some(next),
        }
    }

    /// `first * coefficient^(attempt - 1)`, capped, in whole microseconds so that it is the same on every machine.
    fn interval_after(&self, attempt: u32) -> Duration {
        // A plain loop: `powi` may differ in the last bit between targets. Beyond the cap nothing changes any more.
        let cap = self.max_interval.unwrap_or(Duration::from_secs(u32::MAX.into())).as_micros() as f64;
        let mut micros = self.first_interval.as_micros() as f64;
        for _ in 1..attempt {
            if micros >= cap || self.backoff_coefficient == 1.0 {
                break;
            }
            micros *= self.backoff_coefficient;
        }
        Duration::from_micros(micros.min(cap) as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy() -> RetryPolicy {
        RetryPolicy {
            max_attempts: 5,
            first_interval: Duration::from_secs(1),
            backoff_coefficient: 2.0,
            max_interval: Some(Duration::from_secs(3)),
            timeout: None,
            non_retriable_error_types: vec!["Fatal".into()],
        }
    }

    #[test]
    fn intervals_grow_by_the_coefficient_up_to_the_cap() {
        let now = Timestamp(1_000_000);
        let failure = Failure::retriable("Busy", "");
        let seconds: Vec<_> =
            (1..=5).map(|attempt| policy().next_attempt(attempt, now, now, &failure).map(|t| t.since(now).as_secs())).collect();
        assert_eq!(seconds, [Some(1), Some(2), Some(3), Some(3), None]);
    }

    /// The test doubles of the SDKs are checked against the same cases.
    #[test]
    fn attempts_begin_when_every_language_says_that_they_do() {
        let cases: serde_json::Value = serde_json::from_str(include_str!("../../../guest-sdk/tests/retries.json")).unwrap();
        for case in cases.as_array().unwrap() {
            let millis = |value: &serde_json::Value| value.as_u64().map(Duration::from_millis);
            let texts = |value: &serde_json::Value| -> Vec<String> {
                value.as_array().into_iter().flatten().map(|text| text.as_str().unwrap().to_owned()).collect()
            };
            let of = &case["policy"];
            let policy = RetryPolicy {
                max_attempts: of["maxAttempts"].as_u64().unwrap() as u32,
                first_interval: millis(&of["firstInterval"]).unwrap(),
                backoff_coefficient: of["backoffCoefficient"].as_f64().unwrap(),
                max_interval: millis(&of["maxInterval"]),
                timeout: millis(&of["timeout"]),
                non_retriable_error_types: texts(&of["nonRetriableErrorTypes"]),
            };
            let (takes, failures) = (millis(&case["takes"]).unwrap_or_default(), texts(&case["failures"]));
            let mut attempts = vec![Timestamp(0)];
            let succeeds = loop {
                let attempt = attempts.len();
                let Some(failure) = failures.get(attempt - 1) else { break true };
                let ended = attempts[attempt - 1].plus(takes);
                match policy.next_attempt(attempt as u32, Timestamp(0), ended, &Failure::retriable(failure.as_str(), "")) {
                    Some(next) => attempts.push(next),
                    None => break false,
                }
            };
            let attempts: Vec<_> = attempts.iter().map(|at| at.0 / 1_000).collect();
            assert_eq!(serde_json::json!(attempts), case["attempts"], "{}", case["what"]);
            assert_eq!(succeeds, case["succeeds"], "{}", case["what"]);
        }
    }

    #[test]
    fn final_failures_and_the_timeout_end_the_attempts() {
        let start = Timestamp(0);
        assert_eq!(policy().next_attempt(1, start, start, &Failure::permanent("Busy", "")), None);
        assert_eq!(policy().next_attempt(1, start, start, &Failure::retriable("Fatal", "")), None);
        let hurried = RetryPolicy { timeout: Some(Duration::from_secs(10)), ..policy() };
        let busy = Failure::retriable("Busy", "");
        assert!(hurried.next_attempt(1, start, Timestamp(8_000_000), &busy).is_some());
        assert_eq!(hurried.next_attempt(1, start, Timestamp(9_000_000), &busy), None);
    }
}
