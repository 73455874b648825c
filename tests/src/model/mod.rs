//! The model test: random sequences of client operations, and crashes of the host, compared with a simple model of the visible
//! results.
//!
//! - [`world`] is the model, with [`queue`] and [`schedule`]; [`operation`] what clients do to it; [`possible`] the worlds that are possible.
//! - [`driver`] runs a sequence against a real host; [`service`] is a service that the orchestrations call.
//! - [`shrink`] shortens a sequence that fails.
//!
//! After each batch of sequences, the store is checked: every history must be complete, and nothing may be left over.

mod driver;
mod operation;
mod possible;
mod queue;
mod schedule;
pub mod service;
mod shrink;
mod world;

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, ensure};
use dacapo_core::InstanceId;
use dacapo_store::{InstanceQuery, RedbStore, Store as _};
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use serde::Serialize;

use crate::crash::{check_history, is_schedule, open_store};
use crate::host::{Host, HostOptions};
use driver::{Counts, Driver, Expected};
use operation::{Operation, random_sequence, woven};
use service::Service;

/// The number of sequences that share a host. Then its store is checked.
const BATCH: usize = 25;

/// The options of a run.
#[derive(Debug, Clone)]
pub struct ModelOptions {
    pub seed: u64,
    pub sequences: usize,
    /// The number of hosts to test concurrently.
    pub hosts: usize,
    /// Keep no guest in memory. Without this, every second host does so.
    pub cold: bool,
    /// How long to spend on shrinking a failing sequence.
    pub shrink: Duration,
}

/// The results of a run. Returned only if everything agreed with the model.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    pub seed: u64,
    pub sequences: usize,
    /// The number of sequences in which the host was killed.
    pub sequences_with_crashes: usize,
    #[serde(flatten)]
    pub counts: Counts,
    /// Instances at the ends of sequences, and the events of their histories.
    pub instances: usize,
    pub history_events: usize,
    pub seconds: f64,
}

/// One sequence.
struct Sequence {
    number: usize,
    operations: Vec<Operation>,
}

impl Sequence {
    /// Generates the sequence with this number from a seed.
    fn random(seed: u64, number: usize) -> Sequence {
        let mut random = StdRng::seed_from_u64(seed.wrapping_add(number as u64));
        let with_crashes = random.random_range(0..3) == 0;
        let operations = random_sequence(&mut random, with_crashes);
        // Half of the sequences have queues and schedules, too.
        let operations = if random.random() { woven(&mut random, operations, with_crashes) } else { operations };
        Sequence { number, operations }
    }

    fn has_crashes(&self) -> bool {
        self.operations.iter().any(|operation| matches!(operation, Operation::Crash | Operation::CrashDuring { .. }))
    }

    /// Whether an activity can have been stopped before it ended, so that it may run again.
    fn may_repeat(&self) -> bool {
        self.has_crashes() || self.operations.iter().any(|operation| matches!(operation, Operation::Terminate { .. }))
    }
}

/// Why a sequence failed. Without a number, the check after the batch failed.
struct Failed {
    number: Option<usize>,
    error: anyhow::Error,
}

/// Runs the sequences of a seed. An error contains what is needed to reproduce it, with a sequence as short as could be found.
pub fn run(options: &ModelOptions) -> Result<Report> {
    let begin = Instant::now();
    let next = AtomicUsize::new(0);
    let failed = AtomicBool::new(false);
    let work = || -> Result<Report> {
        let mut report = Report::default();
        while !failed.load(Ordering::SeqCst) {
            let first = next.fetch_add(BATCH, Ordering::SeqCst);
            let numbers = first..options.sequences.min(first + BATCH);
            if numbers.is_empty() {
                break;
            }
            let sequences: Vec<Sequence> = numbers.map(|number| Sequence::random(options.seed, number)).collect();
            let cold = options.cold || (first / BATCH) % 2 == 1;
            if let Err(why) = run_batch(&sequences, cold, &mut report) {
                failed.store(true, Ordering::SeqCst);
                return Err(explain(options, &sequences, cold, why));
            }
        }
        Ok(report)
    };
    let results: Vec<Result<Report>> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..options.hosts.max(1)).map(|_| scope.spawn(work)).collect();
        workers.into_iter().map(|worker| worker.join().unwrap_or_else(|_| Err(anyhow!("a worker panicked")))).collect()
    });
    let mut report = Report { seed: options.seed, ..Report::default() };
    for result in results {
        report.add(result?);
    }
    report.seconds = begin.elapsed().as_secs_f64();
    Ok(report)
}

