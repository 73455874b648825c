//! Async HTTP API: a long job. A client starts it, polls its status for the progress, and reads the result.

use dacapo_sdk::prelude::*;

/// The job: how many numbers to search for primes, and in how many parts.
#[derive(Serialize, Deserialize)]
#[serde(default)]
struct Job {
    up_to: u64,
    parts: u64,
    /// The pause between two parts, so that the progress can be watched.
    pause_ms: u64,
}

impl Default for Job {
    fn default() -> Self {
        Self { up_to: 200_000, parts: 10, pause_ms: 500 }
    }
}

/// The custom status, which a client polls.
#[derive(Serialize)]
struct Progress {
    percent: u64,
    primes_so_far: u64,
    started_at: Timestamp,
}

#[derive(Serialize, Deserialize)]
struct Report {
    primes: u64,
    seconds: f64,
}

#[derive(Serialize, Deserialize)]
struct Part {
    from: u64,
    to: u64,
}

#[orchestrator]
async fn long_job(ctx: Context, job: Option<Job>) -> Result<Report> {
    let job = job.unwrap_or_default();
    if job.parts == 0 || job.up_to < job.parts {
        return Err(Failure::new("InvalidJob", "`parts` must be between 1 and `up_to`").not_retriable());
    }
    let started_at = ctx.current_utc_date_time();
    let mut primes = 0;
    for part in 0..job.parts {
        let percent = 100 * part / job.parts;
        ctx.set_custom_status(Progress { percent, primes_so_far: primes, started_at })?;
        let (from, to) = (job.up_to * part / job.parts, job.up_to * (part + 1) / job.parts);
        primes += ctx.call_activity::<count_primes>(Part { from, to }).await?;
        ctx.create_timer(Duration::from_millis(job.pause_ms)).await?;
    }
    ctx.set_custom_status(Progress { percent: 100, primes_so_far: primes, started_at })?;
    Ok(Report { primes, seconds: (ctx.current_utc_date_time() - started_at).as_secs_f64() })
}

/// Returns the number of primes from `from` to `to`, exclusive.
#[activity]
fn count_primes(part: Part) -> u64 {
    let is_prime = |n: &u64| *n >= 2 && (2..).take_while(|d| d * d <= *n).all(|d| !n.is_multiple_of(d));
    (part.from..part.to).filter(is_prime).count() as u64
}

dacapo_sdk::app!(long_job, count_primes);
