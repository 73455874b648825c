//! The declaration of a route.

use std::future::Future;
use std::pin::Pin;

use axum::http::Method;
use axum::response::Response;

use crate::access::Needs;
use crate::api::admission::body::BodyKind;
use crate::api::error::ApiError;
use crate::api::request::Call;
use crate::api::request::parameter::{About, Location};

pub(in crate::api) type Handler = fn(Call) -> Pin<Box<dyn Future<Output = Result<Response, ApiError>> + Send>>;

/// Routes with the same base paths, parameters and answers.
pub(in crate::api) struct Group {
    pub name: &'static str,
    pub description: &'static str,
    /// The base paths of each of the routes. The first is the documented one.
    pub bases: &'static [&'static str],
    /// Parameters that every route has.
    pub parameters: &'static [&'static About],
    /// Answers that every route may give.
    pub answers: &'static [Answer],
    pub routes: &'static [Route],
}

/// A route.
pub(in crate::api) struct Route {
    pub method: Method,
    /// `{name}` stands for any one segment that is not empty: a parameter.
    pub pattern: &'static str,
    /// The `operationId` in the OpenAPI document.
    pub operation: &'static str,
    pub summary: &'static str,
    /// Those that are not in the pattern.
    pub parameters: &'static [&'static About],
    /// The authorisation that the caller must have.
    pub needs: Needs,
    pub takes: BodyKind,
    /// Beside those of the group.
    pub answers: &'static [Answer],
    pub handler: Handler,
}

/// One of the answers that a route may give.
pub(in crate::api) struct Answer {
    pub status: u16,
    pub when: &'static str,
    pub body: Sends,
    /// Names and meanings.
    pub headers: &'static [(&'static str, &'static str)],
}

/// The body of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::api) enum Sends {
    Nothing,
    /// JSON of the schema of this name.
    Json(&'static str),
    /// Server-sent events whose data has the schema of this name.
    Events(&'static str),
    /// Lines of JSON, each of the schema of this name.
    Lines(&'static str),
    /// JSON of the first schema; or, if the request asks for that, lines of the second.
    JsonOrLines(&'static str, &'static str),
    /// A text of this media type.
    Text(&'static str),
}

/// The route that was found for a request.
pub(in crate::api) struct Found {
    pub group: &'static Group,
    pub route: &'static Route,
    /// The values of the placeholders in the pattern, in order.
    pub captures: Vec<String>,
}

impl Found {
    /// Returns the value of a placeholder in the pattern.
    pub fn capture(&self, name: &str) -> Option<&str> {
        let position = self.route.placeholders().position(|placeholder| placeholder == name)?;
        self.captures.get(position).map(String::as_str)
    }

    /// Whether a handler may read a parameter. Handlers may be shared by routes with and without a placeholder.
    pub fn declares(&self, about: &About) -> bool {
        let mut declared = self.group.parameters.iter().chain(self.route.parameters);
        about.location == Location::Path || declared.any(|declared| std::ptr::eq(*declared, about))
    }

    /// Returns the statuses that the route declares.
    pub fn statuses(&self) -> impl Iterator<Item = u16> + use<> {
        self.group.answers.iter().chain(self.route.answers).map(|answer| answer.status)
    }
}

impl Route {
    /// The names of the parameters in the pattern.
    pub fn placeholders(&self) -> impl Iterator<Item = &'static str> {
        self.pattern.split('/').filter_map(placeholder)
    }
}

pub(in crate::api) fn placeholder(segment: &'static str) -> Option<&'static str> {
    segment.strip_prefix('{')?.strip_suffix('}')
}
