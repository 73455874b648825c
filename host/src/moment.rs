//! Moments as clients and users write them.
//!
//! Durable Functions parses them with .NET (`DateTime.Parse`, invariant culture), and its documents and clients rely on that.
//! Unambiguous forms are accepted here: a date, with or without a time, with or without a zone.

use std::borrow::Cow;

use chrono::{DateTime, Datelike as _, Duration, NaiveDate, NaiveDateTime, NaiveTime, TimeZone, Utc};
use dacapo_core::Timestamp;

/// The forms of a date, commas left out. Names of months may be cut to three letters.
const DATES: [&str; 9] =
    ["%Y-%m-%d", "%m/%d/%Y", "%Y/%m/%d", "%m-%d-%Y", "%d %B %Y", "%B %d %Y", "%Y %B %d", "%d-%B-%Y", "%Y-%B-%d"];
const TIMES: [&str; 2] = ["%H:%M:%S%.f", "%H:%M"];
const TIMES_OF_HALF_DAYS: [&str; 2] = ["%I:%M:%S%.f %p", "%I:%M %p"];

/// `yyyy-MM-ddTHH:mm:ssZ`
pub(crate) const SECONDS: &str = "%Y-%m-%dT%H:%M:%SZ";

/// `yyyy-MM-ddTHH:mm:ss.ffffffZ`
pub(crate) const MICROS: &str = "%Y-%m-%dT%H:%M:%S%.6fZ";

/// A moment as a text, in UTC. One that is too far away for a date is the earliest or latest date.
pub(crate) fn in_utc(at: Timestamp, format: &str) -> String {
    let earliest_or_latest = if at.0 < 0 { DateTime::<Utc>::MIN_UTC } else { DateTime::<Utc>::MAX_UTC };
    DateTime::from_timestamp_micros(at.0).unwrap_or(earliest_or_latest).format(format).to_string()
}

/// Reads a moment: `2026-01-31T12:00:00Z`, `Sat, 31 Jan 2026 12:00:00 GMT`, `1/31/2026 12:00 PM`, `2026-01-31`. One without a
/// zone is in the default one.
pub(crate) fn parse_moment(text: &str, default_zone: &impl TimeZone) -> Option<DateTime<Utc>> {
    let text = apart(text);
    let mut parts = Parts::default();
    for word in text.split_whitespace() {
        parts.take(word)?;
    }
    parts.moment(default_zone)
}

/// The text with a space between date and time, and without the commas.
fn apart(text: &str) -> String {
    let text = text.replace(',', " ");
    let separator = text.char_indices().find(|&(at, c)| {
        let digit = |c: Option<char>| c.is_some_and(|c| c.is_ascii_digit());
        matches!(c, 'T' | 't') && digit(text[..at].chars().next_back()) && digit(text[at + 1..].chars().next())
    });
    match separator {
        Some((at, _)) => format!("{} {}", &text[..at], &text[at + 1..]),
        None => text,
    }
}

#[derive(Default)]
struct Parts {
    date: String,
    time: Option<String>,
    half_day: Option<&'static str>,
    /// Minutes east of Greenwich.
    offset: Option<i64>,
}

impl Parts {
    /// Takes a word. None: it has no meaning.
    fn take(&mut self, word: &str) -> Option<()> {
        let folded = word.to_ascii_lowercase();
        match folded.as_str() {
            "am" | "a.m." | "pm" | "p.m." => self.set_half_day(if folded.starts_with('a') { "AM" } else { "PM" }),
            "z" | "gmt" | "utc" => self.set_offset(0),
            // An offset's plus that was not encoded in a query has become a space.
            _ if self.time.is_some() => self.set_offset(offset(&folded)?),
            _ if folded.contains(':') => self.take_time(&folded),
            // Taken for a part of the date. An hour alone (`12 AM`) is split off it later, in `moment`.
            _ => {
                let weekday = folded.parse::<chrono::Weekday>().is_ok();
                if !weekday {
                    self.date += if self.date.is_empty() { "" } else { " " };
                    self.date += &folded;
                }
                Some(())
            }
        }
    }

