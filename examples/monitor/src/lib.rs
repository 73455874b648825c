//! Monitor: an activity polls an HTTP service until a condition holds, with backoff and a deadline.

use dacapo_sdk::http;
use dacapo_sdk::prelude::*;

/// What to watch. The host of the address must be on the operator's allow-list.
#[derive(Serialize, Deserialize)]
struct Watch {
    url: String,
    /// The service is ready if it answers 200 and the reply contains this text.
    #[serde(default = "ready")]
    until_contains: String,
    /// The pause before the second poll; each further one is half as long again.
    #[serde(default = "one_second")]
    first_interval_ms: u64,
    #[serde(default = "one_minute")]
    max_interval_ms: u64,
    #[serde(default = "one_hour")]
    deadline_ms: u64,
}

fn ready() -> String {
    "ready".to_owned()
}

fn one_second() -> u64 {
    1_000
}

fn one_minute() -> u64 {
    60_000
}

fn one_hour() -> u64 {
    3_600_000
}

#[derive(Serialize, Deserialize)]
struct Report {
    ready: bool,
    polls: u64,
    last_answer: String,
}

#[derive(Serialize, Deserialize)]
struct Question {
    url: String,
    until_contains: String,
}

#[derive(Serialize, Deserialize)]
struct Answer {
    ready: bool,
    text: String,
}

#[orchestrator]
async fn monitor(ctx: Context, watch: Watch) -> Result<Report> {
    let deadline = ctx.current_utc_date_time() + Duration::from_millis(watch.deadline_ms);
    let mut interval_ms = watch.first_interval_ms;
    let mut polls = 0;
    loop {
        let question = Question { url: watch.url.clone(), until_contains: watch.until_contains.clone() };
        let answer = match ctx.call_activity::<poll_service>(question).await {
            Ok(answer) => answer,
            // A service that is down may come up; a host that is not allowed stays so.
            Err(failure) if failure.retriable => Answer { ready: false, text: failure.to_string() },
            Err(failure) => return Err(failure),
        };
        polls += 1;
        ctx.set_custom_status(format!("poll {polls}: {}", answer.text))?;
        let next = ctx.current_utc_date_time() + Duration::from_millis(interval_ms);
        if answer.ready || next > deadline {
            return Ok(Report { ready: answer.ready, polls, last_answer: answer.text });
        }
        ctx.create_timer_at(next).await?;
        interval_ms = (interval_ms * 3 / 2).min(watch.max_interval_ms);
    }
}

#[activity]
fn poll_service(question: Question) -> Result<Answer> {
    let response = http::get(&question.url)?;
    let text = response.text()?.trim();
    let ready = response.status == 200 && text.contains(&question.until_contains);
    Ok(Answer { ready, text: format!("{} {}", response.status, text.chars().take(200).collect::<String>()) })
}

dacapo_sdk::app!(monitor, poll_service);
