//! Where activities may send HTTP requests.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// Hosts that the operator allows. Empty: none.
///
/// An entry is `host`, `host:port`, `*.example.org` or `*.example.org:port` (any name below `example.org`, not itself);
/// without a port it allows every port. Host names compare ignoring case.
///
/// Private, loopback and link-local addresses are refused after name resolution, whatever name leads to them, unless the
/// entry means them: it is an address (`10.0.0.7`, `[::1]:8080`), `localhost`, or an exact name *with* a port
/// (`db.internal:8080`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AllowList(Vec<Entry>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    host: Pattern,
    port: Option<u16>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Pattern {
    Address(IpAddr),
    Name(String),
    /// With the dot: `.example.org`.
    Below(String),
}

/// Why a text is not an entry of an [`AllowList`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not an allowed host: write host, host:port, *.example.org or an address, without scheme and path")]
pub struct InvalidAllowEntry(String);

/// What the list says about a host and a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Denied,
    /// Allowed if it resolves to public addresses.
    Public,
    /// Allowed wherever it leads.
    Anywhere,
}

impl AllowList {
    pub fn parse<T: AsRef<str>>(entries: impl IntoIterator<Item = T>) -> Result<Self, InvalidAllowEntry> {
        entries.into_iter().map(|entry| entry.as_ref().parse()).collect::<Result<_, _>>().map(Self)
    }

    /// `host` without brackets.
    pub(crate) fn verdict(&self, host: &str, port: u16) -> Verdict {
        let matching = self.0.iter().filter(|entry| entry.matches(host, port));
        matching.fold(Verdict::Denied, |best, entry| match (best, entry.means_private()) {
            (Verdict::Anywhere, _) | (_, true) => Verdict::Anywhere,
            (Verdict::Denied | Verdict::Public, false) => Verdict::Public,
        })
    }
}

impl Entry {
    fn matches(&self, host: &str, port: u16) -> bool {
        if self.port.is_some_and(|allowed| allowed != port) {
            return false;
        }
        match &self.host {
            Pattern::Address(address) => host.parse() == Ok(*address),
            Pattern::Name(name) => host.eq_ignore_ascii_case(name),
            Pattern::Below(domain) => {
                host.len() > domain.len() && host.is_char_boundary(host.len() - domain.len()) && {
                    host[host.len() - domain.len()..].eq_ignore_ascii_case(domain)
                }
            }
        }
    }

    fn means_private(&self) -> bool {
        match &self.host {
            Pattern::Address(_) => true,
            Pattern::Name(name) => name.eq_ignore_ascii_case("localhost") || self.port.is_some(),
            Pattern::Below(_) => false,
        }
    }
}

impl FromStr for Entry {
    type Err = InvalidAllowEntry;

    fn from_str(text: &str) -> Result<Self, InvalidAllowEntry> {
        let invalid = || InvalidAllowEntry(text.to_owned());
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(Self { host: Pattern::Address(address), port: None });
        }
        if let Ok(socket) = text.parse::<std::net::SocketAddr>() {
            return Ok(Self { host: Pattern::Address(socket.ip()), port: Some(socket.port()) });
        }
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) => (host, Some(port.parse().map_err(|_| invalid())?)),
            None => (text, None),
        };
        let name = host.strip_prefix('*').unwrap_or(host);
        let is_name =
            |name: &str| !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_'));
        match (host.starts_with('*'), name.strip_prefix('.')) {
            (true, Some(domain)) if is_name(domain) => Ok(Self { host: Pattern::Below(name.to_owned()), port }),
            (false, None) if is_name(name) => Ok(Self { host: Pattern::Name(name.to_owned()), port }),
            _ => Err(invalid()),
        }
    }
}

/// Whether an address belongs to the public internet.
pub(crate) fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => is_public_v6(v6),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let special = address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_multicast()
        || address.is_documentation()
        // This network, shared address space (carriers), protocol assignments, benchmarks, reserved and broadcast.
        || a == 0
        || (a == 100 && (64..128).contains(&b))
        || (a == 192 && b == 0 && c == 0)
        || (a == 198 && (b == 18 || b == 19))
        || a >= 240;
    !special
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let segments = address.segments();
    let embedded = match segments {
        // Mapped, NAT64, 6to4: an IPv4 address in other clothes.
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => {
            let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
            Some(Ipv4Addr::new(a, b, c, d))
        }
        _ => None,
    };
    match embedded {
        Some(v4) => is_public_v4(v4),
        // Only 2000::/3 is routed; of it, 2001:db8::/32 is for documentation.
        None => segments[0] & 0xe000 == 0x2000 && !(segments[0] == 0x2001 && segments[1] == 0xdb8),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_allows_what_it_names() {
        let list =
            AllowList::parse(["api.example.com", "*.example.org", "db.internal:8080", "LOCALHOST:9000", "10.0.0.7"]).unwrap();
        let cases = [
            ("api.example.com", 443, Verdict::Public),
            ("API.example.com", 80, Verdict::Public),
            ("example.com", 443, Verdict::Denied),
            ("evil-api.example.com", 443, Verdict::Denied),
            ("a.example.org", 443, Verdict::Public),
            ("a.b.Example.org", 443, Verdict::Public),
            ("example.org", 443, Verdict::Denied),
            ("notexample.org", 443, Verdict::Denied),
            ("db.internal", 8080, Verdict::Anywhere),
            ("db.internal", 80, Verdict::Denied),
            ("localhost", 9000, Verdict::Anywhere),
            ("localhost", 9001, Verdict::Denied),
            ("10.0.0.7", 1, Verdict::Anywhere),
            ("10.0.0.8", 1, Verdict::Denied),
        ];
        for (host, port, verdict) in cases {
            assert_eq!(list.verdict(host, port), verdict, "{host}:{port}");
        }
        assert_eq!(AllowList::default().verdict("localhost", 80), Verdict::Denied);
    }

    #[test]
    fn what_is_no_entry_is_refused() {
        for bad in
            ["", "http://example.org", "example.org/path", "*", "*example.org", "a*.example.org", "host:port", "host:70000"]
        {
            assert!(AllowList::parse([bad]).is_err(), "{bad}");
        }
        assert!(AllowList::parse(["[::1]:8080", "::1", "a_b.internal"]).is_ok());
    }

    #[test]
    fn private_addresses_are_known_in_all_their_forms() {
        let private = [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "255.255.255.255",
            "::1",
            "::",
            "fe80::1",
            "fd00::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
            "ff02::1",
            "2001:db8::1",
        ];
        for text in private {
            assert!(!is_public(text.parse().unwrap()), "{text}");
        }
        for text in ["1.1.1.1", "93.184.215.14", "2606:4700::1111", "::ffff:1.1.1.1"] {
            assert!(is_public(text.parse().unwrap()), "{text}");
        }
    }
}
