//! The durable client, in a trigger and in an activity: scripts of calls, and the answers that every language must give.

use std::time::{Duration, Instant};

use dacapo_tests::host::Host;
use dacapo_tests::languages::Subject;
use serde_json::{Map, Value, json};

/// A call of the client, and its answer.
struct Step {
    call: Value,
    answer: Answer,
}

enum Answer {
    Is(Value),
    /// An id that the host has made.
    SomeId,
}

/// Stands for the beginning of all ids, which differs in each run.
const RUN: &str = "RUN";

/// Stands for the text with which a list goes on. It differs in each run, too.
const TOKEN: &str = "TOKEN";

/// The year 2100.
const FAR_AWAY: u64 = 4_102_444_800_000;

/// Where the client is called.
#[derive(Clone, Copy)]
enum Place {
    Trigger,
    Activity,
}

/// Runs the scripts at both places.
pub fn check(host: &Host, subject: &Subject) {
    for (place, run) in [(Place::Trigger, "trigger"), (Place::Activity, "activity")] {
        let caller = Caller { host, subject, place, run };
        caller.play(&starting(), None);
        host.wait_until(&format!("{run}-mail"), "suspended", |status| status["runtimeStatus"] == "Suspended").unwrap();
        caller.wait_for_signal();
        let token = caller.play(&operating(subject), None);
        caller.play(&removing(), token.as_deref());
        caller.grant("read");
        caller.play(&reading_only(), None);
        caller.grant("none");
        caller.play(&nothing_granted(), None);
        caller.grant("operate");
    }
}

fn starting() -> Vec<Step> {
    let letter = json!({ "a": [1, 2.5, null], "b": "ü\n" });
    let start = |name: &str, id: &str| json!({ "do": "start", "name": name, "id": id, "input": null });
    let of_nobody = |what: &str| json!({ "do": what, "id": "RUN-nobody", "reason": "why not" });
    vec![
        call(json!({ "do": "start", "name": "mailbox", "id": "RUN-mail", "input": letter })).gives("RUN-mail"),
        call(start("mailbox", "RUN-mail")).fails("InstanceAlreadyExists"),
        call(start("no_such_orchestrator", "RUN-x")).fails("OrchestratorNotFound"),
        call(start("mailbox", "RUN/x")).fails("InvalidArgument"),
        call(json!({ "do": "start", "name": "my_version", "id": "RUN-version", "version": "2.0", "input": null }))
            .gives("RUN-version"),
        call(wait("RUN-version")).gives(ended("my_version", "RUN-version", "Completed", None, json!("2.0"))),
        call(json!({ "do": "start", "name": "my_version", "input": null })).gives_an_id(),
        call(json!({ "do": "start", "name": "mailbox", "id": "RUN-later", "startAt": FAR_AWAY, "input": null }))
            .gives("RUN-later"),
        call(status("RUN-later")).gives(waiting("RUN-later", "Pending", None)),
        call(json!({ "do": "start", "name": "child", "id": "RUN-child", "input": 21 })).gives("RUN-child"),
        call(wait("RUN-child")).gives(ended("child", "RUN-child", "Completed", Some(json!(21)), json!(42))),
        call(json!({ "do": "start", "name": "child", "id": "RUN-failed", "input": -1 })).gives("RUN-failed"),
        call(wait("RUN-failed")).gives(failed()),
        call(json!({ "do": "rewind", "id": "RUN-failed", "reason": "again" })).gives(Value::Null),
        call(wait("RUN-failed")).gives(failed()),
        call(json!({ "do": "rewind", "id": "RUN-child", "reason": "again" })).fails("NotRewindable"),
        call(of_nobody("terminate")).fails("InstanceNotFound"),
        call(of_nobody("suspend")).fails("InstanceNotFound"),
        call(of_nobody("resume")).fails("InstanceNotFound"),
        call(of_nobody("rewind")).fails("InstanceNotFound"),
        call(json!({ "do": "raise", "id": "RUN-nobody", "event": "First", "data": 1 })).fails("InstanceNotFound"),
        call(json!({ "do": "restart", "id": "RUN-nobody" })).fails("InstanceNotFound"),
        call(status("RUN-nobody")).gives(Value::Null),
        call(wait("RUN-nobody")).gives(Value::Null),
        call(json!({ "do": "purge", "id": "RUN-nobody" })).gives(false),
        call(json!({ "do": "purge", "id": "RUN-mail" })).fails("InstanceNotEnded"),
        call(json!({ "do": "suspend", "id": "RUN-mail", "reason": "for now" })).gives(Value::Null),
        call(signal("RUN", 5, None)).gives(Value::Null),
        call(signal("RUN", 100, Some(FAR_AWAY))).gives(Value::Null),
        call(json!({ "do": "read", "key": "RUN-nobody" })).gives(Value::Null),
        call(json!({ "do": "links", "id": "RUN-mail" })).gives(links("RUN-mail")),
    ]
}

