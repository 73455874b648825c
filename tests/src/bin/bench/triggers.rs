//! What sets functions of apps off: HTTP requests, messages of queues, schedules. Each is compared with starts of an orchestration by
//! the host's own starter, measured on the same host in the same run.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use dacapo_tests::connection::Connection;
use dacapo_tests::host::Host;
use dacapo_tests::languages::{Language, build};
use futures::future::try_join_all;
use hyper::Method;
use serde_json::{Value, json};

use super::engine::memory_megabytes;
use super::load::{Ask, Load};
use super::{Bench, percentile};

/// The apps with the same triggers, in each language.
const APPS: [(&str, Language); 3] =
    [("rust", Language::Rust), ("javascript", Language::JavaScript), ("python", Language::Python)];

const PING: Ask = Ask { method: Method::GET, path: "/api/ping", body: "", status: 200 };
const START: Ask = Ask { method: Method::POST, path: "/api/start", body: "1", status: 202 };
const STARTER: Ask = Ask { method: Method::POST, path: "/api/orchestrators/repeat", body: "1", status: 202 };

const CONNECTIONS: usize = 64;

const QUEUES: &str = "/runtime/webhooks/queues";

/// The messages of one request, where several are sent at once.
const BATCH: usize = 100;

/// The schedules that occur in the same second.
const AT_ONCE: usize = 1_000;

/// Seconds between their occurrences.
const INTERVAL: u64 = 5;

const DAY: usize = 86_400;

impl Bench {
    /// Round trips of HTTP triggers, each of which runs in a fresh instance.
    pub(super) async fn triggers(&mut self) -> Result<()> {
        for (name, language) in APPS {
            self.triggers_in(name, language).await.with_context(|| format!("measuring the triggers in {name}"))?;
        }
        Ok(())
    }

    async fn triggers_in(&mut self, name: &str, language: Language) -> Result<()> {
        let mut host = self.host(&format!("triggers-{name}"), &[])?;
        host.deploy("triggers", &app(name, language)?)?;
        for connections in [1, CONNECTIONS] {
            let starts = self.rate_of(&host, connections, STARTER).await?;
            self.add(format!("triggers: {name}: the host's starter, {connections} kept open"), starts, "1/s");
            for (what, ask) in [("answers", PING), ("starts the same", START)] {
                let rate = self.rate_of(&host, connections, ask).await?;
                self.add(format!("triggers: {name}: a trigger {what}, {connections} kept open"), rate, "1/s");
                self.add(format!("triggers: {name}: the same / the host's starter"), rate / starts, "x");
            }
        }
        host.stop()?;
        Ok(())
    }

    /// Requests answered per second.
    async fn rate_of(&self, host: &Host, connections: usize, ask: Ask) -> Result<f64> {
        let load = Load::of(host.url(), connections, ask).await?;
        load.rate(self.length() / 5).await;
        let rate = load.rate(self.length()).await;
        load.stop().await?;
        Ok(rate)
    }

    /// Messages put into a queue, each acknowledged when it is durable; and through it, to a trigger that takes them.
    pub(super) async fn queues(&mut self, messages: usize) -> Result<()> {
        let mut host = self.host("queues", &["fixture-probe"])?;
        let path = "/api/orchestrators/echo_orchestrator";
        let starts = self.rate_of(&host, CONNECTIONS, Ask { path, ..STARTER }).await?;
        self.add(format!("queues: the host's starter, {CONNECTIONS} kept open"), starts, "1/s");
        for (what, batch) in [("one a request", 1), ("a hundred a request", BATCH)] {
            let body = json!(vec!["a message"; batch]).to_string();
            let bodies = (0..messages / batch).map(|_| (format!("{QUEUES}/messages"), body.clone()));
            let rate = post_all(&host, bodies.collect(), 202).await? * batch as f64;
            self.add(format!("queues: messages in, {what}, {CONNECTIONS} kept open"), rate, "1/s");
            self.add("queues: the same / the host's starter", rate / starts, "x");
        }
        let waiting = left(&host)?;
        ensure!(waiting == 2 * messages as u64, "{waiting} messages wait, of {}", 2 * messages);
        let begin = Instant::now();
        host.deploy_guest("fixture-triggers-rust")?;
        all_taken(&host).await?;
        let rate = waiting as f64 / begin.elapsed().as_secs_f64();
        self.add(format!("queues: {waiting} messages that waited, taken by a new trigger in Rust"), rate, "1/s");
        self.add("queues: the same / the host's starter", rate / starts, "x");
        let body = json!(vec!["a message"; BATCH]).to_string();
        let bodies = (0..messages / BATCH).map(|_| (format!("{QUEUES}/messages"), body.clone()));
        let begin = Instant::now();
        post_all(&host, bodies.collect(), 202).await?;
        all_taken(&host).await?;
        let rate = messages as f64 / begin.elapsed().as_secs_f64();
        self.add(format!("queues: {messages} messages in and through to the trigger"), rate, "1/s");
        self.add("queues: the same / the host's starter", rate / starts, "x");
        host.stop()?;
        Ok(())
    }

