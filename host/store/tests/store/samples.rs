//! One of everything that is stored: every kind of event, every shape of a record.

use dacapo_core::event::Outcome;
use dacapo_core::{
    Event, Failure, FunctionKind, FunctionName, HistoryEvent, InstanceRecord, Message, Parent, Row, RuntimeStatus, Seq,
    Timestamp, VersionId,
};
use dacapo_store::AppVersion;
use dacapo_store::codec::Counters;
use dacapo_store::conformance::sample::{at, execution, id, message};

fn name(text: &str) -> FunctionName {
    FunctionName::new(text).expect("a valid name")
}

fn parent() -> Parent {
    Parent { name: name("Parent"), instance: id("the parent: ä"), execution: execution("parent"), seq: Seq(70_000) }
}

/// Every kind of event, with every choice that it offers.
pub fn events() -> Vec<HistoryEvent> {
    let failure = Failure::retriable("Timeout", "it took too long");
    let detailed = Failure::permanent("InsufficientFunds", "only 3 €").with_details("a\nb");
    let started = |parent, version: &str| Event::ExecutionStarted {
        execution: execution("a"),
        name: name("Sample"),
        input: "{\"a\":[1,2,3]}".into(),
        version: version.into(),
        parent,
    };
    let created = |detached| Event::SubOrchestrationInstanceCreated {
        seq: Seq(8),
        name: name("Child"),
        instance: id("child"),
        input: "null".into(),
        detached,
    };
    let completed = |outcome| Event::ExecutionCompleted { outcome };
    let events = vec![
        Event::OrchestratorStarted,
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
        Event::ExecutionTerminated { reason: "enough".into() },
        Event::TaskScheduled { seq: Seq(5), name: name("Say"), input: "x".repeat(300).into(), attempt: 3 },
        created(false),
        created(true),
        Event::TimerCreated { seq: Seq(6), fire_at: Timestamp(-1) },
        Event::EventSent { seq: Seq(7), instance: id("@counter@a"), name: "add".into(), data: "1".into() },
        completed(Outcome::Completed("[]".into())),
        completed(Outcome::Failed(failure)),
        completed(Outcome::Terminated { reason: "enough".into() }),
        completed(Outcome::ContinuedAsNew { input: "2".into() }),
    ];
    events.into_iter().enumerate().map(|(number, event)| HistoryEvent { at: at(number as i64 * 3 % 7), event }).collect()
}

/// Records with everything and with nothing, in every status.
pub fn records() -> Vec<InstanceRecord> {
    let plain = InstanceRecord::pending(Row(1), &message("plain", events()[1].event.clone())).expect("a start");
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

pub fn messages() -> Vec<Message> {
    let to = |execution| move |event: HistoryEvent| Message { execution, ..message("to", event.event) };
    events().into_iter().map(to(None)).chain(events().into_iter().map(to(Some(execution("only"))))).collect()
}

pub fn apps() -> Vec<AppVersion> {
    let kinds = [FunctionKind::Orchestrator, FunctionKind::Activity, FunctionKind::Entity];
    let functions = kinds.into_iter().map(|kind| (name(kind.name()), kind)).collect();
    let full = AppVersion {
        app: "shop".into(),
        version: VersionId([0xab; 32]),
        deployed_at: at(5),
        label: "1.2".into(),
        functions,
        size: 1 << 40,
    };
    vec![AppVersion { label: String::new(), functions: vec![], size: 0, ..full.clone() }, full]
}

pub fn counters() -> Counters {
    Counters { transactions: 5, next_row: 1 << 40, next_message: u64::MAX }
}
