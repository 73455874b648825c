//! The attacker: plays one attack for a while and counts the results. It has only a key of its own hub.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use hyper::Method;
use hyper::body::Bytes;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::attacks::{Attack, Expected, How};
use super::stage::{Stage, Tenant};
use super::watch::{Watch, Watched};
use crate::connection::{Answer, Connection, address, connect_from};

/// The attacker's own address: this machine has all of 127.0.0.0/8.
pub const ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));

/// How long to wait for a response.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long the host may keep a connection that has nothing more to send.
const CLOSED_WITHIN: Duration = Duration::from_secs(20);

/// The number of characters to which a result is cut in the report.
const SHOWN: usize = 70;

/// The app that attacks from inside.
pub const APP: &str = "fixture-hostile";

pub struct Attacker {
    pub stage: Arc<Stage>,
    /// The attacker's own hub.
    pub tenant: Tenant,
    /// An honest hub. The attacker knows the names of everything in it.
    pub victim: String,
    last: AtomicUsize,
}

/// The results of an attack so far.
#[derive(Default)]
pub struct Tally(Mutex<Counts>);

#[derive(Default)]
struct Counts {
    got: BTreeMap<String, usize>,
    /// Results that the host should have prevented.
    broken: BTreeMap<String, usize>,
}

impl Tally {
    /// Counts one result; `held` says whether the host may give it.
    pub fn count(&self, got: &str, held: bool) {
        let shown: String = got.chars().map(|c| if c.is_control() { ' ' } else { c }).take(SHOWN).collect();
        let mut counts = self.0.lock().expect("no holder of this lock panics");
        let Counts { got, broken } = &mut *counts;
        let place = if held { got } else { broken };
        *place.entry(shown).or_default() += 1;
    }

    /// Returns the three results to show: those that did not hold first, then the most frequent.
    pub fn got(&self) -> Vec<(String, usize)> {
        let counts = self.0.lock().expect("no holder of this lock panics");
        let mut got: Vec<_> = counts.got.clone().into_iter().collect();
        got.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        let broken = counts.broken.iter().map(|(got, count)| (format!("NOT HELD: {got}"), *count));
        broken.chain(got).take(3).collect()
    }

    pub fn held(&self) -> bool {
        let counts = self.0.lock().expect("no holder of this lock panics");
        counts.broken.is_empty() && !counts.got.is_empty()
    }
}

impl Attacker {
    /// Creates the attacker's hub and deploys its app there.
    pub async fn enter(stage: Arc<Stage>, victim: &str, attack: &Attack) -> Result<Arc<Self>> {
        let tenant = stage.hostile(&format!("evil-{}", attack.name))?;
        let attacker = Arc::new(Self { stage, tenant, victim: victim.to_owned(), last: AtomicUsize::new(0) });
        let deployed = attacker.connect().await?.send(Method::POST, &format!("/admin/apps/{APP}"), crate::guest(APP)?).await?;
        ensure!(deployed.status == 200, "{}: {:?}", deployed.status, deployed.body);
        attacker.stage.limit(&attacker.tenant, attack.limits)?;
        Ok(attacker)
    }

    pub fn url(&self) -> &str {
        self.stage.host.url()
    }

    fn watch(&self) -> Arc<Watch> {
        self.stage.watch.clone()
    }

    /// Opens a connection on which every request has the attacker's key.
    pub async fn connect(&self) -> Result<Connection> {
        Ok(self.connect_as_nobody().await?.with_key(&self.tenant.key))
    }

    pub async fn connect_as_nobody(&self) -> Result<Connection> {
        Connection::over(self.open().await?, address(self.url())?).await
    }

    /// Opens a raw connection.
    pub async fn open(&self) -> Result<Watched<TcpStream>> {
        Ok(Watched::new(connect_from(ADDRESS, address(self.url())?).await?, self.watch()))
    }

    /// Sends bytes over a connection of their own, and reads until the host closes it. None: it stays open.
    pub async fn exchange(&self, bytes: impl AsRef<[u8]>) -> Result<Option<String>> {
        let mut stream = self.open().await?;
        // The host may close it before all bytes are sent.
        let _ = stream.write_all(bytes.as_ref()).await;
        let mut answers = Vec::new();
        // A reset counts as closed, too.
        let ended = tokio::time::timeout(CLOSED_WITHIN, stream.read_to_end(&mut answers)).await;
        Ok(ended.is_ok().then(|| String::from_utf8_lossy(&answers).into_owned()))
    }

    /// Returns an unused id.
    pub fn fresh_id(&self) -> String {
        format!("evil-{}", self.last.fetch_add(1, Ordering::Relaxed))
    }

    /// Runs an orchestration to its end.
    pub async fn run(&self, connection: &mut Connection, function: &str, input: &Value) -> Result<Answer> {
        let seconds = PATIENCE.as_secs();
        let path = format!("orchestrators/{function}/{}?timeout={seconds}&pollingInterval=1", self.fresh_id());
        connection.manage(Method::POST, &path, input.to_string()).await
    }

