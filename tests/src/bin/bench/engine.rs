//! Orchestrations: their rate, their latency, their memory, and how soon they resume.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use dacapo::hub::Hub;
use dacapo_tests::host::{Host, HostOptions};
use futures::stream::{self, StreamExt as _};
use redb::{Database, Durability, ReadableDatabase as _, TableDefinition};

use super::{Bench, close, open, open_to_close, percentile, run, start};

impl Bench {
    /// Opens a hub for one measurement, with the guests that it needs.
    async fn hub(&self, name: &str, guests: &[&str]) -> Result<Hub> {
        open(&self.directory.join(name), guests).await
    }

    /// The median time of one synced commit of one small row on bare redb, in seconds.
    pub(super) fn floor_commit(&mut self) -> Result<f64> {
        let database = floor_database(&self.directory.join("floor-commit.redb"))?;
        let mut times = Vec::new();
        for number in 0..self.scaled(1_000) as u64 {
            let begin = Instant::now();
            let mut transaction = database.begin_write()?;
            transaction.set_durability(Durability::Immediate)?;
            transaction.open_table(HISTORY)?.insert((number, 0), [1; 200].as_slice())?;
            transaction.commit()?;
            times.push(begin.elapsed().as_secs_f64());
        }
        let median = percentile(&mut times, 50);
        self.add("floor: one synced redb commit, median", median * 1e3, "ms");
        Ok(median)
    }

    /// The hello sequence, three activities, `concurrency` at a time.
    pub(super) async fn hello(&mut self, concurrency: usize, floor_commit: f64) -> Result<()> {
        let count = self.scaled(if concurrency == 1 { 1_000 } else { 20_000 });
        let hub = self.hub(&format!("hello-{concurrency}"), &["example-hello-sequence"]).await?;
        let warm_up = (count / 10).max(concurrency);
        hello_sequences(&hub, warm_up, concurrency).await?;
        let before = hub.stats()?;
        let begin = Instant::now();
        let mut latencies = hello_sequences(&hub, count, concurrency).await?;
        let rate = count as f64 / begin.elapsed().as_secs_f64();
        let after = hub.stats()?;
        let commits = (after.turns - before.turns) as f64 / (after.transactions - before.transactions) as f64;
        hub.shutdown(Duration::from_secs(1)).await;
        let median = percentile(&mut latencies, 50);
        let name = format!("hello sequence at {concurrency}");
        if concurrency == 256 {
            self.at_least(format!("{name}: rate"), rate, "1/s", 3_000.0);
        } else {
            self.add(format!("{name}: rate"), rate, "1/s");
        }
        self.add(format!("{name}: median latency"), median * 1e3, "ms");
        self.add(format!("{name}: 99th percentile"), percentile(&mut latencies, 99) * 1e3, "ms");
        if concurrency == 1 {
            self.at_most(format!("{name}: median latency / one redb commit"), median / floor_commit, "x", 6.0);
        }
        self.add(format!("{name}: commits per transaction"), commits, "");
        let batch = (commits.round() as usize).max(1);
        let floor = self.floor_hello(batch, count)?;
        self.add(format!("floor at {concurrency}: bare redb, same rows, batches of {batch}"), floor, "1/s");
        if concurrency == 256 {
            self.at_least(format!("{name}: rate / floor"), rate / floor, "x", 1.0 / 3.0);
        } else {
            self.add(format!("{name}: rate / floor"), rate / floor, "x");
        }
        Ok(())
    }

    /// Writes the rows of hello sequences and nothing else: the id once; per step the record, a history row, and an activity row
    /// that the next step removes; the counters in each transaction. A batch holds one step of `batch` sequences, the average
    /// number of commits that the engine put into one transaction.
    fn floor_hello(&self, batch: usize, count: usize) -> Result<f64> {
        const STEPS: u32 = 4;
        let path = self.directory.join(format!("floor-{batch}-{count}.redb"));
        let database = floor_database(&path)?;
        let count = count.div_ceil(batch) * batch;
        let begin = Instant::now();
        for first in (0..count as u64).step_by(batch) {
            for step in 0..STEPS {
                let mut transaction = database.begin_write()?;
                transaction.set_durability(Durability::Immediate)?;
                {
                    let mut ids = transaction.open_table(IDS)?;
                    let mut records = transaction.open_table(RECORDS)?;
                    let mut history = transaction.open_table(HISTORY)?;
                    let mut activities = transaction.open_table(ACTIVITIES)?;
                    for row in first..first + batch as u64 {
                        if step == 0 {
                            // As random as an instance id.
                            let id =
                                format!("{:032x}", u128::from(row + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_0C82_1E7B_5A3D));
                            ids.insert(id.as_str(), row)?;
                        }
                        records.insert(row, [1; 180].as_slice())?;
                        history.insert((row, step), [2; 120].as_slice())?;
                        if step > 0 {
                            activities.remove((row, step - 1))?;
                        }
                        if step + 1 < STEPS {
                            activities.insert((row, step), step)?;
                        }
                    }
                    transaction.open_table(COUNTERS)?.insert("counters", first + u64::from(step))?;
                }
                transaction.commit()?;
            }
        }
        Ok(count as f64 / begin.elapsed().as_secs_f64())
    }

