//! Queues while the host is killed: clients put messages, alone and in batches. Some are delayed, some fail at first, and the
//! trigger fails on a few of them each time.
//!
//! What must hold: a message that was acknowledged is processed, and what its trigger starts is started once; one that always
//! fails is delivered five times, is then in the poison queue, once, and stays there; nothing is left in the queue.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context as _, Result, ensure};
use rand::Rng as _;
use rand::rngs::StdRng;
use serde_json::{Value, json};

use super::Report;
use super::counter::Counter;
use crate::host::{Answer, Host};

/// The queue whose trigger the fixture `deliveries` has.
const QUEUE: &str = "work";

/// How often a message is delivered before it is given up.
const DELIVERIES_MAX: u32 = 5;

/// The most messages of a run that always fail: one request shows a hundred.
const POISON_MAX: usize = 60;

/// The attempts on a failing message take a quarter of a minute, and each may be cut short by a kill.
const PATIENCE: Duration = Duration::from_secs(180);

pub struct Queues {
    /// Its counts are those of deliveries.
    pub counter: Counter,
    sent: Mutex<Vec<Sent>>,
    poison: AtomicUsize,
}

/// A message that a client has sent.
struct Sent {
    name: String,
    /// This many deliveries fail.
    fails: u32,
    /// It must not be delivered before.
    deliver_at: Option<SystemTime>,
    acknowledged: bool,
}

impl Sent {
    fn is_poison(&self) -> bool {
        self.fails >= DELIVERIES_MAX
    }
}

impl Queues {
    pub fn start() -> Result<Self> {
        Ok(Self { counter: Counter::start()?, sent: Mutex::default(), poison: AtomicUsize::new(0) })
    }

    /// Puts a message or a batch of them. `post` sends a request, and returns the response if there was one.
    pub fn produce(&self, random: &mut StdRng, prefix: &str, post: impl Fn(&str, &Value) -> Option<Answer>) {
        let is_batch = random.random();
        let count = if is_batch { random.random_range(1..6) } else { 1 };
        let delay = (random.random_range(0..6) == 0).then(|| Duration::from_millis(random.random_range(100..1_500)));
        let deliver_at = delay.map(|delay| SystemTime::now() + delay);
        let mut messages: Vec<Sent> = Vec::new();
        for number in 0..count {
            let fails = self.fails(random);
            messages.push(Sent { name: format!("{prefix}-{number}"), fails, deliver_at, acknowledged: false });
        }
        let bodies = messages.iter().map(|Sent { name, fails, .. }| {
            let url = format!("{}/{name}", self.counter.url);
            json!({ "name": name, "fails": fails, "url": url })
        });
        let body = if is_batch { bodies.collect() } else { bodies.last().unwrap_or_default() };
        let query = deliver_at.map_or(String::new(), |at| format!("?deliverAt={}", written(at)));
        let acknowledged = post(&format!("queues/{QUEUE}{query}"), &body).is_some_and(|answer| answer.status == 202);
        messages.iter_mut().for_each(|message| message.acknowledged = acknowledged);
        self.sent.lock().expect("no holder of this lock panics").extend(messages);
    }

    /// How many deliveries of the next message fail.
    fn fails(&self, random: &mut StdRng) -> u32 {
        match random.random_range(0..30) {
            0 if self.poison.fetch_add(1, Ordering::SeqCst) < POISON_MAX => u32::MAX,
            1..3 => random.random_range(1..3),
            _ => 0,
        }
    }

    /// Waits until the queue is empty, and checks what was delivered; then kills the host once more, checks that the poison queue
    /// is as it was, and clears it.
    pub fn check(&self, host: &mut Host, report: &mut Report) -> Result<()> {
        wait_until_empty(host)?;
        let poison = peek(host)?;
        self.check_deliveries(&poison, report).with_context(|| failures_of_the_host(host))?;
        host.restart()?;
        ensure!(peek(host)? == poison, "the poison queue has changed; it was {poison:?}");
        let cleared = host.request("DELETE", &format!("/runtime/webhooks/queues/{QUEUE}-poison"), None)?;
        ensure!(cleared.json() == json!({ "messages": poison.len() }), "{} were cleared: {cleared:?}", poison.len());
        wait_until(host, "a message is left", || {
            let left = host.manage("GET", "instances?functionName=BuiltIn::Message", None)?;
            Ok((left.body == "[]").then_some(()).ok_or(left.body))
        })
    }

