//! Async HTTP API: a long job. A client starts it, polls its status for the progress, and reads the result.
//!
//! ```sh
//! curl -i -X POST 'http://127.0.0.1:7071/api/jobs?up_to=1000000'    # 202: the body has the links, `Location` the status
//! curl -i http://127.0.0.1:7071/api/jobs/ID                         # 202 with the progress, then 200 with the result
//! curl -i -X POST http://127.0.0.1:7071/api/jobs/wait               # 200 with the result, if that comes within ten seconds
//! ```

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

/// Starts a job and answers at once. The job is the JSON in the body, or is described by the query.
#[http_trigger(route = "jobs", methods = ["POST"])]
fn start_job(ctx: TriggerContext, request: Request) -> Result<Response> {
    let id = ctx.client().start_orchestration::<long_job>(Some(job(&request)?)).start()?;
    ctx.client().create_check_status_response(&id)
}

/// Starts a job and answers with its result if that comes soon, otherwise like `start_job`.
#[http_trigger(route = "jobs/wait", methods = ["POST"])]
fn run_job(ctx: TriggerContext, request: Request) -> Result<Response> {
    let id = ctx.client().start_orchestration::<long_job>(Some(job(&request)?)).start()?;
    ctx.client().wait_for_completion_or_create_check_status_response(&id, Duration::from_secs(10))
}

fn job(request: &Request) -> Result<Job> {
    if request.body().is_empty() { request.query().parse() } else { request.json() }
}

/// Shows the progress of a job, or its result.
#[http_trigger(route = "jobs/{id}", methods = ["GET"])]
fn show_job(ctx: TriggerContext, request: Request) -> Result<Response> {
    let id = request.params().get("id").unwrap_or_default();
    let Some(job) = ctx.client().get_status(id)? else {
        return Ok(Response::new(404).text(format!("there is no job {id}")));
    };
    match job.runtime_status.is_ended() {
        true => Response::new(200).json(&json!({ "status": job.runtime_status, "result": job.output })),
        false => Response::new(202).header("retry-after", "1").json(&json!({ "progress": job.custom_status })),
    }
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

dacapo_sdk::app!(start_job, run_job, show_job, long_job, count_primes);

#[cfg(test)]
mod tests {
    use dacapo_sdk::testing::{ClientCall, ScriptedClient};
    use dacapo_sdk::{OrchestrationStatus, RuntimeStatus};

    use super::*;

    fn context(hub: &ScriptedClient) -> TriggerContext {
        TriggerContext::for_test("start_job", hub.client())
    }

    #[test]
    fn a_job_is_started_from_the_body_or_the_query() {
        let hub = ScriptedClient::new();
        let url = "http://localhost:7071/api/jobs";
        let by_body = Request::new("POST", url).with_json(&json!({ "up_to": 10 })).unwrap();
        let by_query = Request::new("POST", &format!("{url}?up_to=10"));
        for request in [by_body, by_query] {
            let response = start_job(context(&hub), request).unwrap();
            assert_eq!(response.status, 202);
            assert!(response.get_header("location").unwrap().contains("/instances/instance-"));
        }
        let inputs = hub.calls().into_iter().filter_map(|call| match call {
            ClientCall::StartOrchestration { input, .. } => Some(input),
            _ => None,
        });
        let job = json!({ "up_to": 10, "parts": 10, "pause_ms": 500 });
        assert_eq!(inputs.collect::<Vec<_>>(), [job.clone(), job]);
    }

    #[test]
    fn a_job_that_cannot_be_read_is_refused() {
        let request = Request::new("POST", "http://localhost:7071/api/jobs?up_to=many");
        let failure = start_job(context(&ScriptedClient::new()), request).unwrap_err();
        assert!(failure.is("BadRequest") && failure.message.contains("`many` is not a u64"), "{failure}");
    }

    #[test]
    fn a_job_is_shown() {
        let show = |status: Option<OrchestrationStatus>| {
            let hub = status.into_iter().fold(ScriptedClient::new(), ScriptedClient::instance);
            let request = Request::new("GET", "http://localhost:7071/api/jobs/j").with_param("id", "j");
            let response = show_job(context(&hub), request).unwrap();
            (response.status, response.body_text().unwrap().to_owned())
        };
        assert_eq!(show(None), (404, "there is no job j".to_owned()));
        let mut job = OrchestrationStatus::new("long_job", "j");
        job.custom_status = json!({ "percent": 50 });
        assert_eq!(show(Some(job.clone())), (202, r#"{"progress":{"percent":50}}"#.to_owned()));
        (job.runtime_status, job.output) = (RuntimeStatus::Completed, json!({ "primes": 4 }));
        let shown: Value = show(Some(job)).1.parse().unwrap();
        assert_eq!(shown, json!({ "status": "Completed", "result": { "primes": 4 } }));
    }
}
