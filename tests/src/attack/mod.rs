//! The attack suite: one host, two honest task hubs under a steady load, and an attacker who tries one thing after the
//! other.
//!
//! ```text
//!   Stage: host ◀── Honest (hub a, hub b): every request due at its time, its output known
//!            ▲
//!            └───── Attack, one at a time, for so many seconds each ─▶ Outcome: what the attacker got, whether it was held
//! ```
//!
//! - [`attacks`]: the table of all attacks. Each says what counts as held.
//! - [`modules`]: files that no compiler would write.
//! - [`honest`]: the load whose times and answers are what matters.
//!
//! What must hold whatever the attack: no acknowledged start of an honest hub is lost, none gives the output of another,
//! and the process of the host stays the same.

mod attacker;
pub mod attacks;
mod honest;
mod modules;
mod requests;

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde::Serialize;

use crate::host::Host;
use attacker::Attacker;
use attacks::Attack;
use honest::{Figures, Honest};

/// How to run the suite.
pub struct AttackOptions {
    /// How long each attack lasts, and the time without one.
    pub each: Duration,
    /// Only attacks whose name contains this text.
    pub only: String,
}

/// What came of all attacks.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Without an attack.
    pub alone: Figures,
    pub attacks: Vec<Outcome>,
    /// Starts of the honest hubs that were acknowledged; all of them have completed.
    pub acknowledged: usize,
}

/// What came of one attack.
#[derive(Debug, Serialize)]
pub struct Outcome {
    pub name: &'static str,
    pub what: &'static str,
    /// What the attacker got, each with how often.
    pub got: Vec<(String, usize)>,
    pub held: bool,
    /// The honest hubs while it lasted.
    pub honest: Figures,
}

/// Runs the attacks, and fails if an honest hub has lost anything.
pub async fn run(options: &AttackOptions) -> Result<Report> {
    let (mut host, _directory) = Host::temporary(&SETTINGS)?;
    let pid = host.pid();
    let honest = Honest::start(&host, &["a", "b"]).await?;
    let attacker = Attacker::enter(&host)?;
    // The first requests compile and open what later ones find.
    honest.figures_of(options.each / 4).await;
    let alone = honest.figures_of(options.each).await;
    let mut outcomes = Vec::new();
    for attack in attacks::ATTACKS.iter().filter(|attack| attack.name.contains(&options.only)) {
        outcomes.push(stage(&host, &attacker, &honest, attack, options.each).await?);
    }
    let acknowledged = honest.stop(&host).await?;
    ensure!(host.pid() == pid && host.is_running()?, "the host has died:\n{}", host.log());
    ensure!(!host.log().contains("panicked at host/"), "the host has panicked:\n{}", host.log());
    Ok(Report { alone, attacks: outcomes, acknowledged })
}

/// Limits that an attack meets within seconds. They are those of all hubs: an honest one stays far below.
const SETTINGS: [&str; 9] = [
    "--set=limits.activity_seconds=2",
    "--set=limits.fuel_per_turn=500000000",
    "--set=limits.history_events=5000",
    "--set=limits.compile_seconds=10",
    "--set=http.connections_per_address=256",
    "--set=http.head_seconds=2",
    "--set=http.stall_seconds=2",
    "--log=warn",
    "--set=limits.instances_alive=20000",
];

async fn stage(
    host: &Host,
    attacker: &Arc<Attacker>,
    honest: &Honest,
    attack: &'static Attack,
    each: Duration,
) -> Result<Outcome> {
    eprintln!("{}: {}", attack.name, attack.what);
    let begin = Instant::now();
    let tally = attacker.play(attack, begin + each).await.with_context(|| format!("playing the attack {}", attack.name))?;
    let end = Instant::now();
    attacker.leave().await.with_context(|| format!("cleaning up after the attack {}", attack.name))?;
    // Later, so that what was due while it lasted has mostly been answered.
    let figures = honest.figures(begin, end);
    ensure!(host.log().matches("panicked at host/").count() == 0, "{} made the host panic:\n{}", attack.name, host.log());
    let (got, held) = (tally.got(), tally.held());
    Ok(Outcome { name: attack.name, what: attack.what, got, held, honest: figures })
}

impl Report {
    /// One line for each attack.
    pub fn table(&self) -> String {
        let line = |name: &str, held: &str, figures: &Figures, got: &str| {
            let Figures { requests, errors, p50_ms, p99_ms } = figures;
            format!(
                "{name:<28} {held:<5} {requests:>8} {errors:>6} {p50_ms:>9.1} {p99_ms:>9.1} {:>6.2}  {got}\n",
                p99_ms / self.alone.p99_ms
            )
        };
        let header = format!(
            "{:<28} {:<5} {:>8} {:>6} {:>9} {:>9} {:>6}  {}\n",
            "attack", "held", "requests", "errors", "p50 ms", "p99 ms", "times", "what the attacker got"
        );
        let alone = line("(none)", "", &self.alone, "");
        let attacks = self.attacks.iter().map(|outcome| {
            let got = outcome.got.iter().map(|(what, count)| format!("{count} x {what}")).collect::<Vec<_>>().join("; ");
            line(outcome.name, if outcome.held { "yes" } else { "NO" }, &outcome.honest, &got)
        });
        let all = format!("{} starts of the honest hubs were acknowledged, and all have completed\n", self.acknowledged);
        [header, alone].into_iter().chain(attacks).chain([all]).collect()
    }
}
