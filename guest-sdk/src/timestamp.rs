//! Points in time, in milliseconds.

use std::fmt;
use std::ops::{Add, Sub};
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A point in time in UTC, with a precision of a millisecond. As a text and as JSON it is an RFC 3339 date and time.
///
/// ```
/// use std::time::Duration;
/// use dacapo_sdk::Timestamp;
///
/// let start: Timestamp = "2026-11-21T03:54:39Z".parse().unwrap();
/// let end = start + Duration::from_secs(72 * 3600);
/// assert_eq!(end.to_string(), "2026-11-24T03:54:39.000Z");
/// assert_eq!(end - start, Duration::from_secs(259_200));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp {
    millis: i64,
}

impl Timestamp {
    /// Makes a timestamp from the milliseconds since 1970-01-01T00:00:00Z.
    ///
    /// ```
    /// # use dacapo_sdk::Timestamp;
    /// assert_eq!(Timestamp::from_millis(0).to_string(), "1970-01-01T00:00:00.000Z");
    /// ```
    pub const fn from_millis(millis: i64) -> Self {
        Self { millis }
    }

    /// Returns the milliseconds since 1970-01-01T00:00:00Z.
    ///
    /// ```
    /// # use dacapo_sdk::Timestamp;
    /// assert_eq!(Timestamp::from_millis(1500).as_millis(), 1500);
    /// ```
    pub const fn as_millis(self) -> i64 {
        self.millis
    }

    /// Returns the time since `earlier`, or zero if that is not earlier. `-` does the same.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use dacapo_sdk::Timestamp;
    /// let (early, late) = (Timestamp::from_millis(1000), Timestamp::from_millis(3000));
    /// assert_eq!(late.since(early), Duration::from_secs(2));
    /// assert_eq!(early.since(late), Duration::ZERO);
    /// ```
    pub fn since(self, earlier: Timestamp) -> Duration {
        Duration::from_millis(u64::try_from(self.millis.saturating_sub(earlier.millis)).unwrap_or(0))
    }
}

impl Add<Duration> for Timestamp {
    type Output = Timestamp;

    /// Rounds up to the next millisecond, so that a timer never fires early.
    fn add(self, duration: Duration) -> Timestamp {
        let millis = i64::try_from(duration.as_nanos().div_ceil(1_000_000)).unwrap_or(i64::MAX);
        Timestamp { millis: self.millis.saturating_add(millis) }
    }
}

impl Sub<Duration> for Timestamp {
    type Output = Timestamp;

    fn sub(self, duration: Duration) -> Timestamp {
        let millis = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        Timestamp { millis: self.millis.saturating_sub(millis) }
    }
}

impl Sub for Timestamp {
    type Output = Duration;

    fn sub(self, earlier: Timestamp) -> Duration {
        self.since(earlier)
    }
}

const MILLIS_PER_DAY: i64 = 86_400_000;

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = date(self.millis.div_euclid(MILLIS_PER_DAY));
        let millis = self.millis.rem_euclid(MILLIS_PER_DAY);
        let (hour, minute) = (millis / 3_600_000, millis / 60_000 % 60);
        let (second, milli) = (millis / 1000 % 60, millis % 1000);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z")
    }
}

/// The error of parsing a text that is not an RFC 3339 date and time.
///
/// ```
/// # use dacapo_sdk::Timestamp;
/// assert_eq!("today".parse::<Timestamp>().unwrap_err().to_string(), "not an RFC 3339 date and time: `today`");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseTimestampError {
    text: String,
}

impl fmt::Display for ParseTimestampError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not an RFC 3339 date and time: `{}`", self.text)
    }
}

impl std::error::Error for ParseTimestampError {}

impl FromStr for Timestamp {
    type Err = ParseTimestampError;

