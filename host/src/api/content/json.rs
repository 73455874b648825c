//! JSON, as the API writes it: compact, in a fixed order, with payloads as they are stored.

use axum::body::Body;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};

use dacapo_core::Timestamp;

use crate::moment::{MICROS, SECONDS, in_utc};

pub(in crate::api) const JSON: &str = "application/json; charset=utf-8";

pub(in crate::api) fn json(status: StatusCode, body: &impl Serialize) -> Response {
    json_text(status, written(body))
}

pub(in crate::api) fn json_text(status: StatusCode, text: impl Into<Body>) -> Response {
    (status, [(CONTENT_TYPE, JSON)], text.into()).into_response()
}

pub(in crate::api) fn written(body: &impl Serialize) -> String {
    serde_json::to_string(body).expect("the bodies of the API have only text for keys and cannot fail")
}

/// A line of a response of JSON lines.
pub(in crate::api) fn line(body: &impl Serialize) -> String {
    let mut text = written(body);
    text.push('\n');
    text
}

/// A stored payload: verbatim, or as a JSON string if it is not JSON.
pub(in crate::api) fn raw(payload: &str) -> Box<RawValue> {
    RawValue::from_string(payload.to_owned()).unwrap_or_else(|_| text(payload))
}

/// A text as a JSON string.
pub(in crate::api) fn text(text: &str) -> Box<RawValue> {
    to_raw_value(text).expect("a text can be written as JSON")
}

// A point in time, formatted.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(inline, extend("format" = "date-time"))]
pub(crate) struct Moment(String);

impl std::ops::Deref for Moment {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

/// How the state of an instance shows a moment.
pub(in crate::api) fn seconds(at: Timestamp) -> Moment {
    Moment(in_utc(at, SECONDS))
}

/// How a history shows a moment.
pub(in crate::api) fn micros(at: Timestamp) -> Moment {
    Moment(in_utc(at, MICROS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_is_shown_as_it_is_stored() {
        assert_eq!(raw(r#"{"b": 1.0, "a": 12345678901234567890123}"#).get(), r#"{"b": 1.0, "a": 12345678901234567890123}"#);
        assert_eq!(raw("not \"JSON\"").get(), r#""not \"JSON\"""#);
        assert_eq!(raw("").get(), r#""""#);
    }

    #[test]
    fn moments_are_written() {
        let at = Timestamp(1_519_795_131_393_987);
        assert_eq!(&*seconds(at), "2018-02-28T05:18:51Z");
        assert_eq!(&*micros(at), "2018-02-28T05:18:51.393987Z");
    }
}
