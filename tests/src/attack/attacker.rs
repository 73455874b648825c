//! The attacker: plays one attack for a while, and counts what comes of it.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use hyper::Method;
use hyper::body::Bytes;
use serde_json::Value;
use tokio::task::JoinSet;

use super::attacks::{Attack, Expected, How};
use crate::connection::{Answer, Connection};
use crate::host::Host;

/// The attacker's own address: this machine has all of 127.0.0.0/8.
pub const ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));

/// For how long an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// What an attacker gets to see is shown in so many letters.
const SHOWN: usize = 90;

pub struct Attacker {
    pub url: String,
    last: AtomicUsize,
}

/// What came of an attack so far.
#[derive(Default)]
pub struct Tally(Mutex<Counts>);

#[derive(Default)]
struct Counts {
    got: BTreeMap<String, usize>,
    broken: bool,
}

impl Tally {
    /// The attacker got this, which is what it should get or not.
    pub fn count(&self, got: &str, held: bool) {
        let shown: String = got.chars().map(|c| if c.is_control() { ' ' } else { c }).take(SHOWN).collect();
        let mut counts = self.0.lock().expect("nobody panics with it");
        *counts.got.entry(shown).or_default() += 1;
        counts.broken |= !held;
    }

    /// The most frequent first.
    pub fn got(&self) -> Vec<(String, usize)> {
        let counts = self.0.lock().expect("nobody panics with it");
        let mut got: Vec<_> = counts.got.clone().into_iter().collect();
        got.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        got.truncate(3);
        got
    }

    pub fn held(&self) -> bool {
        let counts = self.0.lock().expect("nobody panics with it");
        !counts.broken && !counts.got.is_empty()
    }
}

impl Attacker {
    pub fn enter(host: &Host) -> Result<Arc<Self>> {
        host.deploy_guest("fixture-hostile")?;
        Ok(Arc::new(Self { url: host.url().to_owned(), last: AtomicUsize::new(0) }))
    }

    pub async fn connect(&self) -> Result<Connection> {
        Connection::open_from(ADDRESS, &self.url).await
    }

    /// An id that was not used before.
    pub fn fresh_id(&self) -> String {
        format!("evil-{}", self.last.fetch_add(1, Ordering::Relaxed))
    }

    /// Plays an attack until its time is over, or it has nothing more to try.
    pub async fn play(self: &Arc<Self>, attack: &'static Attack, until: Instant) -> Result<Tally> {
        let tally = Arc::new(Tally::default());
        let mut players = JoinSet::new();
        match attack.how {
            How::Run { function, input, at_once, expected } => {
                for _ in 0..at_once {
                    let (attacker, tally) = (self.clone(), tally.clone());
                    players.spawn(async move { attacker.orchestrate(function, input(), expected, &tally, until).await });
                }
            }
            How::Deploy { module, expected } => {
                let (attacker, tally) = (self.clone(), tally.clone());
                players.spawn(async move { attacker.deploy(module, expected, &tally, until).await });
            }
            How::Requests { play, at_once } => {
                for _ in 0..at_once {
                    players.spawn(play(self.clone(), tally.clone(), until));
                }
            }
        }
        while let Some(played) = players.join_next().await {
            played??;
        }
        Ok(Arc::into_inner(tally).expect("all players have ended"))
    }

    /// Starts an orchestration, waits for its end and starts it again, until the time is over.
    async fn orchestrate(&self, function: &str, input: Value, expected: Expected, tally: &Tally, until: Instant) -> Result<()> {
        let mut connection = self.connect().await?;
        let input = Bytes::from(input.to_string());
        while Instant::now() < until {
            let left = until.saturating_duration_since(Instant::now()).as_secs_f64().max(0.1);
            let path =
                format!("orchestrators/{function}/{}?timeout={left:.1}&pollingInterval={:.1}", self.fresh_id(), left.min(1.0));
            let answer = connection.manage(Method::POST, &path, input.clone()).await?;
            let (got, held) = expected.judge(&answer);
            tally.count(&got, held);
        }
        Ok(())
    }

    async fn deploy(&self, module: fn() -> Vec<u8>, expected: Expected, tally: &Tally, until: Instant) -> Result<()> {
        let mut connection = self.connect().await?;
        let module = Bytes::from(module());
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

    /// Ends and removes what the attack has left behind.
    pub async fn leave(&self) -> Result<()> {
        let mut connection = self.connect().await?;
        loop {
            let list = "instances?runtimeStatus=Running,Pending,Suspended&showInput=false&top=200";
            let answer = connection.manage(Method::GET, list, "").await?;
            ensure!(answer.status == 200, "{}: {:?}", answer.status, answer.body);
            let left: Vec<Value> = serde_json::from_slice(&answer.body)?;
            let ids = left.iter().filter_map(|status| status["instanceId"].as_str());
            let ids: Vec<&str> = ids.filter(|id| !id.starts_with("honest-") && !id.starts_with('@')).collect();
            if ids.is_empty() {
                return Ok(());
            }
            for id in ids {
                connection.manage(Method::POST, &format!("instances/{id}/terminate?reason=over"), "").await?;
            }
        }
    }
}

impl Expected {
    /// What the attacker got, and whether that is what it should get.
    fn judge(self, answer: &Answer) -> (String, bool) {
        let body = String::from_utf8_lossy(&answer.body);
        let text = match serde_json::from_slice::<Value>(&answer.body) {
            Ok(Value::Object(members)) => {
                let said = ["output", "ExceptionMessage", "runtimeStatus"].into_iter().find_map(|name| members.get(name));
                let said = said.filter(|said| !said.is_null()).map(ToString::to_string);
                said.unwrap_or_else(|| if answer.status == 202 { "goes on".into() } else { body.to_string() })
            }
            _ => body.to_string(),
        };
        let failed = body.contains("\"runtimeStatus\":\"Failed\"");
        let held = match self {
            Expected::Failure(part) => answer.status == 202 || failed && text.contains(part),
            Expected::Refusal(status, part) => answer.status == status && text.contains(part),
            Expected::NotThis(part) => !text.contains(part) && answer.status < 500,
            Expected::Nothing => answer.status < 500 || failed,
        };
        (format!("{} {text}", answer.status), held)
    }
}
