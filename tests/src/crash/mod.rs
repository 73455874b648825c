//! The crash test: clients start orchestrations of all kinds, signal entities, put messages into a queue and make schedules while
//! the host is killed with SIGKILL at random times and restarted. After the last restart, every acknowledged instance must exist,
//! must finish once with the right output, and must have a history without gaps or duplicates; every counter must have counted
//! each acknowledged signal once; and the money that orchestrations moved between accounts must still be there, no less and no
//! more. What must hold of queues and schedules is said in [`queues`] and [`schedules`].

mod counter;
mod queues;
mod schedules;

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, RwLock};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use dacapo_core::event::Outcome;
use dacapo_core::{Event, HistoryEvent, InstanceId, RuntimeStatus, Seq, Timestamp};
use dacapo_store::{InstanceQuery, RedbStore, Store as _, StoreOptions};
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use serde::Serialize;
use serde_json::{Value, json};

use crate::host::{Answer, Host, HostOptions, is_finished, request};
use crate::program;
use counter::Counter;
use queues::Queues;
use schedules::Schedules;

/// The options of a run.
#[derive(Debug, Clone)]
pub struct CrashOptions {
    pub seed: u64,
    pub kills: usize,
    pub clients: usize,
    /// The host lives at least and at most this long before it is killed.
    pub lives: std::ops::Range<Duration>,
    /// More arguments of `dacapo serve`.
    pub arguments: Vec<String>,
}

/// The results of a run.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    pub seed: u64,
    pub kills: usize,
    /// Starts that the host acknowledged.
    pub acknowledged: usize,
    /// Starts without a response because the host was killed: they may or may not exist.
    pub unanswered: usize,
    /// Unanswered starts that exist, and have finished.
    pub unanswered_found: usize,
    pub finished: usize,
    pub children: usize,
    pub history_events: usize,
    pub activities_counted: usize,
    /// Runs of the counted activities beyond the first: activities run at least once, not exactly once.
    pub activities_repeated: usize,
    /// Signals to counters that the host acknowledged.
    pub signals_acknowledged: usize,
    /// Signals without a response because the host was killed: they may or may not have been counted.
    pub signals_unanswered: usize,
    /// The sum of all counters.
    pub signals_counted: usize,
    /// Orchestrations that moved money between two locked accounts.
    pub transfers: usize,
    /// The sum of all accounts, the same at the beginning and at the end.
    pub money: i64,
    /// Messages that the host acknowledged.
    pub messages_acknowledged: usize,
    /// Messages without a response because the host was killed: they may or may not be there.
    pub messages_unanswered: usize,
    pub messages_processed: usize,
    pub messages_poisoned: usize,
    pub deliveries: usize,
    /// Deliveries with a number that another one of the same message had: an attempt that a kill cuts short is repeated.
    pub deliveries_repeated: usize,
    /// Schedules of one second, one of which is a timer trigger.
    pub schedules: usize,
    /// The seconds that they were active, each of which has started one instance.
    pub occurrences: usize,
    /// Those of the timer trigger.
    pub timer_runs: usize,
    /// Seconds that the timer trigger left out, because its run before was not over.
    pub timer_skipped: usize,
    pub restart_ms_median: f64,
    pub restart_ms_max: f64,
    pub seconds: f64,
}

