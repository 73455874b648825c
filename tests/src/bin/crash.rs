//! The crash test as a program.

use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::Parser;
use dacapo_tests::crash::{CrashOptions, run};

#[derive(Parser)]
#[command(about = "Kills the host repeatedly while clients use it, and checks that nothing is lost or done twice")]
struct Options {
    /// How often the host is killed.
    #[arg(long, default_value_t = 200)]
    kills: usize,
    /// The seed of the clients' actions and the times of the kills. [default: from the clock]
    #[arg(long)]
    seed: Option<u64>,
    /// The number of concurrent clients.
    #[arg(long, default_value_t = 4)]
    clients: usize,
    /// The longest time from a start of the host to its kill, in milliseconds.
    #[arg(long, default_value_t = 600)]
    longest_life: u64,
    /// Keep no guest in memory: every turn replays.
    #[arg(long)]
    cold: bool,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

fn main() -> Result<()> {
    let options = Options::parse();
    let seed = match options.seed {
        Some(seed) => seed,
        None => std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_micros() as u64,
    };
    eprintln!("seed {seed}");
    let directory = tempfile::tempdir()?;
    let crash = CrashOptions {
        seed,
        kills: options.kills,
        clients: options.clients,
        lives: Duration::from_millis(20)..Duration::from_millis(options.longest_life.max(21)),
        arguments: if options.cold { vec!["--no-heat".into()] } else { Vec::new() },
    };
    match run(&crash, directory.path()) {
        Ok(report) if options.json => println!("{}", serde_json::to_string_pretty(&report)?),
        Ok(report) => println!("{report:#?}"),
        Err(error) => {
            let kept = directory.keep();
            return Err(error).with_context(|| format!("seed {seed}; the data is kept in {}", kept.display()));
        }
    }
    Ok(())
}
