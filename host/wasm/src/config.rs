//! The operator's settings for guests.

use std::fmt;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use dacapo_core::execution::Conditions;
use dacapo_core::guest::ClientGrant;
use dacapo_core::{FunctionName, InstanceId};
use serde::{Deserialize, Serialize};

use crate::{AllowList, CompileLimits, Compiler, HttpLimits, Secret};

/// The configuration of a [`crate::Runtime`]: what all tenants share.
#[derive(Debug, Clone)]
pub struct Config {
    /// Deployed files, as `<digest>.wasm`. Created if missing.
    pub modules: PathBuf,
    /// Compiled code, which may be deleted at any time. Created, for the owner only, if missing.
    pub cache: PathBuf,
    pub pool: PoolSize,
    /// Bytes that all pool slots together may keep resident when their guests have ended, so that the next guests start faster.
    pub resident_bytes: usize,
    /// Concurrent outgoing HTTP requests of all tenants. Each holds a socket.
    pub requests: u32,
    /// Versions that are kept in memory. Each maps a file. A version that guests run on stays, even above this limit.
    pub versions: usize,
    /// The most instances of activities of all tenants that are kept for another call, as [`Policy::reuse`] says; and of entities as
    /// many.
    pub idle_activities: usize,
    /// The most that any tenant's guest may have of what the engine is built for: memory, tables and stack.
    pub most: GuestLimits,
    /// Called on the thread that runs an orchestrator or entity.
    pub checkpoint: Checkpoint,
    pub compiler: Compiler,
    /// Limits for compiling a version again, and for [`crate::Runtime::prepare`].
    pub compile: CompileLimits,
}

impl Config {
    pub fn new(modules: impl Into<PathBuf>, cache: impl Into<PathBuf>) -> Self {
        Self {
            modules: modules.into(),
            cache: cache.into(),
            pool: PoolSize::default(),
            resident_bytes: usize::MAX,
            requests: 1_024,
            versions: 256,
            idle_activities: 64,
            most: GuestLimits::MOST,
            checkpoint: Checkpoint::default(),
            compiler: Compiler::default(),
            compile: CompileLimits::default(),
        }
    }
}

/// A callback for each point where a guest can yield: before it is resumed, and every few tens of microseconds while it, or the
/// host on its behalf, computes. The guest continues when the callback returns, or is stopped. By default it always continues.
#[derive(Clone, Default)]
pub struct Checkpoint(Option<Arc<dyn Fn() -> ControlFlow<()> + Send + Sync>>);

impl Checkpoint {
    pub fn new(pass: impl Fn() -> ControlFlow<()> + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(pass)))
    }

    pub(crate) fn pass(&self) -> ControlFlow<()> {
        self.0.as_ref().map_or(ControlFlow::Continue(()), |pass| pass())
    }
}

impl fmt::Debug for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Checkpoint")
    }
}

/// What one tenant's guests may use and reach. The default grants nothing.
#[derive(Clone, Default)]
pub struct Policy {
    /// Each is capped by that of [`Config::most`].
    pub limits: GuestLimits,
    /// Where activities may send HTTP requests.
    pub outbound: AllowList,
    /// The limits of one request.
    pub http: HttpLimits,
    /// Directories that activities may read or write.
    pub directories: Vec<DirectoryGrant>,
    /// The environment variables of guests.
    pub environment: Vec<(String, String)>,
    /// Secrets that activities may send, and may read if they have an environment variable.
    pub secrets: Vec<Secret>,
    /// Limits for compiling a file that the tenant deploys.
    pub compile: CompileLimits,
    /// Limits of an execution. The outputs of activities and entities are checked against them, too.
    pub execution: dacapo_core::execution::Limits,
    /// Makes the management links of an instance for activities. None: an activity that asks for them is stopped.
    pub management_links: Option<ManagementLinks>,
    /// What activities and triggers may do with the durable client.
    pub client: ClientGrant,
    /// Whose instances of activities run further calls.
    pub reuse: Reuse,
}

