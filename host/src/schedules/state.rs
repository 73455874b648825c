//! How far a schedule is, and what it does at a time.
//!
//! ```text
//!   State + now ──▶ advance ──▶ State + Report: what to start, what to terminate, when to look again
//! ```
//!
//! Whoever runs it makes the new state and what is reported durable in one step. So an occurrence is decided once.

use std::collections::VecDeque;

use chrono::{DateTime, SecondsFormat};
use dacapo_core::{InstanceId, Payload, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

use super::specification::{InvalidSchedule, Overlap, Plan, Specification};

/// The runs that are remembered.
pub const RECENT: usize = 10;

/// The running instances that are remembered. With more, the oldest are forgotten.
const RUNNING_MAX: usize = 100;

/// The occurrences that are decided at once. The others follow in the next turn.
const DECIDED_AT_ONCE: usize = 5_000;

/// The instances that are started at once.
pub const STARTS_AT_ONCE: usize = 100;

/// The occurrences of one backfill.
pub const BACKFILL_MAX: usize = 1_000;

/// The backfills in progress.
const BACKFILLS_MAX: usize = 10;

/// How often a schedule looks whether the instance has ended for which an occurrence waits. It is told, too, but not after a crash.
const LOOK_AGAIN_AFTER: i64 = 60_000_000;

/// The same while there is no room for what it has to start.
const ROOM_AGAIN_AFTER: i64 = 10_000_000;

/// A timer trigger that is later than this is past due.
const PAST_DUE_AFTER: i64 = 10_000_000;

/// What a schedule starts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Target {
    /// That of the specification.
    Orchestrator,
    /// A timer trigger.
    #[serde(rename_all = "camelCase")]
    Timer { function: String, adjust_for_dst: bool },
}

/// One occurrence that was run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Run {
    pub id: String,
    pub nominal: i64,
    pub started: i64,
}

/// What has become of the occurrences so far.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Decided {
    pub run: u64,
    /// Too late to be made up for.
    pub missed: u64,
    /// Left out, because of an instance that still ran; or run already.
    pub skipped: u64,
    /// Those that have waited for the end of another one.
    pub buffered: u64,
}

/// An occurrence that waits for the end of another one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Buffered {
    nominal: i64,
}

/// A range of the past whose occurrences are still to be run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Backfill {
    /// Those up to here are decided.
    after: i64,
    until: i64,
    overlap: Overlap,
}

/// All that is kept of a schedule. Times are in microseconds since 1970.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct State {
    pub specification: Specification,
    pub target: Target,
    /// The app whose deployment has made it. None: a client has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<String>,
    /// Names the request that has made it as it is.
    pub made_by: Uuid,
    pub created: i64,
    pub updated: i64,
    pub paused: bool,
    /// Why it is paused, or goes on.
    pub note: String,
    pub decided: Decided,
    /// The last runs, the newest first.
    pub recent: VecDeque<Run>,
    /// The occurrences up to here are decided.
    cursor: i64,
    /// The times at which it was told to be woken.
    wakes: Vec<i64>,
    /// Instances that may still run, the oldest first.
    running: Vec<String>,
    buffer: Option<Buffered>,
    backfills: Vec<Backfill>,
}

/// What a schedule can find out of its task hub.
pub trait World {
    /// Whether an instance exists and has not ended.
    fn is_running(&self, id: &InstanceId) -> bool;

    fn exists(&self, id: &InstanceId) -> bool;

    /// Has the schedule woken when this instance ends. Called before it is found out whether it still runs.
    fn watch(&self, id: &InstanceId);
}

/// What is to be done.
#[derive(Debug, Default, PartialEq)]
pub struct Report {
    pub starts: Vec<Start>,
    pub terminate: Vec<InstanceId>,
    /// When it must be woken, if it has not been told before. A time that has come: at once.
    pub wake: Option<Timestamp>,
}

#[derive(Debug, PartialEq)]
pub struct Start {
    pub id: InstanceId,
    pub nominal: Timestamp,
    pub input: Payload,
}

/// The id of the instance that an occurrence starts.
pub fn instance(schedule: &str, nominal: Timestamp) -> String {
    let time = DateTime::from_timestamp_micros(nominal.0).unwrap_or_default();
    let format = if nominal.0 % 1_000_000 == 0 { "%Y%m%dT%H%M%SZ" } else { "%Y%m%dT%H%M%S%.6fZ" };
    format!("{schedule}:{}", time.format(format))
}

