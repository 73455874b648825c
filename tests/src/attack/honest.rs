//! The honest hubs: a steady load for which every response is known in advance.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use hyper::Method;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::stage::{MARK, Stage, Tenant};
use crate::connection::Connection;

/// Clients of each hub, and how often each of them starts an orchestration.
const CLIENTS: usize = 2;
const PACE: Duration = Duration::from_millis(100);

/// The app of the honest hubs.
pub const APP: &str = "example-hello-sequence";

/// The prefix of the ids of its orchestrations. Not secret: an attacker may guess them.
pub const PREFIX: &str = "honest";

/// The quality of service of the honest hubs during some interval.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Figures {
    pub requests: usize,
    pub errors: usize,
    /// From when a request was due until its orchestration had completed.
    pub p50_ms: f64,
    pub p99_ms: f64,
}

pub struct Honest {
    shared: Arc<Shared>,
    clients: JoinSet<()>,
}

struct Shared {
    url: String,
    /// The input and the output of the orchestration. Both contain data that no attacker may see.
    input: String,
    output: String,
    stop: AtomicBool,
    last: AtomicUsize,
    samples: Mutex<Vec<Sample>>,
    /// When the unfinished requests were due.
    open: Mutex<Vec<Instant>>,
    /// The hubs and ids of all starts that were acknowledged.
    acknowledged: Mutex<Vec<(Tenant, String)>>,
}

struct Sample {
    due: Instant,
    took: Duration,
    failed: bool,
}

impl Honest {
    /// Starts the load on these hubs.
    pub async fn start(stage: &Stage, hubs: &[Tenant]) -> Result<Self> {
        let app = crate::guest(APP)?;
        for hub in hubs {
            let deployed = stage.host.request_as(&hub.key, "POST", &format!("/admin/apps/{APP}"), Some(&app))?;
            ensure!(deployed.status == 200, "{deployed:?}");
        }
        let cities = ["Tokyo", "Seattle", "London"].map(|city| format!("{city}-{MARK}"));
        let shared = Arc::new(Shared {
            url: stage.host.url().to_owned(),
            input: json!(cities).to_string(),
            output: json!(cities.map(|city| format!("Hello, {city}!"))).to_string(),
            stop: AtomicBool::new(false),
            last: AtomicUsize::new(0),
            samples: Mutex::default(),
            open: Mutex::default(),
            acknowledged: Mutex::default(),
        });
        let mut clients = JoinSet::new();
        for (hub, client) in hubs.iter().flat_map(|hub| (0..CLIENTS).map(move |client| (hub.clone(), client))) {
            let first = PACE * client as u32 / CLIENTS as u32;
            clients.spawn(shared.clone().load(hub, first));
        }
        Ok(Self { shared, clients })
    }

    /// Waits for `length` and returns the figures of that interval.
    pub async fn figures_of(&self, length: Duration) -> Figures {
        let begin = Instant::now();
        tokio::time::sleep(length).await;
        self.figures(begin, Instant::now())
    }

    /// Returns the figures of the requests that were due in this interval. An unfinished one counts with the time it has waited
    /// so far, or a host that never responds would seem fast.
    pub fn figures(&self, begin: Instant, end: Instant) -> Figures {
        let samples = self.shared.samples.lock().expect("no client panics");
        let due = samples.iter().filter(|sample| begin <= sample.due && sample.due < end);
        let (mut took, mut errors) = (Vec::new(), 0);
        for sample in due {
            took.push(sample.took);
            errors += usize::from(sample.failed);
        }
        let open = self.shared.open.lock().expect("no client panics");
        took.extend(open.iter().filter(|&&due| begin <= due && due < end).map(Instant::elapsed));
        took.sort_unstable();
        let at = |share: f64| took.get(((took.len() as f64 * share) as usize).min(took.len().saturating_sub(1)));
        let ms = |share| at(share).map_or(f64::NAN, |took| took.as_secs_f64() * 1_000.0);
        Figures { requests: took.len(), errors, p50_ms: ms(0.5), p99_ms: ms(0.99) }
    }

    /// Ends the load and checks that every acknowledged start has completed. Returns their number.
    pub async fn stop(mut self) -> Result<usize> {
        self.shared.stop.store(true, Ordering::Relaxed);
        while let Some(client) = self.clients.join_next().await {
            client?;
        }
        let acknowledged = std::mem::take(&mut *self.shared.acknowledged.lock().expect("no client panics"));
        let output: Value = serde_json::from_str(&self.shared.output)?;
        let mut connection = Connection::open(&self.shared.url).await?;
        for (hub, id) in &acknowledged {
            connection = connection.with_key(&hub.key);
            let answer = connection.manage(Method::GET, &format!("instances/{id}?wait=60"), "").await?;
            let status: Value = serde_json::from_slice(&answer.body)?;
            ensure!(status["output"] == output, "{id}: {status}");
        }
        Ok(acknowledged.len())
    }
}

impl Shared {
    /// One client: starts an orchestration whenever one is due, whether earlier ones succeeded or not.
    async fn load(self: Arc<Self>, hub: Tenant, first: Duration) {
        let mut connection = None;
        let mut due = Instant::now() + first;
        while !self.stop.load(Ordering::Relaxed) {
            tokio::time::sleep_until(due.into()).await;
            self.open.lock().expect("no client panics").push(due);
            let failed = self.request(&hub, &mut connection).await.is_err();
            self.open.lock().expect("no client panics").retain(|&open| open != due);
            self.samples.lock().expect("no client panics").push(Sample { due, took: due.elapsed(), failed });
            if failed {
                connection = None;
            }
            // Starts missed while the host was slow are skipped, or one pause would be counted many times.
            due = (due + PACE).max(Instant::now());
        }
    }

    async fn request(&self, hub: &Tenant, connection: &mut Option<Connection>) -> Result<()> {
        let id = format!("{PREFIX}-{}", self.last.fetch_add(1, Ordering::Relaxed));
        let connection = match connection {
            Some(connection) => connection,
            None => connection.insert(Connection::open(&self.url).await?.with_key(&hub.key)),
        };
        let path = format!("orchestrators/hello_sequence/{id}?timeout=20&pollingInterval=1");
        let answer = connection.manage(Method::POST, &path, self.input.clone()).await?;
        if matches!(answer.status, 200 | 202) {
            self.acknowledged.lock().expect("no client panics").push((hub.clone(), id));
        }
        ensure!(answer.status == 200 && answer.body == self.output, "{}: {:?}", answer.status, answer.body);
        Ok(())
    }
}
