//! Durable HTTP: one request, and the polling of a 202, from recorded results.
//!
//! ```text
//!   TaskScheduled ──▶ 202 + location ──▶ TimerCreated ──▶ TimerFired ──▶ TaskScheduled (GET location) ──▶ ... ──▶ answer
//! ```

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use serde_json::{Number, Value};
use url::Url;

use super::tasks::Work;
use super::{Execution, Stopped, TaskId, arguments};
use crate::{Event, Failure, FunctionName, Payload, Timestamp};

/// The name of the built-in activity, which sends one HTTP request under the outbound policy.
pub const HTTP_ACTIVITY: &str = "BuiltIn::HttpActivity";

/// The prefix of a placeholder for a secret in a header of an outgoing request, such as `{{secret:API_KEY}}`: the host puts in
/// the value when it sends the request, so that neither a guest nor a history contains it.
pub const SECRET_OPENS: &str = "{{secret:";

/// The time until the next poll if the response does not say.
const POLL_INTERVAL: Duration = Duration::from_secs(30);

/// The least time until the next poll, whatever the response says: each poll costs commits.
const POLL_INTERVAL_MIN: Duration = Duration::from_secs(1);

/// The request as the guest and the activity read it. Its members have a fixed order and its headers are sorted by name,
/// because the text that a replay compares must not depend on how the host was built.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Request {
    method: String,
    uri: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    headers: Option<BTreeMap<String, String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    content: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    asynchronous_pattern_enabled: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    timeout_ms: Option<Number>,
}

/// The state of a poll.
#[derive(Debug)]
pub(super) struct Poll {
    /// The last request that was sent, or that will be sent when the timer fires.
    request: Request,
    uri: Url,
}

impl Execution {
    /// Sends an HTTP request with the built-in activity `BuiltIn::HttpActivity`; the task completes with the response. A 202
    /// with a `Location` is polled with durable timers until the status is another, unless the request disables that.
    pub fn call_http(&mut self, request: Payload) -> Result<TaskId, Stopped> {
        self.check("the HTTP request", &request)?;
        let poll = match Poll::begin(&request) {
            Ok(poll) => poll,
            Err(why) => return self.refused(why),
        };
        let id = self.add_task(Work::Http(Box::new(poll)))?;
        self.take_http(request, id)?;
        Ok(id)
    }

    pub(super) fn take_http(&mut self, input: Payload, owner: TaskId) -> Result<(), Stopped> {
        let name = FunctionName::new(HTTP_ACTIVITY).expect("the name of the host's own activity is a name");
        self.take_owned(owner, Event::TaskScheduled { seq: self.next_seq(), name, input, attempt: 1 })
    }
}

impl Poll {
    fn begin(request: &str) -> Result<Self, Failure> {
        let request: Request = serde_json::from_str(request)
            .map_err(|why| arguments::invalid(format!("the HTTP request is not as it must be: {why}")))?;
        let uri = Url::parse(&request.uri)
            .map_err(|why| arguments::invalid(format!("'{}' is not an absolute URI: {why}", request.uri)))?;
        if !is_web(&uri) {
            return Err(arguments::invalid(format!("'{}' is not an http or https URI", request.uri)));
        }
        Ok(Self { request, uri })
    }

    /// When to poll again, if this response is not the final one. Turns the request into that of the poll.
    pub fn next(&mut self, now: Timestamp, response: &str) -> Option<Timestamp> {
        if !self.request.asynchronous_pattern_enabled.unwrap_or(true) {
            return None;
        }
        let response: Value = serde_json::from_str(response).ok()?;
        let header = |name: &str| response.get("headers")?.get(name)?.as_str();
        if response.get("statusCode")?.as_u64() != Some(202) {
            return None;
        }
        let mut next = self.uri.join(header("location")?).ok().filter(is_web)?;
        next.set_fragment(None);
        let elsewhere = next.origin() != self.uri.origin();
        if let Some(headers) = &mut self.request.headers {
            headers.retain(|name, value| {
                is_kept(&name.to_ascii_lowercase(), elsewhere) && !(elsewhere && value.contains(SECRET_OPENS))
            });
        }
        self.request.method = "GET".into();
        self.request.uri = next.to_string();
        self.request.content = None;
        self.uri = next;
        Some(retry_at(now, header("retry-after")))
    }

    pub fn request(&self) -> Payload {
        serde_json::to_string(&self.request).expect("a map with texts as keys can be written").into()
    }
}

fn is_web(uri: &Url) -> bool {
    matches!(uri.scheme(), "http" | "https") && uri.has_host()
}

/// Whether a poll keeps this header of the previous request; the name is in lower case.
fn is_kept(name: &str, elsewhere: bool) -> bool {
    // The new request has no content, and the key belongs to the function that was called.
    if name.starts_with("content-") || name == "x-functions-key" {
        return false;
    }
    // Credentials, which another origin must not get, and the name of the old host.
    let credential = matches!(name, "authorization" | "cookie" | "proxy-authorization" | "host")
        || ["api-key", "token", "secret"].iter().any(|part| name.contains(part));
    !(elsewhere && credential)
}

fn retry_at(now: Timestamp, retry_after: Option<&str>) -> Timestamp {
    let Some(text) = retry_after.map(str::trim) else { return now.plus(POLL_INTERVAL) };
    let at = match text.parse::<u64>() {
        Ok(seconds) => now.plus(Duration::from_secs(seconds)),
        Err(_) => http_date(text).unwrap_or(now.plus(POLL_INTERVAL)),
    };
    at.max(now.plus(POLL_INTERVAL_MIN))
}

fn http_date(text: &str) -> Option<Timestamp> {
    let date = httpdate::parse_http_date(text).ok()?;
    Some(Timestamp(0).plus(date.duration_since(SystemTime::UNIX_EPOCH).ok()?))
}
