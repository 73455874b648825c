//! Host names of task hubs: which hub a request is for, by the name under which it reaches the host.

use dacapo_tests::host::{Answer, request_with};
use dacapo_tests::trigger_guest;
use serde_json::{Value, json};

use crate::access::{World, world};

const BASE: &str = "/runtime/webhooks/durabletask";

/// Two hubs with the same routes, each with a key of its own.
struct Two {
    world: World,
    blue: String,
    red: String,
}

fn http(route: &str, level: &str) -> String {
    json!([{ "type": "httpTrigger", "route": route, "authLevel": level }]).to_string()
}

fn two(arguments: &[&str]) -> Two {
    let world = world(arguments);
    let [blue, red] = ["blue", "red"].map(|hub| {
        world.make_hub(hub);
        let owner = world.make_key(hub, "owner", "administer");
        let (open, closed) = (http("open", "anonymous"), http("closed", "function"));
        let module = trigger_guest::module("echo", &[("open", &open), ("closed", &closed)]);
        assert_eq!(world.host.request_as(&owner, "POST", "/admin/apps/app", Some(&module)).unwrap().status, 200);
        owner
    });
    Two { world, blue, red }
}

/// The same, with host names: `blue.example` and `red.example`.
fn named(two: Two) -> Two {
    for hub in ["blue", "red"] {
        assert_eq!(two.name("PUT", hub, &format!("{hub}.example")).status, 204);
    }
    two
}

impl Two {
    fn name(&self, method: &str, hub: &str, name: &str) -> Answer {
        self.name_as(&self.world.root, method, hub, name)
    }

    fn name_as(&self, key: &str, method: &str, hub: &str, name: &str) -> Answer {
        self.world.send(key, method, &format!("/admin/hubs/{hub}/host-names/{name}"), Value::Null)
    }

    /// Sends a request under a name of the host.
    fn under(&self, host: &str, key: Option<&str>, method: &str, path: &str) -> Answer {
        let key = key.map(|key| ("x-functions-key", key));
        let headers: Vec<_> = [("host", host)].into_iter().chain(key).collect();
        request_with(method, &format!("{}{path}", self.world.host.url()), &headers, None).unwrap()
    }

    /// The hub in which a trigger has started the instance that its response names.
    #[track_caller]
    fn hub_of(&self, answer: &Answer) -> &'static str {
        assert_eq!(answer.status, 202, "{answer:?}");
        let is_in = |hub: &&str| {
            self.world.get(&self.world.root, &format!("{BASE}/instances/{}?taskHub={hub}&wait=60", answer.body)).status == 200
        };
        let hubs: Vec<&str> = ["blue", "red", "TestHubName"].into_iter().filter(is_in).collect();
        assert_eq!(hubs.len(), 1, "{hubs:?}");
        hubs[0]
    }
}

#[test]
fn a_host_name_leads_to_its_hub() {
    let two = named(two(&[]));
    assert_eq!(two.name("PUT", "blue", "*.blue.example").status, 204);
    for (host, hub) in [
        ("red.example", "red"),
        ("RED.Example:8080", "red"),
        ("red.example.", "red"),
        ("blue.example", "blue"),
        ("any.blue.example", "blue"),
    ] {
        assert_eq!(two.hub_of(&two.under(host, None, "GET", "/api/open")), hub, "{host}");
    }
    // Without such a name it is as before: the hub that is named, that of the key, or the default one.
    for host in ["localhost", "127.0.0.1:7071", "other.localhost"] {
        assert_eq!(two.under(host, None, "GET", "/api/open").status, 404, "{host}: the default hub has no such trigger");
        assert_eq!(two.hub_of(&two.under(host, Some(&two.blue), "GET", "/api/open")), "blue", "{host}");
        assert_eq!(two.hub_of(&two.under(host, None, "GET", "/api/open?taskHub=red")), "red", "{host}");
    }
    for host in ["a.any.blue.example", "example", "xred.example", "red.example.evil"] {
        assert_eq!(two.under(host, None, "GET", "/api/open").status, 403, "{host}: it is on a loopback address");
    }
    assert_eq!(two.hub_of(&two.under("red.example", None, "GET", "/api/open?taskHub=RED")), "red");
    for path in ["/api/open?taskHub=blue", "/api/open?taskHub=none", "/api/orchestrators/echo?taskHub=blue"] {
        let refused = two.under("red.example", Some(&two.blue), "POST", path);
        assert!(refused.status == 400 && refused.body.contains("'taskHub'"), "{path}: {refused:?}");
    }
}

