//! Bodies that more than one route sends.

pub(super) mod history;
pub(super) mod json;
pub(super) mod links;
pub(super) mod page;
pub(super) mod parts;
pub(super) mod status;