/// The nominal time of a run that is asked for now: never that of an occurrence, which is a whole second.
pub fn by_hand(now: Timestamp) -> Timestamp {
    Timestamp(now.0 + i64::from(now.0 % 1_000_000 == 0))
}

impl State {
    pub fn new(specification: Specification, target: Target, app: Option<String>, made_by: Uuid, now: Timestamp) -> Self {
        Self {
            specification,
            target,
            app,
            made_by,
            created: now.0,
            updated: now.0,
            paused: false,
            note: String::new(),
            decided: Decided::default(),
            recent: VecDeque::new(),
            cursor: now.0,
            wakes: Vec::new(),
            running: Vec::new(),
            buffer: None,
            backfills: Vec::new(),
        }
    }

    /// Replaces what it does from now on. Occurrences that are due are decided before, by what it did so far.
    pub fn replace(&mut self, specification: Specification, target: Target, app: Option<String>, made_by: Uuid, now: Timestamp) {
        self.specification = specification;
        self.target = target;
        self.app = app;
        self.made_by = made_by;
        self.updated = now.0;
        self.cursor = self.cursor.max(now.0);
        self.backfills.clear();
    }

    pub fn pause(&mut self, note: String, now: Timestamp) {
        (self.paused, self.note, self.updated) = (true, note, now.0);
    }

    /// What has not occurred while it was paused is not made up for.
    pub fn resume(&mut self, note: String, now: Timestamp) {
        if self.paused {
            self.cursor = self.cursor.max(now.0);
        }
        (self.paused, self.note, self.updated) = (false, note, now.0);
    }

    /// Has the occurrences of a range of the past run. Returns how many they are.
    pub fn backfill(&mut self, from: Timestamp, to: Timestamp, overlap: Overlap, now: Timestamp) -> Result<usize, InvalidSchedule> {
        let count = backfilled(&self.specification.plan()?, from, to, now)?;
        if self.backfills.len() >= BACKFILLS_MAX {
            return Err(InvalidSchedule::new("from", format!("begins one more backfill, and {BACKFILLS_MAX} are in progress")));
        }
        self.backfills.push(Backfill { after: from.0 - 1, until: to.0, overlap });
        Ok(count)
    }

    /// Whether an occurrence waits for the end of another one.
    pub fn is_waiting(&self) -> bool {
        self.buffer.is_some()
    }

    /// Whether this occurrence does.
    pub fn waits_for(&self, name: &str, id: &str) -> bool {
        self.buffer.as_ref().is_some_and(|buffered| instance(name, Timestamp(buffered.nominal)) == id)
    }

    /// Whether a backfill is in progress.
    pub fn backfilling(&self) -> bool {
        !self.backfills.is_empty()
    }

    /// The next occurrences after a time; none while it is paused.
    pub fn next(&self, plan: &Plan, now: Timestamp, count: usize) -> Vec<Timestamp> {
        match self.paused {
            true => Vec::new(),
            false => plan.calendar.following(now).take(count).collect(),
        }
    }

    /// Decides what is due. `by_hand`: also this run. `most`: how many instances may be started now.
    pub fn advance(
        &mut self,
        name: &str,
        now: Timestamp,
        by_hand: Option<(Timestamp, Option<Overlap>)>,
        most: usize,
        world: &dyn World,
    ) -> Result<Report, InvalidSchedule> {
        let plan = self.specification.plan()?;
        self.wakes.retain(|wake| *wake > now.0);
        self.running.retain(|id| InstanceId::any(id).is_ok_and(|id| world.is_running(&id)));
        let mut turn = Turn { name, plan: &plan, now, most, world, state: self, report: Report::default(), waits_for_room: false };
        turn.run_buffered();
        if let Some((nominal, overlap)) = by_hand {
            turn.decide(nominal, overlap.unwrap_or(plan.overlap));
        }
        let mut next = turn.due();
        let behind = turn.backfill();
        next = next.into_iter().chain(behind.then_some(now)).min();
        let next = next.into_iter().chain(turn.watch_running()).min();
        let Turn { mut report, waits_for_room, .. } = turn;
        let next = match waits_for_room {
            true => Some(next.map_or(Timestamp(now.0 + ROOM_AGAIN_AFTER), |next| next.max(Timestamp(now.0 + ROOM_AGAIN_AFTER)))),
            false => next,
        };
        if let Some(next) = next
            && self.wakes.iter().all(|wake| *wake > next.0)
        {
            self.wakes.push(next.0);
            report.wake = Some(next);
        }
        Ok(report)
    }

