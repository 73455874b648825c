//! Moments and durations, as people write and read them. A time that names no offset is local.

use std::time::Duration;

use chrono::{DateTime, Local, NaiveDate, NaiveDateTime, SecondsFormat, TimeDelta, TimeZone as _, Utc};

use crate::bad_value::BadValue;

/// Reads a moment in the past, such as `2h` (ago), and writes it in UTC.
pub(super) fn past(text: &str) -> Result<String, BadValue> {
    read(text, Utc::now(), Direction::Past).map(utc)
}

/// Reads a moment in the future, such as `2h` (from now), and writes it in UTC.
pub(super) fn future(text: &str) -> Result<String, BadValue> {
    read(text, Utc::now(), Direction::Future).map(utc)
}

/// The direction in which a relative time counts.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Direction {
    Past,
    Future,
}

fn read(text: &str, now: DateTime<Utc>, direction: Direction) -> Result<DateTime<Utc>, BadValue> {
    let expected = || match direction {
        Direction::Past => "it is not a time such as 2026-01-31, 2026-01-31T12:00, 2026-01-31T12:00:00Z, 90m or 7d (ago)",
        Direction::Future => "it is not a time such as 2026-01-31, 2026-01-31T12:00, 2026-01-31T12:00:00Z, 90m or 7d (from now)",
    };
    absolute(text).or_else(|| relative(text, now, direction)).ok_or_else(|| expected().into())
}

fn absolute(text: &str) -> Option<DateTime<Utc>> {
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Some(time.to_utc());
    }
    let text = text.replacen(' ', "T", 1);
    let formats = ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%dT%H:%M"];
    let time = formats.iter().find_map(|format| NaiveDateTime::parse_from_str(&text, format).ok());
    let time = time.or_else(|| text.parse::<NaiveDate>().ok()?.and_hms_opt(0, 0, 0))?;
    Local.from_local_datetime(&time).earliest().map(|time| time.to_utc())
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
            assert_eq!(read(text, now, direction), Ok(at(expected)), "{text}");
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
