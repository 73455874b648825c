//! Randomness that a replay reproduces.

use crate::ExecutionId;

/// A stream of pseudo-random numbers (SplitMix64, Steele et al. 2014) seeded by an execution. Not for secrets.
#[derive(Debug, Clone)]
pub struct RandomStream(u64);

impl RandomStream {
    /// Streams with different labels are independent, so that one reader does not shift another.
    pub fn new(execution: ExecutionId, label: &str) -> Self {
        let (high, low) = execution.derive(label).as_u64_pair();
        Self(high ^ low)
    }

    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            chunk.copy_from_slice(&self.next_u64().to_le_bytes()[..chunk.len()]);
        }
    }
}
