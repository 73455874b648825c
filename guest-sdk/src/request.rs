//! The request that runs an HTTP trigger.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::base64;
use crate::failure::Result;
use crate::fields::{Fields, bad_request};
use crate::function::{decode_from_host, not_from_host, to_json};
use crate::multipart::{self, FormPart};

/// The request that runs an HTTP trigger: see [`#[http_trigger]`](macro@crate::http_trigger).
///
/// The methods that read what a client has sent fail with `BadRequest` if it is wrong, which a trigger answers with 400.
///
/// ```
/// use dacapo_sdk::prelude::*;
///
/// #[http_trigger(route = "shelves/{shelf}/items", methods = ["POST"])]
/// fn add_item(request: Request) -> Result<String> {
///     let shelf = request.params().get("shelf").unwrap_or_default();
///     let item: String = request.json()?;
///     Ok(format!("{item} is on {shelf}"))
/// }
///
/// // In a test:
/// let request = Request::new("POST", "http://localhost:7071/api/shelves/a7/items").with_param("shelf", "a7");
/// assert_eq!(add_item(request.with_json(&"a lamp").unwrap()).unwrap(), "a lamp is on a7");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    method: String,
    url: String,
    headers: Fields,
    query: Fields,
    params: Fields,
    body: Vec<u8>,
}

/// The input of an HTTP trigger in the contract.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Input {
    method: String,
    url: String,
    #[serde(default)]
    headers: Vec<(String, String)>,
    #[serde(default)]
    query: Vec<(String, String)>,
    #[serde(default)]
    params: BTreeMap<String, String>,
    body: Option<String>,
    body_base64: Option<String>,
}

impl Request {
    /// Makes a request without headers and body, for tests. Its query is that of the URL.
    ///
    /// ```
    /// # use dacapo_sdk::prelude::*;
    /// let request = Request::new("GET", "http://localhost:7071/api/orders?page=2");
    /// assert_eq!(request.query().get("page"), Some("2"));
    /// ```
    pub fn new(method: &str, url: &str) -> Self {
        let query = url.split('#').next().and_then(|url| url.split_once('?'));
        Self {
            method: method.to_ascii_uppercase(),
            url: url.to_owned(),
            headers: Fields::default(),
            query: query.map(|(_, query)| Fields::parse_form(query)).unwrap_or_default(),
            params: Fields::default(),
            body: Vec::new(),
        }
    }

