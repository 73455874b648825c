//! The management links of an instance, for the client that has started it.

use axum::http::StatusCode;
use axum::http::header::{LOCATION, RETRY_AFTER};
use axum::response::{IntoResponse, Response};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use schemars::JsonSchema;
use serde::Serialize;

use dacapo_core::InstanceId;

use crate::access::links::HubLinks;
use crate::api::content::json::json;

/// Links always name the public base path, whichever the request came by.
const BASE: &str = "/runtime/webhooks/durabletask";

/// The default storage connection of Durable Functions. It has no meaning here.
const DEFAULT_CONNECTION: &str = "Storage";

/// Seconds after which a client that has started an instance should ask for its status.
const RETRY_AFTER_START: &str = "10";

/// Everything that must be escaped in a segment of a path or a value of a query.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Makes the links of instances.
#[derive(Debug, Clone)]
pub struct Links {
    base: String,
    /// The parameters that every link carries.
    common: String,
    /// Makes the token of an instance's links. None: no token is needed.
    tokens: Option<HubLinks>,
    internal_server_error_on_failure: bool,
}

/// Where to continue. In the links, `{eventName}` and `{text}` are for the client to fill in.
// The body of a 202. The order of the members is that of the original.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::api) struct CheckStatus<'a> {
    id: &'a str,
    status_query_get_uri: Link,
    send_event_post_uri: Link,
    terminate_post_uri: Link,
    purge_history_delete_uri: Link,
    restart_post_uri: Link,
    suspend_post_uri: Link,
    resume_post_uri: Link,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(transparent)]
#[schemars(inline, extend("format" = "uri-template"))]
struct Link(String);

/// The links that a function gets: one more than in the body of a 202.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Management<'a> {
    #[serde(flatten)]
    check_status: CheckStatus<'a>,
    rewind_post_uri: Link,
}

impl Links {
    /// Returns links for functions, which pass them on: of the public URL in the configuration, not of a request's origin.
    pub fn public(url: &str, hub: &str) -> Self {
        Self::new(url.trim_end_matches('/'), hub, DEFAULT_CONNECTION)
    }

    /// Returns all links of an instance as a JSON object: the management payload of Durable Functions.
    pub fn management(&self, id: &InstanceId) -> String {
        let rewind_post_uri = Link(format!("{}/rewind?reason={{text}}&{}", self.instance(id), self.common(id)));
        let links = Management { check_status: self.check_status(id), rewind_post_uri };
        serde_json::to_string(&links).expect("links are texts and can be written as JSON")
    }

    pub(in crate::api) fn new(origin: &str, hub: &str, connection: &str) -> Self {
        let common = format!("taskHub={}&connection={}", escape(hub), escape(connection));
        Self { base: format!("{origin}{BASE}"), common, tokens: None, internal_server_error_on_failure: false }
    }

    /// Adds the tokens that open the instances.
    pub fn with_tokens(self, tokens: Option<HubLinks>) -> Self {
        Self { tokens, ..self }
    }

    /// Asks, in the status link, for a 500 should the instance fail.
    pub(in crate::api) fn internal_server_error_on_failure(self, asked: bool) -> Self {
        Self { internal_server_error_on_failure: asked, ..self }
    }

    /// Returns a 202 with the links of an instance that goes on.
    pub(in crate::api) fn check_status_response(&self, id: &InstanceId) -> Response {
        let body = self.check_status(id);
        let location = body.status_query_get_uri.0.clone();
        (AcceptedHeaders { location, retry_after: RETRY_AFTER_START }, json(StatusCode::ACCEPTED, &body)).into_response()
    }

    fn check_status<'a>(&self, id: &'a InstanceId) -> CheckStatus<'a> {
        let (instance, common) = (self.instance(id), self.common(id));
        let on_failure = if self.internal_server_error_on_failure { "&returnInternalServerErrorOnFailure=true" } else { "" };
        CheckStatus {
            id: id.as_str(),
            status_query_get_uri: Link(format!("{instance}?{common}{on_failure}")),
            send_event_post_uri: Link(format!("{instance}/raiseEvent/{{eventName}}?{common}")),
            terminate_post_uri: Link(format!("{instance}/terminate?reason={{text}}&{common}")),
            purge_history_delete_uri: Link(format!("{instance}?{common}")),
            restart_post_uri: Link(format!("{instance}/restart?{common}")),
            suspend_post_uri: Link(format!("{instance}/suspend?reason={{text}}&{common}")),
            resume_post_uri: Link(format!("{instance}/resume?reason={{text}}&{common}")),
        }
    }

    fn common(&self, id: &InstanceId) -> String {
        match &self.tokens {
            Some(tokens) => format!("{}&code={}", self.common, tokens.token(id)),
            None => self.common.clone(),
        }
    }

    fn instance(&self, id: &InstanceId) -> String {
        format!("{}/instances/{}", self.base, escape(id.as_str()))
    }
}