#[test]
fn under_a_host_name_the_key_must_be_of_its_hub() {
    let two = named(two(&[]));
    let closed = |key| two.under("red.example", key, "GET", "/api/closed");
    assert_eq!(closed(None).status, 401);
    assert_eq!(closed(Some(&two.blue)).status, 403);
    assert_eq!(two.hub_of(&closed(Some(&two.red))), "red");
    assert_eq!(two.hub_of(&closed(Some(&two.world.root))), "red");
    let list = format!("{BASE}/instances");
    let listed = |host: &str, key: &str, query: &str| two.under(host, Some(key), "GET", &format!("{list}{query}"));
    let count = |answer: Answer| answer.json().as_array().unwrap().len();
    assert_eq!(count(listed("red.example", &two.world.root, "")), 2, "the rest of the API is under the name too");
    assert_eq!(count(listed("red.example", &two.red, "")), 2);
    assert_eq!(listed("red.example", &two.blue, "").status, 403);
    assert_eq!(count(listed("red.example", &two.blue, "?taskHub=blue")), 0, "its key decides over a hub that is named");
    assert_eq!(count(listed("localhost", &two.blue, "")), 0);
}

#[test]
fn links_that_are_made_under_a_host_name_work_there() {
    let two = named(two(&[]));
    for path in ["/api/orchestrators/echo", &format!("{BASE}/orchestrators/echo")] {
        let started = two.under("red.example", Some(&two.world.root), "POST", path);
        assert_eq!(started.status, 202, "{started:?}");
        let link = started.json()["statusQueryGetUri"].as_str().unwrap().to_owned();
        let path = link.strip_prefix("http://red.example").unwrap_or_else(|| panic!("{link}"));
        let status = two.under("red.example", None, "GET", &format!("{path}&wait=60"));
        assert_eq!((status.status, &status.json()["name"]), (200, &json!("echo")), "{link}: {status:?}");
        assert_eq!(two.under("blue.example", None, "GET", path).status, 200, "the link says which hub it is of");
    }
}

#[test]
fn a_proxy_passes_the_name_on_if_it_is_believed() {
    let forwarded = |two: &Two, name: &str| {
        let headers = [("host", "127.0.0.1:7071"), ("x-forwarded-host", name)];
        request_with("GET", &format!("{}/api/open", two.world.host.url()), &headers, None).unwrap()
    };
    let two = named(self::two(&["--set=http.use_forwarded_host=true"]));
    assert_eq!(two.hub_of(&forwarded(&two, "red.example:443, proxy.example")), "red");
    assert_eq!(forwarded(&two, "dacapo.example").status, 404, "the default hub has no such trigger");
    let headers = [("host", "evil.example"), ("x-forwarded-host", "red.example")];
    let rebound = request_with("GET", &format!("{}/api/open", two.world.host.url()), &headers, None).unwrap();
    assert_eq!(rebound.status, 403, "a page can send the header under any name that it points at this machine: {rebound:?}");
    let two = named(self::two(&[]));
    assert_eq!(forwarded(&two, "red.example").status, 404, "clients are not believed");
}

