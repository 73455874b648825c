//! Entities.

use dacapo_tests::host::Host;

use super::Cli;
use super::canned::{Canned, check, json as canned};

#[test]
fn signals_go_to_the_entity_that_was_named() {
    let add = "POST entities/counter/total?op=add 5";
    for named in [&["@counter@total"][..], &["counter", "total"], &["--entity", "@counter@total"]] {
        let line = [&["signal-entity", "--operation", "add", "--input", "5"], named].concat();
        check(&line, &[(add, canned(202, ""))], 0, "Signaled operation 'add' to entity '@counter@total'.");
    }
    let later = "POST entities/counter/%24?op=reset&deliverAt=2026-01-31T12%3A00%3A00.000000Z null";
    let line = ["signal-entity", "@counter@", "--operation", "reset", "--at", "2026-01-31T12:00:00Z"];
    check(&line, &[(later, canned(202, ""))], 0, "It runs at");
    check(&["signal-entity", "counter", "--operation", "add"], &[], 2, "@counter@total");
    let unknown = canned(400, r#"{"Message":"The entity function 'x' doesn't exist"}"#);
    check(&["signal-entity", "@x@y", "--operation", "add"], &[("POST entities/x/y?op=add null", unknown)], 1, "doesn't exist");
}

#[test]
fn states_and_lists_are_shown() {
    check(
        &["get-entity", "counter", "total"],
        &[("GET entities/counter/total", canned(200, r#"{"count":5}"#))],
        0,
        r#"{"count":5}"#,
    );
    check(&["get-entity", "@counter@x"], &[("GET entities/counter/x", canned(404, ""))], 3, "'@counter@x' has no state");
    let page = Canned {
        headers: &[("x-ms-continuation-token", "t")],
        ..canned(
            200,
            r#"[{"entityId":{"name":"counter","key":"total"},"lastOperationTime":"2026-01-31T12:00:00Z","state":{"count":5}}]"#,
        )
    };
    let list = "GET entities/counter?fetchState=true&top=1";
    let line = ["list-entities", "--entity-name", "counter", "--show-state", "--top", "1"];
    check(&line, &[(list, page.clone())], 0, r#"{"count":5}"#);
    check(&line, &[(list, page)], 0, "Continuation token for next set of results: 't'");
    check(&["list-entities", "--all"], &[("GET entities?fetchState=false&top=1000", canned(200, "[]"))], 0, "No entities.");
}

#[test]
fn a_counter_counts() {
    let (host, _directory) = Host::temporary(&[]).unwrap();
    host.deploy_guest("example-counter").unwrap();
    let cli = Cli::of(&host);
    assert!(cli.fails(3, &["get-entity", "@counter@total"]).contains("@counter@total"));
    for amount in ["5", "-2"] {
        cli.ok(&["signal-entity", "@counter@total", "--operation", "add", "--input", amount]);
    }
    // A signal is acknowledged when it is durable, which may be before it has run.
    let listed = || cli.json(&["list-entities", "--entity-name", "counter", "--show-state"]);
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
    while listed()[0]["state"].is_null() && std::time::Instant::now() < deadline {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let state = cli.ok(&["get-entity", "counter", "total"]);
    assert!(state.contains('3'), "{state}");
    assert!(cli.ok(&["list-entities"]).contains("total"));
    assert!(cli.ok(&["get-instances", "--id-prefix", "@"]).contains("@counter@total"));
    assert!(cli.ok(&["purge-history", "@counter@total"]).contains("Instances deleted: 1"));
    assert!(cli.fails(3, &["get-entity", "counter", "total"]).contains("no state"));
}
