//! A request that has found its route: what its path, query and body say.

use std::sync::Arc;
use std::time::Duration;

use axum::http::header::{CONTENT_TYPE, HOST};
use axum::http::request::Parts;
use percent_encoding::percent_decode_str;

use dacapo_core::{InstanceId, Payload};

use super::Api;
use super::error::ApiError;
use super::links::Links;
use crate::hub::Hub;

pub(super) struct Call {
    pub api: Arc<Api>,
    /// What the placeholders of the route's pattern stand for, in their order.
    pub captures: Vec<String>,
    pub query: Query,
    pub head: Parts,
    pub body: Vec<u8>,
}

impl Call {
    /// The hub that the request is for.
    pub fn hub(&self) -> Result<Hub, ApiError> {
        self.api.hub(self.query.text("taskHub")?).cloned()
    }

    /// The instance that the path names. A text that no instance can have is not found, like any other.
    pub fn instance_id(&self) -> Result<InstanceId, ApiError> {
        InstanceId::any(&self.captures[0]).map_err(|_| ApiError::not_found())
    }

    pub fn links(&self) -> Result<Links, ApiError> {
        let hub = self.api.hub(self.query.text("taskHub")?)?.name();
        Ok(Links::new(&self.origin(), hub, self.query.text("connection")?))
    }

    /// The address of this very request.
    pub fn url(&self) -> String {
        let path = self.head.uri.path_and_query().map_or("/", |path| path.as_str());
        format!("{}{path}", self.origin())
    }

    /// Scheme and authority under which the client reaches the host.
    fn origin(&self) -> String {
        let host = self.head.headers.get(HOST).and_then(|host| host.to_str().ok());
        let authority = self.head.uri.authority().map(|authority| authority.as_str());
        format!("http://{}", authority.or(host).unwrap_or(&self.api.authority))
    }

    /// Whether the body claims to be JSON; none if it claims nothing.
    pub fn claims_json(&self) -> Option<bool> {
        let claimed = self.head.headers.get(CONTENT_TYPE)?.to_str().unwrap_or_default();
        let media_type = claimed.split(';').next().unwrap_or_default().trim();
        Some(media_type.eq_ignore_ascii_case("application/json"))
    }

    /// The body as a payload, `null` if there is none. Whether it is JSON is for the hub to check.
    pub fn payload(&self) -> Result<Payload, ApiError> {
        let text =
            std::str::from_utf8(&self.body).map_err(|why| ApiError::invalid_json(format!("the body is not UTF-8: {why}")))?;
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        Ok(if text.trim().is_empty() { "null".into() } else { text.into() })
    }
}

/// Reads from the store, which may have to go to the disk: not on a thread that serves other requests too.
pub(super) async fn blocking<T: Send + 'static>(
    read: impl FnOnce() -> Result<T, ApiError> + Send + 'static,
) -> Result<T, ApiError> {
    let joined = tokio::task::spawn_blocking(read).await;
    joined.unwrap_or_else(|_| Err(ApiError::internal("reading the store failed; the log of the host says more")))
}

/// The parameters of a query. Names ignore case; parameters that no one asks for are ignored.
#[derive(Debug, Default)]
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    pub fn parse(query: &str) -> Self {
        let decode = |text: &str| {
            let text = text.replace('+', " ");
            percent_decode_str(&text).decode_utf8_lossy().into_owned()
        };
        let parameters = query.split('&').filter(|parameter| !parameter.is_empty());
        let pair = |parameter: &str| {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            (decode(name), decode(value))
        };
        Self(parameters.map(pair).collect())
    }

    /// All values of a parameter that may be repeated.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    pub fn text(&self, name: &str) -> Result<Option<&str>, ApiError> {
        let mut values = self.all(name);
        let value = values.next();
        match values.next() {
            Some(_) => Err(ApiError::argument(format!("the parameter '{name}' is given more than once"))),
            None => Ok(value),
        }
    }

    /// A value that is not empty, read by `read`; the refusal names what was `expected`.
    pub fn value<T>(&self, name: &str, expected: &str, read: impl FnOnce(&str) -> Option<T>) -> Result<Option<T>, ApiError> {
        let Some(text) = self.text(name)?.map(str::trim).filter(|text| !text.is_empty()) else { return Ok(None) };
        let refusal = || ApiError::argument(format!("the parameter '{name}' is '{text}', but should be {expected}"));
        read(text).ok_or_else(refusal).map(Some)
    }

    /// True or false in any case; none if it is not given.
    pub fn flag(&self, name: &str) -> Result<Option<bool>, ApiError> {
        self.value(name, "true or false", |text| text.to_ascii_lowercase().parse().ok())
    }

    pub fn seconds(&self, name: &str) -> Result<Option<Duration>, ApiError> {
        self.value(name, "a number of seconds, 0 or more", |text| Duration::try_from_secs_f64(text.parse().ok()?).ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_decoded_and_its_names_ignore_case() {
        let query = Query::parse("REASON=fixed+it%20now&version=2.0%20beta&b&showInput=True&&x=a%2Bb");
        assert_eq!(query.text("reason").unwrap(), Some("fixed it now"));
        assert_eq!(query.text("version").unwrap(), Some("2.0 beta"));
        assert_eq!(query.text("b").unwrap(), Some(""));
        assert_eq!(query.text("x").unwrap(), Some("a+b"));
        assert_eq!(query.text("missing").unwrap(), None);
        assert_eq!(query.flag("showinput").unwrap(), Some(true));
    }

    #[test]
    fn wrong_values_are_refused_by_name() {
        let query = Query::parse("showInput=yes&timeout=-1&pollingInterval=NaN&reason=a&reason=b&top=");
        for refused in [
            query.flag("showInput").map(|_| ()),
            query.seconds("timeout").map(|_| ()),
            query.seconds("pollingInterval").map(|_| ()),
            query.text("reason").map(|_| ()),
        ] {
            assert!(refused.unwrap_err().to_string().starts_with("the parameter '"));
        }
        assert_eq!(query.value("top", "a number", |text| text.parse::<u32>().ok()).unwrap(), None);
    }
}
