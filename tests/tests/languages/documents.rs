//! The patterns and the management operations of the documents of Durable Functions, as a whole function app in each programming
//! model: deployed once, and reached only through its own triggers, and by running those that have no address by hand.

use std::time::{Duration, Instant};

use dacapo_tests::host::{Answer, Host, is_finished, request};
use dacapo_tests::languages::{Language, build};
use serde_json::{Value, json};

/// What a scenario shows, and what is done.
type Scenario = (&'static str, fn(&App));

/// What each app does. A scenario leaves instances behind, but none that another one would take for its own.
const SCENARIOS: [Scenario; 20] = [
    ("function chaining", function_chaining),
    ("fan-out and fan-in", fan_out_and_fan_in),
    ("async HTTP API", async_http_api),
    ("monitor", monitor),
    ("human interaction", human_interaction),
    ("aggregator", aggregator),
    ("start with an id", start_with_an_id),
    ("start from a queue", start_from_a_queue),
    ("wait for completion, or check the status", wait_for_completion_or_check_status),
    ("status", status),
    ("status of all", status_of_all),
    ("status by filter", status_by_filter),
    ("links from an activity", links_from_an_activity),
    ("suspend and resume", suspend_and_resume),
    ("terminate", terminate),
    ("rewind", rewind),
    ("restart", restart),
    ("signal and read an entity", signal_and_read_an_entity),
    ("purge one", purge_one),
    ("purge by filter, daily", purge_by_filter),
];

#[test]
fn javascript_v3() {
    works(Language::JavaScript, "javascript-v3");
}

#[test]
fn javascript_v4() {
    works(Language::JavaScript, "javascript-v4");
}

#[test]
fn typescript_v4() {
    works(Language::JavaScript, "typescript-v4");
}

#[test]
fn python_v1() {
    works(Language::Python, "python-v1");
}

#[test]
fn python_v2() {
    works(Language::Python, "python-v2");
}

fn works(language: Language, folder: &str) {
    let wasm = build(language, &format!("tests/fixtures/documents/{folder}")).unwrap_or_else(|why| panic!("{why:#}"));
    let (host, _directory) = Host::temporary(&[]).unwrap();
    host.deploy(folder, &std::fs::read(wasm).unwrap()).unwrap();
    let app = App { host };
    for (name, scenario) in SCENARIOS {
        // Shown if it fails.
        eprintln!("{folder}: {name}");
        scenario(&app);
    }
}

fn greetings() -> Value {
    json!(["Hello Tokyo!", "Hello Seattle!", "Hello London!"])
}

fn function_chaining(app: &App) {
    app.completes(&app.start("E1_HelloSequence", None), greetings());
}

fn fan_out_and_fan_in(app: &App) {
    app.completes(&app.start("E2_BackupSiteContent", Some(json!("site"))), json!(5500));
}

fn async_http_api(app: &App) {
    let started = app.post("orchestrators/ApprovalWorkflow", Some(json!({ "request": "a lamp" })));
    let links = app.check_status(&started);
    assert_eq!(get(&links["statusQueryGetUri"]).status, 202);
    let event = links["sendEventPostUri"].as_str().unwrap().replace("{eventName}", "ApprovalEvent");
    assert_eq!(request("POST", &event, Some(b"true")).unwrap().status, 202);
    app.completes(links["id"].as_str().unwrap(), json!("approved"));
    let ended = get(&links["statusQueryGetUri"]);
    assert_eq!((ended.status, &ended.json()["output"]), (200, &json!("approved")));
}

fn monitor(app: &App) {
    let monitor = |location: &str, expiry: u32| {
        let input = json!({ "location": location, "phone": "+1555", "pollingSeconds": 0.2, "expirySeconds": expiry });
        app.start("E3_Monitor", Some(input))
    };
    app.completes(&monitor("Tokyo", 600), json!({ "clear": true, "polls": 3 }));
    let status = app.completes(&monitor("Seattle", 1), json!({ "clear": false }));
    assert_eq!(status["customStatus"], "Seattle is not clear yet");
}

fn human_interaction(app: &App) {
    // The timer of 72 hours loses.
    for (answer, output) in [(true, "approved"), (false, "rejected")] {
        let id = app.start("ApprovalWorkflow", Some(json!({ "request": "a lamp" })));
        app.raise(&id, "ApprovalEvent", json!(answer));
        app.completes(&id, json!(output));
    }
    let id = app.start("ApprovalWorkflow", Some(json!({ "request": "a lamp", "hours": 0.0001 })));
    app.completes(&id, json!("a lamp was escalated"));

    for (answers, authorized) in [(&[99, 1234][..], true), (&[99, 98, 97, 96][..], false)] {
        let id = app.start("E4_SmsPhoneVerification", Some(json!("+15551234")));
        for answer in answers {
            app.raise(&id, "SmsChallengeResponse", json!(answer));
        }
        app.completes(&id, json!(authorized));
    }
    // As in the sample, the message goes to an output that has no counterpart: its activity was left out.
    let log = app.host.log();
    let says_so = |line: &str| ["WARN", "E4_SendSmsChallenge", "is not sent", "twilioSms"].iter().all(|part| line.contains(part));
    assert!(log.lines().any(says_so), "{log}");
}

fn aggregator(app: &App) {
    let reading = |device: &str, value: u32| json!({ "device": device, "value": value });
    app.post("readings", Some(json!([reading("boiler", 3), reading("pump", 1), reading("boiler", 4)])));
    app.post("readings", Some(json!([reading("boiler", 5)])));
    app.counts("boiler", 12);
    app.counts("pump", 1);
}

fn start_with_an_id(app: &App) {
    let path = "orchestrators/ApprovalWorkflow/only-one";
    assert_eq!(app.check_status(&app.post(path, None))["id"], "only-one");
    let refused = app.api("POST", path, None);
    assert_eq!((refused.status, refused.body.as_str()), (409, "An instance with ID 'only-one' already exists."));
    app.raise("only-one", "ApprovalEvent", json!(true));
    app.completes("only-one", json!("approved"));
    app.post("orchestrators/E1_HelloSequence/only-one", None);
    app.completes("only-one", greetings());
}

fn start_from_a_queue(app: &App) {
    app.post("requests", Some(json!({ "instanceId": "from-the-queue", "input": null })));
    app.until("the message is taken from the queue", || {
        (app.api("GET", "status/from-the-queue", None).status == 200).then_some(())
    });
    app.completes("from-the-queue", greetings());
}

fn wait_for_completion_or_check_status(app: &App) {
    let wait = |name: &str, seconds: f64| {
        app.api("POST", &format!("orchestrators/{name}/wait?timeout={seconds}&retryInterval=0.1"), None)
    };
    let completed = wait("E1_HelloSequence", 60.0);
    assert_eq!((completed.status, completed.json()), (200, greetings()));
    let waiting = wait("ApprovalWorkflow", 0.2);
    assert_eq!(waiting.status, 202);
    let id = app.check_status(&waiting)["id"].as_str().unwrap().to_owned();
    app.reaches(&id, "Running");
    let failed = wait("E2_BackupSiteContent", 60.0);
    assert_eq!((failed.status, &failed.json()["runtimeStatus"]), (500, &json!("Failed")));
}

fn status(app: &App) {
    assert_eq!(app.api("GET", "status/nobody", None).status, 404);
    app.fails(&app.start("E2_BackupSiteContent", None), "E2_BackupSiteContent", "A directory path is required");
    let id = app.start("E2_BackupSiteContent", Some(json!("site")));
    let status = app.completes(&id, json!(5500));
    let told = ["name", "instanceId", "input", "customStatus"].map(|member| status[member].clone());
    assert_eq!(told, [json!("E2_BackupSiteContent"), json!(id), json!("site"), Value::Null]);
    let history = app.get(&format!("status/{id}?showHistory=true"))["history"].as_array().unwrap().clone();
    let copied = |event: &&Value| event["EventType"] == "TaskCompleted" && event["FunctionName"] == "E2_CopyFileToBlob";
    assert_eq!(history.iter().filter(copied).count(), 10, "{history:?}");
    let ends = history.last().unwrap();
    assert_eq!((&ends["EventType"], &ends["Result"]), (&json!("ExecutionCompleted"), &json!(5500)));
}

fn status_of_all(app: &App) {
    let ids = [app.start("E1_HelloSequence", None), app.start("ApprovalWorkflow", None)];
    let all = app.get("status");
    for (id, name) in ids.iter().zip(["E1_HelloSequence", "ApprovalWorkflow"]) {
        let status = all.as_array().unwrap().iter().find(|status| status["instanceId"] == json!(id));
        assert_eq!(status.unwrap_or_else(|| panic!("{id} is not in {all}"))["name"], name);
    }
}

fn status_by_filter(app: &App) {
    let [completed, running] = [app.start("E1_HelloSequence", None), app.start("ApprovalWorkflow", None)];
    let since = app.completes(&completed, greetings())["createdTime"].as_str().unwrap().to_owned();
    app.reaches(&running, "Running");
    let found = |query: &str, id: &str| app.query(query).contains(&json!(id));
    let query = format!("runtimeStatus=Completed&createdTimeFrom={since}");
    assert!(found(&query, &completed) && !found(&query, &running), "{query}");
    let query = "runtimeStatus=Running,Pending";
    assert!(found(query, &running) && !found(query, &completed), "{query}");
    let long_ago = "runtimeStatus=Completed,Running&createdTimeFrom=2018-03-10T10:01:00Z&createdTimeTo=2018-03-10T23:59:00Z";
    assert_eq!(app.query(long_ago), Vec::<Value>::new());
}

fn links_from_an_activity(app: &App) {
    let id = app.start("ReportInstance", None);
    let links = app.reaches(&id, "Completed")["output"].clone();
    assert_links(&links);
    assert_eq!(links["id"], json!(id));
    assert_eq!(get(&links["statusQueryGetUri"]).json()["output"], links);
}

fn suspend_and_resume(app: &App) {
    let id = app.start("ApprovalWorkflow", None);
    app.reaches(&id, "Running");
    app.post(&format!("suspend/{id}"), None);
    app.reaches(&id, "Suspended");
    app.raise(&id, "ApprovalEvent", json!(true));
    assert_eq!(app.get(&format!("status/{id}"))["runtimeStatus"], "Suspended");
    app.post(&format!("resume/{id}"), None);
    app.completes(&id, json!("approved"));
}

fn terminate(app: &App) {
    let id = app.start("ApprovalWorkflow", None);
    app.run("TerminateInstance", Some(&id));
    assert_eq!(app.reaches(&id, "Terminated")["output"], "Found a bug");
}

fn rewind(app: &App) {
    let id = app.start("ChargeOrder", Some(json!("lamp")));
    app.fails(&id, "ChargeOrder", "there is no lamp left");
    app.post("counters/lamp/add", Some(json!(1)));
    app.counts("lamp", 1);
    app.post(&format!("rewind/{id}"), None);
    app.until("the instance goes on", || (app.get(&format!("status/{id}"))["runtimeStatus"] != "Failed").then_some(()));
    app.completes(&id, json!("lamp is reserved"));
}

fn restart(app: &App) {
    let id = app.start("E2_BackupSiteContent", Some(json!("site")));
    app.completes(&id, json!(5500));
    let links = app.check_status(&app.post(&format!("restart/{id}"), None));
    assert_ne!(links["id"], json!(id));
    assert_eq!(app.completes(links["id"].as_str().unwrap(), json!(5500))["input"], "site");
}

fn signal_and_read_an_entity(app: &App) {
    assert_eq!(app.api("GET", "counters/visits", None).status, 404);
    app.post("counters/visits/add", Some(json!(7)));
    app.counts("visits", 7);
    app.completes(&app.start("AddUntilTen", Some(json!("visits"))), json!(10));
    app.counts("visits", 10);
    app.post("counters/visits/reset", None);
    app.counts("visits", 0);
}

fn purge_one(app: &App) {
    let id = app.start("E1_HelloSequence", None);
    app.completes(&id, greetings());
    app.run("PurgeInstance", Some(&id));
    app.is_gone(&id);
}

/// The timer purges what was terminated.
fn purge_by_filter(app: &App) {
    let [completed, terminated] = [app.start("E1_HelloSequence", None), app.start("ApprovalWorkflow", None)];
    app.completes(&completed, greetings());
    app.run("TerminateInstance", Some(&terminated));
    app.reaches(&terminated, "Terminated");
    app.run("PurgeInstances", None);
    app.is_gone(&terminated);
    assert_eq!(app.query("runtimeStatus=Terminated"), Vec::<Value>::new());
    app.completes(&completed, greetings());
}

/// A deployed app, behind its own routes.
struct App {
    host: Host,
}

impl App {
    fn api(&self, method: &str, path: &str, body: Option<Value>) -> Answer {
        let body = body.map(|body| body.to_string());
        self.host.request(method, &format!("/api/{path}"), body.as_deref().map(str::as_bytes)).unwrap()
    }

    #[track_caller]
    fn get(&self, path: &str) -> Value {
        let answer = self.api("GET", path, None);
        assert_eq!(answer.status, 200, "{path}: {answer:?}\n{}", self.host.log());
        answer.json()
    }

    #[track_caller]
    fn post(&self, path: &str, body: Option<Value>) -> Answer {
        let answer = self.api("POST", path, body);
        assert_eq!(answer.status, 202, "{path}: {answer:?}\n{}", self.host.log());
        answer
    }

    /// Runs a function that has no route.
    #[track_caller]
    fn run(&self, name: &str, input: Option<&str>) {
        let body = input.map_or(json!({}), |input| json!({ "input": input })).to_string();
        let answer = self.host.request("POST", &format!("/admin/functions/{name}"), Some(body.as_bytes())).unwrap();
        assert_eq!(answer.status, 202, "{name}: {answer:?}\n{}", self.host.log());
    }

    /// Starts an orchestration with the HTTP starter, and returns its id.
    #[track_caller]
    fn start(&self, name: &str, input: Option<Value>) -> String {
        self.post(&format!("orchestrators/{name}"), input).json()["id"].as_str().expect("an id").to_owned()
    }

    #[track_caller]
    fn raise(&self, id: &str, event: &str, data: Value) {
        self.post(&format!("events/{id}/{event}"), Some(data));
    }

    /// The links in the response of a starter.
    #[track_caller]
    fn check_status(&self, answer: &Answer) -> Value {
        let links = answer.json();
        assert_links(&links);
        assert!(links["statusQueryGetUri"].as_str().unwrap().starts_with(self.host.url()), "{links}");
        assert_eq!(answer.header("location"), links["statusQueryGetUri"].as_str());
        assert_eq!(answer.header("retry-after"), Some("10"));
        assert!(answer.header("content-type").unwrap().starts_with("application/json"), "{answer:?}");
        links
    }

    /// The ids of the instances that match.
    #[track_caller]
    fn query(&self, query: &str) -> Vec<Value> {
        let found = self.get(&format!("query?{query}"));
        found.as_array().unwrap().iter().map(|status| status["instanceId"].clone()).collect()
    }

    #[track_caller]
    fn completes(&self, id: &str, output: Value) -> Value {
        let status = self.reaches(id, "Completed");
        assert_eq!(status["output"], output, "{status}");
        status
    }

    #[track_caller]
    fn fails(&self, id: &str, name: &str, words: &str) {
        let output = self.reaches(id, "Failed")["output"].as_str().unwrap().to_owned();
        assert!(output.starts_with(&format!("Orchestrator function '{name}' failed: ")) && output.contains(words), "{output}");
    }

    /// Waits until an instance has a status, and returns it whole.
    #[track_caller]
    fn reaches(&self, id: &str, runtime_status: &str) -> Value {
        self.until(&format!("{id} is {runtime_status}"), || {
            let status = self.get(&format!("status/{id}"));
            let reached = status["runtimeStatus"] == runtime_status;
            assert!(reached || !is_finished(&status), "{id} is not {runtime_status}: {status}\n{}", self.host.log());
            reached.then_some(status)
        })
    }

    #[track_caller]
    fn is_gone(&self, id: &str) {
        self.until(&format!("{id} is gone"), || (self.api("GET", &format!("status/{id}"), None).status == 404).then_some(()));
    }

    /// Waits until a counter has a value.
    #[track_caller]
    fn counts(&self, key: &str, value: u32) {
        self.until(&format!("{key} is {value}"), || {
            let answer = self.api("GET", &format!("counters/{key}"), None);
            (answer.status == 200 && answer.json() == json!({ "value": value })).then_some(())
        });
    }

    #[track_caller]
    fn until<T>(&self, what: &str, mut reached: impl FnMut() -> Option<T>) -> T {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            if let Some(value) = reached() {
                return value;
            }
            assert!(Instant::now() < deadline, "after a minute it is not true that {what}\n{}", self.host.log());
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

fn get(link: &Value) -> Answer {
    request("GET", link.as_str().expect("a link"), None).unwrap()
}

/// All links that a client makes for an instance.
#[track_caller]
fn assert_links(links: &Value) {
    let mut names: Vec<&str> = links.as_object().unwrap().keys().map(String::as_str).collect();
    names.sort_unstable();
    let expected = [
        "id",
        "purgeHistoryDeleteUri",
        "restartPostUri",
        "resumePostUri",
        "rewindPostUri",
        "sendEventPostUri",
        "statusQueryGetUri",
        "suspendPostUri",
        "terminatePostUri",
    ];
    assert_eq!(names, expected);
}