    /// Parses an RFC 3339 date and time. Fractions of a millisecond are cut off.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse(text).ok_or_else(|| ParseTimestampError { text: text.to_owned() })
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

fn parse(text: &str) -> Option<Timestamp> {
    let (date, time) = text.split_once(['T', 't', ' '])?;
    let mut date = date.splitn(3, '-').map(number);
    let (year, month, day) = (date.next()??, date.next()??, date.next()??);
    let (time, offset) = split_offset(time)?;
    let (time, fraction) = time.split_once('.').unwrap_or((time, ""));
    let mut time = time.splitn(3, ':').map(number);
    let (hour, minute, second) = (time.next()??, time.next()??, time.next()??);
    let in_range = (0..=9999).contains(&year)
        && (1..=12).contains(&month)
        && (1..=days_in_month(year, month)).contains(&day)
        && (0..24).contains(&hour)
        && (0..60).contains(&minute)
        && (0..=60).contains(&second);
    if !in_range {
        return None;
    }
    let seconds = (hour * 60 + minute - offset) * 60 + second;
    Some(Timestamp { millis: days(year, month, day) * MILLIS_PER_DAY + seconds * 1000 + milliseconds(fraction)? })
}

/// Splits off the offset from UTC, in minutes.
fn split_offset(time: &str) -> Option<(&str, i64)> {
    if let Some(time) = time.strip_suffix(['Z', 'z']) {
        return Some((time, 0));
    }
    let at = time.rfind(['+', '-'])?;
    let (time, offset) = time.split_at(at);
    let (hours, minutes) = offset[1..].split_once(':')?;
    let minutes = number(hours)? * 60 + number(minutes)?;
    Some((time, if offset.starts_with('-') { -minutes } else { minutes }))
}

fn milliseconds(fraction: &str) -> Option<i64> {
    if fraction.is_empty() {
        return Some(0);
    }
    number(fraction.get(..3).unwrap_or(fraction)).map(|digits| match fraction.len() {
        1 => digits * 100,
        2 => digits * 10,
        _ => digits,
    })
}

fn number(digits: &str) -> Option<i64> {
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| digits.parse().ok()).flatten()
}

// The next two are the well-known conversions of the proleptic Gregorian calendar, with years that begin in March.

fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

fn date(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day_of_year - (153 * shifted + 2) / 5 + 1)
}

fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_and_moments() {
        let check = |text: &str, millis: i64, canonical: &str| {
            let parsed: Timestamp = text.parse().unwrap();
            assert_eq!(parsed.as_millis(), millis, "{text}");
            assert_eq!(parsed.to_string(), canonical);
        };
        check("1970-01-01T00:00:00Z", 0, "1970-01-01T00:00:00.000Z");
        check("1969-12-31T23:59:59.999Z", -1, "1969-12-31T23:59:59.999Z");
        check("2000-02-29T12:00:00.5Z", 951_825_600_500, "2000-02-29T12:00:00.500Z");
        check("2026-11-21T05:54:39.123456+02:00", 1_795_233_279_123, "2026-11-21T03:54:39.123Z");
        check("2026-11-20t22:54:39-05:00", 1_795_233_279_000, "2026-11-21T03:54:39.000Z");
    }

    #[test]
    fn texts_that_are_not_moments() {
        for text in [
            "",
            "2026",
            "2026-13-01T00:00:00Z",
            "2026-02-29T00:00:00Z",
            "2026-01-01T24:00:00Z",
            "2026-01-01T00:00:00",
            "2026-01-01T00:00:0éZ",
            "2026-01-01T00:00:00.ééZ",
        ] {
            assert!(text.parse::<Timestamp>().is_err(), "{text}");
        }
    }

    #[test]
    fn every_day_survives_the_round_trip() {
        for day in -800_000..800_000 {
            let (year, month, day_of_month) = date(day);
            assert_eq!(days(year, month, day_of_month), day);
        }
    }

    #[test]
    fn adding_rounds_up() {
        assert_eq!((Timestamp::from_millis(1) + Duration::from_nanos(1)).as_millis(), 2);
    }
}
