//! The API on a real hub without apps: its responses when there is nothing to do, and its errors.

mod bad_input;
mod conformance;
mod keys;
mod openapi;
mod rpc;

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request, StatusCode};
use serde_json::{Value, json};
use tokio::sync::watch;
use tower::ServiceExt as _;

use dacapo_store::StoreOptions;
use dacapo_store::control::HubRecord;
use dacapo_wasm::{Config, PoolSize, Runtime};

use super::{ApiOptions, router};
use crate::access::{self, Access, KeyPolicy, Scope};
use crate::engine::capacity::CapacityLimits;
use crate::engine::{Engine, EngineOptions};
use crate::hub::{Hub, HubRules, Queries};
use crate::hubs::{Hubs, HubsOptions};
use crate::limits::HubLimits;
use crate::secrets::{Secrets, SecretsKey};
use crate::serve::open_control_file;

const BASE: &str = "/runtime/webhooks/durabletask";
const HUB: &str = "TestHubName";
const PAYLOAD_BYTES: usize = 1_000;
const CONNECTIONS: usize = 20;

/// A host's API, as long as its directory is kept.
pub(super) struct Host {
    router: axum::Router,
    pub hubs: Hubs,
    pub access: Arc<Access>,
    _directory: tempfile::TempDir,
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: String,
}

impl Host {
    pub fn open() -> Self {
        Self::with(KeyPolicy::NotRequired)
    }

    /// A host with a hub of its own, and one beside it.
    pub fn with(key_policy: KeyPolicy) -> Self {
        Self::of(key_policy, HubLimits { payload_bytes: PAYLOAD_BYTES as u64, ..HubLimits::default() })
    }

    fn of(key_policy: KeyPolicy, limits: HubLimits) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let data = directory.path().canonicalize().unwrap();
        let config = Config { pool: PoolSize::small(), ..Config::new(data.join("modules"), data.join("cache")) };
        let control = open_control_file(&data).unwrap();
        let engine = Engine::new(EngineOptions {
            directory: data.clone(),
            runtime: Runtime::new(config).unwrap(),
            control: control.clone(),
            threads: 1,
            capacity: CapacityLimits { hot_instances: 0, memory_bytes: usize::MAX, activities: 1, cache_bytes: 1 << 20, hubs: 8 },
            store: StoreOptions::default(),
        })
        .unwrap();
        for name in [HUB, "Other-Hub"] {
            let record = HubRecord { name: name.into(), created_at: access::now(), ..HubRecord::default() };
            control.create_hub(&record, &access::entry_of_host(Scope::Host, "hub.create")).unwrap();
        }
        let access = Arc::new(Access::open(control.clone(), key_policy).unwrap());
        let limits_of_hubs = limits.clone();
        let queries = Queries::default();
        let hubs = Hubs::open(HubsOptions {
            queries: queries.clone(),
            control: control.clone(),
            engine,
            rules: Box::new(move |_| Ok(HubRules { limits: limits_of_hubs.clone(), ..HubRules::default() })),
            retention: Default::default(),
            webhook: None,
            versions: Default::default(),
            open: 8,
            idle: Duration::from_secs(60),
        })
        .unwrap();
        let options = ApiOptions {
            queries,
            cors_origins: Vec::new(),
            hubs: hubs.clone(),
            access: access.clone(),
            secrets: Arc::new(Secrets::new(control, Some(&SecretsKey::random()))),
            data,
            limits,
            default_hub: HUB.into(),
            address: "127.0.0.1:7071".parse().unwrap(),
            allowed_hosts: Vec::new(),
            scheme: "http",
            public_url: "http://127.0.0.1:7071".into(),
            use_forwarded_host: false,
            stopping: watch::channel(false).1,
            payload_bytes: PAYLOAD_BYTES,
            module_bytes: 10_000,
            bodies_bytes: 50_000,
            connections: CONNECTIONS,
        };
        Self { hubs, access, router: router(options), _directory: directory }
    }

    /// Sends a request, and checks the response against the OpenAPI document.
    async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: impl AsRef<[u8]>) -> Answer {
        Self::send_to(&self.router, method, path, headers, body).await
    }

    async fn send_to(
        router: &axum::Router,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl AsRef<[u8]>,
    ) -> Answer {
        let mut request = Request::builder().method(method).uri(path).header("host", "localhost:7071");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let body = Body::from(body.as_ref().to_vec());
        let response = router.clone().oneshot(request.body(body).unwrap()).await.unwrap();
        let (head, body) = response.into_parts();
        let body = to_bytes(body, usize::MAX).await.unwrap();
        let answer = Answer { status: head.status, headers: head.headers, body: String::from_utf8(body.into()).unwrap() };
        conformance::check(method, path, &answer);
        answer
    }

    async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], "").await
    }

    async fn post(&self, path: &str, body: &str) -> Answer {
        self.send("POST", path, &[("content-type", "application/json")], body).await
    }

    pub async fn hub(&self) -> Hub {
        self.hubs.hub(HUB).await.unwrap().expect("it was made")
    }

    pub async fn close(self) {
        self.hubs.shutdown(Duration::ZERO).await;
    }
}

