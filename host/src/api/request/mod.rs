//! A request whose route has been found: its path, query, headers and body.

pub(super) mod authorisation;
pub(super) mod parameter;
pub(super) mod route;

use std::net::SocketAddr;
use std::sync::Arc;

use axum::http::header::{CONTENT_TYPE, HOST};
use axum::http::request::Parts;
use axum::http::uri::Authority;
use percent_encoding::percent_decode_str;
use serde::de::DeserializeOwned;
use serde_json::Value;

use dacapo_core::{InstanceId, Payload};
use dacapo_store::control::AuditEntry;

use crate::access::{self, Caller, Scope};
use crate::api::admission::body_memory::BodyReservation;
use crate::api::admission::guard::host_name;
use crate::api::content::links::Links;
use crate::api::context::{Api, ApiOptions};
use crate::api::error::ApiError;
use crate::api::request::parameter::{
    About, AnyId, CODE, CONNECTION, FromText, HUB_NAME, INSTANCE_ID, Location, Parameter, TASK_HUB,
};
use crate::api::request::route::Found;
use crate::hub::{Hub, HubError};

pub(in crate::api) struct Call {
    pub api: Arc<Api>,
    pub found: Found,
    /// The caller, once identified.
    pub caller: Caller,
    /// The hub that it addresses, where the route is one of a hub.
    pub hub: Option<Hub>,
    pub query: Query,
    pub head: Parts,
    pub body: Vec<u8>,
    /// Counts the body against the memory budget.
    pub body_reservation: Option<BodyReservation>,
}

impl Call {
    pub fn new(api: Arc<Api>, found: Found, head: Parts) -> Self {
        let query = Query::parse(head.uri.query().unwrap_or_default());
        Self { api, found, caller: Caller::Nobody, hub: None, query, head, body: Vec::new(), body_reservation: None }
    }

    /// Returns the value of a parameter, or its default.
    pub fn find<T: FromText>(&self, parameter: &Parameter<T>) -> Result<Option<T>, ApiError> {
        let about = &parameter.about;
        debug_assert!(self.found.declares(about), "the route {} does not declare '{}'", self.found.route.pattern, about.name);
        match about.location {
            Location::Path => parameter.read(self.found.capture(about.name)),
            Location::Query if about.repeated => {
                let values: Vec<&str> = self.query.all(about.name).collect();
                parameter.read(Some(&values.join(",")))
            }
            Location::Query => parameter.read(only(about, self.query.all(about.name))?),
            Location::Header => {
                let values = self.head.headers.get_all(about.name).iter();
                // No header of the API may hold a value that is not ASCII: this stand-in gets it refused by name.
                parameter.read(only(about, values.map(|value| value.to_str().unwrap_or("\u{fffd}")))?)
            }
        }
    }

    /// Returns the value of a parameter that is required or has a default.
    pub fn get<T: FromText>(&self, parameter: &Parameter<T>) -> Result<T, ApiError> {
        self.find(parameter)?.ok_or_else(|| parameter.about.missing())
    }

    /// The hub whose limits the request counts against, given the hub that it names; empty: the host.
    pub fn accounted_hub<'a>(&'a self, hub: Option<&'a str>) -> &'a str {
        let default = || if self.found.declares(&TASK_HUB.about) { &self.api.options.default_hub } else { "" };
        hub.or_else(|| self.caller.own_hub()).unwrap_or_else(default)
    }

    /// Returns the hub that the request addresses.
    pub fn hub(&self) -> Result<Hub, ApiError> {
        debug_assert!(self.hub.is_some(), "the route {} is not one of a hub", self.found.route.pattern);
        self.hub.clone().ok_or_else(ApiError::not_found)
    }

    /// Returns the id in the path. An invalid id is answered with 404, like an unknown one.
    pub fn instance_id(&self) -> Result<InstanceId, ApiError> {
        InstanceId::any(&self.get(&INSTANCE_ID)?.0).map_err(|_| ApiError::not_found())
    }

    /// Returns the id that the client chose for a new orchestration, if it did.
    pub fn chosen_id(&self, parameter: &Parameter<AnyId>) -> Result<Option<InstanceId>, ApiError> {
        let chosen = self
            .find(parameter)?
            .map(|text| InstanceId::orchestration(&text.0).map_err(|why| parameter.about.refusal(&text.0, &why.to_string())));
        chosen.transpose()
    }

    pub fn links(&self) -> Result<Links, ApiError> {
        let hub = self.hub()?;
        let links = Links::new(&self.origin(), hub.name(), &self.get(&CONNECTION)?.0);
        Ok(links.with_tokens(self.api.options.access.links_for(&self.caller, hub.name())?))
    }

