//! The commands of Azure Functions Core Tools, as the documents of Durable Functions print them, typed in the folder of an app.

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use dacapo_tests::host::{Host, binary, is_finished};
use serde_json::{Value, json};
use tempfile::TempDir;

const ID: &str = "0ab8c55a66644d68a3a8b220b12d209c";

/// A terminal in the folder of a function app, and the host that it speaks to.
struct Terminal {
    host: Host,
    /// The folder of the app, with links to the program under both of its names beside it.
    directory: TempDir,
    variables: Vec<(&'static str, String)>,
    _data: TempDir,
}

impl Terminal {
    /// The host has the hub of the documents, with an app in it, and `host.json` names it.
    fn new() -> Self {
        let (host, data) = Host::temporary(&[]).unwrap();
        let hub = host.request("POST", "/admin/hubs", Some(br#"{"name":"TestTaskHub"}"#)).unwrap();
        assert!(hub.status < 300, "{hub:?}");
        let module = dacapo_tests::guest("fixture-probe").unwrap();
        let deployed = host.request("POST", "/admin/apps/app?taskHub=TestTaskHub", Some(&module)).unwrap();
        assert_eq!(deployed.status, 200, "{deployed:?}");
        let server = host.url().to_owned();
        let terminal = Self::of(host, data, vec![("DACAPO_SERVER", server)]);
        terminal.write("host.json", r#"{"version": "2.0", "extensions": {"durableTask": {"hubName": "TestTaskHub"}}}"#);
        terminal.write("counter-data.json", r#"{"count": 3}"#);
        terminal.write("eventdata.json", "[1, 2, 3]");
        terminal
    }

    fn of(host: Host, data: TempDir, variables: Vec<(&'static str, String)>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("app")).unwrap();
        for name in ["func", "dacapo"] {
            std::os::unix::fs::symlink(binary().unwrap(), directory.path().join(name)).unwrap();
        }
        Self { host, directory, variables, _data: data }
    }

    fn folder(&self) -> PathBuf {
        self.directory.path().join("app")
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.folder().join(name), text).unwrap();
    }

    fn run(&self, line: &str) -> Output {
        let words = words(line);
        let mut command = Command::new(self.directory.path().join(&words[0]));
        command.args(&words[1..]).current_dir(self.folder()).stdin(Stdio::null()).envs(self.variables.iter().cloned());
        command.output().unwrap()
    }

    #[track_caller]
    fn ok(&self, line: &str) -> String {
        let output = self.run(line);
        assert!(output.status.success(), "{line}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// The JSON that a line prints.
    #[track_caller]
    fn json(&self, line: &str) -> Value {
        let text = self.ok(line);
        serde_json::from_str(&text).unwrap_or_else(|why| panic!("{line}: {why}: {text}"))
    }

    /// The instances that a line lists, and the last line of it.
    #[track_caller]
    fn list(&self, line: &str) -> (Vec<Value>, String) {
        let text = self.ok(line);
        let (list, last) = text.trim_end().rsplit_once('\n').unwrap_or_else(|| panic!("{line}: {text}"));
        (serde_json::from_str(list).unwrap_or_else(|why| panic!("{line}: {why}: {text}")), last.to_owned())
    }

    #[track_caller]
    fn fails(&self, code: i32, line: &str) -> String {
        let output = self.run(line);
        assert_eq!(output.status.code(), Some(code), "{line}: {output:?}");
        String::from_utf8(output.stderr).unwrap()
    }

    /// The state of an instance in the hub of the documents, once it meets a condition.
    fn state(&self, id: &str, condition: impl Fn(&Value) -> bool) -> Value {
        self.host.wait_until(&format!("{id}?taskHub=TestTaskHub"), "as expected", condition).unwrap()
    }
}

/// The words of a line, some of them in double quotes.
fn words(line: &str) -> Vec<String> {
    let parts = line.split('"').enumerate();
    let words = parts.flat_map(|(number, part)| match number % 2 {
        0 => part.split_whitespace().map(str::to_owned).collect::<Vec<_>>(),
        _ => vec![part.to_owned()],
    });
    words.collect()
}

/// The command lines of the documents, in an order in which each has something to do, with what each prints.
const PRINTED: &[(&str, &[&str])] = &[
    (
        "func durable start-new --function-name HelloWorld --input @counter-data.json --task-hub-name TestTaskHub",
        &["Started 'HelloWorld' at 2", "Z. Instance ID: '"],
    ),
    (
        "func durable start-new --id 0ab8c55a66644d68a3a8b220b12d209c --function-name HelloWorld --input @counter-data.json",
        &["Instance ID: '0ab8c55a66644d68a3a8b220b12d209c'."],
    ),
    ("func durable start-new --function-name HelloWorld --id 1234567", &["Instance ID: '1234567'."]),
    (
        "func durable start-new --function-name HelloWorld --id phone --input \"+8109012345678\" --task-hub-name TestTaskHub",
        &["Instance ID: 'phone'."],
    ),
    (
        "func durable get-runtime-status --id 0ab8c55a66644d68a3a8b220b12d209c --show-input true --show-output true",
        &["\"Name\": \"HelloWorld\"", "\"OrchestrationStatus\": 0", r#""Input": "{\"count\": 3}""#, "\"Output\": null"],
    ),
    ("func durable get-runtime-status --id 0ab8c55a66644d68a3a8b220b12d209c", &["\"Input\": null"]),
    (
        "func durable get-history --id 0ab8c55a66644d68a3a8b220b12d209c",
        &[
            "\"EventType\": \"OrchestratorStarted\"",
            "\"EventType\": \"ExecutionStarted\"",
            "\"EventType\": \"OrchestratorCompleted\"",
        ],
    ),
    ("func durable get-instances", &["\"InstanceId\": \"phone\"", "Continuation token for next set of results: ''"]),
    (
        "func durable get-instances --created-after 2018-03-10T13:57:31Z --created-before  2018-03-10T23:59Z --top 15",
        &["[]\nContinuation token for next set of results: ''\n"],
    ),
    (
        "func durable raise-event --id 0ab8c55a66644d68a3a8b220b12d209c --event-name MyEvent --event-data @eventdata.json",
        &["Raised event 'MyEvent' to instance '0ab8c55a66644d68a3a8b220b12d209c'.\n"],
    ),
    (
        "func durable raise-event --id 1234567 --event-name MyOtherEvent --event-data 3",
        &["Raised event 'MyOtherEvent' to instance '1234567'.\n"],
    ),
    ("func durable raise-event --id phone --event-name MyEvent", &["Raised event 'MyEvent' to instance 'phone'.\n"]),
    ("func durable raise-event --id phone --event-name MyOtherEvent --event-data baddata", &["Raised event 'MyOtherEvent'"]),
    ("func durable raise-event --id 1234567", &["Raised event 'Event_", "' to instance '1234567'."]),
    (
        "func durable terminate --id 0ab8c55a66644d68a3a8b220b12d209c --reason \"It was time to be done.\"",
        &["Successfully terminated '0ab8c55a66644d68a3a8b220b12d209c'\n"],
    ),
    (
        "func durable get-runtime-status --id 0ab8c55a66644d68a3a8b220b12d209c --show-output",
        &["\"OrchestrationStatus\": 5", "\"Output\": \"It was time to be done.\""],
    ),
    (
        "func durable rewind --id phone --reason \"Orchestrator failed and needs to be revived.\"",
        // With the same code and the same event it fails again.
        &[
            "Rewind message sent to instance 'phone'. Retrieving new status now...\nStatus before rewind: Failed\nStatus after rewind: Failed\n",
        ],
    ),
    (
        "func durable purge-history --created-before 2018-11-14T19:35:00.0000000Z --runtime-status failed",
        &[
            "Purged orchestration history for all instances created between '0001-01-01T00:00:00Z' and '2018-11-14T19:35:00Z' and whose \
           runtime status matched one of the following: [Failed]\nInstances deleted: 0\n",
        ],
    ),
    (
        "func durable purge-history --created-after 11/14/2018 --runtime-status \"completed failed\"",
        &["whose runtime status matched one of the following: [Completed,Failed]\nInstances deleted: 1\n"],
    ),
    (
        "func durable purge-history",
        &["created between '0001-01-01T00:00:00Z' and '9999-12-30T23:59:59Z'\nInstances deleted: 1\n"],
    ),
    ("func durable delete-task-hub --task-hub-name UserTest", &["Task hub 'UserTest' successfully deleted.\n"]),
    ("func durable delete-task-hub", &["Task hub 'TestTaskHub' successfully deleted.\n"]),
];

#[test]
fn every_line_of_the_documents_works_as_printed() {
    for program in ["func", "dacapo"] {
        let terminal = Terminal::new();
        let hub = terminal.host.request("POST", "/admin/hubs", Some(br#"{"name":"UserTest"}"#)).unwrap();
        assert!(hub.status < 300, "{hub:?}");
        for (line, expected) in PRINTED {
            if line.contains(" rewind ") {
                terminal.state("phone", is_finished);
            }
            let said = terminal.ok(&line.replacen("func", program, 1));
            assert!(expected.iter().all(|part| said.contains(part)), "{line}: {said}");
        }
    }
}

#[test]
fn inputs_and_events_arrive_as_they_are_meant() {
    let terminal = Terminal::new();
    for (id, given, expected) in [
        ("number", "5", json!(5)),
        ("negative", "-5", json!(-5)),
        ("text", "Tokyo", json!("Tokyo")),
        ("words", "\"New York\"", json!("New York")),
        ("phone", "+8109012345678", json!("+8109012345678")),
        ("truth", "true", json!(true)),
        ("list", "[1,2]", json!([1, 2])),
        ("file", "@counter-data.json", json!({ "count": 3 })),
    ] {
        terminal.ok(&format!("func durable start-new --function-name HelloWorld --id {id} --input {given}"));
        terminal.ok(&format!("func durable raise-event --id {id} --event-name MyEvent --event-data {given}"));
        terminal.ok(&format!("func durable raise-event --id {id} --event-name myotherevent --event-data 3"));
        assert_eq!(terminal.state(id, is_finished)["output"], json!([expected, expected, 3]), "{given}");
    }
    terminal.write("broken.json", "{\n  \"a\": x\n}");
    for line in [
        "func durable start-new --function-name HelloWorld --input @broken.json",
        "func durable raise-event --id text --event-name MyEvent --event-data @broken.json",
    ] {
        let refusal = terminal.fails(2, line);
        assert!(refusal.contains("broken.json is not JSON") && refusal.contains("line 2 column 8"), "{refusal}");
    }
    let refusal = terminal.fails(2, "func durable start-new --function-name HelloWorld --input {count:3}");
    assert!(refusal.contains("--input is not JSON") && refusal.contains("line 1 column 2"), "{refusal}");
    let refusal = terminal.fails(1, "func durable start-new --function-name HelloWorld --input @missing.json");
    assert!(refusal.contains("missing.json"), "{refusal}");
}

#[test]
fn listings_are_filtered_and_continued() {
    let terminal = Terminal::new();
    for id in ["a", "b", "c"] {
        terminal.ok(&format!("func durable start-new --function-name HelloWorld --id {id}"));
    }
    terminal.ok("func durable terminate --id c");
    let ids = |line: &str| {
        let (list, last) = terminal.list(&format!("func durable get-instances {line}"));
        let ids: Vec<_> =
            list.iter().map(|state| state["OrchestrationInstance"]["InstanceId"].as_str().unwrap().to_owned()).collect();
        (ids, last)
    };
    let all = || vec!["a".to_owned(), "b".to_owned(), "c".to_owned()];
    for line in [
        "",
        "--created-after 2018-03-10T13:57:31Z",
        "--created-after 2018-03-10T23:59Z --top 15",
        "--created-after 2018-11-14T19:35:00.0000000Z",
        "--created-after 2018-11-14T19:35:00.0000000+09:00",
        "--created-after 2018-03-10",
        "--created-after 11/10/2018",
        "--created-after 1h",
        "--created-before 9999-12-30",
        "--runtime-status \"running pending terminated\"",
        "--runtime-status running pending terminated",
        "--runtime-status running,pending,terminated",
        "--runtime-status RUNNING --runtime-status Pending --runtime-status terminated",
    ] {
        assert_eq!(ids(line).0, all(), "{line}");
    }
    for line in ["--created-before 2018-03-10T23:59Z", "--runtime-status failed", "--created-before 1h"] {
        assert_eq!(ids(line).0, Vec::<String>::new(), "{line}");
    }
    assert_eq!(ids("--runtime-status terminated").0, ["c"]);

    let (first, last) = ids("--top 2");
    assert_eq!(first, ["a", "b"]);
    let token = last.strip_prefix("Continuation token for next set of results: '").and_then(|rest| rest.strip_suffix('\''));
    let (second, last) = ids(&format!("--top 2 --continuation-token {}", token.unwrap()));
    assert_eq!((second, last.as_str()), (vec!["c".to_owned()], "Continuation token for next set of results: ''"));
    let json = terminal.json("func durable get-instances --runtime-status terminated --json");
    assert_eq!(json[0]["instanceId"], "c", "the host's own JSON");
}

#[test]
fn a_history_has_the_events_that_are_stored() {
    let terminal = Terminal::new();
    terminal.ok(&format!("func durable start-new --function-name chain --id {ID} --input 1"));
    terminal.state(ID, is_finished);
    let events = terminal.json(&format!("func durable get-history --id {ID}"));
    let events = events.as_array().unwrap();
    let kinds: Vec<_> = events.iter().map(|event| event["EventType"].as_str().unwrap()).collect();
    let expected = [
        "OrchestratorStarted",
        "ExecutionStarted",
        "TaskScheduled",
        "OrchestratorCompleted",
        "OrchestratorStarted",
        "TaskCompleted",
        "ExecutionCompleted",
        "OrchestratorCompleted",
    ];
    assert_eq!(kinds, expected, "{events:?}");
    assert_eq!((&events[1]["Name"], &events[1]["Input"], &events[1]["EventId"]), (&json!("chain"), &json!("1"), &json!(-1)));
    assert_eq!(events[1]["OrchestrationInstance"]["InstanceId"], ID);
    assert_eq!((&events[2]["EventId"], &events[5]["TaskScheduledId"]), (&json!(0), &json!(0)));
    assert_eq!((&events[6]["OrchestrationStatus"], &events[6]["Result"]), (&json!(1), &json!("1")));
    let projected = terminal.json(&format!("func durable get-history --id {ID} --json"));
    assert_eq!(projected[1]["FunctionName"], "add_one", "{projected}");
}

#[test]
fn what_is_not_there_is_said_with_the_exit_codes_of_dacapo() {
    let terminal = Terminal::new();
    for verb in ["get-runtime-status", "get-history", "terminate", "raise-event", "rewind", "suspend", "resume", "restart"] {
        let refusal = terminal.fails(3, &format!("func durable {verb} --id nobody"));
        assert!(refusal.contains("nobody") && refusal.contains("'TestTaskHub' is that of host.json"), "{refusal}");
    }
    for (line, expected) in [
        ("func durable get-runtime-status --id nobody", "Could not find an orchestration instance with id 'nobody'"),
        ("func durable terminate --id nobody", "Failed to find instance 'nobody'. No instance was terminated."),
    ] {
        assert!(terminal.fails(3, line).contains(expected), "{line}");
    }
    terminal.ok("func durable start-new --function-name HelloWorld --id alive");
    assert!(terminal.fails(4, "func durable start-new --function-name HelloWorld --id alive").contains("alive"));
    assert!(terminal.fails(4, "func durable rewind --id alive").contains("alive"));
    assert!(terminal.fails(1, "func durable start-new --function-name nobody").contains("nobody"));
    terminal.ok("func durable terminate --id alive");
    assert!(terminal.fails(4, "func durable terminate --id alive").contains("has ended"));
    assert!(terminal.fails(4, "func durable raise-event --id alive --event-data 1").contains("has ended"));
    let missing = terminal.fails(3, "func durable get-instances --task-hub-name Nowhere");
    assert!(missing.contains("'Nowhere'") && !missing.contains("host.json"), "{missing}");
    assert!(terminal.fails(3, "func durable delete-task-hub --task-hub-name Nowhere").contains("'Nowhere'"));
    assert!(terminal.fails(5, "func durable get-instances --server http://127.0.0.1:1").contains("cannot be reached"));
}

#[test]
fn instances_are_suspended_resumed_and_restarted_in_the_same_way() {
    let terminal = Terminal::new();
    terminal.ok("func durable start-new --function-name HelloWorld --id one --input 5");
    terminal.ok("func durable suspend --id one --reason lunch");
    assert_eq!(terminal.json("func durable get-runtime-status --id one")["OrchestrationStatus"], 7);
    terminal.ok("func durable resume --id one");
    terminal.ok("func durable terminate --id one");
    assert!(terminal.ok("func durable restart --id one --same-id").contains("'one'"));
    assert_eq!(terminal.state("one", |_| true)["input"], 5);
}

#[test]
fn the_task_hub_is_that_of_host_json_unless_something_else_says_it() {
    let mut terminal = Terminal::new();
    let started = |line: &str| format!("func durable start-new --function-name HelloWorld {line}");
    let named = r#"{
  // The hub is another one in each environment.
  "version": "2.0", "extensions": { "durableTask": { "hubName": "%TaskHub%" } },
}"#;
    terminal.write("host.json", named);
    let refusal = terminal.fails(2, &started("--id one"));
    assert!(refusal.contains("host.json") && refusal.contains("TaskHub") && refusal.contains("local.settings.json"), "{refusal}");
    terminal.write("local.settings.json", r#"{ "IsEncrypted": false, "Values": { "TaskHub": "TestTaskHub" } }"#);
    terminal.ok(&started("--id one"));
    terminal.variables.push(("TaskHub", "Elsewhere".into()));
    // The host has none of that name, and its default one has no app.
    let missing = terminal.fails(1, &started("--id two"));
    assert!(missing.contains("'Elsewhere'") && missing.contains("host.json"), "{missing}");
    terminal.ok(&started("--id two --task-hub-name TestTaskHub"));
    terminal.variables.push(("DACAPO_TASK_HUB", "TestTaskHub".into()));
    terminal.ok(&started("--id three"));
    assert_eq!(terminal.list("func durable get-instances").0.len(), 3);

    terminal.variables.pop();
    terminal.write("host.json", "{\n  \"version\": \"2.0\"\n  \"extensions\": {}\n}");
    let refusal = terminal.fails(2, "func durable get-instances");
    assert!(refusal.contains("host.json") && refusal.contains("line 3 column 3"), "{refusal}");
    assert!(terminal.ok("dacapo get-instances").contains("No instances"), "only `durable` reads it");
    std::fs::remove_file(terminal.folder().join("host.json")).unwrap();
    assert_eq!(terminal.list("func durable get-instances").0.len(), 0, "the host's default hub");
    assert!(terminal.fails(2, "func durable delete-task-hub").contains("--task-hub-name"));
}

/// A key of the host, made by the administrator, in a file of the app's folder.
fn key(terminal: &Terminal, administrator: &str, role: &str) {
    let body = json!({ "name": role, "role": role }).to_string();
    let path = "/admin/hubs/TestHubName/keys";
    let made = terminal.host.request_as(administrator, "POST", path, Some(body.as_bytes())).unwrap();
    assert!(made.status < 300, "{made:?}");
    terminal.write(&format!("{role}.key"), &format!("{}\n", made.json()["key"].as_str().unwrap()));
}

#[test]
fn a_connection_of_the_configuration_names_a_host_with_its_key() {
    let (host, data) = Host::temporary_locked(&[]).unwrap();
    let administrator = host.administrator_key().unwrap().to_owned();
    let module = dacapo_tests::guest("fixture-probe").unwrap();
    assert_eq!(host.request_as(&administrator, "POST", "/admin/apps/app", Some(&module)).unwrap().status, 200);
    // What the environment says is overridden by a named connection.
    let variables = vec![("DACAPO_SERVER", "http://127.0.0.1:1".to_owned()), ("DACAPO_KEY", "dcp_wrong".to_owned())];
    let terminal = Terminal::of(host, data, variables);
    for role in ["read", "operate"] {
        key(&terminal, &administrator, role);
    }
    terminal.write("administer.key", &administrator);
    let connections = ["read", "operate", "administer"].map(|role| {
        let server = terminal.host.url();
        format!("[connections.{role}]\nserver = \"{server}\"\nkey_file = \"{role}.key\"\n")
    });
    terminal.write("dacapo.toml", &connections.concat());
    terminal.ok("func durable start-new --function-name chain --id one --input 1 --connection-string-setting Operate");
    let status = "func durable get-runtime-status --id one --connection-string-setting read";
    assert_eq!(terminal.json(status)["Name"], "chain");
    assert!(terminal.fails(1, "func durable terminate --id one --connection-string-setting read").contains("read"));

    // A status query's events, for a key that may not read what is stored.
    let history = |role: &str| terminal.json(&format!("func durable get-history --id one --connection-string-setting {role}"));
    assert_eq!(history("read")[0]["EventType"], "ExecutionStarted");
    assert_eq!(history("administer")[0]["EventType"], "OrchestratorStarted");

    let refusal = terminal.fails(2, "func durable get-instances --connection-string-setting Storage");
    for part in ["'Storage'", "administer, operate, read", "dacapo.toml", "[connections.Storage]", "server = "] {
        assert!(refusal.contains(part), "{refusal}");
    }
    let both = format!("func durable get-instances --connection-string-setting read --server {}", terminal.host.url());
    assert!(terminal.fails(2, &both).contains("--server"));
    let usual = terminal.fails(5, "func durable get-instances --connection-string-setting AzureWebJobsStorage");
    assert!(usual.contains("127.0.0.1:1"), "that of --server: {usual}");
    std::fs::remove_file(terminal.folder().join("read.key")).unwrap();
    assert!(terminal.fails(1, status).contains("read.key"));
}

#[test]
fn every_verb_says_how_it_is_used() {
    let terminal = Terminal::new();
    let help = terminal.ok("func durable --help");
    for verb in [
        "start-new",
        "get-runtime-status",
        "get-history",
        "get-instances",
        "terminate",
        "raise-event",
        "rewind",
        "purge-history",
        "delete-task-hub",
        "suspend",
        "resume",
        "restart",
    ] {
        assert!(help.contains(&format!("\n  {verb} ")), "{help}");
        for program in ["func", "dacapo"] {
            let help = terminal.ok(&format!("{program} durable {verb} --help"));
            assert!(help.contains(&format!("Usage: {program} durable {verb}")), "{help}");
            assert!(help.contains("\nExamples:\n") && help.contains("--connection-string-setting"), "{help}");
        }
    }
    let refusal = terminal.fails(2, "func start");
    assert!(refusal.contains("`func durable VERB`") && refusal.contains("`dacapo --help`"), "{refusal}");
    assert!(terminal.fails(2, "func").contains("func durable"));
    assert!(terminal.ok("func --version").starts_with("func "));
}