/// When the mailbox is suspended, and the signal has arrived.
fn operating(subject: &Subject) -> Vec<Step> {
    let letter = json!({ "a": [1, 2.5, null], "b": "ü\n" });
    let raise = |event: &str, data: Value| json!({ "do": "raise", "id": "RUN-mail", "event": event, "data": data });
    let terminate = |id: &str| json!({ "do": "terminate", "id": id, "reason": "not needed" });
    let [mail, later] = [waiting("RUN-mail", "Suspended", None), waiting("RUN-later", "Pending", None)];
    let with_letter = waiting("RUN-mail", "Suspended", Some(letter.clone()));
    let child = ended("child", "RUN-child", "Completed", Some(json!(21)), json!(42));
    let version = ended("my_version", "RUN-version", "Completed", None, json!("2.0"));
    let (mut child_alone, mut child_with_history) = (child.clone(), child.clone());
    child_alone.as_object_mut().unwrap().remove("input");
    child_with_history["historyEvents"] = json!(["ExecutionStarted", "ExecutionCompleted"]);
    let mut failed_alone = failed();
    failed_alone.as_object_mut().unwrap().remove("input");
    vec![
        call(status("RUN-mail")).gives(with_letter.clone()),
        call(json!({ "do": "status", "id": "RUN-mail", "showInput": false })).gives(mail.clone()),
        call(json!({ "do": "status", "id": "RUN-child", "showInput": true, "showHistory": true })).gives(child_with_history),
        call(json!({ "do": "wait", "id": "RUN-mail", "timeout": 1 })).gives(with_letter.clone()),
        call(json!({ "do": "read", "key": "RUN" })).gives(5),
        call(entities(json!({ "fetchState": true }))).gives(entity(json!({ "state": 5 }))),
        call(entities(json!({ "fetchState": false }))).gives(entity(json!({}))),
        call(entities(json!({ "fetchState": true, "lastOperationTimeFrom": "2100-01-01T00:00:00Z" })))
            .gives(json!({ "entities": [] })),
        call(list(&json!({ "top": 2 }))).gives(json!({ "instances": [child.clone(), failed()], "continuationToken": TOKEN })),
        call(list(&json!({ "runtimeStatus": ["Completed", "Failed"], "showInput": false })))
            .gives(json!({ "instances": [child_alone, failed_alone, version.clone()] })),
        call(list(&json!({ "functionName": "Mailbox", "createdTimeFrom": "1970-01-01T00:00:00Z" })))
            .gives(json!({ "instances": [later.clone(), with_letter] })),
        call(list(&json!({ "version": "no-such-label" }))).gives(json!({ "instances": [] })),
        call(list(&json!({ "createdTimeTo": "1970-01-01T00:00:00Z" }))).gives(json!({ "instances": [] })),
        call(json!({ "do": "resume", "id": "RUN-mail", "reason": "go on" })).gives(Value::Null),
        call(raise("First", json!({ "a": 1 }))).gives(Value::Null),
        call(raise("Second", json!("ü"))).gives(Value::Null),
        call(raise("first", json!([]))).gives(Value::Null),
        call(wait("RUN-mail")).gives(ended("mailbox", "RUN-mail", "Completed", Some(letter), json!([{ "a": 1 }, "ü", []]))),
        call(terminate("RUN-later")).gives(Value::Null),
        call(wait("RUN-later")).gives(ended("mailbox", "RUN-later", "Terminated", None, json!("not needed"))),
        match subject.has_the_originals_client() {
            true => call(terminate("RUN-child")).gives(Value::Null),
            false => call(terminate("RUN-child")).fails("InstanceEnded"),
        },
        call(json!({ "do": "restart", "id": "RUN-child", "newId": "RUN-again" })).gives("RUN-again"),
        call(wait("RUN-again")).gives(ended("child", "RUN-again", "Completed", Some(json!(21)), json!(42))),
        call(json!({ "do": "restart", "id": "RUN-child", "newId": "RUN-child" })).gives("RUN-child"),
        call(wait("RUN-child")).gives(child),
        call(json!({ "do": "restart", "id": "RUN-child" })).gives_an_id(),
        call(list(&json!({ "top": 3 }))).gives(json!({
            "instances": [
                ended("child", "RUN-again", "Completed", Some(json!(21)), json!(42)),
                ended("child", "RUN-child", "Completed", Some(json!(21)), json!(42)),
                failed(),
            ],
            "continuationToken": TOKEN,
        })),
    ]
}

