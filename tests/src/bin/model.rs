//! The model test as a program.

use std::time::Duration;

use anyhow::Result;
use clap::Parser;
use dacapo_tests::model::{ModelOptions, run};

#[derive(Parser)]
#[command(about = "Runs random sequences of client operations and crashes, and compares the results with a model")]
struct Options {
    /// The number of sequences to run.
    #[arg(long, default_value_t = 500)]
    sequences: usize,
    /// The seed of the sequences. [default: from the clock]
    #[arg(long)]
    seed: Option<u64>,
    /// The number of hosts to test concurrently.
    #[arg(long, default_value_t = 2)]
    hosts: usize,
    /// Keep no guest in memory: every turn replays. Without this, every second host does so.
    #[arg(long)]
    cold: bool,
    /// How many seconds to spend on shrinking a failing sequence.
    #[arg(long, default_value_t = 180)]
    shrink: u64,
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
    let Options { sequences, hosts, cold, .. } = options;
    let report = run(&ModelOptions { seed, sequences, hosts, cold, shrink: Duration::from_secs(options.shrink) })?;
    match options.json {
        true => println!("{}", serde_json::to_string_pretty(&report)?),
        false => println!("{report:#?}"),
    }
    Ok(())
}
