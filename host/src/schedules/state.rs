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
    /// What was due before it was paused then is still to be decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    due_before_pause: Option<i64>,
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
            due_before_pause: None,
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

    /// What was due before is still run.
    pub fn pause(&mut self, note: String, now: Timestamp) {
        if !self.paused {
            self.due_before_pause = Some(now.0);
        }
        (self.paused, self.note, self.updated) = (true, note, now.0);
    }

    /// What has not occurred while it was paused is not made up for, unless it is resumed before it has run what was due.
    pub fn resume(&mut self, note: String, now: Timestamp) {
        if self.paused && self.due_before_pause.take().is_none() {
            self.cursor = self.cursor.max(now.0);
        }
        (self.paused, self.note, self.updated) = (false, note, now.0);
    }

    /// Has the occurrences of a range of the past run. Returns how many they are.
    pub fn backfill(
        &mut self,
        from: Timestamp,
        to: Timestamp,
        overlap: Overlap,
        now: Timestamp,
    ) -> Result<usize, InvalidSchedule> {
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
        let mut turn =
            Turn { name, plan: &plan, now, most, world, state: self, report: Report::default(), waits_for_room: false };
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
    if from > now {
        return Err(InvalidSchedule::new("from", "is in the future, and a backfill runs what has occurred already"));
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
        _ => Err(InvalidSchedule::new(
            "to",
            format!("leaves more than {BACKFILL_MAX} occurrences since `from`: choose a shorter range"),
        )),
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
        if !self.state.paused {
            return self.due_until(self.now);
        }
        let next = self.state.due_before_pause.and_then(|until| self.due_until(Timestamp(until)));
        if next.is_none_or(|next| next > self.now) {
            self.state.due_before_pause = None;
            self.state.cursor = self.state.cursor.max(self.now.0);
            return None;
        }
        next
    }

    /// Decides the occurrences that were due until a time.
    fn due_until(&mut self, until: Timestamp) -> Option<Timestamp> {
        let mut next = self.plan.calendar.after(Timestamp(self.state.cursor));
        for _ in 0..DECIDED_AT_ONCE {
            let nominal = next?;
            let following = self.plan.calendar.after(nominal);
            let due = self.delayed(nominal, following);
            if due > until {
                // While it is paused, later than now.
                return Some(due.max(Timestamp(self.now.0 + i64::from(until < self.now))));
            }
            if self.is_full() && self.would_start() {
                self.waits_for_room = self.most == 0;
                return Some(self.now);
            }
            self.state.cursor = nominal.0;
            next = following;
            // Of several that are due, only the last would not be terminated at once.
            let is_outdone = self.plan.overlap == Overlap::TerminateOther
                && following.is_some_and(|following| self.delayed(following, self.plan.calendar.after(following)) <= until);
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
            Overlap::Skip | Overlap::BufferOne if self.state.running.is_empty() && self.state.buffer.is_none() => {
                self.start(nominal)
            }
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

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::collections::BTreeSet;

    use super::*;

    const SECOND: i64 = 1_000_000;
    /// 2026-12-01T08:00:00Z
    const START: i64 = 1_796_112_000 * SECOND;

    fn at(seconds: i64) -> Timestamp {
        Timestamp(START + seconds * SECOND)
    }

    /// A task hub, as a schedule sees it.
    #[derive(Default)]
    struct Hub {
        running: RefCell<BTreeSet<String>>,
        ended: RefCell<BTreeSet<String>>,
        watched: RefCell<BTreeSet<String>>,
    }

    impl Hub {
        fn end(&self, id: &str) {
            assert!(self.running.borrow_mut().remove(id), "{id} does not run");
            self.ended.borrow_mut().insert(id.to_owned());
        }

        fn end_all(&self) {
            let running = std::mem::take(&mut *self.running.borrow_mut());
            self.ended.borrow_mut().extend(running);
        }
    }

    impl World for Hub {
        fn is_running(&self, id: &InstanceId) -> bool {
            self.running.borrow().contains(id.as_str())
        }

        fn exists(&self, id: &InstanceId) -> bool {
            self.is_running(id) || self.ended.borrow().contains(id.as_str())
        }

        fn watch(&self, id: &InstanceId) {
            self.watched.borrow_mut().insert(id.as_str().to_owned());
        }
    }

    fn schedule(members: &str) -> State {
        let specification = serde_json::from_str(&format!(r#"{{"orchestrator":"r",{members}}}"#)).unwrap();
        State::new(specification, Target::Orchestrator, None, Uuid::nil(), at(0))
    }

    /// Lets it do what is due, and returns the times of what it starts, in seconds. Its state is read from what was written.
    fn advance(state: &mut State, hub: &Hub, now: Timestamp) -> (Vec<i64>, Option<i64>) {
        advance_with(state, hub, now, None, STARTS_AT_ONCE)
    }

    fn advance_with(
        state: &mut State,
        hub: &Hub,
        now: Timestamp,
        by_hand: Option<(Timestamp, Option<Overlap>)>,
        most: usize,
    ) -> (Vec<i64>, Option<i64>) {
        *state = serde_json::from_str(&serde_json::to_string(state).unwrap()).unwrap();
        let report = state.advance("s", now, by_hand, most, hub).unwrap();
        for id in &report.terminate {
            hub.end(id.as_str());
        }
        let started = report.starts.iter().map(|start| {
            assert!(hub.running.borrow_mut().insert(start.id.as_str().to_owned()), "{} is started twice", start.id);
            (start.nominal.0 - START) / SECOND
        });
        (started.collect(), report.wake.map(|wake| (wake.0 - START) / SECOND))
    }

    fn decided(state: &State) -> [u64; 4] {
        let Decided { run, missed, skipped, buffered } = state.decided;
        [run, missed, skipped, buffered]
    }

    #[test]
    fn each_occurrence_is_run_once_and_the_schedule_is_woken_for_the_next() {
        let (hub, mut state) = (Hub::default(), schedule(r#""interval":60,"overlap":"allowAll""#));
        assert_eq!(advance(&mut state, &hub, at(0)), (vec![], Some(60)));
        assert_eq!(advance(&mut state, &hub, at(30)), (vec![], None), "it was told already");
        assert_eq!(advance(&mut state, &hub, at(60)), (vec![60], Some(120)));
        assert_eq!(advance(&mut state, &hub, at(60)), (vec![], None));
        assert_eq!(advance(&mut state, &hub, at(121)), (vec![120], Some(180)));
        assert_eq!(hub.running.borrow().iter().next().unwrap(), "s:20261201T080100Z");
        assert_eq!(decided(&state), [2, 0, 0, 0]);
        let recent: Vec<i64> = state.recent.iter().map(|run| (run.nominal - START) / SECOND).collect();
        assert_eq!(recent, [120, 60]);
    }

    #[test]
    fn it_ends() {
        let (hub, mut state) = (Hub::default(), schedule(r#""interval":60,"end":"2026-12-01T08:02:00Z","overlap":"allowAll""#));
        assert_eq!(advance(&mut state, &hub, at(0)), (vec![], Some(60)));
        assert_eq!(advance(&mut state, &hub, at(500)), (vec![60, 120], None));
    }

    #[test]
    fn what_still_runs_is_left_alone_unless_the_policy_says_otherwise() {
        let mut outcomes = Vec::new();
        for overlap in ["skip", "bufferOne", "allowAll", "terminateOther"] {
            let (hub, mut state) = (Hub::default(), schedule(&format!(r#""interval":60,"overlap":"{overlap}""#)));
            let started: Vec<i64> = (1..=4).flat_map(|n| advance(&mut state, &hub, at(60 * n)).0).collect();
            outcomes.push((overlap, started, decided(&state), hub.running.borrow().len()));
        }
        assert_eq!(outcomes[0], ("skip", vec![60], [1, 0, 3, 0], 1));
        assert_eq!(outcomes[1], ("bufferOne", vec![60], [1, 0, 2, 1], 1));
        assert_eq!(outcomes[2], ("allowAll", vec![60, 120, 180, 240], [4, 0, 0, 0], 4));
        assert_eq!(outcomes[3], ("terminateOther", vec![60, 120, 180, 240], [4, 0, 0, 0], 1));
    }

    #[test]
    fn a_buffered_occurrence_begins_when_the_other_has_ended() {
        let (hub, mut state) = (Hub::default(), schedule(r#""interval":"1h","overlap":"bufferOne""#));
        assert_eq!(advance(&mut state, &hub, at(3_600)), (vec![3_600], Some(7_200)));
        assert!(hub.watched.borrow().is_empty());
        assert_eq!(advance(&mut state, &hub, at(7_200)), (vec![], Some(7_260)), "it looks again by itself");
        assert_eq!(hub.watched.borrow().iter().collect::<Vec<_>>(), ["s:20261201T090000Z"]);
        assert_eq!(advance(&mut state, &hub, at(7_260)), (vec![], Some(7_320)));
        hub.end("s:20261201T090000Z");
        assert_eq!(advance(&mut state, &hub, at(7_300)), (vec![7_200], None), "woken by the end; at 7,320 it looks anyway");
        assert!(!state.is_waiting());
        assert_eq!(advance(&mut state, &hub, at(7_320)), (vec![], Some(10_800)));
    }

    #[test]
    fn what_was_due_while_the_host_was_down_is_made_up_for_by_the_policy() {
        for (overlap, started, expected) in [
            ("skip", vec![60], [1, 0, 4, 0]),
            ("bufferOne", vec![60], [1, 0, 3, 1]),
            ("allowAll", vec![60, 120, 180, 240, 300], [5, 0, 0, 0]),
            ("terminateOther", vec![300], [1, 0, 4, 0]),
        ] {
            let (hub, mut state) = (Hub::default(), schedule(&format!(r#""interval":60,"overlap":"{overlap}""#)));
            advance(&mut state, &hub, at(0));
            assert_eq!(advance(&mut state, &hub, at(330)).0, started, "{overlap}");
            assert_eq!(decided(&state), expected, "{overlap}");
        }
        let (hub, mut state) = (Hub::default(), schedule(r#""interval":60,"overlap":"allowAll","catchUpWindow":100"#));
        assert_eq!(advance(&mut state, &hub, at(330)), (vec![240, 300], Some(360)));
        assert_eq!(decided(&state), [2, 3, 0, 0]);
    }

    #[test]
    fn a_long_time_is_made_up_for_in_many_turns() {
        let (hub, mut state) = (Hub::default(), schedule(r#""interval":1,"overlap":"allowAll""#));
        let (started, wake) = advance(&mut state, &hub, at(250));
        assert_eq!((started.len(), wake), (100, Some(250)), "at once");
        assert_eq!(advance(&mut state, &hub, at(250)).0.len(), 100);
        assert_eq!(advance(&mut state, &hub, at(250)), ((201..=250).collect(), Some(251)));
        let (hub, mut state) = (Hub::default(), schedule(r#""interval":1"#));
        let mut turns = 1;
        while advance(&mut state, &hub, at(20_000)).1 == Some(20_000) {
            turns += 1;
        }
        assert_eq!((turns, decided(&state)), (5, [1, 0, 19_999, 0]));
    }

    #[test]
    fn without_room_it_waits() {
        let (hub, mut state) = (Hub::default(), schedule(r#""interval":60,"overlap":"allowAll""#));
        advance(&mut state, &hub, at(0));
        assert_eq!(advance_with(&mut state, &hub, at(60), None, 0), (vec![], Some(70)));
        assert_eq!(advance_with(&mut state, &hub, at(70), None, 0), (vec![], Some(80)));
        assert_eq!(advance(&mut state, &hub, at(80)), (vec![60], Some(120)));
    }

    #[test]
    fn a_paused_schedule_makes_up_for_nothing() {
        let (hub, mut state) = (Hub::default(), schedule(r#""interval":60"#));
        advance(&mut state, &hub, at(0));
        state.pause("why".into(), at(10));
        assert_eq!(advance(&mut state, &hub, at(10)), (vec![], None));
        assert_eq!(advance(&mut state, &hub, at(70)), (vec![], None));
        let plan = state.specification.plan().unwrap();
        assert_eq!(state.next(&plan, at(70), 1), []);
        let by_hand = by_hand(at(80));
        assert_eq!(advance_with(&mut state, &hub, at(80), Some((by_hand, None)), 100), (vec![80], None), "but by hand");
        hub.end_all();
        state.resume(String::new(), at(200));
        assert_eq!(advance(&mut state, &hub, at(200)), (vec![], Some(240)));
        assert_eq!(advance(&mut state, &hub, at(240)).0, [240]);
        assert_eq!(decided(&state), [2, 0, 0, 0]);
    }

    /// Of many occurrences that were overdue, a pause ran the first hundred and dropped the others.
    #[test]
    fn what_was_due_before_a_pause_is_run() {
        let (hub, mut state) = (Hub::default(), schedule(r#""interval":1,"overlap":"allowAll""#));
        assert_eq!(advance(&mut state, &hub, at(250)).0.len(), 100);
        state.pause("why".into(), at(250));
        let (started, wake) = advance(&mut state, &hub, at(255));
        assert_eq!((started.len(), wake), (100, Some(255)));
        state.pause("why".into(), at(256));
        assert_eq!(advance(&mut state, &hub, at(260)), ((201..=250).collect(), None));
        assert_eq!(advance(&mut state, &hub, at(300)), (vec![], None));
        state.resume(String::new(), at(400));
        assert_eq!(advance(&mut state, &hub, at(401)), (vec![401], Some(402)));
    }

    #[test]
    fn a_run_by_hand_has_an_id_of_its_own() {
        assert_eq!(instance("s", by_hand(at(60))), "s:20261201T080100.000001Z");
        assert_eq!(instance("s", by_hand(Timestamp(START + 5))), "s:20261201T080000.000005Z");
        let (hub, mut state) = (Hub::default(), schedule(r#""interval":60"#));
        let now = at(60);
        assert_eq!(advance_with(&mut state, &hub, now, Some((by_hand(now), None)), 100).0, [60]);
        assert_eq!(decided(&state), [1, 0, 1, 0], "the occurrence of that time is skipped, as it runs");
        let now = at(61);
        assert_eq!(advance_with(&mut state, &hub, now, Some((by_hand(now), Some(Overlap::AllowAll))), 100).0, [61]);
    }

    #[test]
    fn jitter_delays_each_occurrence_by_the_same_and_never_to_the_next() {
        let (hub, mut state) = (Hub::default(), schedule(r#""interval":60,"jitter":"1h","overlap":"allowAll""#));
        let mut wakes = Vec::new();
        let mut now = at(0);
        for n in 1..=20 {
            let report = state.advance("s", now, None, 100, &hub).unwrap();
            now = report.wake.unwrap();
            let delay = now.0 - at(60 * n).0;
            assert!((0..60 * SECOND).contains(&delay), "{delay}");
            wakes.push(delay);
        }
        wakes.dedup();
        assert!(wakes.len() > 15, "{wakes:?}");
        let mut again = schedule(r#""interval":60,"jitter":"1h""#);
        assert_eq!(again.advance("s", at(0), None, 100, &hub).unwrap().wake.unwrap().0 - at(60).0, wakes[0]);
    }

    #[test]
    fn a_backfill_runs_what_has_not_run() {
        let (hub, mut state) = (Hub::default(), schedule(r#""interval":60"#));
        advance(&mut state, &hub, at(60));
        hub.end_all();
        assert_eq!(state.backfill(at(-120), at(60), Overlap::AllowAll, at(90)), Ok(4));
        assert_eq!(advance(&mut state, &hub, at(90)).0, [-120, -60, 0]);
        assert_eq!((decided(&state), state.backfilling()), ([4, 0, 1, 0], false));
        hub.end_all();
        assert_eq!(state.backfill(at(-60 * 300), at(-180), Overlap::AllowAll, at(90)), Ok(298));
        let mut started = 0;
        for _ in 0..3 {
            assert!(state.backfilling());
            started += advance(&mut state, &hub, at(90)).0.len();
        }
        assert_eq!((started, state.backfilling()), (298, false));
        for (from, to, member) in [
            (0, 100, "to"),
            (60, 0, "to"),
            (100, 200, "from"),
            (100, 0, "from"),
            (1, 59, "to"),
            (-60 * 1_000, 60, "to"),
            (-START / SECOND - 1, 0, "from"),
        ] {
            assert_eq!(state.backfill(at(from), at(to), Overlap::Skip, at(90)).unwrap_err().member, member, "{from} to {to}");
        }
    }

    #[test]
    fn a_replaced_schedule_goes_on_from_now() {
        let (hub, mut state) = (Hub::default(), schedule(r#""interval":60,"overlap":"allowAll""#));
        advance(&mut state, &hub, at(60));
        let other = schedule(r#""interval":100,"overlap":"allowAll""#).specification;
        state.replace(other, Target::Orchestrator, None, Uuid::nil(), at(70));
        assert_eq!(advance(&mut state, &hub, at(70)), (vec![], Some(100)), "earlier than it was told before");
        assert_eq!(advance(&mut state, &hub, at(100)), (vec![100], None), "at 120 it is woken anyway");
        assert_eq!(advance(&mut state, &hub, at(120)), (vec![], Some(200)));
    }

    #[test]
    fn a_timer_trigger_is_told_when_it_was_due() {
        let specification = serde_json::from_str(r#"{"orchestrator":"r","interval":60}"#).unwrap();
        let target = Target::Timer { function: "cleanup".into(), adjust_for_dst: false };
        let mut state = State::new(specification, target, Some("app".into()), Uuid::nil(), at(0));
        let hub = Hub::default();
        let input = |state: &mut State, now| -> serde_json::Value {
            let report = state.advance("timer:cleanup", now, None, 100, &hub).unwrap();
            serde_json::from_str(&report.starts[0].input).unwrap()
        };
        let status = json!({ "last": null, "next": "2026-12-01T08:02:00Z", "lastUpdated": null });
        let expected = json!({ "isPastDue": false, "schedule": { "adjustForDST": false }, "scheduleStatus": status });
        assert_eq!(input(&mut state, at(61)), expected);
        let late = input(&mut state, at(200));
        assert_eq!((&late["isPastDue"], &late["scheduleStatus"]["last"]), (&json!(true), &json!("2026-12-01T08:01:00Z")));
    }
}
