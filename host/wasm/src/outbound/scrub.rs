//! Masks secrets in the responses of hosts that they were sent to, so that a host which echoes a request does not reveal a secret
//! to the guest.
//!
//! A secret is found as it is, escaped as in JSON, and in Base64; if it holds the credentials of basic authentication, these and
//! the password are found as well. Any other form (another encoding, its letters one by one) is not found: granting a secret
//! still means trusting its hosts not to reveal it on purpose.

use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_STANDARD_NO_PAD};
use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING};
use http::{HeaderMap, HeaderValue, Response};
use http_body_util::BodyExt as _;
use hyper::body::{Body, Frame, SizeHint};
use memchr::memmem::Finder;
use wasmtime_wasi_http::{Error, WasiBody};

use crate::Secret;
use crate::outbound::allow_list::Target;

/// A mask is as long as what it hides, so that lengths stay true.
const MASK: u8 = b'*';

/// Shorter forms are not masked: they are no secrets, and would match everywhere.
const FORM_BYTES_MIN: usize = 4;

/// Masks the secrets that a host knows and a guest must not.
#[derive(Clone)]
pub(crate) struct Scrubber(Arc<[Finder<'static>]>);

impl Scrubber {
    /// Creates the scrubber for the responses of a host. None: no hidden secret may be sent to it.
    pub fn of(secrets: &[Secret], target: &Target) -> Option<Self> {
        let hidden = secrets.iter().filter(|secret| secret.environment.is_none() && secret.hosts.allows_secret(target));
        let mut forms: Vec<Vec<u8>> = hidden.flat_map(|secret| forms_of(&secret.value)).collect();
        forms.retain(|form| form.len() >= FORM_BYTES_MIN);
        forms.sort();
        forms.dedup();
        let finders: Arc<[_]> = forms.iter().map(|form| Finder::new(form).into_owned()).collect();
        (!finders.is_empty()).then_some(Self(finders))
    }

    /// Asks for an uncompressed body: a compressed one could not be searched.
    pub fn ask_for_plain(&self, headers: &mut HeaderMap) {
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    }

    pub fn response(self, mut response: Response<WasiBody>) -> Result<Response<WasiBody>, Error> {
        let encodings = response.headers().get_all(CONTENT_ENCODING).iter();
        if let Some(encoding) = encodings.into_iter().find(|encoding| !encoding.as_bytes().eq_ignore_ascii_case(b"identity")) {
            let why = format!(
                "the response has the Content-Encoding {encoding:?} though none was requested: Dacapo cannot see whether it \
                 holds the secret that was sent"
            );
            return Err(Error::InternalError(Some(why)));
        }
        self.mask_headers(response.headers_mut());
        Ok(response.map(|body| Scrubbed { body, scrubber: self, held: Held::default(), trailers: None }.boxed_unsync()))
    }

    fn mask_headers(&self, headers: &mut HeaderMap) {
        for value in headers.values_mut() {
            let mut bytes = value.as_bytes().to_vec();
            if self.mask(&mut bytes) {
                *value = HeaderValue::from_bytes(&bytes).expect("a mask is valid in every header");
            }
        }
    }

    /// Masks all secrets in `bytes`. Returns whether there were any.
    fn mask(&self, bytes: &mut [u8]) -> bool {
        let found = self.find(bytes);
        found.iter().for_each(|range| bytes[range.clone()].fill(MASK));
        !found.is_empty()
    }

    /// Returns the ranges of all secrets, which may overlap.
    fn find(&self, bytes: &[u8]) -> Vec<Range<usize>> {
        let mut found = Vec::new();
        for form in self.0.iter() {
            let mut from = 0;
            while let Some(at) = form.find(&bytes[from..]) {
                found.push(from + at..from + at + form.needle().len());
                from += at + 1;
            }
        }
        found
    }

    /// How many bytes at the end may be the beginning of a secret.
    fn open_end(&self, bytes: &[u8]) -> usize {
        let open_end = |form: &Finder<'static>| {
            let needle = form.needle();
            (1..needle.len().min(bytes.len() + 1)).rev().find(|&length| bytes.ends_with(&needle[..length]))
        };
        self.0.iter().filter_map(open_end).max().unwrap_or(0)
    }
}

fn forms_of(secret: &str) -> Vec<Vec<u8>> {
    let in_json = serde_json::to_string(secret).expect("a text can be written as JSON");
    let mut forms = vec![
        secret.as_bytes().to_vec(),
        in_json.as_bytes()[1..in_json.len() - 1].to_vec(),
        BASE64_STANDARD_NO_PAD.encode(secret).into_bytes(),
    ];
    if let Some(credentials) = BASE64_STANDARD.decode(secret).ok().and_then(|bytes| String::from_utf8(bytes).ok())
        && let Some((_, password)) = credentials.split_once(':')
    {
        forms.push(password.as_bytes().to_vec());
        forms.push(credentials.into_bytes());
    }
    forms
}

struct Scrubbed {
    body: WasiBody,
    scrubber: Scrubber,
    held: Held,
    trailers: Option<Frame<Bytes>>,
}

/// The end of what has come so far, which may be the beginning of a secret.
#[derive(Default)]
struct Held {
    bytes: Vec<u8>,
    /// The ranges of it that belong to complete secrets.
    found: Vec<Range<usize>>,
}

impl Held {
    /// Appends data, and returns what cannot be part of an incomplete secret, masked.
    fn take(&mut self, scrubber: &Scrubber, data: &[u8]) -> Vec<u8> {
        self.bytes.extend_from_slice(data);
        self.found.extend(scrubber.find(&self.bytes));
        let end = self.bytes.len() - scrubber.open_end(&self.bytes);
        self.give(end)
    }

    fn give(&mut self, end: usize) -> Vec<u8> {
        let rest = self.bytes.split_off(end);
        let mut given = std::mem::replace(&mut self.bytes, rest);
        self.found.iter().for_each(|range| given[range.start.min(end)..range.end.min(end)].fill(MASK));
        self.found.retain(|range| range.end > end);
        self.found.iter_mut().for_each(|range| *range = range.start.saturating_sub(end)..range.end - end);
        given
    }
}

impl Body for Scrubbed {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = &mut *self;
        loop {
            if let Some(trailers) = this.trailers.take() {
                return Poll::Ready(Some(Ok(trailers)));
            }
            let frame = match ready!(Pin::new(&mut this.body).poll_frame(context)) {
                Some(Ok(frame)) => frame,
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None if this.held.bytes.is_empty() => return Poll::Ready(None),
                None => return Poll::Ready(Some(Ok(Frame::data(this.held.give(this.held.bytes.len()).into())))),
            };
            let bytes = match frame.into_data() {
                Ok(data) => this.held.take(&this.scrubber, &data),
                Err(mut trailers) => {
                    if let Some(headers) = trailers.trailers_mut() {
                        this.scrubber.mask_headers(headers);
                    }
                    this.trailers = Some(trailers);
                    this.held.give(this.held.bytes.len())
                }
            };
            if !bytes.is_empty() {
                return Poll::Ready(Some(Ok(Frame::data(bytes.into()))));
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.held.bytes.is_empty() && self.trailers.is_none() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (rest, held) = (self.body.size_hint(), self.held.bytes.len() as u64);
        let mut hint = SizeHint::new();
        hint.set_lower(rest.lower() + held);
        if let Some(upper) = rest.upper() {
            hint.set_upper(upper + held);
        }
        hint
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::StreamBody;

    use super::*;
    use crate::AllowList;
    use crate::outbound::allow_list::Scheme;

    fn scrubber(values: &[&str]) -> Scrubber {
        let secret = |value: &&str| Secret {
            name: "s".into(),
            value: (*value).into(),
            hosts: AllowList::parse(["example.com"]).unwrap(),
            environment: None,
        };
        let secrets: Vec<Secret> = values.iter().map(secret).collect();
        Scrubber::of(&secrets, &target("example.com")).unwrap()
    }

    fn target(host: &str) -> Target {
        Target { scheme: Scheme::Https, host: host.into(), port: 443 }
    }

    /// The scrubbed form of a body that arrives in these pieces.
    async fn scrubbed(scrubber: &Scrubber, pieces: &[&[u8]]) -> Vec<u8> {
        let frames: Vec<Result<Frame<Bytes>, Error>> =
            pieces.iter().map(|piece| Ok(Frame::data(Bytes::copy_from_slice(piece)))).collect();
        let body = StreamBody::new(futures::stream::iter(frames)).boxed_unsync();
        let response = scrubber.clone().response(Response::new(body)).unwrap();
        response.into_body().collect().await.unwrap().to_bytes().to_vec()
    }

    #[tokio::test]
    async fn a_secret_is_masked_wherever_it_is_cut() {
        let scrubber = scrubber(&["s3cret-s3cret", "other"]);
        for (text, expected) in [
            ("<s3cret-s3cret>", "<*************>"),
            ("s3cret-s3cret-s3cret", "********************"),
            ("othe s3cret-s3cre other.", "othe s3cret-s3cre *****."),
            ("nothing", "nothing"),
            ("s3cret-s3cre", "s3cret-s3cre"),
        ] {
            for first in 0..=text.len() {
                for second in first..=text.len() {
                    let pieces = [&text[..first], &text[first..second], &text[second..]].map(str::as_bytes);
                    let came = scrubbed(&scrubber, &pieces).await;
                    assert_eq!(String::from_utf8_lossy(&came), expected, "{pieces:?}");
                }
            }
        }
    }

    #[tokio::test]
    async fn other_forms_of_a_secret_are_masked_too() {
        let quoted = scrubber(&["say \"s3cret\""]);
        assert_eq!(scrubbed(&quoted, &[br#"{"h":"say \"s3cret\""}"#]).await, br#"{"h":"**************"}"#);
        assert_eq!(scrubbed(&scrubber(&["s3cret"]), &[b"czNjcmV0, czNjcmV0"]).await, b"********, ********");
        // `user:pa55word`, encoded as in the header of basic authentication.
        let basic = scrubber(&["dXNlcjpwYTU1d29yZA=="]);
        let said = scrubbed(&basic, &[b"dXNlcjpwYTU1d29yZA== user:pa55word pa55word user"]).await;
        assert_eq!(String::from_utf8_lossy(&said), "******************** ************* ******** user");
    }

    #[test]
    fn headers_are_masked_and_what_is_encoded_is_refused() {
        let body = || http_body_util::Empty::new().map_err(|never| match never {}).boxed_unsync();
        let response = Response::builder().header("x-echo", "Bearer s3cret").header("x-other", "plain").body(body()).unwrap();
        let response = scrubber(&["s3cret"]).response(response).unwrap();
        assert_eq!(response.headers()["x-echo"], "Bearer ******");
        assert_eq!(response.headers()["x-other"], "plain");
        let encoded = Response::builder().header("content-encoding", "gzip").body(body()).unwrap();
        let refused = scrubber(&["s3cret"]).response(encoded);
        assert!(matches!(refused, Err(Error::InternalError(Some(why))) if why.contains("gzip")));
    }

    #[test]
    fn only_what_is_hidden_and_for_the_host_is_looked_for() {
        let secret = |value: &str, environment: Option<&str>| Secret {
            name: "s".into(),
            value: value.into(),
            hosts: AllowList::parse(["example.com"]).unwrap(),
            environment: environment.map(str::to_owned),
        };
        assert!(Scrubber::of(&[secret("s3cret", None)], &target("example.com")).is_some());
        assert!(Scrubber::of(&[secret("s3cret", None)], &target("example.org")).is_none());
        assert!(Scrubber::of(&[secret("s3cret", Some("SEEN"))], &target("example.com")).is_none());
    }
}
