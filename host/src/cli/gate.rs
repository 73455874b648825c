//! What a check and a migration tell while they go on, and what is made of it.

use std::io::{BufRead as _, Stderr};

use serde::Deserialize;

use super::client::{Client, Target};
use super::error::CliError;
use super::live::Live;
use super::output::{note, print, print_table, short, table};

/// How often the progress is drawn: every so many instances.
const PROGRESS_EVERY: u64 = 50;

#[derive(Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase", rename_all_fields = "camelCase")]
enum ReplayProgress {
    Begun { version: String, instances: u64 },
    Instance(Box<Checked>),
    Done(Totals),
}

/// One instance.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Checked {
    instance_id: String,
    result: String,
    position: Option<u64>,
    recorded: Option<String>,
    attempted: Option<String>,
    why: Option<String>,
}

/// The sums.
#[derive(Debug, Deserialize)]
pub(super) struct Totals {
    pub passed: u64,
    pub migrated: u64,
    pub diverged: u64,
    pub refused: u64,
    pub gone: u64,
    pub events: u64,
    pub seconds: f64,
}

/// Sends the request, and shows what is told: as lines for programs, or as progress and then a table of what does not pass.
pub(super) fn follow(client: &Client, target: &Target, body: &[u8], json: bool) -> Result<Totals, CliError> {
    let reader = match client.post_lines(target, "application/octet-stream", body)? {
        Ok(reader) => reader,
        Err(refusal) => {
            refusal.success(|| format!("{} cannot check apps", client.server()))?;
            return Err(CliError::Failed("the response of the host is not what was requested".into()));
        }
    };
    let mut progress = Progress::new(json);
    let mut failures = Vec::new();
    for line in reader.lines() {
        let line = line.map_err(|why| CliError::Failed(format!("the host broke off its response: {why}")))?;
        if json {
            print(&line)?;
        }
        let line: ReplayProgress =
            serde_json::from_str(&line).map_err(|why| CliError::Failed(format!("the host said '{}': {why}", short(&line))))?;
        match line {
            ReplayProgress::Begun { version, instances } => progress.begin(&version, instances),
            ReplayProgress::Instance(checked) => {
                progress.step();
                if matches!(checked.result.as_str(), "diverged" | "refused") {
                    failures.push(*checked);
                }
            }
            ReplayProgress::Done(totals) => {
                progress.end();
                if !json && !failures.is_empty() {
                    show(&failures)?;
                }
                return Ok(totals);
            }
        }
    }
    progress.end();
    Err(CliError::Failed("the host broke off its response: is it stopping?".into()))
}

impl Totals {
    /// How many there were.
    pub fn instances(&self) -> u64 {
        self.passed + self.migrated + self.diverged + self.refused + self.gone
    }

    pub fn failed(&self) -> u64 {
        self.diverged + self.refused
    }

    pub fn speed(&self) -> String {
        format!("{} events replayed in {:.1} s", self.events, self.seconds)
    }
}

fn show(failures: &[Checked]) -> Result<(), CliError> {
    let mut rows = table(["INSTANCE", "EVENT", "RECORDED", "ATTEMPTED"]);
    for failure in failures {
        let text = |text: &Option<String>| text.as_deref().map(short).unwrap_or_default();
        let position = failure.position.map(|position| position.to_string()).unwrap_or_default();
        let attempted = failure.why.clone().unwrap_or_else(|| text(&failure.attempted));
        rows.add_row([short(&failure.instance_id), position, text(&failure.recorded), attempted]);
    }
    print_table(rows)
}

/// A line that says how far it is, for people at a terminal.
struct Progress {
    live: Option<Live<Stderr>>,
    done: u64,
    of: u64,
}

impl Progress {
    fn new(json: bool) -> Self {
        Self { live: Live::progress().filter(|_| !json), done: 0, of: 0 }
    }

    fn begin(&mut self, version: &str, of: u64) {
        self.of = of;
        if self.live.is_some() {
            note(format_args!("version {}: {of} instances", version.get(..12).unwrap_or(version)));
        }
    }

    fn step(&mut self) {
        self.done += 1;
        if let Some(live) = &mut self.live
            && (self.done.is_multiple_of(PROGRESS_EVERY) || self.done == self.of)
        {
            // Where standard error is closed, nobody wants to know.
            let _ = live.draw(&format!("{}/{}", self.done, self.of));
        }
    }

    fn end(&mut self) {
        if let Some(live) = &mut self.live {
            let _ = live.clear();
        }
    }
}
