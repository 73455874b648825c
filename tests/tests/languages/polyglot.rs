//! The print shop of `examples/polyglot`: one hub, four languages, and a counter that all of them use.

use dacapo_tests::host::Host;
use dacapo_tests::languages::{self, Language};
use serde_json::{Value, json};

fn shop() -> (Host, tempfile::TempDir) {
    let (host, directory) = Host::temporary(&[]).unwrap();
    for (part, language) in [("typescript", Language::JavaScript), ("python", Language::Python), ("go", Language::Go)] {
        let built = languages::build(language, &format!("examples/polyglot/{part}")).unwrap_or_else(|why| panic!("{why:#}"));
        host.deploy(part, &std::fs::read(built).unwrap()).unwrap();
    }
    host.deploy_guest("example-polyglot-rust").unwrap();
    (host, directory)
}

fn odometer(host: &Host) -> Value {
    host.manage("GET", "entities/Odometer/press-1", None).unwrap().json()["sheets"].clone()
}

/// Concurrent orders, during which the host is killed. No sheet is lost or counted twice.
#[test]
fn orders_go_through_four_languages_and_share_a_counter() {
    const ORDERS: usize = 12;
    let (mut host, _directory) = shop();
    let order = json!({ "customer": "Ada", "text": "Once upon a time", "copies": 120 });
    let printed = host.output("print_order", order);
    assert_eq!(printed, json!({ "customer": "Ada", "pages": 1, "cents": 472, "sheets": 120, "odometer": 120 }));
    host.output("test_print", json!("press-1"));
    assert_eq!(odometer(&host), 121);

    let small = |number| json!({ "customer": format!("customer {number}"), "text": "A", "copies": 7 });
    let ids: Vec<String> = (0..ORDERS).map(|number| host.start_new("print_order", small(number)).unwrap()).collect();
    host.restart().unwrap();
    for id in ids {
        let status = host.wait(&id).unwrap();
        assert_eq!(status["runtimeStatus"], "Completed", "{status}\n{}", host.log());
    }
    assert_eq!(odometer(&host), 121 + 7 * ORDERS);
    host.output("close_day", json!("press-1"));
    assert_eq!(odometer(&host), 0);
}
