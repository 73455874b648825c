//! One of everything that is stored: every kind of event, every shape of a record. The samples of the first release are separate,
//! because what it wrote must stay readable.

use std::sync::Arc;

use dacapo_core::event::Outcome;
use dacapo_core::execution::Conditions;
use dacapo_core::versioning::{self, AppVersioning, Match};
use dacapo_core::{
    Announcement, EntityState, Event, EventDelivery, Failure, FunctionKind, FunctionName, HistoryEvent, InstanceRecord, Message,
    Parent, Row, RuntimeStatus, Seq, Timestamp, Usage, VersionId,
};
use dacapo_store::AppVersion;
use dacapo_store::codec::{Counters, Zone};
use dacapo_store::conformance::sample::{at, execution, id, message};

fn name(text: &str) -> FunctionName {
    FunctionName::new(text).expect("a valid name")
}

fn parent() -> Parent {
    Parent { name: name("Parent"), instance: id("the parent: ä"), execution: execution("parent"), seq: Seq(70_000) }
}

/// Values of all kinds.
pub struct Samples {
    pub events: Vec<HistoryEvent>,
    pub records: Vec<InstanceRecord>,
    pub messages: Vec<Message>,
    pub apps: Vec<AppVersion>,
    pub counters: Counters,
    pub entities: Vec<EntityState>,
    pub announcements: Vec<Announcement>,
    pub zones: Vec<Zone>,
}

impl Samples {
    /// Everything that the first release could store.
    pub fn of_the_first_release() -> Self {
        let events = happened(first_events());
        Self {
            messages: messages(&events),
            events,
            records: records(),
            apps: apps(),
            counters: Counters { transactions: 5, next_row: 1 << 40, next_message: u64::MAX, next_announcement: 0 },
            entities: vec![],
            announcements: vec![],
            zones: vec![],
        }
    }

    /// Everything that this release can store.
    pub fn of_this_release() -> Self {
        let fifth = Self::of_the_fifth_release();
        let rules = |r#match, failure| AppVersioning { default: "2.0".into(), r#match, failure };
        let versioned = [
            rules(None, None),
            rules(Some(Match::None), Some(versioning::Failure::Reject)),
            rules(Some(Match::Strict), Some(versioning::Failure::Fail)),
            rules(Some(Match::CurrentOrOlder), None),
        ];
        let versioned = fifth.apps.iter().cloned().zip(versioned).map(|(app, versioning)| AppVersion { versioning, ..app });
        let apps = fifth.apps.iter().cloned().chain(versioned);
        Self { apps: apps.collect(), ..fifth }
    }

