//! Holds a guest's memories and tables against its limits, and remembers what it refused.

use wasmtime::ResourceLimiter;

#[derive(Debug)]
pub(crate) struct Limiter {
    memory_bytes: usize,
    table_elements: usize,
    used: usize,
    refused: Option<Refusal>,
}

/// What a guest wanted and did not get.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    Memory { wanted: usize, allowed: usize },
    Table { wanted: usize, allowed: usize },
}

impl Limiter {
    pub fn new(memory_bytes: usize, table_elements: usize) -> Self {
        Self { memory_bytes, table_elements, used: 0, refused: None }
    }

    /// Bytes of the largest memory.
    pub fn used(&self) -> usize {
        self.used
    }

    /// The last refusal. A guest that traps after one most likely traps because of it.
    pub fn refused(&self) -> Option<Refusal> {
        self.refused
    }
}

impl ResourceLimiter for Limiter {
    fn memory_growing(&mut self, _current: usize, wanted: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        let allowed = self.memory_bytes;
        if wanted > allowed {
            self.refused = Some(Refusal::Memory { wanted, allowed });
            return Ok(false);
        }
        self.used = self.used.max(wanted);
        Ok(true)
    }

    fn table_growing(&mut self, _current: usize, wanted: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        let allowed = self.table_elements;
        if wanted > allowed {
            self.refused = Some(Refusal::Table { wanted, allowed });
        }
        Ok(wanted <= allowed)
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Refusal::Memory { wanted, allowed } => write!(f, "it wanted {wanted} bytes of memory, {allowed} are allowed"),
            Refusal::Table { wanted, allowed } => write!(f, "it wanted a table of {wanted} elements, {allowed} are allowed"),
        }
    }
}
