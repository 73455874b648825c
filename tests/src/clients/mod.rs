//! The real client packages of Durable Functions, driven against a running host. Their versions are pinned in `tests/clients`.
//!
//! - [`drive`] runs the scripts in `tests/clients`, which call every method of the packages and check the results.
//! - [`switch`] is a service that the scripts switch on, so that what failed before can succeed.

mod drive;
mod switch;

pub use drive::{Driver, Report};
pub use switch::Switch;
