//! The address for programs without a key: it opens one hub with one role, to programs only.

use serde_json::Value;

use super::{Answer, Host};
use crate::access::{KeyPolicy, Role};
use crate::api::rpc_router;

/// A request over that address, which opens the hub `Other-Hub`.
async fn send(host: &Host, role: Role, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
    let router = rpc_router(&host.router, "Other-Hub", role);
    Host::send_to(&router, method, path, headers, "").await
}

#[tokio::test]
async fn one_hub_is_open_for_one_role() {
    for key_policy in [KeyPolicy::Required, KeyPolicy::NotRequired] {
        let host = Host::with(key_policy);
        let operates = |method, path| send(&host, Role::Operate, method, path, &[]);
        operates("GET", "/durabletask/instances").await.is(200, serde_json::json!([]));
        operates("GET", "/durabletask/instances?taskHub=other-hub").await.is(200, serde_json::json!([]));
        operates("POST", "/durabletask/instances/none/terminate?reason=x").await.is_empty(404);
        // The hub that is meant is the address's own, also where the host's default one is another.
        operates("POST", "/durabletask/orchestrators/Nope").await.refuses(400, "'Nope'");
        let elsewhere = operates("GET", "/durabletask/instances?taskHub=TestHubName").await;
        elsewhere.refuses(403, "Other-Hub");
        assert!(!elsewhere.body.contains("TestHubName"), "{}", elsewhere.body);
        operates("GET", "/durabletask/instances?taskHub=Nowhere").await.refuses(403, "Other-Hub");
        operates("POST", "/admin/apps/app").await.refuses(403, "needs the role deploy");
        operates("POST", "/admin/hubs").await.refuses(403, "");
        operates("GET", "/admin/hubs/Other-Hub/keys").await.refuses(403, "");

        let reads = |method, path| send(&host, Role::Read, method, path, &[]);
        reads("GET", "/durabletask/instances").await.is(200, serde_json::json!([]));
        reads("POST", "/durabletask/instances/none/terminate").await.refuses(403, "needs the role operate");
        host.close().await;
    }
}

/// Clients send the system key of a Functions host, or none. Neither is one of this host.
#[tokio::test]
async fn what_is_sent_as_a_key_opens_nothing_more_and_nothing_less() {
    let host = Host::with(KeyPolicy::Required);
    let root = host.access.first_key(&crate::access::FirstKey::Printed).unwrap().expect("there was none");
    for key in ["a-system-key", root.as_str()] {
        let headers = [("x-functions-key", key)];
        send(&host, Role::Operate, "GET", "/durabletask/instances", &headers).await.is(200, Value::Array(Vec::new()));
        send(&host, Role::Operate, "POST", "/admin/hubs", &headers).await.refuses(403, "");
    }
    host.close().await;
}

#[tokio::test]
async fn no_web_page_passes() {
    let host = Host::with(KeyPolicy::Required);
    for header in [("origin", "http://localhost:7071"), ("origin", "https://evil.example"), ("sec-fetch-site", "cross-site")] {
        send(&host, Role::Operate, "GET", "/durabletask/instances", &[header]).await.refuses(403, "not for browsers");
    }
    host.close().await;
}
