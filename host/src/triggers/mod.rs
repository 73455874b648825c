//! Triggers: what an app's descriptions of them mean, and what they are given and return. Nothing here runs one.
//!
//! - [`bindings`]: the description of a trigger, as in a `function.json`.
//! - [`route`]: templates of routes, and which of them a path matches. [`routes`]: the routes of a task hub.
//! - [`listing`]: how they are shown.
//! - [`http`]: the JSON that stands for a request and for a response. [`queue`]: the same for messages.

pub mod bindings;
pub mod http;
pub mod listing;
pub mod queue;
pub mod route;
pub mod routes;

pub use bindings::{AuthLevel, Disabled, HttpTrigger, InvalidBindings, Parsed, Source, Trigger};
pub use listing::StartedBy;
pub use routes::{RouteConflict, Routes, Served};