/// With the token of the last list.
fn removing() -> Vec<Step> {
    let old = |status: &str, to: &str| {
        let filter = json!({
            "instanceIdPrefix": "RUN-", "createdTimeFrom": "1970-01-01T00:00:00Z", "createdTimeTo": to, "runtimeStatus": [status],
        });
        json!({ "do": "purgeAll", "filter": filter })
    };
    let page = list(&json!({ "top": 2, "continuationToken": TOKEN, "showInput": false }));
    let [mail, later] = [
        ended("mailbox", "RUN-mail", "Completed", None, json!([{ "a": 1 }, "ü", []])),
        ended("mailbox", "RUN-later", "Terminated", None, json!("not needed")),
    ];
    vec![
        call(page).gives(json!({ "instances": [later, mail], "continuationToken": TOKEN })),
        call(json!({ "do": "purge", "id": "RUN-again" })).gives(true),
        call(status("RUN-again")).gives(Value::Null),
        call(old("Completed", "1970-01-01T00:00:01Z")).gives(0),
        call(old("Completed", "2100-01-01T00:00:00Z")).gives(3),
        call(list(&json!({ "runtimeStatus": ["Completed"] }))).gives(json!({ "instances": [] })),
        call(old("Terminated", "2100-01-01T00:00:00Z")).gives(1),
        call(status("RUN-failed")).gives(failed()),
    ]
}

fn reading_only() -> Vec<Step> {
    vec![
        call(status("RUN-nobody")).gives(Value::Null),
        call(json!({ "do": "read", "key": "RUN" })).gives(5),
        call(list(&json!({ "top": 1 }))).gives(json!({ "instances": [failed()] })),
        call(json!({ "do": "start", "name": "my_version", "id": "RUN-x", "input": null })).fails("NotGranted"),
        call(json!({ "do": "raise", "id": "RUN-failed", "event": "First", "data": 1 })).fails("NotGranted"),
        call(json!({ "do": "terminate", "id": "RUN-failed", "reason": "why not" })).fails("NotGranted"),
        call(json!({ "do": "rewind", "id": "RUN-failed", "reason": "again" })).fails("NotGranted"),
        call(json!({ "do": "restart", "id": "RUN-failed" })).fails("NotGranted"),
        call(json!({ "do": "purge", "id": "RUN-failed" })).fails("NotGranted"),
        call(signal("RUN", 1, None)).fails("NotGranted"),
    ]
}

