//! HTTP requests of orchestrators. The host sends the request and waits durably for the response.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

#[cfg(not(target_family = "wasm"))]
use crate::action::{Action, value};
use crate::bindings::{self, Handle};
use crate::context::Context;
use crate::failure::{Failure, Result};
use crate::function::to_json;
use crate::host::{Schedule, Work};
use crate::task::Task;

impl Context {
    /// Sends an HTTP request to a host that the operator allowed, and completes with the response, whatever its status.
    /// Lazy: see [`Task`].
    ///
    /// A response 202 with a `Location` means that the work goes on: the host polls that location, at the intervals that
    /// `Retry-After` gives, until the response is not a 202. It waits durably, so the work may take days. Without any
    /// response the task fails with `HttpRequestFailed`.
    ///
    /// ```no_run
    /// # use dacapo_sdk::prelude::*;
    /// # async fn example(ctx: Context) -> Result<()> {
    /// let response = ctx.call_http(HttpRequest::post("https://example.org/reports").json(&["sales"])?).await?;
    /// if response.status == 200 {
    ///     let lines: Vec<String> = response.json()?;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn call_http(&self, request: HttpRequest) -> Task<HttpResponse> {
        let json = to_json(&request);
        self.task(json.map(|json| Work::Other(Box::new(Call { json, uri: request.uri }))))
    }
}

/// A request for [`Context::call_http`].
///
/// ```
/// use std::time::Duration;
/// use dacapo_sdk::HttpRequest;
///
/// let request = HttpRequest::new("PUT", "https://example.org/notes/17")
///     .header("authorization", "Bearer 42")
///     .content("remember the milk")
///     .timeout(Duration::from_secs(10));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[must_use = "nothing happens before it is given to `call_http`"]
pub struct HttpRequest {
    method: String,
    uri: String,
    headers: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<String>,
    asynchronous_pattern_enabled: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    timeout_ms: Option<u64>,
}

impl HttpRequest {
    /// Makes a request without headers and content. The scheme of the address is `http` or `https`.
    ///
    /// ```
    /// # use dacapo_sdk::HttpRequest;
    /// let request = HttpRequest::new("DELETE", "https://example.org/orders/17");
    /// ```
    pub fn new(method: &str, uri: impl Into<String>) -> Self {
        Self {
            method: method.to_owned(),
            uri: uri.into(),
            headers: BTreeMap::new(),
            content: None,
            asynchronous_pattern_enabled: true,
            timeout_ms: None,
        }
    }

    /// Makes a `GET` request.
    ///
    /// ```
    /// # use dacapo_sdk::HttpRequest;
    /// let request = HttpRequest::get("https://example.org/orders/17");
    /// ```
    pub fn get(uri: impl Into<String>) -> Self {
        Self::new("GET", uri)
    }

    /// Makes a `POST` request.
    ///
    /// ```
    /// # use dacapo_sdk::HttpRequest;
    /// let request = HttpRequest::post("https://example.org/orders").content("chair");
    /// ```
    pub fn post(uri: impl Into<String>) -> Self {
        Self::new("POST", uri)
    }

    /// Sets a header.
    ///
    /// ```
    /// # use dacapo_sdk::HttpRequest;
    /// let request = HttpRequest::get("https://example.org/").header("accept", "application/json");
    /// ```
    pub fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.insert(name.to_ascii_lowercase(), value.into());
        self
    }

    /// Sets the content to a text.
    ///
    /// ```
    /// # use dacapo_sdk::HttpRequest;
    /// let request = HttpRequest::post("https://example.org/notes").content("remember the milk");
    /// ```
    pub fn content(mut self, content: impl Into<String>) -> Self {
        self.content = Some(content.into());
        self
    }

    /// Sets the content to JSON, and the header `content-type`. Fails only if the value cannot be written as JSON.
    ///
    /// ```
    /// # use dacapo_sdk::{HttpRequest, Result};
    /// # fn main() -> Result<()> {
    /// let request = HttpRequest::post("https://example.org/orders").json(&["chair"])?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn json(self, value: &impl Serialize) -> Result<Self> {
        let content = to_json(value)?;
        Ok(self.header("content-type", "application/json").content(content))
    }

    /// Sets how long each request may take. The default is 100 seconds.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use dacapo_sdk::HttpRequest;
    /// let request = HttpRequest::get("https://example.org/").timeout(Duration::from_secs(5));
    /// ```
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout_ms = Some(u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX));
        self
    }

    /// Completes with a response 202 instead of polling its location.
    ///
    /// ```
    /// # use dacapo_sdk::HttpRequest;
    /// let request = HttpRequest::post("https://example.org/reports").without_polling();
    /// ```
    pub fn without_polling(mut self) -> Self {
        self.asynchronous_pattern_enabled = false;
        self
    }
}

/// A response to [`Context::call_http`], with any status.
///
/// ```no_run
/// # use dacapo_sdk::prelude::*;
/// # async fn example(ctx: Context) -> Result<()> {
/// let response = ctx.call_http(HttpRequest::get("http://localhost:8080/status")).await?;
/// assert_eq!(response.status, 200);
/// assert_eq!(response.header("content-type"), Some("text/plain"));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct HttpResponse {
    /// The status code.
    #[serde(rename = "statusCode")]
    pub status: u16,
    /// The headers. Names are in lower case.
    pub headers: BTreeMap<String, String>,
    /// The body.
    pub content: String,
}

impl HttpResponse {
    /// Makes a response without headers, for tests.
    ///
    /// ```
    /// # use dacapo_sdk::HttpResponse;
    /// assert_eq!(HttpResponse::new(404, "").status, 404);
    /// ```
    pub fn new(status: u16, content: impl Into<String>) -> Self {
        Self { status, headers: BTreeMap::new(), content: content.into() }
    }

    /// Returns the value of the header with this name, compared ignoring case.
    ///
    /// ```
    /// # use dacapo_sdk::HttpResponse;
    /// # let response: HttpResponse =
    /// #     serde_json::from_str(r#"{"statusCode": 200, "headers": {"etag": "17"}, "content": "[1]"}"#).unwrap();
    /// assert_eq!(response.header("ETag"), Some("17"));
    /// ```
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(&name.to_ascii_lowercase()).map(String::as_str)
    }

    /// Parses the content as JSON.
    ///
    /// ```
    /// # use dacapo_sdk::HttpResponse;
    /// # let response: HttpResponse =
    /// #     serde_json::from_str(r#"{"statusCode": 200, "headers": {"etag": "17"}, "content": "[1]"}"#).unwrap();
    /// let numbers: Vec<u64> = response.json()?;
    /// # assert_eq!(numbers, [1]);
    /// # Ok::<(), dacapo_sdk::Failure>(())
    /// ```
    pub fn json<T: DeserializeOwned>(&self) -> Result<T> {
        serde_json::from_str(&self.content).map_err(|error| {
            let expected = std::any::type_name::<T>();
            Failure::new("InvalidOutput", format!("the response is not a {expected}: {error}"))
                .details(&self.content)
                .not_retriable()
        })
    }
}

struct Call {
    json: String,
    uri: String,
}

impl Schedule for Call {
    fn schedule(&self) -> Handle {
        bindings::call_http(&self.json)
    }

    fn output(&self) -> String {
        format!("the response of {}", self.uri)
    }

    #[cfg(not(target_family = "wasm"))]
    fn seen(&self) -> Action {
        Action::CallHttp { request: value(&self.json) }
    }
}
