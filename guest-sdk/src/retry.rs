//! When and how often a failed call is tried again.

use std::time::Duration;

/// When and how often a failed activity or sub-orchestration is tried again. The host keeps the schedule, so a retry
/// that is due in a week costs nothing until then.
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
    /// Attempts in all, the first one included.
    pub max_attempts: u32,
    /// The time between the first failure and the second attempt.
    pub first_interval: Duration,
    /// What each further interval is multiplied by.
    pub backoff_coefficient: f64,
    /// No interval is longer than this.
    pub max_interval: Option<Duration>,
    /// No new attempt starts this long after the first one started.
    pub timeout: Option<Duration>,
    /// Failures of these types are final at once.
    pub non_retriable_error_types: Vec<String>,
}

impl RetryPolicy {
    /// So many attempts in all, at equal intervals.
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

    /// What each further interval is multiplied by.
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

    /// No interval is longer than this.
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

    /// No new attempt starts this long after the first one started.
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

    /// Failures of this type are final at once. May be given several times.
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
