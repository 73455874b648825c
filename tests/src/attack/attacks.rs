//! All attacks.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Result;
use serde_json::{Value, json};

use super::attacker::{Attacker, Tally};
use super::{modules, requests};

/// One thing to try.
pub struct Attack {
    pub name: &'static str,
    pub what: &'static str,
    pub how: How,
}

pub enum How {
    /// Orchestrations of the app `fixture-hostile`, so many at once, again and again.
    Run { function: &'static str, input: fn() -> Value, at_once: usize, expected: Expected },
    /// A file that is deployed, again and again.
    Deploy { module: fn() -> Vec<u8>, expected: Expected },
    /// Requests, by so many players at once.
    Requests { play: Play, at_once: usize },
}

pub type Play = fn(Arc<Attacker>, Arc<Tally>, Instant) -> Pin<Box<dyn Future<Output = Result<()>> + Send>>;

/// What counts as held.
#[derive(Debug, Clone, Copy)]
pub enum Expected {
    /// It fails, and says this of it; or it goes on until it is ended.
    Failure(&'static str),
    /// The request is refused with this status, and says this.
    Refusal(u16, &'static str),
    /// It may end as it likes, but must not give this.
    NotThis(&'static str),
    /// It may end as it likes, as long as it is not the host that fails.
    Nothing,
}
use Expected::{Failure, NotThis, Nothing, Refusal};

const fn run(name: &'static str, what: &'static str, function: &'static str, input: fn() -> Value, expected: Expected) -> Attack {
    Attack { name, what, how: How::Run { function, input, at_once: 8, expected } }
}

const fn activity(name: &'static str, what: &'static str, input: fn() -> Value, expected: Expected) -> Attack {
    Attack { name, what, how: How::Run { function: "call_named", input, at_once: 32, expected } }
}

const fn deploy(name: &'static str, what: &'static str, module: fn() -> Vec<u8>, expected: Expected) -> Attack {
    Attack { name, what, how: How::Deploy { module, expected } }
}

const fn send(name: &'static str, what: &'static str, play: Play, at_once: usize) -> Attack {
    Attack { name, what, how: How::Requests { play, at_once } }
}

pub static ATTACKS: &[Attack] = &[
    // What an orchestrator or entity may compute.
    run("loop", "an orchestrator loops", "spin_orchestrator", || Value::Null, Failure("fuel")),
    run("loop-calling", "an orchestrator loops through dear calls of the host", "spin_calling", || Value::Null, Failure("fuel")),
    run("loop-continue", "an orchestration continues as new for ever", "continue_for_ever", || json!(0), Nothing),
    run(
        "loop-activities",
        "an orchestration calls activities for ever",
        "call_for_ever",
        || Value::Null,
        Failure("history_events"),
    ),
    run("loop-timers", "a timer that is always due", "tick_for_ever", || Value::Null, Failure("history_events")),
    run("loop-entity", "an operation of an entity loops", "poke", || json!("spin"), Failure("fuel")),
    run("memory", "an orchestrator wants all memory", "hoard_orchestrator", || Value::Null, Failure("memory")),
    run("memory-entity", "an entity keeps more than its state may be", "poke", || json!("grow"), Failure("")),
    run("stack", "an orchestrator never returns from a call", "dive_orchestrator", || Value::Null, Failure("stack")),
    // What it may say.
    run("actions", "activities without end in one turn", "flood_actions", || Value::Null, Failure("turn")),
    run("payloads", "few actions with all that they may carry", "flood_payloads", || Value::Null, Failure("")),
    run("timers", "thousands of timers, far away", "flood_timers", || json!(5_000), Nothing),
    run("multiply", "orchestrations that each start two more", "multiply", || json!(8), Nothing),
    run("children", "hundreds of children, each waited for", "breed", || json!(500), Nothing),
    run(
        "events",
        "an instance shouts at one that does not listen",
        "shout",
        || json!({ "instance_id": "deaf", "count": 20_000 }),
        Nothing,
    ),
    run("signals", "a signal to each of thousands of entities", "signal_many", || json!(2_000), Nothing),
    run("log", "an orchestrator logs without end", "flood_log", || Value::Null, Failure("")),
    run("custom-status", "a custom status that doubles", "flood_status", || Value::Null, Failure("16384")),
    run("disk", "histories that fill the disk", "fill", || json!(1 << 20), Nothing),
    // Activities.
    activity("busy-activities", "activities that loop", || json!(["spin_activity", null]), Failure("Timeout")),
    activity("memory-activities", "activities that want all memory", || json!(["hoard_activity", null]), Failure("memory")),
    activity("stack-activities", "activities that never return from a call", || json!(["dive_activity", null]), Failure("stack")),
    activity("log-activities", "activities that log without end", || json!(["flood_log_activity", null]), Failure("")),
    activity("output-activities", "outputs larger than a payload may be", || json!(["produce", 8 << 20]), Failure("allowed")),
    activity("read-passwd", "an activity reads the machine's files", || json!(["read", "/etc/passwd"]), NotThis("root:")),
    activity(
        "read-above",
        "an activity reads above what it was given",
        || json!(["read", "../../../../etc/passwd"]),
        NotThis("root:"),
    ),
    send("ssrf", "activities reach for addresses that are not theirs", requests::reach, 1),
    // Files.
    deploy("module-nested", "components in components, thousands deep", modules::nested, Refusal(400, "")),
    deploy("module-wide", "a hundred thousand types", modules::wide, Refusal(400, "")),
    deploy("module-slow", "a function that takes long to compile", modules::slow, Nothing),
    deploy("module-memory", "a memory of 4 GiB from the start", modules::memory, Refusal(400, "")),
    deploy("module-table", "a table of ten million elements", modules::table, Refusal(400, "")),
    deploy("module-start", "a start function that does not end", modules::start, Refusal(400, "fuel")),
    deploy("module-describe", "a list of functions that lies about its length", modules::describe, Refusal(400, "")),
    deploy("module-handle", "an orchestrator with forged handles of tasks", modules::forged, Nothing),
    deploy("module-junk", "bytes that begin like a module", modules::junk, Refusal(400, "")),
    // Requests.
    send("slow-heads", "heads that come byte by byte", requests::slow_heads, 200),
    send("slow-bodies", "bodies that come byte by byte", requests::slow_bodies, 200),
    send("connections", "more connections than one address may have", requests::connections, 5),
    send("requests", "requests as fast as they are answered", requests::flood, 16),
    send("large-bodies", "bodies larger than they may be", requests::large_bodies, 8),
    send("deep-json", "JSON that is very deep", requests::deep_json, 4),
    send("paths", "names and ids that mean something to a file system", requests::paths, 1),
    send("lists", "the dearest lists, again and again", requests::lists, 8),
    send("listeners", "streams of events that nobody reads", requests::listeners, 100),
];
