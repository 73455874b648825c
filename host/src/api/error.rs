//! Every error of the API, and its HTTP response.

use std::io::ErrorKind;
use std::time::Duration;

use axum::http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::Serialize;

use dacapo_store::StoreError;
use dacapo_store::control::ControlError;
use dacapo_wasm::DeployError;

use crate::access::{Denied, Refusal};
use crate::api::content::json::json;
use crate::engine::memory::NoRoom;
use crate::hub::HubError;
use crate::limits::{Then, limit};
use crate::secrets::SecretError;

/// The `Retry-After` where a limit refused a request: others may have ended by then.
const RETRY_AFTER_SECONDS: u64 = 1;

/// The `Retry-After` where other files are being compiled, which takes seconds.
const RETRY_AFTER_COMPILING_SECONDS: u64 = 5;

/// An error response: a status, and usually a body that says why.
#[derive(Debug)]
pub(in crate::api) struct ApiError {
    status: StatusCode,
    body: Body,
    /// The `Retry-After` in seconds. None: a retry does not help.
    retry_after: Option<u64>,
}

#[derive(Debug)]
enum Body {
    None,
    Error(ErrorBody),
    /// A bare JSON string, as on some routes of the contract.
    Text(String),
}

// The members are those of ASP.NET. The Python client reads `ExceptionMessage` and needs it to be there.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
#[schemars(rename = "Error")]
pub(in crate::api) struct ErrorBody {
    /// The kind of error.
    message: String,
    /// What it is in this case; names the parameter that is wrong.
    exception_message: String,
}

impl ApiError {
    /// Whether a retry without delay can succeed.
    pub fn is_retriable_immediately(&self) -> bool {
        self.retry_after == Some(0)
    }

    /// 404 without a body: the clients take an empty body for "there is none".
    pub fn not_found() -> Self {
        Self::bare(StatusCode::NOT_FOUND)
    }

    /// 404 with a reason.
    pub fn no_such(why: impl Into<String>) -> Self {
        Self::with(StatusCode::NOT_FOUND, why)
    }

    pub fn unknown_task_hub(name: &str) -> Self {
        Self::with(StatusCode::NOT_FOUND, format!("no task hub with the name '{name}' exists on this host"))
    }

    /// 400: a parameter or another part of the request is invalid.
    pub fn argument(why: impl Into<String>) -> Self {
        Self::because(StatusCode::BAD_REQUEST, "One or more of the arguments submitted is incorrect", why)
    }

    pub fn invalid_json(why: impl Into<String>) -> Self {
        Self::because(StatusCode::BAD_REQUEST, "Invalid JSON content", why)
    }

    /// 400: the input of an entity's operation is not JSON.
    pub fn unparsable_operation(why: impl std::fmt::Display) -> Self {
        Self::with(StatusCode::BAD_REQUEST, format!("Could not parse JSON content: {why}"))
    }

    /// 400, as a text: a purge of many instances needs `createdTimeFrom`.
    pub fn purge_without_beginning() -> Self {
        Self::text(StatusCode::BAD_REQUEST, "Please provide value for 'createdTimeFrom' parameter.")
    }

    /// 404, as a text: there is no instance to rewind.
    pub fn nothing_to_rewind(id: &str) -> Self {
        Self::text(StatusCode::NOT_FOUND, format!("No instance with the id '{id}' exists."))
    }

    /// 400, not 404, as in Durable Functions.
    pub fn nothing_to_restart(id: &str) -> Self {
        let why = format!("An orchestration with the instanceId {id} was not found.");
        Self::because(StatusCode::BAD_REQUEST, "InstanceId does not match a valid orchestration instance.", why)
    }

    /// 400: a member of the body is invalid. The path is such as `limits.apps`.
    pub fn member(path: &str, why: impl std::fmt::Display) -> Self {
        match path {
            "" | "." => Self::invalid_json(why.to_string()),
            path => Self::argument(format!("the member '{path}' of the body is wrong: {why}")),
        }
    }

