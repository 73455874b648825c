//! Refused acts, as many as the audit log should hear of.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// An actor's refused act is told of once in so many microseconds.
const TOLD_EVERY: i64 = 60_000_000;
/// Actors and acts that are remembered. What comes when there are more is not told of.
const REMEMBERED_MAX: usize = 10_000;

#[derive(Default)]
pub(super) struct Denials(Mutex<HashMap<(String, &'static str), Told>>);

struct Told {
    at: i64,
    /// What was refused since, and not told of.
    suppressed: u64,
}

impl Denials {
    /// Whether to tell of a refused act, and how many of the same were not told of before.
    pub fn claim(&self, actor: String, action: &'static str, at: i64) -> Option<u64> {
        let mut remembered = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let due = |told: &Told| at.saturating_sub(told.at) >= TOLD_EVERY;
        if remembered.len() >= REMEMBERED_MAX {
            remembered.retain(|_, told| !due(told));
        }
        let full = remembered.len() >= REMEMBERED_MAX;
        match remembered.get_mut(&(actor.clone(), action)) {
            Some(told) if due(told) => Some(std::mem::replace(told, Told { at, suppressed: 0 }).suppressed),
            Some(told) => {
                told.suppressed += 1;
                None
            }
            None if full => None,
            None => {
                remembered.insert((actor, action), Told { at, suppressed: 0 });
                Some(0)
            }
        }
    }
}
