//! Moments and durations, as people write and read them. A time that names no offset is local, except for `durable`, whose
//! documents say UTC.

use std::time::Duration;

use chrono::{DateTime, Local, SecondsFormat, TimeDelta, TimeZone, Utc};
use dacapo_core::Timestamp;

use crate::bad_value::BadValue;
use crate::moment::parse_moment;

/// Reads a moment in the past, such as `2h` (ago), and writes it in UTC.
pub(super) fn past(text: &str) -> Result<String, BadValue> {
    read(text, Utc::now(), Direction::Past, &Local).map(utc)
}

/// As [`past`], but a time that names no offset is UTC.
pub(super) fn past_utc(text: &str) -> Result<String, BadValue> {
    read(text, Utc::now(), Direction::Past, &Utc).map(utc)
}

/// Reads a moment in the future, such as `2h` (from now), and writes it in UTC.
pub(super) fn future(text: &str) -> Result<String, BadValue> {
    read(text, Utc::now(), Direction::Future, &Local).map(utc)
}

/// The direction in which a relative time counts.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Direction {
    Past,
    Future,
}

fn read(text: &str, now: DateTime<Utc>, direction: Direction, default_zone: &impl TimeZone) -> Result<DateTime<Utc>, BadValue> {
    let expected = || match direction {
        Direction::Past => "it is not a time such as 2026-01-31, 2026-01-31T12:00, 2026-01-31T12:00:00Z, 90m or 7d (ago)",
        Direction::Future => "it is not a time such as 2026-01-31, 2026-01-31T12:00, 2026-01-31T12:00:00Z, 90m or 7d (from now)",
    };
    parse_moment(text, default_zone).or_else(|| relative(text, now, direction)).ok_or_else(|| expected().into())
}

fn relative(text: &str, now: DateTime<Utc>, direction: Direction) -> Option<DateTime<Utc>> {
    let text = text.trim();
    match direction {
        _ if text == "now" => Some(now),
        Direction::Past => now.checked_sub_signed(span(text.strip_suffix("ago").unwrap_or(text))?),
        Direction::Future => now.checked_add_signed(span(text.strip_prefix("in ").unwrap_or(text))?),
    }
}

/// Reads a span such as `7d`, `1h30m` or `90 min`.
fn span(text: &str) -> Option<TimeDelta> {
    TimeDelta::from_std(humantime::parse_duration(text.trim()).ok()?).ok()
}

fn utc(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Micros, true)
}

/// A moment of a history, in UTC to the microsecond.
pub(super) fn utc_micros(at: Timestamp) -> String {
    DateTime::from_timestamp_micros(at.0).map(utc).unwrap_or_default()
}

/// A moment in UTC, to the second; unchanged if it is not a moment.
pub(super) fn utc_seconds(text: &str) -> String {
    match DateTime::parse_from_rfc3339(text) {
        Ok(time) => time.to_utc().to_rfc3339_opts(SecondsFormat::Secs, true),
        Err(_) => text.to_owned(),
    }
}

/// A moment that the host wrote, in local time; unchanged if it is not a moment.
pub(super) fn local_time(text: &str) -> String {
    match DateTime::parse_from_rfc3339(text) {
        Ok(time) => time.with_timezone(&Local).format("%Y-%m-%d %H:%M:%S").to_string(),
        Err(_) => text.to_owned(),
    }
}

/// As [`local_time`], with milliseconds, to tell the events of a history apart.
pub(super) fn local_time_millis(text: &str) -> String {
    match DateTime::parse_from_rfc3339(text) {
        Ok(time) => time.with_timezone(&Local).format("%Y-%m-%d %H:%M:%S%.3f").to_string(),
        Err(_) => text.to_owned(),
    }
}

/// How long ago a moment was that the host wrote, such as `3 min ago`.
pub(super) fn ago(text: &str, now: DateTime<Utc>) -> String {
    let Ok(time) = DateTime::parse_from_rfc3339(text) else { return String::new() };
    let seconds = (now - time.to_utc()).num_seconds().max(0);
    match seconds {
        0 => "just now".into(),
        1..60 => format!("{seconds} s ago"),
        60..3_600 => format!("{} min ago", seconds / 60),
        3_600..86_400 => format!("{} h ago", seconds / 3_600),
        86_400..172_800 => "1 day ago".into(),
        _ => format!("{} days ago", seconds / 86_400),
    }
}

