//! Requests of clients and operators for many instances: starting them over HTTP, querying, listing and purging them; and
//! entities.

use std::path::Path;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use dacapo_core::event::Outcome;
use dacapo_core::{
    Commit, Event, ExecutionId, FunctionName, HistoryChunk, HistoryEvent, InstanceId, InstanceRecord, Message, RuntimeStatus,
    Timestamp,
};
use dacapo_store::{RedbStore, Store, StoreOptions};
use dacapo_tests::host::{Host, HostOptions};
use futures::stream::{self, StreamExt as _};
use hyper::Method;

use dacapo_tests::connection::Connection;

use super::load::Load;
use super::{Bench, open, percentile};

/// The duration of each rate measurement.
const LENGTH: Duration = Duration::from_secs(5);

const HELLO: (&str, &str) = ("/runtime/webhooks/durabletask/orchestrators/hello_sequence", r#"["Tokyo","Seattle","London"]"#);
const ECHO: (&str, &str) = ("/runtime/webhooks/durabletask/orchestrators/echo_orchestrator", "1");

/// The hub of the host, and the creation time of the first of its filled instances, of which there is one each second.
const HUB: &str = "TestHubName";
const FIRST_CREATED: Timestamp = Timestamp(1_600_000_000_000_000);
const SECOND: i64 = 1_000_000;

impl Bench {
    /// Starts acknowledged per second, of an orchestration that completes at once.
    pub(super) async fn start_requests(&mut self, connections: usize) -> Result<()> {
        let mut host = self.host(&format!("requests-{connections}"), &["fixture-probe"])?;
        let load = Load::start(host.url(), connections, ECHO.0, ECHO.1).await?;
        load.rate(self.length() / 5).await;
        let rate = load.rate(self.length()).await;
        load.stop().await?;
        self.add(format!("start requests over HTTP, {connections} kept open"), rate, "1/s");
        host.stop()?;
        Ok(())
    }

    /// Requests for the status of one instance while 64 connections start hello sequences.
    pub(super) async fn status_under_load(&mut self) -> Result<()> {
        let mut host = self.host("status", &["example-hello-sequence", "fixture-probe"])?;
        let id = host.start_new("wait_event", serde_json::json!("go"))?;
        let load = Load::start(host.url(), 64, HELLO.0, HELLO.1).await?;
        load.rate(self.length() / 5).await;
        let mut connection = Connection::open(host.url()).await?;
        let mut times = Vec::new();
        let (before, begin) = (load.acknowledged(), Instant::now());
        while begin.elapsed() < self.length() {
            let answer = connection.manage(Method::GET, &format!("instances/{id}"), "").await?;
            ensure!(answer.status == 202, "{}: {:?}", answer.status, answer.body);
            times.push(answer.took.as_secs_f64());
        }
        let rate = (load.acknowledged() - before) as f64 / begin.elapsed().as_secs_f64();
        load.stop().await?;
        self.add("status under load: hello sequences started meanwhile", rate, "1/s");
        self.add("status under load: median", percentile(&mut times, 50) * 1e3, "ms");
        self.add("status under load: 99th percentile", percentile(&mut times, 99) * 1e3, "ms");
        host.stop()?;
        Ok(())
    }

    /// Pages of a list of `count` finished instances, over HTTP; then the purge of a tenth of them by age.
    pub(super) async fn listing_and_purge(&mut self, count: usize) -> Result<()> {
        let directory = self.directory.join("listing");
        // The start creates the control file, without which a host does not accept a hub's file.
        let options = HostOptions::unthrottled(directory.clone());
        Host::start(options.clone())?.stop()?;
        let begin = Instant::now();
        fill(&directory, count)?;
        self.add(format!("listing: {count} finished instances written"), count as f64 / begin.elapsed().as_secs_f64(), "1/s");
        let mut host = Host::start(options)?;
        host.deploy_guest("fixture-probe")?;
        let mut connection = Connection::open(host.url()).await?;
        let from = |share: f64| format!("createdTimeFrom={}", time((count as f64 * share) as usize));
        let filters = [
            ("all", String::new()),
            ("one in 256 failed", "runtimeStatus=Failed".into()),
            ("failed, from the middle on", format!("runtimeStatus=Failed&{}", from(0.5))),
            ("terminated: only the last", "runtimeStatus=Terminated".into()),
            ("from the middle on", from(0.5)),
            ("from the last thousandth on", from(0.999)),
        ];
        for (name, filter) in filters {
            let mut times = Vec::new();
            for _ in 0..20 {
                let answer = connection.manage(Method::GET, &format!("instances?top=100&{filter}"), "").await?;
                ensure!(answer.status == 200, "{}: {:?}", answer.status, answer.body);
                ensure!(answer.body.len() > 2, "the page '{name}' is empty");
                times.push(answer.took.as_secs_f64());
            }
            self.at_most(format!("listing: page of 100, {name}"), percentile(&mut times, 50) * 1e3, "ms", 10.0);
        }
        self.purge(&host, count / 10).await?;
        host.stop()?;
        Ok(())
    }

    async fn purge(&mut self, host: &Host, count: usize) -> Result<()> {
        let load = Load::start(host.url(), 8, ECHO.0, ECHO.1).await?;
        load.rate(self.length() / 5).await;
        let alone = load.rate(self.length()).await;
        let mut connection = Connection::open(host.url()).await?;
        let path = format!("instances?createdTimeFrom={}&createdTimeTo={}", time(0), time(count - 1));
        let (before, begin) = (load.acknowledged(), Instant::now());
        let answer = connection.manage(Method::DELETE, &path, "").await?;
        let took = begin.elapsed().as_secs_f64();
        let beside = (load.acknowledged() - before) as f64 / took;
        load.stop().await?;
        ensure!(answer.status == 200, "{}: {:?}", answer.status, answer.body);
        let removed = serde_json::from_slice::<serde_json::Value>(&answer.body)?["instancesDeleted"].clone();
        ensure!(removed == count, "{removed} of {count} were removed");
        self.at_least(format!("purge of {count} by age, beside starts"), count as f64 / took, "1/s", 20_000.0);
        self.at_least("purge: starts per second meanwhile / without it", beside / alone, "x", 0.5);
        Ok(())
    }

    /// Signals to `entities` counters, each acknowledged, 256 at a time.
    pub(super) async fn entities(&mut self, entities: usize) -> Result<()> {
        let count = self.scaled(100_000);
        let hub = open(&self.directory.join(format!("entities-{entities}")), &["example-counter"]).await?;
        let name = FunctionName::new("counter")?;
        let ids: Vec<_> = (0..entities).map(|key| InstanceId::entity(&name, &key.to_string())).collect::<Result<_, _>>()?;
        let ids = Arc::new(ids);
        let begin = Instant::now();
        let signals = stream::iter(0..count).map(|number| {
            let (hub, ids) = (hub.clone(), ids.clone());
            tokio::spawn(async move { hub.signal_entity(&ids[number % ids.len()], "add", "1".into(), None).await })
        });
        let mut signals = signals.buffer_unordered(256);
        while let Some(signal) = signals.next().await {
            signal??;
        }
        let rate = count as f64 / begin.elapsed().as_secs_f64();
        let mut sum = 0;
        for id in ids.iter() {
            let state: serde_json::Value = serde_json::from_str(hub.entity_state(id)?.as_deref().unwrap_or("null"))?;
            sum += state["value"].as_u64().unwrap_or_default() as usize;
        }
        ensure!(sum == count, "{count} signals were acknowledged, {sum} have been counted");
        let target = if entities == 1 { 5_000.0 } else { 10_000.0 };
        self.at_least(format!("entities: signals to {entities}, 256 at a time"), rate, "1/s", target);
        hub.shutdown(Duration::from_secs(1)).await;
        Ok(())
    }

    pub(super) fn host(&self, name: &str, guests: &[&str]) -> Result<Host> {
        let host = Host::start(HostOptions::unthrottled(self.directory.join(name)))?;
        guests.iter().try_for_each(|guest| host.deploy_guest(guest).map(drop))?;
        Ok(host)
    }

    pub(super) fn length(&self) -> Duration {
        if self.options.quick { LENGTH / 10 } else { LENGTH }
    }
}

/// The creation time of the filled instance with this number, as a query parameter.
fn time(number: usize) -> String {
    let at = chrono::DateTime::from_timestamp_micros(created(number).0).unwrap_or_default();
    at.format("%Y-%m-%dT%H:%M:%SZ").to_string()
}

fn created(number: usize) -> Timestamp {
    Timestamp(FIRST_CREATED.0 + number as i64 * SECOND)
}

/// Creates a hub with `count` finished instances, each of one turn. One in 256 has failed, the last was terminated.
fn fill(directory: &Path, count: usize) -> Result<()> {
    /// The most commits in progress.
    const WINDOW: usize = 4_096;
    std::fs::create_dir_all(directory.join("hubs"))?;
    let store = RedbStore::open(&directory.join(format!("hubs/{HUB}.redb")), StoreOptions::default())?;
    let (done, results) = mpsc::channel();
    for number in 0..count {
        let sender = done.clone();
        store.commit(finished(&store, number, count)?, Box::new(move |result| drop(sender.send(result))));
        if number >= WINDOW {
            results.recv()??;
        }
    }
    drop(done);
    results.into_iter().try_for_each(|result| result.map(drop))?;
    Ok(())
}

fn finished(store: &RedbStore, number: usize, count: usize) -> Result<Commit> {
    let at = created(number);
    // Ids in no particular order, as clients make them.
    let uuid = uuid::Uuid::from_u128((number as u128 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_0C82_1E7B_5A3D));
    let started = Event::ExecutionStarted {
        execution: ExecutionId(uuid),
        name: FunctionName::new("finished")?,
        input: "\"some input\"".into(),
        version: String::new(),
        parent: None,
        start_at: None,
    };
    let (status, outcome) = match number {
        _ if number + 1 == count => (RuntimeStatus::Terminated, Outcome::Terminated { reason: "enough".into() }),
        _ if number % 256 == 17 => {
            (RuntimeStatus::Failed, Outcome::Failed(dacapo_core::Failure::permanent("Failed", "it did not work")))
        }
        _ => (RuntimeStatus::Completed, Outcome::Completed("\"some output\"".into())),
    };
    let to = InstanceId::from_uuid(uuid);
    let message = Message { to, execution: None, sent_at: at, event: started.clone() };
    let pending = InstanceRecord::pending(store.next_row(), &message).context("the message starts an instance")?;
    let record = InstanceRecord { status, turns: 0..1, ..pending };
    let events = [Event::OrchestratorStarted { conditions: None }, started, Event::ExecutionCompleted { outcome }];
    let events = events.map(|event| HistoryEvent { at, event }).into();
    Ok(Commit { history: Some(HistoryChunk { turn: 0, events }), ..Commit::of(record) })
}
