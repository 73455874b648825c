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
//! Where wanted, each attack is played on another host of the same machine too: what an honest hub suffers then, it suffers from
//! the processors that all processes share, and not from sharing a host.
//!
//! What must hold whatever the attack: no acknowledged start of an honest hub is lost, none gives the output of another,
//! nothing of theirs reaches the attacker, and the process of the host stays the same.

mod attacker;
pub mod attacks;
mod floods;
mod honest;
mod keys;
pub mod modules;
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
    /// Each attack is played on another host too, for comparison.
    pub compare: bool,
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
    /// The same while it was played on another host.
    pub elsewhere: Option<Figures>,
}

/// Runs the attacks, and fails if an honest hub has lost anything.
pub async fn run(options: &AttackOptions) -> Result<Report> {
    let mut stage = Arc::new(Stage::set().await?);
    let hubs = [stage.honest("blue")?, stage.honest("red")?];
    let elsewhere = if options.compare { Some(Arc::new(Stage::set().await?)) } else { None };
    if let Some(elsewhere) = &elsewhere {
        // There is somebody to attack, who does nothing.
        elsewhere.honest(&hubs[0].hub)?;
    }
    let honest = Honest::start(&stage, &hubs).await?;
    // The first requests compile and open what later ones find.
    honest.figures_of(options.each / 4).await;
    let alone = honest.figures_of(options.each).await;
    let mut attacks = Vec::new();
    for (group, attack) in GROUPS.iter().flat_map(|group| group.attacks.iter().map(move |attack| (group.name, attack))) {
        if format!("{group}/{}", attack.name).contains(&options.only) {
            let played = async {
                let compared = match &elsewhere {
                    Some(elsewhere) => Some(play(elsewhere, &hubs[0].hub, &honest, attack, options).await?.honest),
                    None => None,
                };
                let outcome = play(&stage, &hubs[0].hub, &honest, attack, options).await?;
                anyhow::Ok(Outcome { elsewhere: compared, ..outcome })
            };
            attacks.push(played.await.with_context(|| format!("playing the attack {}", attack.name))?);
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
    Ok(Outcome { name: attack.name, what: attack.what, got: tally.got(), held: tally.held(), honest: figures, elsewhere: None })
}

/// Fewer requests of the honest have no percentiles.
const REQUESTS_MIN: usize = 20;

/// How much slower an honest hub may be beside an attacker in the same host than beside one in another.
const TIMES_MAX: f64 = 1.5;

impl Figures {
    fn is_telling(&self) -> bool {
        self.requests >= REQUESTS_MIN
    }

    fn times(&self, than: &Figures) -> Option<[f64; 2]> {
        (self.is_telling() && than.is_telling()).then(|| [self.p50_ms / than.p50_ms, self.p99_ms / than.p99_ms])
    }
}

impl Report {
    /// One line for each attack, and one more for each further thing that the attacker got.
    pub fn table(&self) -> String {
        let times = |figures: Option<&Figures>| match figures.filter(|figures| figures.is_telling()) {
            Some(Figures { p50_ms, p99_ms, .. }) => format!("{p50_ms:>7.1} {p99_ms:>7.1}"),
            // An attack that is over at once: they say nothing.
            None => format!("{:>7} {:>7}", "-", "-"),
        };
        let line = |name: &str, held: &str, figures: &Figures, than: Option<&Figures>, got: &str| {
            let ratios = match than.and_then(|than| figures.times(than)) {
                Some([p50, p99]) => format!("{p50:>5.2} {p99:>5.2}"),
                None => format!("{:>5} {:>5}", "-", "-"),
            };
            let Figures { requests, errors, .. } = figures;
            let (here, there) = (times(Some(figures)), times(than));
            format!("{name:<19} {held:<4} {requests:>8} {errors:>6} {here} {there} {ratios}  {got}\n")
        };
        let mut table = format!("{:40} {:^15} {:^15} {:^11}\n", "", "this host", "another host", "times");
        table.push_str(&format!(
            "{:<19} {:<4} {:>8} {:>6} {:>7} {:>7} {:>7} {:>7} {:>5} {:>5}  {}\n",
            "attack", "held", "requests", "errors", "p50 ms", "p99 ms", "p50 ms", "p99 ms", "p50", "p99", "what the attacker got"
        ));
        table.push_str(&line("(none)", "", &self.alone, None, ""));
        for Outcome { name, got, held, honest, elsewhere, .. } in &self.attacks {
            let mut got = got.iter().map(|(what, count)| format!("{count} x {what}"));
            let held = if *held { "yes" } else { "NO" };
            table.push_str(&line(name, held, honest, elsewhere.as_ref(), &got.next().unwrap_or_default()));
            got.for_each(|got| table.push_str(&format!("{:86}{got}\n", "")));
        }
        for Outcome { name, honest, elsewhere, .. } in &self.attacks {
            let times = elsewhere.as_ref().and_then(|elsewhere| honest.times(elsewhere)).unwrap_or_default();
            if times.iter().any(|times| *times > TIMES_MAX) {
                table.push_str(&format!("more than {TIMES_MAX} times as slow as with the attacker in another host: {name}\n"));
            }
        }
        let all = format!("{} starts of the honest hubs were acknowledged, and all have completed\n", self.acknowledged);
        table + &all
    }
}