    pub(super) async fn fan_out(&mut self) -> Result<()> {
        let hub = self.hub("fan-out", &["fixture-probe"]).await?;
        run(&hub, "fan_out", "10").await?;
        let mut times = Vec::new();
        for _ in 0..5 {
            let begin = Instant::now();
            run(&hub, "fan_out", "1000").await?;
            times.push(begin.elapsed().as_secs_f64());
        }
        self.at_most("fan-out of 1,000 activities: median", percentile(&mut times, 50), "s", 0.3);
        hub.shutdown(Duration::from_secs(1)).await;
        Ok(())
    }

    /// A chain of activities, hot: the time per step, and the last tenth of its steps compared with the first, from the
    /// timestamps of its history.
    pub(super) async fn chain(&mut self, length: usize) -> Result<()> {
        let hub = self.hub(&format!("chain-{length}"), &["fixture-probe"]).await?;
        run(&hub, "chain", "10").await?;
        let begin = Instant::now();
        let id = run(&hub, "chain", &length.to_string()).await?;
        let elapsed = begin.elapsed().as_secs_f64();
        self.add(format!("chain of {length}: per step"), elapsed / length as f64 * 1e3, "ms");
        let record = hub.instance(&id)?.context("the chain is gone")?;
        let history = hub.history(&record)?;
        let turns: Vec<i64> = history.iter().filter(|e| e.event.kind() == "OrchestratorStarted").map(|e| e.at.0).collect();
        let tenth = turns.len() / 10;
        let first = (turns[tenth] - turns[0]) as f64;
        let last = (turns[turns.len() - 1] - turns[turns.len() - 1 - tenth]) as f64;
        let name = format!("chain of {length}: last tenth / first tenth");
        if length == 10_000 {
            self.at_most(name, last / first, "x", 1.2)
        } else {
            self.add(name, last / first, "x")
        }
        hub.shutdown(Duration::from_secs(1)).await;
        Ok(())
    }

    /// Orchestrations that wait for an event, on a real host: the resident memory of its process, without clients.
    pub(super) fn waiting(&mut self, count: usize) -> Result<()> {
        const CLIENTS: usize = 8;
        let options = HostOptions::unthrottled(self.directory.join(format!("waiting-{count}")));
        let mut host = Host::start(options)?;
        host.deploy_guest("fixture-probe")?;
        let begin = Instant::now();
        std::thread::scope(|scope| {
            let host = &host;
            let start = move |client: usize| {
                for number in (client..count).step_by(CLIENTS) {
                    let path = format!("orchestrators/wait_event/waiting-{number}");
                    let answer = host.manage("POST", &path, Some(&serde_json::json!("go")))?;
                    anyhow::ensure!(answer.status == 202, "{answer:?}");
                }
                Ok(())
            };
            let clients: Vec<_> = (0..CLIENTS).map(|client| scope.spawn(move || start(client))).collect();
            clients.into_iter().try_for_each(|client| client.join().map_err(|_| anyhow::anyhow!("a client panicked"))?)
        })?;
        let label = format!("{count} waiting orchestrations");
        self.add(format!("{label}: started per second, over HTTP"), count as f64 / begin.elapsed().as_secs_f64(), "1/s");
        let resident = resident_megabytes(host.pid())?;
        if count == 100_000 {
            self.at_most(format!("{label}: resident in all"), resident, "MB", 200.0);
        } else {
            self.add(format!("{label}: resident in all"), resident, "MB");
        }
        let mut times = Vec::new();
        for number in (0..count).step_by((count / 100).max(1)) {
            let id = format!("waiting-{number}");
            let begin = Instant::now();
            host.raise_event(&id, "go", serde_json::json!(1))?;
            let answer = host.manage("GET", &format!("instances/{id}?wait=10"), None)?;
            anyhow::ensure!(answer.status == 200, "{answer:?}");
            times.push(begin.elapsed().as_secs_f64());
        }
        self.add(format!("{label}: one woken by an event, median, over HTTP"), percentile(&mut times, 50) * 1e3, "ms");
        host.stop()?;
        Ok(())
    }