/// A sum of time, in seconds.
pub(super) fn seconds_of(micros: u64) -> String {
    format!("{:.3}s", Duration::from_micros(micros).as_secs_f64())
}

/// How long something has taken so far, in at most two units.
pub(super) fn elapsed(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m {}s", seconds / 60, seconds % 60),
        3_600..86_400 => format!("{}h {}m", seconds / 3_600, seconds % 3_600 / 60),
        _ => format!("{}d {}h", seconds / 86_400, seconds % 86_400 / 3_600),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        DateTime::parse_from_rfc3339(text).unwrap().to_utc()
    }

    #[test]
    fn times_are_sent_in_utc() {
        assert_eq!(past("2026-01-31T12:00:00+02:00").unwrap(), "2026-01-31T10:00:00.000000Z");
        let midnight = Local.with_ymd_and_hms(2026, 1, 31, 0, 0, 0).unwrap();
        for same in ["2026-01-31", "2026-01-31 00:00", "2026-01-31T00:00:00"] {
            assert_eq!(past(same).unwrap(), utc(midnight.to_utc()), "{same}");
        }
    }

    /// The forms in which the documents of Durable Functions print times.
    #[test]
    fn times_of_the_documents_are_in_utc() {
        for (text, expected) in [
            ("2018-03-10T23:59Z", "2018-03-10T23:59:00.000000Z"),
            ("2018-03-10T13:57:31Z", "2018-03-10T13:57:31.000000Z"),
            ("2018-11-14T19:35:00.0000000Z", "2018-11-14T19:35:00.000000Z"),
            ("2018-11-14T19:35:00.1234567+01:00", "2018-11-14T18:35:00.123456Z"),
            ("2018-03-10T10:01-0130", "2018-03-10T11:31:00.000000Z"),
            ("2018-03-10T10:01", "2018-03-10T10:01:00.000000Z"),
            ("2018-03-10 10:01:07", "2018-03-10T10:01:07.000000Z"),
            ("2018-03-10", "2018-03-10T00:00:00.000000Z"),
            ("11/10/2018", "2018-11-10T00:00:00.000000Z"),
            ("0001-01-01", "0001-01-01T00:00:00.000000Z"),
        ] {
            assert_eq!(past_utc(text).as_deref(), Ok(expected), "{text}");
        }
        assert_eq!(past("2018-03-10T23:59Z").as_deref(), Ok("2018-03-10T23:59:00.000000Z"));
    }

    #[test]
    fn relative_times_count_from_now() {
        let now = at("2026-01-31T12:00:00Z");
        for (text, direction, expected) in [
            ("2h", Direction::Past, "2026-01-31T10:00:00Z"),
            ("7d ago", Direction::Past, "2026-01-24T12:00:00Z"),
            ("1h30m", Direction::Past, "2026-01-31T10:30:00Z"),
            ("90 min ago", Direction::Past, "2026-01-31T10:30:00Z"),
            ("now", Direction::Past, "2026-01-31T12:00:00Z"),
            ("30s", Direction::Future, "2026-01-31T12:00:30Z"),
            ("in 2w", Direction::Future, "2026-02-14T12:00:00Z"),
        ] {
            assert_eq!(read(text, now, direction, &Utc), Ok(at(expected)), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in ["", " ", "yesterday", "2", "2x", "h", "-2h", "2026-13-01", "99999999999999999999d", "9999999999999d", "ago"]
        {
            assert!(past(text).is_err(), "{text}");
        }
        assert!(future("2h ago").is_err());
        assert!(past("in 2h").is_err());
    }

    #[test]
    fn ages_are_rough_and_durations_have_two_units() {
        let now = at("2026-01-03T00:00:00Z");
        for (time, expected) in [
            ("2026-01-03T00:00:05Z", "just now"),
            ("2026-01-02T23:59:18Z", "42 s ago"),
            ("2026-01-02T23:56:56Z", "3 min ago"),
            ("2026-01-02T20:55:00Z", "3 h ago"),
            ("2026-01-01T13:00:00+01:00", "1 day ago"),
            ("2025-12-24T00:00:00Z", "10 days ago"),
            ("never", ""),
        ] {
            assert_eq!(ago(time, now), expected, "{time}");
        }
        for (seconds, expected) in [(0, "0s"), (42, "42s"), (124, "2m 4s"), (11_100, "3h 5m"), (172_800, "2d 0h")] {
            assert_eq!(elapsed(Duration::from_secs(seconds)), expected);
        }
    }
}
