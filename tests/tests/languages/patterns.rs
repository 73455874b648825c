//! The apps of `examples/javascript` and `examples/python`, written as for Durable Functions, on a real host: every pattern of
//! its documentation.

use dacapo_tests::clients::Switch;
use dacapo_tests::host::Host;
use dacapo_tests::languages::{Language, build};
use serde_json::{Value, json};

/// A host with an app, and a server that the app may call.
struct App {
    host: Host,
    server: Switch,
    _directory: tempfile::TempDir,
}

impl App {
    fn of(language: Language, folder: &str) -> Self {
        let wasm = build(language, &format!("examples/{folder}")).unwrap_or_else(|why| panic!("{why:#}"));
        let server = Switch::start().unwrap();
        let (host, _directory) = Host::temporary(&["--allow-host", &server.authority]).unwrap();
        host.deploy("app", &std::fs::read(wasm).unwrap()).unwrap();
        Self { host, server, _directory }
    }

    fn javascript(name: &str) -> Self {
        Self::of(Language::JavaScript, &format!("javascript/{name}"))
    }

    fn python(name: &str) -> Self {
        Self::of(Language::Python, &format!("python/{name}"))
    }

    #[track_caller]
    fn gives(&self, name: &str, input: Value, output: Value) -> Value {
        self.ends(&self.host.start_new(name, input).unwrap(), name, output)
    }

    /// Raises an event while it runs.
    #[track_caller]
    fn told(&self, name: &str, input: Value, (event, data): (&str, Value), output: Value) {
        let id = self.host.start_new(name, input).unwrap();
        self.host.raise_event(&id, event, data).unwrap();
        self.ends(&id, name, output);
    }

    #[track_caller]
    fn ends(&self, id: &str, name: &str, output: Value) -> Value {
        let status = self.host.wait(id).unwrap();
        assert_eq!(status["runtimeStatus"], "Completed", "{name}: {status}\n{}", self.host.log());
        assert_eq!(status["output"], output, "{name}");
        status
    }

    #[track_caller]
    fn fails(&self, name: &str, input: Value, words: &str) {
        let status = self.host.run(name, input).unwrap();
        assert_eq!(status["runtimeStatus"], "Failed", "{name}: {status}");
        assert!(status["output"].as_str().unwrap().contains(words), "{name}: {status}");
    }

    fn url(&self) -> String {
        format!("{}/site-on", self.server.url())
    }
}

#[test]
fn javascript() {
    let app = App::javascript("patterns");
    app.gives("helloSequence", json!(["Tokyo", "Cairo"]), json!(["Hello, Tokyo!", "Hello, Cairo!"]));
    app.gives("countWords", json!(5), json!({ "texts": 5, "words": 45 }));
    app.gives("monitorJob", json!({ "jobId": "j1", "intervalMs": 100 }), json!({ "done": true, "polls": 4 }));
    let person = |timeout: u64| json!({ "phoneNumber": "+1555123", "timeoutMs": timeout });
    app.told("verifyPhoneNumber", person(600_000), ("ChallengeResponse", json!(5124)), json!(true));
    app.gives("verifyPhoneNumber", person(100), json!(false));
    let retried = json!({ "result": "attempt 3 succeeded", "caught": "Activity function 'flaky' failed: attempt 2 failed" });
    app.gives("retryUntilItWorks", json!({ "failures": 2 }), retried);
    let devices = json!(["lamp at 10.0.0.4", "door at 10.0.0.4", "gateway at 10.0.0.7"]);
    app.gives("provisionDevices", json!(["lamp", "door"]), devices);
    app.gives("countUp", json!("myCounter"), json!(3));
    app.gives("moveCount", json!({ "from": "myCounter", "to": "other", "amount": 2 }), json!(true));
    app.gives("periodicCleanup", json!({ "rounds": 3 }), json!(["round 1", "round 2", "round 3"]));
    assert_eq!(app.gives("bookTrip", Value::Null, json!(3))["customStatus"], "done");
    app.gives("checkSite", json!(app.url()), json!({ "statusCode": 200, "length": 6 }));
}

