//! Shortens a failing sequence as far as possible: leaves out parts while it still fails.

use std::time::{Duration, Instant};

use super::operation::Operation;
use super::{Report, Sequence, run_batch};

/// A failure may depend on timing: a sequence counts as succeeding only after this many runs.
const TRIES: usize = 2;

/// Returns the shortest failing sequence found within the time, and its error. None: it does not fail again.
pub fn shrink(sequence: &Sequence, cold: bool, patience: Duration) -> Option<(Vec<Operation>, anyhow::Error)> {
    let deadline = Instant::now() + patience;
    let fails = |operations: &[Operation]| {
        let alone = [Sequence { number: sequence.number, operations: operations.to_vec() }];
        (0..TRIES).find_map(|_| run_batch(&alone, cold, &mut Report::default()).err()).map(|failed| failed.error)
    };
    let mut shortest = sequence.operations.clone();
    let mut why = fails(&shortest)?;
    let mut length = shortest.len() / 2;
    while length > 0 {
        let mut start = 0;
        while start < shortest.len() {
            if Instant::now() > deadline {
                return Some((shortest, why));
            }
            let mut shorter = shortest.clone();
            shorter.drain(start..(start + length).min(shortest.len()));
            match fails(&shorter) {
                Some(error) => (shortest, why) = (shorter, error),
                None => start += length,
            }
        }
        length /= 2;
    }
    Some((shortest, why))
}
