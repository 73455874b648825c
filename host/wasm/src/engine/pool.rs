//! What a guest takes of the engine's pool.
//!
//! The pool is divided into *slots* with a fixed number of core instances, memories and tables each. A guest takes as many slots
//! as hold all of its parts, so a guest that has its slots finds all that it needs.

use wasmtime::Engine;

use crate::deployment::compile::ModuleError;

/// Pool resources of which a guest may take several. Of component instances, stacks and GC heaps each guest has one at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PoolUsage {
    pub core_instances: u32,
    /// Including the one for garbage-collected objects.
    pub memories: u32,
    pub tables: u32,
}

/// The resources of one slot. Until it is used, it costs address space only.
pub(crate) const SLOT: PoolUsage = PoolUsage {
    // In the components of language tool chains: the module, its adapters, the shims between them, as far as they are not merged.
    core_instances: 32,
    // A guest's own, and one for its objects or for a second module, as in components of JavaScript.
    memories: 2,
    // As `wit-component` makes it: the module's, its shim's, and two to spare.
    tables: 4,
};

/// The most that one guest may take.
pub(crate) const MOST: PoolUsage = PoolUsage { core_instances: 128, memories: 8, tables: 64 };

/// Slots that the largest guest takes. A pool that is smaller has no room for it.
pub const SLOTS_PER_GUEST_MAX: u32 = MOST.slots();

impl PoolUsage {
    /// Measures what the guests of an engine take at present.
    pub fn measured(engine: &Engine) -> Self {
        let metrics = engine.pooling_allocator_metrics().expect("engines that run guests have a pool");
        let count = |count: u64| u32::try_from(count).unwrap_or(u32::MAX);
        Self {
            core_instances: count(metrics.core_instances()),
            memories: count(metrics.memories() as u64),
            tables: count(metrics.tables() as u64),
        }
    }

    pub const fn slots(&self) -> u32 {
        const fn max(a: u32, b: u32) -> u32 {
            if a > b { a } else { b }
        }
        let (instances, memories) = (self.core_instances.div_ceil(SLOT.core_instances), self.memories.div_ceil(SLOT.memories));
        max(max(instances, memories), max(self.tables.div_ceil(SLOT.tables), 1))
    }

    /// Fails, with the name of the limit, if it is more than one guest may take.
    pub fn check(&self) -> Result<(), ModuleError> {
        let limits = [
            ("core instances", "core_instances_per_guest", self.core_instances, MOST.core_instances),
            ("memories", "memories_per_guest", self.memories, MOST.memories),
            ("tables", "tables_per_guest", self.tables, MOST.tables),
        ];
        match limits.into_iter().find(|(_, _, takes, most)| takes > most) {
            None => Ok(()),
            Some((what, limit, takes, most)) => {
                let reason = format!("one guest of it takes {takes} {what}, and may take {most} (the host's limit {limit})");
                Err(ModuleError::TooComplex { reason })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guest_takes_the_slots_that_hold_what_it_has_most_of() {
        let slots = |core_instances, memories, tables| PoolUsage { core_instances, memories, tables }.slots();
        assert_eq!(slots(0, 0, 0), 1);
        assert_eq!(slots(32, 2, 4), 1);
        assert_eq!(slots(33, 2, 4), 2);
        assert_eq!(slots(1, 5, 4), 3);
        assert_eq!(slots(1, 1, 64), 16);
        assert_eq!(SLOTS_PER_GUEST_MAX, 16);
    }

    #[test]
    fn what_is_more_than_a_guest_may_take_is_refused_by_the_name_of_the_limit() {
        assert_eq!(MOST.check(), Ok(()));
        let why = PoolUsage { tables: 65, ..MOST }.check().unwrap_err().to_string();
        assert!(why.contains("takes 65 tables, and may take 64 (the host's limit tables_per_guest)"), "{why}");
        let why = PoolUsage { memories: 9, ..MOST }.check().unwrap_err().to_string();
        assert!(why.contains("memories_per_guest"), "{why}");
        let why = PoolUsage { core_instances: 129, ..MOST }.check().unwrap_err().to_string();
        assert!(why.contains("core_instances_per_guest"), "{why}");
    }
}
