//! Turns as data: a script of functions, what arrives, and the history that must come out.
//!
//! - [`world`]: one instance. Histories are written one event a line, as [`world::show`] prints them. Every case runs hot
//!   and cold, and the two must give the same commits.
//! - [`net`]: many instances that send each other messages, in every order that a seed leads to, with crashes.

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