#[test]
fn javascript_with_moment_and_json_in_strings() {
    let app = App::javascript("weather");
    let tokyo = r#"{"location":"Tokyo","phone":"+1555"}"#;
    app.gives("monitorWeather", json!(tokyo), json!("few clouds in Tokyo, 2 hours before the deadline"));
    let seattle = json!({ "location": "Seattle", "phone": "1", "everySeconds": 1, "forMinutes": 0.03 });
    app.gives("monitorWeather", seattle, json!("it is still cloudy"));
}

#[test]
fn javascript_with_luxon_and_default_exports() {
    let app = App::javascript("trial");
    let trial = |period: &str| json!({ "customer": "Ada", "period": period });
    app.gives("trial", trial("PT2S"), json!({ "customer": "Ada", "subscribed": false, "days": 0 }));
    let subscribed = json!({ "customer": "Ada", "subscribed": true, "plan": "gold" });
    app.told("trial", trial("P14D"), ("Subscribed", json!("gold")), subscribed);
}

#[test]
fn typescript_with_async_and_await() {
    let app = App::javascript("async-await");
    let order = |item: &str, limit: u64| json!({ "customer": "Ada", "items": [item], "limit": limit });
    let sent = json!({ "customer": "Ada", "cents": 1000, "parcels": ["parcel with a lamp"] });
    app.told("order", order("lamp", 10), ("Approval", json!(true)), sent);
    app.fails("order", json!({ "customer": "Ada", "items": ["unicorn"] }), "unicorns are out of stock");
    let customers = json!([{ "customer": "Bob", "items": ["lamp"] }, { "customer": "nobody", "items": ["lamp"] }]);
    app.gives("orders", customers, json!(["1 parcels", "CardDeclined"]));
    app.gives("fastest", json!(["lamp"]), json!({ "item": "lamp", "price": 1000 }));
}

#[test]
fn python() {
    let app = App::python("patterns");
    let counted = app.gives("count_words", json!(["a b c", "d e"]), json!({ "total": 5, "counts": [3, 2] }));
    assert_eq!(counted["customStatus"], "done");
    let job = json!({ "id": "1", "timeout_seconds": 60, "polling_seconds": 1 });
    app.gives("monitor_job", job, json!({ "status": "Completed", "polls": 3 }));
    let request = |seconds: u64| json!({ "item": "lamp", "timeout_seconds": seconds });
    app.told("request_approval", request(600), ("ApprovalEvent", json!(true)), json!("approved"));
    app.gives("request_approval", request(1), json!("escalated lamp"));
    let order = |quantity: u64| json!({ "item": "chairs", "quantity": quantity });
    app.gives("place_order", order(2), json!("paid for 2 chairs"));
    app.gives(
        "place_order",
        order(20),
        json!("cancelled: Activity function 'charge' failed: the card was declined for 20 chairs"),
    );
    app.gives("count_up", json!("k1"), json!(7));
    app.gives("check_site", json!(app.url()), json!("\"here\""));
}

#[test]
fn python_with_a_folder_for_each_function() {
    let app = App::python("classic");
    let steps = |device: &str| json!(["format", "install", "register"].map(|step| format!("{device}: {step} done")));
    app.gives("ProvisionAll", json!(["x", "y"]), json!([steps("x"), steps("y")]));
    app.gives("PeriodicCleanup", Value::Null, json!(12));
    app.gives("CountOrchestrator", Value::Null, json!(7));
    app.gives("RollOut", json!(["x"]), json!(["provision-x"]));
}

#[test]
fn python_with_async_and_await() {
    let app = App::python("modern");
    let reserved = json!(["reservation of a", "reservation of b"]);
    app.told("order", json!(["a", "b"]), ("Approval", json!(true)), reserved);
    app.gives("transfer", json!(30), json!([70, 130]));
    app.fails("transfer", json!(80), "less than 80 is left");
    app.gives("checkout", json!({ "ada": ["a lamp"] }), json!(["order-ada"]));
}
