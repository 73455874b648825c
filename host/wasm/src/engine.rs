//! The one engine. Whatever changes what a guest computes or how it is compiled is decided here.

use wasmtime::{
    Collector, Config, Enabled, Engine, InstanceAllocationStrategy, OperatorCost, OptLevel, PoolingAllocationConfig,
    RegallocAlgorithm, WasmBacktraceDetails, WasmFeatures,
};

use crate::config::{GuestLimits, PoolSize};

/// Slots beside those of orchestrators and activities, for `describe` at deployments.
const DEPLOYMENT_SLOTS: u32 = 4;

/// Core instances in the components of language tool chains: the module, its adapters, the shims between them. Python
/// has more than ten. They cost nothing until they are used.
const CORE_INSTANCES_PER_SLOT: u32 = 16;

/// A guest's own memory, and one for its objects or for a second module, as in components of JavaScript.
pub(crate) const MEMORIES_PER_SLOT: u32 = 2;

/// The tables of a component as `wit-component` makes it: the module's, its shim's, and one to spare.
pub(crate) const TABLES_PER_SLOT: u32 = 3;

/// The engine that runs guests.
pub(crate) fn engine(limits: &GuestLimits, pool: &PoolSize) -> wasmtime::Result<Engine> {
    let mut config = code();
    running(&mut config, limits, pool);
    Engine::new(&config)
}

/// Whatever running depends on, besides the code.
fn running(config: &mut Config, limits: &GuestLimits, pool: &PoolSize) {
    // A stack overflow is met at the same depth on every machine.
    config.max_wasm_stack(limits.stack_bytes);
    // A guest that blocks in an import is a suspended fiber. The host's functions run on the fiber's stack, behind the
    // part that wasm may use: a debug build needs the most.
    config.async_stack_size(limits.stack_bytes + (1 << 20));
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pooling(limits, pool)));
}

/// An engine that runs a guest once, to ask it what it is: it is compiled fast, and not for speed.
pub(crate) fn inspector(limits: &GuestLimits, pool: &PoolSize) -> wasmtime::Result<Engine> {
    let mut config = code();
    config.cranelift_opt_level(OptLevel::None);
    config.cranelift_regalloc_algorithm(RegallocAlgorithm::SinglePass);
    running(&mut config, limits, pool);
    Engine::new(&config)
}

/// An engine that compiles for those that run guests, and runs none itself: it takes no address space for a pool.
pub(crate) fn compiler() -> wasmtime::Result<Engine> {
    Engine::new(&code())
}

/// Whatever compiled code depends on.
fn code() -> Config {
    let mut config = Config::new();

    // Determinism. The bits of a NaN must not depend on the processor.
    config.cranelift_nan_canonicalization(true);
    // The relaxed SIMD instructions give the same results everywhere.
    config.relaxed_simd_deterministic(true);
    // Threads would race; nothing in the contract can use them. (wasmtime is also built without them.)
    config.wasm_features(WasmFeatures::THREADS, false);
    // Fuel, not time, bounds an orchestrator: the same code spends the same on every machine and on replay.
    config.consume_fuel(true);

    // What compilers of guest languages emit by default is on (wasmtime's defaults): SIMD, bulk memory, multi-value,
    // reference types, tail calls, extended constants, exceptions, garbage collection. Off: 64-bit memories, because no
    // guest tool chain needs them and their accesses are always checked.
    config.wasm_memory64(false);
    config.wasm_component_model(true);

    // The contract has plain blocking functions only; without concurrent tasks a store is smaller and a call faster.
    config.concurrency_support(false);

    // Backtraces for the details of failures. File and line would need debug information that deployed modules lack.
    config.wasm_backtrace_details(WasmBacktraceDetails::Disable);

    // Compiled once at deployment and run for years.
    config.cranelift_opt_level(OptLevel::Speed);
    config.parallel_compilation(true);

    // Initial memory is mapped copy-on-write from the compiled file: instantiating copies nothing, and guests of one
    // version share what they do not write.
    config.memory_init_cow(true);
    // Also if much of it is blank, as Python's is: setting up such a memory piece by piece takes seven times as long. As large
    // as a module may be by default, so that a small one takes no more of the disk than a large one.
    config.memory_guaranteed_dense_image_size(64 << 20);
    // A page of memory can be reached only through 4 GiB of address space (32-bit addresses), so bounds are checked by
    // the processor; the guard catches the offsets beyond.
    config.memory_reservation(4 << 30);
    config.memory_guard_size(32 << 20);
    // A guest's objects lie in one more memory of the pool, which its memory limit counts as the others.
    config.collector(Collector::Copying);
    // Not nothing, so that it can be seen which guests have such a memory.
    config.gc_heap_initial_size(128 << 10);
    // Most instructions do little. This one makes an object of up to 10,000 members.
    config.operator_cost(OperatorCost { StructNewDefault: 64, ..OperatorCost::new() });
    config
}

/// Slots are set up once and reused, so that instantiating is a few system calls and no `mmap`.
fn pooling(limits: &GuestLimits, pool: &PoolSize) -> PoolingAllocationConfig {
    let slots = pool.orchestrators + pool.activities + DEPLOYMENT_SLOTS;
    let mut config = PoolingAllocationConfig::new();
    config.total_component_instances(slots);
    config.total_stacks(slots);
    config.total_memories(slots.saturating_mul(MEMORIES_PER_SLOT));
    config.total_gc_heaps(slots);
    config.total_tables(slots.saturating_mul(TABLES_PER_SLOT));
    config.total_core_instances(slots.saturating_mul(CORE_INSTANCES_PER_SLOT));
    config.max_memory_size(limits.orchestrator_memory_bytes.max(limits.activity_memory_bytes));
    config.table_elements(limits.table_elements);
    // What one component may take of the pool. More than one memory is rare; such a guest counts as several.
    config.max_memories_per_component(8);
    config.max_tables_per_component(64);
    config.max_core_instances_per_component(128);
    config.max_tables_per_module(8);
    // A used slot keeps its first pages: putting back what a guest has written in 256 KiB is cheaper than faulting them in
    // again. A guest of a few instructions writes less; one in JavaScript starts a third faster than with 64 KiB, and no
    // faster with more.
    config.linear_memory_keep_resident(256 << 10);
    config.table_keep_resident(16 << 10);
    config.pagemap_scan(Enabled::Auto);
    // Slots that stay warm for a version that is not running at the moment.
    config.max_unused_warm_slots(256);
    // Returning pages to the kernel one slot at a time costs a system call each.
    config.decommit_batch_size(16);
    config
}
