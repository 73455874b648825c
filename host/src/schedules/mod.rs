//! Schedules: when an orchestration is to be started again and again. Pure: nothing here reads a clock, or knows a task hub.
//!
//! - [`specification`]: a schedule as it is written, in JSON, and what it means: a [`Plan`].
//! - [`calendar`]: the times of a schedule. [`span`]: durations as they are written.
//! - [`state`]: how far a schedule is, and what it does at a time.
//!
//! An occurrence is named by its **nominal time**, a whole second. The instance that it starts has the id
//! `{schedule}:{nominal time}`, such as `report:20261201T080000Z`.
//!
//! **Time zones.** A cron pattern is compared with what the clocks of the zone show. So when they are set forward, a time that they
//! do not show on that day does not occur: 02:30 every day is skipped on it. When they are set back, a time that they show twice
//! occurs twice if the hours of the pattern contain `*` (every 15 minutes is every 15 minutes), otherwise once, the first time.
//! Intervals count seconds, and know no zone.
//!
//! **Days.** With six fields (seconds first, as in Azure's timer triggers), a pattern that restricts both the day of the month and
//! the day of the week needs both to match, as there. With five, as in cron, one of them is enough.

pub mod calendar;
pub mod span;
pub mod specification;
pub mod state;

pub use calendar::Calendar;
pub use specification::{InvalidSchedule, Json, Overlap, Plan, Specification};
pub use state::{Decided, Report, State, Target, World};