impl Answer {
    /// Expects an error whose body has both members and says `why`.
    #[track_caller]
    fn refuses(&self, status: u16, why: &str) {
        assert_eq!(self.status, status, "{}", self.body);
        assert_eq!(self.headers["content-type"], "application/json; charset=utf-8");
        let body: Value = serde_json::from_str(&self.body).unwrap();
        assert!(body["Message"].is_string(), "{body}");
        assert!(body["ExceptionMessage"].as_str().unwrap().contains(why), "{body}");
    }

    #[track_caller]
    fn is_empty(&self, status: u16) {
        assert_eq!((self.status.as_u16(), self.body.as_str()), (status, ""));
    }

    #[track_caller]
    fn is(&self, status: u16, body: Value) {
        let sent: Value = serde_json::from_str(&self.body).unwrap();
        assert_eq!((self.status.as_u16(), sent), (status, body));
    }
}

#[tokio::test]
async fn what_does_not_exist_is_an_empty_404() {
    let host = Host::open();
    host.get(&format!("{BASE}/instances/none")).await.is_empty(404);
    host.get(&format!("{BASE}/instances/none?showHistory=true&wait=0")).await.is_empty(404);
    host.get(&format!("{BASE}/instances/no%2Fid")).await.is_empty(404);
    host.get("/").await.is_empty(404);
    host.send("PATCH", &format!("{BASE}/instances/none"), &[], "text").await.is_empty(404);
    for verb in ["terminate?reason=x", "suspend", "resume", "raiseEvent/Go"] {
        host.post(&format!("{BASE}/instances/none/{verb}"), "").await.is_empty(404);
    }
    host.get(&format!("{BASE}/instances/none?taskhub=Other")).await.refuses(404, "'Other'");
    host.close().await;
}

#[tokio::test]
async fn an_empty_hub_answers() {
    let host = Host::open();
    host.get("/healthz").await.is(200, json!({ "status": "ok" }));
    host.get("/admin/apps?taskHub=testhubname").await.is(200, json!([]));
    for base in [BASE, "/admin/extensions/DurableTaskExtension", "/durabletask"] {
        let list = host.get(&format!("{base}/Instances/?TOP=5&showInput=True&unknown=1")).await;
        assert!(!list.headers.contains_key("x-ms-continuation-token"));
        list.is(200, json!([]));
    }
    host.close().await;
}

