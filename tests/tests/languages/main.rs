//! Guests in every language: apps built as their authors build them, on a real host.

mod bad_input;
mod conformance;
mod documents;
mod libraries;
mod new_apps;
mod packages;
mod patterns;
mod polyglot;
mod sdks;