/// The headers of a 202 that tell a client where and when to look again.
pub(in crate::api) struct AcceptedHeaders {
    pub location: String,
    pub retry_after: &'static str,
}

impl axum::response::IntoResponseParts for AcceptedHeaders {
    type Error = std::convert::Infallible;

    fn into_response_parts(self, mut parts: axum::response::ResponseParts) -> Result<axum::response::ResponseParts, Self::Error> {
        let headers = parts.headers_mut();
        // What cannot stand in a header cannot have come in a request line or a Host header either.
        if let Ok(location) = self.location.try_into() {
            headers.insert(LOCATION, location);
        }
        headers.insert(RETRY_AFTER, axum::http::HeaderValue::from_static(self.retry_after));
        Ok(parts)
    }
}

/// Percent-encodes a segment of a path, a value of a query, or a token for a header.
pub(in crate::api) fn escape(text: &str) -> String {
    utf8_percent_encode(text, ESCAPED).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_links_are_those_of_durable_functions() {
        let id = InstanceId::orchestration("a b&ä").unwrap();
        let links = Links::new("http://localhost:7071", "TestHubName", "Storage");
        let expected = r#"{"id":"a b&ä","statusQueryGetUri":"http://localhost:7071/runtime/webhooks/durabletask/instances/a%20b%26%C3%A4?taskHub=TestHubName&connection=Storage","sendEventPostUri":"http://localhost:7071/runtime/webhooks/durabletask/instances/a%20b%26%C3%A4/raiseEvent/{eventName}?taskHub=TestHubName&connection=Storage","terminatePostUri":"http://localhost:7071/runtime/webhooks/durabletask/instances/a%20b%26%C3%A4/terminate?reason={text}&taskHub=TestHubName&connection=Storage","purgeHistoryDeleteUri":"http://localhost:7071/runtime/webhooks/durabletask/instances/a%20b%26%C3%A4?taskHub=TestHubName&connection=Storage","restartPostUri":"http://localhost:7071/runtime/webhooks/durabletask/instances/a%20b%26%C3%A4/restart?taskHub=TestHubName&connection=Storage","suspendPostUri":"http://localhost:7071/runtime/webhooks/durabletask/instances/a%20b%26%C3%A4/suspend?reason={text}&taskHub=TestHubName&connection=Storage","resumePostUri":"http://localhost:7071/runtime/webhooks/durabletask/instances/a%20b%26%C3%A4/resume?reason={text}&taskHub=TestHubName&connection=Storage"}"#;
        assert_eq!(serde_json::to_string(&links.check_status(&id)).unwrap(), expected);
    }

    #[test]
    fn a_function_is_given_one_link_more() {
        let id = InstanceId::orchestration("i").unwrap();
        let links: serde_json::Value =
            serde_json::from_str(&Links::public("https://example.org/dacapo/", "Hub").management(&id)).unwrap();
        let members = links.as_object().unwrap();
        assert_eq!(members.len(), 9, "the id and eight links");
        let instance = "https://example.org/dacapo/runtime/webhooks/durabletask/instances/i";
        assert_eq!(links["id"], "i");
        assert_eq!(links["rewindPostUri"], format!("{instance}/rewind?reason={{text}}&taskHub=Hub&connection=Storage"));
        assert_eq!(links["statusQueryGetUri"], format!("{instance}?taskHub=Hub&connection=Storage"));
    }

    #[test]
    fn a_202_says_where_and_when_to_look() {
        let id = InstanceId::orchestration("i").unwrap();
        let links = Links::new("http://h", "Hub", "My Storage").internal_server_error_on_failure(true);
        let response = links.check_status_response(&id);
        assert_eq!(response.status(), StatusCode::ACCEPTED);
        let header = |name| response.headers()[name].to_str().unwrap();
        let expected = "http://h/runtime/webhooks/durabletask/instances/i?taskHub=Hub&connection=My%20Storage&returnInternalServerErrorOnFailure=true";
        assert_eq!(header(LOCATION), expected);
        assert_eq!(header(RETRY_AFTER), "10");
        assert_eq!(header(axum::http::header::CONTENT_TYPE), "application/json; charset=utf-8");
    }
}
