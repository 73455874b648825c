//! End to end: a real process, a real socket, real guests.

mod access;
mod attack;
mod bad_input;
mod cli;
mod compiling;
mod context;
mod contract;
mod crash;
mod deployments;
mod determinism;
mod entities;
mod examples;
mod grants;
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
mod transfer;
mod versions;
mod webhook;
