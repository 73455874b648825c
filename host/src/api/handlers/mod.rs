//! One function for each route: it parses, asks the hub and formats; it decides nothing about orchestrations.

pub(super) mod administration;
pub(super) mod apps;
pub(super) mod audit;
pub(super) mod entities;
pub(super) mod event_stream;
pub(super) mod health;
pub(super) mod host_names;
pub(super) mod instances;
pub(super) mod keys;
pub(super) mod messages;
pub(super) mod orchestrators;
pub(super) mod purge;
pub(super) mod queues;
pub(super) mod restart;
pub(super) mod schedules;
pub(super) mod secrets;
pub(super) mod transfer;
pub(super) mod usage;
