//! The JSON that stands for a request that an HTTP trigger gets, and for the response that it returns.

use axum::body::Bytes;
use axum::http::header::{
    CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, DATE, HeaderName, HeaderValue, SERVER, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
};
use axum::http::{Method, Response, StatusCode};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::route::Values;

/// Bytes of the headers of a response.
const HEADERS_BYTES_MAX: usize = 64 << 10;
const HEADERS_MAX: usize = 200;

/// A request, as a trigger sees it.
#[derive(Debug)]
pub struct Request<'a> {
    pub method: &'a Method,
    /// Absolute, without keys of the host.
    pub url: &'a str,
    /// Without keys of the host.
    pub headers: Vec<(&'a str, String)>,
    pub query: Vec<(String, String)>,
    pub params: Values,
    pub body: &'a [u8],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Input<'a> {
    method: &'a str,
    url: &'a str,
    headers: &'a [(&'a str, String)],
    query: &'a [(String, String)],
    params: serde_json::Map<String, Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body_base64: Option<String>,
}

impl Request<'_> {
    pub fn to_json(&self) -> String {
        let params = self.params.iter().map(|(name, value)| (name.clone(), value.clone().into()));
        let text = std::str::from_utf8(self.body);
        let input = Input {
            method: self.method.as_str(),
            url: self.url,
            headers: &self.headers,
            query: &self.query,
            params: params.collect(),
            body: text.ok().filter(|text| !text.is_empty()),
            body_base64: text.is_err().then(|| BASE64_STANDARD.encode(self.body)),
        };
        serde_json::to_string(&input).expect("texts can be written as JSON")
    }
}

/// What a trigger returns.
#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Output {
    #[serde(default)]
    response: Option<Returned>,
    #[serde(default)]
    outputs: serde_json::Map<String, Value>,
}

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Returned {
    #[serde(default)]
    status: Option<f64>,
    #[serde(default)]
    headers: Vec<(String, String)>,
    #[serde(default)]
    body: Option<String>,
    #[serde(default)]
    body_base64: Option<String>,
}

/// The response of an HTTP trigger, and the values of its other outputs.
pub type Answer = (Response<Bytes>, serde_json::Map<String, Value>);

/// Reads what an HTTP trigger has returned. The error says what is wrong with it.
pub fn answer_of(output: &str) -> Result<Answer, String> {
    let Output { response, outputs } = Output::read(output)?;
    let response = match response {
        Some(returned) => returned.into_response()?,
        None => {
            let mut empty = Response::new(Bytes::new());
            *empty.status_mut() = StatusCode::NO_CONTENT;
            empty
        }
    };
    Ok((response, outputs))
}

/// Reads the values of a trigger's outputs, from what one that is no HTTP trigger has returned.
pub fn outputs_of(output: &str) -> Result<serde_json::Map<String, Value>, String> {
    Output::read(output).map(|output| output.outputs)
}

impl Output {
    fn read(text: &str) -> Result<Self, String> {
        let output: Option<Self> =
            serde_json::from_str(text).map_err(|why| format!("what it returned is not an output: {why}"))?;
        Ok(output.unwrap_or_default())
    }
}

impl Returned {
    fn into_response(self) -> Result<Response<Bytes>, String> {
        let Self { status, headers, body, body_base64 } = self;
        let status = match status {
            None => StatusCode::OK,
            Some(number) => {
                status_of(number).ok_or_else(|| format!("the status of its response is {number}, and must be 200 to 599"))?
            }
        };
        let is_text = body.is_some();
        let body = match (body, body_base64) {
            (Some(_), Some(_)) => return Err("its response has both `body` and `bodyBase64`".into()),
            (Some(text), None) => Bytes::from(text),
            (None, Some(encoded)) => {
                let bytes = BASE64_STANDARD.decode(&encoded).map_err(|why| format!("its `bodyBase64` is not Base64: {why}"))?;
                Bytes::from(bytes)
            }
            (None, None) => Bytes::new(),
        };
        // A client would read a body as the beginning of the next response.
        let is_bare = matches!(status, StatusCode::NO_CONTENT | StatusCode::RESET_CONTENT | StatusCode::NOT_MODIFIED);
        let mut response = Response::new(if is_bare { Bytes::new() } else { body });
        *response.status_mut() = status;
        let count = headers.len();
        if count > HEADERS_MAX || headers.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>() > HEADERS_BYTES_MAX
        {
            return Err(format!("its response has {count} headers; {HEADERS_MAX} with {HEADERS_BYTES_MAX} bytes are allowed"));
        }
        for (name, value) in headers {
            let header: HeaderName = name.parse().map_err(|_| format!("'{name}' is not the name of a header"))?;
            let value =
                HeaderValue::from_str(&value).map_err(|_| format!("the header '{name}' has a value that no header can have"))?;
            if !is_the_hosts(&header) {
                response.headers_mut().append(header, value);
            }
        }
        if is_text && !is_bare && !response.headers().contains_key(CONTENT_TYPE) {
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        }
        Ok(response)
    }
}

