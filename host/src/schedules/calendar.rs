//! The times at which a schedule occurs.

use chrono::{DateTime, MappedLocalTime, Offset as _, TimeDelta, TimeZone as _, Utc};
use chrono_tz::Tz;
use croner::Cron;
use croner::parser::CronParser;

use dacapo_core::Timestamp;

/// The years in which patterns are searched. A schedule does not occur later.
const YEARS: &str = "1970-2200";

/// No zone sets its clocks twice within this time.
const BETWEEN_TRANSITIONS: TimeDelta = TimeDelta::hours(12);

/// Characters of a pattern.
const PATTERN_CHARS_MAX: usize = 256;

/// The names of patterns.
const NAMED: [(&str, &str); 7] = [
    ("@yearly", "0 0 0 1 1 *"),
    ("@annually", "0 0 0 1 1 *"),
    ("@monthly", "0 0 0 1 * *"),
    ("@weekly", "0 0 0 * * 0"),
    ("@daily", "0 0 0 * * *"),
    ("@midnight", "0 0 0 * * *"),
    ("@hourly", "0 0 * * * *"),
];

/// The fields of a pattern, and what they may be.
const FIELDS: [(&str, &str); 6] = [
    ("second", "0 to 59"),
    ("minute", "0 to 59"),
    ("hour", "0 to 23"),
    ("day of the month", "1 to 31, or L for the last"),
    ("month", "1 to 12, or JAN to DEC"),
    ("day of the week", "0 to 7, or SUN to SAT"),
];

/// When a schedule occurs.
#[derive(Debug, Clone)]
pub struct Calendar {
    pub rule: Rule,
    /// It does not occur before.
    pub start: Option<Timestamp>,
    /// It does not occur after.
    pub end: Option<Timestamp>,
}

#[derive(Debug, Clone)]
pub enum Rule {
    Cron(Pattern),
    /// Every so many seconds, counted from this second since 1970.
    Interval {
        every: i64,
        from: i64,
    },
}

/// A cron pattern in a time zone.
#[derive(Debug, Clone)]
pub struct Pattern {
    cron: Box<Cron>,
    zone: Tz,
    /// Whether a time that the clocks show twice occurs twice.
    repeats: bool,
}

impl Calendar {
    /// The first time after this one.
    pub fn after(&self, after: Timestamp) -> Option<Timestamp> {
        let after = self.start.map_or(after, |start| after.max(Timestamp(start.0.saturating_sub(1))));
        let next = match &self.rule {
            Rule::Cron(pattern) => pattern.after(after)?,
            Rule::Interval { every, from } => {
                let seconds = after.0.div_euclid(1_000_000);
                let steps = seconds.checked_sub(*from)?.div_euclid(*every) + 1;
                Timestamp(from.checked_add(steps.checked_mul(*every)?)?.checked_mul(1_000_000)?)
            }
        };
        self.end.is_none_or(|end| next <= end).then_some(next)
    }

    /// The next times after this one.
    pub fn following(&self, after: Timestamp) -> impl Iterator<Item = Timestamp> {
        std::iter::successors(self.after(after), |last| self.after(*last))
    }
}