    /// Has it woken soon, and decides nothing: there is no room for anything.
    pub fn put_off(now: Timestamp) -> Timestamp {
        Timestamp(now.0 + ROOM_AGAIN_AFTER)
    }
}

/// Counts the occurrences of a range of the past.
pub fn backfilled(plan: &Plan, from: Timestamp, to: Timestamp, now: Timestamp) -> Result<usize, InvalidSchedule> {
    if from.0 < 0 {
        return Err(InvalidSchedule::new("from", "is before 1970"));
    }
    if to < from {
        return Err(InvalidSchedule::new("to", "is before `from`"));
    }
    if to > now {
        return Err(InvalidSchedule::new("to", "is in the future: the schedule itself runs what occurs then"));
    }
    let occurs = plan.calendar.following(Timestamp(from.0 - 1)).take_while(|at| *at <= to).take(BACKFILL_MAX + 1).count();
    match occurs {
        0 => Err(InvalidSchedule::new("to", "leaves nothing to run: the schedule does not occur since `from`")),
        1..=BACKFILL_MAX => Ok(occurs),
        _ => Err(InvalidSchedule::new("to", format!("leaves more than {BACKFILL_MAX} occurrences since `from`: choose a shorter range"))),
    }
}

/// The decisions of one turn.
struct Turn<'a> {
    name: &'a str,
    plan: &'a Plan,
    now: Timestamp,
    most: usize,
    world: &'a dyn World,
    state: &'a mut State,
    report: Report,
    waits_for_room: bool,
}

