//! The limits of a task hub: one table, from which the configuration, the administrator's commands and the docs are derived.
//!
//! The host's configuration sets the defaults of all hubs; the administrator may give a hub other values while it runs. They are
//! enforced where the resource is: `hub::bounds` (instances, storage, inboxes), `core::execution` (payloads, histories),
//! `wasm::engine` (fuel, memory of guests), `api::admission` (requests), `engine` (what hubs share).

use std::collections::BTreeMap;
use std::time::Duration;

use dacapo_core::execution::Limits;
use dacapo_wasm::{CompileLimits, GuestLimits, HttpLimits};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One line of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Limit {
    pub name: &'static str,
    pub default: u64,
    pub unit: &'static str,
    /// What happens when it is reached.
    pub then: Then,
    pub what: &'static str,
}

/// What happens at a limit. Every refusal and every failure names the limit and its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub enum Then {
    /// 413: the request is too large.
    TooLarge,
    /// 429 with `Retry-After`: waiting helps.
    TryLater,
    /// 403: removing something helps, or asking the administrator.
    Forbidden,
    /// 507: there is no space left.
    NoRoom,
    /// The instance, or the call of the activity, fails.
    Fails,
    /// What exceeds it waits.
    Waits,
    /// What exceeds it is dropped, with a line in the log.
    Dropped,
}

