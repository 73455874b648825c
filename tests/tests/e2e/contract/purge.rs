//! Purging instances.

use serde_json::json;

use super::{Contract, STATES, is_empty, is_json, refuses, says};

#[test]
fn one_is_purged_once_it_has_ended() {
    let contract = Contract::open(&[]);
    for state in STATES {
        let path = format!("instances/{}", contract.instance(state));
        let answer = contract.delete(&path);
        if ["Completed", "Failed", "Terminated"].contains(&state) {
            is_json(&answer, 200, json!({ "instancesDeleted": 1 }));
            is_empty(&contract.get(&path), 404);
            is_empty(&contract.delete(&path), 404);
        } else {
            let parts = ["Only orchestrations in a terminal state can be purged", &format!("has status {state}")];
            says(&answer, 412, &parts);
            assert_eq!(contract.get(&path).json()["runtimeStatus"], state);
        }
    }
}

#[test]
fn many_are_purged_by_filter() {
    let contract = Contract::open(&[]);
    for state in STATES {
        contract.instance(state);
    }
    let purge = |query: &str| contract.delete(&format!("instances?{query}"));
    is_json(&purge("runtimeStatus=Failed"), 400, json!("Please provide value for 'createdTimeFrom' parameter."));
    is_json(&purge("createdTimeFrom="), 400, json!("Please provide value for 'createdTimeFrom' parameter."));
    refuses(&purge("createdTimeFrom=then"), 400, "'createdTimeFrom'");
    is_empty(&purge("createdTimeFrom=2100-01-01T00:00:00Z"), 404);
    is_empty(&purge("createdTimeFrom=2000-01-01T00:00:00Z&createdTimeTo=2001-01-01T00:00:00Z"), 404);
    is_empty(&purge("createdTimeFrom=2000-01-01T00:00:00Z&instanceIdPrefix=nobody"), 404);
    is_json(&purge("createdTimeFrom=2000-01-01T00:00:00Z&runtimeStatus=Failed"), 200, json!({ "instancesDeleted": 1 }));
    is_json(&purge("createdTimeFrom=2000-01-01T00:00:00Z"), 200, json!({ "instancesDeleted": 2 }));
    is_empty(&purge("createdTimeFrom=2000-01-01T00:00:00Z"), 404);
    assert_eq!(contract.get("instances").json().as_array().unwrap().len(), 3, "those that are alive are left");
}
