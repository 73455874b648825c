//! The response of an HTTP trigger.

use serde::de::DeserializeOwned;
use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::base64;
use crate::failure::{Failure, Result};
use crate::function::to_json;

/// The response of an HTTP trigger: see [`#[http_trigger]`](macro@crate::http_trigger).
///
/// ```
/// use dacapo_sdk::prelude::*;
///
/// #[http_trigger]
/// fn log_in(request: Request) -> Result<Response> {
///     match request.form()?.get("user") {
///         Some(user) => Response::new(200).header("set-cookie", "session=1; HttpOnly").header("set-cookie", "theme=dark").json(&user),
///         None => Ok(Response::new(401).header("www-authenticate", "Basic").text("who is it?")),
///     }
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[must_use]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// The headers. Several may have one name.
    pub headers: Vec<(String, String)>,
    /// The body; empty if there is none.
    pub body: Vec<u8>,
}

impl Response {
    /// Makes a response without headers and body.
    ///
    /// ```
    /// # use dacapo_sdk::prelude::*;
    /// assert_eq!(Response::new(404).status, 404);
    /// ```
    pub fn new(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Vec::new() }
    }

    /// Adds a header.
    ///
    /// ```
    /// # use dacapo_sdk::prelude::*;
    /// let response = Response::new(303).header("location", "/orders/17");
    /// ```
    pub fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// Sets the body to a text, and the header `content-type` unless it is set.
    ///
    /// ```
    /// # use dacapo_sdk::prelude::*;
    /// let plain = Response::new(200).text("remember the milk");
    /// let page = Response::new(200).header("content-type", "text/html; charset=utf-8").text("<p>remember the milk");
    /// ```
    pub fn text(self, text: impl Into<String>) -> Self {
        self.typed("text/plain; charset=utf-8").bytes(text.into())
    }

    /// Sets the body to JSON, and the header `content-type` unless it is set. Fails only if the value cannot be written as JSON.
    ///
    /// ```
    /// # use dacapo_sdk::prelude::*;
    /// let response = Response::new(201).json(&["chair"])?;
    /// # Ok::<(), Failure>(())
    /// ```
    pub fn json(self, value: &impl Serialize) -> Result<Self> {
        let body = to_json(value)?;
        Ok(self.typed("application/json; charset=utf-8").bytes(body))
    }

    /// Sets the body.
    ///
    /// ```
    /// # use dacapo_sdk::prelude::*;
    /// let response = Response::new(200).header("content-type", "image/png").bytes([0x89, 0x50, 0x4e, 0x47]);
    /// ```
    pub fn bytes(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// Returns the value of the first header with this name, compared ignoring case.
    ///
    /// ```
    /// # use dacapo_sdk::prelude::*;
    /// assert_eq!(Response::new(303).header("Location", "/orders/17").get_header("location"), Some("/orders/17"));
    /// ```
    pub fn get_header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(header, _)| header.eq_ignore_ascii_case(name)).map(|(_, value)| &**value)
    }

    /// Returns the body as a text in UTF-8, for tests.
    ///
    /// ```
    /// # use dacapo_sdk::prelude::*;
    /// assert_eq!(Response::new(200).text("milk").body_text()?, "milk");
    /// # Ok::<(), Failure>(())
    /// ```
    pub fn body_text(&self) -> Result<&str> {
        std::str::from_utf8(&self.body).map_err(|error| Failure::new("NotUtf8", format!("the body is not UTF-8 text: {error}")))
    }

    /// Parses the body as JSON, for tests.
    ///
    /// ```
    /// # use dacapo_sdk::prelude::*;
    /// assert_eq!(Response::new(200).json(&[1, 2])?.body_json::<Vec<u64>>()?, [1, 2]);
    /// # Ok::<(), Failure>(())
    /// ```
    pub fn body_json<T: DeserializeOwned>(&self) -> Result<T> {
        Ok(serde_json::from_slice(&self.body)?)
    }

    fn typed(self, content_type: &str) -> Self {
        if self.get_header("content-type").is_some() { self } else { self.header("content-type", content_type) }
    }
}

