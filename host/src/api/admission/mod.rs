//! The checks that every request passes before it is answered: protection of browsers, the limits on rate, number and memory, and
//! revoked keys.

pub(super) mod body;
pub(super) mod body_memory;
pub(super) mod concurrency;
pub(super) mod guard;
pub(super) mod rate;
pub(super) mod revoked;