#[tokio::test]
async fn wrong_starts_are_refused_with_a_reason() {
    let host = Host::open();
    let start = |path: &str| format!("{BASE}/orchestrators/{path}");
    let unknown = "The function 'Nope' doesn't exist, is disabled, or is not an orchestrator function.";
    host.post(&start("Nope"), "1").await.refuses(400, unknown);
    let invalid = host.post(&start("Nope"), "{").await;
    invalid.refuses(400, "JSON");
    assert!(invalid.body.starts_with(r#"{"Message":"Invalid JSON content""#), "{}", invalid.body);
    host.post(&start("Nope/@entity@key"), "1").await.refuses(400, "instanceId");
    host.post(&start(&format!("Nope/{}", "x".repeat(257))), "1").await.refuses(400, "257 characters");
    host.post(&start("No%20pe"), "1").await.refuses(400, "functionName");
    host.post(&start("Nope?timeout=soon"), "1").await.refuses(400, "'timeout'");
    host.post(&start("Nope?timeout=1&pollingInterval=2"), "1").await.refuses(400, "'pollingInterval'");
    let long = format!("\"{}\"", "x".repeat(PAYLOAD_BYTES));
    host.post(&start("Nope"), &long).await.refuses(413, "at most 1000 bytes");
    host.close().await;
}

#[tokio::test]
async fn wrong_lists_are_refused_by_parameter() {
    let host = Host::open();
    for (query, name) in [
        ("top=0", "'top'"),
        ("top=many", "'top'"),
        ("showInput=perhaps", "'showInput'"),
        ("runtimeStatus=Asleep", "'runtimeStatus'"),
        ("createdTimeFrom=then", "'createdTimeFrom'"),
        ("top=1&top=2", "'top'"),
    ] {
        host.get(&format!("{BASE}/instances?{query}")).await.refuses(400, name);
    }
    let token = host.send("GET", &format!("{BASE}/instances"), &[("x-ms-continuation-token", "a/b")], "").await;
    token.refuses(400, "x-ms-continuation-token");
    host.close().await;
}

#[tokio::test]
async fn wrong_deployments_are_refused_and_change_nothing() {
    let host = Host::open();
    host.post("/admin/apps/junk", "this is not wasm").await.refuses(400, "not WebAssembly");
    host.post("/admin/apps/empty", "").await.refuses(400, "");
    host.post("/admin/apps/cut", "\0asm\u{1}\0\0\0\u{1}").await.refuses(400, "");
    host.post("/admin/apps/a%20b", "x").await.refuses(400, "'a b'");
    host.post("/admin/apps/big", &"x".repeat(10_001)).await.refuses(413, "at most 10000 bytes");
    host.get("/admin/apps").await.is(200, json!([]));
    host.close().await;
}

#[tokio::test]
async fn a_hub_that_has_too_many_requests_is_told_when_to_come_again() {
    let host = Host::of(KeyPolicy::NotRequired, HubLimits { requests_per_second: 2, ..HubLimits::default() });
    let none = format!("{BASE}/instances/none");
    host.get(&none).await.is_empty(404);
    host.get(&none).await.is_empty(404);
    let refused = host.get(&none).await;
    assert_eq!(refused.headers["retry-after"], "1");
    refused.refuses(429, "requests_per_second of the task hub 'TestHubName' is 2");
    host.get("/healthz").await.is(200, json!({ "status": "ok" }));
    host.close().await;
}

impl Host {
    /// The response, with nothing of its body read.
    async fn begin(&self, method: &str, path: &str, body: Body) -> axum::response::Response {
        let request = Request::builder().method(method).uri(path).header("host", "localhost:7071");
        self.router.clone().oneshot(request.body(body).unwrap()).await.unwrap()
    }
}

/// Streams of one hub that nobody reads slowed down all others.
#[tokio::test]
async fn a_hub_has_a_bound_of_streams() {
    let host = Host::of(KeyPolicy::NotRequired, HubLimits { event_streams: 2, ..HubLimits::default() });
    let events = format!("{BASE}/events");
    let open = [host.begin("GET", &events, Body::empty()).await, host.begin("GET", &events, Body::empty()).await];
    assert!(open.iter().all(|stream| stream.status() == StatusCode::OK));
    host.get(&events).await.refuses(429, "event_streams of the task hub is 2");
    drop(open);
    assert_eq!(host.begin("GET", &events, Body::empty()).await.status(), StatusCode::OK);
    host.close().await;
}

#[tokio::test]
async fn a_hub_has_at_most_half_of_the_connections() {
    let host = Host::open();
    let events = format!("{BASE}/events");
    let mut open = Vec::new();
    for _ in 0..CONNECTIONS / 2 {
        open.push(host.begin("GET", &events, Body::empty()).await);
    }
    let list = format!("{BASE}/instances");
    let refused = host.get(&list).await;
    assert_eq!(refused.headers["retry-after"], "1");
    refused.refuses(429, "http.connections");
    host.get(&format!("{list}?taskHub=Other-Hub")).await.is(200, json!([]));
    host.get("/healthz").await.is(200, json!({ "status": "ok" }));
    drop(open);
    host.get(&list).await.is(200, json!([]));
    host.close().await;
}

/// The host waited for the bodies of clients that have no key.
#[tokio::test]
async fn no_body_is_waited_for_of_who_may_not() {
    let host = Host::with(KeyPolicy::Required);
    let never = || Body::from_stream(futures::stream::pending::<Result<axum::body::Bytes, std::convert::Infallible>>());
    for (method, path) in [("POST", "orchestrators/F"), ("GET", "instances"), ("POST", "instances/i/raiseEvent/e")] {
        let refused = host.begin(method, &format!("{BASE}/{path}"), never()).await;
        assert_eq!(refused.status(), StatusCode::UNAUTHORIZED, "{path}");
    }
    host.close().await;
}

#[tokio::test]
async fn pages_of_other_sites_are_refused() {
    let host = Host::open();
    host.send("POST", &format!("{BASE}/orchestrators/F"), &[("origin", "https://evil.example")], "1")
        .await
        .refuses(403, "evil.example");
    host.send("GET", "/healthz", &[("origin", "http://localhost:7071")], "").await.is(200, json!({ "status": "ok" }));
    host.close().await;
}
