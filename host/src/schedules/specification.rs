//! A schedule as it is written, and what it means.

use chrono::{DateTime, NaiveDate, NaiveDateTime, TimeZone as _};
use chrono_tz::Tz;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use dacapo_core::{FunctionName, Payload, Timestamp};

use super::calendar::{Calendar, Pattern, Rule};
use super::span::Span;

/// Characters of the name of a schedule.
pub const NAME_CHARS_MAX: usize = 128;

/// What the names of schedules of timer triggers begin with, and no others.
pub const TIMER_PREFIX: &str = "timer:";

pub const NAME_RULE: &str =
    "must have 1 to 128 characters, without / \\ # ? and control characters, and must not begin with '@' or 'timer:'";

/// Characters of a version or a note.
pub const TEXT_CHARS_MAX: usize = 256;

/// A year, which is how late an occurrence is made up for if nothing else is said.
const CATCH_UP_SECONDS: u64 = 366 * 86_400;

/// An occurrence that is a few seconds late was not missed.
const CATCH_UP_SECONDS_MIN: u64 = 10;

const JITTER_SECONDS_MAX: u64 = 86_400;

/// What begins while an instance that the schedule has started before still runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub enum Overlap {
    /// Nothing.
    #[default]
    Skip,
    /// Nothing yet: one occurrence waits for its end, and others meanwhile are skipped.
    BufferOne,
    /// Another one.
    AllowAll,
    /// Another one, and the running ones are terminated.
    TerminateOther,
}

impl Overlap {
    pub const ALL: [(&str, Overlap); 4] = [
        ("skip", Overlap::Skip),
        ("bufferOne", Overlap::BufferOne),
        ("allowAll", Overlap::AllowAll),
        ("terminateOther", Overlap::TerminateOther),
    ];

    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, overlap)| overlap)
    }
}

/// JSON, as it was written.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Json(pub Box<RawValue>);

impl PartialEq for Json {
    fn eq(&self, other: &Self) -> bool {
        self.0.get() == other.0.get()
    }
}

impl JsonSchema for Json {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Json".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        Schema::from(true)
    }
}

/// A schedule as it is written.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "ScheduleSpecification")]
pub struct Specification {
    /// The orchestrator function to start.
    pub orchestrator: String,
    /// The input of each instance; any JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input: Option<Json>,
    /// The version label that each start asks for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// A cron pattern of five fields, or of six with seconds first; or `@hourly`, `@daily`, `@weekly`, `@monthly`, `@yearly`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cron: Option<String>,
    /// Instead of a pattern, the time between two occurrences: seconds, or such as `90s`, `1h30m` or `00:30:00`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval: Option<Span>,
    /// By how much an interval's occurrences are later than its start, or than a multiple of the interval since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase: Option<Span>,
    /// The time zone of the pattern and of times without an offset, by its IANA name. The default is `UTC`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
    /// It does not occur before this time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start: Option<String>,
    /// It does not occur after this time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end: Option<String>,
    pub overlap: Overlap,
    /// An occurrence that is late by more than this, because the host was down, is missed. The default is a year.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub catch_up_window: Option<Span>,
    /// Each occurrence is delayed by up to this much: the same one by the same time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jitter: Option<Span>,
    /// Whether it is paused from now on. Without it: no, or as it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paused: Option<bool>,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// What a specification means.
#[derive(Debug, Clone)]
pub struct Plan {
    pub orchestrator: FunctionName,
    pub input: Payload,
    /// Empty for none.
    pub version: String,
    pub calendar: Calendar,
    pub overlap: Overlap,
    /// Microseconds.
    pub catch_up_window: i64,
    /// Microseconds.
    pub jitter: i64,
}

/// What is wrong with a specification: the member, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{member}` {why}")]
pub struct InvalidSchedule {
    pub member: &'static str,
    /// Worded to follow the name of the member.
    pub why: String,
}

impl InvalidSchedule {
    pub fn new(member: &'static str, why: impl Into<String>) -> Self {
        Self { member, why: why.into() }
    }
}

impl Specification {
    /// Takes out what changes without it: whether it is paused, and why.
    pub fn take_pause(&mut self) -> (Option<bool>, Option<String>) {
        (self.paused.take(), self.note.take())
    }