/// Runs sequences one after the other on one host, then checks the store.
fn run_batch(sequences: &[Sequence], cold: bool, report: &mut Report) -> Result<(), Failed> {
    let whole = |error| Failed { number: None, error };
    let directory = tempfile::tempdir().map_err(|error| whole(error.into()))?;
    let service = Service::start().map_err(whole)?;
    let mut host = start(directory.path(), &service, cold).map_err(whole)?;
    let mut expected = Vec::new();
    for sequence in sequences {
        let prefix = format!("m{}-", sequence.number);
        let outcome = Driver::new(&mut host, &service, prefix, &mut report.counts).run(&sequence.operations);
        let repeated = service.repeated();
        let outcome = outcome.and_then(|left| {
            ensure!(sequence.may_repeat() || repeated.is_empty(), "an activity that had succeeded ran again: {repeated:?}");
            Ok(left)
        });
        let left = outcome.map_err(|error| Failed { number: Some(sequence.number), error: error.context(log_of(&host)) })?;
        expected.extend(left);
        report.sequences += 1;
        report.sequences_with_crashes += usize::from(sequence.has_crashes());
    }
    check_what_is_left(&mut host, directory.path(), &expected, report).map_err(whole)
}

fn start(directory: &Path, service: &Service, cold: bool) -> Result<Host> {
    let mut arguments = vec!["--allow-host".to_owned(), service.authority.clone()];
    arguments.extend(cold.then(|| "--no-heat".to_owned()));
    let host = Host::start(HostOptions { data: directory.to_owned(), arguments })?;
    host.deploy_guest("fixture-model")?;
    host.deploy_guest("example-counter")?;
    host.deploy(driver::LISTENER, &driver::listener(false)?)?;
    Ok(host)
}

/// Returns the lines of the host's log that matter.
fn log_of(host: &Host) -> String {
    let log = host.log();
    let lines: Vec<&str> = log.lines().filter(|line| line.contains("ERROR") || line.contains("panicked")).collect();
    format!(
        "the host's log has {} errors{}",
        lines.len(),
        lines.iter().rev().take(5).map(|line| format!("\n  {line}")).collect::<String>()
    )
}

/// Checks the store of a stopped host; then purges everything and checks that nothing is left.
fn check_what_is_left(host: &mut Host, directory: &Path, expected: &[Expected], report: &mut Report) -> Result<()> {
    ensure!(host.stop()? == Some(0), "the host did not stop cleanly\n{}", host.log());
    check_store(&open_store(directory)?, expected, report)?;

    host.restart()?;
    let purged = host.manage("DELETE", "instances?createdTimeFrom=2000-01-01", None)?;
    let deleted = if purged.status == 404 { Some(0) } else { purged.json()["instancesDeleted"].as_u64() };
    ensure!(deleted == Some(expected.len() as u64), "of {} instances were purged: {purged:?}", expected.len());
    let rest = host.manage("GET", "instances", None)?.json();
    for entity in rest.as_array().into_iter().flatten() {
        let id = entity["instanceId"].as_str().unwrap_or_default();
        ensure!(id.starts_with('@'), "{id} was not purged");
        host.manage("DELETE", &format!("instances/{id}"), None)?;
    }
    ensure!(host.stop()? == Some(0), "the host did not stop cleanly\n{}", host.log());
    let store = open_store(directory)?;
    let stats = store.stats()?;
    // A schedule that was deleted is still woken once, when it would have occurred.
    let wakes = store.undelivered(None, 100_000)?;
    let schedules: HashSet<&InstanceId> = wakes.iter().map(|(_, message)| &message.to).filter(|id| is_schedule(id)).collect();
    let left = [stats.instances, stats.turns, stats.messages, stats.activities];
    // Messages to one instance that are due at the same time have one timer.
    let is_right = left == [schedules.len() as u64, 0, wakes.len() as u64, 0] && stats.timers <= stats.messages;
    ensure!(is_right, "rows are left after the purge: {stats:?}, {wakes:?}");
    Ok(())
}

