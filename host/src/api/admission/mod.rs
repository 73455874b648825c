//! What every request passes before it is answered: whether a browser was tricked into it, how many there may be, how much memory
//! they take.

pub(super) mod bodies;
pub(super) mod body;
pub(super) mod guard;
pub(super) mod rate;
pub(super) mod revoked;
pub(super) mod under_way;
