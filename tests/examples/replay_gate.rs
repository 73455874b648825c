//! How fast the replay gate is: waiting instances with long histories, replayed against a version of their app.
//!
//! `cargo run --release -p dacapo-tests --example replay_gate [INSTANCES] [STEPS]`; 200 instances of 100 steps unless said
//! otherwise. A step of a chain is three events in its history.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use dacapo::config::Settings;
use dacapo::hub::{Candidate, GateNews, StartRequest, Totals, Traffic, Which};
use dacapo_core::{FunctionName, InstanceId};

#[tokio::main]
async fn main() -> Result<()> {
    let number = |position: usize, default: usize| -> Result<usize> {
        std::env::args().nth(position).map_or(Ok(default), |text| text.parse().with_context(|| format!("'{text}'")))
    };
    let (instances, steps) = (number(1, 200)?, number(2, 100)?);
    let directory = tempfile::tempdir()?;
    let settings = Settings { data: directory.path().to_owned(), ..Settings::default() };
    let hub = dacapo::serve::open_hub(&settings)?;
    let module = dacapo_tests::guest("fixture-probe")?;
    hub.deploy("probe", "1.0", module.clone(), Traffic::All).await?;

    for number in 0..instances {
        let (name, id) = (FunctionName::new("chain_then_wait")?, Some(InstanceId::orchestration(&format!("chain-{number}"))?));
        let input = steps.to_string().as_str().into();
        hub.start_new(StartRequest { name, id, input, version: String::new(), start_at: None }).await?;
    }
    // Each turn but the first takes in one result.
    let began = Instant::now();
    let turns = (instances * (steps + 1)) as u64;
    while hub.stats()?.turns < turns {
        ensure!(began.elapsed() < Duration::from_secs(600), "the chains do not come to their end");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    println!("{instances} instances of {steps} steps, made in {:.1?}", began.elapsed());

    for (what, candidate) in [
        ("the version that they run on", Candidate::Deployed("1.0".into())),
        ("a file that is not deployed", Candidate::Module([&module[..], b"\0\x03\x02v2"].concat())),
    ] {
        let mut news = hub.check("probe", candidate, Which::All).await?;
        let mut totals = Totals::default();
        while let Some(heard) = news.recv().await {
            if let GateNews::Done(done) = heard {
                totals = done;
            }
        }
        ensure!(totals.passed == instances as u64, "{totals:?}");
        let seconds = totals.elapsed.as_secs_f64();
        println!(
            "{what}: {:.0} events/s, {:.0} instances/s ({} events in {seconds:.2} s)",
            totals.events as f64 / seconds,
            totals.passed as f64 / seconds,
            totals.events,
        );
    }
    hub.shutdown(Duration::ZERO).await;
    Ok(())
}