fn check_store(store: &RedbStore, expected: &[Expected], report: &mut Report) -> Result<()> {
    let mut expected: HashMap<&str, &Expected> = expected.iter().map(|expected| (expected.id.as_str(), expected)).collect();
    let mut failed = Vec::new();
    let mut after = None;
    loop {
        let page = store.instances(&InstanceQuery::default(), after.as_ref(), 1_000)?;
        for record in page.records.iter().filter(|record| !record.id.is_entity()) {
            let id = record.id.as_str();
            let expected = expected.remove(id).with_context(|| format!("{id} should not be there"))?;
            ensure!(record.status.name() == expected.status.name(), "{id} is {}, not {expected:?}", record.status.name());
            let history = store.history(record.row, record.turns.clone())?;
            check_history(&history).with_context(|| format!("the history of {id}: {history:#?}"))?;
            failed.extend((expected.status == world::Status::Failed).then_some(record.row));
            report.instances += 1;
            report.history_events += history.len();
        }
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    ensure!(expected.is_empty(), "missing: {:?}", expected.keys());
    let undelivered = store.undelivered(None, 100_000)?;
    // A failed instance keeps later messages, in case it is rewound.
    let left = undelivered.iter().find(|(key, message)| !failed.contains(&key.row) && !is_schedule(&message.to));
    ensure!(left.is_none(), "a message is left in an inbox: {left:?}");
    ensure!(store.activities(None, 1)?.is_empty(), "an activity is left");
    let timers = store.timers(None, dacapo_core::Timestamp(i64::MAX), 100_000)?;
    let left = timers.iter().find(|timer| !is_schedule(&timer.instance));
    ensure!(left.is_none(), "a timer is left: {left:?}");
    Ok(())
}

/// Adds what is needed to reproduce a failure.
fn explain(options: &ModelOptions, sequences: &[Sequence], cold: bool, failed: Failed) -> anyhow::Error {
    let seed = options.seed;
    let Some(sequence) = sequences.iter().find(|sequence| Some(sequence.number) == failed.number) else {
        return failed.error.context(format!("seed {seed}, batch of the sequences from {}", sequences[0].number));
    };
    let shrunk = shrink::shrink(sequence, cold, options.shrink);
    let listed = |operations: &[Operation]| operations.iter().map(|operation| format!("\n  {operation:?}")).collect::<String>();
    let text = match shrunk {
        Some((shorter, error)) => format!("as short as was found:{}\nwhich fails with: {error:#}", listed(&shorter)),
        None => format!("it did not fail again; in full:{}", listed(&sequence.operations)),
    };
    let again = seed.wrapping_add(sequence.number as u64);
    let cold = if cold { " --cold" } else { "" };
    failed.error.context(format!(
        "sequence {} of seed {seed}, which is run again by `cargo model --seed {again} --sequences 1{cold}`; {text}\nIt failed \
         first with",
        sequence.number
    ))
}

impl Report {
    fn add(&mut self, other: Report) {
        let Report { seed: _, sequences, sequences_with_crashes, counts, instances, history_events, seconds: _ } = other;
        self.sequences += sequences;
        self.sequences_with_crashes += sequences_with_crashes;
        self.instances += instances;
        self.history_events += history_events;
        self.counts.add(counts);
    }
}
