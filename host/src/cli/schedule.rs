use chrono::Utc;
use clap::{Args, Subcommand};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::client::{Answer, Client, Connection, Target};
use super::confirm::Confirmation;
use super::error::CliError;
use super::input;
use super::output::{print, print_done, print_table, properties, table};
use super::pages::PageArguments;
use super::times::{self, ago, local_time};

/// Start orchestrations again and again: at the times of a cron pattern, or at intervals.
#[derive(Debug, Subcommand)]
#[command(after_help = "\
Examples:
  dacapo schedule create report --orchestrator daily_report --cron '0 8 * * MON-FRI' --time-zone Europe/Berlin
  dacapo schedule create poll --orchestrator poll --interval 30s --overlap bufferOne
  dacapo schedule list
  dacapo schedule pause report --note 'until the audit is over'
  dacapo schedule backfill report --from 7d --to now")]
pub(super) enum Schedule {
    Create(Box<Create>),
    List(List),
    Show(Show),
    Pause(Pause),
    Resume(Resume),
    Trigger(Trigger),
    Backfill(Backfill),
    Delete(Delete),
}

/// Make a schedule, or replace what one does from now on.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  dacapo schedule create report --orchestrator daily_report --cron '0 8 * * MON-FRI' --time-zone Europe/Berlin
  dacapo schedule create poll --orchestrator poll --interval 00:00:30 --input '{\"limit\": 10}' --jitter 5s
  dacapo schedule create report --orchestrator daily_report --cron @daily --replace

A pattern has five fields, or six with seconds first. Each run is an instance with the id NAME:TIME,
such as report:20261201T080000Z.")]
pub(super) struct Create {
    /// Its name.
    name: String,
    /// The orchestrator function to start.
    #[arg(long, visible_alias = "function-name", value_name = "FUNCTION")]
    orchestrator: String,
    /// When it occurs: a cron pattern, or @hourly, @daily, @weekly, @monthly, @yearly.
    #[arg(long, value_name = "PATTERN", required_unless_present = "interval")]
    cron: Option<String>,
    /// The time between two occurrences, such as 30s, 1h30m or 00:30:00.
    #[arg(long, value_name = "DURATION", conflicts_with = "cron")]
    interval: Option<String>,
    /// By how much the occurrences of an interval are later than its start, or than a multiple of it since 1970.
    #[arg(long, value_name = "DURATION", requires = "interval")]
    phase: Option<String>,
    /// The time zone, such as Europe/Berlin [default: UTC].
    #[arg(long, value_name = "ZONE")]
    time_zone: Option<String>,
    /// It does not occur before this time. Without an offset, it is one of the time zone.
    #[arg(long, value_name = "TIME")]
    start: Option<String>,
    /// It does not occur after this time.
    #[arg(long, value_name = "TIME")]
    end: Option<String>,
    /// What happens while an instance that it has started before still runs: skip, bufferOne, allowAll or terminateOther
    /// [default: skip].
    #[arg(long, value_name = "POLICY", value_parser = overlap)]
    overlap: Option<String>,
    /// An occurrence that is later than this, because the host was down, is missed [default: a year].
    #[arg(long, value_name = "DURATION")]
    catch_up_window: Option<String>,
    /// Delay each occurrence by up to this much.
    #[arg(long, value_name = "DURATION")]
    jitter: Option<String>,
    /// The input of each instance: JSON, @FILE, or - for standard input [default: null].
    #[arg(long)]
    input: Option<String>,
    /// The version label that each start asks for.
    #[arg(long, value_name = "LABEL")]
    version: Option<String>,
    /// Make it paused.
    #[arg(long)]
    paused: bool,
    /// Why.
    #[arg(long, value_name = "TEXT", requires = "paused")]
    note: Option<String>,
    /// Replace the schedule of this name, if there is one.
    #[arg(long)]
    replace: bool,
    #[command(flatten)]
    connection: Connection,
}