impl Pattern {
    /// Reads a pattern of five or six fields, or a named one. The error is worded to follow the name of the member.
    pub fn parse(text: &str, zone: Tz) -> Result<Self, String> {
        let invalid = |why: &str| format!("is '{:.60}', {why}", text.trim());
        if text.chars().count() > PATTERN_CHARS_MAX {
            return Err(format!("has more than {PATTERN_CHARS_MAX} characters"));
        }
        let named = |name: &str| NAMED.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, fields)| *fields);
        let known = match text.trim() {
            name if name.starts_with('@') => named(name)
                .ok_or_else(|| invalid("which is no named pattern: these are @hourly, @daily, @weekly, @monthly and @yearly"))?,
            fields => fields,
        };
        let mut fields: Vec<&str> = known.split_whitespace().collect();
        let has_seconds = match fields.len() {
            5 => false,
            6 => true,
            other => return Err(invalid(&format!("which has {other} fields, and must have five, or six with seconds first"))),
        };
        if !has_seconds {
            fields.insert(0, "0");
        }
        let repeats = fields[2].contains(['*', '?']);
        let parser = CronParser::builder().dom_and_dow(has_seconds).sloppy_ranges(true).build();
        for (number, (field, (name, range))) in fields.iter().zip(FIELDS).enumerate() {
            let mut alone = ["*"; FIELDS.len()];
            alone[number] = field;
            if parser.parse(&alone.join(" ")).is_err() {
                return Err(invalid(&format!(
                    "whose {name} is '{field:.60}', and must be {range}; or *, a list such as 1,2, a range such as 1-2, or a step such as */2"
                )));
            }
        }
        fields.push(YEARS);
        let cron = parser.parse(&fields.join(" ")).map_err(|_| invalid("which is no cron pattern"))?;
        Ok(Self { cron: Box::new(cron), zone, repeats })
    }

    fn after(&self, after: Timestamp) -> Option<Timestamp> {
        let (mut from, mut inclusive) = (DateTime::from_timestamp(after.0.div_euclid(1_000_000), 0)?, false);
        loop {
            let offset = self.offset(from);
            let candidate = self.next_shown(from + offset, inclusive)? - offset;
            if let Some(set) = self.clocks_set(from, candidate) {
                // They show other times from then on.
                (from, inclusive) = (set, true);
            } else if self.repeats || !self.is_second_time(candidate) {
                return Some(Timestamp(candidate.timestamp_micros()));
            } else {
                (from, inclusive) = (candidate, false);
            }
        }
    }

    /// The first match of the pattern with what clocks show, which is taken for UTC.
    fn next_shown(&self, from: DateTime<Utc>, inclusive: bool) -> Option<DateTime<Utc>> {
        // The error is that nothing is found.
        self.cron.find_next_occurrence(&from, inclusive).ok()
    }

    fn offset(&self, at: DateTime<Utc>) -> TimeDelta {
        TimeDelta::seconds(self.zone.offset_from_utc_datetime(&at.naive_utc()).fix().local_minus_utc().into())
    }

    /// When the clocks of the zone are first set after `from`, if that is not after `until`.
    fn clocks_set(&self, from: DateTime<Utc>, until: DateTime<Utc>) -> Option<DateTime<Utc>> {
        if self.zone == Tz::UTC {
            return None;
        }
        let offset = self.offset(from);
        let (mut before, mut after) = (from, from);
        while self.offset(after) == offset {
            if after >= until {
                return None;
            }
            (before, after) = (after, until.min(after + BETWEEN_TRANSITIONS));
        }
        while (after - before).num_seconds() > 1 {
            let middle = before + TimeDelta::seconds((after - before).num_seconds() / 2);
            *(if self.offset(middle) == offset { &mut before } else { &mut after }) = middle;
        }
        Some(after)
    }

    /// Whether the clocks of the zone have shown the same time before.
    fn is_second_time(&self, at: DateTime<Utc>) -> bool {
        match self.zone.from_local_datetime(&(at + self.offset(at)).naive_utc()) {
            MappedLocalTime::Ambiguous(one, other) => one.to_utc().max(other.to_utc()) == at,
            MappedLocalTime::Single(_) | MappedLocalTime::None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp(DateTime::parse_from_rfc3339(text).unwrap().timestamp_micros())
    }

    fn shown(at: Timestamp) -> String {
        DateTime::from_timestamp_micros(at.0).unwrap().format("%Y-%m-%dT%H:%M:%SZ").to_string()
    }

    fn calendar(pattern: &str, zone: &str) -> Calendar {
        let rule = Rule::Cron(Pattern::parse(pattern, zone.parse().unwrap()).unwrap());
        Calendar { rule, start: None, end: None }
    }

    fn next(calendar: &Calendar, after: &str, count: usize) -> Vec<String> {
        calendar.following(at(after)).take(count).map(shown).collect()
    }

    #[test]
    fn patterns_occur_at_what_the_clocks_of_the_zone_show() {
        for (pattern, zone, after, expected) in [
            ("0 8 * * *", "UTC", "2026-12-01T07:59:59Z", &["2026-12-01T08:00:00Z", "2026-12-02T08:00:00Z"][..]),
            ("0 8 * * *", "UTC", "2026-12-01T08:00:00Z", &["2026-12-02T08:00:00Z"]),
            ("0 8 * * *", "Asia/Kolkata", "2026-12-01T00:00:00Z", &["2026-12-01T02:30:00Z"]),
            ("0 8 * * *", "Pacific/Kiritimati", "2026-12-01T00:00:00Z", &["2026-12-01T18:00:00Z"]),
            ("*/20 * * * * *", "UTC", "2026-12-01T00:00:30Z", &["2026-12-01T00:00:40Z", "2026-12-01T00:01:00Z"]),
            ("* * * * * *", "UTC", "2026-12-31T23:59:59Z", &["2027-01-01T00:00:00Z", "2027-01-01T00:00:01Z"]),
            ("0/25 * * * *", "UTC", "2026-12-01T00:00:00Z", &["2026-12-01T00:25:00Z", "2026-12-01T00:50:00Z"]),
            ("@hourly", "UTC", "2026-12-01T00:00:00Z", &["2026-12-01T01:00:00Z"]),
            ("@Monthly", "UTC", "2026-12-01T00:00:00Z", &["2027-01-01T00:00:00Z"]),
            // Leap days, and the end of months.
            ("0 0 29 2 *", "UTC", "2026-12-01T00:00:00Z", &["2028-02-29T00:00:00Z", "2032-02-29T00:00:00Z"]),
            ("0 0 29 2 *", "UTC", "2096-03-01T00:00:00Z", &["2104-02-29T00:00:00Z"]),
            ("0 0 0 29 2 MON", "UTC", "2026-12-01T00:00:00Z", &["2044-02-29T00:00:00Z"]),
            ("0 0 31 * *", "UTC", "2027-01-31T00:00:00Z", &["2027-03-31T00:00:00Z", "2027-05-31T00:00:00Z"]),
            ("0 0 L * *", "UTC", "2027-02-01T00:00:00Z", &["2027-02-28T00:00:00Z", "2027-03-31T00:00:00Z"]),
            // Both the day of the month and that of the week: one is enough in cron, and both are needed with seconds.
            (
                "0 0 13 * FRI",
                "UTC",
                "2026-12-01T00:00:00Z",
                &["2026-12-04T00:00:00Z", "2026-12-11T00:00:00Z", "2026-12-13T00:00:00Z"],
            ),
            ("0 0 0 13 * FRI", "UTC", "2026-12-01T00:00:00Z", &["2027-08-13T00:00:00Z"]),
            ("0 30 9 * Jan Mon-Fri", "UTC", "2026-12-01T00:00:00Z", &["2027-01-01T09:30:00Z", "2027-01-04T09:30:00Z"]),
            // Before 1970, and past the years of the zones' tables.
            ("0 0 1 1 *", "UTC", "1900-01-01T00:00:00Z", &["1970-01-01T00:00:00Z"]),
            ("0 12 1 7 *", "America/New_York", "2150-01-01T00:00:00Z", &["2150-07-01T17:00:00Z"]),
        ] {
            assert_eq!(next(&calendar(pattern, zone), after, expected.len()), expected, "{pattern} in {zone} after {after}");
        }
        assert_eq!(next(&calendar("@yearly", "UTC"), "2199-06-01T00:00:00Z", 3), ["2200-01-01T00:00:00Z"], "it ends");
    }

    #[test]
    fn clocks_that_are_set_skip_times_and_show_some_twice() {
        for (pattern, zone, after, expected) in [
            // Forward at 02:00 in New York on 2027-03-14, at 01:00 UTC in Berlin on 2027-03-28.
            ("30 2 * * *", "America/New_York", "2027-03-13T00:00:00Z", &["2027-03-13T07:30:00Z", "2027-03-15T06:30:00Z"][..]),
            ("30 2 * * *", "Europe/Berlin", "2027-03-27T00:00:00Z", &["2027-03-27T01:30:00Z", "2027-03-29T00:30:00Z"]),
            ("0 3 * * *", "Europe/Berlin", "2027-03-27T12:00:00Z", &["2027-03-28T01:00:00Z", "2027-03-29T01:00:00Z"]),
            (
                "*/30 * * * *",
                "Europe/Berlin",
                "2027-03-28T00:10:00Z",
                &["2027-03-28T00:30:00Z", "2027-03-28T01:00:00Z", "2027-03-28T01:30:00Z"],
            ),
            // The day begins at 01:00: there is no midnight.
            ("0 0 * * *", "America/Havana", "2027-03-13T12:00:00Z", &["2027-03-15T04:00:00Z"]),
            // Back at 02:00 in New York on 2026-11-01, at 01:00 UTC in Berlin on 2026-10-25.
            ("30 1 * * *", "America/New_York", "2026-11-01T00:00:00Z", &["2026-11-01T05:30:00Z", "2026-11-02T06:30:00Z"]),
            ("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", &["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"]),
            ("30 2,3 * * *", "Europe/Berlin", "2026-10-25T00:00:00Z", &["2026-10-25T00:30:00Z", "2026-10-25T02:30:00Z"]),
            (
                "30 * * * *",
                "Europe/Berlin",
                "2026-10-24T23:00:00Z",
                &["2026-10-24T23:30:00Z", "2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z", "2026-10-25T02:30:00Z"],
            ),
            ("59 59 2 * * *", "Europe/Berlin", "2026-10-25T00:00:00Z", &["2026-10-25T00:59:59Z", "2026-10-26T01:59:59Z"]),
            ("0 0 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", &["2026-10-25T00:00:00Z", "2026-10-26T01:00:00Z"]),
            // From the middle of the hour that is shown twice.
            ("*/20 * * * *", "America/New_York", "2026-11-01T05:45:00Z", &["2026-11-01T06:00:00Z", "2026-11-01T06:20:00Z"]),
            ("50 1 * * *", "America/New_York", "2026-11-01T06:10:00Z", &["2026-11-02T06:50:00Z"]),
            // By half an hour, and a whole day that was left out.
            ("45 1 * * *", "Australia/Lord_Howe", "2027-04-03T00:00:00Z", &["2027-04-03T14:45:00Z", "2027-04-04T15:15:00Z"]),
            ("0 12 30 12 *", "Pacific/Apia", "2011-12-01T00:00:00Z", &["2012-12-29T22:00:00Z"]),
        ] {
            assert_eq!(next(&calendar(pattern, zone), after, expected.len()), expected, "{pattern} in {zone} after {after}");
        }
    }

    #[test]
    fn intervals_are_counted_from_a_second() {
        let every = |every, from| Calendar { rule: Rule::Interval { every, from }, start: None, end: None };
        let second = every(1, 0);
        assert_eq!(second.after(at("2026-12-01T00:00:00Z")), Some(at("2026-12-01T00:00:01Z")));
        assert_eq!(second.after(Timestamp(at("2026-12-01T00:00:00Z").0 + 1)), Some(at("2026-12-01T00:00:01Z")));
        assert_eq!(second.after(Timestamp(-1)), Some(Timestamp(0)));
        let from = at("2026-12-01T00:10:00Z").0 / 1_000_000;
        assert_eq!(next(&every(3_600, from), "2026-12-01T00:00:00Z", 2), ["2026-12-01T00:10:00Z", "2026-12-01T01:10:00Z"]);
        assert_eq!(every(i64::MAX, 0).after(Timestamp(1)), None);
        assert_eq!(second.after(Timestamp(i64::MAX)), None);
        assert_eq!(second.after(Timestamp(i64::MIN)), Some(Timestamp(-9_223_372_036_854_000_000)));
    }

    #[test]
    fn a_schedule_occurs_from_its_start_to_its_end() {
        let bounded = |calendar: Calendar| Calendar {
            start: Some(at("2026-12-01T08:00:00Z")),
            end: Some(at("2026-12-01T10:00:00Z")),
            ..calendar
        };
        let all = ["2026-12-01T08:00:00Z", "2026-12-01T09:00:00Z", "2026-12-01T10:00:00Z"];
        assert_eq!(next(&bounded(calendar("0 * * * *", "UTC")), "2020-01-01T00:00:00Z", 9), all);
        let hours = Calendar { rule: Rule::Interval { every: 3_600, from: 0 }, start: None, end: None };
        assert_eq!(next(&bounded(hours), "2020-01-01T00:00:00Z", 9), all);
    }

    #[test]
    fn a_pattern_that_cannot_be_read_says_why() {
        for (pattern, says) in [
            ("", "has 0 fields"),
            ("* * * *", "has 4 fields"),
            ("* * * * * * *", "has 7 fields"),
            ("60 * * * *", "'60 * * * *'"),
            ("0 24 * * *", "whose hour is '24', and must be 0 to 23"),
            ("0 0 32 * *", "whose day of the month is '32'"),
            ("0 0 * 13 *", "whose month is '13'"),
            ("0 0 * * 8", "whose day of the week is '8'"),
            ("0 0 * * MON#6", "whose day of the week is"),
            ("5-2 * * * *", "whose minute is '5-2'"),
            ("*/0 * * * *", "whose minute is '*/0'"),
            ("a b c d e", "whose minute is 'a'"),
            ("@reboot", "no named pattern"),
            ("@every 5m", "no named pattern"),
        ] {
            let why = Pattern::parse(pattern, Tz::UTC).unwrap_err();
            assert!(why.contains(says), "{pattern}: {why}");
        }
        assert!(Pattern::parse(&"1,".repeat(10_000), Tz::UTC).unwrap_err().contains("characters"));
    }

    #[test]
    fn one_that_never_matches_is_found_out_quickly() {
        for pattern in ["0 0 30 2 *", "0 0 31 2,4,6,9,11 *", "0 0 0 31 4 MON"] {
            assert_eq!(calendar(pattern, "America/New_York").after(at("2026-12-01T00:00:00Z")), None, "{pattern}");
        }
    }
}
