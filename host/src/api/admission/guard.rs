//! Refuses requests that a browser was tricked into.
//!
//! With `--dev` the host trusts all that can reach it: the machine's own users, and any web page they have open. A page can
//! send requests to `localhost`, and with a host name that it points at 127.0.0.1 (DNS rebinding) even read the answers. So on
//! a loopback address the `Host` must be a loopback name, and a request that a page of another origin sends is refused
//! everywhere. The host names of task hubs are trusted like those of the configuration: an administrator has given them. Programs send no `Origin` and are not affected.
//!
//! The address for programs without a key refuses every request of a browser, which sends `Origin` or, in a request for a page
//! or an image, `Sec-Fetch-Site`.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::http::header::{HOST, ORIGIN};
use axum::http::request::Parts;
use dacapo_store::control::HostNames;

use crate::api::error::ApiError;

pub(in crate::api) struct Guard {
    loopback_only: bool,
    allowed: Vec<String>,
    /// Those of task hubs, under which the host is reached too.
    host_names: Arc<HostNames>,
    programs_only: bool,
}

const SEC_FETCH_SITE: &str = "sec-fetch-site";

impl Guard {
    pub fn new(address: SocketAddr, allowed: Vec<String>, host_names: Arc<HostNames>) -> Self {
        Self { loopback_only: address.ip().is_loopback(), allowed, host_names, programs_only: false }
    }

    /// The guard of the address for programs without a key.
    pub fn of_rpc() -> Self {
        Self { loopback_only: true, allowed: Vec::new(), host_names: Arc::default(), programs_only: true }
    }

    pub fn check(&self, head: &Parts) -> Result<(), ApiError> {
        self.check_trigger(head, &[])
    }

    /// Checks a request for an HTTP trigger, which pages of these further origins may send.
    pub fn check_trigger(&self, head: &Parts, origins: &[String]) -> Result<(), ApiError> {
        let header = |name| head.headers.get(name).map(|value| value.to_str().unwrap_or_default());
        let (host, origin) = (header(HOST), header(ORIGIN));
        if head.headers.get_all(HOST).iter().count() > 1 {
            return Err(ApiError::argument("there is more than one 'Host' header"));
        }
        // If a proxy looked at one of the two and this host at the other, they would see different requests.
        let authority = head.uri.authority().map(|authority| authority.as_str());
        if let (Some(authority), Some(host)) = (authority, host.filter(|host| authority.is_some_and(|one| one != *host))) {
            return Err(ApiError::argument(format!("the request is for '{authority}', but its 'Host' header says '{host}'")));
        }
        let host = authority.or(host);
        let is_known = |host: &str| self.allows(host) || self.host_names.hub_of(host_name(host)).is_some();
        if let Some(host) = host.filter(|host| self.loopback_only && !is_loopback(host) && !is_known(host)) {
            return Err(ApiError::forbidden(format!(
                "the host listens on a loopback address and does not answer to the name '{host}'; the key allowed_hosts of its \
                 configuration can name it, or its administrator can give it to a task hub (dacapo hub add-host-name)"
            )));
        }
        if self.programs_only && (origin.is_some() || head.headers.contains_key(SEC_FETCH_SITE)) {
            return Err(ApiError::forbidden("this address is for programs without a key, not for browsers"));
        }
        if let Some(origin) = origin.filter(|origin| !self.allows_origin(origin, host) && !is_listed(origins, origin)) {
            return Err(ApiError::forbidden(format!("a page of '{origin}' may not send requests to this host")));
        }
        Ok(())
    }

    fn allows(&self, authority: &str) -> bool {
        self.allowed.iter().any(|name| name.eq_ignore_ascii_case(host_name(authority)))
    }

    fn allows_origin(&self, origin: &str, host: Option<&str>) -> bool {
        let Some((_scheme, authority)) = origin.split_once("://") else { return false };
        host.is_some_and(|host| host.eq_ignore_ascii_case(authority)) || self.allows(authority)
    }
}

/// Whether an origin is among those in the configuration, of which `*` stands for all.
pub(in crate::api) fn is_listed(origins: &[String], origin: &str) -> bool {
    origins.iter().any(|known| known == "*" || known.eq_ignore_ascii_case(origin))
}

