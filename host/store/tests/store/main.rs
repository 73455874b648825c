//! The store from outside: behaviour, stored bytes, crashes and full disks.
//!
//! Random tests draw from a seed and print it when they fail. `DACAPO_SEED` and `DACAPO_ROUNDS` choose others.

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

/// A number from the environment, for who wants to look longer or at one seed.
fn from_env(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
}
