//! Histories and their projection.

use super::*;
use dacapo_core::ExecutionId;
use serde_json::{Value, json};
use uuid::Uuid;

const ALL: Shown = Shown { inputs: true, outputs: true };
const NOTHING: Shown = Shown { inputs: false, outputs: false };

fn name(text: &str) -> FunctionName {
    FunctionName::new(text).unwrap()
}

fn started() -> Event {
    let execution = ExecutionId(Uuid::nil());
    Event::ExecutionStarted {
        execution,
        name: name("Main"),
        input: "[1]".into(),
        version: String::new(),
        parent: None,
        start_at: None,
    }
}

fn scheduled(seq: u32, activity: &str) -> Event {
    Event::TaskScheduled { seq: Seq(seq), name: name(activity), input: r#""in""#.into(), attempt: seq + 1 }
}

/// The events happen one second after the other, from second 0.
#[track_caller]
fn check(events: Vec<Event>, shown: Shown, expected: Value) {
    let events = events.into_iter().enumerate();
    let history: Vec<_> = events.map(|(i, event)| HistoryEvent { at: Timestamp(i as i64 * 1_000_000), event }).collect();
    let rows = project(history, shown);
    assert_eq!(serde_json::from_str::<Value>(&format!("[{}]", rows.join(","))).unwrap(), expected);
}

/// All rows of a history, of which each event is a turn.
fn project(history: impl IntoIterator<Item = HistoryEvent>, shown: Shown) -> Vec<String> {
    let (mut pairs, mut events) = (OutcomeIndex::default(), Vec::new());
    for (turn, entry) in history.into_iter().enumerate() {
        let place = EventPlace::of_turn(turn as u32);
        pairs.note(place, &entry.event);
        events.push((place, entry));
    }
    let rows = Projection::new(shown, name("Main"), pairs);
    let all: HashMap<EventPlace, HistoryEvent> = events.iter().cloned().collect();
    let beginnings = rows.beginnings(&events).into_iter().map(|place| (place, all[&place].clone())).collect();
    rows.rows(&events, &beginnings).map(|row| written(&row)).collect()
}

fn at(second: u32) -> String {
    format!("1970-01-01T00:00:{second:02}.000000Z")
}

#[test]
fn the_beginning_and_the_outcome_of_a_task_are_one_row() {
    let events = || {
        vec![
            Event::OrchestratorStarted { conditions: None },
            started(),
            scheduled(0, "Quick"),
            scheduled(1, "Open"),
            Event::OrchestratorStarted { conditions: None },
            Event::TaskCompleted { seq: Seq(0), result: r#"{"x":1}"#.into() },
            Event::ExecutionCompleted { outcome: Outcome::Completed("7".into()) },
        ]
    };
    check(
        events(),
        ALL,
        json!([
            {"EventType": "ExecutionStarted", "FunctionName": "Main", "Input": [1], "Timestamp": at(1)},
            {"EventType": "TaskScheduled", "Name": "Open", "Attempt": 2, "Input": "in", "Timestamp": at(3)},
            {"EventType": "TaskCompleted", "FunctionName": "Quick", "Input": "in", "Result": {"x": 1}, "ScheduledTime": at(2), "Timestamp": at(5)},
            {"EventType": "ExecutionCompleted", "OrchestrationStatus": "Completed", "Result": 7, "Timestamp": at(6)},
        ]),
    );
    check(
        events(),
        NOTHING,
        json!([
            {"EventType": "ExecutionStarted", "FunctionName": "Main", "Timestamp": at(1)},
            {"EventType": "TaskScheduled", "Name": "Open", "Attempt": 2, "Timestamp": at(3)},
            {"EventType": "TaskCompleted", "FunctionName": "Quick", "ScheduledTime": at(2), "Timestamp": at(5)},
            {"EventType": "ExecutionCompleted", "OrchestrationStatus": "Completed", "Timestamp": at(6)},
        ]),
    );
}

#[test]
fn failures_say_why() {
    let failure = Failure::permanent("Broke", "it broke").with_details("at line 3");
    let details = json!({
        "ErrorType": "Broke", "ErrorMessage": "it broke", "StackTrace": "at line 3", "InnerFailure": null, "IsNonRetriable": true,
    });
    check(
        vec![
            started(),
            scheduled(0, "Charge"),
            Event::TaskFailed { seq: Seq(0), failure: failure.clone() },
            Event::ExecutionCompleted { outcome: Outcome::Failed(failure) },
        ],
        ALL,
        json!([
            {"EventType": "ExecutionStarted", "FunctionName": "Main", "Input": [1], "Timestamp": at(0)},
            {"EventType": "TaskFailed", "FunctionName": "Charge", "Input": "in", "Reason": "it broke", "Details": "at line 3",
             "FailureDetails": details, "ScheduledTime": at(1), "Timestamp": at(2)},
            {"EventType": "ExecutionCompleted", "OrchestrationStatus": "Failed", "Result": "Orchestrator function 'Main' failed: it broke",
             "FailureDetails": details, "Timestamp": at(3)},
        ]),
    );
}

#[test]
fn timers_events_and_control_messages_are_shown() {
    let moment = Timestamp(9_000_000);
    check(
        vec![
            Event::TimerCreated { seq: Seq(0), fire_at: moment },
            Event::TimerFired { seq: Seq(0), fire_at: moment },
            Event::EventRaised { name: "Go".into(), data: "true".into() },
            Event::EventSent { seq: Seq(1), instance: InstanceId::any("b").unwrap(), name: "Hi".into(), data: "null".into() },
            Event::ExecutionSuspended { reason: "lunch".into() },
            Event::ExecutionResumed { reason: String::new() },
            Event::ExecutionTerminated { reason: "enough".into(), recurse: false, parent: None },
            Event::ExecutionCompleted { outcome: Outcome::Terminated { reason: "enough".into() } },
        ],
        ALL,
        json!([
            {"EventType": "TimerCreated", "FireAt": at(9), "Timestamp": at(0)},
            {"EventType": "TimerFired", "FireAt": at(9), "Timestamp": at(1)},
            {"EventType": "EventRaised", "Name": "Go", "Input": true, "Timestamp": at(2)},
            {"EventType": "EventSent", "InstanceId": "b", "Name": "Hi", "Input": null, "Timestamp": at(3)},
            {"EventType": "ExecutionSuspended", "Reason": "lunch", "Timestamp": at(4)},
            {"EventType": "ExecutionResumed", "Reason": "", "Timestamp": at(5)},
            {"EventType": "ExecutionTerminated", "Input": "enough", "Timestamp": at(6)},
            {"EventType": "ExecutionCompleted", "OrchestrationStatus": "Terminated", "Result": "enough", "Timestamp": at(7)},
        ]),
    );
}

/// `showInput=false` hid the inputs of functions, and showed those of events and of a termination.
#[test]
fn inputs_that_are_not_asked_for_are_shown_nowhere() {
    let instance = InstanceId::any("b").unwrap();
    let entity = InstanceId::any("@b@").unwrap();
    let (input, operation): (dacapo_core::Payload, String) = ("1".into(), "add".into());
    let history = [
        started(),
        scheduled(0, "Open"),
        Event::SubOrchestrationInstanceCreated {
            seq: Seq(1),
            name: name("Child"),
            instance: instance.clone(),
            input: input.clone(),
            version: String::new(),
            detached: false,
        },
        Event::EntityOperationCalled { seq: Seq(2), entity: entity.clone(), operation: operation.clone(), input: input.clone() },
        Event::EntityOperationSignaled { seq: Seq(3), entity, operation, input, deliver_at: None },
        Event::EventRaised { name: "Go".into(), data: "true".into() },
        Event::EventSent { seq: Seq(4), instance, name: "Hi".into(), data: "null".into() },
        Event::ExecutionTerminated { reason: "enough".into(), recurse: false, parent: None },
    ]
    .map(|event| HistoryEvent { at: Timestamp(0), event });
    let has_input = |shown| {
        let rows = project(history.clone(), shown);
        rows.iter().map(|row| row.contains(r#""Input":"#)).collect::<Vec<_>>()
    };
    assert_eq!(has_input(ALL), [true; 8]);
    assert_eq!(has_input(NOTHING), [false; 8]);
}

#[test]
fn a_sub_orchestration_is_shown_with_its_instance() {
    let created = |seq, detached| Event::SubOrchestrationInstanceCreated {
        seq: Seq(seq),
        name: name("Child"),
        instance: InstanceId::any("c").unwrap(),
        input: "0".into(),
        version: String::new(),
        detached,
    };
    check(
        vec![created(0, false), created(1, true), Event::SubOrchestrationInstanceCompleted { seq: Seq(0), result: "1".into() }],
        ALL,
        json!([
            {"EventType": "SubOrchestrationInstanceCreated", "Name": "Child", "InstanceId": "c", "Detached": true, "Input": 0, "Timestamp": at(1)},
            {"EventType": "SubOrchestrationInstanceCompleted", "FunctionName": "Child", "InstanceId": "c", "Input": 0, "Result": 1,
             "ScheduledTime": at(0), "Timestamp": at(2)},
        ]),
    );
}

#[test]
fn calls_of_entities_are_shown_with_their_outcome() {
    let entity = || InstanceId::any("@counter@a").unwrap();
    let called =
        |seq| Event::EntityOperationCalled { seq: Seq(seq), entity: entity(), operation: "add".into(), input: "1".into() };
    let failure = Failure::permanent("Broke", "it broke");
    let details = json!({
        "ErrorType": "Broke", "ErrorMessage": "it broke", "StackTrace": null, "InnerFailure": null, "IsNonRetriable": true,
    });
    check(
        vec![
            called(0),
            called(1),
            called(2),
            Event::EntityOperationCompleted { seq: Seq(0), result: "7".into() },
            Event::EntityOperationFailed { seq: Seq(1), failure },
        ],
        ALL,
        json!([
            {"EventType": "EntityOperationCalled", "InstanceId": "@counter@a", "Operation": "add", "Input": 1, "Timestamp": at(2)},
            {"EventType": "EntityOperationCompleted", "InstanceId": "@counter@a", "Operation": "add", "Input": 1, "Result": 7,
             "ScheduledTime": at(0), "Timestamp": at(3)},
            {"EventType": "EntityOperationFailed", "InstanceId": "@counter@a", "Operation": "add", "Input": 1, "Reason": "it broke",
             "Details": "", "FailureDetails": details, "ScheduledTime": at(1), "Timestamp": at(4)},
        ]),
    );
}

#[test]
fn signals_and_locks_are_shown() {
    let entities = || vec![InstanceId::any("@account@a").unwrap(), InstanceId::any("@account@b").unwrap()];
    let signaled = |seq, deliver_at| Event::EntityOperationSignaled {
        seq: Seq(seq),
        entity: entities().remove(0),
        operation: "add".into(),
        input: "1".into(),
        deliver_at,
    };
    let lock_set = json!(["@account@a", "@account@b"]);
    check(
        vec![
            signaled(0, None),
            signaled(1, Some(Timestamp(9_000_000))),
            Event::EntityLockRequested { seq: Seq(2), entities: entities() },
            Event::EntityLockGranted { seq: Seq(2) },
            Event::EntityUnlockSent { seq: Seq(3), entities: entities() },
            Event::EntityLockRequested { seq: Seq(4), entities: entities() },
        ],
        ALL,
        json!([
            {"EventType": "EntityOperationSignaled", "InstanceId": "@account@a", "Operation": "add", "Input": 1, "Timestamp": at(0)},
            {"EventType": "EntityOperationSignaled", "InstanceId": "@account@a", "Operation": "add", "Input": 1,
             "ScheduledTime": at(9), "Timestamp": at(1)},
            {"EventType": "EntityLockGranted", "LockSet": lock_set, "ScheduledTime": at(2), "Timestamp": at(3)},
            {"EventType": "EntityUnlockSent", "LockSet": lock_set, "Timestamp": at(4)},
            {"EventType": "EntityLockRequested", "LockSet": lock_set, "Timestamp": at(5)},
        ]),
    );
}

#[test]
fn a_scheduled_start_and_a_rewind_are_shown() {
    let Event::ExecutionStarted { execution, name, input, version, parent, .. } = started() else { unreachable!() };
    let start_at = Some(Timestamp(9_000_000));
    check(
        vec![
            Event::ExecutionStarted { execution, name, input, version, parent, start_at },
            Event::ExecutionRewound { reason: "repaired".into(), parent: None },
        ],
        NOTHING,
        json!([
            {"EventType": "ExecutionStarted", "FunctionName": "Main", "ScheduledStartTime": at(9), "Timestamp": at(0)},
            {"EventType": "ExecutionRewound", "Reason": "repaired", "Timestamp": at(1)},
        ]),
    );
}

#[test]
fn members_come_in_the_order_of_the_documents() {
    let result = Event::TaskCompleted { seq: Seq(0), result: r#""Hello Tokyo!""#.into() };
    let history = [scheduled(0, "E1_SayHello"), result].map(|event| HistoryEvent { at: Timestamp(0), event });
    let shown = Shown { inputs: false, outputs: true };
    let expected = format!(
        r#"{{"EventType":"TaskCompleted","FunctionName":"E1_SayHello","Result":"Hello Tokyo!","ScheduledTime":"{0}","Timestamp":"{0}"}}"#,
        at(0)
    );
    assert_eq!(project(history, shown), [expected]);
}
