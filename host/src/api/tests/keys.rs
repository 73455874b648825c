//! Keys: every route asks for one, and each opens what its role and its hub allow, and nothing else.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{Answer, BASE, Host};
use crate::access::KeyPolicy;
use crate::access::{KeyText, Needs, Role, Scope, create_key};
use crate::api::request::parameter::PATH_PARAMETERS;
use crate::api::request::route::{Group, Route};
use crate::api::table::GROUPS;

impl Host {
    fn key(&self, scope: Scope, name: &str, role: Role) -> KeyText {
        create_key(self.access.control(), scope, name, role, "test").unwrap()
    }

    async fn send_as(&self, key: &str, method: &str, path: &str, body: &str) -> Answer {
        self.send(method, path, &[("x-functions-key", key), ("content-type", "application/json")], body).await
    }

    async fn get_as(&self, key: &str, path: &str) -> Answer {
        self.send_as(key, "GET", path, "").await
    }
}

fn hub(name: &str) -> Scope {
    Scope::Hub(name.into())
}

/// A request of each route, for the hub `TestHubName` where it names one.
fn requests() -> impl Iterator<Item = (&'static Route, String)> {
    let path = |group: &Group, route: &Route| {
        let base = if group.bases[0].is_empty() { String::new() } else { format!("/{}", group.bases[0]) };
        let path = PATH_PARAMETERS
            .iter()
            .fold(format!("{base}/{}", route.pattern), |path, about| path.replace(&format!("{{{}}}", about.name), about.example));
        let names_hub = group.parameters.iter().chain(route.parameters).any(|about| about.name == "taskHub");
        if names_hub { format!("{path}?taskHub=TestHubName") } else { path }
    };
    GROUPS.iter().flat_map(move |group| group.routes.iter().map(move |route| (route, path(group, route))))
}

#[tokio::test]
async fn every_route_but_that_for_health_needs_a_key() {
    let host = Host::with(KeyPolicy::Required);
    let unknown = format!("dcp_{}", "A".repeat(43));
    let mut open = Vec::new();
    for (route, path) in requests() {
        let method = route.method.as_str();
        let answer = host.send(method, &path, &[], "").await;
        if answer.status == 200 {
            open.push(route.operation);
            continue;
        }
        answer.refuses(401, "a key is needed");
        assert_eq!(answer.headers["www-authenticate"], "Bearer");
        host.send_as(&unknown, method, &path, "").await.refuses(401, "not known");
    }
    assert_eq!(open, ["health"]);
    host.close().await;
}

/// Whoever has no key cannot have the host open one hub after the other quickly, nor learn which there are.
#[tokio::test]
async fn without_a_key_hubs_are_opened_slowly() {
    let host = Host::with(KeyPolicy::Required);
    let ask = async |hub: &str| host.send("GET", &format!("/api/some?taskHub={hub}"), &[], "").await.is_empty(404);
    let begin = Instant::now();
    for number in 0..60 {
        ask(&format!("guess-{number}")).await;
    }
    assert!(begin.elapsed() > Duration::from_secs(1), "twenty at once, and then twenty a second");
    for hub in ["TestHubName", "other-hub", "guess-0"] {
        ask(hub).await;
    }
    host.close().await;
}

#[tokio::test]
async fn each_route_asks_for_its_role() {
    let host = Host::with(KeyPolicy::Required);
    for scope in [hub("TestHubName"), hub("Other-Hub"), Scope::Host] {
        for role in Role::ALL {
            let key = host.key(scope.clone(), role.name(), role);
            for (route, path) in requests() {
                let may = match route.needs {
                    Needs::Nothing | Needs::Key => true,
                    Needs::Hub(needs) | Needs::Instance(needs) => {
                        // The audit log of the key's own hub is meant if none is named.
                        let own = route.operation == "audit";
                        (own || scope.covers("TestHubName")) && role >= needs
                    }
                    Needs::Host(needs) => scope == Scope::Host && role >= needs,
                };
                // Authorised requests fail for another reason: the bodies are empty and nothing exists.
                let destroys = ["deleteHub", "revokeHubKey", "revokeHostKey"].contains(&route.operation);
                if may && (destroys || route.operation.starts_with("follow")) {
                    continue;
                }
                let answer = host.send_as(key.as_str(), route.method.as_str(), &path, "").await;
                let refused = matches!(answer.status.as_u16(), 401 | 403);
                assert_eq!(refused, !may, "{} as {role} of {scope}: {}", route.operation, answer.body);
            }
        }
    }
    host.close().await;
}

