//! The runtime with small guests written in WAT: deployment, orchestrators in the core's turns, activities.

mod activities;
mod compile;
mod deployment;
mod entities;
mod guest;
mod hostile;
mod http;
mod inspect;
mod management;
mod objects;
mod orchestrators;
mod pool;
mod reuse;
mod sdk;
mod wasi;
mod world;