    /// A history of `events` events, a restart, and the time from the event that resumes it to its end.
    pub(super) async fn cold_resume(&mut self, events: usize) -> Result<()> {
        let directory = self.directory.join("resume");
        let (hub, gone) = open_to_close(&directory, &["fixture-probe"]).await?;
        // A step of a chain is three events.
        let input = (events / 3).to_string();
        let id = hub.start_new(start("chain_then_wait", &input)?).await?;
        let length = loop {
            let record = hub.instance(&id)?.context("it is gone")?;
            if record.turns.len() > events / 3 {
                break hub.history(&record)?.len();
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        close(hub, gone).await;
        let begin = Instant::now();
        let hub = open(&directory, &[]).await?;
        self.add(format!("open a hub with a history of {length} events"), begin.elapsed().as_secs_f64() * 1e3, "ms");
        let begin = Instant::now();
        hub.raise_event(&id, "go", "1".into()).await?;
        hub.wait(&id).await?;
        self.at_most(format!("cold resume with {length} events"), begin.elapsed().as_secs_f64() * 1e3, "ms", 150.0);
        hub.shutdown(Duration::from_secs(1)).await;
        Ok(())
    }

    /// From the start of the host's process to the end of its first orchestration, with compiled code in the cache.
    pub(super) fn cold_start(&mut self) -> Result<()> {
        let options = HostOptions::unthrottled(self.directory.join("start"));
        let mut host = Host::start(options.clone())?;
        host.deploy_guest("example-hello-sequence")?;
        host.run("hello_sequence", serde_json::json!(["Tokyo", "Seattle", "London"]))?;
        host.stop()?;
        let mut times = Vec::new();
        for _ in 0..5 {
            let begin = Instant::now();
            let mut host = Host::start(options.clone())?;
            let path = "orchestrators/hello_sequence?timeout=10&pollingInterval=1";
            let answer = host.manage("POST", path, Some(&serde_json::json!(["Tokyo", "Seattle", "London"])))?;
            anyhow::ensure!(answer.status == 200, "{answer:?}");
            times.push(begin.elapsed().as_secs_f64());
            host.stop()?;
        }
        self.at_most("host start to first completed orchestration: median", percentile(&mut times, 50) * 1e3, "ms", 300.0);
        Ok(())
    }
}

const IDS: TableDefinition<&str, u64> = TableDefinition::new("ids");
const RECORDS: TableDefinition<u64, &[u8]> = TableDefinition::new("records");
const HISTORY: TableDefinition<(u64, u32), &[u8]> = TableDefinition::new("history");
const ACTIVITIES: TableDefinition<(u64, u32), u32> = TableDefinition::new("activities");
const COUNTERS: TableDefinition<&str, u64> = TableDefinition::new("counters");

fn floor_database(path: &Path) -> Result<Database> {
    let database = Database::builder().set_cache_size(64 << 20).create(path)?;
    // So that the first commit measured is like the others.
    drop(database.begin_read()?);
    Ok(database)
}

/// Runs hello sequences and returns the latency of each, in seconds.
pub(super) async fn hello_sequences(hub: &Hub, count: usize, concurrency: usize) -> Result<Vec<f64>> {
    let hub = Arc::new(hub.clone());
    let done = stream::iter(0..count).map(|_| {
        let hub = hub.clone();
        tokio::spawn(async move {
            let begin = Instant::now();
            run(&hub, "hello_sequence", r#"["Tokyo","Seattle","London"]"#).await?;
            anyhow::Ok(begin.elapsed().as_secs_f64())
        })
    });
    let results: Vec<_> = done.buffer_unordered(concurrency).collect().await;
    results.into_iter().map(|joined| joined?).collect()
}

/// The resident set of a process, as Linux counts it.
pub(super) fn resident_megabytes(pid: u32) -> Result<f64> {
    memory_megabytes(pid, "VmRSS:")
}

/// Reads a line of Linux's memory statistics of a process. `RssAnon:` is memory shared with no file and no other process.
pub(super) fn memory_megabytes(pid: u32, what: &str) -> Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).context("reading the resident set size (Linux only)")?;
    let line =
        status.lines().find(|line| line.starts_with(what)).with_context(|| format!("the process status has no line {what}"))?;
    let kilobytes: f64 = line.split_whitespace().nth(1).context("the line has no figure")?.parse()?;
    Ok(kilobytes / 1e3)
}