    fn check_deliveries(&self, poison: &BTreeMap<String, Value>, report: &mut Report) -> Result<()> {
        let sent = self.sent.lock().expect("no holder of this lock panics");
        let visits = self.counter.visits();
        let mut deliveries: HashMap<&str, BTreeSet<u32>> = HashMap::new();
        for path in visits.keys() {
            let (name, number) = path.trim_start_matches('/').rsplit_once('/').context("a delivery has a number")?;
            deliveries.entry(name).or_default().insert(number.parse()?);
        }
        for message in sent.iter() {
            let Sent { name, fails, deliver_at, acknowledged } = message;
            let numbers = deliveries.remove(name.as_str()).unwrap_or_default();
            // Of a batch without a response, some may be there.
            ensure!(!acknowledged || !numbers.is_empty(), "{name} was acknowledged, and is lost");
            let is_there = !numbers.is_empty();
            let last = fails.saturating_add(1).min(DELIVERIES_MAX);
            ensure!(!is_there || numbers == (1..=last).collect(), "{name} fails {fails} times; its deliveries are {numbers:?}");
            ensure!(poison.contains_key(name) == (is_there && message.is_poison()), "{name} fails {fails} times: {poison:?}");
            let first = visits.get(&format!("/{name}/1")).map(|visits| visits.first);
            let is_early = first.zip(*deliver_at).is_some_and(|(first, deliver_at)| first < deliver_at);
            ensure!(!is_early, "{name} was delivered too early: {first:?}, not {deliver_at:?}");
            report.messages_acknowledged += usize::from(*acknowledged);
            report.messages_unanswered += usize::from(!acknowledged);
        }
        ensure!(deliveries.is_empty(), "nobody has sent {deliveries:?}");
        report.messages_poisoned = poison.len();
        report.deliveries = visits.values().map(|visits| visits.count).sum();
        report.deliveries_repeated = report.deliveries - visits.len();
        Ok(())
    }

    /// Checks how many orchestrations each message has started.
    pub fn check_started(&self, mut started: HashMap<String, usize>, report: &mut Report) -> Result<()> {
        let visits = self.counter.visits();
        for Sent { name, fails, .. } in self.sent.lock().expect("no holder of this lock panics").iter() {
            let succeeded = visits.contains_key(&format!("/{name}/{}", fails.saturating_add(1)));
            let count = started.remove(name).unwrap_or_default();
            ensure!(count == usize::from(succeeded), "{name} fails {fails} times, and has started {count} orchestrations");
            report.messages_processed += count;
        }
        ensure!(started.is_empty(), "nobody has sent {started:?}");
        Ok(())
    }
}

/// What the host logged of failed deliveries that did not fail on purpose.
fn failures_of_the_host(host: &Host) -> String {
    let log = host.log();
    let lines: Vec<&str> = log.lines().filter(|line| line.contains("a trigger failed") && !line.contains("OnPurpose")).collect();
    format!("other failures of triggers in the log: {lines:#?}")
}

fn written(at: SystemTime) -> String {
    chrono::DateTime::<chrono::Utc>::from(at).format("%Y-%m-%dT%H:%M:%S%.6fZ").to_string()
}

/// The poison queue: the names of the messages, and all that is shown of each.
fn peek(host: &Host) -> Result<BTreeMap<String, Value>> {
    let answer = host.request("GET", &format!("/runtime/webhooks/queues/{QUEUE}-poison?top=100"), None)?;
    ensure!(answer.status == 200, "{answer:?}");
    let mut found = BTreeMap::new();
    for message in answer.json().as_array().context("a list")? {
        ensure!(message["reason"] == "OnPurpose: it fails on purpose", "{message}");
        let body: Value = serde_json::from_str(message["text"].as_str().context("a text")?)?;
        let name = body["name"].as_str().context("a name")?.to_owned();
        ensure!(found.insert(name, message.clone()).is_none(), "it is in the poison queue twice: {message}");
    }
    Ok(found)
}

fn wait_until_empty(host: &Host) -> Result<()> {
    wait_until(host, "messages are left", || {
        let queues = host.request("GET", "/runtime/webhooks/queues", None)?.json();
        let queue = queues.as_array().into_iter().flatten().find(|queue| queue["name"] == QUEUE);
        let queue = queue.context("the queue has a trigger")?;
        Ok((queue["messages"] == 0).then_some(()).ok_or_else(|| queue.to_string()))
    })
}

/// Waits until a check succeeds. It returns what is wrong otherwise.
pub fn wait_until(host: &Host, what: &str, check: impl Fn() -> Result<std::result::Result<(), String>>) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while let Err(wrong) = check()? {
        ensure!(Instant::now() < deadline, "{what}: {wrong}\n{}", host.log());
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}
