//! The attack suite: one host, two honest task hubs under a steady load, and an attacker who tries one thing after the
//! other. The host asks for keys; the attacker has one of a hub of its own, a new hub for each attack.
//!
//! ```text
//!   Stage: host ◀── Honest (hub a, hub b): every request due at its time, its output known
//!            ▲
//!            └───── Attack, one at a time, for so many seconds each ─▶ Outcome: what the attacker got, whether it was held
//! ```
//!
//! - [`attacks`]: the table of all attacks. Each says what counts as held.
//! - [`stage`]: the host, its hubs, and what must hold after every attack.
//! - [`watch`]: reads all that reaches the attacker, and finds what is not its own.
//! - [`servers`]: what activities reach for, granted or not.
//! - [`modules`]: files that no compiler would write.
//! - [`honest`]: the load whose times and answers are what matters.
//!
//! What must hold whatever the attack: no acknowledged start of an honest hub is lost, none gives the output of another,
//! nothing of theirs reaches the attacker, and the process of the host stays the same.

mod attacker;
pub mod attacks;
mod floods;
mod honest;
mod keys;
mod modules;
mod paths;
mod reach;
mod secrets;
mod servers;
mod smuggling;
mod stage;
mod watch;

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use serde::Serialize;

use attacker::Attacker;
use attacks::{Attack, GROUPS};
use honest::{Figures, Honest};
use stage::Stage;

/// How to run the suite.
pub struct AttackOptions {
    /// How long each attack lasts, and the time without one.
    pub each: Duration,
    /// No attack is played by more than so many players at once.
    pub players_max: usize,
    /// Only attacks whose name, such as `computing/loop`, contains this text.
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
    let mut stage = Arc::new(Stage::set().await?);
    let hubs = [stage.honest("blue")?, stage.honest("red")?];
    let honest = Honest::start(&stage, &hubs).await?;
    // The first requests compile and open what later ones find.
    honest.figures_of(options.each / 4).await;
    let alone = honest.figures_of(options.each).await;
    let mut attacks = Vec::new();
    for (group, attack) in GROUPS.iter().flat_map(|group| group.attacks.iter().map(move |attack| (group.name, attack))) {
        if format!("{group}/{}", attack.name).contains(&options.only) {
            let outcome = play(&stage, &hubs[0].hub, &honest, attack, options).await;
            attacks.push(outcome.with_context(|| format!("playing the attack {}", attack.name))?);
            let stage = Arc::get_mut(&mut stage).context("an attacker is left")?;
            stage.check().with_context(|| format!("after the attack {}", attack.name))?;
        }
    }
    Ok(Report { alone, attacks, acknowledged: honest.stop().await? })
}

async fn play(
    stage: &Arc<Stage>,
    victim: &str,
    honest: &Honest,
    attack: &'static Attack,
    options: &AttackOptions,
) -> Result<Outcome> {
    let entered = Instant::now();
    let attacker = Attacker::enter(stage.clone(), victim, attack).await?;
    let begin = Instant::now();
    let tally = attacker.play(attack, options.players_max, begin + options.each).await?;
    let end = Instant::now();
    attacker.leave().await?;
    // Later, so that what was due while it lasted has mostly been answered.
    let figures = honest.figures(begin, end);
    eprintln!("{:>6.1} s  {}: {}", entered.elapsed().as_secs_f64(), attack.name, attack.what);
    Ok(Outcome { name: attack.name, what: attack.what, got: tally.got(), held: tally.held(), honest: figures })
}

/// Fewer requests of the honest have no percentiles.
const REQUESTS_MIN: usize = 20;

impl Report {
    /// One line for each attack, and one more for each further thing that the attacker got.
    pub fn table(&self) -> String {
        let line = |name: &str, held: &str, figures: &Figures, got: &str| {
            let Figures { requests, errors, p50_ms, p99_ms } = figures;
            let times = match *requests {
                // An attack that is over at once: they say nothing.
                ..REQUESTS_MIN => format!("{:>7} {:>7} {:>6}", "-", "-", "-"),
                _ => format!("{p50_ms:>7.1} {p99_ms:>7.1} {:>6.2}", p99_ms / self.alone.p99_ms),
            };
            format!("{name:<17} {held:<4} {requests:>8} {errors:>6} {times}  {got}\n")
        };
        let mut table = format!(
            "{:<17} {:<4} {:>8} {:>6} {:>7} {:>7} {:>6}  {}\n",
            "attack", "held", "requests", "errors", "p50 ms", "p99 ms", "times", "what the attacker got"
        );
        table.push_str(&line("(none)", "", &self.alone, ""));
        for Outcome { name, got, held, honest, .. } in &self.attacks {
            let mut got = got.iter().map(|(what, count)| format!("{count} x {what}"));
            let held = if *held { "yes" } else { "NO" };
            table.push_str(&line(name, held, honest, &got.next().unwrap_or_default()));
            got.for_each(|got| table.push_str(&format!("{:63}{got}\n", "")));
        }
        let all = format!("{} starts of the honest hubs were acknowledged, and all have completed\n", self.acknowledged);
        table + &all
    }
}