    /// The URL of this request, which is about an instance. A link token replaces the caller's key.
    pub fn url(&self, id: &InstanceId) -> Result<String, ApiError> {
        let Some(tokens) = self.api.options.access.links_for(&self.caller, self.hub()?.name())? else {
            let path = self.head.uri.path_and_query().map_or("/", |path| path.as_str());
            return Ok(format!("{}{path}", self.origin()));
        };
        let parameters = self.head.uri.query().unwrap_or_default().split('&').filter(|text| !text.is_empty());
        let others = parameters.filter(|text| !Query::parse(text).names(CODE)).collect::<Vec<_>>().join("&");
        let mark = if others.is_empty() { "" } else { "&" };
        Ok(format!("{}{}?{others}{mark}{}={}", self.origin(), self.head.uri.path(), CODE, tokens.token(id)))
    }

    /// Reads the body of an administrator's request, a JSON object. An error names the member.
    pub fn object<T: DeserializeOwned>(&self) -> Result<T, ApiError> {
        let text = self.text()?;
        // serde would accept an array of the members too.
        if !text.trim_start().starts_with('{') {
            return Err(ApiError::invalid_json("the body should be a JSON object"));
        }
        let mut reader = serde_json::Deserializer::from_str(text);
        let read = serde_path_to_error::deserialize(&mut reader);
        let object = read.map_err(|why| ApiError::member(&why.path().to_string(), why.inner()))?;
        reader.end().map_err(|why| ApiError::invalid_json(why.to_string()))?;
        Ok(object)
    }

    /// The hub that the path names.
    pub fn hub_name(&self) -> Result<String, ApiError> {
        Ok(self.get(&HUB_NAME)?.0)
    }

    /// Runs `work` on the threads of the control file, as it may wait for the disk. The hubs that callers belong to take turns.
    pub async fn control<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, ApiError> + Send + 'static,
    ) -> Result<T, ApiError> {
        let hub = self.caller.own_hub().unwrap_or_default();
        self.api.control.run(hub, work).await.map_err(|why| HubError::not_done(hub, why))?
    }

    /// A line of the audit log for what the caller does now.
    pub fn entry(&self, scope: Scope, action: &str, details: Value) -> AuditEntry {
        access::entry(&self.caller, scope, action, details)
    }

    /// Prepares the audit log entry of an action on the hub of the request.
    pub fn audited(&self, action: &'static str) -> Result<AuditedAction, ApiError> {
        let scope = Scope::Hub(self.hub()?.name().to_owned());
        Ok(AuditedAction { api: self.api.clone(), caller: self.caller.clone(), scope, action })
    }

    /// The hub that the host name of the request belongs to.
    pub fn hub_of_host(&self) -> Option<Arc<str>> {
        match self.caller {
            // Their address has one hub, whatever name leads there.
            Caller::Rpc(_) => None,
            _ => hub_of_host(&self.api, &self.head),
        }
    }

    fn origin(&self) -> String {
        // Links are passed on, also to clients that must not use the address that asks for no key.
        if let Caller::Rpc(_) = self.caller {
            return self.api.options.public_url.clone();
        }
        let ApiOptions { scheme, address, use_forwarded_host, .. } = self.api.options;
        origin(scheme, &self.head, address, use_forwarded_host)
    }

    /// Whether the `Content-Type` is JSON; none without one.
    pub fn claims_json(&self) -> Option<bool> {
        let claimed = self.head.headers.get(CONTENT_TYPE)?.to_str().unwrap_or_default();
        let media_type = claimed.split(';').next().unwrap_or_default().trim();
        Some(media_type.eq_ignore_ascii_case("application/json"))
    }

    /// The body as a text.
    pub fn text(&self) -> Result<&str, ApiError> {
        let text =
            std::str::from_utf8(&self.body).map_err(|why| ApiError::invalid_json(format!("the body is not UTF-8: {why}")))?;
        Ok(text.strip_prefix('\u{feff}').unwrap_or(text))
    }

    /// The body as a payload, `null` if there is none. Whether it is JSON is for the hub to check.
    pub fn payload(&self) -> Result<Payload, ApiError> {
        let text = self.text()?;
        Ok(if text.trim().is_empty() { "null".into() } else { text.into() })
    }
}

/// An action for the audit log: the caller, the hub, and what is done.
#[derive(Clone)]
pub(in crate::api) struct AuditedAction {
    api: Arc<Api>,
    caller: Caller,
    scope: Scope,
    action: &'static str,
}

impl AuditedAction {
    fn entry(&self, details: Value) -> AuditEntry {
        access::entry(&self.caller, self.scope.clone(), self.action, details)
    }

    /// Records the action as done. Blocks on the disk.
    pub fn done(&self, details: Value) {
        self.api.options.access.note_done(&self.entry(details));
    }

    /// Records an action that goes on while the request is answered.
    pub async fn begun(&self, details: Value) -> Result<(), ApiError> {
        let (audit, hub) = (self.clone(), self.caller.own_hub().unwrap_or_default());
        let told = self.api.control.run(hub, move || audit.done(details)).await;
        Ok(told.map_err(|why| HubError::not_done(hub, why))?)
    }

