use std::fs::File;
use std::io::BufReader;
use std::path::PathBuf;
use std::time::Instant;

use clap::Args;
use dacapo_core::HistoryEvent;
use dacapo_core::execution::{Limits, Shown};
use dacapo_core::turn::{Halt, Rehearsal, Step};
use dacapo_store::Snapshot;
use dacapo_wasm::{Account, Config, Policy, PoolSize, Runtime};

use super::error::CliError;
use super::output::{print, print_table, short, table};
use super::times::{local_time_millis, utc_micros};
use crate::export::{Item, Reader};

/// Replay an exported instance against code on this machine, step by step, without a host.
///
/// Shows every turn with its events. Where the code differs from what is recorded, it shows the difference, with exit
/// code 1.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  dacapo export order-17 -o order-17.jsonl
  dacapo replay order-17.jsonl target/wasm32-unknown-unknown/release/orders.wasm
  dacapo replay hub.jsonl orders.wasm --id order-17 --until 5")]
pub(super) struct Replay {
    /// The file that `dacapo export` wrote.
    file: PathBuf,
    /// The code.
    #[arg(value_name = "APP.wasm")]
    module: PathBuf,
    /// The instance, if the file holds more than one orchestration.
    #[arg(long, value_name = "ID")]
    id: Option<String>,
    /// Stop after this many turns.
    #[arg(long, value_name = "TURNS", value_parser = clap::value_parser!(u32).range(1..))]
    until: Option<u32>,
}

impl Replay {
    pub fn run(self) -> Result<(), CliError> {
        let snapshot = self.snapshot()?;
        let bytes = std::fs::read(&self.module).map_err(|why| CliError::file("reading", &self.module, &why))?;
        let history: Vec<HistoryEvent> = snapshot.history.iter().flat_map(|chunk| chunk.events.iter().cloned()).collect();
        if history.is_empty() {
            return Err(CliError::WrongState(format!("'{}' has no history: it has not begun", snapshot.record.id)));
        }
        // Removed on drop, with all that the runtime keeps on disk.
        let directory = tempfile::tempdir()?;
        let keep = |name: &str| directory.path().join(name);
        let config = Config { pool: PoolSize::small(), ..Config::new(keep("modules"), keep("cache")) };
        let runtime = Runtime::new(config).map_err(|why| CliError::Failed(why.to_string()))?;
        let executor = runtime.tenant(Account::default(), Policy::default());
        let app = executor.examine(&bytes).map_err(|why| CliError::Failed(format!("{}: {why}", self.module.display())))?;
        let limits = Limits::default();
        let rehearsal = Rehearsal { executor: &executor, limits: &limits, version: app.version };

        let recorded = snapshot.record.version.map_or_else(|| "none".to_owned(), |version| version.to_string());
        print(format_args!("'{}' of {}, recorded on version {recorded}", snapshot.record.id, snapshot.record.name))?;
        let mut rows = table(["EVENT", "TURN", "TIME", "WHAT"]);
        let (mut position, mut turns) = (0, 0);
        let until = self.until.map_or(usize::MAX, |turns| turns as usize);
        let began = Instant::now();
        let result = rehearsal.run(&snapshot.record, &history, |step: Step<'_>| {
            for HistoryEvent { at, event } in step.events {
                let what = short(&Shown(Some(event)).to_string());
                rows.add_row([position.to_string(), step.turn.to_string(), local_time_millis(&utc_micros(*at)), what]);
                position += 1;
            }
            turns = step.turn + 1;
            turns < until
        });
        let elapsed = began.elapsed();
        print_table(rows)?;
        match result {
            Ok(()) => print(format_args!("{turns} turns with {position} events went as recorded, in {elapsed:.1?}.")),
            Err(Halt::Diverged(divergence)) => Err(CliError::Failed(format!("after {turns} turns, {divergence}"))),
            Err(Halt::NotStarted(why)) => Err(CliError::Failed(why.to_string())),
            Err(Halt::Unable(why)) => Err(CliError::Failed(why)),
        }
    }

    fn snapshot(&self) -> Result<Snapshot, CliError> {
        let file = File::open(&self.file).map_err(|why| CliError::file("reading", &self.file, &why))?;
        let unreadable = |why| CliError::Failed(format!("{} cannot be read: {why}", self.file.display()));
        let mut found: Option<Snapshot> = None;
        for item in Reader::new(BufReader::new(file)).map_err(unreadable)? {
            let Item::Instance(snapshot) = item.map_err(unreadable)? else { continue };
            let id = snapshot.record.id.as_str();
            if snapshot.record.id.is_entity() || self.id.as_ref().is_some_and(|wanted| wanted != id) {
                continue;
            }
            if found.is_some() && self.id.is_none() {
                return Err(CliError::Usage("the file holds more than one orchestration: --id says which".into()));
            }
            found = Some(*snapshot);
        }
        found.ok_or_else(|| CliError::NotFound("the file holds no such orchestration".into()))
    }
}