    pub fn plan(&self) -> Result<Plan, InvalidSchedule> {
        if self.orchestrator.is_empty() {
            return Err(InvalidSchedule::new("orchestrator", "is missing: the function to start"));
        }
        let orchestrator = FunctionName::new(&self.orchestrator)
            .map_err(|why| InvalidSchedule::new("orchestrator", format!("is not the name of a function: {why}")))?;
        let version = self.version.clone().unwrap_or_default();
        check_text("version", &version)?;
        check_text("note", self.note.as_deref().unwrap_or_default())?;
        let zone = self.zone()?;
        let (start, end) = (self.moment("start", self.start.as_deref(), zone)?, self.moment("end", self.end.as_deref(), zone)?);
        if start.zip(end).is_some_and(|(start, end)| end < start) {
            return Err(InvalidSchedule::new("end", "is before `start`"));
        }
        let calendar = Calendar { rule: self.rule(zone, start)?, start, end };
        let catch_up = seconds("catchUpWindow", self.catch_up_window.as_ref())?.unwrap_or(CATCH_UP_SECONDS);
        if catch_up < CATCH_UP_SECONDS_MIN {
            return Err(InvalidSchedule::new("catchUpWindow", format!("must be at least {CATCH_UP_SECONDS_MIN} seconds")));
        }
        let jitter = seconds("jitter", self.jitter.as_ref())?.unwrap_or_default();
        if jitter > JITTER_SECONDS_MAX {
            return Err(InvalidSchedule::new("jitter", "must be a day at most"));
        }
        Ok(Plan {
            orchestrator,
            input: self.input.as_ref().map_or("null", |input| input.0.get()).into(),
            version,
            calendar,
            overlap: self.overlap,
            catch_up_window: micros(catch_up),
            jitter: micros(jitter),
        })
    }

    /// Like [`Self::plan`], for a schedule that is to be created at this time: it must occur at some time after it.
    pub fn new_plan(&self, now: Timestamp) -> Result<Plan, InvalidSchedule> {
        let plan = self.plan()?;
        if plan.calendar.after(now).is_none() {
            let member = if self.cron.is_some() { "cron" } else { "interval" };
            let why = match plan.calendar.end {
                Some(_) => "never occurs between now and `end`",
                None => "never occurs: there is no such time",
            };
            return Err(InvalidSchedule::new(member, why));
        }
        Ok(plan)
    }

    fn rule(&self, zone: Tz, start: Option<Timestamp>) -> Result<Rule, InvalidSchedule> {
        let phase = seconds("phase", self.phase.as_ref())?;
        match (&self.cron, &self.interval) {
            (Some(_), Some(_)) => {
                Err(InvalidSchedule::new("interval", "cannot be given beside `cron`: a schedule has one of the two"))
            }
            (None, None) => Err(InvalidSchedule::new("cron", "is missing: a schedule has `cron` or `interval`")),
            (Some(_), None) if phase.is_some() => Err(InvalidSchedule::new("phase", "is for `interval` only")),
            (Some(cron), None) => Pattern::parse(cron, zone).map(Rule::Cron).map_err(|why| InvalidSchedule::new("cron", why)),
            (None, Some(interval)) => {
                let every = interval.seconds().map_err(|why| InvalidSchedule::new("interval", why))?;
                if every == 0 {
                    return Err(InvalidSchedule::new("interval", "must be at least one second"));
                }
                let phase = phase.unwrap_or_default();
                if phase >= every {
                    return Err(InvalidSchedule::new("phase", "must be less than `interval`"));
                }
                let from = start.map_or(0, |start| start.0.div_euclid(1_000_000) + i64::from(start.0.rem_euclid(1_000_000) > 0));
                Ok(Rule::Interval { every: every.cast_signed(), from: from + phase.cast_signed() })
            }
        }
    }

    fn zone(&self) -> Result<Tz, InvalidSchedule> {
        let Some(name) = &self.time_zone else { return Ok(Tz::UTC) };
        name.parse().map_err(|_| {
            let known = chrono_tz::TZ_VARIANTS.iter().find(|zone| zone.name().eq_ignore_ascii_case(name));
            let hint = known.map_or("such as Europe/Berlin or America/New_York", |known| known.name());
            InvalidSchedule::new("timeZone", format!("is '{name:.60}', and must be the IANA name of a time zone: {hint}"))
        })
    }

