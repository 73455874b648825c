//! The operations of clients on a hub's instances.

pub(super) mod bulk;
pub(super) mod changes;
pub(super) mod instance;
pub(super) mod messages;
pub(super) mod purge;
pub(super) mod query;
pub(super) mod queues;
pub(super) mod schedules;
pub(super) mod transfer;