    /// Plays an attack until `until`, or until it has nothing more to try.
    pub async fn play(self: &Arc<Self>, attack: &'static Attack, players_max: usize, until: Instant) -> Result<Tally> {
        let tally = Arc::new(Tally::default());
        let mut players = JoinSet::new();
        match attack.how {
            How::Run { function, input, at_once, expected } => {
                for _ in 0..at_once.min(players_max) {
                    let (attacker, tally) = (self.clone(), tally.clone());
                    players.spawn(async move { attacker.orchestrate(function, input(), expected, &tally, until).await });
                }
            }
            How::Deploy { module, expected } => {
                let (attacker, tally) = (self.clone(), tally.clone());
                players.spawn(async move { attacker.deploy(module, expected, &tally, until).await });
            }
            How::Requests { play, at_once } => {
                for _ in 0..at_once.min(players_max) {
                    players.spawn(play(self.clone(), tally.clone(), until));
                }
            }
        }
        while let Some(played) = players.join_next().await {
            played??;
        }
        for what in self.stage.watch.leaked() {
            tally.count(&what, false);
        }
        Ok(Arc::into_inner(tally).expect("all players have ended"))
    }

    /// Starts an orchestration, waits for its end and starts it again, until the time is over.
    async fn orchestrate(&self, function: &str, input: Value, expected: Expected, tally: &Tally, until: Instant) -> Result<()> {
        let mut connection = self.connect().await?;
        loop {
            let wait = if expected.has_an_end() { PATIENCE } else { until.saturating_duration_since(Instant::now()) };
            let wait = wait.as_secs_f64().max(0.1);
            let path =
                format!("orchestrators/{function}/{}?timeout={wait:.1}&pollingInterval={:.1}", self.fresh_id(), wait.min(1.0));
            let answer = connection.manage(Method::POST, &path, input.to_string()).await?;
            let (got, held) = expected.judge(&answer);
            tally.count(&got, held);
            if Instant::now() >= until {
                return Ok(());
            }
        }
    }

    async fn deploy(&self, module: fn() -> Vec<u8>, expected: Expected, tally: &Tally, until: Instant) -> Result<()> {
        let module = Bytes::from(module());
        let mut connection = self.connect().await?;
        loop {
            let answered = connection.send(Method::POST, "/admin/apps/evil", module.clone());
            match tokio::time::timeout(PATIENCE, answered).await {
                Ok(answer) => {
                    let (got, held) = expected.judge(&answer?);
                    tally.count(&got, held);
                }
                Err(_elapsed) => {
                    tally.count("no answer, for a minute", false);
                    return Ok(());
                }
            }
            if Instant::now() >= until {
                return Ok(());
            }
        }
    }

    /// Removes the attacker's hub, with everything that it left running.
    pub async fn leave(self: Arc<Self>) -> Result<()> {
        let attacker = Arc::into_inner(self).context("a player is still running")?;
        let Self { stage, tenant, .. } = attacker;
        tokio::task::spawn_blocking(move || stage.remove(&tenant)).await?
    }
}

impl Expected {
    /// Whether the attack is known to end, so that its end can be waited for.
    fn has_an_end(self) -> bool {
        match self {
            Expected::Failure(_) | Expected::Refusal(..) => true,
            Expected::GoesOn => false,
        }
    }

    /// Returns the result in a few words, and whether it is the expected one.
    pub fn judge(self, answer: &Answer) -> (String, bool) {
        let said = said(answer);
        let failed = said.failed;
        let held = match self {
            Expected::Failure(part) => failed && said.says(part),
            Expected::Refusal(status, part) => answer.status == status && said.says(part),
            Expected::GoesOn => answer.status < 500,
        };
        let status = if failed { "failed:".to_owned() } else { answer.status.to_string() };
        (format!("{status} {}", said.text), held)
    }
}

/// The text of a response, without the parts that all responses share.
pub struct Said {
    pub text: String,
    /// Whether an orchestration has failed.
    pub failed: bool,
}

impl Said {
    /// Whether the text contains `part`, ignoring case.
    pub fn says(&self, part: &str) -> bool {
        self.text.to_ascii_lowercase().contains(&part.to_ascii_lowercase())
    }
}

pub fn said(answer: &Answer) -> Said {
    let body = String::from_utf8_lossy(&answer.body);
    let members = match serde_json::from_slice::<Value>(&answer.body) {
        Ok(Value::Object(members)) => members,
        _ => return Said { text: body.into_owned(), failed: false },
    };
    let failed = members.get("runtimeStatus").is_some_and(|status| status == "Failed");
    let text =
        ["output", "ExceptionMessage", "Message", "runtimeStatus"].into_iter().find_map(|name| members.get(name)?.as_str());
    let text = match text {
        Some(text) => text.split_once("' failed: ").map_or(text, |(_, why)| why).to_owned(),
        None if answer.status == 202 => "still running".to_owned(),
        None => body.into_owned(),
    };
    Said { text, failed }
}