/// As in the output of a trigger.
impl Serialize for Response {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Output<'a> {
            status: u16,
            #[serde(skip_serializing_if = "<[_]>::is_empty")]
            headers: &'a [(String, String)],
            #[serde(skip_serializing_if = "Option::is_none")]
            body: Option<&'a str>,
            #[serde(skip_serializing_if = "Option::is_none")]
            body_base64: Option<String>,
        }
        let text = std::str::from_utf8(&self.body).ok();
        Output {
            status: self.status,
            headers: &self.headers,
            body: text.filter(|text| !text.is_empty()),
            body_base64: text.is_none().then(|| base64::encode(&self.body)),
        }
        .serialize(serializer)
    }
}

/// A value that an HTTP trigger answers with, as JSON and with the status 200.
///
/// ```
/// use dacapo_sdk::prelude::*;
///
/// #[http_trigger]
/// fn squares() -> Json<Vec<u64>> {
///     Json((1..=3).map(|number| number * number).collect())
/// }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Json<T>(pub T);

/// What an HTTP trigger returns. A text or JSON gets the status 200, and `()` the status 204.
///
/// ```
/// use dacapo_sdk::prelude::*;
/// use dacapo_sdk::IntoResponse;
///
/// struct Page(String);
///
/// impl IntoResponse for Page {
///     fn into_response(self) -> Result<Response> {
///         Ok(Response::new(200).header("content-type", "text/html; charset=utf-8").text(self.0))
///     }
/// }
///
/// #[http_trigger]
/// fn home() -> Page {
///     Page("<h1>Welcome".to_owned())
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "an HTTP trigger cannot answer with `{Self}`",
    note = "it returns a `Response`, a text, a `Json<T>`, a JSON `Value` or `()`, or a `Result` with one of these"
)]
pub trait IntoResponse {
    /// Makes the response. A failure `BadRequest` is answered with 400 and its message, any other with 500.
    fn into_response(self) -> Result<Response>;
}

impl IntoResponse for Response {
    fn into_response(self) -> Result<Response> {
        Ok(self)
    }
}

impl<R: IntoResponse, E: Into<Failure>> IntoResponse for Result<R, E> {
    fn into_response(self) -> Result<Response> {
        self.map_err(Into::into)?.into_response()
    }
}

impl IntoResponse for () {
    fn into_response(self) -> Result<Response> {
        Ok(Response::new(204))
    }
}

impl IntoResponse for String {
    fn into_response(self) -> Result<Response> {
        Ok(Response::new(200).text(self))
    }
}

impl IntoResponse for &str {
    fn into_response(self) -> Result<Response> {
        Ok(Response::new(200).text(self))
    }
}

impl IntoResponse for Value {
    fn into_response(self) -> Result<Response> {
        Response::new(200).json(&self)
    }
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Result<Response> {
        Response::new(200).json(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn responses_are_written_for_the_host() {
        let check =
            |response: Result<Response>, expected: Value| assert_eq!(serde_json::to_value(response.unwrap()).unwrap(), expected);
        check(().into_response(), json!({ "status": 204 }));
        let text = json!({ "status": 200, "headers": [["content-type", "text/plain; charset=utf-8"]], "body": "ä" });
        check("ä".into_response(), text.clone());
        check("ä".to_owned().into_response(), text);
        let json = json!({ "status": 200, "headers": [["content-type", "application/json; charset=utf-8"]], "body": "[1]" });
        check(Json([1]).into_response(), json.clone());
        check(json!([1]).into_response(), json);
        let cookies = Response::new(201).header("Set-Cookie", "a=1").header("Set-Cookie", "b=2").bytes([0xff, 0]);
        let expected = json!({ "status": 201, "headers": [["Set-Cookie", "a=1"], ["Set-Cookie", "b=2"]], "bodyBase64": "/wA=" });
        check(cookies.into_response(), expected);
        check(Response::new(404).into_response(), json!({ "status": 404 }));
    }

    #[test]
    fn a_content_type_that_is_set_stays() {
        let page = Response::new(200).header("Content-Type", "text/html").text("<p>");
        assert_eq!(page.headers, [("Content-Type".to_owned(), "text/html".to_owned())]);
        let problem = Response::new(409).header("content-type", "application/problem+json").json(&json!({})).unwrap();
        assert_eq!(problem.get_header("Content-Type"), Some("application/problem+json"));
    }
}
