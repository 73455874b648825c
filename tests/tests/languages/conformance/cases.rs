//! The orchestrations of the suite, the events that they get, and the expected results.

use dacapo_tests::host::Host;
use serde_json::{Value, json};

use super::comparable::comparable;

/// One instance.
pub struct Case {
    pub name: &'static str,
    pub function: &'static str,
    input: Value,
    /// Events that it waits for, raised one after the other after the start.
    events: Vec<(&'static str, Value)>,
    expected: Expected,
    /// Lines that it logs, once each.
    lines: &'static [&'static str],
}

enum Expected {
    Output(Value),
    /// A condition on an output that differs in each run.
    OutputThat(fn(&Value) -> bool),
    /// It fails with a message that contains this.
    Failure(&'static str),
}

/// Placeholders for values that are known only at the start: the instance's id, and the address of a server.
const ID: &str = "ID";
const SERVER: &str = "SERVER";

const DAY_MS: u64 = 86_400_000;

pub fn cases() -> Vec<Case> {
    vec![
        case("hello_sequence", Value::Null).gives(json!(["Hello Tokyo!", "Hello Seattle!", "Hello London!"])),
        case("fan_out", json!(10)).gives(json!(385)),
        case("approval", json!(DAY_MS)).named("approved").event("Approval", json!(true)).gives(json!("approved")),
        case("approval", json!(DAY_MS)).named("rejected").event("Approval", json!(false)).gives(json!("rejected")),
        case("approval", json!(20)).named("expired").gives(json!("expired")),
        case("stubborn", json!(3)).gives(json!(3)),
        case("stubborn", json!(5)).named("gave_up").gives(json!("gave up: Activity function 'flaky' failed: attempt 3 of 5")),
        case("family", json!(21))
            .gives(json!({ "doubled": 42, "failure": "Orchestrator function 'child' failed: -1 is negative" })),
        case("stubborn_family", Value::Null).gives(json!("Orchestrator function 'child' failed: -1 is negative")),
        case("countdown", json!(3)).gives(json!("liftoff")),
        case("mailbox", Value::Null)
            .event("Second", json!("b"))
            .event("first", json!({ "a": [1, 2.5, null] }))
            .event("First", json!("ü\n"))
            .gives(json!([{ "a": [1, 2.5, null] }, "b", "ü\n"])),
        case("doorbell", Value::Null).gives(json!(["activity", "early", "activity", "late"])),
        case("letters", Value::Null).gives(json!("ID:mailbox")),
        case("bank", json!(ID)).gives(json!([8, 8, "as told", 9, 2])),
        case("naps", Value::Null).gives(json!("rested")),
        case("fetch_status", json!("http://SERVER/conformance-on")).gives(json!(200)),
        case("identity", Value::Null).gives_what(is_an_identity),
        case("explode", Value::Null).fails("failed: as told"),
        case("misspelled", Value::Null)
            .gives_what(|output| output.as_str().is_some_and(|text| text.contains("no_such_activity"))),
        case("race", Value::Null).gives(json!("activity")),
        case("notes", Value::Null).logs(&["noted", "noted again"]).gives(Value::Null),
        case("versions", Value::Null).gives(json!(["2.0", ""])),
        case("dispatch", Value::Null).gives(json!(["ID:dispatched", "InstanceAlreadyExists"])),
        case("fetch_in_activity", json!("http://SERVER/conformance-on")).gives(json!(200)),
    ]
}

/// Two distinct version 5 GUIDs, and a time that advances.
fn is_an_identity(output: &Value) -> bool {
    let guid = |index: usize| uuid::Uuid::parse_str(output[index].as_str().unwrap_or_default());
    let (Ok(first), Ok(second)) = (guid(0), guid(2)) else { return false };
    let (Some(began), Some(ended)) = (output[1].as_f64(), output[3].as_f64()) else { return false };
    first != second && first.get_version_num() == 5 && second.get_version_num() == 5 && ended >= began + 10.0
}

fn case(function: &'static str, input: Value) -> Case {
    Case { name: function, function, input, events: Vec::new(), expected: Expected::Output(Value::Null), lines: &[] }
}

impl Case {
    fn named(mut self, name: &'static str) -> Self {
        self.name = name;
        self
    }

    fn event(mut self, name: &'static str, data: Value) -> Self {
        self.events.push((name, data));
        self
    }

    fn gives(mut self, output: Value) -> Self {
        self.expected = Expected::Output(output);
        self
    }

    fn gives_what(mut self, holds: fn(&Value) -> bool) -> Self {
        self.expected = Expected::OutputThat(holds);
        self
    }

    fn logs(mut self, lines: &'static [&'static str]) -> Self {
        self.lines = lines;
        self
    }

    fn fails(mut self, failure: &'static str) -> Self {
        self.expected = Expected::Failure(failure);
        self
    }

    pub fn begin(&self, host: &Host, id: String, server: &str) -> Sight<'_> {
        let sight = Sight { case: self, id, server: server.to_owned() };
        let path = format!("orchestrators/{}/{}", self.function, sight.id);
        let answer = host.manage("POST", &path, Some(&sight.filled(&self.input))).unwrap();
        assert_eq!(answer.status, 202, "{}: {answer:?}", self.name);
        sight
    }
}

/// A case in progress.
pub struct Sight<'a> {
    pub case: &'a Case,
    id: String,
    server: String,
}

impl Sight<'_> {
    pub fn interfere(&self, host: &Host) {
        for (name, data) in &self.case.events {
            host.raise_event(&self.id, name, data.clone()).unwrap();
        }
    }

    /// Waits for the end, checks the result, and returns what is compared between languages: status and history.
    pub fn end(&self, host: &Host) -> (Value, Vec<Value>) {
        let Case { name, expected, .. } = self.case;
        let status = host.wait(&self.id).unwrap();
        let told = || format!("{name}: {status}\n{}", host.log());
        let output = &status["output"];
        match expected {
            Expected::Output(expected) => assert_eq!(*output, self.filled(expected), "{}", told()),
            Expected::OutputThat(holds) => assert!(holds(output), "{}", told()),
            Expected::Failure(_) => {}
        }
        let (runtime_status, failure) = match expected {
            Expected::Failure(failure) => ("Failed", *failure),
            _ => ("Completed", ""),
        };
        assert_eq!(status["runtimeStatus"], runtime_status, "{}", told());
        assert!(output.to_string().contains(failure), "{}", told());
        let history = host.history(&self.id).unwrap();
        (status["customStatus"].clone(), comparable(self.case.function, history, &self.own_words()))
    }

    /// Each line was written once, however often it was replayed. A host that is killed may not have written it.
    pub fn expect_lines(&self, host: &Host, was_killed: bool) {
        let least = if was_killed { 0 } else { 1 };
        for line in self.case.lines {
            let line = format!("{line} hub=\"TestHubName\" instance=\"{}\"", self.id);
            let written = host.logged(&line, least);
            assert!((least..=1).contains(&written), "{line}: {written} times\n{}", host.log());
        }
    }

    fn filled(&self, template: &Value) -> Value {
        let own = self.own_words();
        let text = own.iter().fold(template.to_string(), |text, (own, name)| text.replace(name, own));
        serde_json::from_str(&text).expect("ids and addresses need no escape")
    }

    fn own_words(&self) -> [(&str, &'static str); 2] {
        [(&self.id, ID), (&self.server, SERVER)]
    }
}
