//! Runs a sequence against a real host, and compares everything that the host shows with the model.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use serde::Serialize;
use serde_json::{Value, json};

use super::operation::{Answer, Operation};
use super::possible::Possible;
use super::queue::Place;
use super::schedule::{BACKFILLED, BY_HAND, SCHEDULES, Schedule, YEARS};
use super::service::Service;
use super::world::{Counter, Data, Id, Look, SLOTS, Signal, Status, World, reason_text};
use crate::host::{self, Host};
use crate::trigger_guest;

/// How long a state that is not final may remain unchanged. A message that always fails takes a quarter of a minute.
const PATIENCE: Duration = Duration::from_secs(40);

/// With more possible worlds than this, the driver looks at the host, which rules some of them out.
const WORLDS_MANY: usize = 200;

const CONTINUATION: &str = "x-ms-continuation-token";

/// The app with the trigger of the queue, and the orchestrator that it starts for each message.
pub const LISTENER: &str = "listener";
const PROCESSED: &str = "processed";

/// The module of the app with the trigger, or without it.
pub fn listener(listens: bool) -> Result<Vec<u8>> {
    match listens {
        true => crate::guest("fixture-deliveries"),
        false => Ok(trigger_guest::module(PROCESSED, &[("idle", r#"[{"type":"manualTrigger"}]"#)])),
    }
}

/// Statistics of a run.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Counts {
    pub operations: usize,
    /// Operations by kind and answer.
    pub answers: BTreeMap<String, usize>,
    pub crashes: usize,
    /// Requests without a response because of a crash.
    pub unanswered: usize,
    pub looks: usize,
    /// The most worlds that were possible at one time.
    pub worlds_max: usize,
}

/// The final status that an instance must have.
#[derive(Debug, Clone)]
pub struct Expected {
    pub id: String,
    pub status: Status,
}

/// A sequence in progress. Its instances have a prefix of their own.
pub struct Driver<'a> {
    pub host: &'a mut Host,
    pub service: &'a Service,
    pub prefix: String,
    /// When it began: instances of other sequences are older.
    pub began: String,
    pub counts: &'a mut Counts,
    possible: Possible,
}

/// What the host shows of the sequence's instances.
struct Seen {
    instances: BTreeMap<String, Value>,
    counters: BTreeMap<String, Value>,
    /// The texts in the queue and in the poison queue.
    messages: [BTreeSet<String>; 2],
    /// The orchestrations that messages have started.
    processed: BTreeMap<String, Value>,
    schedules: BTreeMap<u8, Value>,
    by_hand: BTreeMap<String, Value>,
}

impl<'a> Driver<'a> {
    pub fn new(host: &'a mut Host, service: &'a Service, prefix: String, counts: &'a mut Counts) -> Self {
        let began = chrono::Utc::now().format("%Y-%m-%dT%H:%M:%S%.6fZ").to_string();
        Driver { host, service, prefix, began, counts, possible: Possible::default() }
    }

    /// Runs the sequence, then ends all instances that are alive. Returns the final statuses.
    pub fn run(mut self, operations: &[Operation]) -> Result<Vec<Expected>> {
        for (number, operation) in operations.iter().enumerate() {
            self.step(operation).with_context(|| format!("operation {number}, {operation:?}"))?;
        }
        self.finish().context("ending the instances that are alive")
    }

    fn step(&mut self, operation: &Operation) -> Result<()> {
        self.counts.operations += 1;
        match operation {
            Operation::Switch { slot, on } => {
                self.service.switch(&self.slot(*slot), *on);
                self.possible.switch(*slot, *on);
            }
            Operation::Look => self.look()?,
            Operation::Settle => drop(self.settle()?),
            Operation::Page => drop(self.page()?),
            Operation::Crash => self.crash()?,
            Operation::CrashDuring { operation, micros } => self.crash_during(operation, Duration::from_micros(*micros))?,
            Operation::Both(first, second) => self.both(first, second)?,
            request => {
                let answer = self.request(request).and_then(|request| request.send())?;
                self.count(request, &answer.to_string());
                self.possible.answered(request, answer)?;
            }
        }
        self.counts.worlds_max = self.counts.worlds_max.max(self.possible.count());
        if self.possible.count() > WORLDS_MANY { self.settle().map(drop) } else { Ok(()) }
    }

    fn count(&mut self, operation: &Operation, answer: &str) {
        let debug = format!("{operation:?}");
        let kind = debug.split(['(', ' ', '{']).next().unwrap_or_default();
        let answer = answer.split(' ').next().unwrap_or_default();
        *self.counts.answers.entry(format!("{kind} {answer}")).or_default() += 1;
    }

    fn crash(&mut self) -> Result<()> {
        self.counts.crashes += 1;
        self.host.restart()
    }

    /// Kills the host while it executes a request.
    fn crash_during(&mut self, operation: &Operation, after: Duration) -> Result<()> {
        let Ok(request) = self.request(operation) else {
            self.step(operation)?;
            return self.crash();
        };
        let sent = std::thread::spawn(move || request.send());
        std::thread::sleep(after);
        self.host.kill()?;
        let answer = sent.join().map_err(|_| anyhow!("a client panicked"))?;
        self.crash()?;
        match answer {
            Ok(answer) => {
                self.count(operation, &answer.to_string());
                self.possible.answered(operation, answer)
            }
            Err(_) => {
                self.counts.unanswered += 1;
                self.possible.unanswered(operation)
            }
        }
    }

    fn both(&mut self, first: &Operation, second: &Operation) -> Result<()> {
        let requests = [self.request(first)?, self.request(second)?];
        let [one, two] = requests.map(|request| std::thread::spawn(move || request.send()));
        let answer = |sent: std::thread::JoinHandle<Result<Answer>>| sent.join().map_err(|_| anyhow!("a client panicked"))?;
        let answers = [answer(one)?, answer(two)?];
        self.count(first, &answers[0].to_string());
        self.count(second, &answers[1].to_string());
        self.possible.both_answered((first, answers[0]), (second, answers[1]))
    }

    fn look(&mut self) -> Result<()> {
        let seen = self.see()?;
        let names = self.names();
        let verdict = self.possible.seen(|world| names.agree(world, &seen), |world| names.describe(world));
        verdict.with_context(|| format!("seen is {}", seen.describe()))
    }

    /// Waits until the host shows a state that may be final.
    fn settle(&mut self) -> Result<Seen> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let seen = self.see()?;
            let names = self.names();
            if self.possible.may_rest(|world| names.agree(world, &seen))? {
                self.possible.seen(|world| names.agree(world, &seen), |world| names.describe(world))?;
                return Ok(seen);
            }
            if Instant::now() > deadline {
                // The state is either impossible, or must not be final.
                self.possible
                    .seen(|world| names.agree(world, &seen), |world| names.describe(world))
                    .with_context(|| format!("seen is {}", seen.describe()))?;
                bail!("no progress, although this is not final: {}", seen.describe());
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Checks that the pages of the list contain exactly the existing instances, which it returns.
    fn page(&mut self) -> Result<Seen> {
        let seen = self.settle()?;
        let mut listed = Vec::new();
        let mut token = None;
        loop {
            let (page, next) = self.list_page(token.as_deref())?;
            let ids = page.as_array().into_iter().flatten().filter_map(|status| status["instanceId"].as_str().map(str::to_owned));
            listed.extend(ids);
            token = next;
            if token.is_none() {
                break;
            }
        }
        listed.sort();
        let shown = [&seen.instances, &seen.counters, &seen.processed, &seen.by_hand];
        let mut expected: Vec<String> = shown.into_iter().flat_map(BTreeMap::keys).cloned().collect();
        expected.sort();
        ensure!(listed == expected, "listed are {listed:?}, there are {expected:?}");
        Ok(seen)
    }

    fn list_page(&self, token: Option<&str>) -> Result<(Value, Option<String>)> {
        let path = format!("instances?top=2&createdTimeFrom={}", self.began);
        let url = format!("{}/runtime/webhooks/durabletask/{path}", self.host.url());
        let request = ureq::get(url).header(CONTINUATION, token.unwrap_or_default());
        let response = request.call().context("listing a page")?;
        let next = response.headers().get(CONTINUATION).and_then(|token| token.to_str().ok()).filter(|token| !token.is_empty());
        let next = next.map(str::to_owned);
        Ok((response.into_body().read_json()?, next))
    }

    /// Ends all instances, as the model expects.
    fn finish(&mut self) -> Result<Vec<Expected>> {
        for slot in 0..SLOTS {
            self.step(&Operation::Switch { slot, on: true })?;
        }
        for end in [Operation::Listen(false), Operation::Clear(Place::Work), Operation::Clear(Place::Poison)] {
            self.step(&end)?;
            self.settle()?;
        }
        for key in 0..SCHEDULES {
            self.step(&Operation::DeleteSchedule(key))?;
        }
        self.settle()?;
        for key in self.any()?.counters.clone().into_keys() {
            if self.any()?.counters.get(&key).is_some_and(|counter| counter.suspended) {
                self.step(&Operation::ResumeCounter(key))?;
            }
        }
        for id in self.ids()? {
            if self.any()?.status(id) == Some(Status::Suspended) {
                self.step(&Operation::Resume(id))?;
                self.settle()?;
            }
        }
        // Instances that were resumed may have started children.
        for (number, id) in self.ids()?.iter().enumerate() {
            if self.any()?.status(*id).is_some_and(|status| !status.is_terminal()) {
                self.step(&Operation::Terminate { id: *id, reason: 0, recurse: number % 2 == 0 })?;
                self.settle()?;
            }
        }
        let seen = self.page()?;
        self.wait_for_removals()?;
        let names = self.names();
        let instances = self.any()?.instances.iter();
        let instances = instances.map(|(id, instance)| Expected { id: names.id(*id), status: instance.status() });
        let others = seen.processed.into_keys().chain(seen.by_hand.into_keys());
        Ok(instances.chain(others.map(|id| Expected { id, status: Status::Completed })).collect())
    }

    /// The host removes messages that have ended a moment later.
    fn wait_for_removals(&self) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = self.host.manage("GET", "instances?functionName=BuiltIn::Message", None)?;
            if left.body == "[]" {
                return Ok(());
            }
            ensure!(Instant::now() < deadline, "messages are left: {left:?}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn ids(&self) -> Result<Vec<Id>> {
        Ok(self.any()?.instances.keys().copied().collect())
    }

    fn any(&self) -> Result<&World> {
        self.possible.any().context("no world is possible")
    }

    fn see(&mut self) -> Result<Seen> {
        self.counts.looks += 1;
        let list = |filter: &str| -> Result<BTreeMap<String, Value>> {
            let answer = self.host.manage("GET", &format!("instances?{filter}"), None)?;
            ensure!(answer.status == 200, "listing: {answer:?}");
            let statuses = answer.json();
            let statuses = statuses.as_array().context("the list is not an array")?.iter();
            Ok(statuses.map(|status| (status["instanceId"].as_str().unwrap_or_default().to_owned(), status.clone())).collect())
        };
        // First: what a message has started is there before the message is gone.
        let messages = self.messages()?;
        let mut instances = list(&format!("instanceIdPrefix={}", self.prefix))?;
        let names = self.names();
        let by_hand = instances.split_off(&format!("{}:", names.schedule(BY_HAND)));
        Ok(Seen {
            instances,
            counters: list(&format!("instanceIdPrefix=@counter@{}", self.prefix))?,
            messages,
            processed: list(&format!("functionName={PROCESSED}&createdTimeFrom={}", self.began))?,
            schedules: self.schedules(&names)?,
            by_hand,
        })
    }

    /// The texts in both queues, at one time.
    fn messages(&self) -> Result<[BTreeSet<String>; 2]> {
        let peek = |queue: &str| -> Result<BTreeSet<String>> {
            let answer = self.host.request("GET", &format!("/runtime/webhooks/queues/{queue}"), None)?;
            ensure!(answer.status == 200, "peeking into {queue}: {answer:?}");
            let texts = answer.json();
            let texts = texts.as_array().context("the list is not an array")?.iter();
            Ok(texts.map(|message| message["text"].as_str().unwrap_or_default().to_owned()).collect())
        };
        loop {
            let poison = peek("work-poison")?;
            let work = peek("work")?;
            if peek("work-poison")? == poison {
                return Ok([work, poison]);
            }
        }
    }

    fn schedules(&self, names: &Names) -> Result<BTreeMap<u8, Value>> {
        let mut schedules = BTreeMap::new();
        for key in 0..SCHEDULES {
            let answer = self.host.manage("GET", &format!("schedules/{}", names.schedule(key)), None)?;
            ensure!(matches!(answer.status, 200 | 404), "{answer:?}");
            schedules.extend((answer.status == 200).then(|| (key, answer.json())));
        }
        Ok(schedules)
    }

    fn names(&self) -> Names {
        Names { prefix: self.prefix.clone(), service: self.service.url(&self.prefix) }
    }

    fn slot(&self, slot: u8) -> String {
        format!("{}{slot}", self.prefix)
    }

    /// Returns the HTTP request of an operation; an error if it has none.
    fn request(&self, operation: &Operation) -> Result<Request> {
        let names = self.names();
        let instance = |id: &Id, rest: &str| format!("instances/{}{rest}", names.id(*id));
        let (method, path, body) = match operation {
            Operation::Start { slot, program, delay_ms } => {
                let id = Id { slot: *slot, child: false };
                let later = |ms: u32| {
                    let at = chrono::Utc::now() + Duration::from_millis(ms.into());
                    format!("?startAt={}", at.format("%Y-%m-%dT%H:%M:%S%.6fZ"))
                };
                let path = format!("orchestrators/{}/{}{}", program.name(), names.id(id), delay_ms.map_or(String::new(), later));
                ("POST", path, Some(program.input(&names.service(*slot))))
            }
            Operation::Raise { id, name, data } => {
                let data = match data {
                    Data::Number(number) => json!(number),
                    Data::Poison => json!("poison"),
                };
                ("POST", instance(id, &format!("/raiseEvent/{name}")), Some(data))
            }
            Operation::Noise(id) => ("POST", instance(id, "/raiseEvent/noise"), Some(json!("unread"))),
            Operation::Suspend(id) => ("POST", instance(id, "/suspend?reason=test"), None),
            Operation::Resume(id) => ("POST", instance(id, "/resume?reason=test"), None),
            Operation::Terminate { id, reason, recurse } => {
                let reason = reason_text(*reason).replace(' ', "%20");
                ("POST", instance(id, &format!("/terminate?reason={reason}&recursive={recurse}")), None)
            }
            Operation::Rewind(id) => ("POST", instance(id, "/rewind?reason=test"), None),
            Operation::Restart(id) => ("POST", instance(id, "/restart?restartWithNewInstanceId=false"), None),
            Operation::RestartAs { id, slot } => {
                let new = names.id(Id { slot: *slot, child: false });
                ("POST", instance(id, &format!("/restartWithOptions?newInstanceId={new}")), None)
            }
            Operation::Purge(id) => ("DELETE", instance(id, ""), None),
            Operation::PurgeEnded(statuses) => {
                let statuses: Vec<&str> = statuses.iter().map(|status| status.name()).collect();
                ("DELETE", format!("instances?createdTimeFrom={}&runtimeStatus={}", self.began, statuses.join(",")), None)
            }
            Operation::Signal { key, signal } => {
                let (operation, input) = match signal {
                    Signal::Add(number) => ("add", Some(json!(number))),
                    Signal::Reset => ("reset", None),
                    Signal::Delete => ("delete", None),
                    Signal::Nonsense => ("nonsense", None),
                };
                ("POST", format!("entities/Counter/{}{key}?op={operation}", self.prefix), input)
            }
            Operation::SuspendCounter(key) => ("POST", format!("instances/{}/suspend?reason=test", names.counter(*key)), None),
            Operation::ResumeCounter(key) => ("POST", format!("instances/{}/resume?reason=test", names.counter(*key)), None),
            Operation::PurgeCounter(key) => ("DELETE", format!("instances/{}", names.counter(*key)), None),
            Operation::Enqueue { messages, place, delay_ms } => {
                let query = delay_ms.map_or(String::new(), |ms| {
                    let at = chrono::Utc::now() + Duration::from_millis(ms.into());
                    format!("?deliverAt={}", at.format("%Y-%m-%dT%H:%M:%S%.6fZ"))
                });
                let texts =
                    messages.iter().map(|(number, kind)| json!({ "name": names.message(*number), "fails": kind.fails() }));
                ("POST", format!("{}{query}", queue(*place)), Some(texts.collect()))
            }
            Operation::Clear(place) => ("DELETE", queue(*place), None),
            Operation::Redrive => ("POST", format!("{}/redrive", queue(Place::Work)), None),
            Operation::CreateSchedule { key, paused, note } => {
                let waits_for = usize::from(*key == BACKFILLED);
                let specification = json!({
                    "orchestrator": "collect", "input": waits_for, "cron": "0 0 29 2 *", "overlap": "allowAll",
                    "paused": paused, "note": reason_text(*note),
                });
                ("POST", format!("schedules/{}", names.schedule(*key)), Some(specification))
            }
            Operation::PauseSchedule { key, note } => ("POST", names.note(*key, "pause", *note), None),
            Operation::ResumeSchedule { key, note } => ("POST", names.note(*key, "resume", *note), None),
            Operation::Backfill { from, to, overlap } => {
                let [from, to] = [from, to].map(|year| YEARS[usize::from(*year)]);
                let range = format!("from={from}-01-01T00:00:00Z&to={to}-12-31T00:00:00Z&overlap={}", overlap.name());
                ("POST", format!("schedules/{}/backfill?{range}", names.schedule(BACKFILLED)), None)
            }
            Operation::RunSchedule => ("POST", format!("schedules/{}/trigger", names.schedule(BY_HAND)), None),
            Operation::DeleteSchedule(key) => ("DELETE", format!("schedules/{}", names.schedule(*key)), None),
            Operation::Listen(on) => {
                let url = format!("{}/admin/apps/{LISTENER}", self.host.url());
                return Ok(Request { method: "POST", url, body: Some(listener(*on)?) });
            }
            Operation::Switch { .. }
            | Operation::Look
            | Operation::Settle
            | Operation::Page
            | Operation::Crash
            | Operation::CrashDuring { .. }
            | Operation::Both(..) => bail!("not a request"),
        };
        let path = if path.starts_with("queues/") { path } else { format!("durabletask/{path}") };
        let body = body.map(|body| body.to_string().into_bytes());
        Ok(Request { method, url: format!("{}/runtime/webhooks/{path}", self.host.url()), body })
    }
}

fn queue(place: Place) -> String {
    match place {
        Place::Work => "queues/work".into(),
        Place::Poison => "queues/work-poison".into(),
    }
}

struct Request {
    method: &'static str,
    url: String,
    body: Option<Vec<u8>>,
}

impl Request {
    fn send(self) -> Result<Answer> {
        let answer = host::request(self.method, &self.url, self.body.as_deref())?;
        let counted = ["instancesDeleted", "messages"].into_iter().find_map(|member| match answer.status {
            200 => serde_json::from_str::<Value>(&answer.body).ok()?[member].as_u64(),
            _ => None,
        });
        ensure!(counted.is_some() || self.method != "DELETE" || answer.status != 200, "nothing is counted: {answer:?}");
        Ok(Answer { code: answer.status, deleted: counted })
    }
}

/// Maps the model's numbers to names in the host.
struct Names {
    prefix: String,
    service: String,
}

impl Names {
    fn id(&self, id: Id) -> String {
        if let Some(year) = id.slot.checked_sub(SLOTS) {
            return format!("{}:{}0229T000000Z", self.schedule(BACKFILLED), YEARS[usize::from(year)]);
        }
        let child = if id.child { ".child" } else { "" };
        format!("{}{}{child}", self.prefix, id.slot)
    }

    fn service(&self, slot: u8) -> String {
        format!("{}{slot}", self.service)
    }

    fn counter(&self, key: u8) -> String {
        format!("@counter@{}{key}", self.prefix)
    }

    fn schedule(&self, key: u8) -> String {
        format!("{}s{key}", self.prefix)
    }

    fn note(&self, key: u8, verb: &str, note: u32) -> String {
        format!("schedules/{}/{verb}?note={}", self.schedule(key), reason_text(note).replace(' ', "%20"))
    }

    fn message(&self, number: u32) -> String {
        format!("{}message-{number}", self.prefix)
    }

    /// Whether the host would show these queues for a world, and what has become of their messages.
    fn agree_on_queue(&self, world: &World, seen: &Seen) -> bool {
        let names = |numbers: BTreeSet<u32>| -> BTreeSet<String> { numbers.into_iter().map(|n| self.message(n)).collect() };
        let texts = |texts: &BTreeSet<String>| -> BTreeSet<String> {
            let name = |text: &String| serde_json::from_str::<Value>(text).ok()?["name"].as_str().map(str::to_owned);
            texts.iter().filter_map(name).collect()
        };
        let completed = seen.processed.values().filter(|status| status["runtimeStatus"] == "Completed");
        let mut processed: Vec<&str> = completed.filter_map(|status| status["output"].as_str()).collect();
        processed.sort_unstable();
        let expected: BTreeSet<String> = names(world.queue.processed.clone());
        texts(&seen.messages[0]) == names(world.queue.peek(Place::Work))
            && texts(&seen.messages[1]) == names(world.queue.peek(Place::Poison))
            && processed.iter().eq(expected.iter())
    }

    fn agree_on_schedules(&self, world: &World, seen: &Seen) -> bool {
        let shown = |key: &u8, schedule: &Schedule| {
            let decided = json!({ "run": schedule.run, "missed": 0, "skipped": schedule.skipped, "buffered": 0 });
            let next = if schedule.paused { 0 } else { 10 };
            seen.schedules.get(key).is_some_and(|seen| {
                seen["paused"] == schedule.paused
                    && seen["note"] == reason_text(schedule.note)
                    && seen["occurrences"] == decided
                    && seen["next"].as_array().is_some_and(|times| times.len() == next)
            })
        };
        let completed = seen.by_hand.values().filter(|status| status["runtimeStatus"] == "Completed").count();
        world.schedules.iter().all(|(key, schedule)| shown(key, schedule))
            && world.schedules.len() == seen.schedules.len()
            && world.by_hand.completed == completed
    }

    /// Whether the host would show this for a world.
    fn agree(&self, world: &World, seen: &Seen) -> bool {
        let instances = world.instances.iter().all(|(id, instance)| {
            seen.instances.get(&self.id(*id)).is_some_and(|status| self.looks_like(&instance.look(), status))
        });
        let counters = world.counters.iter().all(|(key, counter)| {
            seen.counters.get(&self.counter(*key)).is_some_and(|status| status_of(counter) == status_shown(status))
        });
        let all = world.instances.len() == seen.instances.len() && world.counters.len() == seen.counters.len();
        instances && counters && all && self.agree_on_queue(world, seen) && self.agree_on_schedules(world, seen)
    }

    fn looks_like(&self, look: &Look, status: &Value) -> bool {
        status["runtimeStatus"] == look.status.name()
            && status["name"] == look.program.name()
            && status["input"] == look.program.input(&self.service(look.service))
            && look.output.as_ref().is_none_or(|output| status["output"] == *output)
    }

    fn describe(&self, world: &World) -> String {
        let instances = world.instances.iter().map(|(id, instance)| {
            let Look { status, program, service: _, output } = instance.look();
            let output = output.map_or_else(|| "anything".into(), |output| output.to_string());
            format!("{} {} {program:?} {output}", self.id(*id), status.name())
        });
        let counters = world.counters.iter().map(|(key, counter)| format!("{} {counter:?}", self.counter(*key)));
        let others = format!("{:?}, {:?}, {:?}", world.queue, world.schedules, world.by_hand);
        format!("[{}]", instances.chain(counters).chain([others]).collect::<Vec<_>>().join("; "))
    }
}

impl Seen {
    fn describe(&self) -> String {
        let all = self.instances.iter().chain(&self.counters).chain(&self.processed).chain(&self.by_hand);
        let all = all.map(|(id, status)| {
            let shown = |member: &str| &status[member];
            format!("{id} {} {} {} {}", shown("runtimeStatus"), shown("name"), shown("input"), shown("output"))
        });
        let schedules = self.schedules.iter().map(|(key, seen)| {
            format!("schedule {key} paused {} {} {} next {}", seen["paused"], seen["note"], seen["occurrences"], seen["next"])
        });
        format!("[{}; messages {:?}]", all.chain(schedules).collect::<Vec<_>>().join("; "), self.messages)
    }
}

/// The expected state and status of a counter.
fn status_of(counter: &Counter) -> (bool, Value) {
    let state = counter.value.map(|value| json!({ "value": value }).to_string());
    (counter.suspended, state.map_or(json!({ "exists": false }), |state| json!({ "exists": true, "state": state })))
}

fn status_shown(status: &Value) -> (bool, Value) {
    (status["runtimeStatus"] == "Suspended", status["input"].clone())
}

impl Counts {
    pub fn add(&mut self, other: Counts) {
        let Counts { operations, answers, crashes, unanswered, looks, worlds_max } = other;
        self.operations += operations;
        self.crashes += crashes;
        self.unanswered += unanswered;
        self.looks += looks;
        self.worlds_max = self.worlds_max.max(worlds_max);
        for (answer, count) in answers {
            *self.answers.entry(answer).or_default() += count;
        }
    }
}
