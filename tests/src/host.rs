//! A real `dacapo serve` process, on a free port, that is killed when its handle is dropped.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail};
use serde_json::{Value, json};

/// How to start a host.
#[derive(Debug, Clone)]
pub struct HostOptions {
    /// The data directory. It outlives the host.
    pub data: PathBuf,
    /// More arguments of `dacapo serve`.
    pub arguments: Vec<String>,
}

impl HostOptions {
    /// A host without a limit on requests: a fast machine exceeds the default limit of a task hub.
    pub fn unthrottled(data: PathBuf) -> Self {
        Self { data, arguments: ["--set", "limits.requests_per_second=1000000000"].map(str::to_owned).into() }
    }
}

/// A running host.
pub struct Host {
    options: HostOptions,
    /// Whether the host requires keys. Otherwise it runs with `--dev`.
    locked: bool,
    child: Child,
    url: String,
    /// The address at which programs need no key.
    rpc_url: Option<String>,
    administrator_key: Option<String>,
}

/// A response of the host.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer<Body = String> {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Body,
}

impl Answer {
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|why| panic!("{why}: {self:?}"))
    }
}

impl<Body> Answer<Body> {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

/// Builds the host (fast when nothing has changed) and returns its path.
pub fn binary() -> Result<&'static Path> {
    static BINARY: OnceLock<std::result::Result<PathBuf, String>> = OnceLock::new();
    let built = BINARY.get_or_init(|| build().map_err(|error| format!("{error:#}")));
    built.as_deref().map_err(|error| anyhow!("{error}"))
}

fn build() -> Result<PathBuf> {
    // This program is in target/PROFILE or target/PROFILE/deps; the host is built into the same target directory.
    let own = std::env::current_exe().context("finding this program's own path")?;
    let profile =
        own.ancestors().skip(1).find(|dir| dir.file_name().is_some_and(|name| name != "deps")).context("no target directory")?;
    let name = if profile.ends_with("release") { "release" } else { "dev" };
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    // Builds for the whole workspace, as the tests were built: for one package alone, dependencies would have other features.
    cargo.args(["build", "--workspace", "--bin", "dacapo", "--profile", name]);
    cargo.current_dir(crate::workspace()).env("CARGO_TARGET_DIR", profile.parent().context("no target directory")?);
    forget_own_package(&mut cargo);
    let status = cargo.status().context("running cargo to build the host")?;
    if !status.success() {
        bail!("the host does not build: {status}");
    }
    Ok(profile.join("dacapo"))
}

/// Removes the variables with which an outer cargo describes this program's package. Build scripts that depend on them (`ring`'s
/// on `CARGO_MANIFEST_DIR`) would otherwise run again, and everything that depends on them would be rebuilt.
fn forget_own_package(cargo: &mut Command) {
    let of_package = |name: &str| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_");
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_str().is_some_and(of_package)) {
        cargo.env_remove(name);
    }
}

impl Host {
    /// Starts a host that requires no keys, on a free port, and waits until it serves.
    pub fn start(options: HostOptions) -> Result<Host> {
        Self::start_with(options, false)
    }

    /// Starts a host that requires keys.
    pub fn start_locked(options: HostOptions) -> Result<Host> {
        Self::start_with(options, true)
    }

    fn start_with(options: HostOptions, locked: bool) -> Result<Host> {
        std::fs::create_dir_all(&options.data)?;
        let log = std::fs::OpenOptions::new().create(true).append(true).open(options.data.join("host.log"))?;
        let mut command = Command::new(binary()?);
        command.arg("serve").arg("--data").arg(&options.data).args(["--address", "127.0.0.1:0", "--json"]);
        command
            .args((!locked).then_some("--dev"))
            .args(&options.arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log);
        let mut child = command.spawn().context("starting the host")?;
        let stdout = child.stdout.take().context("the host has no standard output")?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        let ready: Value = match serde_json::from_str(&line) {
            Ok(ready) => ready,
            Err(_) => {
                let status = child.wait()?;
                let log = std::fs::read_to_string(options.data.join("host.log")).unwrap_or_default();
                bail!("the host did not start ({status}): {line}{log}");
            }
        };
        let url = ready["url"].as_str().context("the host did not print its address")?.to_owned();
        let rpc_url = ready["rpcAddress"].as_str().map(|address| format!("http://{address}"));
        let administrator_key = ready["administratorKey"].as_str().map(str::to_owned);
        Ok(Host { options, locked, child, url, rpc_url, administrator_key })
    }