#[tokio::test]
async fn a_key_tells_nothing_of_other_hubs() {
    let host = Host::with(KeyPolicy::Required);
    let key = host.key(hub("TestHubName"), "k", Role::Administer);
    let there = |name: &str| {
        [
            format!("{BASE}/instances?taskHub={name}"),
            format!("{BASE}/instances/i?taskHub={name}"),
            format!("/admin/apps?taskHub={name}"),
            format!("/admin/hubs/{name}"),
            format!("/admin/hubs/{name}/keys"),
            format!("/admin/hubs/{name}/limits"),
            format!("/admin/audit?hub={name}"),
        ]
    };
    for (foreign, missing) in there("Other-Hub").iter().zip(there("Nowhere-1")) {
        let (foreign, missing) = (host.get_as(key.as_str(), foreign).await, host.get_as(key.as_str(), &missing).await);
        foreign.refuses(403, "opens nothing else");
        assert_eq!((foreign.status, foreign.body), (missing.status, missing.body));
    }
    let root = host.key(Scope::Host, "root", Role::Read);
    host.get_as(root.as_str(), &format!("{BASE}/instances?taskHub=Nowhere-1")).await.refuses(404, "Nowhere-1");
    host.close().await;
}

#[tokio::test]
async fn a_request_without_a_hub_is_for_that_of_its_key() {
    let host = Host::with(KeyPolicy::Required);
    let key = host.key(hub("other-hub"), "k", Role::Read);
    host.get_as(key.as_str(), &format!("{BASE}/instances")).await.is(200, json!([]));
    host.get_as(key.as_str(), &format!("{BASE}/instances?taskHub=OTHER-HUB")).await.is(200, json!([]));
    host.get_as(key.as_str(), &format!("{BASE}/instances?taskHub=TestHubName")).await.refuses(403, "opens nothing else");
    host.close().await;
}

#[tokio::test]
async fn a_key_may_stand_in_three_places_if_it_is_one() {
    let host = Host::with(KeyPolicy::Required);
    let (key, other) = (host.key(Scope::Host, "one", Role::Read), host.key(Scope::Host, "two", Role::Read));
    let (key, other) = (key.as_str(), other.as_str());
    let (bearer, spelled) = (format!("Bearer {key}"), format!("bEARER   {key}"));
    let list =
        async |query: &str, headers: &[(&str, &str)]| host.send("GET", &format!("/admin/limits{query}"), headers, "").await;
    let in_query = format!("?code={key}");
    for (query, headers) in [
        (in_query.as_str(), &[][..]),
        (&in_query.replace("code", "CODE"), &[]),
        ("", &[("x-functions-key", key)]),
        ("", &[("X-Functions-Key", key), ("authorization", "Basic abc")]),
        ("", &[("authorization", &bearer)]),
        ("", &[("authorization", &spelled)]),
        ("?code=", &[("x-functions-key", key)]),
        (&in_query, &[("x-functions-key", key), ("authorization", &bearer)]),
    ] {
        assert_eq!(list(query, headers).await.status, 200, "{query} {headers:?}");
    }
    let twice = format!("{in_query}&code={other}");
    for (query, headers) in [
        (twice.as_str(), &[][..]),
        (&in_query, &[("x-functions-key", other)]),
        ("", &[("x-functions-key", key), ("x-functions-key", other)]),
        ("", &[("x-functions-key", other), ("authorization", &bearer)]),
    ] {
        list(query, headers).await.refuses(400, "more than one key");
    }
    for headers in [&[("authorization", key)][..], &[("authorization", "Basic abc")]] {
        list("", headers).await.refuses(401, "a key is needed");
    }
    host.close().await;
}

