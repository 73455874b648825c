//! Many task hubs on one host, and the cost of deployments: memory, time, and the latency of other clients.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use dacapo::hub::{Candidate, ReplayProgress, StartRequest, Totals, Traffic, Which};
use dacapo_core::InstanceId;
use dacapo_tests::connection::Connection;
use dacapo_tests::host::{Host, HostOptions};
use dacapo_wasm::{Config, Runtime};
use hyper::Method;
use serde_json::json;

use super::engine::resident_megabytes;
use super::load::Load;
use super::{Bench, percentile};

/// Instances of each hub, which wait for an event.
const INSTANCES: usize = 10;

/// The connections that start orchestrations, which end at once, while something is deployed.
const CONNECTIONS: usize = 8;

impl Bench {
    /// `count` hubs with ten waiting instances each: creating them, the memory of the host, and how soon a restarted host serves.
    pub(super) fn tenants(&mut self, count: usize) -> Result<()> {
        let options = HostOptions::unthrottled(self.directory.join("tenants"));
        let mut host = Host::start(options)?;
        let probe = dacapo_tests::guest("fixture-probe")?;
        let empty = resident_megabytes(host.pid())?;
        let begin = Instant::now();
        for number in 0..count {
            let hub = format!("tenant-{number}");
            let body = json!({ "name": hub }).to_string();
            let made = host.request("POST", "/admin/hubs", Some(body.as_bytes()))?;
            ensure!(made.status == 201, "creating {hub}: {} {}", made.status, made.body);
            let deployed = host.request("POST", &format!("/admin/apps/probe?taskHub={hub}"), Some(&probe))?;
            ensure!(deployed.status == 200, "deploying to {hub}: {} {}", deployed.status, deployed.body);
            for instance in 0..INSTANCES {
                let path = format!("orchestrators/wait_event/i-{instance}?taskHub={hub}");
                let started = host.manage("POST", &path, Some(&json!("go")))?;
                ensure!(started.status == 202, "starting in {hub}: {} {}", started.status, started.body);
            }
        }
        let made = count as f64 / begin.elapsed().as_secs_f64();
        self.add(format!("tenants: {count} hubs made, with an app and {INSTANCES} instances each"), made, "1/s");
        self.add("tenants: memory above that of the empty host", resident_megabytes(host.pid())? - empty, "MB");

        let begin = Instant::now();
        host.restart()?;
        self.add("tenants: kill -9 to serving again", begin.elapsed().as_secs_f64() * 1e3, "ms");
        self.add("tenants: memory of the host that has opened none yet", resident_megabytes(host.pid())?, "MB");
        let mut times = Vec::new();
        for number in (0..count).step_by((count / 50).max(1)) {
            let begin = Instant::now();
            let status = host.manage("GET", &format!("instances/i-0?taskHub=tenant-{number}"), None)?;
            ensure!(status.status == 202, "{} {}", status.status, status.body);
            times.push(begin.elapsed().as_secs_f64());
        }
        self.add("tenants: first status of a hub, median", percentile(&mut times, 50) * 1e3, "ms");
        host.stop()?;
        Ok(())
    }

    /// A deployment of code that no cache has, while clients send requests: their slowest request, compared with the usual 99th
    /// percentile.
    pub(super) async fn deployment_under_load(&mut self) -> Result<()> {
        let mut host = self.host("deployment", &["fixture-probe"])?;
        let load =
            Load::start(host.url(), CONNECTIONS, "/runtime/webhooks/durabletask/orchestrators/echo_orchestrator", "1").await?;
        let mut client = Connection::open(host.url()).await?;
        let mut alone = Vec::new();
        let begin = Instant::now();
        while begin.elapsed() < self.length() {
            alone.push(start(&mut client).await?);
        }
        let module = unseen(&dacapo_tests::guest("fixture-interpreter")?);
        let url = format!("{}/admin/apps/interpreter", host.url());
        let deployment = tokio::task::spawn_blocking(move || {
            let begin = Instant::now();
            dacapo_tests::host::request("POST", &url, Some(&module)).map(|answer| (answer, begin.elapsed()))
        });
        let mut beside = Vec::new();
        while beside.is_empty() || !deployment.is_finished() {
            beside.push(start(&mut client).await?);
        }
        let (answer, took) = deployment.await??;
        ensure!(answer.status == 200, "{} {}", answer.status, answer.body);
        load.stop().await?;
        let mut windows: Vec<f64> = alone.chunks(beside.len()).map(|window| window.iter().copied().fold(0.0, f64::max)).collect();
        let usual = percentile(&mut alone, 99);
        self.add("deployment under load: took", took.as_secs_f64() * 1e3, "ms");
        self.add("deployment under load: usual 99th percentile of a start", usual * 1e3, "ms");
        // The slowest of so many requests is slower than the 99th percentile even without a deployment.
        self.add(
            "deployment under load: the same of as many starts without it, median",
            percentile(&mut windows, 50) / usual,
            "x",
        );
        self.at_most(
            "deployment under load: slowest start / usual 99th percentile",
            percentile(&mut beside, 100) / usual,
            "x",
            2.0,
        );
        host.stop()?;
        Ok(())
    }

