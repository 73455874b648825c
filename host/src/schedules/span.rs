//! Durations as they are written: seconds, `1h30m`, or a time span of .NET such as `00:30:00` or `1.06:00:00`.

use schemars::JsonSchema;
use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

/// The longest, about 100 years.
const SECONDS_MAX: u64 = 36_600 * 86_400;

/// A duration in whole seconds.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(untagged)]
#[schemars(inline)]
pub enum Span {
    Seconds(u64),
    Text(String),
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SpanVisitor)
    }
}

struct SpanVisitor;

impl Visitor<'_> for SpanVisitor {
    type Value = Span;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a duration: whole seconds, or a text such as 90s, 1h30m or 00:30:00")
    }

    fn visit_u64<E: Error>(self, seconds: u64) -> Result<Span, E> {
        Ok(Span::Seconds(seconds))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Span, E> {
        Ok(Span::Text(text.to_owned()))
    }
}

impl std::fmt::Display for Span {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Span::Seconds(seconds) => write!(f, "{seconds}s"),
            Span::Text(text) => f.write_str(text),
        }
    }
}

impl Span {
    /// In seconds. The error is worded to follow the name of the member.
    pub fn seconds(&self) -> Result<u64, String> {
        let seconds = match self {
            Span::Seconds(seconds) => *seconds,
            Span::Text(text) => read(text)?,
        };
        match seconds <= SECONDS_MAX {
            true => Ok(seconds),
            false => Err("is longer than 100 years".into()),
        }
    }
}

/// Whether a text has the form of a time span.
pub fn is_time_span(text: &str) -> bool {
    text.contains(':')
}

fn read(text: &str) -> Result<u64, String> {
    let text = text.trim();
    if !text.is_empty() && text.bytes().all(|c| c.is_ascii_digit()) {
        return text.parse().map_err(|_| "is longer than 100 years".into());
    }
    if is_time_span(text) {
        return time_span(text).ok_or_else(|| format!("is '{text:.60}', which is no time span such as 00:30:00 or 1.06:00:00"));
    }
    let invalid = || format!("is '{text:.60}', and must be a number of seconds, or such as 90s, 1h30m, 7d or 00:30:00");
    let duration = humantime::parse_duration(text).map_err(|_| invalid())?;
    match duration.subsec_nanos() {
        0 => Ok(duration.as_secs()),
        _ => Err(format!("is '{text:.60}', and must be of whole seconds")),
    }
}

/// `hh:mm`, `hh:mm:ss` or `d.hh:mm:ss`.
fn time_span(text: &str) -> Option<u64> {
    let (days, time) = match text.split_once('.') {
        Some((days, time)) => (digits(days, 5)?, time),
        None => (0, text),
    };
    let parts: Vec<u64> = time.split(':').map(|part| digits(part, 2)).collect::<Option<_>>()?;
    let (hours, minutes, seconds) = match parts[..] {
        [hours, minutes] => (hours, minutes, 0),
        [hours, minutes, seconds] => (hours, minutes, seconds),
        _ => return None,
    };
    (hours < 24 && minutes < 60 && seconds < 60).then_some(((days * 24 + hours) * 60 + minutes) * 60 + seconds)
}

fn digits(text: &str, most: usize) -> Option<u64> {
    let is_number = (1..=most).contains(&text.len()) && text.bytes().all(|c| c.is_ascii_digit());
    is_number.then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_written_in_one_of_three_ways() {
        for (text, seconds) in [
            ("90", Some(90)),
            ("90s", Some(90)),
            ("1h30m", Some(5_400)),
            ("7d", Some(604_800)),
            ("00:30:00", Some(1_800)),
            ("1.06:00:00", Some(108_000)),
            ("00:05", Some(300)),
            ("00:00:00", Some(0)),
            ("24:00:00", None),
            ("00:60", None),
            ("1:2:3:4", None),
            ("-1", None),
            ("1500ms", None),
            ("", None),
            ("soon", None),
            ("99999999999999999999999", None),
            ("9999999999999y", None),
            ("101years", None),
            ("+1:00", None),
            ("1.:00", None),
        ] {
            assert_eq!(Span::Text(text.into()).seconds().ok(), seconds, "{text}");
        }
        assert_eq!(Span::Seconds(5).seconds(), Ok(5));
        assert!(Span::Seconds(u64::MAX).seconds().is_err());
    }
}
