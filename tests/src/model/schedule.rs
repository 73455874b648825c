//! Schedules in the model. They occur on each 29th of February, so none does while the test runs, but in its backfills.

use super::world::Id;

/// The schedules of a sequence. The first is backfilled, the second is run by hand.
pub const SCHEDULES: u8 = 2;
pub const BACKFILLED: u8 = 0;
pub const BY_HAND: u8 = 1;

/// The years of the occurrences that may be backfilled.
pub const YEARS: [u32; 3] = [2016, 2020, 2024];

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Overlap {
    Skip,
    AllowAll,
}

impl Overlap {
    pub fn name(self) -> &'static str {
        match self {
            Overlap::Skip => "skip",
            Overlap::AllowAll => "allowAll",
        }
    }
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Schedule {
    pub paused: bool,
    /// The number of the note.
    pub note: u32,
    pub run: u64,
    pub skipped: u64,
    /// The instances that it has started and that ran when it last looked.
    running: Vec<Id>,
}

impl Schedule {
    pub fn new(paused: bool, note: u32) -> Self {
        Self { paused, note, ..Self::default() }
    }

    /// Each operation begins with a look at what runs.
    pub fn look(&mut self, is_living: impl Fn(Id) -> bool) {
        self.running.retain(|id| is_living(*id));
    }

    pub fn set_paused(&mut self, paused: bool, note: u32) {
        (self.paused, self.note) = (paused, note);
    }

    /// Decides an occurrence. Returns whether it starts its instance.
    pub fn occur(&mut self, id: Id, overlap: Overlap, exists: bool) -> bool {
        let starts = !exists && (overlap == Overlap::AllowAll || self.running.is_empty());
        match starts {
            true => {
                self.run += 1;
                self.running.push(id);
            }
            false => self.skipped += 1,
        }
        starts
    }
}