fn status_of(number: f64) -> Option<StatusCode> {
    let whole = (200.0..600.0).contains(&number) && number.fract() == 0.0;
    whole.then(|| StatusCode::from_u16(number as u16).ok()).flatten()
}

/// Headers about the connection and the framing of the response, which the host writes itself.
fn is_the_hosts(header: &HeaderName) -> bool {
    [CONNECTION, CONTENT_LENGTH, DATE, SERVER, TE, TRAILER, TRANSFER_ENCODING, UPGRADE].contains(header)
        || matches!(
            header.as_str(),
            "keep-alive" | "proxy-connection" | "proxy-authenticate" | "alt-svc" | "strict-transport-security"
        )
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn request(body: &[u8]) -> Value {
        let request = Request {
            method: &Method::POST,
            url: "http://localhost:7071/api/x/7?a=1&a=2",
            headers: vec![("content-type", "text/plain".into())],
            query: vec![("a".into(), "1".into()), ("a".into(), "2".into())],
            params: vec![("id".into(), "7".into())],
            body,
        };
        serde_json::from_str(&request.to_json()).unwrap()
    }

    #[test]
    fn a_request_has_its_body_as_a_text_if_it_is_one() {
        let expected = json!({
            "method": "POST", "url": "http://localhost:7071/api/x/7?a=1&a=2", "headers": [["content-type", "text/plain"]],
            "query": [["a", "1"], ["a", "2"]], "params": { "id": "7" }, "body": "hé",
        });
        assert_eq!(request("hé".as_bytes()), expected);
        assert_eq!(request(&[0xff, 0])["bodyBase64"], "/wA=");
        assert_eq!((request(b"").get("body"), request(b"").get("bodyBase64")), (None, None));
    }

    #[test]
    fn a_response_is_what_the_trigger_returned() {
        let (response, outputs) = answer_of(
            r#"{"response":{"status":201,"headers":[["Set-Cookie","a=1"],["set-cookie","b=2"],["Content-Length","9"]],"body":"x"},
                "outputs":{"q":[1]}}"#,
        )
        .unwrap();
        assert_eq!((response.status(), response.body().as_ref()), (StatusCode::CREATED, &b"x"[..]));
        assert_eq!(response.headers().get_all("set-cookie").iter().count(), 2);
        assert_eq!(response.headers().get(CONTENT_LENGTH), None);
        assert_eq!(response.headers()[CONTENT_TYPE], "text/plain; charset=utf-8");
        assert_eq!(outputs["q"], json!([1]));
        let bytes = answer_of(r#"{"response":{"bodyBase64":"/wA="}}"#).unwrap().0;
        assert_eq!((bytes.status(), bytes.body().as_ref()), (StatusCode::OK, &[0xff, 0][..]));
        for status in [204, 205, 304] {
            let bare = answer_of(&json!({ "response": { "status": status, "body": "x" } }).to_string()).unwrap().0;
            assert_eq!((bare.status().as_u16(), bare.body().len(), bare.headers().len()), (status, 0, 0));
        }
        for nothing in ["null", "{}", r#"{"outputs":{}}"#] {
            assert_eq!(answer_of(nothing).unwrap().0.status(), StatusCode::NO_CONTENT);
        }
    }

    #[test]
    fn what_is_no_response_is_refused() {
        for (output, says) in [
            ("", "not an output"),
            ("7", "not an output"),
            (r#"{"answer":1}"#, "unknown field `answer`"),
            (r#"{"response":{"status":99}}"#, "200 to 599"),
            (r#"{"response":{"status":101}}"#, "200 to 599"),
            (r#"{"response":{"status":200.5}}"#, "200 to 599"),
            (r#"{"response":{"headers":[["a b","c"]]}}"#, "'a b'"),
            (r#"{"response":{"headers":[["a","b\nc"]]}}"#, "'a' has a value"),
            (r#"{"response":{"headers":{"a":"b"}}}"#, "not an output"),
            (r#"{"response":{"body":"a","bodyBase64":""}}"#, "both"),
            (r#"{"response":{"bodyBase64":"?"}}"#, "not Base64"),
        ] {
            let why = answer_of(output).unwrap_err();
            assert!(why.contains(says), "{output}: {why}");
        }
        let many: Vec<_> = (0..300).map(|number| (format!("x-{number}"), "")).collect();
        let many = json!({ "response": { "headers": many } }).to_string();
        assert!(answer_of(&many).unwrap_err().contains("300 headers"));
    }
}