    /// The replay gate: waiting instances with long histories, replayed with the version that they run on, and with a file that
    /// is not deployed. A step of a chain is three events in its history.
    pub(super) async fn replay_gate(&mut self, instances: usize) -> Result<()> {
        const STEPS: usize = 100;
        let hub = super::open(&self.directory.join("gate"), &[]).await?;
        let module = dacapo_tests::guest("fixture-probe")?;
        hub.deploy("probe", "1.0", module.clone(), Traffic::All).await?;
        for number in 0..instances {
            let id = Some(InstanceId::orchestration(&format!("chain-{number}"))?);
            hub.start_new(StartRequest { id, ..super::start("chain_then_wait", &STEPS.to_string())? }).await?;
        }
        // Each turn after the first consumes one result.
        let turns = (instances * (STEPS + 1)) as u64;
        while hub.stats()?.turns < turns {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        for (what, candidate) in
            [("the same version", Candidate::Deployed("1.0".into())), ("a new file", Candidate::Module(unseen(&module)))]
        {
            let mut news = hub.check("probe", candidate, Which::All).await?;
            let mut totals = Totals::default();
            while let Some(heard) = news.recv().await {
                if let ReplayProgress::Done(done) = heard {
                    totals = done;
                }
            }
            ensure!(totals.passed == instances as u64, "{totals:?}");
            let rate = totals.events as f64 / totals.elapsed.as_secs_f64();
            self.add(format!("replay gate: {} events against {what}", totals.events), rate, "1/s");
        }
        hub.shutdown(Duration::ZERO).await;
        Ok(())
    }

    /// Making a module ready to run: compiled, and from the cache of compiled code.
    pub(super) fn compiling(&mut self) -> Result<()> {
        for guest in ["fixture-probe", "fixture-interpreter"] {
            let module = unseen(&dacapo_tests::guest(guest)?);
            let mebibytes = module.len() as f64 / f64::from(1 << 20);
            let directory = self.directory.join(format!("compiling-{guest}"));
            let config = || Config::new(directory.join("modules"), directory.join("cache"));
            let begin = Instant::now();
            let version = Runtime::new(config())?.prepare(&module)?.version;
            self.add(format!("compiling {guest}, {mebibytes:.2} MiB"), begin.elapsed().as_secs_f64() * 1e3 / mebibytes, "ms/MiB");
            let runtime = Runtime::new(config())?;
            let begin = Instant::now();
            runtime.load(version)?;
            self.add(format!("the same from the cache: {guest}"), begin.elapsed().as_secs_f64() * 1e3, "ms");
        }
        Ok(())
    }
}

async fn start(client: &mut Connection) -> Result<f64> {
    let answer = client.manage(Method::POST, "orchestrators/echo_orchestrator", "1").await?;
    ensure!(answer.status == 202, "{}: {:?}", answer.status, answer.body);
    Ok(answer.took.as_secs_f64())
}

/// Appends a unique custom section to a component, so that no cache has it.
fn unseen(component: &[u8]) -> Vec<u8> {
    let unique = uuid::Uuid::new_v4();
    let name = b"unseen";
    let length = 1 + name.len() + unique.as_bytes().len();
    let mut bytes = component.to_vec();
    bytes.extend([0, u8::try_from(length).expect("a short section"), u8::try_from(name.len()).expect("a short name")]);
    bytes.extend_from_slice(name);
    bytes.extend_from_slice(unique.as_bytes());
    bytes
}
