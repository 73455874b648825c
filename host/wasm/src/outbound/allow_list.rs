//! Where activities may send HTTP requests.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use ipnet::IpNet;

/// Hosts that the operator allows. Empty: none.
///
/// An entry is `host`, `*.example.org` (any name below `example.org`, not itself), an address, or a range of addresses
/// (`10.1.0.0/16`). All but a range may end in a port (`host:8080`, `[::1]:8080`); without one, every port is allowed.
/// An entry may begin with `http://` or `https://`; without a scheme, both are allowed. Host names compare ignoring case.
///
/// Private, loopback and link-local addresses are refused after name resolution, whatever name resolves to them, unless an
/// entry allows them: an address or a range (also for the names that other entries allow), `localhost`, or an exact name
/// *with* a port (`db.internal:8080`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AllowList(Vec<Entry>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    scheme: Option<Scheme>,
    host: Pattern,
    port: Option<u16>,
    /// Whether private addresses are allowed as well.
    private: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scheme {
    Http,
    Https,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Pattern {
    Addresses(IpNet),
    Name(String),
    /// With the dot: `.example.org`.
    Below(String),
}

/// Why a text is not an entry of an [`AllowList`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{0}' is not an allowed host: write host, host:port, *.example.org, an address, or a range such as 10.1.0.0/16, \
     with http:// or https:// before it if needed, and no path after it"
)]
pub struct InvalidAllowEntry(String);

/// Where a request goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    pub scheme: Scheme,
    /// Without brackets.
    pub host: String,
    pub port: u16,
}

/// What the list says about a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Denied,
    /// Allowed if it resolves to public addresses.
    Public,
    /// Allowed whatever it resolves to.
    Anywhere,
}

impl AllowList {
    pub fn parse<T: AsRef<str>>(entries: impl IntoIterator<Item = T>) -> Result<Self, InvalidAllowEntry> {
        entries.into_iter().map(|entry| entry.as_ref().parse()).collect::<Result<_, _>>().map(Self)
    }

    /// Returns the union of both lists.
    #[must_use]
    pub fn or(mut self, more: AllowList) -> AllowList {
        self.0.extend(more.0);
        self
    }

    /// Returns the intersection of both lists. Private addresses stay allowed where this list, the operator's, allows them.
    pub(crate) fn narrowed(&self, asked: &AllowList) -> AllowList {
        Self(self.0.iter().flat_map(|granted| asked.0.iter().filter_map(|asked| granted.narrowed(asked))).collect())
    }

    pub(crate) fn verdict(&self, target: &Target) -> Verdict {
        let matching = self.0.iter().filter(|entry| entry.matches(target));
        matching.fold(Verdict::Denied, |best, entry| match (best, entry.private) {
            (Verdict::Anywhere, _) | (_, true) => Verdict::Anywhere,
            (Verdict::Denied | Verdict::Public, false) => Verdict::Public,
        })
    }

    /// Whether an address or a range of the list allows this address, whatever name resolved to it.
    pub(crate) fn grants_address(&self, target: &Target, address: IpAddr) -> bool {
        let target = Target { host: address.to_string(), ..target.clone() };
        self.0.iter().any(|entry| matches!(entry.host, Pattern::Addresses(_)) && entry.matches(&target))
    }

    /// Whether a secret may be sent there: over TLS, unless the entry says `http://`.
    pub(crate) fn allows_secret(&self, target: &Target) -> bool {
        let open = |entry: &Entry| target.scheme == Scheme::Https || entry.scheme == Some(Scheme::Http);
        self.0.iter().any(|entry| open(entry) && entry.matches(target))
    }
}

impl Entry {
    fn matches(&self, target: &Target) -> bool {
        let Target { scheme, host, port } = target;
        if self.port.is_some_and(|allowed| allowed != *port) || self.scheme.is_some_and(|allowed| allowed != *scheme) {
            return false;
        }
        match &self.host {
            // An IPv4 address mapped into IPv6 is the same host.
            Pattern::Addresses(range) => host.parse().is_ok_and(|address: IpAddr| range.contains(&address.to_canonical())),
            Pattern::Name(name) => host.eq_ignore_ascii_case(name),
            Pattern::Below(domain) => is_below(host, domain),
        }
    }

    fn narrowed(&self, asked: &Entry) -> Option<Entry> {
        Some(Entry {
            scheme: narrower(self.scheme, asked.scheme)?,
            host: self.host.narrowed(&asked.host)?,
            port: narrower(self.port, asked.port)?,
            private: self.private,
        })
    }
}

/// Returns the intersection of both, where None stands for everything.
fn narrower<T: PartialEq + Copy>(one: Option<T>, other: Option<T>) -> Option<Option<T>> {
    match (one, other) {
        (Some(one), Some(other)) if one != other => None,
        (one, other) => Some(one.or(other)),
    }
}