    pub fn not_json_content() -> Self {
        Self::with(StatusCode::BAD_REQUEST, "Only application/json request content is supported")
    }

    pub fn too_large(what: &str, size: Option<usize>, limit: usize) -> Self {
        let size = size.map_or("is too large".into(), |size| format!("has {size} bytes"));
        Self::with(StatusCode::PAYLOAD_TOO_LARGE, format!("the {what} {size}: at most {limit} bytes are allowed"))
    }

    /// 429: the hub has reached its limit of requests per second.
    pub fn too_many_requests(hub: &str, per_second: u64, wait: Duration) -> Self {
        let why = format!(
            "the limit requests_per_second of the task hub '{hub}' is {per_second}: wait, or ask the administrator to raise it \
             (dacapo hub set-limit {hub} requests_per_second VALUE)"
        );
        let retry_after = Some(wait.as_secs_f64().ceil() as u64);
        Self { retry_after, ..Self::with(StatusCode::TOO_MANY_REQUESTS, why) }
    }

    /// 429: the hub has reached its limit of concurrent requests.
    pub fn too_many_concurrent_requests(hub: &str, most: usize) -> Self {
        let why = format!(
            "the task hub '{hub}' has {most} requests in progress, event streams included, and no task hub may have more \
             (half of http.connections): wait for responses, and read them"
        );
        Self { retry_after: Some(RETRY_AFTER_SECONDS), ..Self::with(StatusCode::TOO_MANY_REQUESTS, why) }
    }

    /// 503: the bodies of concurrent requests have reached their limit of bytes.
    pub fn too_many_bytes(most: usize) -> Self {
        let why = format!(
            "the bodies of requests in progress have reached their limit of {most} bytes (http.bodies_bytes, or half of it for \
             one task hub): try again"
        );
        Self { retry_after: Some(RETRY_AFTER_SECONDS), ..Self::with(StatusCode::SERVICE_UNAVAILABLE, why) }
    }

    /// 503: the hub's memory budget has no room for the request body or the response.
    pub fn no_room(why: &NoRoom) -> Self {
        let why = format!("{why}: send fewer requests at once, read the responses, or ask for smaller ones (top, showInput)");
        Self { retry_after: Some(RETRY_AFTER_SECONDS), ..Self::with(StatusCode::SERVICE_UNAVAILABLE, why) }
    }

    pub fn forbidden(why: impl Into<String>) -> Self {
        Self::with(StatusCode::FORBIDDEN, why)
    }

    /// 500: the host failed to carry out a valid request.
    pub fn internal(why: impl Into<String>) -> Self {
        Self::because(StatusCode::INTERNAL_SERVER_ERROR, "Something went wrong while processing your request", why)
    }

    /// The response that the table of limits sets. Limits that refuse no request are met by instances, not by clients.
    fn limit(name: &str, why: String) -> Self {
        let status = match limit(name).map(|limit| limit.then) {
            Some(Then::TooLarge) => StatusCode::PAYLOAD_TOO_LARGE,
            Some(Then::TryLater) => StatusCode::TOO_MANY_REQUESTS,
            Some(Then::NoRoom) => StatusCode::INSUFFICIENT_STORAGE,
            Some(Then::Forbidden | Then::Fails | Then::Waits | Then::Dropped) | None => StatusCode::FORBIDDEN,
        };
        let retry_after = (status == StatusCode::TOO_MANY_REQUESTS).then_some(RETRY_AFTER_SECONDS);
        Self { retry_after, ..Self::with(status, why) }
    }

