//! The worlds that guests run in, and what runs them there.

pub(crate) mod activity;
pub(crate) mod bindings;
pub(crate) mod client;
pub(crate) mod deterministic;
pub(crate) mod entity;
pub(crate) mod guest_permit;
pub(crate) mod idle;
pub(crate) mod lines;
pub(crate) mod orchestration;
pub(crate) mod orchestrator;
pub(crate) mod prepared;
pub(crate) mod trap;
pub(crate) mod wasi;
