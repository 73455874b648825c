//! Guest languages compared: how fast they run and start, their memory, the size of their components.

use std::path::Path;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use dacapo::config::Settings;
use dacapo_core::execution::Limits;
use dacapo_core::turn::{Memory, Turn};
use dacapo_core::{Delivery, Event, ExecutionId, FunctionName, InstanceId, InstanceRecord, Message, Row, Timestamp, VersionId};
use dacapo_tests::host::{Host, HostOptions};
use dacapo_tests::languages::{Language, SUBJECTS, Subject, build_anew};
use dacapo_wasm::{Account, Config, Policy, Reuse, Runtime};
use serde_json::json;

use super::engine::{hello_sequences, memory_megabytes};
use super::{Bench, close, percentile};

const DAY_MS: u64 = 86_400_000;

impl Bench {
    pub(super) async fn languages(&mut self) -> Result<()> {
        let mut of_rust = None;
        for subject in SUBJECTS {
            let rate = self.language(&subject).await.with_context(|| format!("measuring {}", subject.name))?;
            let of_rust = *of_rust.get_or_insert(rate);
            self.add(format!("{}: hello sequence at 64, hot, against Rust", subject.name), rate / of_rust, "x");
        }
        Ok(())
    }

    /// Measures everything about one language, and returns its rate.
    async fn language(&mut self, subject: &Subject) -> Result<f64> {
        let name = subject.name;
        let apps = subject.built()?;
        self.add(format!("{name}: component"), apps[0].1.len() as f64 / 1e3, "kB");
        if subject.language != Language::Rust {
            self.add(format!("{name}: build"), self.build_seconds(subject)?, "s");
        }
        let options = HostOptions::unthrottled(self.directory.join(format!("language-{name}")));
        let mut host = Host::start(options.clone())?;
        let begin = Instant::now();
        let mut deployed = Vec::new();
        for (app, wasm) in &apps {
            deployed.push(host.deploy(app, wasm)?);
        }
        host.run("hello_sequence", json!(null))?;
        self.add(format!("{name}: deployed to first run"), begin.elapsed().as_secs_f64() * 1e3, "ms");
        self.add(format!("{name}: suspended instance, memory of its own"), self.suspended_kilobytes(&host)?, "kB");
        host.stop()?;
        let begin = Instant::now();
        let mut host = Host::start(options.clone())?;
        host.run("hello_sequence", json!(null))?;
        self.add(
            format!("{name}: host start to first run, compiled code in the cache"),
            begin.elapsed().as_secs_f64() * 1e3,
            "ms",
        );
        host.stop()?;
        let version = deployed[0]["version"].as_str().context("no version")?.parse()?;
        self.add(format!("{name}: instantiated, run to its first wait"), self.instantiate_micros(&options.data, version)?, "us");
        let [hot, reused, cold] = [(1_000, Reuse::Never), (1_000, Reuse::Always), (0, Reuse::Never)];
        let hot = self.rate(&options.data, "hot", hot, name).await?;
        // As for a function app, which has a `host.json`.
        self.rate(&options.data, "hot, activities' instances used again", reused, name).await?;
        self.rate(&options.data, "cold", cold, name).await?;
        Ok(hot)
    }

    /// The time to build its first app again, with the tools already installed.
    fn build_seconds(&self, subject: &Subject) -> Result<f64> {
        let out = self.directory.join(format!("{}.wasm", subject.name));
        let begin = Instant::now();
        let output = build_anew(subject.language, subject.apps[0], &out)?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Ok(begin.elapsed().as_secs_f64())
    }

    /// The memory that the host's process needs for each further waiting instance.
    fn suspended_kilobytes(&self, host: &Host) -> Result<f64> {
        let count = self.scaled(500);
        let before = memory_megabytes(host.pid(), "RssAnon:")?;
        for number in 0..count {
            let path = format!("orchestrators/approval/waiting-{number}");
            let answer = host.manage("POST", &path, Some(&json!(DAY_MS)))?;
            ensure!(answer.status == 202, "{answer:?}");
        }
        Ok((memory_megabytes(host.pid(), "RssAnon:")? - before) * 1e3 / count as f64)
    }

    /// The median time to create a guest and run it until it waits, without storing anything.
    fn instantiate_micros(&self, data: &Path, version: VersionId) -> Result<f64> {
        let runtime = Runtime::new(Config::new(data.join("modules"), data.join("cache")))?;
        runtime.load(version)?;
        let tenant = runtime.tenant(Account::default(), Policy::default());
        let mut times = Vec::new();
        for number in 0..self.scaled(500) {
            let (record, delivery) = new_instance(number)?;
            let turn = Turn {
                executor: &tenant,
                limits: &Limits::default(),
                now: Timestamp(1_000_000),
                begins_on: Ok(version),
                active_version: None,
            };
            let begin = Instant::now();
            let result = turn.run(record, Memory::cold(Vec::new()), vec![delivery]);
            times.push(begin.elapsed().as_secs_f64());
            ensure!(result.live.is_some(), "the guest does not wait");
        }
        Ok(percentile(&mut times, 50) * 1e6)
    }

    /// Measures how many hello sequences run, and the processor time that each takes.
    async fn rate(&mut self, data: &Path, how: &str, (hot_instances, reuse): (u32, Reuse), name: &str) -> Result<f64> {
        let mut settings = Settings { data: data.to_owned(), ..Settings::default() };
        settings.engine.hot_instances = hot_instances;
        settings.activities.reuse_instances = reuse;
        let (hub, gone) = dacapo::serve::open_hub(&settings)?;
        let count = self.scaled(1_000);
        hello_sequences(&hub, 64, 64).await?;
        let (begin, computed) = (Instant::now(), processor_seconds()?);
        hello_sequences(&hub, count, 64).await?;
        let rate = count as f64 / begin.elapsed().as_secs_f64();
        let each = (processor_seconds()? - computed) / count as f64;
        close(hub, gone).await;
        self.add(format!("{name}: hello sequence at 64, {how}"), rate, "1/s");
        self.add(format!("{name}: hello sequence at 64, {how}: processor"), each * 1e3, "ms");
        Ok(rate)
    }
}

/// The processor time of this process, with that of the kernel for it.
fn processor_seconds() -> Result<f64> {
    const TICKS_PER_SECOND: f64 = 100.0;
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    // Fields 14 and 15; the second one is the program's name in parentheses.
    let fields = stat.rsplit(')').next().context("no fields")?.split_whitespace().skip(11).take(2);
    let ticks: f64 = fields.map(|field| field.parse::<f64>()).sum::<Result<_, _>>()?;
    Ok(ticks / TICKS_PER_SECOND)
}

fn new_instance(number: usize) -> Result<(InstanceRecord, Delivery)> {
    let event = Event::ExecutionStarted {
        execution: ExecutionId(uuid::Uuid::from_u128(number as u128)),
        name: FunctionName::new("approval")?,
        input: DAY_MS.to_string().as_str().into(),
        version: String::new(),
        parent: None,
        start_at: None,
    };
    let message = Message { to: InstanceId::any("waiting")?, execution: None, sent_at: Timestamp(0), event };
    let record = InstanceRecord::pending(Row(1), &message).context("the message starts an instance")?;
    Ok((record, Delivery { message, stored: None }))
}