#[test]
fn a_hub_cannot_claim_a_host_name_or_a_route_of_another() {
    let two = two(&["--set=http.public_url=https://dacapo.example:8443/path"]);
    assert_eq!(two.name("PUT", "red", "red.example").status, 204);
    // Its own key gives it none, not even a free one, and takes none from another.
    for (method, hub, name) in [
        ("PUT", "blue", "free.example"),
        ("PUT", "blue", "red.example"),
        ("PUT", "red", "x.example"),
        ("DELETE", "red", "red.example"),
    ] {
        let refused = two.name_as(&two.blue, method, hub, name);
        assert_eq!(refused.status, 403, "{method} {hub} {name}: {refused:?}");
        assert!(!refused.body.contains("red"), "it says nothing of another hub: {refused:?}");
    }
    let grant = two.world.send(&two.blue, "PATCH", "/admin/hubs/blue", json!({ "hostNames": ["red.example"] }));
    assert_eq!(grant.status, 403, "{grant:?}");
    // Nor is it given one of another, or of the host, by mistake.
    for name in ["red.example", "RED.EXAMPLE"] {
        let taken = two.name("PUT", "blue", name);
        assert!(taken.status == 409 && taken.body.contains("'red.example'") && taken.body.contains("'red'"), "{taken:?}");
    }
    for own in ["localhost", "dacapo.example"] {
        let refused = two.name("PUT", "blue", own);
        assert!(refused.status == 400 && refused.body.contains("the host itself"), "{refused:?}");
    }
    // An app that claims every path serves none of them under the name of another hub, and none of the host's own.
    let module = trigger_guest::module("all_echo", &[("all", &http("{*path}", "anonymous"))]);
    let module = dacapo_wasm::Manifest::attach(br#"{"http":{"routePrefix":""}}"#, &module).unwrap();
    assert_eq!(two.world.host.request_as(&two.blue, "POST", "/admin/apps/all", Some(&module)).unwrap().status, 200);
    assert_eq!(two.hub_of(&two.under("red.example", None, "GET", "/api/open")), "red");
    for path in ["/api/other", "/any/where", "/"] {
        assert_eq!(two.under("red.example", Some(&two.blue), "GET", path).status, 404, "{path}");
        assert_eq!(two.under("red.example", Some(&two.blue), "GET", &format!("{path}?taskHub=blue")).status, 400, "{path}");
    }
    assert_eq!(two.name("PUT", "blue", "blue.example").status, 204);
    for own in ["/admin/hubs", &format!("{BASE}/instances"), "/runtime/else"] {
        assert_ne!(two.under("blue.example", None, "GET", own).status, 202, "{own}");
    }
    let audit = two.world.get(&two.world.root, "/admin/audit").json();
    let denied = audit.as_array().unwrap().iter().filter(|line| line["denied"] == true);
    assert!(denied.clone().any(|line| line["action"] == "addHostName"), "{audit}");
}

#[test]
fn host_names_are_kept_shown_and_freed() {
    let mut two = named(two(&[]));
    let shown = |two: &Two, hub: &str| two.world.get(&two.world.root, &format!("/admin/hubs/{hub}")).json()["hostNames"].clone();
    assert_eq!(two.name("PUT", "red", "Shop.Example").status, 204);
    assert_eq!(two.name("PUT", "red", "shop.example").status, 204, "it has it already");
    two.world.host.restart().unwrap();
    assert_eq!(shown(&two, "red"), json!(["red.example", "shop.example"]));
    assert_eq!(two.hub_of(&two.under("shop.example", None, "GET", "/api/open")), "red");
    assert_eq!(two.name("DELETE", "red", "SHOP.example").status, 204);
    assert_eq!(two.under("shop.example", None, "GET", "/api/open").status, 403);
    let again = two.name("DELETE", "red", "shop.example");
    assert!(again.status == 404 && again.body.contains("'shop.example'"), "{again:?}");
    assert_eq!(two.world.send(&two.world.root, "DELETE", "/admin/hubs/red", Value::Null).status, 204);
    assert_eq!(two.under("red.example", None, "GET", "/api/open").status, 403);
    two.world.make_hub("red");
    assert_eq!(shown(&two, "red"), json!([]), "a new hub of the name has none of the old one's");
    assert_eq!(two.name("PUT", "blue", "red.example").status, 204);
    assert_eq!(two.hub_of(&two.under("red.example", None, "GET", "/api/open")), "blue");
    let audit = two.world.get(&two.world.root, "/admin/audit?hub=red").json();
    let lines = audit.as_array().unwrap().iter();
    let told: Vec<_> = lines.map(|line| (line["action"].as_str().unwrap(), &line["details"]["hostName"])).collect();
    assert!(told.contains(&("hostName.add", &json!("shop.example"))), "{audit}");
    assert!(told.contains(&("hostName.remove", &json!("shop.example"))), "{audit}");
}
