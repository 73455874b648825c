//! One instance between turns, kept as a store would keep it.

use std::time::Duration;

use dacapo_core::execution::{Limits, TaskId};
use dacapo_core::scripted::{Handle, Scripted};
use dacapo_core::turn::{Memory, NoVersion, Turn};
use dacapo_core::{
    Commit, Delivery, Event, EventDelivery, ExecutionId, Failure, FunctionName, HistoryEvent, InstanceId, InstanceRecord,
    Message, MessageKey, NotNow, Row, RuntimeStatus, Seq, Timestamp, VersionId,
};

pub const VERSION: VersionId = VersionId([1; 32]);
pub const FIXED: VersionId = VersionId([2; 32]);

/// An instance between turns, kept as a store would keep it.
pub struct World {
    pub executor: Scripted,
    pub active_version: Option<VersionId>,
    /// The error that a new execution gets instead of the active version.
    pub begins_on: Option<NoVersion>,
    /// Why the last migration had no effect.
    pub refused: Option<String>,
    /// Why the last turn had no effect and must be run again.
    pub put_back: Option<NotNow>,
    pub limits: Limits,
    pub hot: bool,
    pub now: i64,
    pub record: InstanceRecord,
    pub history: Vec<HistoryEvent>,
    pub live: Option<dacapo_core::turn::Live>,
    pub inbox: Vec<(MessageKey, Message)>,
    pub sent: Vec<Message>,
    pub commits: Vec<Commit>,
    pub logs: Vec<String>,
}

impl World {
    pub fn new(executor: Scripted, hot: bool) -> Self {
        Self::limited(executor, hot, Limits::default())
    }

    /// An instance that is given no version when it begins.
    pub fn waiting_for(executor: Scripted, begins_on: NoVersion) -> Self {
        let mut world = Self::unstarted(executor, false, Limits::default());
        world.begins_on = Some(begins_on);
        world.start();
        world
    }

    /// An instance that began under the older rule of event delivery.
    pub fn with_events_to_the_first_made(executor: Scripted, hot: bool) -> Self {
        let mut world = Self::unstarted(executor, hot, Limits::default());
        world.record.event_delivery = EventDelivery::FirstMade;
        world.start();
        world
    }

    pub fn limited(executor: Scripted, hot: bool, limits: Limits) -> Self {
        let mut world = Self::unstarted(executor, hot, limits);
        world.start();
        world
    }

    fn start(&mut self) {
        self.deliver(vec![start()]);
    }

    fn unstarted(executor: Scripted, hot: bool, limits: Limits) -> Self {
        let start = start();
        World {
            executor,
            active_version: Some(VERSION),
            begins_on: None,
            refused: None,
            put_back: None,
            limits,
            hot,
            now: 0,
            record: InstanceRecord::pending(Row(1), &start).unwrap(),
            history: Vec::new(),
            live: None,
            inbox: Vec::new(),
            sent: Vec::new(),
            commits: Vec::new(),
            logs: Vec::new(),
        }
    }

    /// Runs one turn with new messages, one second apart.
    pub fn turn(&mut self, events: impl IntoIterator<Item = Event>) -> &mut Self {
        self.deliver(events.into_iter().map(message).collect());
        self
    }

    pub fn deliver(&mut self, messages: Vec<Message>) {
        self.now += 1_000_000;
        let stored = if self.record.status == RuntimeStatus::Suspended { std::mem::take(&mut self.inbox) } else { Vec::new() };
        let mut inbox: Vec<Delivery> =
            stored.iter().map(|(key, message)| Delivery { message: message.clone(), stored: Some(*key) }).collect();
        inbox.extend(messages.into_iter().map(|message| Delivery { message, stored: None }));
        let migrates = inbox.iter().any(|delivery| matches!(delivery.message.event, Event::ExecutionMigrated { .. }));
        let memory = match self.live.take() {
            Some(live) if self.hot && !migrates => Memory::Hot(live),
            _ => Memory::cold(self.history.clone()),
        };
        let turn = Turn {
            executor: &self.executor,
            limits: &self.limits,
            now: Timestamp(self.now),
            begins_on: match &self.begins_on {
                Some(none) => Err(none.clone()),
                None => self.active_version.ok_or_else(|| NoVersion::unknown(&self.record.name)),
            },
            active_version: self.active_version,
        };
        let result = turn.run(self.record.clone(), memory, inbox);
        self.logs.extend(result.logs.into_iter().map(|line| line.message));
        self.live = result.live;
        self.refused = result.refused.migration;
        self.put_back = result.put_back;
        self.inbox = stored;
        if let Some(commit) = result.commit {
            self.save(commit);
        }
    }

