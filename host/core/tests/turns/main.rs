//! Tests of turns: a script of functions, the messages that arrive, and the expected history.
//!
//! - [`world`]: one instance. Histories are written one event a line, in the format of [`world::show`]. Every case runs hot and
//!   cold, and both must make the same commits.
//! - [`net`]: many instances that send each other messages, in an order that a seed determines, with crashes.

mod conditions;
mod ends;
mod entities;
mod events;
mod families;
mod flow;
mod http;
mod locks;
mod migrate;
mod net;
mod put_back;
mod rewind;
mod rules;
mod scheduled;
mod world;