/// Which apps' instances of activities and of entities are kept for another call of the same tenant, version and policy, which then
/// finds what earlier calls left in memory.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Reuse {
    Never,
    /// Of apps whose manifests ask for it.
    #[default]
    Asked,
    Always,
}

/// Whether a setting of an app disables one of its functions: `AzureWebJobs.NAME.Disabled`, or a setting that the function names.
pub fn is_disabled(function: &FunctionName, names: Option<&str>, settings: &[(String, String)]) -> bool {
    let is_true = |value: &str| value == "1" || value.eq_ignore_ascii_case("true");
    let disables = |wanted: &str| {
        // A grant of the task hub comes after what the host gives to all.
        let found = settings.iter().rev().find(|(name, _)| name.eq_ignore_ascii_case(wanted));
        found.is_some_and(|(_, value)| is_true(value.trim()))
    };
    // A variable of the environment has no dots, so the original reads both.
    let own = || [".", "__"].into_iter().any(|dot| disables(&format!("AzureWebJobs{dot}{function}{dot}Disabled")));
    names.is_some_and(disables) || !settings.is_empty() && own()
}

impl Policy {
    /// Returns the conditions of an orchestrator that begins now.
    pub(crate) fn conditions(&self) -> Conditions {
        let Self { limits, execution, environment, .. } = self;
        Conditions {
            memory_bytes: limits.orchestrator_memory_bytes as u64,
            table_elements: limits.table_elements as u64,
            fuel_per_turn: limits.fuel_per_turn,
            tasks: execution.tasks as u64,
            payload_bytes: execution.payload_bytes as u64,
            environment: environment.clone(),
        }
    }
}

/// Values of the environment and of secrets are not printed.
impl fmt::Debug for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let environment: Vec<&str> = self.environment.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("Policy")
            .field("limits", &self.limits)
            .field("outbound", &self.outbound)
            .field("http", &self.http)
            .field("directories", &self.directories)
            .field("environment", &environment)
            .field("secrets", &self.secrets)
            .field("client", &self.client)
            .field("reuse", &self.reuse)
            .finish_non_exhaustive()
    }
}

/// Makes the links by which an instance is managed over HTTP: a JSON object of them, for an instance id.
#[derive(Clone)]
pub struct ManagementLinks(Arc<dyn Fn(&InstanceId) -> String + Send + Sync>);

impl ManagementLinks {
    pub fn new(of: impl Fn(&InstanceId) -> String + Send + Sync + 'static) -> Self {
        Self(Arc::new(of))
    }

    pub(crate) fn of(&self, instance: &InstanceId) -> String {
        (self.0)(instance)
    }
}

impl fmt::Debug for ManagementLinks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ManagementLinks")
    }
}

/// A directory of the host that activities may read or write. Nothing outside it can be reached, not even through a link.
/// Only the disk limits how much activities write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirectoryGrant {
    /// The path at which guests see it, such as `/data`.
    pub guest: String,
    pub host: PathBuf,
    pub writable: bool,
}

/// The limits of one guest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GuestLimits {
    /// Bytes of all linear memories of an orchestrator or entity.
    pub orchestrator_memory_bytes: usize,
    /// Bytes of all linear memories of an activity or trigger.
    pub activity_memory_bytes: usize,
    /// Elements of all tables.
    pub table_elements: usize,
    /// Bytes of stack for wasm code.
    pub stack_bytes: usize,
    /// Fuel (about one unit per wasm instruction) that an orchestrator may spend in one turn, an entity in one
    /// operation, and `describe` in all.
    pub fuel_per_turn: u64,
    /// How long an activity may take.
    pub activity_time: Duration,
    /// How long one call of a trigger may take.
    pub trigger_time: Duration,
    /// Bytes of what one attempt of an activity, or one call of a trigger, may log or print.
    pub activity_log_bytes: usize,
}

impl GuestLimits {
    /// The largest limits that the engine supports: 32-bit memories, and tables that still fit many times into the address space.
    pub const MOST: GuestLimits = GuestLimits {
        orchestrator_memory_bytes: 4 << 30,
        activity_memory_bytes: 4 << 30,
        table_elements: 200_000,
        stack_bytes: 1 << 20,
        fuel_per_turn: u64::MAX,
        activity_time: Duration::MAX,
        trigger_time: Duration::MAX,
        activity_log_bytes: usize::MAX,
    };

