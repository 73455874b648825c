//! The benchmark: how fast the engine is, compared with its store alone, the floor, measured in the same run.
//!
//! - [`engine`]: orchestrations, through the engine's Rust interface in this process, on the embedded store, with every commit
//!   synced; waiting ones and the cold start in the process of a real host.
//! - [`management`]: requests of clients and operators for many instances, and entities.
//! - [`tenants`]: many task hubs, and deployments while clients send requests.
//! - [`languages`]: guests in each language.
//! - [`triggers`]: HTTP triggers in Rust, JavaScript and Python, queues, and schedules.
//! - [`load`]: HTTP requests over persistent connections.
//!
//! `cargo benchmark --help` lists the options.

mod engine;
mod languages;
mod load;
mod management;
mod tenants;
mod triggers;

use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use clap::Parser;
use dacapo::config::Settings;
use dacapo::hub::{Gone, Hub, StartRequest};
use dacapo_core::{FunctionName, InstanceId, Payload};
use serde::Serialize;

#[derive(Parser)]
#[command(about = "Measures Dacapo on this machine, against bare redb writing the same rows in the same batches")]
struct Options {
    /// Print one JSON document instead of a table.
    #[arg(long)]
    json: bool,
    /// Use small sizes, to check that everything runs; the figures mean little.
    #[arg(long)]
    quick: bool,
    /// Run only the measurements whose name contains this text.
    #[arg(long, default_value = "")]
    only: String,
    /// The directory for the data, on the disk to measure. [default: a temporary directory]
    #[arg(long)]
    directory: Option<std::path::PathBuf>,
}

/// One line of the result.
#[derive(Debug, Serialize)]
struct Figure {
    name: String,
    value: f64,
    unit: &'static str,
    /// The target value, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<Target>,
}

#[derive(Debug, Serialize)]
struct Target {
    at_least: bool,
    value: f64,
    met: bool,
}

struct Bench {
    options: Options,
    figures: Vec<Figure>,
    directory: std::path::PathBuf,
}

#[tokio::main(flavor = "multi_thread")]
async fn main() -> Result<()> {
    let options = Options::parse();
    let temporary = tempfile::tempdir()?;
    let directory = options.directory.clone().unwrap_or_else(|| temporary.path().to_owned());
    let mut bench = Bench { options, figures: Vec::new(), directory };
    bench.run().await?;
    bench.print()
}

impl Bench {
    async fn run(&mut self) -> Result<()> {
        let floor_commit = if self.wants("hello") { self.floor_commit()? } else { 0.0 };
        for concurrency in [1, 64, 256] {
            if self.wants("hello") {
                self.hello(concurrency, floor_commit).await?;
            }
        }
        if self.wants("fan-out") {
            self.fan_out().await?;
        }
        for length in [1_000, 5_000, 10_000] {
            if self.wants("chain") {
                self.chain(self.scaled(length)).await?;
            }
        }
        for instances in [10_000, 100_000] {
            if self.wants("waiting") {
                self.waiting(self.scaled(instances))?;
            }
        }
        if self.wants("resume") {
            self.cold_resume(self.scaled(10_000)).await?;
        }
        if self.wants("cold start") {
            self.cold_start()?;
        }
        for connections in [1, 64] {
            if self.wants("requests") {
                self.start_requests(connections).await?;
            }
        }
        if self.wants("status under load") {
            self.status_under_load().await?;
        }
        if self.wants("listing") || self.wants("purge") {
            self.listing_and_purge(self.scaled(1_000_000)).await?;
        }
        if self.wants("tenants") {
            self.tenants(self.scaled(1_000))?;
        }
        if self.wants("deployment under load") {
            self.deployment_under_load().await?;
        }
        if self.wants("replay gate") {
            self.replay_gate(self.scaled(1_000)).await?;
        }
        if self.wants("compiling") {
            self.compiling()?;
        }
        if self.wants("languages") {
            self.languages().await?;
        }
        if self.wants("triggers") {
            self.triggers().await?;
        }
        if self.wants("queues") {
            self.queues(self.scaled(10_000)).await?;
        }
        if self.wants("schedules") {
            self.schedules(self.scaled(100_000)).await?;
        }
        for entities in [1, 10_000] {
            if self.wants("entities") {
                self.entities(entities).await?;
            }
        }
        Ok(())
    }

