//! The one engine. Every setting that changes what a guest computes or how it is compiled is made here.

pub(crate) mod limiter;
pub(crate) mod permits;
pub(crate) mod pool;
pub(crate) mod slices;

use std::sync::Arc;

use wasmtime::{
    Collector, Config, Enabled, Engine, InstanceAllocationStrategy, OperatorCost, OptLevel, PoolingAllocationConfig,
    RegallocAlgorithm, WasmBacktraceDetails, WasmFeatures,
};

use crate::config::{GuestLimits, PoolSize};
use crate::deployment::function_cache::FunctionCache;
use crate::engine::pool::{MOST, PoolUsage, SLOT};

/// Slots beyond those that permits cover, because the slots of ended guests are made ready for reuse in batches.
const SPARE_SLOTS: u32 = 64;

/// Bytes of memory that a used slot keeps resident: resetting 256 KiB that a guest has written is cheaper than faulting the pages
/// in again. A guest of a few instructions writes less; one in JavaScript starts a third faster than with 64 KiB, and no faster
/// with more.
const RESIDENT_BYTES_MAX: usize = 256 << 10;

/// The engine that runs guests. All slots together keep `resident_bytes` resident when their guests have ended.
pub(crate) fn engine(limits: &GuestLimits, pool: &PoolSize, resident_bytes: usize) -> wasmtime::Result<Engine> {
    let mut config = code();
    let slots = pool.orchestrators + pool.activities + SPARE_SLOTS;
    let of_each = resident_bytes / (pool.orchestrators + pool.activities).max(1) as usize;
    running(&mut config, limits, slots, SLOT, of_each.min(RESIDENT_BYTES_MAX));
    Engine::new(&config)
}

/// An engine for one guest that runs the code of [`engine`], to measure what the guest takes of a pool.
pub(crate) fn for_one_guest(limits: &GuestLimits) -> wasmtime::Result<Engine> {
    let mut config = code();
    running(&mut config, limits, 1, MOST, 0);
    Engine::new(&config)
}

/// Settings for running guests that do not change compiled code.
fn running(config: &mut Config, limits: &GuestLimits, slots: u32, of_each: PoolUsage, resident: usize) {
    stack(config, limits.stack_bytes);
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pooling(limits, slots, of_each, resident)));
}

fn stack(config: &mut Config, bytes: usize) {
    // A stack overflow is met at the same depth on every machine.
    config.max_wasm_stack(bytes);
    // A guest that blocks in an import is a suspended fiber. The host's functions run on the fiber's stack, behind the
    // part that wasm may use: a debug build needs the most.
    config.async_stack_size(bytes + (1 << 20));
}

/// An engine for one guest whose code runs once: it compiles fast, and does not optimise.
pub(crate) fn inspector(limits: &GuestLimits) -> wasmtime::Result<Engine> {
    let mut config = code();
    config.cranelift_opt_level(OptLevel::None);
    config.cranelift_regalloc_algorithm(RegallocAlgorithm::SinglePass);
    running(&mut config, limits, 1, MOST, 0);
    // Without optimisation frames are several times as large. What fits into the stack of a host must fit here.
    stack(&mut config, limits.stack_bytes.saturating_mul(32));
    Engine::new(&config)
}

/// An engine that compiles for those that run guests, and runs none itself: it takes no address space for a pool.
pub(crate) fn compiler(functions: Arc<FunctionCache>) -> wasmtime::Result<Engine> {
    let mut config = code();
    config.enable_incremental_compilation(functions)?;
    Engine::new(&config)
}

/// Settings that compiled code depends on.
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
    // Also if much of it is zero, as Python's is: initialising such a memory segment by segment takes seven times as long. As
    // large as a module may be by default, so that a small one takes no more of the disk than a large one.
    config.memory_guaranteed_dense_image_size(64 << 20);
    // A page of memory can be reached only through 4 GiB of address space (32-bit addresses), so bounds are checked by
    // the processor; the guard catches the offsets beyond.
    config.memory_reservation(4 << 30);
    config.memory_guard_size(32 << 20);
    // A guest's objects are in one more memory of the pool, which counts towards its memory limit like the others.
    config.collector(Collector::Copying);
    // Not zero, so that the pool's metrics show which guests have such a memory.
    config.gc_heap_initial_size(128 << 10);
    // Most instructions do little. This one makes an object of up to 10,000 members.
    config.operator_cost(OperatorCost { StructNewDefault: 64, ..OperatorCost::new() });
    config
}

/// Slots are set up once and reused, so that instantiating is a few system calls and no `mmap`.
fn pooling(limits: &GuestLimits, slots: u32, of_each: PoolUsage, resident: usize) -> PoolingAllocationConfig {
    let mut config = PoolingAllocationConfig::new();
    config.total_component_instances(slots);
    config.total_stacks(slots);
    config.total_memories(slots.saturating_mul(of_each.memories));
    config.total_gc_heaps(slots);
    config.total_tables(slots.saturating_mul(of_each.tables));
    config.total_core_instances(slots.saturating_mul(of_each.core_instances));
    config.max_memory_size(limits.orchestrator_memory_bytes.max(limits.activity_memory_bytes));
    config.table_elements(limits.table_elements);
    // `pool::MOST` limits what one component may take of the pool, and names the limit in the error.
    config.max_memories_per_component(u32::MAX);
    config.max_tables_per_component(u32::MAX);
    config.max_core_instances_per_component(u32::MAX);
    config.max_tables_per_module(8);
    config.linear_memory_keep_resident(resident);
    config.table_keep_resident(resident.min(16 << 10));
    config.pagemap_scan(Enabled::Auto);
    // Slots that stay warm for a version that is not running at the moment.
    config.max_unused_warm_slots(256);
    // Each thread returns the pages of the guest that it drops. With batches, the thread that fills one would return the pages of
    // other hubs' guests, which may have touched hundreds of megabytes.
    config.decommit_batch_size(1);
    config
}