fn is_loopback(authority: &str) -> bool {
    let name = host_name(authority);
    let address = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    let lower = name.trim_end_matches('.').to_ascii_lowercase();
    address.is_ok_and(|address| address.is_loopback()) || lower == "localhost" || lower.ends_with(".localhost")
}

/// An authority without its port.
pub(in crate::api) fn host_name(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => authority,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passes(address: &str, host: &str, origin: Option<&str>) -> bool {
        let guard = Guard::new(address.parse().unwrap(), vec!["dev.example".into()], Arc::default());
        let mut request = axum::http::Request::builder().uri("/").header(HOST, host);
        if let Some(origin) = origin {
            request = request.header(ORIGIN, origin);
        }
        guard.check(&request.body(()).unwrap().into_parts().0).is_ok()
    }

    #[test]
    fn a_loopback_host_answers_to_loopback_names() {
        let loopback = "127.0.0.1:7071";
        for host in
            ["localhost", "LocalHost:7071", "127.0.0.1:1", "127.8.9.1", "[::1]:7071", "hub.localhost:80", "dev.example:7071"]
        {
            assert!(passes(loopback, host, None), "{host}");
        }
        for host in ["evil.example", "localhost.evil.example:7071", "10.0.0.1", "", "127.0.0.1.evil.example"] {
            assert!(!passes(loopback, host, None), "{host}");
            assert!(passes("0.0.0.0:7071", host, None), "{host}");
        }
    }

    #[test]
    fn where_no_key_is_asked_for_no_browser_is_answered() {
        let passes = |headers: &[(&str, &str)]| {
            let mut request = axum::http::Request::builder().uri("/");
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            Guard::of_rpc().check(&request.body(()).unwrap().into_parts().0).is_ok()
        };
        assert!(passes(&[("host", "127.0.0.1:17071")]));
        assert!(passes(&[("host", "localhost:17071")]));
        assert!(!passes(&[("host", "evil.example:17071")]), "a name that a page points at this machine");
        assert!(!passes(&[("host", "dev.example:17071")]), "allowed_hosts is for the other address");
        for origin in ["http://127.0.0.1:17071", "https://evil.example", "null"] {
            assert!(!passes(&[("host", "127.0.0.1:17071"), ("origin", origin)]), "{origin}");
        }
        for site in ["cross-site", "same-origin", "none"] {
            assert!(!passes(&[("host", "127.0.0.1:17071"), ("sec-fetch-site", site)]), "{site}");
        }
    }

    #[test]
    fn a_request_is_for_one_host() {
        let guard = Guard::new("127.0.0.1:7071".parse().unwrap(), Vec::new(), Arc::default());
        let passes = |uri: &str, hosts: &[&str]| {
            let mut request = axum::http::Request::builder().uri(uri);
            for host in hosts {
                request = request.header(HOST, *host);
            }
            guard.check(&request.body(()).unwrap().into_parts().0).is_ok()
        };
        assert!(passes("http://localhost:7071/healthz", &["localhost:7071"]));
        assert!(passes("http://localhost:7071/healthz", &[]));
        assert!(!passes("http://evil.example/healthz", &[]));
        assert!(!passes("http://evil.example/healthz", &["localhost:7071"]));
        assert!(!passes("http://user@localhost:7071/healthz", &["localhost:7071"]));
        assert!(!passes("/healthz", &["localhost:7071", "evil.example"]));
        assert!(!passes("/healthz", &["localhost:7071", "localhost:7071"]));
    }

    #[test]
    fn pages_of_other_origins_are_refused() {
        for address in ["127.0.0.1:7071", "0.0.0.0:7071"] {
            assert!(passes(address, "localhost:7071", Some("http://localhost:7071")));
            assert!(passes(address, "localhost:7071", Some("https://dev.example")));
            for origin in ["http://localhost:3000", "https://evil.example", "null", ""] {
                assert!(!passes(address, "localhost:7071", Some(origin)), "{origin}");
            }
        }
    }
}