    fn moment(&self, member: &'static str, text: Option<&str>, zone: Tz) -> Result<Option<Timestamp>, InvalidSchedule> {
        let Some(text) = text else { return Ok(None) };
        let invalid = |why: String| InvalidSchedule::new(member, format!("is '{text:.60}', {why}"));
        let no_time = || invalid("and must be a time of the years 1970 to 9999 such as 2026-01-31T12:00:00Z".into());
        let moment = match read_moment(text).ok_or_else(no_time)? {
            Written::At(moment) => moment,
            // Of two moments that the clocks show alike, the first.
            Written::Local(time) => match zone.from_local_datetime(&time).earliest() {
                Some(moment) => Timestamp(moment.timestamp_micros()),
                None => {
                    let why =
                        format!("which the clocks of {} skip, as they are set forward then: choose another time", zone.name());
                    return Err(invalid(why));
                }
            },
        };
        (0..END_OF_TIME).contains(&moment.0).then_some(Some(moment)).ok_or_else(no_time)
    }
}

/// The beginning of the year 10000, in microseconds.
const END_OF_TIME: i64 = 253_402_300_800_000_000;

/// A time as it was written.
enum Written {
    At(Timestamp),
    /// Without an offset: one of the schedule's zone.
    Local(NaiveDateTime),
}

fn read_moment(text: &str) -> Option<Written> {
    let text = text.trim();
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Some(Written::At(Timestamp(time.timestamp_micros())));
    }
    let text = text.replacen(' ', "T", 1);
    if let Ok(time) = NaiveDateTime::parse_from_str(&text, "%Y-%m-%dT%H:%MZ") {
        return Some(Written::At(Timestamp(time.and_utc().timestamp_micros())));
    }
    let time = ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%dT%H:%M"]
        .iter()
        .find_map(|format| NaiveDateTime::parse_from_str(&text, format).ok())
        .or_else(|| text.parse::<NaiveDate>().ok()?.and_hms_opt(0, 0, 0))?;
    Some(Written::Local(time))
}

fn seconds(member: &'static str, span: Option<&Span>) -> Result<Option<u64>, InvalidSchedule> {
    span.map(|span| span.seconds().map_err(|why| InvalidSchedule::new(member, why))).transpose()
}

fn micros(seconds: u64) -> i64 {
    i64::try_from(seconds.saturating_mul(1_000_000)).unwrap_or(i64::MAX)
}

/// Checks a version or a note.
pub fn check_text(member: &'static str, text: &str) -> Result<(), InvalidSchedule> {
    if text.chars().count() > TEXT_CHARS_MAX {
        return Err(InvalidSchedule::new(member, format!("has more than {TEXT_CHARS_MAX} characters")));
    }
    match text.chars().any(char::is_control) {
        true => Err(InvalidSchedule::new(member, "must not contain control characters")),
        false => Ok(()),
    }
}

