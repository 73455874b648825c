//! The attack suite as a program.

use std::time::Duration;

use anyhow::Result;
use clap::Parser;
use dacapo_tests::attack::{AttackOptions, run};

#[derive(Parser)]
#[command(about = "Attacks a host that serves two honest task hubs, and shows what it got and how they were affected")]
struct Options {
    /// The duration of each attack.
    #[arg(long, default_value_t = 10.0)]
    seconds: f64,
    /// Only attacks whose name, such as computing/loop, contains this text.
    #[arg(long, default_value = "")]
    only: String,
    /// Do not play each attack on another host too: half the time, and no comparison.
    #[arg(long)]
    no_comparison: bool,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

#[tokio::main(flavor = "multi_thread")]
async fn main() -> Result<()> {
    let Options { seconds, only, no_comparison, json } = Options::parse();
    let options =
        AttackOptions { each: Duration::try_from_secs_f64(seconds)?, players_max: usize::MAX, only, compare: !no_comparison };
    let report = run(&options).await?;
    match json {
        true => println!("{}", serde_json::to_string_pretty(&report)?),
        false => print!("{}", report.table()),
    }
    Ok(())
}