    /// Applies a commit, as a store does.
    pub fn save(&mut self, commit: Commit) {
        self.inbox.retain(|(key, _)| !commit.consumed.contains(key));
        for message in &commit.kept {
            let number = self.inbox.last().map_or(0, |(key, _)| key.number) + 1;
            self.inbox.push((MessageKey { row: Row(1), number }, message.clone()));
        }
        if !commit.forgotten.is_empty() {
            self.history.clear();
        }
        self.history.extend(commit.history.iter().flat_map(|chunk| chunk.events.clone()));
        self.sent.extend(commit.sent.clone());
        self.record = commit.record.clone();
        self.commits.push(commit);
    }

    pub fn shown(&self) -> Vec<String> {
        self.history.iter().map(|e| show(&e.event)).collect()
    }
}

fn start() -> Message {
    message(Event::ExecutionStarted {
        execution: ExecutionId(uuid::Uuid::from_u128(7)),
        name: FunctionName::new("main").unwrap(),
        input: "\"in\"".into(),
        version: String::new(),
        parent: None,
        start_at: None,
    })
}

pub fn message(event: Event) -> Message {
    Message { to: InstanceId::any("i").unwrap(), execution: None, sent_at: Timestamp(0), event }
}

pub fn show(event: &Event) -> String {
    let kind = event.kind();
    match event {
        Event::TaskCompleted { seq, result } | Event::SubOrchestrationInstanceCompleted { seq, result } => {
            format!("{kind} {seq} {result}")
        }
        Event::TaskFailed { seq, failure } | Event::SubOrchestrationInstanceFailed { seq, failure } => {
            format!("{kind} {seq} {failure}")
        }
        Event::TimerFired { seq, .. } => format!("{kind} {seq}"),
        Event::EventRaised { name, data } => format!("{kind} {name} {data}"),
        Event::TaskScheduled { seq, name, input, attempt } => format!("{kind} {seq} {name} {input} #{attempt}"),
        Event::SubOrchestrationInstanceCreated { seq, name, input, .. } => format!("{kind} {seq} {name} {input}"),
        Event::TimerCreated { seq, fire_at } => format!("{kind} {seq} at {}s", fire_at.0 / 1_000_000),
        Event::EventSent { seq, instance, name, data } => format!("{kind} {seq} {instance} {name} {data}"),
        Event::ExecutionCompleted { outcome } => format!("{kind} {outcome:?}"),
        Event::ExecutionRewound { reason, .. } => format!("{kind} {reason}"),
        Event::EntityOperationCompleted { seq, result } => format!("{kind} {seq} {result}"),
        Event::EntityOperationFailed { seq, failure } => format!("{kind} {seq} {failure}"),
        Event::EntityOperationCalled { seq, entity, operation, input } => format!("{kind} {seq} {entity} {operation} {input}"),
        Event::EntityLockRequested { seq, entities } | Event::EntityUnlockSent { seq, entities } => {
            let ids: Vec<&str> = entities.iter().map(|id| id.as_str()).collect();
            format!("{kind} {seq} {}", ids.join(" "))
        }
        _ => kind.to_owned(),
    }
}

/// Runs a case hot and cold: the commits (except the count of replayed events) and the logs must be equal, and the history must
/// be the given one.
#[track_caller]
pub fn check(executor: Scripted, steps: impl Fn(&mut World), history: &[&str]) -> World {
    let [cold, hot] = [false, true].map(|hot| {
        let mut world = World::new(executor.clone(), hot);
        steps(&mut world);
        let replayed = world.commits.last().map_or(0, |commit| commit.record.usage.replayed_events);
        assert!(!hot || replayed == 0, "a hot instance is not replayed");
        world.commits.iter_mut().for_each(|commit| commit.record.usage.replayed_events = 0);
        world
    });
    assert_eq!(hot.commits, cold.commits, "hot and cold commit the same");
    assert_eq!(hot.logs, cold.logs, "each line is logged once");
    assert_eq!(hot.shown(), history);
    hot
}

pub fn done(seq: u32, result: &str) -> Event {
    Event::TaskCompleted { seq: Seq(seq), result: result.into() }
}

pub fn failed(seq: u32, error_type: &str) -> Event {
    Event::TaskFailed { seq: Seq(seq), failure: Failure::retriable(error_type, "no") }
}

pub fn fired(seq: u32) -> Event {
    Event::TimerFired { seq: Seq(seq), fire_at: Timestamp(0) }
}

pub fn raised(name: &str, data: &str) -> Event {
    Event::EventRaised { name: name.into(), data: data.into() }
}

pub async fn after(handle: &Handle, seconds: u64) -> TaskId {
    handle.act(|e| e.create_timer(e.current_time().plus(Duration::from_secs(seconds)))).await
}

pub fn event(handle: &Handle, name: &str) -> TaskId {
    handle.with(|e| e.wait_for_external_event(name)).unwrap()
}