/// Whether a client may give a schedule this name.
pub fn is_name(name: &str) -> bool {
    let forbidden = |c: char| c.is_control() || matches!(c, '/' | '\\' | '#' | '?');
    (1..=NAME_CHARS_MAX).contains(&name.chars().count())
        && !name.trim().is_empty()
        && !matches!(name, "." | "..")
        && !name.starts_with('@')
        && !name.get(..TIMER_PREFIX.len()).is_some_and(|start| start.eq_ignore_ascii_case(TIMER_PREFIX))
        && !name.contains(forbidden)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Specification {
        serde_json::from_str(json).unwrap()
    }

    fn at(text: &str) -> Timestamp {
        match read_moment(text).unwrap() {
            Written::At(at) => at,
            Written::Local(time) => Timestamp(time.and_utc().timestamp_micros()),
        }
    }

    const NOW: Timestamp = Timestamp(1_796_112_000_000_000);

    #[test]
    fn a_specification_has_defaults() {
        let plan = read(r#"{"orchestrator":"report","cron":"0 8 * * *"}"#).new_plan(NOW).unwrap();
        assert_eq!((&*plan.input, plan.version.as_str(), plan.overlap, plan.jitter), ("null", "", Overlap::Skip, 0));
        assert_eq!(plan.catch_up_window, 366 * 86_400 * 1_000_000);
        assert_eq!(plan.calendar.after(NOW), Some(at("2026-12-02T08:00:00Z")));
    }

    #[test]
    fn an_interval_is_anchored_at_its_start_and_phase() {
        for (json, expected) in [
            (r#"{"orchestrator":"r","interval":"1h"}"#, "2026-12-01T09:00:00Z"),
            (r#"{"orchestrator":"r","interval":3600,"phase":"10m"}"#, "2026-12-01T08:10:00Z"),
            (r#"{"orchestrator":"r","interval":"00:30:00","start":"2026-12-01T08:05:00.5Z"}"#, "2026-12-01T08:05:01Z"),
            (r#"{"orchestrator":"r","interval":"1h","phase":5,"start":"2026-11-30T20:15:00+01:00"}"#, "2026-12-01T08:15:05Z"),
            (
                r#"{"orchestrator":"r","interval":"1d","start":"2026-12-01 10:00","timeZone":"Asia/Tokyo"}"#,
                "2026-12-02T01:00:00Z",
            ),
        ] {
            let plan = read(json).new_plan(at("2026-12-01T08:00:00Z")).unwrap();
            assert_eq!(plan.calendar.after(at("2026-12-01T08:00:00Z")), Some(at(expected)), "{json}");
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (members, member) in [
            (r#""cron":"* * * * *","orchestrator":"""#, "orchestrator"),
            (r#""cron":"* * * * *","orchestrator":"a b""#, "orchestrator"),
            (r#""x":0"#, "cron"),
            (r#""cron":"* * * * *","interval":5"#, "interval"),
            (r#""cron":"61 * * * *""#, "cron"),
            (r#""cron":"0 0 30 2 *""#, "cron"),
            (r#""cron":"0 0 1 1 *","end":"2026-12-02""#, "cron"),
            (r#""cron":"* * * * *","phase":5"#, "phase"),
            (r#""cron":"* * * * *","timeZone":"Europe/Atlantis""#, "timeZone"),
            (r#""cron":"* * * * *","timeZone":"""#, "timeZone"),
            (r#""interval":0"#, "interval"),
            (r#""interval":"0.5s""#, "interval"),
            (r#""interval":"101y""#, "interval"),
            (r#""interval":5,"phase":5"#, "phase"),
            (r#""interval":5,"start":"tomorrow""#, "start"),
            (r#""interval":5,"start":"10000-01-01T00:00:00Z""#, "start"),
            (r#""interval":5,"start":"1969-12-31T00:00:00Z""#, "start"),
            (r#""interval":5,"start":"2027-01-02","end":"2027-01-01""#, "end"),
            (r#""interval":5,"end":"2026-01-01""#, "interval"),
            (r#""interval":5,"catchUpWindow":9"#, "catchUpWindow"),
            (r#""interval":5,"catchUpWindow":"never""#, "catchUpWindow"),
            (r#""interval":5,"jitter":"2d""#, "jitter"),
            (r#""interval":5,"version":"a\nb""#, "version"),
        ] {
            let orchestrator = if members.contains("orchestrator") { "" } else { r#""orchestrator":"r","# };
            let json = format!("{{{orchestrator}{}}}", members.replace(r#""x":0"#, r#""overlap":"skip""#));
            assert_eq!(read(&json).new_plan(NOW).unwrap_err().member, member, "{json}");
        }
        let zone = read(r#"{"orchestrator":"r","interval":5,"timeZone":"europe/berlin"}"#).plan().unwrap_err().to_string();
        assert!(zone.contains("Europe/Berlin"), "{zone}");
        let skipped = r#"{"orchestrator":"r","interval":5,"timeZone":"Europe/Berlin","start":"2027-03-28T02:30"}"#;
        let why = read(skipped).plan().unwrap_err().to_string();
        assert!(why.starts_with("`start` is '2027-03-28T02:30', which the clocks of Europe/Berlin skip"), "{why}");
        for (jitter, says) in [("-1", "integer `-1`"), ("1.5", "floating point `1.5`"), ("true", "boolean `true`"), ("null", "")]
        {
            let read = serde_json::from_str::<Specification>(&format!(r#"{{"jitter":{jitter}}}"#));
            let why = read.map_or_else(|why| why.to_string(), |_| String::new());
            let plain = says.is_empty() || why.contains("expected a duration: whole seconds, or a text such as 90s");
            assert!(why.contains(says) && plain, "{jitter}: {why}");
        }
        assert!(serde_json::from_str::<Specification>(r#"{"corn":"* * * * *"}"#).unwrap_err().to_string().contains("corn"));
        assert!(serde_json::from_str::<Specification>(r#"{"overlap":"queue"}"#).unwrap_err().to_string().contains("queue"));
    }

    #[test]
    fn names_have_rules() {
        assert!(["report", "a b", "täglich:8", "x".repeat(128).as_str()].into_iter().all(is_name));
        for bad in ["", " ", ".", "..", "@a", "a/b", "a?b", "a\nb", "timer:x", "Timer:x", &"x".repeat(129)] {
            assert!(!is_name(bad), "{bad}");
        }
    }
}
