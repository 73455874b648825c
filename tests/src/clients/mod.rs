//! The real client packages of Durable Functions, driven against a running host. They are pinned in `tests/clients`.
//!
//! - [`drive`] runs the scripts in `tests/clients` that call and check every method of theirs.
//! - [`switch`] is a service that the scripts switch on, so that what failed can succeed.

mod drive;
mod switch;

pub use drive::{Driver, Report};
pub use switch::Switch;