impl Pattern {
    fn narrowed(&self, asked: &Pattern) -> Option<Pattern> {
        let narrower = match (self, asked) {
            (Pattern::Addresses(one), Pattern::Addresses(other)) if one.contains(other) => asked,
            (Pattern::Addresses(one), Pattern::Addresses(other)) if other.contains(one) => self,
            (Pattern::Name(one), Pattern::Name(other)) if one.eq_ignore_ascii_case(other) => self,
            (Pattern::Name(name), Pattern::Below(domain)) if is_below(name, domain) => self,
            (Pattern::Below(domain), Pattern::Name(name)) if is_below(name, domain) => asked,
            (Pattern::Below(one), Pattern::Below(other)) if one.eq_ignore_ascii_case(other) || is_below(one, other) => self,
            (Pattern::Below(one), Pattern::Below(other)) if is_below(other, one) => asked,
            _ => return None,
        };
        Some(narrower.clone())
    }
}

/// `domain` begins with its dot.
fn is_below(name: &str, domain: &str) -> bool {
    name.len()
        .checked_sub(domain.len())
        .is_some_and(|length| length > 0 && name.is_char_boundary(length) && name[length..].eq_ignore_ascii_case(domain))
}

impl FromStr for Entry {
    type Err = InvalidAllowEntry;

    fn from_str(text: &str) -> Result<Self, InvalidAllowEntry> {
        let invalid = || InvalidAllowEntry(text.to_owned());
        let (scheme, rest) = match text.split_once("://") {
            Some((scheme, rest)) => (Some(Scheme::of(scheme).ok_or_else(invalid)?), rest),
            None => (None, text),
        };
        let address =
            |address: IpAddr, port| Self { scheme, host: Pattern::Addresses(address.to_canonical().into()), port, private: true };
        if let Ok(found) = rest.parse::<IpAddr>() {
            return Ok(address(found, None));
        }
        if let Ok(socket) = rest.parse::<std::net::SocketAddr>() {
            return Ok(address(socket.ip(), Some(socket.port())));
        }
        if let Ok(range) = rest.parse::<IpNet>() {
            // `10.1.2.3/16` is ambiguous: it may mean the address or the range.
            let plain = range.trunc() == range;
            return plain
                .then_some(Self { scheme, host: Pattern::Addresses(range), port: None, private: true })
                .ok_or_else(invalid);
        }
        let (host, port) = match rest.rsplit_once(':') {
            Some((host, port)) => (host, Some(port.parse().map_err(|_| invalid())?)),
            None => (rest, None),
        };
        let name = host.strip_prefix('*').unwrap_or(host);
        let is_name =
            |name: &str| !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_'));
        match (host.starts_with('*'), name.strip_prefix('.')) {
            (true, Some(domain)) if is_name(domain) => {
                Ok(Self { scheme, host: Pattern::Below(name.to_owned()), port, private: false })
            }
            (false, None) if is_name(name) => {
                let private = name.eq_ignore_ascii_case("localhost") || port.is_some();
                Ok(Self { scheme, host: Pattern::Name(name.to_owned()), port, private })
            }
            _ => Err(invalid()),
        }
    }
}

impl Scheme {
    pub fn of(text: &str) -> Option<Self> {
        match text {
            _ if text.eq_ignore_ascii_case("https") => Some(Scheme::Https),
            _ if text.eq_ignore_ascii_case("http") => Some(Scheme::Http),
            _ => None,
        }
    }

    pub fn default_port(self) -> u16 {
        match self {
            Scheme::Http => 80,
            Scheme::Https => 443,
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.scheme {
            Scheme::Http => "http",
            Scheme::Https => "https",
        };
        write!(f, "{scheme}://{}:{}", self.host, self.port)
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
        // Mapped, NAT64, 6to4: an IPv4 address embedded in an IPv6 one.
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => {
            let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
            Some(Ipv4Addr::new(a, b, c, d))
        }
        _ => None,
    };
    match embedded {
        Some(v4) => is_public_v4(v4),
        // Only 2000::/3 is routed; of it, 2001::/23 is for protocols (tunnels into IPv4 among them), 2001:db8::/32 and
        // 3fff::/20 are for documentation.
        None => match segments {
            [0x2001, second, ..] => second >= 0x200 && second != 0xdb8,
            [0x3fff, second, ..] => second >= 0x1000,
            [first, ..] => first & 0xe000 == 0x2000,
        },
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
            assert_eq!(list.verdict(&target("https", host, port)), verdict, "{host}:{port}");
        }
        assert_eq!(AllowList::default().verdict(&target("http", "localhost", 80)), Verdict::Denied);
    }