#[tokio::test]
async fn administrators_make_hubs_keys_and_secrets() {
    let host = Host::with(KeyPolicy::Required);
    let root = host.key(Scope::Host, "root", Role::Administer);
    let send = async |method: &str, path: &str, body: Value| host.send_as(root.as_str(), method, path, &body.to_string()).await;
    let made = send("POST", "/admin/hubs", json!({ "name": "Acme", "limits": { "apps": 3 } })).await;
    assert_eq!(made.status, 201, "{}", made.body);
    send("POST", "/admin/hubs", json!({ "name": "aCME" })).await.refuses(409, "'aCME'");
    let changed =
        send("PATCH", "/admin/hubs/acme", json!({ "limits": { "versions": 2, "apps": null }, "suspended": "unpaid" })).await;
    let body: Value = serde_json::from_str(&changed.body).unwrap();
    assert_eq!(
        (&body["name"], &body["limits"], &body["suspended"]),
        (&json!("Acme"), &json!({ "versions": 2 }), &json!("unpaid"))
    );

    let made = send("POST", "/admin/hubs/acme/keys", json!({ "name": "owner", "role": "administer" })).await;
    let owner: Value = serde_json::from_str(&made.body).unwrap();
    assert_eq!((made.status.as_u16(), &owner["hub"], &owner["role"]), (201, &json!("Acme"), &json!("administer")));
    let owner = owner["key"].as_str().unwrap();
    send("POST", "/admin/hubs/Acme/keys", json!({ "name": "OWNER", "role": "read" })).await.refuses(409, "'OWNER'");
    host.get_as(owner, &format!("{BASE}/instances")).await.refuses(403, "unpaid");
    send("PATCH", "/admin/hubs/Acme", json!({ "suspended": null })).await;
    host.get_as(owner, &format!("{BASE}/instances")).await.is(200, json!([]));

    let limits = host.get_as(owner, "/admin/hubs/Acme/limits").await;
    let limits: Vec<Value> = serde_json::from_str(&limits.body).unwrap();
    let versions = limits.iter().find(|limit| limit["name"] == "versions").unwrap();
    assert_eq!((&versions["value"], &versions["default"]), (&json!(2), &json!(50)));

    let secret = "/admin/hubs/Acme/secrets/token";
    host.send_as(owner, "PUT", secret, "s3cr3t").await.is_empty(204);
    host.get_as(owner, "/admin/hubs/Acme/secrets").await.is(200, json!(["token"]));
    host.get_as(owner, secret).await.is_empty(404);
    host.send_as(owner, "DELETE", secret, "").await.is_empty(204);
    host.send_as(owner, "DELETE", secret, "").await.refuses(404, "'token'");

    host.send_as(owner, "DELETE", "/admin/hubs/Acme/keys/Owner", "").await.is_empty(204);
    host.get_as(owner, &format!("{BASE}/instances")).await.refuses(401, "not known");
    host.send_as(root.as_str(), "DELETE", "/admin/hubs/ACME/keys/owner", "").await.refuses(404, "'owner'");

    host.send_as(root.as_str(), "DELETE", "/admin/hubs/acme", "").await.is_empty(204);
    host.get_as(root.as_str(), "/admin/hubs/acme").await.refuses(404, "acme");
    let log = host.get_as(root.as_str(), "/admin/audit?hub=acme").await;
    let log: Vec<Value> = serde_json::from_str(&log.body).unwrap();
    let told: Vec<_> = log.iter().rev().map(|line| (line["actor"].as_str().unwrap(), line["action"].as_str().unwrap())).collect();
    let expected = [
        ("*/root", "hub.create"),
        ("*/root", "hub.change"),
        ("*/root", "key.create"),
        ("*/root", "hub.change"),
        ("Acme/owner", "secret.set"),
        ("Acme/owner", "secret.delete"),
        ("Acme/owner", "key.revoke"),
        ("*/root", "hub.delete"),
    ];
    assert_eq!(told, expected);
    assert!(!format!("{log:?}").contains("s3cr3t") && !format!("{log:?}").contains("dcp_"), "{log:?}");
    host.close().await;
}

#[tokio::test]
async fn lists_of_hubs_and_of_the_log_go_on_after_a_page() {
    let host = Host::with(KeyPolicy::NotRequired);
    for n in 0..5 {
        let made = host.post("/admin/hubs", &json!({ "name": format!("h{n}") }).to_string()).await;
        assert_eq!(made.status, 201, "{}", made.body);
    }
    for (path, member, expected) in [("/admin/hubs?top=3", "name", 7), ("/admin/audit?top=3", "number", 7)] {
        let (mut seen, mut token) = (Vec::new(), None::<String>);
        loop {
            let headers: Vec<_> = token.iter().map(|token| ("x-ms-continuation-token", token.as_str())).collect();
            let page = host.send("GET", path, &headers, "").await;
            let items: Vec<Value> = serde_json::from_str(&page.body).unwrap();
            seen.extend(items.iter().map(|item| item[member].to_string()));
            token = page.headers.get("x-ms-continuation-token").map(|token| token.to_str().unwrap().to_owned());
            if token.is_none() {
                break;
            }
        }
        let count = seen.len();
        seen.sort();
        seen.dedup();
        assert_eq!((seen.len(), count), (expected, expected), "{path}: {seen:?}");
    }
    host.close().await;
}
