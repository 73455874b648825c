//! Eternal orchestration: cleans up, sleeps, and continues as new with an empty history, until an event stops it.

use dacapo_sdk::prelude::*;

#[derive(Serialize, Deserialize)]
#[serde(default)]
struct State {
    interval_ms: u64,
    /// Stops after this many rounds; without it, never.
    max_rounds: Option<u64>,
    rounds: u64,
    removed: u64,
}

impl Default for State {
    fn default() -> Self {
        Self { interval_ms: 3_600_000, max_rounds: None, rounds: 0, removed: 0 }
    }
}

#[derive(Serialize, Deserialize)]
struct Report {
    rounds: u64,
    removed: u64,
    stopped_by: String,
}

#[orchestrator]
async fn periodic_cleanup(ctx: Context, state: Option<State>) -> Result<Report> {
    let mut state = state.unwrap_or_default();
    state.removed += ctx.call_activity::<clean_up>(state.rounds).await?;
    state.rounds += 1;
    ctx.set_custom_status(format!("{} rounds, {} files removed", state.rounds, state.removed))?;
    if state.max_rounds.is_some_and(|max| state.rounds >= max) {
        return Ok(Report { rounds: state.rounds, removed: state.removed, stopped_by: "max_rounds".to_owned() });
    }
    let interval = Duration::from_millis(state.interval_ms);
    match ctx.wait_for_external_event::<Option<String>>("Stop").timeout(interval).await? {
        Some(reason) => {
            let stopped_by = reason.unwrap_or_else(|| "the event `Stop`".to_owned());
            Ok(Report { rounds: state.rounds, removed: state.removed, stopped_by })
        }
        None => ctx.continue_as_new(state),
    }
}

/// Stands in for the removal of old files. Returns how many were removed.
#[activity]
fn clean_up(round: u64) -> u64 {
    round % 3
}

dacapo_sdk::app!(periodic_cleanup, clean_up);