    /// Returns these limits, with those that an execution has recorded in their place.
    pub(crate) fn under(&self, conditions: &Conditions) -> Self {
        let size = |limit: u64| usize::try_from(limit).unwrap_or(usize::MAX);
        Self {
            orchestrator_memory_bytes: size(conditions.memory_bytes),
            table_elements: size(conditions.table_elements),
            fuel_per_turn: conditions.fuel_per_turn,
            ..self.clone()
        }
    }

    /// Returns the smaller of each limit, except for the stack.
    pub(crate) fn within(&self, most: &GuestLimits) -> Self {
        Self {
            orchestrator_memory_bytes: self.orchestrator_memory_bytes.min(most.orchestrator_memory_bytes),
            activity_memory_bytes: self.activity_memory_bytes.min(most.activity_memory_bytes),
            table_elements: self.table_elements.min(most.table_elements),
            // A property of the engine, so the same for all guests.
            stack_bytes: most.stack_bytes,
            fuel_per_turn: self.fuel_per_turn.min(most.fuel_per_turn),
            activity_time: self.activity_time.min(most.activity_time),
            trigger_time: self.trigger_time.min(most.trigger_time),
            activity_log_bytes: self.activity_log_bytes.min(most.activity_log_bytes),
        }
    }
}

impl Default for GuestLimits {
    fn default() -> Self {
        Self {
            orchestrator_memory_bytes: 128 << 20,
            activity_memory_bytes: 512 << 20,
            // Python and Go keep some 10,000 functions in theirs.
            table_elements: 50_000,
            stack_bytes: 1 << 20,
            // A second or two of a busy loop.
            fuel_per_turn: 2_000_000_000,
            activity_time: Duration::from_secs(300),
            // After which the load balancers of Azure Functions end a request.
            trigger_time: Duration::from_secs(230),
            activity_log_bytes: 1 << 20,
        }
    }
}

/// How many guests may be in memory at once. One that is made of many parts counts as several: it takes several slots.
///
/// A slot costs 8 GiB of address space (of which there are 128 TiB), 4 GiB for each of two memories, so that memory accesses
/// need no bounds checks; two memory mappings from the start (its stack and the guard below), and up to four more once it is
/// used (before the initial data, the data, after the data, the rest). A guest with garbage-collected objects, which are in the
/// second memory, has two more mappings. None of this is memory that is used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolSize {
    /// Slots for orchestrators, suspended ones included, and for entities, which are in memory for a turn. Leave some for the
    /// turns that run at the moment.
    pub orchestrators: u32,
    /// Slots for activities that run at once; more wait for their turn.
    pub activities: u32,
    /// The same for triggers. They have slots of their own, because a trigger may wait for activities.
    pub triggers: u32,
}

impl PoolSize {
    /// Few slots, for tests: several pools fit into one process.
    pub fn small() -> Self {
        Self { orchestrators: 64, activities: 16, triggers: 16 }
    }

    /// The size that fits into `mappings` memory mappings, of which the rest of the process needs some.
    pub fn within(mappings: u32) -> Self {
        const OTHERS: u32 = 6_000;
        const PER_SLOT: u32 = 6;
        const SLOTS_MAX: u32 = 12_000;
        let (activities, triggers) = (256, 128);
        let slots = (mappings.saturating_sub(OTHERS) / PER_SLOT).min(SLOTS_MAX);
        Self { orchestrators: slots.saturating_sub(activities + triggers).max(64), activities, triggers }
    }
}

impl Default for PoolSize {
    /// As many as the kernel's `vm.max_map_count` allows, 12,000 at most.
    fn default() -> Self {
        let limit = std::fs::read_to_string("/proc/sys/vm/max_map_count").ok().and_then(|text| text.trim().parse().ok());
        Self::within(limit.unwrap_or(65_530))
    }
}
