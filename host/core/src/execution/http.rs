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

/// The name of the activity that is part of every host: one HTTP request under the outbound policy.
pub const HTTP_ACTIVITY: &str = "BuiltIn::HttpActivity";

/// Begins the name of a secret in a header of an outgoing request, such as `{{secret:API_KEY}}`: the host puts the value
/// there when it sends the request, so that neither a guest nor a history holds it.
pub const SECRET_OPENS: &str = "{{secret:";

/// How long to wait for the next poll when the answer does not say.
const POLL_INTERVAL: Duration = Duration::from_secs(30);

/// However often a server wants to be asked: each poll costs commits.
const POLL_INTERVAL_MIN: Duration = Duration::from_secs(1);

/// The request as the guest and the activity read it. Members in this order, headers by name: what is compared on replay
/// must not depend on how the host was built.
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

/// What it takes to ask again.
#[derive(Debug)]
pub(super) struct Poll {
    /// The last one that was sent, or that is sent when the timer fires.
    request: Request,
    uri: Url,
}

impl Execution {
    /// Sends an HTTP request by the host's own activity `BuiltIn::HttpActivity`, and completes with the response. A 202
    /// with a `Location` is polled by durable timers until it is something else, unless the request forbids it.
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

    /// When to ask again, if this response is not the answer yet: the request is that of the poll then.
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

/// Whether a poll carries this header of the request before it; the name is in lower case.
fn is_kept(name: &str, elsewhere: bool) -> bool {
    // The new request has no content, and the key is one for the function that was called.
    if name.starts_with("content-") || name == "x-functions-key" {
        return false;
    }
    // What another origin must not be told, and the name of a host that it is not.
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