macro_rules! limits {
    ($($name:ident = $default:expr, $unit:literal, $then:ident, $what:literal;)*) => {
        /// What one task hub may use.
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub struct HubLimits {
            $(#[doc = $what] pub $name: u64,)*
        }

        /// Every limit, in the order in which it is documented.
        pub static LIMITS: &[Limit] = &[
            $(Limit { name: stringify!($name), default: $default, unit: $unit, then: Then::$then, what: $what },)*
        ];

        impl Default for HubLimits {
            fn default() -> Self {
                Self { $($name: $default,)* }
            }
        }

        impl HubLimits {
            pub fn get(&self, name: &str) -> Option<u64> {
                match name {
                    $(stringify!($name) => Some(self.$name),)*
                    _ => None,
                }
            }

            fn set(&mut self, name: &str, value: u64) {
                match name {
                    $(stringify!($name) => self.$name = value,)*
                    _ => {}
                }
            }
        }
    };
}

limits! {
    // What clients and deployers put into a hub.
    apps = 100, "apps", Forbidden, "Apps of a hub.";
    versions = 50, "versions", Forbidden, "Versions of one app that are kept.";
    module_bytes = 64 << 20, "bytes", TooLarge, "A deployed file.";
    compile_seconds = 120, "seconds", Forbidden, "Processor time for compiling a deployed file. The wall-clock limit is five times as long.";
    compile_memory_bytes = 4 << 30, "bytes", Forbidden, "Address space of the process that compiles a deployed file.";
    requests_per_second = 10_000, "requests per second", TryLater, "Requests of clients. Bursts of up to one second's worth are allowed.";
    event_streams = 1_000, "streams", TryLater, "Event streams that clients have open.";
    payload_bytes = 4 << 20, "bytes", TooLarge, "One input, output, event or custom status.";
    instances_alive = 1_000_000, "instances", TryLater, "Orchestrations that have not ended, and entities.";
    schedules = 100_000, "schedules", Forbidden, "Schedules, those of timer triggers among them.";
    inbox_messages = 10_000, "messages", TryLater, "Messages that wait for one instance, because it is suspended, locked or has not begun. Further messages from instances are dropped, with a line in the log; calls of an entity fail.";
    queue_messages = 500_000, "messages", TryLater, "Messages in all queues, poison queues among them. Messages that their triggers give up are not refused.";
    storage_bytes = 16 << 30, "bytes", NoRoom, "Size of the hub's file. Above three quarters of it, messages for queues are refused; above it, all that clients send; a tenth above it, turns that add to it fail.";

    // What an orchestrator or entity may do.
    history_events = 100_000, "events", Fails, "Events in the history of one execution, without unread events that continue-as-new carried over. At four fifths of it, a warning is logged. Continue-as-new begins a new one.";
    custom_status_bytes = 16 << 10, "bytes", Fails, "The custom status of an orchestration.";
    actions_per_turn = 100_000, "actions", Fails, "Calls, timers, messages and other actions of an orchestrator in one turn.";
    action_bytes_per_turn = 64 << 20, "bytes", Fails, "Payloads of these actions.";
    tasks = 1_000_000, "tasks", Fails, "Actions and waits in one execution.";
    operations_per_turn = 1_000, "operations", Waits, "Operations that an entity runs before their effects are saved.";
    entities_per_lock = 100, "entities", Fails, "Entities that one critical section may lock.";
    log_bytes_per_turn = 64 << 10, "bytes", Dropped, "Log lines of an orchestrator or entity in one turn.";
    log_bytes_per_activity = 1 << 20, "bytes", Dropped, "Log lines of one attempt of an activity, or of one call of a trigger.";
    fuel_per_turn = 2_000_000_000, "units", Fails, "Fuel, about one unit for each wasm instruction, of an orchestrator in one turn or an entity in one operation.";
    orchestrator_memory_bytes = 128 << 20, "bytes", Fails, "All linear memories of an orchestrator or entity.";
    activity_memory_bytes = 512 << 20, "bytes", Fails, "All linear memories of an activity or trigger.";
    table_elements = 50_000, "elements", Fails, "All tables of a guest.";

    // How much of the host a hub may use at a time.
    turns_at_once = 16, "turns", Waits, "Turns that have begun and are not saved yet.";
    hot_instances = 1_000, "instances", Waits, "Orchestrations that stay in memory between their turns; the others are replayed. One made of many parts counts as several.";
    concurrent_activities = 256, "activities", Waits, "Activities that run at once.";
    concurrent_messages = 192, "messages", Waits, "Messages of queues that are processed at once. They count as activities, too.";
    activity_seconds = 300, "seconds", Fails, "One attempt of an activity.";
    concurrent_triggers = 64, "triggers", Waits, "Triggers that run at once, such as HTTP triggers.";
    trigger_seconds = 230, "seconds", Fails, "One call of a trigger.";

    // What activities send and receive.
    http_request_bytes = 16 << 20, "bytes", Fails, "The body of one outgoing request.";
    http_response_bytes = 64 << 20, "bytes", Fails, "The body of the response to it.";
    http_seconds = 100, "seconds", Fails, "One outgoing request, from connecting to the end of its response.";
}

/// The highest limit in seconds, 136 years: far from the overflow of any clock.
pub const SECONDS_MAX: u64 = u32::MAX as u64;
/// The highest limit in bytes, a pebibyte: more than any disk has.
pub const BYTES_MAX: u64 = 1 << 50;
/// The highest limit of things that are counted one by one.
pub const COUNT_MAX: u64 = 1_000_000_000_000;
const FUEL_MAX: u64 = 1 << 60;

impl Limit {
    /// The highest value that it can be set to. No computation with it overflows.
    pub fn most(&self) -> u64 {
        match self.unit {
            "seconds" => SECONDS_MAX,
            "bytes" => BYTES_MAX,
            "units" => FUEL_MAX,
            _ => COUNT_MAX,
        }
    }
}

/// Returns the limit of this name.
pub fn limit(name: &str) -> Option<&'static Limit> {
    LIMITS.iter().find(|limit| limit.name == name)
}

/// Why a limit cannot be given a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidLimit {
    #[error("there is no limit '{0}'; `dacapo hub limits` shows all")]
    Unknown(String),
    #[error("the limit {0} must be 1 or more")]
    Zero(String),
    #[error("the limit {name} must be {most} or less")]
    TooHigh { name: String, most: u64 },
}

