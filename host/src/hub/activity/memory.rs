//! The memory of running activities, counted in the memory budget of the host.
//!
//! A run begins with a reservation of what earlier runs of its function took. If it needs more than is free, it is stopped and
//! queued again, and runs again when there is enough: an activity is promised to run at least once, and a limit of the host is
//! not a failure of a guest. One that needs more than its hub may ever hold runs beyond the budget, one in the host at a time;
//! so the process holds no more than the budget and one activity.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dacapo_core::FunctionName;
use dacapo_core::guest::GuestMemory;
use dacapo_wasm::Runtime;

use crate::engine::memory::Reservation;

/// Functions whose memory is remembered. Names are the guest's choice.
const FUNCTIONS_MAX: usize = 10_000;

/// How much the runs of each function are expected to take, by folded name.
#[derive(Debug, Default)]
pub(in crate::hub) struct Expected(HashMap<String, usize>);

impl Expected {
    pub fn of(&self, function: &FunctionName) -> usize {
        self.0.get(&function.folded()).copied().unwrap_or(0)
    }

    /// Records the peak of a run that has ended. The expectation falls by at most an eighth with each run.
    pub fn ended(&mut self, function: &FunctionName, took: usize) {
        let expected = self.of(function);
        self.note(function, took.max(expected - expected / 8));
    }

    /// Records that a run was stopped when it wanted `wanted` bytes. Returns how many the next one is to begin with.
    pub fn was_short(&mut self, function: &FunctionName, wanted: usize) -> usize {
        let needs = wanted.saturating_add(wanted / 2);
        self.note(function, needs.max(self.of(function)));
        needs
    }

    fn note(&mut self, function: &FunctionName, bytes: usize) {
        let folded = function.folded();
        if self.0.len() >= FUNCTIONS_MAX && !self.0.contains_key(&folded) {
            self.0.clear();
        }
        self.0.insert(folded, bytes);
    }
}

/// The memory of one run of an activity. Clones are handles of the same.
#[derive(Clone)]
pub(in crate::hub) struct RunMemory(Arc<Run>);

struct Run {
    /// The initial reservation, until its guest takes it.
    begins_with: Mutex<Reservation>,
    /// The most bytes that its guest has had.
    took: AtomicUsize,
    /// The bytes that its guest wanted in all when it was refused more. 0: it never was.
    short: AtomicUsize,
    runtime: Runtime,
}

impl RunMemory {
    pub fn new(begins_with: Reservation, runtime: Runtime) -> Self {
        let (took, short) = (AtomicUsize::new(0), AtomicUsize::new(0));
        Self(Arc::new(Run { begins_with: Mutex::new(begins_with), took, short, runtime }))
    }

    fn begins_with(&self) -> MutexGuard<'_, Reservation> {
        self.0.begins_with.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the memory of its guest, with the initial reservation. A second guest, which no run has, would begin with nothing.
    pub fn of_guest(&self) -> RunGuestMemory {
        let reservation = self.begins_with().take();
        RunGuestMemory { run: self.clone(), reservation, used: 0 }
    }

    pub fn took(&self) -> usize {
        self.0.took.load(Ordering::Relaxed)
    }

    /// Returns the bytes that the guest wanted in all when it was refused more, if it was.
    pub fn was_short(&self) -> Option<usize> {
        Some(self.0.short.load(Ordering::Relaxed)).filter(|wanted| *wanted > 0)
    }
}

/// What the guest of a run holds.
pub(in crate::hub) struct RunGuestMemory {
    run: RunMemory,
    reservation: Reservation,
    used: usize,
}

impl std::fmt::Debug for RunGuestMemory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RunGuestMemory").field("reservation", &self.reservation).field("used", &self.used).finish_non_exhaustive()
    }
}

impl GuestMemory for RunGuestMemory {
    fn grow(&mut self, bytes: usize) -> bool {
        let wanted = self.used.saturating_add(bytes);
        let more = wanted.saturating_sub(self.reservation.bytes());
        // Idle instances, which only wait for another call, are given up first.
        while self.reservation.try_grow(more).is_err() {
            if !self.run.0.runtime.give_up_idle_instance() {
                self.run.0.short.store(wanted, Ordering::Relaxed);
                return false;
            }
        }
        self.used = wanted;
        self.run.0.took.fetch_max(wanted, Ordering::Relaxed);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_expected_follows_what_was_taken() {
        let (mut expected, function) = (Expected::default(), FunctionName::new("sort").unwrap());
        assert_eq!(expected.of(&function), 0);
        expected.ended(&function, 800);
        assert_eq!(expected.of(&function), 800);
        expected.ended(&function, 100);
        assert_eq!(expected.of(&function), 700);
        assert_eq!(expected.was_short(&function, 1_000), 1_500);
        assert_eq!(expected.of(&function), 1_500);
        assert_eq!(expected.was_short(&function, 400), 600, "another one that has taken less needs less");
        assert_eq!(expected.of(&function), 1_500);
    }
}