impl Turn<'_> {
    fn is_full(&self) -> bool {
        self.report.starts.len() >= self.most
    }

    /// Starts what has waited for the end of another instance.
    fn run_buffered(&mut self) {
        if self.state.running.is_empty()
            && !self.is_full()
            && let Some(Buffered { nominal }) = self.state.buffer.take()
        {
            self.start(Timestamp(nominal));
        }
    }

    /// Decides the occurrences that are due. Returns when to go on.
    fn due(&mut self) -> Option<Timestamp> {
        if self.state.paused {
            self.state.cursor = self.state.cursor.max(self.now.0);
            return None;
        }
        let mut next = self.plan.calendar.after(Timestamp(self.state.cursor));
        for _ in 0..DECIDED_AT_ONCE {
            let nominal = next?;
            let following = self.plan.calendar.after(nominal);
            let due = self.delayed(nominal, following);
            if due > self.now {
                return Some(due);
            }
            if self.is_full() && self.would_start() {
                self.waits_for_room = self.most == 0;
                return Some(self.now);
            }
            self.state.cursor = nominal.0;
            next = following;
            // Of several that are due, only the last would not be terminated at once.
            let is_outdone = self.plan.overlap == Overlap::TerminateOther
                && following.is_some_and(|following| self.delayed(following, self.plan.calendar.after(following)) <= self.now);
            if self.now.0 - due.0 > self.plan.catch_up_window {
                self.state.decided.missed += 1;
            } else if is_outdone {
                self.state.decided.skipped += 1;
            } else {
                self.decide(nominal, self.plan.overlap);
            }
        }
        Some(self.now)
    }

    /// Whether an occurrence that is decided now may start an instance.
    fn would_start(&self) -> bool {
        match self.plan.overlap {
            Overlap::Skip | Overlap::BufferOne => self.state.running.is_empty(),
            Overlap::AllowAll | Overlap::TerminateOther => true,
        }
    }

    /// Decides occurrences of backfills. Returns whether some are left.
    fn backfill(&mut self) -> bool {
        for _ in 0..DECIDED_AT_ONCE {
            let Some(Backfill { after, until, overlap }) = self.state.backfills.first().cloned() else { return false };
            match self.plan.calendar.after(Timestamp(after)).filter(|at| at.0 <= until) {
                None => drop(self.state.backfills.remove(0)),
                Some(_) if self.is_full() => {
                    self.waits_for_room |= self.most == 0;
                    return true;
                }
                Some(nominal) => {
                    self.state.backfills[0].after = nominal.0;
                    self.decide(nominal, overlap);
                }
            }
        }
        true
    }

    fn decide(&mut self, nominal: Timestamp, overlap: Overlap) {
        match overlap {
            Overlap::AllowAll => self.start(nominal),
            Overlap::Skip | Overlap::BufferOne if self.state.running.is_empty() && self.state.buffer.is_none() => self.start(nominal),
            Overlap::BufferOne if self.state.buffer.is_none() => {
                self.state.buffer = Some(Buffered { nominal: nominal.0 });
                self.state.decided.buffered += 1;
            }
            Overlap::Skip | Overlap::BufferOne => self.state.decided.skipped += 1,
            Overlap::TerminateOther => {
                let running = std::mem::take(&mut self.state.running);
                self.report.terminate.extend(running.iter().filter_map(|id| InstanceId::any(id).ok()));
                self.start(nominal);
            }
        }
    }

    /// Starts the instance of an occurrence, unless there is one already.
    fn start(&mut self, nominal: Timestamp) {
        let Ok(id) = InstanceId::orchestration(&instance(self.name, nominal)) else {
            self.state.decided.missed += 1;
            return;
        };
        if self.world.exists(&id) || self.report.starts.iter().any(|start| start.id == id) {
            self.state.decided.skipped += 1;
            return;
        }
        let input = self.input(nominal);
        self.state.decided.run += 1;
        self.state.running.push(id.as_str().to_owned());
        if self.state.running.len() > RUNNING_MAX {
            self.state.running.remove(0);
        }
        self.state.recent.push_front(Run { id: id.as_str().to_owned(), nominal: nominal.0, started: self.now.0 });
        self.state.recent.truncate(RECENT);
        self.report.starts.push(Start { id, nominal, input });
    }

    /// The input of the instance.
    fn input(&self, nominal: Timestamp) -> Payload {
        let Target::Timer { adjust_for_dst, .. } = &self.state.target else { return self.plan.input.clone() };
        let last = self.state.recent.front().map(|run| Timestamp(run.nominal));
        let next = self.plan.calendar.after(self.now.max(nominal));
        let input = json!({
            "isPastDue": self.now.0 - nominal.0 > PAST_DUE_AFTER,
            "schedule": { "adjustForDST": adjust_for_dst },
            "scheduleStatus": { "last": last.map(written), "next": next.map(written), "lastUpdated": last.map(written) },
        });
        input.to_string().into()
    }

    /// Has the schedule woken when what an occurrence waits for has ended. Returns when to look by itself.
    fn watch_running(&mut self) -> Option<Timestamp> {
        self.state.buffer.as_ref()?;
        let ids = self.state.running.iter().filter_map(|id| InstanceId::any(id).ok());
        let mut old = ids.filter(|id| self.report.starts.iter().all(|start| start.id != *id)).peekable();
        let has_started = old.peek().is_none();
        let mut ended = false;
        for id in old {
            self.world.watch(&id);
            ended |= !self.world.is_running(&id);
        }
        for start in &self.report.starts {
            self.world.watch(&start.id);
        }
        match ended && !has_started {
            true => Some(self.now),
            false => Some(Timestamp(self.now.0 + LOOK_AGAIN_AFTER)),
        }
    }

    /// When an occurrence is due: by its jitter later, but before the following one.
    fn delayed(&self, nominal: Timestamp, following: Option<Timestamp>) -> Timestamp {
        let gap = following.map_or(i64::MAX, |following| following.0 - nominal.0);
        let most = self.plan.jitter.min(gap - 1);
        if most <= 0 {
            return nominal;
        }
        let seed = Uuid::new_v5(&Uuid::NAMESPACE_OID, format!("{} {}", self.name, nominal.0).as_bytes()).as_u128();
        Timestamp(nominal.0 + (seed % most.unsigned_abs() as u128) as i64)
    }
}

/// A time as a timer trigger gets it.
fn written(at: Timestamp) -> String {
    DateTime::from_timestamp_micros(at.0).unwrap_or_default().to_rfc3339_opts(SecondsFormat::AutoSi, true)
}