impl HubLimits {
    /// Returns these limits with the overrides applied.
    pub fn with(&self, overrides: &BTreeMap<String, u64>) -> Result<Self, InvalidLimit> {
        let mut limits = self.clone();
        for (name, &value) in overrides {
            let Some(limit) = limit(name) else { return Err(InvalidLimit::Unknown(name.clone())) };
            if value == 0 {
                return Err(InvalidLimit::Zero(name.clone()));
            }
            if value > limit.most() {
                return Err(InvalidLimit::TooHigh { name: name.clone(), most: limit.most() });
            }
            limits.set(name, value);
        }
        Ok(limits)
    }

    /// Like [`Self::with`], for stored overrides. Caps those of an earlier release that allowed higher values.
    pub fn with_stored(&self, overrides: &BTreeMap<String, u64>) -> Result<Self, InvalidLimit> {
        let most = |name: &str| limit(name).map_or(u64::MAX, Limit::most);
        self.with(&overrides.iter().map(|(name, &value)| (name.clone(), value.min(most(name)))).collect())
    }

    /// The limits of an execution.
    pub fn execution(&self) -> Limits {
        Limits {
            actions_per_turn: size(self.actions_per_turn),
            action_bytes_per_turn: size(self.action_bytes_per_turn),
            payload_bytes: size(self.payload_bytes),
            custom_status_bytes: size(self.custom_status_bytes),
            tasks: size(self.tasks),
            history_events: size(self.history_events),
            no_room: None,
            log_bytes_per_turn: size(self.log_bytes_per_turn),
            operations_per_turn: size(self.operations_per_turn),
            entities_per_lock: size(self.entities_per_lock),
        }
    }

    /// The limits of an outgoing request.
    pub fn http(&self) -> HttpLimits {
        HttpLimits {
            request_bytes: size(self.http_request_bytes),
            response_bytes: size(self.http_response_bytes),
            time: Duration::from_secs(self.http_seconds),
        }
    }

    /// The limits for compiling a deployed file.
    pub fn compile(&self) -> CompileLimits {
        CompileLimits { seconds: self.compile_seconds, memory_bytes: self.compile_memory_bytes }
    }

    /// The limits of a guest.
    pub fn guest(&self) -> GuestLimits {
        GuestLimits {
            orchestrator_memory_bytes: size(self.orchestrator_memory_bytes),
            activity_memory_bytes: size(self.activity_memory_bytes),
            table_elements: size(self.table_elements),
            fuel_per_turn: self.fuel_per_turn,
            activity_time: Duration::from_secs(self.activity_seconds),
            trigger_time: Duration::from_secs(self.trigger_seconds),
            activity_log_bytes: size(self.log_bytes_per_activity),
            ..GuestLimits::default()
        }
    }
}

fn size(value: u64) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_those_of_the_core_and_of_the_runtime() {
        let limits = HubLimits::default();
        assert_eq!(limits.execution(), Limits::default());
        assert_eq!(limits.guest(), GuestLimits::default());
        assert_eq!(limits.http(), HttpLimits::default());
        assert_eq!(limits.compile(), CompileLimits::default());
    }

    #[test]
    fn what_is_overridden_must_exist_and_allow_something() {
        let with = |name: &str, value| HubLimits::default().with(&BTreeMap::from([(name.to_owned(), value)]));
        assert_eq!(with("apps", 7).unwrap().apps, 7);
        assert_eq!(with("apes", 7), Err(InvalidLimit::Unknown("apes".into())));
        assert_eq!(with("apps", 0), Err(InvalidLimit::Zero("apps".into())));
        for limit in LIMITS {
            assert_eq!(with(limit.name, 7).unwrap().get(limit.name), Some(7));
            assert!(limit.default <= limit.most() && with(limit.name, limit.most()).is_ok(), "{}", limit.name);
            assert!(with(limit.name, limit.most() + 1).unwrap_err().to_string().contains("or less"), "{}", limit.name);
        }
        let stored = HubLimits::default().with_stored(&BTreeMap::from([("activity_seconds".into(), u64::MAX)]));
        assert_eq!(stored.unwrap().activity_seconds, SECONDS_MAX, "an earlier release took it");
    }
}