    /// Schedules that wait for their time of the day, and beside them some that all occur in the same second.
    pub(super) async fn schedules(&mut self, count: usize) -> Result<()> {
        let mut host = self.host("schedules", &["fixture-triggers-rust"])?;
        let starts = self.rate_of(&host, CONNECTIONS, STARTER).await?;
        self.add(format!("schedules: the host's starter, {CONNECTIONS} kept open"), starts, "1/s");
        let at_once = AT_ONCE.min(count / 2);
        let empty = memory_megabytes(host.pid(), "RssAnon:")?;
        let daily = |number: usize| {
            let schedule = json!({ "orchestrator": "repeat", "interval": DAY, "phase": number * DAY / count });
            (schedule_path(&format!("daily-{number}")), schedule.to_string())
        };
        let made = post_all(&host, (0..count - at_once).map(daily).collect(), 201).await?;
        self.add(format!("schedules: {} made", count - at_once), made, "1/s");
        self.add("schedules: the same / the host's starter", made / starts, "x");
        let memory = memory_megabytes(host.pid(), "RssAnon:")? - empty;
        self.add("schedules: memory for them", memory, "MB");
        self.add("schedules: the same / that of the host without them", memory / empty, "x");

        let often = json!({ "orchestrator": "repeat", "interval": INTERVAL, "overlap": "allowAll" }).to_string();
        let names: Vec<String> = (0..at_once).map(|number| schedule_path(&format!("often-{number}"))).collect();
        post_all(&host, names.iter().map(|name| (name.clone(), often.clone())).collect(), 201).await?;
        // All of them have occurred twice at least.
        tokio::time::sleep(Duration::from_secs(3 * INTERVAL)).await;
        let mut late = Vec::new();
        for name in &names {
            let shown = host.request("GET", name, None)?.json();
            let runs = shown["recent"].as_array().filter(|runs| runs.len() >= 2);
            for run in runs.with_context(|| format!("a schedule has not occurred: {shown}"))? {
                late.push(late_seconds(run).with_context(|| format!("no times: {run}"))?);
            }
        }
        for (what, percent) in [("median", 50), ("99th percentile", 99), ("latest", 100)] {
            let late = percentile(&mut late, percent);
            self.add(format!("schedules: {at_once} in one second, started late: {what}"), late * 1e3, "ms");
            let name = "schedules: the same / the time in which clients start as many";
            self.add(name, late * starts / at_once as f64, "x");
        }
        host.stop()?;
        Ok(())
    }
}

fn app(name: &str, language: Language) -> Result<Vec<u8>> {
    match language {
        Language::Rust => dacapo_tests::guest("fixture-triggers-rust"),
        language => Ok(std::fs::read(build(language, &format!("tests/fixtures/triggers/{name}"))?)?),
    }
}

fn schedule_path(name: &str) -> String {
    format!("/runtime/webhooks/durabletask/schedules/{name}")
}

/// Waits until no message is left.
async fn all_taken(host: &Host) -> Result<()> {
    loop {
        let asked = Instant::now();
        if left(host)? == 0 {
            return Ok(());
        }
        // To count them reads all, which must not slow them down.
        tokio::time::sleep((20 * asked.elapsed()).min(Duration::from_secs(1))).await;
    }
}

/// The messages that wait, of all queues.
fn left(host: &Host) -> Result<u64> {
    let queues = host.request("GET", QUEUES, None)?;
    ensure!(queues.status == 200, "{queues:?}");
    Ok(queues.json().as_array().into_iter().flatten().filter_map(|queue| queue["messages"].as_u64()).sum())
}

/// How long after its nominal time an occurrence was started.
fn late_seconds(run: &Value) -> Option<f64> {
    let time = |member: &str| chrono::DateTime::parse_from_rfc3339(run[member].as_str()?).ok();
    let late = time("startedTime")? - time("nominalTime")?;
    Some(late.num_microseconds()? as f64 / 1e6)
}

/// Sends requests over several connections, and returns how many were answered per second.
async fn post_all(host: &Host, requests: Vec<(String, String)>, status: u16) -> Result<f64> {
    let begin = Instant::now();
    let sending = requests.chunks(requests.len().div_ceil(CONNECTIONS)).map(|requests| async move {
        let mut connection = Connection::open(host.url()).await?;
        for (path, body) in requests {
            let answer = connection.send(Method::POST, path, body.clone()).await?;
            ensure!(answer.status == status, "{path}: {} {:?}", answer.status, answer.body);
        }
        Ok(())
    });
    try_join_all(sending).await?;
    Ok(requests.len() as f64 / begin.elapsed().as_secs_f64())
}