    fn deploy(error: &DeployError) -> Self {
        let status = match error {
            DeployError::Io(why) if matches!(why.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded) => {
                StatusCode::INSUFFICIENT_STORAGE
            }
            DeployError::Io(_) | DeployError::Compiler(_) => StatusCode::INTERNAL_SERVER_ERROR,
            DeployError::Limit { .. } => StatusCode::FORBIDDEN,
            DeployError::Busy { .. } | DeployError::OutOfTime { .. } => StatusCode::TOO_MANY_REQUESTS,
            DeployError::Cancelled => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::BAD_REQUEST,
        };
        let retry_after = (status == StatusCode::TOO_MANY_REQUESTS).then_some(RETRY_AFTER_COMPILING_SECONDS);
        Self { retry_after, ..Self::because(status, "The app cannot be deployed", chain(error)) }
    }

    /// The status, for a response that has begun already.
    pub fn status(&self) -> u16 {
        self.status.as_u16()
    }

    /// The sentence that says why.
    pub fn reason(&self) -> &str {
        match &self.body {
            Body::None => self.status.canonical_reason().unwrap_or_default(),
            Body::Error(error) => &error.exception_message,
            Body::Text(text) => text,
        }
    }

    fn with(status: StatusCode, message: impl Into<String>) -> Self {
        let message = message.into();
        let body = Body::Error(ErrorBody { exception_message: message.clone(), message });
        Self { body, ..Self::bare(status) }
    }

    fn bare(status: StatusCode) -> Self {
        Self { status, body: Body::None, retry_after: None }
    }

    fn text(status: StatusCode, text: impl Into<String>) -> Self {
        Self { body: Body::Text(text.into()), ..Self::bare(status) }
    }

    fn because(status: StatusCode, message: &str, why: impl Into<String>) -> Self {
        let body = Body::Error(ErrorBody { message: message.into(), exception_message: why.into() });
        Self { body, ..Self::bare(status) }
    }
}

impl From<HubError> for ApiError {
    fn from(error: HubError) -> Self {
        let why = error.to_string();
        match error {
            HubError::NotFound(_) => Self::not_found(),
            HubError::Ended { .. } => Self::bare(StatusCode::GONE),
            HubError::NoSchedule(_) => Self::with(StatusCode::NOT_FOUND, why),
            HubError::InvalidSchedule(_) | HubError::ScheduleNotMade { .. } => Self::argument(why),
            HubError::ScheduleExists(_) | HubError::ScheduleOfApp { .. } => Self::with(StatusCode::CONFLICT, why),
            HubError::AlreadyExists { .. } => Self::with(StatusCode::CONFLICT, why),
            HubError::AlreadySuspended(_) | HubError::NotSuspended(_) => Self::internal(why),
            HubError::UnknownOrchestrator { .. } | HubError::UnknownEntity { .. } | HubError::NotForEntities { .. } => {
                Self::argument(why)
            }
            HubError::NotTerminal { .. } | HubError::NotRewindable { .. } => Self::text(StatusCode::PRECONDITION_FAILED, why),
            HubError::TooLarge { what, size, limit } => Self::too_large(what, Some(size), limit),
            HubError::Limit { limit, .. } => Self::limit(limit, why),
            HubError::InvalidPayload(_) => Self::invalid_json(why),
            HubError::Deploy(error) => Self::deploy(&error),
            HubError::NoEarlierVersion(_)
            | HubError::FunctionTaken { .. }
            | HubError::RouteTaken { .. }
            | HubError::VersionInUse { .. }
            | HubError::AppInUse { .. }
            | HubError::NotDeployed { .. } => Self::with(StatusCode::CONFLICT, why),
            HubError::UnknownApp(_) | HubError::UnknownVersion { .. } => Self::with(StatusCode::NOT_FOUND, why),
            HubError::AmbiguousVersion { .. }
            | HubError::Label { .. }
            | HubError::NamedTwice { .. }
            | HubError::NoWeight(_)
            | HubError::VersionMismatch(_)
            | HubError::InvalidTrigger { .. }
            | HubError::Import(_) => Self::argument(why),
            HubError::NoMemory(no_room) => Self::no_room(&no_room),
            HubError::NotMigratable { .. } => Self::text(StatusCode::PRECONDITION_FAILED, why),
            HubError::Unloadable(_) | HubError::Internal(_) => Self::internal(why),
            HubError::Suspended { .. } => Self::forbidden(why),
            HubError::CannotOpen { .. } => {
                tracing::error!(error = why, "a task hub cannot be served");
                Self::internal(why)
            }
            HubError::TooManyWaiting { .. } => {
                Self { retry_after: Some(RETRY_AFTER_SECONDS), ..Self::with(StatusCode::TOO_MANY_REQUESTS, why) }
            }
            HubError::TooManyOpen(_) | HubError::Closing { .. } => {
                Self { retry_after: Some(RETRY_AFTER_SECONDS), ..Self::with(StatusCode::SERVICE_UNAVAILABLE, why) }
            }
            HubError::Control(error) => error.into(),
            HubError::Store(error) => error.into(),
            HubError::HistoryChanged(_) => Self { retry_after: Some(0), ..Self::with(StatusCode::SERVICE_UNAVAILABLE, why) },
            HubError::ShuttingDown | HubError::CallerLeft => Self::with(StatusCode::SERVICE_UNAVAILABLE, why),
        }
    }
}