    fn target(scheme: &str, host: &str, port: u16) -> Target {
        Target { scheme: Scheme::of(scheme).unwrap(), host: host.into(), port }
    }

    #[test]
    fn an_entry_may_name_a_scheme() {
        let list = AllowList::parse(["https://api.example.com", "HTTP://old.example.com:8080", "both.example.com"]).unwrap();
        let cases = [
            ("https", "api.example.com", 443, Verdict::Public),
            ("http", "api.example.com", 443, Verdict::Denied),
            ("http", "old.example.com", 8080, Verdict::Anywhere),
            ("https", "old.example.com", 8080, Verdict::Denied),
            ("http", "both.example.com", 80, Verdict::Public),
            ("https", "both.example.com", 80, Verdict::Public),
        ];
        for (scheme, host, port, verdict) in cases {
            assert_eq!(list.verdict(&target(scheme, host, port)), verdict, "{scheme}://{host}:{port}");
        }
        let secret = |scheme, host, port| list.allows_secret(&target(scheme, host, port));
        assert!(secret("https", "api.example.com", 443) && secret("https", "both.example.com", 443));
        assert!(secret("http", "old.example.com", 8080), "the entry says so");
        assert!(!secret("http", "both.example.com", 80), "not in the clear unless the entry says so");
    }

    #[test]
    fn a_range_grants_addresses_also_to_names() {
        let list = AllowList::parse(["10.1.0.0/16", "fd00:1::/32", "*.corp.example"]).unwrap();
        for (host, verdict) in [
            ("10.1.2.3", Verdict::Anywhere),
            ("::ffff:10.1.2.3", Verdict::Anywhere),
            ("10.2.0.1", Verdict::Denied),
            ("fd00:1::7", Verdict::Anywhere),
            ("fd00:2::7", Verdict::Denied),
            ("a.corp.example", Verdict::Public),
            // Other spellings of an address are names, which no entry allows.
            ("0x0a010203", Verdict::Denied),
            ("167838211", Verdict::Denied),
        ] {
            assert_eq!(list.verdict(&target("http", host, 80)), verdict, "{host}");
        }
        let by_name = target("https", "a.corp.example", 443);
        assert!(list.grants_address(&by_name, "10.1.9.9".parse().unwrap()));
        assert!(!list.grants_address(&by_name, "169.254.169.254".parse().unwrap()));
    }

    #[test]
    fn what_is_asked_for_narrows_what_is_granted_and_never_widens_it() {
        let narrowed =
            |granted: &[&str], asked: &[&str]| AllowList::parse(granted).unwrap().narrowed(&AllowList::parse(asked).unwrap());
        let list = narrowed(
            &["*.example.org", "10.0.0.0/8", "db.internal"],
            &["https://a.example.org", "10.1.0.0/16", "db.internal:80"],
        );
        for (scheme, host, port, verdict) in [
            ("https", "a.example.org", 443, Verdict::Public),
            ("http", "a.example.org", 443, Verdict::Denied),
            ("https", "b.example.org", 443, Verdict::Denied),
            ("http", "10.1.2.3", 80, Verdict::Anywhere),
            ("http", "10.2.2.3", 80, Verdict::Denied),
            // Not `Anywhere`: the operator has not opened private addresses to it.
            ("http", "db.internal", 80, Verdict::Public),
            ("http", "db.internal", 81, Verdict::Denied),
        ] {
            assert_eq!(list.verdict(&target(scheme, host, port)), verdict, "{scheme}://{host}:{port}");
        }
        assert_eq!(narrowed(&["a.example.org:443"], &["*.example.org"]), AllowList::parse(["a.example.org:443"]).unwrap());
        assert_eq!(narrowed(&["a.example.org"], &["b.example.org", "*.a.example.org"]), AllowList::default());
    }

    #[test]
    fn what_is_no_entry_is_refused() {
        for bad in [
            "",
            "ftp://example.org",
            "http://",
            "https://example.org/",
            "10.1.2.3/16",
            "10.0.0.0/33",
            "example.org/path",
            "*",
            "*example.org",
            "a*.example.org",
            "host:port",
            "host:70000",
        ] {
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
            "2001:0:4136:e378:8000:63bf:3fff:fdd2",
            "3fff::1",
            "::127.0.0.1",
            "fec0::1",
            "fd00:ec2::254",
            "100.100.100.200",
        ];
        for text in private {
            assert!(!is_public(text.parse().unwrap()), "{text}");
        }
        for text in ["1.1.1.1", "93.184.215.14", "2606:4700::1111", "::ffff:1.1.1.1"] {
            assert!(is_public(text.parse().unwrap()), "{text}");
        }
    }
}