    /// Takes a time with its suffix, such as `10:01AM` or `10:01Z`.
    fn take_time(&mut self, word: &str) -> Option<()> {
        let end = word.find(|c: char| !(c.is_ascii_digit() || c == ':' || c == '.')).unwrap_or(word.len());
        let (time, rest) = word.split_at(end);
        self.time = Some(time.to_owned());
        if rest.is_empty() { Some(()) } else { self.take(rest) }
    }

    fn set_half_day(&mut self, half: &'static str) -> Option<()> {
        self.half_day.replace(half).is_none().then_some(())
    }

    fn set_offset(&mut self, minutes: i64) -> Option<()> {
        self.offset.replace(minutes).is_none().then_some(())
    }

    fn moment(mut self, default_zone: &impl TimeZone) -> Option<DateTime<Utc>> {
        if let (None, Some(_), Some((date, hour))) = (&self.time, self.half_day, self.date.rsplit_once(' ')) {
            (self.time, self.date) = (Some(format!("{hour}:00")), date.to_owned());
        }
        let time = match (self.time, self.half_day) {
            (None, _) => NaiveTime::MIN,
            (Some(time), None) => read(&TIMES, |format| NaiveTime::parse_from_str(&time, format).ok())?,
            (Some(time), Some(half)) => {
                let time = format!("{time} {half}");
                read(&TIMES_OF_HALF_DAYS, |format| NaiveTime::parse_from_str(&time, format).ok())?
            }
        };
        let date = read(&DATES, |format| NaiveDate::parse_from_str(&self.date, format).ok())?;
        let moment: NaiveDateTime = in_full(date, &self.date)?.and_time(time);
        match self.offset {
            Some(minutes) => Some(moment.checked_sub_signed(Duration::minutes(minutes))?.and_utc()),
            // Of the two moments that have this name when clocks are set back, the first.
            None => default_zone.from_local_datetime(&moment).earliest().map(|moment| moment.to_utc()),
        }
    }
}

fn read<T>(formats: &[&str], read: impl Fn(&str) -> Option<T>) -> Option<T> {
    formats.iter().find_map(|format| read(format))
}

/// A two-digit year in a date with slashes means 1950 to 2049, as in .NET. In a date with dashes it is taken literally: Python
/// writes the year 1 without zeros.
fn in_full(date: NaiveDate, text: &str) -> Option<NaiveDate> {
    match date.year() {
        year @ 0..50 if text.contains('/') => date.with_year(year + 2000),
        year @ 50..100 if text.contains('/') => date.with_year(year + 1900),
        1..=9999 => Some(date),
        _ => None,
    }
}

/// Parses `+01:00`, `-0130`, `+1`, or `01:00` after a lost plus, into minutes.
fn offset(text: &str) -> Option<i64> {
    let (sign, digits) = match text.split_at_checked(1)? {
        ("+", digits) => (1, digits),
        ("-", digits) => (-1, digits),
        _ => (1, text),
    };
    let digits: Cow<'_, str> = match digits.split_once(':') {
        Some((hours, minutes)) if hours.len() <= 2 && minutes.len() == 2 => format!("{hours:0>2}{minutes}").into(),
        None if digits.len() <= 2 => format!("{digits:0>2}00").into(),
        _ => digits.into(),
    };
    if digits.len() != 4 || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let (hours, minutes): (i64, i64) = (digits[..2].parse().ok()?, digits[2..].parse().ok()?);
    (hours <= 14 && minutes < 60).then_some(sign * (hours * 60 + minutes))
}

#[cfg(test)]
mod tests {
    use chrono::{FixedOffset, SecondsFormat};

    use super::*;

