//! Rate-limits the audit log's entries for refused actions.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// A refused action of an actor is logged at most once in so many microseconds.
const LOG_INTERVAL_MICROS: i64 = 60_000_000;
/// Pairs of actor and action that are remembered. Beyond that, new ones are not logged.
const REMEMBERED_MAX: usize = 10_000;

#[derive(Default)]
pub(super) struct Denials(Mutex<HashMap<(String, &'static str), LastDenial>>);

struct LastDenial {
    at: i64,
    /// Refusals since then that were not logged.
    suppressed: u64,
}

impl Denials {
    /// Whether to log a refused action. Returns how many of the same were not logged before.
    pub fn claim(&self, actor: String, action: &'static str, at: i64) -> Option<u64> {
        let mut remembered = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let due = |told: &LastDenial| at.saturating_sub(told.at) >= LOG_INTERVAL_MICROS;
        if remembered.len() >= REMEMBERED_MAX {
            remembered.retain(|_, told| !due(told));
        }
        let full = remembered.len() >= REMEMBERED_MAX;
        match remembered.get_mut(&(actor.clone(), action)) {
            Some(told) if due(told) => Some(std::mem::replace(told, LastDenial { at, suppressed: 0 }).suppressed),
            Some(told) => {
                told.suppressed += 1;
                None
            }
            None if full => None,
            None => {
                remembered.insert((actor, action), LastDenial { at, suppressed: 0 });
                Some(0)
            }
        }
    }
}