fn nothing_granted() -> Vec<Step> {
    vec![
        call(status("RUN-failed")).fails("NotGranted"),
        call(list(&json!({ "top": 1 }))).fails("NotGranted"),
        call(wait("RUN-failed")).fails("NotGranted"),
        call(json!({ "do": "read", "key": "RUN" })).fails("NotGranted"),
        call(entities(json!({ "fetchState": true }))).fails("NotGranted"),
        call(json!({ "do": "start", "name": "my_version", "id": "RUN-x", "input": null })).fails("NotGranted"),
    ]
}

struct Call(Value);

fn call(call: Value) -> Call {
    Call(call)
}

impl Call {
    fn gives(self, value: impl Into<Value>) -> Step {
        Step { call: self.0, answer: Answer::Is(json!({ "ok": value.into() })) }
    }

    fn gives_an_id(self) -> Step {
        Step { call: self.0, answer: Answer::SomeId }
    }

    fn fails(self, error_type: &str) -> Step {
        Step { call: self.0, answer: Answer::Is(json!({ "failure": error_type })) }
    }
}

fn wait(id: &str) -> Value {
    json!({ "do": "wait", "id": id, "timeout": 60_000 })
}

fn status(id: &str) -> Value {
    json!({ "do": "status", "id": id, "showInput": true })
}

fn signal(key: &str, amount: u32, at: Option<u64>) -> Value {
    let mut call = json!({ "do": "signal", "key": key, "operation": "add", "input": amount });
    if let Some(at) = at {
        call["at"] = json!(at);
    }
    call
}

fn list(more: &Value) -> Value {
    let mut filter = json!({ "instanceIdPrefix": "RUN-" });
    filter.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    json!({ "do": "list", "filter": filter })
}

fn entities(more: Value) -> Value {
    let mut filter = more;
    filter["entityName"] = json!("account");
    json!({ "do": "entities", "filter": filter })
}

/// The page with the entity of this run.
fn entity(more: Value) -> Value {
    let mut entity = more;
    entity["entityId"] = json!({ "name": "account", "key": RUN });
    json!({ "entities": [entity] })
}

fn ended(name: &str, id: &str, runtime_status: &str, input: Option<Value>, output: Value) -> Value {
    without_nulls(json!({ "name": name, "instanceId": id, "runtimeStatus": runtime_status, "input": input, "output": output }))
}

fn waiting(id: &str, runtime_status: &str, input: Option<Value>) -> Value {
    without_nulls(json!({ "name": "mailbox", "instanceId": id, "runtimeStatus": runtime_status, "input": input }))
}

fn failed() -> Value {
    ended("child", "RUN-failed", "Failed", Some(json!(-1)), json!("Orchestrator function 'child' failed: -1 is negative"))
}

fn links(id: &str) -> Value {
    let link = |rest: &str| format!("/runtime/webhooks/durabletask/instances/{id}{rest}");
    json!({
        "id": id,
        "statusQueryGetUri": link(""),
        "sendEventPostUri": link("/raiseEvent/{eventName}"),
        "terminatePostUri": link("/terminate"),
        "rewindPostUri": link("/rewind"),
        "purgeHistoryDeleteUri": link(""),
        "restartPostUri": link("/restart"),
        "suspendPostUri": link("/suspend"),
        "resumePostUri": link("/resume"),
    })
}

struct Caller<'a> {
    host: &'a Host,
    subject: &'a Subject,
    place: Place,
    run: &'static str,
}