    fn wants(&self, name: &str) -> bool {
        name.contains(&self.options.only) || self.options.only.contains(name)
    }

    fn scaled(&self, count: usize) -> usize {
        if self.options.quick { count / 50 } else { count }
    }

    fn add(&mut self, name: impl Into<String>, value: f64, unit: &'static str) {
        self.figure(name, value, unit, None);
    }

    fn figure(&mut self, name: impl Into<String>, value: f64, unit: &'static str, target: Option<Target>) {
        let figure = Figure { name: name.into(), value, unit, target };
        eprintln!("{}", row(&figure));
        self.figures.push(figure);
    }

    fn at_least(&mut self, name: impl Into<String>, value: f64, unit: &'static str, target: f64) {
        self.figure(name, value, unit, Some(Target { at_least: true, value: target, met: value >= target }));
    }

    fn at_most(&mut self, name: impl Into<String>, value: f64, unit: &'static str, target: f64) {
        self.figure(name, value, unit, Some(Target { at_least: false, value: target, met: value <= target }));
    }

    fn print(&self) -> Result<()> {
        if self.options.json {
            let cores = std::thread::available_parallelism()?.get();
            println!("{}", serde_json::to_string_pretty(&serde_json::json!({ "cores": cores, "figures": self.figures }))?);
        } else {
            println!();
            self.figures.iter().for_each(|figure| println!("{}", row(figure)));
        }
        Ok(())
    }
}

/// Opens a hub of its own for one measurement, with the guests that it needs.
async fn open(directory: &Path, guests: &[&str]) -> Result<Hub> {
    Ok(open_to_close(directory, guests).await?.0)
}

/// Like [`open`], for a hub that is to be opened again: see [`close`].
async fn open_to_close(directory: &Path, guests: &[&str]) -> Result<(Hub, Gone)> {
    let settings = Settings { data: directory.to_owned(), ..Settings::default() };
    let (hub, gone) = dacapo::serve::open_hub(&settings)?;
    for guest in guests {
        hub.deploy(guest, "", dacapo_tests::guest(guest)?, dacapo::hub::Traffic::All).await?;
    }
    Ok((hub, gone))
}

/// Returns when the files of the hub are closed.
async fn close(hub: Hub, mut gone: Gone) {
    hub.shutdown(Duration::from_secs(1)).await;
    drop(hub);
    gone.wait().await;
}

/// Runs an orchestration to its end.
async fn run(hub: &Hub, name: &str, input: &str) -> Result<InstanceId> {
    let id = hub.start_new(start(name, input)?).await?;
    let record = hub.wait(&id).await?;
    anyhow::ensure!(record.status == dacapo_core::RuntimeStatus::Completed, "{name}: {:?}", hub.state(&id)?);
    Ok(id)
}

fn start(name: &str, input: &str) -> Result<StartRequest> {
    let (name, input) = (FunctionName::new(name)?, Payload::from(input));
    Ok(StartRequest { name, id: None, input, version: String::new(), start_at: None })
}

fn percentile(values: &mut [f64], percent: usize) -> f64 {
    values.sort_by(f64::total_cmp);
    values[(values.len() - 1) * percent / 100]
}

fn row(figure: &Figure) -> String {
    let target = figure.target.as_ref().map_or(String::new(), |target| {
        let (sign, verdict) = (if target.at_least { "≥" } else { "≤" }, if target.met { "met" } else { "MISSED" });
        format!("   {sign} {:.2}: {verdict}", target.value)
    });
    format!("{:<62} {:>12.3} {:<4}{target}", figure.name, figure.value, figure.unit)
}