    /// Runs the action to its end, even if the client disconnects meanwhile, and records it.
    pub async fn finish<T: Send + 'static>(
        self,
        details: Value,
        act: impl Future<Output = Result<T, HubError>> + Send + 'static,
    ) -> Result<T, HubError> {
        let acting = tokio::spawn(async move {
            let done = act.await?;
            self.api.options.access.note_soon(self.entry(details)).await;
            Ok(done)
        });
        acting.await.unwrap_or(Err(HubError::ShuttingDown))
    }
}

/// Scheme and authority under which the client reaches the host.
pub(in crate::api) fn origin(scheme: &str, head: &Parts, own_address: SocketAddr, use_forwarded_host: bool) -> String {
    if let Some(forwarded) = forwarded_origin(head).filter(|_| use_forwarded_host) {
        return forwarded;
    }
    match authority(head) {
        Some(authority) => format!("{scheme}://{authority}"),
        None => format!("{scheme}://{own_address}"),
    }
}

/// The hub that the host name belongs to under which the client reaches the host.
pub(in crate::api) fn hub_of_host(api: &Api, head: &Parts) -> Option<Arc<str>> {
    let names = api.options.access.control().host_names();
    match forwarded_host(head).filter(|_| api.options.use_forwarded_host) {
        Some(forwarded) => names.hub_of(host_name(forwarded.as_str())),
        None => names.hub_of(host_name(authority(head)?)),
    }
}

/// The authority that the request is for.
fn authority(head: &Parts) -> Option<&str> {
    let host = || head.headers.get(HOST)?.to_str().ok();
    head.uri.authority().map(Authority::as_str).or_else(host)
}

/// The origin that a proxy's `X-Forwarded-*` headers name.
fn forwarded_origin(head: &Parts) -> Option<String> {
    let host = forwarded_host(head)?;
    let secure = first_of(head, "x-forwarded-proto").is_some_and(|scheme| scheme.eq_ignore_ascii_case("https"));
    Some(format!("{}://{host}", if secure { "https" } else { "http" }))
}

fn forwarded_host(head: &Parts) -> Option<Authority> {
    first_of(head, "x-forwarded-host")?.parse().ok()
}

/// The first value of a header, which is that of the outermost proxy.
fn first_of<'a>(head: &'a Parts, name: &str) -> Option<&'a str> {
    head.headers.get(name)?.to_str().ok()?.split(',').next().map(str::trim)
}

/// The value of a parameter that may be given once.
fn only<'a>(about: &About, mut values: impl Iterator<Item = &'a str>) -> Result<Option<&'a str>, ApiError> {
    let value = values.next();
    match values.next() {
        Some(_) => Err(about.given_twice()),
        None => Ok(value),
    }
}

/// The parameters of a query. Names ignore case; unknown parameters are ignored.
#[derive(Debug, Default)]
pub(in crate::api) struct Query(Vec<(String, String)>);

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

    /// The parameters with these names and values.
    pub fn of(parameters: Vec<(String, String)>) -> Self {
        Self(parameters)
    }

    /// All names and values, in order.
    pub fn pairs(&self) -> &[(String, String)] {
        &self.0
    }

    /// Whether a parameter is there.
    pub fn names(&self, name: &str) -> bool {
        self.all(name).next().is_some()
    }

    /// All values of a parameter.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(headers: &[(&str, &str)]) -> Parts {
        let mut request = axum::http::Request::builder().uri("/");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    #[test]
    fn an_address_is_that_of_the_request() {
        let origin = |scheme, headers| origin(scheme, &head(headers), SocketAddr::from(([127, 0, 0, 1], 7071)), false);
        assert_eq!(origin("http", &[("host", "hub.example:81")]), "http://hub.example:81");
        assert_eq!(origin("https", &[]), "https://127.0.0.1:7071");
    }

    #[test]
    fn a_proxy_is_believed_if_what_it_says_is_an_address() {
        let forwarded = |host, scheme| forwarded_origin(&head(&[("x-forwarded-host", host), ("x-forwarded-proto", scheme)]));
        assert_eq!(forwarded("a.example, b.example:80", "HTTPS, http").as_deref(), Some("https://a.example"));
        assert_eq!(forwarded("a.example:8443", "gopher").as_deref(), Some("http://a.example:8443"));
        for wrong in ["", "a b", "a/b", "<a>"] {
            assert_eq!(forwarded(wrong, "https"), None, "{wrong}");
        }
        assert_eq!(forwarded_origin(&head(&[("x-forwarded-proto", "https")])), None);
    }

    #[test]
    fn a_query_is_decoded_and_its_names_ignore_case() {
        let query = Query::parse("REASON=fixed+it%20now&version=2.0%20beta&b&&x=a%2Bb&X=c");
        let all = |name: &str| query.all(name).map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(all("reason"), ["fixed it now"]);
        assert_eq!(all("version"), ["2.0 beta"]);
        assert_eq!(all("b"), [""]);
        assert_eq!(all("x"), ["a+b", "c"]);
        assert_eq!(all("missing"), [""; 0]);
    }
}