    /// Adds a header, for tests.
    ///
    /// ```
    /// # use dacapo_sdk::prelude::*;
    /// let request = Request::new("GET", "http://localhost/").with_header("Accept", "text/html");
    /// ```
    #[must_use]
    pub fn with_header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push(name.to_ascii_lowercase(), value);
        self
    }

    /// Adds a parameter of the route, for tests.
    ///
    /// ```
    /// # use dacapo_sdk::prelude::*;
    /// let request = Request::new("GET", "http://localhost:7071/api/orders/17").with_param("id", "17");
    /// ```
    #[must_use]
    pub fn with_param(mut self, name: &str, value: impl Into<String>) -> Self {
        self.params.push(name, value);
        self
    }

    /// Sets the body, for tests.
    ///
    /// ```
    /// # use dacapo_sdk::prelude::*;
    /// let request = Request::new("PUT", "http://localhost:7071/api/note").with_body("remember the milk");
    /// ```
    #[must_use]
    pub fn with_body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// Sets the body to JSON, and the header `content-type`, for tests. Fails only if the value cannot be written as JSON.
    ///
    /// ```
    /// # use dacapo_sdk::prelude::*;
    /// let request = Request::new("POST", "http://localhost:7071/api/orders").with_json(&["chair"])?;
    /// # Ok::<(), Failure>(())
    /// ```
    pub fn with_json(self, value: &impl Serialize) -> Result<Self> {
        Ok(self.with_header("content-type", "application/json").with_body(to_json(value)?))
    }

    /// The method, in upper case.
    ///
    /// ```
    /// # use dacapo_sdk::prelude::*;
    /// assert_eq!(Request::new("GET", "http://localhost/").method(), "GET");
    /// ```
    pub fn method(&self) -> &str {
        &self.method
    }

    /// The URL, with the query.
    ///
    /// ```
    /// # use dacapo_sdk::prelude::*;
    /// assert_eq!(Request::new("GET", "http://localhost/?page=2").url(), "http://localhost/?page=2");
    /// ```
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The headers. Their names are in lower case.
    ///
    /// ```
    /// # use dacapo_sdk::prelude::*;
    /// let request = Request::new("GET", "http://localhost/").with_header("Accept", "text/html");
    /// assert_eq!(request.headers().get("accept"), Some("text/html"));
    /// ```
    pub fn headers(&self) -> &Fields {
        &self.headers
    }

    /// The query.
    ///
    /// ```
    /// # use dacapo_sdk::prelude::*;
    /// assert_eq!(Request::new("GET", "http://localhost/?page=2").query().get("page"), Some("2"));
    /// ```
    pub fn query(&self) -> &Fields {
        &self.query
    }

    /// The parameters of the route: for the route `orders/{id}` there is `id`.
    ///
    /// ```
    /// # use dacapo_sdk::prelude::*;
    /// let request = Request::new("GET", "http://localhost:7071/api/orders/17").with_param("id", "17");
    /// assert_eq!(request.params().get("id"), Some("17"));
    /// ```
    pub fn params(&self) -> &Fields {
        &self.params
    }

    /// The body; empty if there is none.
    ///
    /// ```
    /// # use dacapo_sdk::prelude::*;
    /// assert_eq!(Request::new("PUT", "http://localhost/").with_body([0, 255]).body(), [0, 255]);
    /// ```
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// The body as a text in UTF-8.
    ///
    /// ```
    /// # use dacapo_sdk::prelude::*;
    /// assert_eq!(Request::new("PUT", "http://localhost/").with_body("milk").text()?, "milk");
    /// # Ok::<(), Failure>(())
    /// ```
    pub fn text(&self) -> Result<&str> {
        std::str::from_utf8(&self.body).map_err(|error| bad_request(format!("the body is not UTF-8 text: {error}")))
    }

    /// Parses the body as JSON, whatever its `content-type`.
    ///
    /// ```
    /// # use dacapo_sdk::prelude::*;
    /// let request = Request::new("POST", "http://localhost/").with_body("[1, 2]");
    /// assert_eq!(request.json::<Vec<u64>>()?, [1, 2]);
    /// # Ok::<(), Failure>(())
    /// ```
    pub fn json<T: DeserializeOwned>(&self) -> Result<T> {
        if self.body.is_empty() {
            return Err(bad_request("the request has no body, which should be JSON"));
        }
        serde_json::from_slice(&self.body).map_err(|error| bad_request(format!("the body cannot be read as JSON: {error}")))
    }

    /// Reads the body as a form: `application/x-www-form-urlencoded`, or the fields of `multipart/form-data`.
    ///
    /// ```
    /// # use dacapo_sdk::prelude::*;
    /// let request = Request::new("POST", "http://localhost/")
    ///     .with_header("content-type", "application/x-www-form-urlencoded")
    ///     .with_body("item=a+lamp&count=2");
    /// assert_eq!(request.form()?.get("item"), Some("a lamp"));
    /// # Ok::<(), Failure>(())
    /// ```
    pub fn form(&self) -> Result<Fields> {
        match self.content_type() {
            (_, essence) if essence.eq_ignore_ascii_case(FORM) => self.text().map(Fields::parse_form),
            (_, essence) if essence.eq_ignore_ascii_case(MULTIPART) => {
                let fields = self.multipart()?.into_iter().filter(|part| part.file_name.is_none());
                let text = |field: FormPart| match String::from_utf8(field.body) {
                    Ok(text) => Ok((field.name, text)),
                    Err(error) => Err(bad_request(format!("the field `{}` is not UTF-8 text: {error}", field.name))),
                };
                fields.map(text).collect::<Result<_>>().map(Fields::new)
            }
            (content_type, _) => {
                Err(bad_request(format!("the `content-type` of a form is `{FORM}` or `{MULTIPART}`, not `{content_type}`")))
            }
        }
    }

    /// Reads the fields and files of the form in the body: `multipart/form-data`.
    ///
    /// ```
    /// # use dacapo_sdk::prelude::*;
    /// let form = "--x\r\nContent-Disposition: form-data; name=\"note\"; filename=\"n.txt\"\r\n\r\nmilk\r\n--x--\r\n";
    /// let request = Request::new("POST", "http://localhost/")
    ///     .with_header("content-type", "multipart/form-data; boundary=x")
    ///     .with_body(form);
    /// let note = &request.multipart()?[0];
    /// assert_eq!((note.file_name.as_deref(), &*note.body), (Some("n.txt"), &b"milk"[..]));
    /// # Ok::<(), Failure>(())
    /// ```
    pub fn multipart(&self) -> Result<Vec<FormPart>> {
        match self.content_type() {
            (content_type, essence) if essence.eq_ignore_ascii_case(MULTIPART) => multipart::parse(content_type, &self.body),
            (content_type, _) => {
                Err(bad_request(format!("the `content-type` of a form with files is `{MULTIPART}`, not `{content_type}`")))
            }
        }
    }

    /// The content type, with and without its parameters.
    fn content_type(&self) -> (&str, &str) {
        let all = self.headers.get("content-type").unwrap_or_default();
        (all, all.split(';').next().unwrap_or_default().trim())
    }

    /// Reads the input of a trigger.
    pub(crate) fn from_input(trigger: &str, json: &str) -> Result<Self> {
        let input: Input = decode_from_host(trigger, json)?;
        let body = match (input.body, input.body_base64) {
            (Some(text), _) => text.into_bytes(),
            (None, Some(text)) => {
                base64::decode(&text).ok_or_else(|| not_from_host(trigger, "its `bodyBase64` is not Base64"))?
            }
            (None, None) => Vec::new(),
        };
        Ok(Self {
            method: input.method.to_ascii_uppercase(),
            url: input.url,
            headers: Fields::new(input.headers),
            query: Fields::new(input.query),
            params: Fields::new(input.params.into_iter().collect()),
            body,
        })
    }
}

