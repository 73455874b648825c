//! Limits the total size of a guest's memories and of its tables, and remembers the last refusal.

use dacapo_core::guest::GuestMemory;
use wasmtime::ResourceLimiter;

#[derive(Debug)]
pub(crate) struct Limiter {
    /// The reservation in the host's memory budget that its memories count towards.
    counted: Option<Box<dyn GuestMemory>>,
    memories: Budget,
    tables: Budget,
    refused: Option<Refusal>,
}

/// The total size of all memories, or of all tables, of a guest.
#[derive(Debug)]
struct Budget {
    allowed: usize,
    used: usize,
    /// What the last growth added, to be taken back if the growth fails after it was allowed.
    added: usize,
}

/// A growth that was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    Memory { wanted: usize, allowed: usize },
    Table { wanted: usize, allowed: usize },
}

impl Limiter {
    pub fn new(memory_bytes: usize, table_elements: usize) -> Self {
        let budget = |allowed| Budget { allowed, used: 0, added: 0 };
        Self { counted: None, memories: budget(memory_bytes), tables: budget(table_elements), refused: None }
    }

    /// Moves the guest's memories to another reservation. Returns false if what the guest already has does not fit.
    pub fn count_in(&mut self, counted: Box<dyn GuestMemory>) -> bool {
        self.counted.insert(counted).grow(self.memories.used)
    }

    /// Changes the limits. The guest keeps what it already has.
    pub fn allow(&mut self, memory_bytes: usize, table_elements: usize) {
        (self.memories.allowed, self.tables.allowed) = (memory_bytes, table_elements);
    }

    /// Bytes of all memories.
    pub fn used(&self) -> usize {
        self.memories.used
    }

    /// Clears the last refusal, before an unrelated call.
    pub fn forget_refusal(&mut self) {
        self.refused = None;
    }

    /// The last refusal. A guest that traps after one most likely traps because of it.
    pub fn refused(&self) -> Option<Refusal> {
        self.refused
    }
}

impl Budget {
    /// Counts the growth of one of them. If the limit is exceeded, returns what the total would be as the error.
    fn grow(&mut self, current: usize, wanted: usize) -> Result<(), usize> {
        let added = wanted.saturating_sub(current);
        let total = self.used.saturating_add(added);
        if total > self.allowed {
            return Err(total);
        }
        (self.used, self.added) = (total, added);
        Ok(())
    }

    fn take_back(&mut self) {
        self.used -= std::mem::take(&mut self.added);
    }
}

impl ResourceLimiter for Limiter {
    fn memory_growing(&mut self, current: usize, wanted: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        let grown = self.memories.grow(current, wanted);
        if grown.is_ok()
            && let Some(counted) = &mut self.counted
            && !counted.grow(self.memories.added)
        {
            self.memories.take_back();
            // A trap, not a failed growth: a guest must not be able to observe the memory use of others.
            return Err(wasmtime::Error::msg("the host has no room in memory for the guest at present"));
        }
        let allowed = self.memories.allowed;
        self.refused = grown.err().map(|wanted| Refusal::Memory { wanted, allowed }).or(self.refused);
        Ok(grown.is_ok())
    }

    fn memory_grow_failed(&mut self, _why: wasmtime::Error) -> wasmtime::Result<()> {
        self.memories.take_back();
        Ok(())
    }

    fn table_growing(&mut self, current: usize, wanted: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        let grown = self.tables.grow(current, wanted);
        let allowed = self.tables.allowed;
        self.refused = grown.err().map(|wanted| Refusal::Table { wanted, allowed }).or(self.refused);
        Ok(grown.is_ok())
    }

    fn table_grow_failed(&mut self, _why: wasmtime::Error) -> wasmtime::Result<()> {
        self.tables.take_back();
        Ok(())
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Refusal::Memory { wanted, allowed } => write!(f, "it wanted {wanted} bytes of memory, {allowed} are allowed"),
            Refusal::Table { wanted, allowed } => write!(f, "it wanted {wanted} elements of tables, {allowed} are allowed"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Room(usize);

    impl GuestMemory for Room {
        fn grow(&mut self, bytes: usize) -> bool {
            let left = self.0.checked_sub(bytes);
            self.0 = left.unwrap_or(self.0);
            left.is_some()
        }
    }

    #[test]
    fn a_guest_for_which_the_host_has_no_room_is_stopped() {
        let mut limiter = Limiter::new(100, 10);
        assert!(limiter.count_in(Box::new(Room(50))));
        assert!(limiter.memory_growing(0, 40, None).unwrap());
        assert!(limiter.memory_growing(40, 60, None).is_err());
        assert_eq!((limiter.used(), limiter.refused()), (40, None), "it is no limit of the guest");
        assert!(!limiter.count_in(Box::new(Room(39))));
        assert!(limiter.count_in(Box::new(Room(100))));
        assert!(limiter.memory_growing(40, 100, None).unwrap());
        assert!(!limiter.memory_growing(100, 101, None).unwrap());
    }

    #[test]
    fn all_memories_and_all_tables_count_together() {
        let mut limiter = Limiter::new(100, 10);
        let mut memory = |current, wanted| limiter.memory_growing(current, wanted, None).unwrap();
        assert!(memory(0, 40) && memory(0, 40));
        assert!(!memory(40, 61));
        assert!(memory(40, 60));
        assert!(!memory(0, 1));
        assert_eq!(limiter.used(), 100);
        assert_eq!(limiter.refused(), Some(Refusal::Memory { wanted: 101, allowed: 100 }));
        // A growth that failed after it was allowed is taken back once.
        for _ in 0..2 {
            limiter.memory_grow_failed(wasmtime::Error::msg("no memory")).unwrap();
            assert_eq!(limiter.used(), 80);
        }
        assert!(limiter.table_growing(0, 6, None).unwrap());
        assert!(!limiter.table_growing(0, 5, None).unwrap());
    }
}