    /// Everything that the fifth release could store.
    pub fn of_the_fifth_release() -> Self {
        let fourth = Self::of_the_fourth_release();
        let triggers = vec![(name("start"), r#"[{"type":"httpTrigger"}]"#.to_owned())];
        let with_triggers = |app: AppVersion| AppVersion { triggers: triggers.clone(), route_prefix: Some("v1".into()), ..app };
        let apps = fourth.apps.iter().cloned().chain(fourth.apps.iter().cloned().map(with_triggers));
        Self { apps: apps.collect(), ..fourth }
    }

    /// Everything that the fourth release could store.
    pub fn of_the_fourth_release() -> Self {
        let third = Self::of_the_third_release();
        let activated = [Some(at(7)), None].into_iter();
        let apps = third.apps.into_iter().zip(activated).map(|(app, activated_at)| AppVersion { activated_at, ..app });
        Self { apps: apps.collect(), ..third }
    }

    /// Everything that the third release could store.
    pub fn of_the_third_release() -> Self {
        let environment = vec![("MODE".into(), "test".into()), ("EMPTY".into(), String::new())];
        let since = [
            Event::ExecutionMigrated { version: VersionId([0xcd; 32]) },
            sub_orchestration_created("2.0", false),
            Event::OrchestratorStarted { conditions: Some(Arc::new(Conditions::default())) },
            Event::OrchestratorStarted { conditions: Some(Arc::new(Conditions { environment, ..Conditions::default() })) },
        ];
        let events = happened(first_events().into_iter().chain(second_events()).chain(since).collect());
        let second = Self::of_the_second_release();
        let apps = second.apps.iter().cloned().map(|app| AppVersion { weight: 300, ..app });
        Self { messages: messages(&events), events, apps: apps.collect(), ..second }
    }

    /// Everything that the second release could store.
    pub fn of_the_second_release() -> Self {
        let events = happened(first_events().into_iter().chain(second_events()).collect());
        let first = Self::of_the_first_release();
        Self {
            messages: messages(&events),
            events,
            records: first.records.into_iter().map(|record| InstanceRecord { usage: usage(), ..record }).collect(),
            counters: Counters { next_announcement: 1 << 20, ..first.counters },
            entities: entities(),
            announcements: announcements(),
            zones: zones(),
            ..first
        }
    }
}

fn happened(events: Vec<Event>) -> Vec<HistoryEvent> {
    events.into_iter().enumerate().map(|(number, event)| HistoryEvent { at: at(number as i64 * 3 % 7), event }).collect()
}

fn sub_orchestration_created(version: &str, detached: bool) -> Event {
    Event::SubOrchestrationInstanceCreated {
        seq: Seq(8),
        name: name("Child"),
        instance: id("child"),
        input: "null".into(),
        version: version.into(),
        detached,
    }
}

/// Every kind of event of the first release, in every variant.
fn first_events() -> Vec<Event> {
    let failure = Failure::retriable("Timeout", "it took too long");
    let detailed = Failure::permanent("InsufficientFunds", "only 3 €").with_details("a\nb");
    let started = |parent, version: &str| Event::ExecutionStarted {
        execution: execution("a"),
        name: name("Sample"),
        input: "{\"a\":[1,2,3]}".into(),
        version: version.into(),
        parent,
        start_at: None,
    };
    let created = |detached| sub_orchestration_created("", detached);
    let completed = |outcome| Event::ExecutionCompleted { outcome };
    vec![
        Event::OrchestratorStarted { conditions: None },
        started(None, ""),
        started(Some(parent()), "1.2"),
        Event::TaskCompleted { seq: Seq(0), result: "\"Hello\"".into() },
        Event::TaskFailed { seq: Seq(u32::MAX), failure: failure.clone() },
        Event::SubOrchestrationInstanceCompleted { seq: Seq(1), result: "1".into() },
        Event::SubOrchestrationInstanceFailed { seq: Seq(2), failure: detailed.clone() },
        Event::TimerFired { seq: Seq(3), fire_at: at(77) },
        Event::EventRaised { name: "approval".into(), data: "true".into() },
        Event::ExecutionSuspended { reason: "lunch".into() },
        Event::ExecutionResumed { reason: String::new() },
        Event::ExecutionTerminated { reason: "enough".into(), recurse: false, parent: None },
        Event::TaskScheduled { seq: Seq(5), name: name("Say"), input: "x".repeat(300).into(), attempt: 3 },
        created(false),
        created(true),
        Event::TimerCreated { seq: Seq(6), fire_at: Timestamp(-1) },
        Event::EventSent { seq: Seq(7), instance: id("@counter@a"), name: "add".into(), data: "1".into() },
        completed(Outcome::Completed("[]".into())),
        completed(Outcome::Failed(failure)),
        completed(Outcome::Terminated { reason: "enough".into() }),
        completed(Outcome::ContinuedAsNew { input: "2".into() }),
    ]
}

/// The events that the second release added.
fn second_events() -> Vec<Event> {
    let Event::ExecutionStarted { execution, name, input, version, parent: waiting, .. } = first_events()[2].clone() else {
        unreachable!("the third one is a start")
    };
    let entities = vec![id("@account@1"), id("@account@")];
    let requested = |caller, deliver_at| Event::OperationRequested {
        operation: "add".into(),
        input: "{\"by\":1}".into(),
        caller,
        deliver_at,
    };
    let signaled = |deliver_at| Event::EntityOperationSignaled {
        seq: Seq(10),
        entity: id("@counter@ä"),
        operation: String::new(),
        input: "null".into(),
        deliver_at,
    };
    let failure = Failure::permanent("Overdrawn", "only 3 €");
    vec![
        Event::ExecutionStarted { execution, name, input, version, parent: waiting, start_at: Some(at(86_400_000)) },
        Event::ExecutionTerminated { reason: "all of it".into(), recurse: true, parent: Some(parent()) },
        Event::ExecutionRewound { reason: "mended".into(), parent: None },
        Event::ExecutionRewound { reason: String::new(), parent: Some(parent()) },
        Event::EntityOperationCompleted { seq: Seq(9), result: "7".into() },
        Event::EntityOperationFailed { seq: Seq(9), failure },
        Event::EntityLockGranted { seq: Seq(11) },
        requested(None, None),
        requested(Some(parent()), Some(Timestamp(i64::MAX))),
        Event::LockRequested { entities: entities.clone(), position: 1, owner: parent() },
        Event::LockReleased { entities: vec![], position: u32::MAX, owner: parent() },
        Event::StatePurged,
        Event::EntityOperationCalled { seq: Seq(9), entity: id("@counter@a"), operation: "get".into(), input: "null".into() },
        signaled(None),
        signaled(Some(at(1))),
        Event::EntityLockRequested { seq: Seq(11), entities: entities.clone() },
        Event::EntityUnlockSent { seq: Seq(12), entities },
    ]
}

/// Records with all optional fields and with none, in every status.
fn records() -> Vec<InstanceRecord> {
    let plain = InstanceRecord::pending(Row(1), &message("plain", first_events()[1].clone())).expect("a start");
    let plain = InstanceRecord { event_delivery: EventDelivery::FirstMade, ..plain };
    let full = InstanceRecord {
        id: id("full"),
        row: Row(u64::MAX),
        version: Some(VersionId(std::array::from_fn(|i| i as u8))),
        version_label: "1.2".into(),
        parent: Some(parent()),
        custom_status: Some("{\"progress\":0.5}".into()),
        updated: at(123_456),
        turns: 70_000..u32::MAX,
        halted: Some("history recorded a timer, the code called an activity".into()),
        ..plain.clone()
    };
    let before_1970 = InstanceRecord { created: Timestamp(i64::MIN), updated: Timestamp(i64::MAX), ..plain.clone() };
    let statuses = RuntimeStatus::ALL.map(|status| InstanceRecord { status, ..full.clone() });
    [plain, before_1970].into_iter().chain(statuses).collect()
}

fn usage() -> Usage {
    Usage {
        turns: 3,
        replayed_events: 200,
        fuel: u64::MAX,
        operations: 1,
        activities: 2,
        activity_micros: 70_000,
        bytes_in: 128,
        bytes_out: 127,
    }
}

fn messages(events: &[HistoryEvent]) -> Vec<Message> {
    let to = |execution| move |event: &HistoryEvent| Message { execution, ..message("to", event.event.clone()) };
    events.iter().map(to(None)).chain(events.iter().map(to(Some(execution("only"))))).collect()
}

fn apps() -> Vec<AppVersion> {
    let kinds = [FunctionKind::Orchestrator, FunctionKind::Activity, FunctionKind::Entity];
    let functions = kinds.into_iter().map(|kind| (name(kind.name()), kind)).collect();
    let full = AppVersion {
        app: "shop".into(),
        version: VersionId([0xab; 32]),
        deployed_at: at(5),
        label: "1.2".into(),
        functions,
        triggers: vec![],
        route_prefix: None,
        versioning: AppVersioning::default(),
        size: 1 << 40,
        weight: 0,
        activated_at: Some(at(5)),
    };
    vec![AppVersion { label: String::new(), functions: vec![], size: 0, ..full.clone() }, full]
}

fn entities() -> Vec<EntityState> {
    let full = EntityState { state: Some("{\"count\":3}".into()), lock: Some(parent()), operations: 1 << 40, waiting: true };
    vec![EntityState::default(), full]
}

fn announcements() -> Vec<Announcement> {
    let full = Announcement {
        instance: id("full"),
        name: name("Sample"),
        execution: execution("a"),
        status: RuntimeStatus::Failed,
        reason: Some("only 3 €".into()),
        at: at(9),
    };
    vec![Announcement { status: RuntimeStatus::Completed, reason: None, ..full.clone() }, full]
}

fn zones() -> Vec<Zone> {
    let statuses = std::array::from_fn(|row| RuntimeStatus::ALL.get(row % 9).copied());
    let full = Zone { statuses, created_from: at(0), created_to: at(99) };
    vec![Zone { created_from: Timestamp(i64::MIN), created_to: Timestamp(i64::MAX), ..full.clone() }, full]
}
