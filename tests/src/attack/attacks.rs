//! All attacks.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Result;
use serde_json::{Value, json};

use super::attacker::{Attacker, Tally};
use super::{floods, keys, modules, paths, reach, secrets, smuggling};

/// Attacks of one kind.
pub struct Group {
    pub name: &'static str,
    pub attacks: &'static [Attack],
}

/// One thing to try.
pub struct Attack {
    pub name: &'static str,
    pub what: &'static str,
    pub how: How,
    /// Limits of the attacker's hub that are lower than usual.
    pub limits: &'static [(&'static str, u64)],
}

pub enum How {
    /// Orchestrations of the attacker's app, so many at once, again and again.
    Run { function: &'static str, input: fn() -> Value, at_once: usize, expected: Expected },
    /// A file that is deployed, again and again.
    Deploy { module: fn() -> Vec<u8>, expected: Expected },
    /// Whatever can be sent, by so many players at once.
    Requests { play: Play, at_once: usize },
}

pub type Play = fn(Arc<Attacker>, Arc<Tally>, Instant) -> Played;
pub type Played = Pin<Box<dyn Future<Output = Result<()>> + Send>>;

/// What counts as held.
#[derive(Debug, Clone, Copy)]
pub enum Expected {
    /// The orchestration fails, and says this.
    Failure(&'static str),
    /// The request is refused with this status, and says this.
    Refusal(u16, &'static str),
    /// It has no end but that of its hub, or a good one: what matters is that the host bears it.
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
];

/// What orchestrators and entities may compute.
const COMPUTING: &[Attack] = &[
    run("loop", "an orchestrator loops", "spin_orchestrator", || Value::Null, Failure("fuel")),
    run("loop-calling", "an orchestrator loops through dear calls of the host", "spin_calling", || Value::Null, Failure("fuel")),
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
    run("slow-entity", "an entity with hundreds of slow operations to do", "burden", || json!(900), GoesOn),
    run("memory", "an orchestrator wants all memory", "hoard_orchestrator", || Value::Null, Failure("memory")),
    run("memory-entity", "an entity keeps more than its state may be", "poke", || json!("grow"), Failure("are allowed")),
    run("stack", "an orchestrator never returns from a call", "dive_orchestrator", || Value::Null, Failure("stack")),
    send("objects", "garbage-collected objects without end, collections without end, exceptions", modules::objects, 1)
        .limited(&[("orchestrator_memory_bytes", 4 << 20), ("fuel_per_turn", 50_000_000)]),
    send("task-handles", "handles of tasks that are forged, given back, or another instance's", modules::handles, 1),
];

/// What orchestrators may say.
const SAYING: &[Attack] = &[
    run("actions", "activities without end in one turn", "flood_actions", || Value::Null, Failure("turn"))
        .limited(&[("actions_per_turn", 10_000)]),
    run("payloads", "few actions with all that they may carry", "flood_payloads", || Value::Null, Failure("bytes in one turn"))
        .limited(&[("action_bytes_per_turn", 4 << 20)]),
    run("timers", "thousands of timers, far away", "flood_timers", || json!(5_000), Failure("history_events")),
    run("multiply", "orchestrations that each start two more", "multiply", || json!(8), GoesOn),
    run("children", "hundreds of children, each waited for", "breed", || json!(300), GoesOn),
    run(
        "events",
        "an instance shouts at one that does not listen",
        "shout",
        || json!({ "instance_id": "deaf", "count": 20_000 }),
        GoesOn,
    ),
    run("signals", "a signal to each of hundreds of entities", "signal_many", || json!(500), GoesOn),
    run("log", "an orchestrator logs without end", "flood_log", || Value::Null, Failure("fuel")),
    run("custom-status", "a custom status that doubles", "flood_status", || Value::Null, Failure("16384")),
    send("inbox", "events of a megabyte for an instance that is suspended", floods::fill_inbox, 4),
    send("disk", "histories that fill the disk", floods::fill_disk, 4).limited(&[("storage_bytes", 8 << 20)]),
];

const ACTIVITIES: &[Attack] = &[
    activity("busy-activities", "activities that loop", || json!(["spin_activity", null]), Failure("within 1s")),
    activity("memory-activities", "activities that want all memory", || json!(["hoard_activity", null]), Failure("memory")),
    activity("stack-activities", "activities that never return from a call", || json!(["dive_activity", null]), Failure("stack")),
    activity("log-activities", "activities that log without end", || json!(["flood_log_activity", null]), Failure("within 1s")),
    activity("output-activities", "outputs larger than a payload may be", || json!(["produce", 8 << 20]), Failure("allowed")),
    activity(
        "read-passwd",
        "an activity reads the machine's files",
        || json!(["read", "/etc/passwd"]),
        Failure("no granted directory"),
    ),
    activity(
        "read-above",
        "an activity reads above what it was given",
        || json!(["read", "/data/../../../../etc/passwd"]),
        Failure("not permitted"),
    ),
    activity(
        "read-link",
        "an activity reads through a link that leads out",
        || json!(["read", "/data/passwd"]),
        Failure("not permitted"),
    ),
];

const MODULES: &[Attack] = &[
    deploy("module-nested", "components in components, thousands deep", modules::nested, Refusal(400, "")),
    deploy("module-wide", "a hundred thousand types", modules::wide, Refusal(400, "")),
    deploy("module-slow", "functions that take long to compile", modules::slow, Refusal(403, "compile_seconds"))
        .limited(&[("compile_seconds", 1)]),
    deploy("module-large", "functions that take much memory to compile", modules::slow, Refusal(403, "compile_memory_bytes"))
        .limited(&[("compile_memory_bytes", 128 << 20)]),
    deploy("module-deep", "blocks in blocks, to break the compiler", modules::deep, Refusal(403, "compile_seconds"))
        .limited(&[("compile_seconds", 1)]),
    deploy("module-memory", "a memory of 4 GiB from the start", modules::memory, Refusal(400, "")),
    deploy("module-table", "a table of ten million elements", modules::table, Refusal(400, "")),
    deploy("module-start", "a start function that does not end", modules::start, Refusal(400, "fuel")),
    deploy("module-describe", "a list of functions that lies about its length", modules::describe, Refusal(400, "")),
    send("module-parts", "guests that each take the room of several, all of which wait", modules::guests_of_many_parts, 4),
    send("module-abandoned", "deployments whose client is gone while they compile", modules::abandoned, 4),
    deploy("module-junk", "bytes that begin like a module", modules::junk, Refusal(400, "")),
];

const CONNECTIONS: &[Attack] = &[
    send("slow-heads", "heads that come byte by byte", floods::slow_heads, 100),
    send("slow-bodies", "bodies that come byte by byte", floods::slow_bodies, 100),
    send("bodies-without-key", "bodies that are announced without a key and never come", floods::bodies_without_key, 200),
    send("connections", "more connections than one address may have", floods::connections, 1),
    send("listeners", "streams of events that nobody reads", floods::listeners, 100),
];

const REQUESTS: &[Attack] = &[
    send("requests", "requests as fast as they are answered", floods::requests, 16).limited(&[("requests_per_second", 200)]),
    send("large-bodies", "bodies larger than they may be", floods::large_bodies, 8),
    send("deep-json", "JSON that is very deep", floods::deep_json, 4),
    send("lists", "the dearest lists, again and again", floods::lists, 8),
    send("lists-many", "the dearest lists, over as many connections as an address may have for long", floods::lists, 200),
    send("lists-unread", "lists of large inputs that nobody reads", floods::lists_unread, 100),
    send("paths", "names that mean something to a file system, on every route", paths::names, 1),
    send("smuggled-requests", "requests in requests, of two lengths", smuggling::bodies, 1),
    send("smuggled-headers", "headers that proxies believe", smuggling::headers, 1),
    send("smuggled-hubs", "two hubs or two keys in one request", smuggling::queries, 1),
];

/// What activities may reach.
const REACHING: &[Attack] = &[
    send("ssrf-address", "addresses of this machine, in all spellings, that nobody has granted", reach::addresses, 1),
    send("ssrf-name", "granted names that lead to this machine", reach::names, 1),
    send("ssrf-redirect", "a granted server that sends on to others", reach::redirects, 1),
    send("ssrf-poll", "a granted server that has the host poll others", reach::polls, 1),
];

/// What is others'.
const STEALING: &[Attack] = &[
    send("keys-guessed", "keys out of a dictionary, in all places", keys::guesses, 1),
    send("keys-foreign", "its own key for another hub, on every route", keys::foreign_hub, 1),
    send("ids-foreign", "ids of another hub, with its own key", keys::foreign_ids, 1),
    send("links", "tokens of links, on other instances and hubs, and altered", keys::links, 1),
    send("promotion", "an owner of a hub who wants to be more", keys::promotion, 1),
    send("secret-sent", "a secret that goes where it is not for", secrets::sent, 1),
    send("secret-seen", "a secret that is used, and then looked for", secrets::seen, 1),
    send("secret-asked", "secrets, asked for by every route and command", secrets::asked, 1),
];
