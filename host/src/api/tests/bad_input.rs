//! Every parameter and every body of every route, with invalid values: each must be refused, saying what is wrong.

use axum::http::Method;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use super::{Answer, Host, PAYLOAD_BYTES};
use crate::api::admission::body::BodyKind;
use crate::api::request::parameter::{About, INSTANCE_ID, Location, PATH_PARAMETERS};
use crate::api::request::route::{Group, Route};
use crate::api::table::GROUPS;

fn routes() -> impl Iterator<Item = (&'static Group, &'static Route)> {
    GROUPS.iter().flat_map(|group| group.routes.iter().map(move |route| (*group, route)))
}

/// The parameters of a route that do not stand in its path.
fn parameters(group: &'static Group, route: &'static Route) -> impl Iterator<Item = &'static About> {
    group.parameters.iter().chain(route.parameters).copied()
}

fn escape(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

/// Invalid values of a parameter.
fn wrong_values(about: &About) -> Vec<String> {
    let schema = (about.schema)();
    let too_long = schema["maxLength"].as_u64().map(|max| "x".repeat(max as usize + 1));
    let mut wrong: Vec<String> = match (schema["type"].as_str().unwrap(), schema["format"].as_str()) {
        ("boolean", _) => ["perhaps", "1", "yes"].map(String::from).into(),
        ("number", _) => ["soon", "-1", "NaN", "1e99"].map(String::from).into(),
        ("integer", _) if schema["minimum"] == 0 => ["-1", "1.5", "many", "101"].map(String::from).into(),
        ("integer", _) => ["0", "-1", "1.5", "many", "99999999999999999999"].map(String::from).into(),
        ("array", _) => ["Asleep", "Running,Asleep"].map(String::from).into(),
        ("string", Some("date-time")) => ["yesterday", "1", "2026-13-01T00:00:00Z"].map(String::from).into(),
        ("string", _) => Vec::new(),
        (other, _) => panic!("no wrong value of the type {other} is known"),
    };
    if schema["type"] == "string" && schema["pattern"].is_string() {
        wrong.extend(["a/b", "a\nb"].map(String::from));
    }
    if schema["enum"].is_array() {
        wrong.push("perhaps".to_owned());
    }
    wrong.extend(too_long);
    if about.location == Location::Header {
        wrong.retain(|text| text.is_ascii());
        wrong.extend(["nonsense", "row.x", "id.a%2Fb"].map(String::from));
    }
    assert!(!wrong.is_empty(), "nothing is wrong for '{}'", about.name);
    wrong
}

struct Wrong {
    path: String,
    headers: Vec<(&'static str, String)>,
}

impl Wrong {
    /// A request with valid parameters in its path, and everything else that the route needs.
    fn new(group: &Group, route: &Route) -> Self {
        let base = if group.bases[0].is_empty() { String::new() } else { format!("/{}", group.bases[0]) };
        let mut path = format!("{base}/{}", route.pattern);
        for about in PATH_PARAMETERS {
            path = path.replace(&format!("{{{}}}", about.name), &escape(about.example));
        }
        Self { path: path + "?", headers: Vec::new() }
    }

    /// The same with every required parameter but one, which the test makes invalid.
    fn but(wrong: &About, group: &'static Group, route: &'static Route) -> Self {
        let required = parameters(group, route).filter(|about| about.required && about.name != wrong.name);
        required.fold(Self::new(group, route), |request, about| request.with(about, about.example))
    }

    fn with(mut self, about: &'static About, value: &str) -> Self {
        match about.location {
            Location::Path => {
                let right = format!("/{}", escape(about.example));
                let at = self.path.rfind(&right).unwrap();
                self.path.replace_range(at..at + right.len(), &format!("/{}", escape(value)));
            }
            Location::Query => self.path += &format!("{}={}&", about.name, escape(value)),
            Location::Header => self.headers.push((about.name, value.to_owned())),
        }
        self
    }

    async fn send(&self, host: &Host, method: &Method) -> Answer {
        let mut headers: Vec<_> = self.headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        headers.push(("content-type", "application/json"));
        host.send(method.as_str(), &self.path, &headers, "").await
    }
}

#[track_caller]
fn refused_by_name(answer: &Answer, about: &About, request: &Wrong) {
    assert_eq!(answer.status, 400, "{}: {}", request.path, answer.body);
    assert!(answer.body.contains(&format!("'{}'", about.name)), "{}: {}", request.path, answer.body);
}

#[tokio::test]
async fn wrong_and_long_values() {
    let host = Host::open();
    for (group, route) in routes() {
        for about in parameters(group, route) {
            for value in wrong_values(about) {
                let request = Wrong::but(about, group, route).with(about, &value);
                refused_by_name(&request.send(&host, &route.method).await, about, &request);
            }
        }
    }
    host.close().await;
}

#[tokio::test]
async fn repeated_values() {
    let host = Host::open();
    for (group, route) in routes() {
        for about in parameters(group, route).filter(|about| !about.repeated) {
            let request = Wrong::but(about, group, route).with(about, about.example).with(about, about.example);
            refused_by_name(&request.send(&host, &route.method).await, about, &request);
        }
    }
    host.close().await;
}

#[tokio::test]
async fn missing_values() {
    let host = Host::open();
    let mut found = 0;
    for (group, route) in routes() {
        for about in parameters(group, route).filter(|about| about.required) {
            let request = Wrong::but(about, group, route);
            refused_by_name(&request.send(&host, &route.method).await, about, &request);
            refused_by_name(&request.with(about, " ").send(&host, &route.method).await, about, &Wrong::but(about, group, route));
            found += 1;
        }
    }
    assert_eq!(
        found, 9,
        "newInstanceId, the version to activate and to migrate to, from and to of two versions and of a backfill, and two functionName"
    );
    let purged = host.send("DELETE", "/durabletask/instances?runtimeStatus=Failed", &[], "").await;
    purged.is(400, Value::from("Please provide value for 'createdTimeFrom' parameter."));
    host.close().await;
}

/// An invalid id is answered with 404 where it names an existing instance, and with 400 where it names a new one.
#[tokio::test]
async fn wrong_paths() {
    let host = Host::open();
    for (group, route) in routes() {
        for name in route.placeholders() {
            let about = *PATH_PARAMETERS.iter().find(|about| about.name == name).unwrap();
            for value in wrong_values(about) {
                let request = Wrong::new(group, route).with(about, &value);
                let answer = request.send(&host, &route.method).await;
                match (std::ptr::eq(about, &INSTANCE_ID.about), route.operation) {
                    (false, _) | (true, "startOrchestrationWithId" | "startWithId") => refused_by_name(&answer, about, &request),
                    (true, "restartInstance") => answer.refuses(400, &value),
                    // This one wants to know a new id first.
                    (true, "restartInstanceWithOptions") => answer.refuses(400, "'newInstanceId'"),
                    (true, "rewindInstance") => assert_eq!((answer.status.as_u16(), answer.body.is_empty()), (404, false)),
                    (true, _) => answer.is_empty(404),
                }
            }
        }
    }
    host.close().await;
}

#[tokio::test]
async fn wrong_bodies() {
    let host = Host::open();
    for (group, route) in routes().filter(|(_, route)| matches!(route.takes, BodyKind::Payload | BodyKind::PayloadOrText)) {
        let path = Wrong::new(group, route).path;
        let send =
            async |body: &[u8]| host.send(route.method.as_str(), &path, &[("content-type", "application/json")], body).await;
        send("x".repeat(PAYLOAD_BYTES + 1).as_bytes()).await.refuses(413, "1000");
        // An event is checked once its instance is known to exist, the input of an operation by the hub.
        if route.operation.starts_with("start") {
            send(b"\"\xff\"").await.refuses(400, "UTF-8");
            send(b"{\"a\":").await.refuses(400, "JSON");
        }
    }
    let entity = "/durabletask/entities/counter/a";
    let answer = host.send("POST", entity, &[("content-type", "application/json")], b"\"\xff\"").await;
    answer.refuses(400, "Could not parse JSON content: ");
    host.send("POST", entity, &[("content-type", "text/plain")], b"\xff").await.refuses(400, "UTF-8");
    host.close().await;
}

/// The bodies of administrators' requests: each member wrong, missing or unknown, and what is no object at all.
#[tokio::test]
async fn wrong_objects() {
    let host = Host::open();
    let wrong: &[(&str, &str, &str)] = &[
        ("createHub", "{}", "name"),
        ("createHub", r#"{"name":""}"#, "'name'"),
        ("createHub", r#"{"name":"a b"}"#, "'name'"),
        ("createHub", r#"{"name":"../up"}"#, "'name'"),
        ("createHub", r#"{"name":7}"#, "'name'"),
        ("createHub", r#"{"name":"a","nmae":1}"#, "nmae"),
        ("createHub", r#"{"name":"a","limits":{"apps":"many"}}"#, "'limits.apps'"),
        ("createHub", r#"{"name":"a","limits":{"apps":0}}"#, "'limits.apps'"),
        ("createHub", r#"{"name":"a","limits":{"apps":-1}}"#, "'limits.apps'"),
        ("createHub", r#"{"name":"a","limits":{"apes":1}}"#, "'limits.apes'"),
        ("createHub", r#"{"name":"a","grants":{"outbound":["http://x/y"]}}"#, "outbound"),
        ("createHub", r#"{"name":"a","appGrants":{"b":{"directories":[{"guest":"x","host":"/"}]}}}"#, "'appGrants.b'"),
        ("changeHub", r#"{"limits":{"apes":1}}"#, "'limits.apes'"),
        ("changeHub", r#"{"suspended":7}"#, "'suspended'"),
        ("changeHub", r#"{"suspended":" "}"#, "'suspended'"),
        ("createHub", r#"{"name":"a","grants":[]}"#, "'grants'"),
        ("createHub", r#"{"name":"a","appGrants":{"shop":[]}}"#, "'appGrants.shop'"),
        ("changeHub", r#"{"grants":[]}"#, "'grants'"),
        ("changeHub", r#"{"grants":{"directories":[{"guest":"/x"}]}}"#, "'grants.directories[0]'"),
        ("changeHub", r#"{"grants":{"secrets":{"t":{"hosts":"all"}}}}"#, "'grants.secrets.t.hosts'"),
        ("changeHub", r#"{"name":"other"}"#, "name"),
        ("createHubKey", r#"{"name":"a"}"#, "role"),
        ("createHubKey", r#"{"name":"a/b","role":"read"}"#, "'name'"),
        ("createHubKey", r#"{"name":"a","role":"owner"}"#, "'role'"),
        ("createHostKey", r#"{"name":"a","role":7}"#, "'role'"),
        ("createSchedule", "{}", "`orchestrator`"),
        ("createSchedule", r#"{"orchestrator":"hello"}"#, "`cron`"),
        ("createSchedule", r#"{"orchestrator":"hello","cron":7}"#, "'cron'"),
        ("createSchedule", r#"{"orchestrator":"hello","interval":-1}"#, "'interval'"),
        ("createSchedule", r#"{"orchestrator":"hello","interval":5,"overlap":"queue"}"#, "'overlap'"),
        ("replaceSchedule", r#"{"orchestrator":"hello","cron":"@daily","timezone":"UTC"}"#, "timezone"),
        ("replaceSchedule", r#"{"orchestrator":"hello","cron":"@daily","timeZone":"Mars/Olympus"}"#, "`timeZone`"),
    ];
    for (group, route) in routes() {
        match route.takes {
            BodyKind::Json(_) => {
                let path = Wrong::new(group, route).path;
                let send = async |body: &str| host.send(route.method.as_str(), &path, &[], body).await;
                for (_, body, why) in wrong.iter().filter(|(operation, ..)| *operation == route.operation) {
                    send(body).await.refuses(400, why);
                }
                for nothing in ["", "[]", "7", "{", "{} {}", "\"\u{0}\""] {
                    send(nothing).await.refuses(400, "");
                }
                send(&" ".repeat((1 << 20) + 1)).await.refuses(413, "1048576");
            }
            BodyKind::Secret => {
                let path = Wrong::new(group, route).path;
                let send = async |body: &[u8]| host.send(route.method.as_str(), &path, &[], body).await;
                send(b"").await.refuses(400, "empty");
                send(b"\xff").await.refuses(400, "UTF-8");
                send(&[b'x'; (64 << 10) + 1]).await.refuses(413, "65536");
            }
            BodyKind::Nothing | BodyKind::Payload | BodyKind::PayloadOrText | BodyKind::Module | BodyKind::Export => {}
        }
    }
    host.close().await;
}

#[tokio::test]
async fn a_task_hub_that_the_host_does_not_have() {
    let host = Host::open();
    for (group, route) in routes() {
        if let Some(about) = parameters(group, route).find(|about| about.name == "taskHub") {
            let request = Wrong::new(group, route).with(about, "Elsewhere");
            request.send(&host, &route.method).await.refuses(404, "'Elsewhere'");
        }
    }
    host.close().await;
}
