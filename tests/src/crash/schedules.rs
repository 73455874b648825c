//! Schedules of one second while the host is killed: some are made before the first kill, some between the kills, and one is a
//! timer trigger.
//!
//! What must hold: from when a schedule was made until it was paused, each second has started one instance, with the id of that
//! second, which has run once. A timer trigger runs one at a time: a second is skipped if its run is still going on.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::Report;
use super::queues::wait_until;
use crate::host::{Answer, Host};
use crate::trigger_guest;

/// Schedules that are made between the kills, at most.
const LATER_MAX: usize = 8;

/// The orchestrator that the timer trigger starts.
pub const OF_TIMER: &str = "ticked";
const TIMER: &str = "timer:tick";

#[derive(Default)]
pub struct Schedules {
    names: Mutex<Vec<String>>,
}

impl Schedules {
    /// Deploys the timer trigger, and makes the first schedules.
    pub fn start(host: &Host) -> Result<Self> {
        let timer = r#"[{"type":"timerTrigger","direction":"in","name":"timer","schedule":"* * * * * *"}]"#;
        host.deploy("timer", &trigger_guest::module(OF_TIMER, &[("tick", timer)]))?;
        let schedules = Schedules::default();
        for _ in 0..2 {
            let made = schedules.make(|path, body| {
                host.request("POST", &format!("/runtime/webhooks/{path}"), Some(body.to_string().as_bytes())).ok()
            });
            ensure!(made, "the first schedules are not made");
        }
        Ok(schedules)
    }

    /// Makes one more schedule, unless there are enough. `post` sends a request, and returns the response if there was one.
    pub fn make(&self, post: impl Fn(&str, &Value) -> Option<Answer>) -> bool {
        let mut names = self.names.lock().expect("no holder of this lock panics");
        if names.len() >= LATER_MAX {
            return false;
        }
        let number = names.len();
        let name = format!("each-second-{number}");
        let mut specification = json!({ "orchestrator": "occurred", "input": name, "overlap": "allowAll" });
        match number % 2 {
            0 => specification["cron"] = json!("* * * * * *"),
            _ => specification["interval"] = json!(1),
        }
        // Repeated until there is a response: it may be made already.
        loop {
            let answer = post(&format!("durabletask/schedules/{name}"), &specification);
            match answer.map(|answer| answer.status) {
                Some(201 | 409) => break,
                _ => std::thread::sleep(Duration::from_millis(20)),
            }
        }
        names.push(name);
        true
    }

    /// Pauses the schedules, and checks what they have started.
    pub fn check(&self, host: &Host, report: &mut Report) -> Result<()> {
        let names = self.names.lock().expect("no holder of this lock panics");
        for name in names.iter() {
            let Seconds { run: seconds, skipped } = check_seconds(host, name, "occurred")?;
            ensure!(skipped == 0, "{name} has skipped {skipped} seconds");
            wait_until(host, "the instances have not run once each", || {
                let counter = host.manage("GET", &format!("entities/counter/occurred-{name}"), None)?;
                let is_right = counter.status == 200 && counter.json()["value"] == json!(seconds);
                Ok(is_right.then_some(()).ok_or_else(|| format!("{name} has {seconds} seconds: {counter:?}")))
            })?;
            report.occurrences += seconds;
        }
        report.schedules = names.len() + 1;
        let of_timer = check_seconds(host, TIMER, "BuiltIn::Call")?;
        (report.timer_runs, report.timer_skipped) = (of_timer.run, of_timer.skipped);
        report.occurrences += of_timer.run;
        Ok(())
    }
}

/// What has become of the seconds that a schedule was active.
struct Seconds {
    run: usize,
    skipped: usize,
}

/// Pauses a schedule, and checks that each second that it was active has started an instance, or was skipped.
fn check_seconds(host: &Host, name: &str, function: &str) -> Result<Seconds> {
    let answer = host.manage("POST", &format!("schedules/{name}/pause?note=enough"), None)?;
    ensure!(answer.status == 200, "pausing {name}: {answer:?}");
    let schedule = answer.json();
    let time = |member: &str| -> Result<i64> {
        let text = schedule[member].as_str().with_context(|| format!("{name} has no {member}"))?;
        Ok(DateTime::parse_from_rfc3339(text)?.timestamp())
    };
    // A time between two seconds is rounded down: the first one that counts is the next, and the last one is over.
    let expected: BTreeSet<String> = (time("createdTime")? + 1..=time("lastUpdatedTime")?)
        .map(|second| {
            format!("{name}:{}", DateTime::<Utc>::from_timestamp(second, 0).unwrap_or_default().format("%Y%m%dT%H%M%SZ"))
        })
        .collect();
    ensure!(expected.len() < 1_000, "a page does not hold the {} instances of {name}", expected.len());
    let decided = |member: &str| schedule["occurrences"][member].as_u64().unwrap_or_default() as usize;
    let seconds = Seconds { run: decided("run"), skipped: decided("skipped") };
    let is_decided = seconds.run + seconds.skipped == expected.len() && decided("missed") + decided("buffered") == 0;
    ensure!(is_decided, "{name} was active for {} seconds: {schedule}", expected.len());
    wait_until(host, "not every second has started an instance", || {
        let path = format!("instances?functionName={function}&instanceIdPrefix={name}:&showInput=false");
        let list = host.manage("GET", &path, None)?.json();
        let started: BTreeSet<String> =
            list.as_array().into_iter().flatten().filter_map(|status| Some(status["instanceId"].as_str()?.to_owned())).collect();
        let is_right = started.len() == seconds.run && started.is_subset(&expected);
        let different: Vec<&String> = started.symmetric_difference(&expected).collect();
        Ok(is_right.then_some(()).ok_or_else(|| format!("{} ran: {different:?}", seconds.run)))
    })?;
    Ok(seconds)
}