const FORM: &str = "application/x-www-form-urlencoded";
const MULTIPART: &str = "multipart/form-data";

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Request> {
        Request::from_input("start", json)
    }

    #[test]
    fn a_request_is_read_as_the_host_writes_it() {
        let request = read(
            r#"{"method": "POST", "url": "http://h/api/orders/17?a=1&a=2", "headers": [["content-type", "text/plain"], ["x-a", "1"]],
                "query": [["a", "1"], ["a", "2"]], "params": {"id": "17"}, "body": "ä"}"#,
        );
        let request = request.unwrap();
        assert_eq!((request.method(), request.url()), ("POST", "http://h/api/orders/17?a=1&a=2"));
        assert_eq!((request.headers().get("X-A"), request.params().get("id")), (Some("1"), Some("17")));
        assert_eq!(request.query().get_all("a").collect::<Vec<_>>(), ["1", "2"]);
        assert_eq!((request.text().unwrap(), request.body()), ("ä", "ä".as_bytes()));
        let in_a_test = Request::new("post", "http://h/api/orders/17?a=1&a=2")
            .with_header("Content-Type", "text/plain")
            .with_header("X-A", "1")
            .with_param("id", "17")
            .with_body("ä");
        assert_eq!(request, in_a_test);
    }

    #[test]
    fn a_body_may_be_missing_or_no_text() {
        let request = read(r#"{"method": "GET", "url": "http://h/"}"#).unwrap();
        assert_eq!(request.body(), b"");
        assert!(request.json::<u64>().is_err_and(|failure| failure.is("BadRequest")));
        let request = read(r#"{"method": "PUT", "url": "http://h/", "bodyBase64": "/wA="}"#).unwrap();
        assert_eq!(request.body(), [255, 0]);
        assert!(request.text().unwrap_err().message.starts_with("the body is not UTF-8 text: "));
    }

    #[test]
    fn what_the_host_must_not_send_is_told() {
        let check = |json, why: &str| {
            let failure = read(json).unwrap_err();
            assert!(failure.is("InvalidInput"));
            assert_eq!(failure.message, format!("`start` cannot read its input from the host: {why}"));
        };
        check("{", "EOF while parsing an object at line 1 column 1");
        check(r#"{"method": "GET"}"#, "missing field `url` at line 1 column 17");
        check(r#"{"method": "GET", "url": "", "bodyBase64": "?"}"#, "its `bodyBase64` is not Base64");
    }

    #[test]
    fn a_form_declares_what_it_is() {
        let request = Request::new("POST", "http://h/").with_body("a=1");
        let failure = request.form().unwrap_err();
        let expected = "the `content-type` of a form is `application/x-www-form-urlencoded` or `multipart/form-data`, not ``";
        assert_eq!(failure.message, expected);
        let failure = request.multipart().unwrap_err();
        assert_eq!(failure.message, "the `content-type` of a form with files is `multipart/form-data`, not ``");
        let request = request.with_header("content-type", "Application/X-WWW-Form-URLEncoded; charset=utf-8");
        assert_eq!(request.form().unwrap().get("a"), Some("1"));
    }

    #[test]
    fn the_fields_of_a_form_with_files_are_a_form() {
        let request = |body: &[u8]| {
            Request::new("POST", "http://h/").with_header("content-type", "multipart/form-data; boundary=x").with_body(body)
        };
        let parts = "--x\r\nContent-Disposition: form-data; name=f; filename=f\r\n\r\n\r\n\
                     --x\r\nContent-Disposition: form-data; name=a\r\n\r\n1\r\n--x--";
        let form = request(parts.as_bytes()).form().unwrap();
        assert_eq!(form.iter().collect::<Vec<_>>(), [("a", "1")]);
        let no_text = b"--x\r\nContent-Disposition: form-data; name=a\r\n\r\n\xff\r\n--x--";
        let failure = request(no_text).form().unwrap_err();
        assert!(failure.message.starts_with("the field `a` is not UTF-8 text: "), "{failure}");
    }
}
