//! Runs a script that drives a client library, and reads the results of its checks.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};

use super::Switch;
use crate::host::Host;
use crate::{packages, workspace};

/// The system key of a Functions host, in links. A host that requires no key ignores it.
const KEY: &str = "a-system-key";
const TASK_HUB: &str = "TestHubName";

/// The client library, and how it reaches the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Driver {
    Python,
    /// The JavaScript client with a base address for RPC.
    JavaScriptRpc,
    /// The JavaScript client without one: it uses the management URLs.
    JavaScriptManagementUrls,
    /// Random requests generated from the host's OpenAPI document: `examples` per operation and phase, from a seed.
    RandomRequests {
        examples: u32,
        seed: u64,
    },
}

/// The results of a driver's checks.
#[derive(Debug, Default)]
pub struct Report {
    pub passed: Vec<String>,
    /// Names and reasons.
    pub failed: Vec<String>,
}

impl Driver {
    /// Drives the client for at most `patience`. An error means that the driver itself did not finish; its standard error is in
    /// `driver.log` in `directory`.
    pub fn run(self, host: &Host, switch: &Switch, directory: &Path, patience: Duration) -> Result<Report> {
        let mut command = self.command()?;
        // If the host requires keys, clients that send none use its RPC address.
        let url = host.rpc_url().unwrap_or(host.url());
        command.args(["--url", url, "--switch", &switch.url(), "--binding", &self.binding(host).to_string()]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(File::create(directory.join("driver.log"))?);
        let mut child = command.spawn().with_context(|| format!("starting {command:?}"))?;
        let report = read(&mut child, patience);
        if report.is_err() {
            // It may have ended already.
            let _ = child.kill();
        }
        let status = child.wait()?;
        let report = report?;
        ensure!(status.success() == report.failed.is_empty(), "the driver ended with {status}");
        Ok(report)
    }

    fn command(self) -> Result<Command> {
        let scripts = workspace().join("tests/clients");
        let python = |script: &str| {
            let mut command = Command::new(packages::python("clients/python")?.join("bin/python"));
            // Write no byte code beside the scripts, and hide warnings of the library about itself.
            command.args(["-B", "-W", "ignore"]).arg(scripts.join("python").join(script));
            anyhow::Ok(command)
        };
        match self {
            Self::Python => python("drive.py"),
            Self::JavaScriptRpc | Self::JavaScriptManagementUrls => {
                let mut command = Command::new("node");
                command.arg(scripts.join("node/drive.mjs")).arg("--packages").arg(packages::node("clients/node")?);
                Ok(command)
            }
            Self::RandomRequests { examples, seed } => {
                let mut command = python("fuzz.py")?;
                command.args(["--examples", &examples.to_string(), "--seed", &seed.to_string()]);
                Ok(command)
            }
        }
    }

    /// The durable client binding that a Functions host passes to a function.
    fn binding(self, host: &Host) -> Value {
        let key = host.administrator_key().unwrap_or(KEY);
        let base = format!("{}/runtime/webhooks/durabletask", host.url());
        let new = format!("{base}/orchestrators/{{functionName}}[/{{instanceId}}]");
        let instance = format!("{base}/instances/INSTANCEID");
        let common = format!("taskHub={TASK_HUB}&connection=Storage&code={key}");
        let mut binding = json!({
            "taskHubName": TASK_HUB,
            "creationUrls": {
                "createNewInstancePostUri": format!("{new}?code={key}"),
                "createAndWaitOnNewInstancePostUri":
                    format!("{new}?timeout={{timeoutInSeconds}}&pollingInterval={{intervalInSeconds}}&code={key}"),
            },
            "managementUrls": {
                "id": "INSTANCEID",
                "statusQueryGetUri": format!("{instance}?{common}"),
                "sendEventPostUri": format!("{instance}/raiseEvent/{{eventName}}?{common}"),
                "terminatePostUri": format!("{instance}/terminate?reason={{text}}&{common}"),
                "rewindPostUri": format!("{instance}/rewind?reason={{text}}&{common}"),
                "purgeHistoryDeleteUri": format!("{instance}?{common}"),
                "restartPostUri": format!("{instance}/restart?{common}"),
                "suspendPostUri": format!("{instance}/suspend?reason={{text}}&{common}"),
                "resumePostUri": format!("{instance}/resume?reason={{text}}&{common}"),
            },
            "baseUrl": base,
            "requiredQueryStringParameters": format!("code={key}"),
        });
        if self != Self::JavaScriptManagementUrls {
            binding["rpcBaseUrl"] = json!(format!("{}/durabletask/", host.rpc_url().unwrap_or(host.url())));
        }
        binding
    }
}

/// Reads lines `ok NAME` and `FAIL NAME: WHY`, and finally `done COUNT`.
fn read(child: &mut Child, patience: Duration) -> Result<Report> {
    let deadline = Instant::now() + patience;
    let stdout = child.stdout.take().context("the driver has no standard output")?;
    let (sender, lines) = channel();
    std::thread::spawn(move || forward(BufReader::new(stdout), &sender));
    let mut report = Report::default();
    loop {
        let line = match lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(line) => line,
            Err(RecvTimeoutError::Timeout) => bail!("the driver was not done within {patience:?}; so far: {report:?}"),
            Err(RecvTimeoutError::Disconnected) => bail!("the driver ended before it was done; so far: {report:?}"),
        };
        println!("{line}");
        if let Some(name) = line.strip_prefix("ok ") {
            report.passed.push(name.to_owned());
        } else if let Some(failure) = line.strip_prefix("FAIL ") {
            report.failed.push(failure.to_owned());
        } else if let Some(count) = line.strip_prefix("done ") {
            let seen = report.passed.len() + report.failed.len();
            ensure!(count.parse() == Ok(seen), "the driver counted {count} checks, but reported {seen}");
            return Ok(report);
        }
    }
}

fn forward(output: impl BufRead, lines: &Sender<String>) {
    for line in output.lines().map_while(std::result::Result::ok) {
        if lines.send(line).is_err() {
            return;
        }
    }
}