    fn read(text: &str, precision: SecondsFormat) -> Option<String> {
        parse_moment(text, &Utc).map(|moment| moment.to_rfc3339_opts(precision, true))
    }

    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(read(text, SecondsFormat::Secs).as_deref(), Some(expected), "{text}");
    }

    #[test]
    fn moments_of_rfc_3339_are_read_to_the_microsecond() {
        for same in [
            "2018-02-28T05:18:51.393987Z",
            "2018-02-28t05:18:51.3939871z",
            "2018-02-28T06:18:51.393987+01:00",
            "2018-02-28T06:18:51.393987 01:00",
            "2018-02-28T03:48:51.393987-01:30",
            "2018-02-28 05:18:51.393987",
            "2018-02-28T05:18:51.393987",
        ] {
            assert_eq!(read(same, SecondsFormat::Micros).as_deref(), Some("2018-02-28T05:18:51.393987Z"), "{same}");
        }
    }

    #[test]
    fn what_dotnet_reads_is_read() {
        let (to_the_second, to_the_minute, a_day) = ("2018-03-10T10:01:07Z", "2018-03-10T10:01:00Z", "2018-03-10T00:00:00Z");
        for text in [
            "2018-03-10 10:01:07",
            "2018-03-10 10:01:07Z",
            "3/10/2018 10:01:07 AM",
            "03/10/2018 10:01:07",
            "3/10/18 10:01:07 am",
            "2018/03/10 10:01:07",
            "Sat, 10 Mar 2018 10:01:07 GMT",
            "10 Mar 2018 11:01:07 +0100",
            "Saturday, 10 March 2018 10:01:07",
            "Saturday, March 10, 2018 10:01:07 AM",
            "Mar 10 2018 10:01:07AM",
            "10-Mar-2018 10:01:07 UTC",
        ] {
            check(text, to_the_second);
        }
        for text in ["2018-03-10T10:01Z", "2018-03-10 10:01", "3/10/2018 10:01 AM", "2018-3-10T10:1", "10 Mar 2018 10:01 GMT"] {
            check(text, to_the_minute);
        }
        for text in ["2018-03-10", "3/10/2018", "03-10-2018", "March 10, 2018", "10 Mar 2018", "3/10/2018 12 AM"] {
            check(text, a_day);
        }
        check("3/10/2018 12:30:00 PM", "2018-03-10T12:30:00Z");
        check("12/31/1999 11:59:59 PM", "1999-12-31T23:59:59Z");
    }

    /// `purge_instance_history_by(datetime.min, ...)`, the sample of the documents, sends a year without its zeros.
    #[test]
    fn the_earliest_moment_of_python_is_read() {
        for text in ["1-01-01T00:00:00.000000Z", "0001-01-01T00:00:00Z", "0001-01-01"] {
            check(text, "0001-01-01T00:00:00Z");
        }
        check("9999-12-31T23:59:59.9999999Z", "9999-12-31T23:59:59Z");
    }

    #[test]
    fn the_default_zone_is_for_moments_without_one() {
        let east = FixedOffset::east_opt(2 * 3_600).unwrap();
        for (text, expected) in [
            ("2018-03-10", "2018-03-09T22:00:00Z"),
            ("2018-03-10T10:01", "2018-03-10T08:01:00Z"),
            ("2018-03-10T10:01Z", "2018-03-10T10:01:00Z"),
            ("2018-03-10T10:01-01:00", "2018-03-10T11:01:00Z"),
        ] {
            let moment = parse_moment(text, &east).unwrap();
            assert_eq!(moment.to_rfc3339_opts(SecondsFormat::Secs, true), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_moment_is_refused() {
        for text in [
            "",
            "yesterday",
            "10:01",
            "2018",
            "2018-02-30",
            "13/13/2018",
            "2018-03-10T25:00:00Z",
            "2018-03-10T10:01:07+25:00",
            "2018-03-10T10:01:07 10:01 10:01",
            "3/10/2018 10:01 AM PM",
            "3/10/2018 13:01 PM",
            "2018-03-10T10:01:07ZZ",
            "12026-01-01",
            "-1-01-01",
            "2018-03-10T10:01:07é",
            "Té:1",
        ] {
            assert_eq!(parse_moment(text, &Utc), None, "{text}");
        }
    }
}