impl From<ControlError> for ApiError {
    fn from(error: ControlError) -> Self {
        let why = error.to_string();
        match error {
            ControlError::NoHub(_) | ControlError::NoKey(_) | ControlError::NoSecret(_) | ControlError::NoHostName(_) => {
                Self::with(StatusCode::NOT_FOUND, why)
            }
            ControlError::HubExists(_) | ControlError::KeyExists(_) | ControlError::HostNameTaken { .. } => {
                Self::with(StatusCode::CONFLICT, why)
            }
            ControlError::TooMany { .. } => Self::forbidden(why),
            ControlError::Store(error) => error.into(),
        }
    }
}

impl From<Denied> for ApiError {
    fn from(denied: Denied) -> Self {
        let why = denied.to_string();
        match denied {
            Denied::Refused(Refusal::NoKey | Refusal::UnknownKey) => Self::with(StatusCode::UNAUTHORIZED, why),
            Denied::Refused(
                Refusal::OtherScope { .. }
                | Refusal::WeakRole { .. }
                | Refusal::OnlyInstance
                | Refusal::WeakLink { .. }
                | Refusal::OldLink { .. },
            ) => Self::forbidden(why),
            Denied::Control(error) => error.into(),
        }
    }
}

impl From<SecretError> for ApiError {
    fn from(error: SecretError) -> Self {
        let why = error.to_string();
        match error {
            SecretError::NoKey => Self::forbidden(why),
            SecretError::Missing(_) => Self::with(StatusCode::NOT_FOUND, why),
            SecretError::CannotOpen { .. } => Self::internal(why),
            SecretError::Control(error) => error.into(),
        }
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        let why = chain(&error);
        tracing::error!(error = why, "the store failed");
        match error {
            StoreError::DiskFull(_) => Self::because(StatusCode::INSUFFICIENT_STORAGE, "The disk of the host is full", why),
            StoreError::Closed => Self::with(StatusCode::SERVICE_UNAVAILABLE, why),
            StoreError::Locked { .. }
            | StoreError::Missing { .. }
            | StoreError::NewerFormat { .. }
            | StoreError::Corrupt(_)
            | StoreError::Stale { .. }
            | StoreError::Backend(_) => Self::internal(why),
        }
    }
}

/// An error and its causes, in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text
}

impl std::fmt::Display for ApiError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.body {
            Body::None => write!(f, "{}", self.status),
            Body::Error(body) => f.write_str(&body.exception_message),
            Body::Text(text) => f.write_str(text),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = match self.body {
            Body::None => self.status.into_response(),
            Body::Error(body) => json(self.status, &body),
            Body::Text(text) => json(self.status, &text),
        };
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}
