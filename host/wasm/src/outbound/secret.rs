//! Secrets that guests may use and never see: the host puts them into the headers of outgoing requests.

use std::fmt;

use dacapo_core::guest::SECRET_OPENS;
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::AllowList;
use crate::outbound::allow_list::{Scheme, Target};

/// A secret of a tenant.
///
/// Where a header of an outgoing request holds `{{secret:NAME}}`, the host puts the value in its place, if the request goes
/// to one of `hosts`; otherwise the request is refused. The value is masked in the responses of these hosts: see the module
/// `scrub`, also for the forms that it does not find.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret {
    pub name: String,
    pub value: String,
    /// Over TLS only, except for entries that begin with `http://`.
    pub hosts: AllowList,
    /// The environment variable in which activities see it. Orchestrators and entities never do.
    pub environment: Option<String>,
}

const CLOSES: &str = "}}";

/// Why the secrets of a request are not filled in. It never contains a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SecretError {
    #[error("a secret in the header `{0}` has characters that a header must not have")]
    NoHeader(HeaderName),
    #[error("`{SECRET_OPENS}` lacks its `{CLOSES}`")]
    Unclosed,
    #[error("there is no secret '{0}' for this app")]
    Unknown(String),
    #[error("the secret '{name}' is not for {target}{rule}")]
    NotForTarget { name: String, target: Target, rule: String },
}

/// Fills in the secrets of a request.
pub(crate) fn fill(secrets: &[Secret], target: &Target, headers: &mut HeaderMap) -> Result<(), SecretError> {
    for (header, value) in headers.iter_mut() {
        // Secrets are named in ASCII; other values stay as they are.
        let Some(text) = value.to_str().ok().filter(|text| text.contains(SECRET_OPENS)) else { continue };
        let filled = fill_text(secrets, target, text)?;
        let mut filled = HeaderValue::from_str(&filled).map_err(|_| SecretError::NoHeader(header.clone()))?;
        filled.set_sensitive(true);
        *value = filled;
    }
    Ok(())
}

fn fill_text(secrets: &[Secret], target: &Target, mut text: &str) -> Result<String, SecretError> {
    let mut filled = String::new();
    while let Some((before, rest)) = text.split_once(SECRET_OPENS) {
        let (name, after) = rest.split_once(CLOSES).ok_or(SecretError::Unclosed)?;
        let secret = secrets.iter().find(|secret| secret.name == name);
        let secret = secret.ok_or_else(|| SecretError::Unknown(name.to_owned()))?;
        if !secret.hosts.allows_secret(target) {
            let rule = secret.plain_http_rule(target);
            return Err(SecretError::NotForTarget { name: name.to_owned(), target: target.clone(), rule });
        }
        filled.push_str(before);
        filled.push_str(&secret.value);
        text = after;
    }
    filled.push_str(text);
    Ok(filled)
}

impl Secret {
    /// A hint for a request that is refused only because it lacks TLS.
    fn plain_http_rule(&self, target: &Target) -> String {
        let with_tls = Target { scheme: Scheme::Https, ..target.clone() };
        match target.scheme == Scheme::Http && self.hosts.allows_secret(&with_tls) {
            true => format!(
                " without TLS: over plain HTTP it is sent only where its grant says `http://`, as `dacapo hub grant HUB --secret \
                 {}={target}` does",
                self.name
            ),
            false => String::new(),
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, value: _, hosts, environment } = self;
        f.debug_struct("Secret")
            .field("name", name)
            .field("hosts", hosts)
            .field("environment", environment)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secrets() -> Vec<Secret> {
        let secret = |name: &str, value: &str, hosts: &[&str]| Secret {
            name: name.into(),
            value: value.into(),
            hosts: AllowList::parse(hosts).unwrap(),
            environment: None,
        };
        vec![
            secret("KEY", "s3cret", &["api.example.com"]),
            secret("OLD", "0ld", &["http://old.example.com"]),
            secret("BAD", "a\nb", &["*.example.com"]),
        ]
    }

    fn filled(url: (&str, &str), text: &str) -> Result<String, SecretError> {
        let scheme = Scheme::of(url.0).unwrap();
        let target = Target { scheme, host: url.1.into(), port: scheme.default_port() };
        let mut headers = HeaderMap::from_iter([(http::header::AUTHORIZATION, HeaderValue::from_str(text).unwrap())]);
        fill(&secrets(), &target, &mut headers)?;
        let value = &headers[http::header::AUTHORIZATION];
        assert_eq!(value.is_sensitive(), text.contains(SECRET_OPENS));
        Ok(value.to_str().unwrap().to_owned())
    }

    #[test]
    fn a_secret_goes_to_its_hosts_only() {
        let api = ("https", "api.example.com");
        assert_eq!(filled(api, "Bearer {{secret:KEY}}").unwrap(), "Bearer s3cret");
        assert_eq!(filled(api, "{{secret:KEY}}{{secret:KEY}}.").unwrap(), "s3crets3cret.");
        assert_eq!(filled(api, "{{other}}").unwrap(), "{{other}}");
        assert_eq!(filled(("http", "old.example.com"), "{{secret:OLD}}").unwrap(), "0ld");
        for (url, text, why) in [
            (("https", "evil.example.com"), "{{secret:KEY}}", "the secret 'KEY' is not for https://evil.example.com:443"),
            (api, "{{secret:NONE}}", "there is no secret 'NONE' for this app"),
            (api, "{{secret:KEY", "`{{secret:` lacks its `}}`"),
            (api, "{{secret:BAD}}", "a secret in the header `authorization` has characters that a header must not have"),
        ] {
            assert_eq!(filled(url, text).unwrap_err().to_string(), why);
        }
    }

    #[test]
    fn the_rule_for_plain_http_is_said_where_it_is_in_the_way() {
        let refused = filled(("http", "api.example.com"), "{{secret:KEY}}").unwrap_err().to_string();
        assert!(refused.starts_with("the secret 'KEY' is not for http://api.example.com:80 without TLS"), "{refused}");
        assert!(refused.contains("`dacapo hub grant HUB --secret KEY=http://api.example.com:80`"), "{refused}");
    }

    #[test]
    fn a_secret_is_not_printed() {
        let printed = format!("{:?}", secrets());
        assert!(printed.contains("KEY") && !printed.contains("s3cret"), "{printed}");
    }
}