/// List the schedules.
#[derive(Debug, Args)]
pub(super) struct List {
    #[command(flatten)]
    pages: PageArguments,
    #[command(flatten)]
    connection: Connection,
}

/// Show a schedule, with its last ten runs and its next ten occurrences.
#[derive(Debug, Args)]
pub(super) struct Show {
    /// Its name.
    name: String,
    #[command(flatten)]
    connection: Connection,
}

/// Let a schedule start nothing until it is resumed. What was due before is still started.
#[derive(Debug, Args)]
pub(super) struct Pause {
    /// Its name.
    name: String,
    /// Why.
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
    #[command(flatten)]
    connection: Connection,
}

/// Let a paused schedule go on.
#[derive(Debug, Args)]
pub(super) struct Resume {
    /// Its name.
    name: String,
    /// Why.
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
    #[command(flatten)]
    connection: Connection,
}

/// Run a schedule once, now.
#[derive(Debug, Args)]
pub(super) struct Trigger {
    /// Its name.
    name: String,
    /// What happens while another instance of it runs [default: as the schedule has it].
    #[arg(long, value_name = "POLICY", value_parser = overlap)]
    overlap: Option<String>,
    #[command(flatten)]
    connection: Connection,
}

/// Run what occurs in a range of the past, and has not run.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  dacapo schedule backfill report --from 2026-11-01 --to 2026-11-30T23:59
  dacapo schedule backfill poll --from 2h --to 1h --overlap bufferOne")]
pub(super) struct Backfill {
    /// The name of the schedule.
    name: String,
    /// The beginning of the range: 7d (ago), 2026-01-31T12:00 (local time) or 2026-01-31T12:00:00Z.
    #[arg(long, value_name = "TIME", value_parser = times::past)]
    from: String,
    /// Its end.
    #[arg(long, value_name = "TIME", value_parser = times::past, default_value = "now")]
    to: String,
    /// What happens while another instance of it runs [default: allowAll].
    #[arg(long, value_name = "POLICY", value_parser = overlap)]
    overlap: Option<String>,
    #[command(flatten)]
    connection: Connection,
}

/// Remove a schedule. What it has started goes on.
#[derive(Debug, Args)]
pub(super) struct Delete {
    /// Its name.
    name: String,
    #[command(flatten)]
    confirmation: Confirmation,
    #[command(flatten)]
    connection: Connection,
}

