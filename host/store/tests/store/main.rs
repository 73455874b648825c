//! The store, tested from outside: behaviour, stored bytes, crashes and full disks.
//!
//! Random tests use a seed and print it when they fail. `DACAPO_SEED` and `DACAPO_ROUNDS` choose other seeds and more of them.

mod codec;
mod conformance;
mod control;
mod crash;
mod disk;
mod failures;
mod model;
mod opening;
mod purge;
mod random_steps;
mod samples;
mod zones;

/// Returns a number from the environment, to run more rounds or a given seed.
fn from_env(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
}
