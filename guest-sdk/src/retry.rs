//! Retry policies.

use std::time::Duration;

/// When and how often a failed activity or sub-orchestration is retried. The host keeps the schedule, so a retry that is
/// due in a week costs nothing until then.
///
/// ```
/// use std::time::Duration;
/// use dacapo_sdk::RetryPolicy;
///
/// // After 1 s, 2 s, 4 s, 8 s, 10 s, 10 s, ...; eight attempts in all; given up after a minute at the latest.
/// let policy = RetryPolicy::new(8, Duration::from_secs(1))
///     .backoff(2.0)
///     .max_interval(Duration::from_secs(10))
///     .timeout(Duration::from_secs(60))
///     .non_retriable("CardDeclined");
/// assert_eq!(policy.max_attempts, 8);
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct RetryPolicy {
    /// The maximum number of attempts, including the first one.
    pub max_attempts: u32,
    /// The time between the first failure and the second attempt.
    pub first_interval: Duration,
    /// The factor by which each further interval grows.
    pub backoff_coefficient: f64,
    /// The maximum length of an interval.
    pub max_interval: Option<Duration>,
    /// No new attempt starts this long after the first one started.
    pub timeout: Option<Duration>,
    /// Failures of these types are not retried.
    pub non_retriable_error_types: Vec<String>,
}

impl RetryPolicy {
    /// Makes a policy of at most `max_attempts` attempts, at equal intervals.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use dacapo_sdk::RetryPolicy;
    /// let policy = RetryPolicy::new(3, Duration::from_millis(500));
    /// assert_eq!(policy.backoff_coefficient, 1.0);
    /// ```
    pub fn new(max_attempts: u32, first_interval: Duration) -> Self {
        Self {
            max_attempts: max_attempts.max(1),
            first_interval,
            backoff_coefficient: 1.0,
            max_interval: None,
            timeout: None,
            non_retriable_error_types: Vec::new(),
        }
    }

    /// Sets the factor by which each further interval grows.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use dacapo_sdk::RetryPolicy;
    /// RetryPolicy::new(5, Duration::from_secs(1)).backoff(2.0);
    /// ```
    #[must_use]
    pub fn backoff(mut self, coefficient: f64) -> Self {
        self.backoff_coefficient = coefficient;
        self
    }

    /// Sets the maximum length of an interval.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use dacapo_sdk::RetryPolicy;
    /// RetryPolicy::new(100, Duration::from_secs(1)).backoff(2.0).max_interval(Duration::from_secs(3600));
    /// ```
    #[must_use]
    pub fn max_interval(mut self, interval: Duration) -> Self {
        self.max_interval = Some(interval);
        self
    }

    /// Sets the time after the start of the first attempt from which on no new attempt starts.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use dacapo_sdk::RetryPolicy;
    /// RetryPolicy::new(100, Duration::from_secs(60)).timeout(Duration::from_secs(86_400));
    /// ```
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Adds a type of failure that is not retried. May be called several times.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use dacapo_sdk::RetryPolicy;
    /// RetryPolicy::new(5, Duration::from_secs(1)).non_retriable("CardDeclined").non_retriable("NoSuchUser");
    /// ```
    #[must_use]
    pub fn non_retriable(mut self, error_type: impl Into<String>) -> Self {
        self.non_retriable_error_types.push(error_type.into());
        self
    }
}