    /// Starts a host with a temporary data directory, which is deleted with the returned guard.
    pub fn temporary(arguments: &[&str]) -> Result<(Host, tempfile::TempDir)> {
        let directory = tempfile::tempdir()?;
        let arguments = arguments.iter().map(|&argument| argument.to_owned()).collect();
        let host = Host::start(HostOptions { data: directory.path().to_owned(), arguments })?;
        Ok((host, directory))
    }

    /// Like [`Self::temporary`], for a host that requires keys.
    pub fn temporary_locked(arguments: &[&str]) -> Result<(Host, tempfile::TempDir)> {
        let directory = tempfile::tempdir()?;
        let arguments = arguments.iter().map(|&argument| argument.to_owned()).collect();
        let host = Host::start_locked(HostOptions { data: directory.path().to_owned(), arguments })?;
        Ok((host, directory))
    }

    /// The administrator key that this start created, if it did.
    pub fn administrator_key(&self) -> Option<&str> {
        self.administrator_key.as_deref()
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    pub fn rpc_url(&self) -> Option<&str> {
        self.rpc_url.as_deref()
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Whether the process is still running.
    pub fn is_running(&mut self) -> Result<bool> {
        Ok(self.child.try_wait()?.is_none())
    }

    /// Waits until the log contains a text `times` times, or for a while, and returns how often it does. The end of an instance
    /// may be visible a moment before the log lines of its last turn: both follow from the commit.
    pub fn logged(&self, text: &str, times: usize) -> usize {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let seen = self.log().matches(text).count();
            if seen >= times || Instant::now() > deadline {
                return seen;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.options.data.join("host.log")).unwrap_or_default()
    }

    /// Sends SIGKILL: the process cannot clean up.
    pub fn kill(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Sends SIGTERM and returns the exit code.
    pub fn stop(&mut self) -> Result<Option<i32>> {
        let status = Command::new("kill").arg(self.child.id().to_string()).status()?;
        anyhow::ensure!(status.success(), "kill: {status}");
        Ok(self.child.wait()?.code())
    }

    /// Kills the host and starts it again on the same data.
    pub fn restart(&mut self) -> Result<()> {
        self.kill()?;
        let (options, locked) = (self.options.clone(), self.locked);
        *self = Host::start_with(options, locked)?;
        Ok(())
    }

    /// Sends one request. A response with any status is a success; an error means that there was none.
    pub fn request(&self, method: &str, path: &str, body: Option<&[u8]>) -> Result<Answer> {
        request(method, &format!("{}{path}", self.url), body)
    }

    /// Sends one request with a key.
    pub fn request_as(&self, key: &str, method: &str, path: &str, body: Option<&[u8]>) -> Result<Answer> {
        request_with(method, &format!("{}{path}", self.url), &[("x-functions-key", key)], body)
    }

    /// Sends one request with these headers and no others, and a body that need not be text; nor need that of the response.
    pub fn exchange(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Option<&[u8]>) -> Result<Answer<Vec<u8>>> {
        exchange(method, &format!("{}{path}", self.url), headers, body)
    }

    /// Sends one request to a path below the management API.
    pub fn manage(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Answer> {
        let body = body.map(Value::to_string);
        self.request(method, &format!("/runtime/webhooks/durabletask/{path}"), body.as_deref().map(str::as_bytes))
    }

    pub fn deploy(&self, app: &str, wasm: &[u8]) -> Result<Value> {
        let answer = self.request("POST", &format!("/admin/apps/{app}"), Some(wasm))?;
        anyhow::ensure!(answer.status == 200, "deploying {app}: {} {}", answer.status, answer.body);
        Ok(answer.json())
    }

    /// Deploys a guest of this repository, after building it if necessary.
    pub fn deploy_guest(&self, package: &str) -> Result<Value> {
        self.deploy(package, &crate::guest(package)?)
    }

    /// Starts an orchestration and returns its id.
    pub fn start_new(&self, name: &str, input: Value) -> Result<String> {
        let answer = self.manage("POST", &format!("orchestrators/{name}"), Some(&input))?;
        anyhow::ensure!(answer.status == 202, "starting {name}: {} {}", answer.status, answer.body);
        Ok(answer.json()["id"].as_str().context("no id")?.to_owned())
    }

    /// Starts an orchestration with the given id.
    pub fn start_as(&self, id: &str, name: &str, input: Value) -> Result<()> {
        let answer = self.manage("POST", &format!("orchestrators/{name}/{id}"), Some(&input))?;
        anyhow::ensure!(answer.status == 202, "starting {name} as {id}: {} {}", answer.status, answer.body);
        Ok(())
    }

    pub fn status(&self, id: &str) -> Result<Value> {
        let answer = self.manage("GET", &format!("instances/{id}"), None)?;
        anyhow::ensure!(matches!(answer.status, 200 | 202), "status of {id}: {} {}", answer.status, answer.body);
        Ok(answer.json())
    }

    pub fn history(&self, id: &str) -> Result<Vec<Value>> {
        let answer = self.manage("GET", &format!("instances/{id}?showHistory=true&showHistoryOutput=true"), None)?;
        Ok(answer.json()["historyEvents"].as_array().cloned().unwrap_or_default())
    }

    pub fn raise_event(&self, id: &str, name: &str, data: Value) -> Result<()> {
        let answer = self.manage("POST", &format!("instances/{id}/raiseEvent/{name}"), Some(&data))?;
        anyhow::ensure!(answer.status == 202, "raising {name}: {} {}", answer.status, answer.body);
        Ok(())
    }

    /// Waits until the status of an instance satisfies a condition, and returns the status.
    pub fn wait_until(&self, id: &str, what: &str, condition: impl Fn(&Value) -> bool) -> Result<Value> {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let status = self.status(id)?;
            if condition(&status) {
                return Ok(status);
            }
            if is_finished(&status) || Instant::now() > deadline {
                bail!("{id} is not {what}: it has ended, or a minute is over: {status}\n{}", self.log());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    pub fn wait(&self, id: &str) -> Result<Value> {
        self.wait_until(id, "finished", is_finished)
    }

    /// Starts an orchestration, waits for its end and returns its status.
    pub fn run(&self, name: &str, input: Value) -> Result<Value> {
        let id = self.start_new(name, input)?;
        self.wait(&id)
    }

    /// Runs an orchestration that must complete, and returns its output.
    #[track_caller]
    pub fn output(&self, name: &str, input: Value) -> Value {
        let status = self.run(name, input).unwrap_or_else(|why| panic!("{why:#}"));
        assert_eq!(status["runtimeStatus"], "Completed", "{name}: {status}\n{}", self.log());
        status["output"].clone()
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether a status is final.
pub fn is_finished(status: &Value) -> bool {
    ["Completed", "Failed", "Terminated", "Canceled"].iter().any(|name| status["runtimeStatus"] == json!(name))
}

/// Sends one HTTP request. A response with any status is a success.
pub fn request(method: &str, url: &str, body: Option<&[u8]>) -> Result<Answer> {
    request_with(method, url, &[], body)
}

/// Sends one HTTP request with further headers.
pub fn request_with(method: &str, url: &str, headers: &[(&str, &str)], body: Option<&[u8]>) -> Result<Answer> {
    let headers = [&[("content-type", "application/json")], headers].concat();
    let Answer { status, headers, body } = exchange(method, url, &headers, body)?;
    Ok(Answer { status, headers, body: String::from_utf8(body)? })
}

fn exchange(method: &str, url: &str, headers: &[(&str, &str)], body: Option<&[u8]>) -> Result<Answer<Vec<u8>>> {
    static AGENT: OnceLock<ureq::Agent> = OnceLock::new();
    let agent = AGENT.get_or_init(|| {
        // Deploying a language runtime compiles it, which takes long on a busy machine.
        let config = ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(Duration::from_secs(600)));
        config.max_redirects(0).build().into()
    });
    let builder = ureq::http::Request::builder().method(method).uri(url);
    let builder = headers.iter().fold(builder, |builder, (name, value)| builder.header(*name, *value));
    let response = match body {
        Some(body) => agent.run(builder.body(body)?)?,
        None => agent.run(builder.body(())?)?,
    };
    let status = response.status().as_u16();
    let headers = response.headers().iter().map(|(n, v)| (n.to_string(), v.to_str().unwrap_or_default().to_owned())).collect();
    let body = response.into_body().into_with_config().limit(256 << 20).read_to_vec()?;
    Ok(Answer { status, headers, body })
}