/// An orchestration that a client starts, and a check of its output.
struct Case {
    function: &'static str,
    input: Value,
    /// An event that the client raises after the start is acknowledged.
    event: Option<(&'static str, Value)>,
    check: fn(&Value, &Value) -> bool,
}

fn random_case(random: &mut StdRng, counter: &Counter) -> Case {
    let case = |function, input, check| Case { function, input, event: None, check };
    match random.random_range(0..11) {
        0 => {
            let names: Vec<String> = (0..random.random_range(1..5)).map(|n| format!("city {n}")).collect();
            case("hello_sequence", json!(names), |input, output| {
                let names = input.as_array().into_iter().flatten().filter_map(Value::as_str);
                *output == json!(names.map(|name| format!("Hello, {name}!")).collect::<Vec<_>>())
            })
        }
        1 => case("fan_out", json!(random.random_range(1..40)), |_, output| !output.is_null()),
        2 => case("provision_devices", json!(["lamp", "lock"]), |_, output| {
            output["ready"].as_array().is_some_and(|ready| ready.len() == 2) && output["failed"] == json!([])
        }),
        3 => case("book_trip", json!({ "traveller": "ada", "flaky_attempts": 1 }), |_, output| {
            output["booked"] == json!(["flight-ada", "hotel-ada", "car-ada"])
        }),
        4 => case("book_trip", json!({ "traveller": "bob", "fails_at": "car", "flaky_attempts": 0 }), |_, output| {
            output["undone"] == json!(["hotel-bob", "flight-bob"])
        }),
        5 => {
            let event = Some(("Approval", json!({ "approved": true })));
            let check = |_: &Value, output: &Value| output["decision"] == json!("approved");
            Case { function: "approval", input: json!({ "employee": "ada" }), event, check }
        }
        6 => case("periodic_cleanup", json!({ "interval_ms": 15, "max_rounds": 6 }), |_, output| {
            output["rounds"] == json!(6) && output["removed"] == json!(6)
        }),
        7 => {
            let program = json!({ "seed": random.random_range(0..1_u64 << 50), "steps": random.random_range(2..10) });
            case("random_program", program, |input, output| {
                let number = |name: &str| input[name].as_u64().unwrap_or_default();
                *output == json!(program::expected(number("seed"), number("steps") as u32))
            })
        }
        8..10 => {
            let from = random.random_range(0..ACCOUNTS);
            let to = (from + random.random_range(1..ACCOUNTS)) % ACCOUNTS;
            let transfer = json!({ "from": account(from), "to": account(to), "amount": random.random_range(1..MONEY / 3) });
            case("transfer", transfer, |_, output| !output.is_null())
        }
        _ => {
            let urls: Vec<String> = (0..4).map(|n| format!("{}/{:016x}/{n}", counter.url, random.random::<u64>())).collect();
            case("fetch_all", json!(urls), |input, output| output.as_array().map(Vec::len) == input.as_array().map(Vec::len))
        }
    }
}

/// State that the clients and the killer share.
struct Shared {
    url: RwLock<String>,
    stop: AtomicBool,
    acknowledged: Mutex<Vec<(String, Case)>>,
    unanswered: Mutex<Vec<String>>,
    counter: Counter,
    signals: [Tally; COUNTERS],
    queues: Queues,
    schedules: Schedules,
}

/// The numbers of signals to one counter.
#[derive(Default)]
struct Tally {
    acknowledged: AtomicUsize,
    unanswered: AtomicUsize,
}

const COUNTERS: usize = 3;
const ACCOUNTS: i64 = 4;
/// The initial balance of each account.
const MONEY: i64 = 1_000;

fn account(number: i64) -> String {
    format!("account-{number}")
}

/// Runs the test in an empty `directory`.
pub fn run(options: &CrashOptions, directory: &Path) -> Result<Report> {
    let begin = Instant::now();
    let (counter, queues) = (Counter::start()?, Queues::start()?);
    let allowed = [&counter, &queues.counter].map(|counter| ["--allow-host".to_owned(), counter.authority.clone()]).concat();
    let host_options = HostOptions { data: directory.to_owned(), arguments: [allowed, options.arguments.clone()].concat() };
    let mut host = Host::start(host_options)?;
    for guest in GUESTS {
        host.deploy_guest(guest)?;
    }
    let schedules = Schedules::start(&host)?;
    let shared = Arc::new(Shared {
        url: RwLock::new(host.url().to_owned()),
        stop: AtomicBool::new(false),
        acknowledged: Mutex::default(),
        unanswered: Mutex::default(),
        counter,
        signals: Default::default(),
        queues,
        schedules,
    });
    for number in 0..ACCOUNTS {
        let path = format!("entities/account/{}?op=deposit", account(number));
        let answer = host.manage("POST", &path, Some(&json!(MONEY)))?;
        ensure!(answer.status == 202, "the first deposit: {answer:?}");
    }
    let clients: Vec<_> = (0..options.clients)
        .map(|number| {
            let (shared, seed) = (shared.clone(), options.seed.wrapping_add(1 + number as u64));
            std::thread::spawn(move || client(&shared, seed))
        })
        .collect();
    let killed = kill_again_and_again(options, &mut host, &shared);
    shared.stop.store(true, Ordering::SeqCst);
    for client in clients {
        client.join().map_err(|_| anyhow::anyhow!("a client panicked"))?;
    }
    let mut restarts = killed?;
    restarts.sort_by(f64::total_cmp);
    let mut report = Report {
        seed: options.seed,
        kills: options.kills,
        restart_ms_median: restarts.get(restarts.len() / 2).copied().unwrap_or_default(),
        restart_ms_max: restarts.last().copied().unwrap_or_default(),
        ..Report::default()
    };
    check_instances(&host, &shared, &mut report)?;
    shared.queues.check(&mut host, &mut report)?;
    shared.schedules.check(&host, &mut report)?;
    wait_for_the_rest(&host)?;
    check_entities(&host, &shared, &mut report)?;
    ensure!(host.stop()? == Some(0), "the host did not stop in order\n{}", host.log());
    check_store(directory, &shared, &mut report)?;
    report.seconds = begin.elapsed().as_secs_f64();
    Ok(report)
}

const GUESTS: [&str; 10] = [
    "example-hello-sequence",
    "example-human-interaction",
    "example-saga",
    "example-eternal",
    "example-sub-orchestrations",
    "example-counter",
    "example-account-transfer",
    "fixture-deliveries",
    "fixture-probe",
    "fixture-interpreter",
];

/// Returns how long each restart took, in milliseconds.
fn kill_again_and_again(options: &CrashOptions, host: &mut Host, shared: &Shared) -> Result<Vec<f64>> {
    let mut random = StdRng::seed_from_u64(options.seed);
    let mut restarts = Vec::new();
    for kill in 1..=options.kills {
        std::thread::sleep(random.random_range(options.lives.clone()));
        let begin = Instant::now();
        host.restart().with_context(|| format!("restart after kill {kill} of seed {}", options.seed))?;
        restarts.push(begin.elapsed().as_secs_f64() * 1e3);
        *shared.url.write().expect("no holder of this lock panics") = host.url().to_owned();
    }
    Ok(restarts)
}

fn client(shared: &Shared, seed: u64) {
    let mut random = StdRng::seed_from_u64(seed);
    for number in 0.. {
        if shared.stop.load(Ordering::SeqCst) {
            return;
        }
        let case = random_case(&mut random, &shared.counter);
        let id = format!("{}-{seed:x}-{number}", case.function);
        match post(shared, &format!("durabletask/orchestrators/{}/{id}", case.function), &case.input) {
            Some(202) => {
                if let Some((name, data)) = &case.event {
                    // Repeated until it is acknowledged: if two arrive, the second is never read.
                    while !matches!(post(shared, &format!("durabletask/instances/{id}/raiseEvent/{name}"), data), Some(202 | 410))
                    {
                        std::thread::sleep(Duration::from_millis(20));
                    }
                }
                shared.acknowledged.lock().expect("no holder of this lock panics").push((id, case));
            }
            _ => shared.unanswered.lock().expect("no holder of this lock panics").push(id),
        }
        for _ in 0..random.random_range(0..4) {
            let number = random.random_range(0..COUNTERS);
            let tally = &shared.signals[number];
            match post(shared, &format!("durabletask/entities/counter/crash-{number}?op=add"), &json!(1)) {
                Some(202) => tally.acknowledged.fetch_add(1, Ordering::SeqCst),
                _ => tally.unanswered.fetch_add(1, Ordering::SeqCst),
            };
        }
        if random.random_range(0..3) == 0 {
            let prefix = format!("message-{seed:x}-{number}");
            shared.queues.produce(&mut random, &prefix, |path, body| send(shared, path, body));
        }
        if random.random_range(0..20) == 0 {
            shared.schedules.make(|path, body| send(shared, path, body));
        }
        std::thread::sleep(Duration::from_millis(random.random_range(1..15)));
    }
}

/// Returns the status of the response, if there was one.
fn post(shared: &Shared, path: &str, body: &Value) -> Option<u16> {
    send(shared, path, body).map(|answer| answer.status)
}

/// Returns the response, if there was one.
fn send(shared: &Shared, path: &str, body: &Value) -> Option<Answer> {
    let url = shared.url.read().expect("no holder of this lock panics").clone();
    request("POST", &format!("{url}/runtime/webhooks/{path}"), Some(body.to_string().as_bytes())).ok()
}

/// Checks that every acknowledged instance exists and finishes with the right output.
fn check_instances(host: &Host, shared: &Shared, report: &mut Report) -> Result<()> {
    let acknowledged = shared.acknowledged.lock().expect("no holder of this lock panics");
    for (id, case) in acknowledged.iter() {
        let status = host.wait(id).with_context(|| format!("the acknowledged instance {id}"))?;
        let right = match status["runtimeStatus"].as_str() {
            Some("Completed") => (case.check)(&case.input, &status["output"]),
            _ => case.function == "transfer" && is_refused_transfer(&status),
        };
        ensure!(right, "{id} has the wrong outcome: {status}");
        report.finished += 1;
    }
    report.acknowledged = acknowledged.len();
    let unanswered = shared.unanswered.lock().expect("no holder of this lock panics");
    report.unanswered = unanswered.len();
    for id in unanswered.iter() {
        let answer = host.manage("GET", &format!("instances/{id}"), None)?;
        if answer.status == 404 {
            continue;
        }
        report.unanswered_found += 1;
        // An approval whose start was not acknowledged got no event from its client, and would wait for ever.
        if id.starts_with("approval") && !is_finished(&answer.json()) {
            host.raise_event(id, "Approval", json!({ "approved": true }))?;
        }
        host.wait(id).with_context(|| format!("the unanswered instance {id}"))?;
    }
    Ok(())
}

/// Checks that each counter has counted all acknowledged and no unknown signals, and that the sum of money is unchanged.
fn check_entities(host: &Host, shared: &Shared, report: &mut Report) -> Result<()> {
    for (number, tally) in shared.signals.iter().enumerate() {
        let acknowledged = tally.acknowledged.load(Ordering::SeqCst);
        let unanswered = tally.unanswered.load(Ordering::SeqCst);
        let answer = host.manage("GET", &format!("entities/counter/crash-{number}"), None)?;
        let counted = if answer.status == 404 { 0 } else { number_in(&answer.json(), "value")? as usize };
        let possible = acknowledged..=acknowledged + unanswered;
        ensure!(possible.contains(&counted), "counter {number} is {counted}, and should be {possible:?}");
        report.signals_acknowledged += acknowledged;
        report.signals_unanswered += unanswered;
        report.signals_counted += counted;
    }
    for number in 0..ACCOUNTS {
        let answer = host.manage("GET", &format!("entities/account/{}", account(number)), None)?;
        report.money += number_in(&answer.json(), "balance")?;
    }
    ensure!(report.money == ACCOUNTS * MONEY, "of {} on the accounts {} are left", ACCOUNTS * MONEY, report.money);
    Ok(())
}

fn number_in(state: &Value, member: &str) -> Result<i64> {
    state[member].as_i64().with_context(|| format!("there is no number '{member}' in {state}"))
}

/// Waits for orchestrations that no client waits for: those that other orchestrations started.
fn wait_for_the_rest(host: &Host) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let answer = host.manage("GET", "instances?runtimeStatus=Pending,Running,Suspended", None)?;
        match answer.json().as_array() {
            Some(living) if living.iter().all(is_entity) => return Ok(()),
            _ => ensure!(Instant::now() < deadline, "still not finished: {}", answer.body),
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Whether a transfer failed because the account held too little.
fn is_refused_transfer(status: &Value) -> bool {
    status["runtimeStatus"] == "Failed" && status["output"].as_str().is_some_and(|output| output.contains(" holds "))
}

/// Entities never finish.
fn is_entity(status: &Value) -> bool {
    status["instanceId"].as_str().is_some_and(|id| id.starts_with('@'))
}

/// Opens the store of a host that has stopped.
pub fn open_store(directory: &Path) -> Result<RedbStore> {
    let hubs: Vec<_> = std::fs::read_dir(directory.join("hubs"))?.collect::<std::io::Result<_>>()?;
    let path = hubs.iter().map(|entry| entry.path()).find(|path| path.extension().is_some_and(|e| e == "redb"));
    Ok(RedbStore::open(&path.context("there is no hub file")?, StoreOptions::default())?)
}

/// Checks the store itself: histories have no gaps or duplicates, and no rows are left over but those of paused schedules.
fn check_store(directory: &Path, shared: &Shared, report: &mut Report) -> Result<()> {
    let store = open_store(directory)?;
    let mut after = None;
    let (mut fetched, mut ticked) = (0, 0);
    let mut started_by_messages: HashMap<String, usize> = HashMap::new();
    loop {
        let page = store.instances(&InstanceQuery::default(), after.as_ref(), 1_000)?;
        for record in &page.records {
            if record.id.is_entity() {
                let entity = store.entity(record.row)?.with_context(|| format!("{} has no state", record.id))?;
                let waits = entity.waiting && !is_schedule(&record.id);
                ensure!(entity.lock.is_none() && !waits, "{} is locked, or operations wait: {entity:?}", record.id);
                continue;
            }
            let history = store.history(record.row, record.turns.clone())?;
            let unasked = history.iter().find(|e| is_of_a_client(&e.event));
            ensure!(unasked.is_none(), "{}: no client asked for {unasked:?}", record.id);
            check_history(&history).with_context(|| format!("the history of {}", record.id))?;
            // One of the orchestrations of the random programs always fails.
            let fails = record.name.as_str() == "fail";
            let may_fail = record.name.as_str() == "transfer" && record.status == RuntimeStatus::Failed;
            let expected = if fails || may_fail { RuntimeStatus::Failed } else { RuntimeStatus::Completed };
            ensure!(record.status == expected, "{} is {}", record.id, record.status.name());
            let turns = history.iter().filter(|e| matches!(e.event, Event::OrchestratorStarted { .. })).count();
            ensure!(turns == record.turns.len(), "{}: {turns} turns are stored, {:?} are recorded", record.id, record.turns);
            report.history_events += history.len();
            report.children += usize::from(record.parent.is_some());
            match record.name.as_str() {
                "fetch_all" => fetched += 4,
                "transfer" => report.transfers += 1,
                schedules::OF_TIMER => ticked += 1,
                "processed" => *started_by_messages.entry(output_of(&history)?).or_default() += 1,
                _ => {}
            }
        }
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    // What wakes a schedule was sent before it was paused.
    let undelivered = store.undelivered(None, 1_000)?;
    let left = undelivered.iter().find(|(_, message)| !is_schedule(&message.to));
    ensure!(left.is_none(), "a message is left in an inbox: {left:?}");
    ensure!(store.activities(None, 1)?.is_empty(), "an activity is left");
    let timers = store.timers(None, Timestamp(i64::MAX), 1_000)?;
    let left = timers.iter().find(|timer| !is_schedule(&timer.instance));
    ensure!(left.is_none(), "a timer is left: {left:?}");
    ensure!(ticked == report.timer_runs, "the timer trigger ran {} times, and has started {ticked}", report.timer_runs);
    shared.queues.check_started(started_by_messages, report)?;
    check_fetched(&shared.counter, fetched, report)
}

/// Whether this is the entity that is a schedule.
pub fn is_schedule(id: &InstanceId) -> bool {
    id.as_str().starts_with("@builtin::schedule@")
}

/// The output of a completed orchestration, which is a text.
fn output_of(history: &[HistoryEvent]) -> Result<String> {
    let outcome = history.iter().find_map(|event| match &event.event {
        Event::ExecutionCompleted { outcome: Outcome::Completed(output) } => Some(output),
        _ => None,
    });
    Ok(serde_json::from_str(outcome.context("it has not completed")?)?)
}

fn check_fetched(counter: &Counter, expected: usize, report: &mut Report) -> Result<()> {
    let visits = counter.visits();
    report.activities_counted = visits.len();
    report.activities_repeated = visits.values().map(|visits| visits.count - 1).sum();
    ensure!(visits.len() == expected, "{expected} activities have results, {} have run", visits.len());
    Ok(())
}

/// Events that only clients cause, and that the clients of this test do not.
fn is_of_a_client(event: &Event) -> bool {
    matches!(
        event,
        Event::ExecutionSuspended { .. }
            | Event::ExecutionResumed { .. }
            | Event::ExecutionTerminated { .. }
            | Event::ExecutionRewound { .. }
    )
}

/// Checks a finished history: it begins and ends once; its actions are numbered without gaps, except after a rewind; each result
/// belongs to an action and occurs once; each action that the orchestrator did not abandon has a result; and all locks were
/// released.
pub fn check_history(history: &[HistoryEvent]) -> Result<()> {
    let mut reader = HistoryReader::default();
    for (position, HistoryEvent { at, event }) in history.iter().enumerate() {
        reader.read(*at, event).with_context(|| format!("at {position}"))?;
    }
    reader.end()
}

/// The state of reading a history.
#[derive(Default)]
struct HistoryReader {
    /// Actions without a result.
    open: HashMap<Seq, &'static str>,
    next: u32,
    /// Whether a rewind followed the last action. The next action then has a higher number: forgotten ones are not reused.
    rewound: bool,
    started: usize,
    outcome: Option<Outcome>,
    suspended: bool,
    locks: usize,
    turn_at: Option<Timestamp>,
    /// Whether it began before its scheduled time.
    early: bool,
}

impl HistoryReader {
    fn read(&mut self, at: Timestamp, event: &Event) -> Result<()> {
        ensure!(self.outcome.is_none(), "something happened after the end: {event:?}");
        match event {
            Event::OrchestratorStarted { .. } => self.turn_at = Some(at),
            Event::EventRaised { .. } | Event::ExecutionTerminated { .. } | Event::ExecutionMigrated { .. } => {}
            Event::ExecutionRewound { .. } => self.rewound = true,
            Event::ExecutionStarted { start_at, .. } => {
                self.started += 1;
                self.early = start_at.is_some_and(|start_at| self.turn_at < Some(start_at));
            }
            Event::ExecutionSuspended { .. } | Event::ExecutionResumed { .. } => {
                let suspends = matches!(event, Event::ExecutionSuspended { .. });
                ensure!(self.suspended != suspends, "{} came twice", event.kind());
                self.suspended = suspends;
            }
            Event::ExecutionCompleted { outcome } => self.outcome = Some(outcome.clone()),
            Event::TaskScheduled { seq, .. } => self.action(seq, "activity")?,
            Event::SubOrchestrationInstanceCreated { seq, detached: false, .. } => self.action(seq, "child")?,
            Event::SubOrchestrationInstanceCreated { seq, detached: true, .. } => self.action(seq, "detached child")?,
            Event::TimerCreated { seq, .. } => self.action(seq, "timer")?,
            Event::EventSent { seq, .. } => self.action(seq, "event")?,
            Event::EntityOperationCalled { seq, .. } => self.action(seq, "operation")?,
            Event::EntityOperationSignaled { seq, .. } => self.action(seq, "signal")?,
            Event::EntityLockRequested { seq, .. } => {
                self.action(seq, "lock")?;
                self.locks += 1;
            }
            Event::EntityUnlockSent { seq, .. } => {
                self.action(seq, "unlock")?;
                self.locks = self.locks.checked_sub(1).context("unlocked, and was not locked")?;
            }
            Event::TaskCompleted { seq, .. } | Event::TaskFailed { seq, .. } => self.result(seq, "activity")?,
            Event::TimerFired { seq, .. } => self.result(seq, "timer")?,
            Event::SubOrchestrationInstanceCompleted { seq, .. } | Event::SubOrchestrationInstanceFailed { seq, .. } => {
                self.result(seq, "child")?;
            }
            Event::EntityOperationCompleted { seq, .. } | Event::EntityOperationFailed { seq, .. } => {
                self.result(seq, "operation")?;
            }
            Event::EntityLockGranted { seq } => self.result(seq, "lock")?,
            Event::OperationRequested { .. } | Event::LockRequested { .. } | Event::LockReleased { .. } | Event::StatePurged => {
                bail!("{} is for entities, which have no history", event.kind())
            }
        }
        Ok(())
    }

    fn action(&mut self, seq: &Seq, kind: &'static str) -> Result<()> {
        let jumps = std::mem::take(&mut self.rewound) && seq.0 > self.next;
        ensure!(jumps || seq.0 == self.next, "action {seq} where {} was expected", self.next);
        self.next = seq.0 + 1;
        self.open.insert(*seq, kind);
        Ok(())
    }

    fn result(&mut self, seq: &Seq, kind: &'static str) -> Result<()> {
        let opened = self.open.remove(seq);
        ensure!(opened == Some(kind), "the result of {kind} {seq} belongs to {opened:?}");
        Ok(())
    }

    fn end(self) -> Result<()> {
        let outcome = self.outcome.context("it does not end")?;
        ensure!(self.started == 1, "{} starts", self.started);
        let terminated = matches!(outcome, Outcome::Terminated { .. });
        ensure!(!self.early || terminated, "it began before its time");
        ensure!(self.locks == 0, "{} locks were not released", self.locks);
        let awaited = |kind: &str| ["activity", "child", "operation", "lock"].contains(&kind);
        let waits = self.open.values().any(|kind| awaited(kind));
        ensure!(!waits || !matches!(outcome, Outcome::Completed(_)), "without a result: {:?}", self.open);
        Ok(())
    }
}
