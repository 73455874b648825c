//! End to end: a real process, a real socket, real guests.

mod bad_input;
mod cli;
mod context;
mod crash;
mod determinism;
mod examples;
mod heat;
mod lifecycle;
mod management;
mod versions;
