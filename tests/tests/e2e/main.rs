//! End to end: a real process, a real socket, real guests.

mod attack;
mod bad_input;
mod cli;
mod context;
mod contract;
mod crash;
mod determinism;
mod entities;
mod examples;
mod heat;
mod lifecycle;
mod links;
mod management;
mod model;
mod openapi;
mod retention;
mod rewind;
mod server;
mod sse;
mod versions;
mod webhook;
