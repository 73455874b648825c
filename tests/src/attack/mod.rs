//! The attack suite: one host, two honest task hubs under a steady load, and an attacker that plays one attack after the other.
//! The host requires keys; the attacker has a key of its own hub only, a new hub for each attack.
//!
//! ```text
//!   Stage: host ◀── Honest (hub a, hub b): every request due at its time, its output known
//!            ▲
//!            └───── Attack, one at a time, each for the same time ─▶ Outcome: what the attacker got, whether it was held
//! ```
//!
//! - [`attacks`]: the table of all attacks. Each says what counts as held.
//! - [`stage`]: the host, its hubs, and what must hold after every attack.
//! - [`watch`]: inspects all bytes that reach the attacker, and finds data of others.
//! - [`servers`]: the servers that activities connect to, granted or not.
//! - [`modules`]: wasm files that no compiler would produce.
//! - [`triggers`]: what HTTP triggers, queues and schedules open.
//! - [`honest`]: the load, whose latencies and outputs are measured.
//!
//! With `compare`, each attack is also played on another host of the same machine: what an honest hub suffers then is caused by
//! sharing the processors, and not by sharing a host.
//!
//! Whatever the attack, these must hold: no acknowledged start of an honest hub is lost, none has the output of another, none of
//! its data reaches the attacker, and the process of the host does not end.

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
mod triggers;
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
    /// The duration of each attack, and of the measurement without one.
    pub each: Duration,
    /// The most players of one attack at a time.
    pub players_max: usize,
    /// Only attacks whose name, such as `computing/loop`, contains this text.
    pub only: String,
    /// Whether each attack is also played on another host, for comparison.
    pub compare: bool,
}

/// The result of the whole suite.
#[derive(Debug, Serialize)]
pub struct Report {
    /// The honest hubs without an attack.
    pub alone: Figures,
    pub attacks: Vec<Outcome>,
    /// Starts of the honest hubs that were acknowledged; all of them have completed.
    pub acknowledged: usize,
}

/// The result of one attack.
#[derive(Debug, Serialize)]
pub struct Outcome {
    pub name: &'static str,
    pub what: &'static str,
    /// What the attacker got, with the number of times.
    pub got: Vec<(String, usize)>,
    pub held: bool,
    /// The honest hubs during the attack.
    pub honest: Figures,
    /// The honest hubs while it was played on another host.
    pub elsewhere: Option<Figures>,
}

/// Runs the attacks, and fails if an honest hub has lost anything.
pub async fn run(options: &AttackOptions) -> Result<Report> {
    let mut stage = Stage::set().await?;
    let hubs = [stage.honest("blue")?, stage.honest("red")?];
    let mut stage = Arc::new(stage);
    let elsewhere = match options.compare {
        true => {
            let mut elsewhere = Stage::set().await?;
            // The other host needs a victim too, but without load.
            elsewhere.honest(&hubs[0].hub)?;
            Some(Arc::new(elsewhere))
        }
        false => None,
    };
    let honest = Honest::start(&stage, &hubs).await?;
    // The first requests compile code and open hubs.
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
    // Taken after the attacker has left, so that most requests that were due meanwhile have been answered.
    let figures = honest.figures(begin, end);
    eprintln!("{:>6.1} s  {}: {}", entered.elapsed().as_secs_f64(), attack.name, attack.what);
    Ok(Outcome { name: attack.name, what: attack.what, got: tally.got(), held: tally.held(), honest: figures, elsewhere: None })
}

/// With fewer requests, percentiles are not shown.
const REQUESTS_MIN: usize = 20;

/// How many times slower an honest hub may be with the attacker on its host than with the attacker on another.
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
            // The attack ended too soon for percentiles.
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
                table.push_str(&format!("over {TIMES_MAX} times slower than with the attacker on another host: {name}\n"));
            }
        }
        let all = format!("{} starts of the honest hubs were acknowledged, and all have completed\n", self.acknowledged);
        table + &all
    }
}