impl Caller<'_> {
    /// Runs a script, compares the answers, and returns the token of the last list.
    fn play(&self, steps: &[Step], token: Option<&str>) -> Option<String> {
        let script: Value = steps.iter().map(|step| step.call.clone()).collect();
        let script = script.to_string().replace(RUN, self.run).replace(TOKEN, token.unwrap_or(TOKEN));
        let answers = self.call(&script);
        let told = || format!("{}, {}:\n{script}\n{answers:#}\n{}", self.subject.name, self.run, self.host.log());
        let answers = answers.as_array().unwrap_or_else(|| panic!("{}", told()));
        assert_eq!(answers.len(), steps.len(), "{}", told());
        for (Step { call, answer: expected }, answer) in steps.iter().zip(answers) {
            let seen = self.comparable(answer);
            match expected {
                Answer::Is(expected) => assert_eq!(seen, *expected, "{call}: {}", told()),
                Answer::SomeId => assert!(seen["ok"].as_str().is_some_and(|id| !id.is_empty()), "{call}: {seen}: {}", told()),
            }
        }
        answers.iter().rev().find_map(|answer| answer["ok"]["continuationToken"].as_str()).map(str::to_owned)
    }

    fn call(&self, script: &str) -> Value {
        match self.place {
            Place::Trigger => {
                let answer = self.host.request("POST", "/api/client", Some(script.as_bytes())).unwrap();
                assert_eq!(answer.status, 200, "{}: {answer:?}\n{}", self.subject.name, self.host.log());
                answer.json()
            }
            Place::Activity => self.host.output("operate", serde_json::from_str(script).unwrap()),
        }
    }

    fn wait_for_signal(&self) {
        let read = json!([{ "do": "read", "key": self.run }]).to_string();
        let deadline = Instant::now() + Duration::from_secs(60);
        while self.call(&read)[0]["ok"] != 5 {
            assert!(Instant::now() < deadline, "{}: the signal has no effect\n{}", self.subject.name, self.host.log());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn grant(&self, client: &str) {
        let body = json!({ "grants": { "client": client } }).to_string();
        let granted = self.host.request("PATCH", "/admin/hubs/TestHubName", Some(body.as_bytes())).unwrap();
        assert_eq!(granted.status, 200, "{granted:?}");
    }

    /// An answer without what differs in every run, and without what only some languages show.
    fn comparable(&self, answer: &Value) -> Value {
        let text = answer.to_string().replace(self.run, RUN);
        let mut answer: Value = serde_json::from_str(&text).expect("the replacement needs no escape");
        let value = &mut answer["ok"];
        if let Some(entities) = value.get_mut("entities").and_then(Value::as_array_mut) {
            entities.retain(|entity| entity["entityId"]["key"] == RUN);
        }
        let cleaned = cleaned(value.take());
        match &answer["failure"] {
            Value::Null => json!({ "ok": cleaned }),
            failure => json!({ "failure": failure }),
        }
    }
}

fn cleaned(value: Value) -> Value {
    const DIFFERENT: [&str; 7] =
        ["createdTime", "lastUpdatedTime", "lastOperationTime", "version", "versionLabel", "halted", "history"];
    let member = |(name, value): (String, Value)| match (name.as_str(), value) {
        (name, _) if DIFFERENT.contains(&name) => None,
        ("continuationToken", Value::String(_)) => Some((name, json!(TOKEN))),
        ("historyEvents", Value::Array(events)) => {
            let types = events.iter().map(|event| &event["EventType"]).filter(|event| *event != "OrchestratorStarted");
            Some((name, types.cloned().collect()))
        }
        (link, Value::String(url)) if link.ends_with("Uri") => Some((name, json!(path_of(&url)))),
        ("instances" | "entities", Value::Array(items)) => Some((name, items.into_iter().map(cleaned).collect())),
        (_, value) => Some((name, value)),
    };
    match value {
        Value::Object(members) => without_nulls(members.into_iter().filter_map(member).collect::<Map<_, _>>().into()),
        other => other,
    }
}

fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(members) => members.into_iter().filter(|(_, value)| !value.is_null()).collect::<Map<_, _>>().into(),
        other => other,
    }
}

/// The path of a link, whose query has a token.
fn path_of(url: &str) -> &str {
    let path = url.find("/runtime").map_or(url, |at| &url[at..]);
    path.split('?').next().unwrap_or(path)
}
