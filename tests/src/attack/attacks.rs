//! The table of all attacks.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Result;
use serde_json::{Value, json};

use super::attacker::{Attacker, Tally};
use super::{floods, keys, modules, paths, reach, secrets, smuggling, triggers};

/// Attacks of one kind.
pub struct Group {
    pub name: &'static str,
    pub attacks: &'static [Attack],
}

/// One attack.
pub struct Attack {
    pub name: &'static str,
    pub what: &'static str,
    pub how: How,
    /// Limits of the attacker's hub for this attack, most of them lower than usual.
    pub limits: &'static [(&'static str, u64)],
}

pub enum How {
    /// Orchestrations of the attacker's app, `at_once` at a time, repeatedly.
    Run { function: &'static str, input: fn() -> Value, at_once: usize, expected: Expected },
    /// A file that is deployed repeatedly.
    Deploy { module: fn() -> Vec<u8>, expected: Expected },
    /// Requests of any kind, by `at_once` players at a time.
    Requests { play: Play, at_once: usize },
}

pub type Play = fn(Arc<Attacker>, Arc<Tally>, Instant) -> Played;
pub type Played = Pin<Box<dyn Future<Output = Result<()>> + Send>>;

/// The result with which an attack counts as held.
#[derive(Debug, Clone, Copy)]
pub enum Expected {
    /// The orchestration fails with a message that contains this.
    Failure(&'static str),
    /// The request is refused with this status and a message that contains this.
    Refusal(u16, &'static str),
    /// The attack ends only with its hub, or succeeds harmlessly: only the effect on the host matters.
    GoesOn,
}
use Expected::{Failure, GoesOn, Refusal};

impl Attack {
    const fn limited(self, limits: &'static [(&'static str, u64)]) -> Self {
        Self { limits, ..self }
    }
}

const fn new(name: &'static str, what: &'static str, how: How) -> Attack {
    Attack { name, what, how, limits: &[] }
}

const fn run(name: &'static str, what: &'static str, function: &'static str, input: fn() -> Value, expected: Expected) -> Attack {
    new(name, what, How::Run { function, input, at_once: 8, expected })
}

const fn activity(name: &'static str, what: &'static str, input: fn() -> Value, expected: Expected) -> Attack {
    new(name, what, How::Run { function: "call_named", input, at_once: 32, expected })
}

const fn deploy(name: &'static str, what: &'static str, module: fn() -> Vec<u8>, expected: Expected) -> Attack {
    new(name, what, How::Deploy { module, expected })
}

const fn send(name: &'static str, what: &'static str, play: Play, at_once: usize) -> Attack {
    new(name, what, How::Requests { play, at_once })
}

pub static GROUPS: &[Group] = &[
    Group { name: "computing", attacks: COMPUTING },
    Group { name: "saying", attacks: SAYING },
    Group { name: "activities", attacks: ACTIVITIES },
    Group { name: "modules", attacks: MODULES },
    Group { name: "connections", attacks: CONNECTIONS },
    Group { name: "requests", attacks: REQUESTS },
    Group { name: "reaching", attacks: REACHING },
    Group { name: "stealing", attacks: STEALING },
    Group { name: "triggers", attacks: TRIGGERS },
];

/// What orchestrators and entities compute.
const COMPUTING: &[Attack] = &[
    run("loop", "an orchestrator loops", "spin_orchestrator", || Value::Null, Failure("fuel")),
    run("loop-calling", "an orchestrator loops through expensive host calls", "spin_calling", || Value::Null, Failure("fuel")),
    run("loop-pages", "an orchestrator touches new pages", "touch_pages", || json!(6_000), GoesOn),
    run(
        "loop-fills",
        "an orchestrator fills its memory, each time with one instruction",
        "fill_memory",
        || json!(20 << 20),
        Failure("fuel"),
    ),
    run("loop-clocks", "an orchestrator loops through clocks and random numbers", "read_clocks", || Value::Null, Failure("fuel")),
    run("loop-continue", "an orchestration continues as new for ever", "continue_for_ever", || json!(0), GoesOn),
    run(
        "loop-activities",
        "an orchestration calls activities for ever",
        "call_for_ever",
        || Value::Null,
        Failure("history_events"),
    ),
    run("loop-timers", "a timer that is always due", "tick_for_ever", || Value::Null, Failure("history_events")),
    run("loop-entity", "an operation of an entity loops", "poke", || json!("spin"), Failure("fuel")),
    run("slow-entity", "an entity has hundreds of slow operations queued", "burden", || json!(900), GoesOn),
    run("memory", "an orchestrator allocates all memory", "hoard_orchestrator", || Value::Null, Failure("memory")),
    run("memory-entity", "an entity exceeds the limit of its state", "poke", || json!("grow"), Failure("are allowed")),
    run("stack", "an orchestrator recurses without end", "dive_orchestrator", || Value::Null, Failure("stack")),
    send("objects", "endless garbage-collected objects, endless collections, exceptions", modules::objects, 1)
        .limited(&[("orchestrator_memory_bytes", 4 << 20), ("fuel_per_turn", 50_000_000)]),
    send("task-handles", "task handles that are forged, dropped, or another instance's", modules::handles, 1),
];

/// What orchestrators output.
const SAYING: &[Attack] = &[
    run("actions", "endless activities in one turn", "flood_actions", || Value::Null, Failure("turn"))
        .limited(&[("actions_per_turn", 10_000)]),
    run("payloads", "few actions with the largest payloads", "flood_payloads", || Value::Null, Failure("bytes in one turn"))
        .limited(&[("action_bytes_per_turn", 4 << 20)]),
    run("timers", "thousands of timers in the far future", "flood_timers", || json!(5_000), Failure("history_events")),
    run("multiply", "orchestrations that each start two more", "multiply", || json!(8), GoesOn),
    run("children", "hundreds of children, each waited for", "breed", || json!(300), GoesOn),
    run(
        "events",
        "an instance floods one that does not listen with events",
        "shout",
        || json!({ "instance_id": "deaf", "count": 20_000 }),
        GoesOn,
    ),
    run("signals", "a signal to each of hundreds of entities", "signal_many", || json!(500), GoesOn),
    run("log", "an orchestrator logs endlessly", "flood_log", || Value::Null, Failure("fuel")),
    run("custom-status", "a custom status that doubles", "flood_status", || Value::Null, Failure("16384")),
    send("inbox", "events of one megabyte for a suspended instance", floods::fill_inbox, 4),
    send("disk", "histories that fill the disk", floods::fill_disk, 4).limited(&[("storage_bytes", 8 << 20)]),
];

const ACTIVITIES: &[Attack] = &[
    activity("busy-activities", "activities that loop", || json!(["spin_activity", null]), Failure("within 1s")),
    activity("memory-activities", "activities that allocate all memory", || json!(["hoard_activity", null]), Failure("memory")),
    activity("stack-activities", "activities that recurse without end", || json!(["dive_activity", null]), Failure("stack")),
    activity("log-activities", "activities that log endlessly", || json!(["flood_log_activity", null]), Failure("within 1s")),
    activity("output-activities", "outputs larger than a payload may be", || json!(["produce", 8 << 20]), Failure("allowed")),
    activity(
        "read-passwd",
        "an activity reads the machine's files",
        || json!(["read", "/etc/passwd"]),
        Failure("not in a granted directory"),
    ),
    activity(
        "read-above",
        "an activity reads above its granted directory",
        || json!(["read", "/data/../../../../etc/passwd"]),
        Failure("not permitted"),
    ),
    activity(
        "read-link",
        "an activity reads through a symbolic link that leads out",
        || json!(["read", "/data/passwd"]),
        Failure("not permitted"),
    ),
];

const MODULES: &[Attack] = &[
    deploy("module-nested", "components nested thousands deep", modules::nested, Refusal(400, "")),
    deploy("module-wide", "a hundred thousand types", modules::wide, Refusal(400, "")),
    deploy("module-slow", "functions that take long to compile", modules::slow, Refusal(403, "compile_seconds"))
        .limited(&[("compile_seconds", 1)]),
    deploy("module-large", "functions that take much memory to compile", modules::slow, Refusal(403, "compile_memory_bytes"))
        .limited(&[("compile_memory_bytes", 128 << 20)]),
    deploy("module-deep", "deeply nested blocks, to break the compiler", modules::deep, Refusal(403, "compile_seconds"))
        .limited(&[("compile_seconds", 1)]),
    deploy("module-memory", "a memory of 4 GiB from the start", modules::memory, Refusal(400, "")),
    deploy("module-table", "a table of ten million elements", modules::table, Refusal(400, "")),
    deploy("module-start", "a start function that does not return", modules::start, Refusal(400, "fuel")),
    deploy("module-describe", "a list of functions that lies about its length", modules::describe, Refusal(400, "")),
    send("module-parts", "waiting guests that each take several slots", modules::guests_of_many_parts, 4),
    send("module-abandoned", "deployments whose client disconnects while they compile", modules::abandoned, 4),
    deploy("module-junk", "random bytes after the header of a module", modules::junk, Refusal(400, "")),
];

const CONNECTIONS: &[Attack] = &[
    send("slow-heads", "request heads sent byte by byte", floods::slow_heads, 100),
    send("slow-bodies", "request bodies sent byte by byte", floods::slow_bodies, 100),
    send("bodies-without-key", "bodies that are announced without a key and never sent", floods::bodies_without_key, 200),
    send("connections", "more connections than one address may have", floods::connections, 1),
    send("listeners", "event streams that are never read", floods::listeners, 100),
];

const REQUESTS: &[Attack] = &[
    send("requests", "requests as fast as they are answered", floods::requests, 16).limited(&[("requests_per_second", 200)]),
    send("large-bodies", "bodies above the size limit", floods::large_bodies, 8),
    send("deep-json", "deeply nested JSON", floods::deep_json, 4),
    send("lists", "the most expensive lists, repeatedly", floods::lists, 8),
    send("lists-many", "the most expensive lists, over most of the connections that an address may have", floods::lists, 200),
    send("lists-unread", "lists of large inputs that are never read", floods::lists_unread, 100),
    send("paths", "names with a meaning for a file system, on every route", paths::names, 1),
    send("smuggled-requests", "requests hidden in requests of ambiguous length", smuggling::bodies, 1),
    send("smuggled-headers", "headers that proxies trust", smuggling::headers, 1),
    send("smuggled-hubs", "two hubs or two keys in one request", smuggling::queries, 1),
];

/// What activities connect to.
const REACHING: &[Attack] = &[
    send("ssrf-address", "ungranted addresses of this machine, in all spellings", reach::addresses, 1),
    send("ssrf-name", "granted names that resolve to this machine", reach::names, 1),
    send("ssrf-redirect", "a granted server that redirects to others", reach::redirects, 1),
    send("ssrf-poll", "a granted server that makes the host poll others", reach::polls, 1),
];

/// Data and rights of others.
const STEALING: &[Attack] = &[
    send("keys-guessed", "keys from a dictionary, in all places", keys::guesses, 1),
    send("keys-foreign", "its own key for another hub, on every route", keys::foreign_hub, 1),
    send("ids-foreign", "ids of another hub, with its own key", keys::foreign_ids, 1),
    send("links", "link tokens, used on other instances and hubs, and altered", keys::links, 1),
    send("promotion", "the owner of a hub tries to gain more rights", keys::promotion, 1),
    send("secret-sent", "a secret sent to hosts that it is not granted for", secrets::sent, 1),
    send("secret-seen", "a secret that is used, and then searched for", secrets::seen, 1),
    send("secret-asked", "secrets, requested by every route and command", secrets::asked, 1),
];

/// What triggers, queues and schedules open.
const TRIGGERS: &[Attack] = &[
    send("trigger-responses", "responses that break the wire, or the pages of others", triggers::responses, 1),
    send("trigger-requests", "paths, headers and bodies that a trigger should not be shown", triggers::requests, 1),
    send("trigger-routes", "routes of another hub, of the host, and that are none", triggers::claims, 1),
    send("trigger-sleeps", "a trigger that never answers", triggers::sleeping, 32)
        .limited(&[("concurrent_triggers", 4), ("trigger_seconds", 1)]),
    send("trigger-spins", "a trigger that loops", triggers::spinning, 32)
        .limited(&[("concurrent_triggers", 4), ("trigger_seconds", 1)]),
    send("queue-flood", "batches of a thousand messages", triggers::queue_flood, 8),
    send("queue-full", "batches of a thousand messages for a queue that nobody reads", triggers::queue_full, 8)
        .limited(&[("instances_alive", triggers::QUEUE_FULL)]),
    send("queue-large", "messages of one megabyte for a queue that nobody reads", triggers::queue_large, 8)
        .limited(&[("storage_bytes", 64 << 20)]),
    send("queue-stuck", "messages whose trigger loops", triggers::queue_stuck, 4)
        .limited(&[("concurrent_activities", 4), ("trigger_seconds", 1)]),
    send("queue-refused", "messages whose trigger fails with a megabyte of words", triggers::queue_refused, 4),
    send("schedules", "a thousand schedules of one second", triggers::schedules, 4).limited(&[("schedules", 1_000)]),
];
