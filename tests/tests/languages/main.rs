//! Guests in every language: apps built as their authors build them, on a real host.

mod conformance;
mod new_apps;
mod polyglot;
mod sdks;