fn overlap(text: &str) -> Result<String, String> {
    use crate::schedules::Overlap;
    let known = Overlap::ALL.into_iter().find(|(name, _)| name.replace('-', "").eq_ignore_ascii_case(&text.replace('-', "")));
    known.map(|(name, _)| name.to_owned()).ok_or_else(|| "should be skip, bufferOne, allowAll or terminateOther".into())
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Listed {
    name: String,
    orchestrator: String,
    occurs: String,
    time_zone: String,
    app: Option<String>,
    paused: bool,
    note: String,
    last: Option<String>,
    next: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Shown {
    name: String,
    specification: Map<String, Value>,
    app: Option<String>,
    paused: bool,
    note: String,
    created_time: String,
    last_updated_time: String,
    occurrences: Occurrences,
    recent: Vec<Run>,
    next: Vec<String>,
    waiting: bool,
    backfilling: bool,
}

#[derive(Debug, Deserialize)]
struct Occurrences {
    run: u64,
    missed: u64,
    skipped: u64,
    buffered: u64,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Run {
    instance_id: String,
    nominal_time: String,
    runtime_status: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Triggered {
    instance_id: String,
    outcome: String,
}

#[derive(Debug, Deserialize)]
struct Backfilled {
    occurrences: usize,
}

impl Schedule {
    pub fn run(self) -> Result<(), CliError> {
        match self {
            Schedule::Create(command) => command.run(),
            Schedule::List(command) => command.run(),
            Schedule::Show(command) => command.run(),
            Schedule::Pause(command) => command.run(),
            Schedule::Resume(command) => command.run(),
            Schedule::Trigger(command) => command.run(),
            Schedule::Backfill(command) => command.run(),
            Schedule::Delete(command) => command.run(),
        }
    }
}

impl Create {
    fn run(self) -> Result<(), CliError> {
        let input = self.input.as_deref().map(|input| input::json("input", input)).transpose()?;
        // The input is sent as it was given.
        let input = input.map(|input| RawValue::from_string(input).expect("it was found to be JSON"));
        let texts = [
            ("orchestrator", Some(self.orchestrator)),
            ("cron", self.cron),
            ("interval", self.interval),
            ("phase", self.phase),
            ("timeZone", self.time_zone),
            ("start", self.start),
            ("end", self.end),
            ("overlap", self.overlap),
            ("catchUpWindow", self.catch_up_window),
            ("jitter", self.jitter),
            ("version", self.version),
            ("note", self.note),
        ];
        let raw = |text: String| serde_json::value::to_raw_value(&text).expect("a text can be written as JSON");
        let mut members: std::collections::BTreeMap<&str, Box<RawValue>> =
            texts.into_iter().filter_map(|(name, text)| Some((name, raw(text?)))).collect();
        members.extend(input.map(|input| ("input", input)));
        if self.paused {
            members.insert("paused", serde_json::value::to_raw_value(&true).expect("it is JSON"));
        }
        let body = serde_json::to_string(&members).expect("JSON can be written");
        let (client, target) = (self.connection.client(), target(&self.name, None));
        let answer = if self.replace { client.put_json(&target, &body)? } else { client.post_json(&target, &body)? };
        let status = answer.status;
        let answer = found(answer, &client)?;
        if self.connection.json {
            return print(answer.text);
        }
        let shown: Shown = answer.parse()?;
        let verb = if status == 201 { "Made" } else { "Replaced" };
        let next = shown.next.first().map_or_else(|| "it is paused".to_owned(), |next| format!("next at {}", local_time(next)));
        print(format_args!("{verb} the schedule '{}': {next}.", shown.name))
    }
}

impl List {
    fn run(self) -> Result<(), CliError> {
        let client = self.connection.client();
        let listing = self.pages.fetch(&client, Target::management(["schedules"]), || missing(&client))?;
        match self.connection.json {
            true => listing.print_json()?,
            false => print_rows(&listing.parse()?)?,
        }
        listing.note_continuation();
        Ok(())
    }
}

fn print_rows(schedules: &[Listed]) -> Result<(), CliError> {
    if schedules.is_empty() {
        return print("No schedules.");
    }
    let mut rows = table(["NAME", "ORCHESTRATOR", "OCCURS", "ZONE", "LAST", "NEXT", "APP", "NOTE"]).dispensable(&[6, 3, 4]);
    for Listed { name, orchestrator, occurs, time_zone, app, paused, note, last, next } in schedules {
        let time = |time: &Option<String>| time.as_deref().map(local_time).unwrap_or_else(|| "-".into());
        let next = if *paused { "paused".to_owned() } else { time(next) };
        rows.add_row(
            [name, orchestrator, occurs, time_zone, &time(last), &next, app.as_deref().unwrap_or("-"), note].map(String::from),
        );
    }
    print_table(rows)
}

impl Show {
    fn run(self) -> Result<(), CliError> {
        let client = self.connection.client();
        let answer = found(client.get(&target(&self.name, None))?, &client)?;
        if self.connection.json {
            return print(answer.text);
        }
        let shown: Shown = answer.parse()?;
        let mut rows = properties();
        rows.add_row(["Name", &shown.name]);
        for (name, value) in &shown.specification {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            rows.add_row([name.as_str(), &value]);
        }
        let state = match (shown.paused, shown.next.first()) {
            (true, _) => "paused",
            (false, None) => "ended",
            (false, Some(_)) => "active",
        };
        rows.add_row(["State", state]);
        if !shown.note.is_empty() {
            rows.add_row(["Note", &shown.note]);
        }
        if let Some(app) = &shown.app {
            rows.add_row(["Of the app", app]);
        }
        rows.add_row(["Created", &local_time(&shown.created_time)]);
        rows.add_row(["Last updated", &local_time(&shown.last_updated_time)]);
        let Occurrences { run, missed, skipped, buffered } = shown.occurrences;
        rows.add_row(["Occurrences", &format!("{run} run, {skipped} skipped, {missed} missed, {buffered} buffered")]);
        if shown.waiting {
            rows.add_row(["Waiting", "one occurrence, for the end of another"]);
        }
        if shown.backfilling {
            rows.add_row(["Backfill", "in progress"]);
        }
        print_table(rows)?;
        let now = Utc::now();
        let mut runs = table(["LAST RUNS", "", "STATUS", "INSTANCE"]);
        for Run { instance_id, nominal_time, runtime_status } in &shown.recent {
            let status = runtime_status.as_deref().unwrap_or("-");
            runs.add_row([&local_time(nominal_time), &ago(nominal_time, now), status, instance_id]);
        }
        print("")?;
        print_table(runs)?;
        let mut next = table(["NEXT"]);
        next.add_rows(shown.next.iter().map(|next| [local_time(next)]));
        print("")?;
        print_table(next)
    }
}

impl Pause {
    fn run(self) -> Result<(), CliError> {
        let target = target(&self.name, Some("pause")).with_some("note", self.note.as_deref());
        changed(&self.connection, &target, format_args!("Paused the schedule '{}'.", self.name))
    }
}

impl Resume {
    fn run(self) -> Result<(), CliError> {
        let target = target(&self.name, Some("resume")).with_some("note", self.note.as_deref());
        changed(&self.connection, &target, format_args!("Resumed the schedule '{}'.", self.name))
    }
}

fn changed(connection: &Connection, target: &Target, sentence: std::fmt::Arguments<'_>) -> Result<(), CliError> {
    let client = connection.client();
    let answer = found(client.post(target)?, &client)?;
    if connection.json { print(answer.text) } else { print(sentence) }
}

impl Trigger {
    fn run(self) -> Result<(), CliError> {
        let client = self.connection.client();
        let target = target(&self.name, Some("trigger")).with_some("overlap", self.overlap.as_deref());
        let answer = found(client.post(&target)?, &client)?;
        if self.connection.json {
            return print(answer.text);
        }
        let Triggered { instance_id, outcome } = answer.parse()?;
        match outcome.as_str() {
            "started" => print(format_args!("Started '{}'. Instance ID: '{instance_id}'.", self.name)),
            "buffered" => {
                print(format_args!("Another instance of '{}' runs: '{instance_id}' is started when it has ended.", self.name))
            }
            _ => Err(CliError::WrongState(format!(
                "another instance of '{}' runs, so nothing was started; --overlap allowAll starts one beside it",
                self.name
            ))),
        }
    }
}

impl Backfill {
    fn run(self) -> Result<(), CliError> {
        let client = self.connection.client();
        let target = target(&self.name, Some("backfill"))
            .with("from", &self.from)
            .with("to", &self.to)
            .with_some("overlap", self.overlap.as_deref());
        let answer = found(client.post(&target)?, &client)?;
        if self.connection.json {
            return print(answer.text);
        }
        let Backfilled { occurrences } = answer.parse()?;
        print(format_args!("{occurrences} occurrences of '{}' are run, as far as they have not.", self.name))
    }
}

impl Delete {
    fn run(self) -> Result<(), CliError> {
        self.confirmation.ask(&format!("Delete the schedule '{}'?", self.name))?;
        let client = self.connection.client();
        found(client.delete(&target(&self.name, None))?, &client)?;
        print_done(self.connection.json, &json!({ "name": self.name }), format_args!("Deleted the schedule '{}'.", self.name))
    }
}

fn target(name: &str, action: Option<&str>) -> Target {
    Target::management(["schedules", name].into_iter().chain(action))
}

fn found(answer: Answer, client: &Client) -> Result<Answer, CliError> {
    answer.success(|| missing(client))
}

fn missing(client: &Client) -> String {
    format!("{} has no schedules", client.server())
}
