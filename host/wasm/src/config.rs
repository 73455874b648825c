//! What the operator decides about guests.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::AllowList;

/// The configuration of a [`crate::Runtime`]: what all tenants share.
#[derive(Debug, Clone)]
pub struct Config {
    /// Deployed files, as `<digest>.wasm`. Created if missing.
    pub modules: PathBuf,
    /// Compiled code, which may be deleted at any time. Created, for the owner only, if missing.
    pub cache: PathBuf,
    pub pool: PoolSize,
    /// The most that any tenant's guest may have of what the engine is built for: memory, tables and stack.
    pub most: GuestLimits,
    /// Called on the thread that runs an orchestrator or entity when a slice of its time is over, about each millisecond.
    /// It goes on when this returns.
    pub between_slices: BetweenSlices,
}

impl Config {
    pub fn new(modules: impl Into<PathBuf>, cache: impl Into<PathBuf>) -> Self {
        Self {
            modules: modules.into(),
            cache: cache.into(),
            pool: PoolSize::default(),
            most: GuestLimits::MOST,
            between_slices: BetweenSlices::default(),
        }
    }
}

/// What is done between two slices of a guest's time. By default nothing.
#[derive(Clone, Default)]
pub struct BetweenSlices(Option<Arc<dyn Fn() + Send + Sync>>);

impl BetweenSlices {
    pub fn new(pass: impl Fn() + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(pass)))
    }

    pub(crate) fn pass(&self) {
        if let Some(pass) = &self.0 {
            pass();
        }
    }
}

impl fmt::Debug for BetweenSlices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BetweenSlices")
    }
}

/// What one tenant's guests may use and reach. The default grants nothing.
#[derive(Debug, Clone, Default)]
pub struct Policy {
    /// Held against [`Config::most`]: the smaller one counts.
    pub limits: GuestLimits,
    /// Where activities may send HTTP requests.
    pub outbound: AllowList,
    /// What activities may read.
    pub directories: Vec<DirectoryGrant>,
    /// The environment variables of guests.
    pub environment: Vec<(String, String)>,
    /// What bounds an execution; the outputs of activities and entities are held against it.
    pub execution: dacapo_core::execution::Limits,
    /// Gives activities the links by which an instance is managed. None: an activity that asks for them is stopped.
    pub management_links: Option<ManagementLinks>,
}

/// Makes the links by which an instance is managed over HTTP: a JSON object of them, for an instance id.
#[derive(Clone)]
pub struct ManagementLinks(Arc<dyn Fn(&str) -> String + Send + Sync>);

impl ManagementLinks {
    pub fn new(of: impl Fn(&str) -> String + Send + Sync + 'static) -> Self {
        Self(Arc::new(of))
    }

    pub(crate) fn of(&self, instance: &str) -> String {
        (self.0)(instance)
    }
}

impl fmt::Debug for ManagementLinks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ManagementLinks")
    }
}

/// A directory of the host that activities may read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirectoryGrant {
    /// The path at which guests see it, such as `/data`.
    pub guest: String,
    pub host: PathBuf,
}

/// What one guest may use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GuestLimits {
    /// Bytes of each linear memory of an orchestrator or entity.
    pub orchestrator_memory_bytes: usize,
    /// Bytes of each linear memory of an activity.
    pub activity_memory_bytes: usize,
    /// Elements of each table.
    pub table_elements: usize,
    /// Bytes of stack for wasm code.
    pub stack_bytes: usize,
    /// Fuel (about one unit per wasm instruction) that an orchestrator may spend in one turn, an entity in one
    /// operation, and `describe` in all.
    pub fuel_per_turn: u64,
    /// How long an activity may take.
    pub activity_time: Duration,
}

impl GuestLimits {
    /// The most that the engine is built for: 32-bit memories, and tables that still fit many times into the address space.
    pub const MOST: GuestLimits = GuestLimits {
        orchestrator_memory_bytes: 4 << 30,
        activity_memory_bytes: 4 << 30,
        table_elements: 200_000,
        stack_bytes: 1 << 20,
        fuel_per_turn: u64::MAX,
        activity_time: Duration::MAX,
    };

    /// The smaller of each.
    pub(crate) fn within(&self, most: &GuestLimits) -> Self {
        Self {
            orchestrator_memory_bytes: self.orchestrator_memory_bytes.min(most.orchestrator_memory_bytes),
            activity_memory_bytes: self.activity_memory_bytes.min(most.activity_memory_bytes),
            table_elements: self.table_elements.min(most.table_elements),
            stack_bytes: self.stack_bytes.min(most.stack_bytes),
            fuel_per_turn: self.fuel_per_turn.min(most.fuel_per_turn),
            activity_time: self.activity_time.min(most.activity_time),
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
        }
    }
}

/// How many guests may be in memory at once.
///
/// A slot costs 4 GiB of address space (of which there are 128 TiB) so that memory accesses need no bounds checks, two
/// memory mappings from the start (its stack and the guard below), and up to four more once it is used (what lies
/// before the initial data, the data, what lies behind, the rest). None of this is memory that is used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolSize {
    /// Orchestrators, suspended ones included, and entities, which are in memory for a turn. Keep some apart for the turns
    /// that run at the moment.
    pub orchestrators: u32,
    /// Activities that run at once; more wait for their turn.
    pub activities: u32,
}

impl PoolSize {
    /// Few slots, for tests: several pools fit into one process.
    pub fn small() -> Self {
        Self { orchestrators: 64, activities: 16 }
    }

    /// What fits into `mappings` memory mappings, of which the rest of the process needs some.
    pub fn within(mappings: u32) -> Self {
        const OTHERS: u32 = 6_000;
        const PER_SLOT: u32 = 6;
        const SLOTS_MAX: u32 = 20_000;
        let activities = 256;
        let slots = (mappings.saturating_sub(OTHERS) / PER_SLOT).min(SLOTS_MAX);
        Self { orchestrators: slots.saturating_sub(activities).max(64), activities }
    }
}

impl Default for PoolSize {
    /// As many as the kernel's `vm.max_map_count` allows, 20,000 at most.
    fn default() -> Self {
        let limit = std::fs::read_to_string("/proc/sys/vm/max_map_count").ok().and_then(|text| text.trim().parse().ok());
        Self::within(limit.unwrap_or(65_530))
    }
}
