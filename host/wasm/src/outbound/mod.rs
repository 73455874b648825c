//! What activities send to the network: which hosts a tenant allows, the requests themselves, and the secrets in them.

pub(crate) mod allow_list;
pub(crate) mod http;
pub(crate) mod http_activity;
pub(crate) mod scrub;
pub(crate) mod secret;
