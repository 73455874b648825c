//! The HTTP client for a running host.

use std::fmt;
use std::io::{BufRead, BufReader};
use std::net::IpAddr;
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use clap::Args;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::de::DeserializeOwned;
use ureq::SendBody;
use ureq::http::header::AUTHORIZATION;
use ureq::http::{HeaderValue, Request, Uri};
use ureq::middleware::MiddlewareNext;
use ureq::unversioned::resolver::DefaultResolver;
use ureq::unversioned::transport::{ConnectProxyConnector, Connector as _, TcpConnector};
use zeroize::Zeroizing;

use super::certificate::{NamedCertificate, trouble_with_tls};
use super::error::CliError;
use super::event_stream::EventReader;
use crate::bad_value::BadValue;
use crate::config::ConnectionSetting;

const BASE: &str = "/runtime/webhooks/durabletask";
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// The longest response that is read. A history with many payloads is long.
const ANSWER_BYTES_MAX: u64 = 4 << 30;
/// A stream of events without even a keep-alive for this long is taken for dead.
const STREAM_SILENCE_MAX: Duration = Duration::from_secs(60);

/// The default address of a host.
pub(super) const DEFAULT_SERVER: &str = "http://127.0.0.1:7071";

/// Options of every command that talks to a host.
#[derive(Debug, Args)]
#[command(next_help_heading = "Host")]
pub(super) struct Connection {
    /// The address of the host [default: http://127.0.0.1:7071].
    #[arg(long, env = "DACAPO_SERVER", value_name = "URL")]
    server: Option<String>,
    /// The task hub [default: that of the key, or else the host's default one].
    #[arg(long, env = "DACAPO_TASK_HUB", value_name = "NAME")]
    pub task_hub_name: Option<String>,
    /// Trust only this certificate of the host, or one that it has signed: a file in PEM.
    #[arg(long, env = "DACAPO_CA_CERTIFICATE", value_name = "FILE", value_parser = certificate)]
    ca_certificate: Option<NamedCertificate>,
    /// The key. Prefer DACAPO_KEY: other users of this machine can see the command line.
    #[arg(id = "access_key", long = "key", env = "DACAPO_KEY", value_name = "KEY", hide_env_values = true)]
    key: Option<Key>,
    /// Print the host's JSON, for programs.
    #[arg(long)]
    pub json: bool,
}

/// A key, which is sent to the host and never printed.
#[derive(Clone)]
struct Key(Zeroizing<String>);

impl FromStr for Key {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let plain = |c: char| c.is_ascii_graphic();
        if text.chars().all(plain) { Ok(Self(Zeroizing::new(text.to_owned()))) } else { Err("this is not a key") }
    }
}

impl Key {
    fn read(path: &Path) -> Result<Self, CliError> {
        let text = std::fs::read_to_string(path).map(Zeroizing::new);
        let text = text.map_err(|why| CliError::file("reading", path, &why))?;
        text.trim().parse().map_err(|why| CliError::Usage(format!("the file {}: {why}", path.display())))
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl Connection {
    /// Connects to a host that the configuration names.
    pub fn use_named(&mut self, named: &ConnectionSetting) -> Result<(), CliError> {
        self.server = Some(named.server.clone());
        if let Some(path) = &named.key_file {
            self.key = Some(Key::read(path)?);
        }
        if let Some(path) = &named.ca_certificate {
            let wrong = |why: BadValue| CliError::Usage(format!("the certificate of the connection: {why}"));
            self.ca_certificate = Some(certificate(&path.to_string_lossy()).map_err(wrong)?);
        }
        Ok(())
    }

    /// Uses a port of this machine if no address is given.
    pub fn use_port(&mut self, port: u16) {
        self.server.get_or_insert_with(|| format!("http://127.0.0.1:{port}"));
    }

    pub fn client(&self) -> Client {
        let server = self.server.as_deref().unwrap_or(DEFAULT_SERVER).trim_end_matches('/');
        let server = if server.contains("://") { server.to_owned() } else { format!("http://{server}") };
        let config = ureq::Agent::config_builder().http_status_as_error(false).timeout_connect(Some(CONNECT_TIMEOUT));
        // A proxy cannot reach this machine's own loopback address.
        let local = ["//127.", "//localhost", "//[::1]"].iter().any(|host| server.contains(host));
        let config = if local { config.proxy(None) } else { config };
        let key = self.key.clone().filter(|key| !key.0.is_empty());
        // The client does not send an `Authorization` header on to the target of a redirect.
        let authorize = move |mut request: Request<SendBody>, next: MiddlewareNext| {
            if let Some(Key(key)) = &key
                && let Ok(mut value) = HeaderValue::try_from(format!("Bearer {}", key.as_str()))
            {
                value.set_sensitive(true);
                request.headers_mut().insert(AUTHORIZATION, value);
            }
            next.handle(request)
        };
        let config = config.middleware(authorize).build();
        let agent = match &self.ca_certificate {
            Some(named) => {
                let connector = ().chain(ConnectProxyConnector::default()).chain(TcpConnector::default()).chain(named.clone());
                ureq::Agent::with_parts(config, connector, DefaultResolver::default())
            }
            None => config.into(),
        };
        Client { agent, server, task_hub: self.task_hub_name.clone() }
    }
}

fn certificate(path: &str) -> Result<NamedCertificate, BadValue> {
    NamedCertificate::read(path).map_err(|why| format!("{why:#}").into())
}

#[derive(Clone)]
pub(super) struct Client {
    agent: ureq::Agent,
    server: String,
    task_hub: Option<String>,
}

/// Where a request goes: a path, segment by segment, and a query.
#[derive(Clone)]
pub(super) struct Target {
    path: String,
    query: Vec<(&'static str, String)>,
}

impl Target {
    /// A route of the management API.
    pub fn management<'a>(segments: impl IntoIterator<Item = &'a str>) -> Self {
        Self::below(BASE, segments)
    }

    /// A route of one instance.
    pub fn instance<'a>(id: &'a str, rest: impl IntoIterator<Item = &'a str>) -> Self {
        Self::management(["instances", id].into_iter().chain(rest))
    }

    /// A route of one entity. A path cannot have an empty segment: `$` stands for an empty key.
    pub fn entity<'a>(name: &'a str, key: &'a str) -> Self {
        Self::management(["entities", name, if key.is_empty() { "$" } else { key }])
    }

    /// A route of the host itself.
    pub fn host<'a>(segments: impl IntoIterator<Item = &'a str>) -> Self {
        Self::below("", segments)
    }

    fn below<'a>(base: &str, segments: impl IntoIterator<Item = &'a str>) -> Self {
        let path = segments.into_iter().fold(base.to_owned(), |path, segment| format!("{path}/{}", escape(segment)));
        Self { path, query: Vec::new() }
    }

    pub fn with(mut self, name: &'static str, value: impl ToString) -> Self {
        self.query.push((name, value.to_string()));
        self
    }

    pub fn with_some(self, name: &'static str, value: Option<impl ToString>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    /// The whole URL. An empty segment, such as from a shell variable that is not set, is refused: the path would address
    /// something else.
    pub fn url(&self, server: &str, task_hub: Option<&str>) -> Result<String, CliError> {
        if self.path.contains("//") || self.path.ends_with('/') {
            return Err(CliError::Usage("an id or a name is empty".into()));
        }
        let hub = task_hub.map(|hub| ("taskHub", hub));
        let query = self.query.iter().map(|(name, value)| (*name, value.as_str())).chain(hub);
        let query: Vec<_> = query.map(|(name, value)| format!("{name}={}", escape(value))).collect();
        let mark = if query.is_empty() { "" } else { "?" };
        Ok(format!("{server}{}{mark}{}", self.path, query.join("&")))
    }
}

type Response = Result<axum::http::Response<ureq::Body>, ureq::Error>;

pub(super) struct Answer {
    pub status: u16,
    pub text: String,
    /// The token of the next page of a list.
    pub continuation: Option<String>,
}

impl Client {
    pub fn server(&self) -> &str {
        &self.server
    }

    /// The address on which the host would listen if it is on this machine and without TLS.
    pub fn loopback_address(&self) -> Option<String> {
        let uri: Uri = self.server.parse().ok()?;
        let host = uri.host()?.trim_matches(['[', ']']);
        let is_loopback = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
        let is_plain = uri.scheme_str() == Some("http") && uri.path() == "/";
        (is_loopback && is_plain).then(|| format!("{}:{}", uri.host().unwrap_or(host), uri.port_u16().unwrap_or(80)))
    }

    fn url(&self, target: &Target) -> Result<String, CliError> {
        target.url(&self.server, self.task_hub.as_deref())
    }

    pub fn get(&self, target: &Target) -> Result<Answer, CliError> {
        self.get_page(target, None)
    }

    pub fn get_page(&self, target: &Target, continuation: Option<&str>) -> Result<Answer, CliError> {
        let request = self.agent.get(self.url(target)?);
        let request = match continuation {
            Some(token) => request.header("x-ms-continuation-token", token),
            None => request,
        };
        self.answer(request.call())
    }

    pub fn delete(&self, target: &Target) -> Result<Answer, CliError> {
        self.answer(self.agent.delete(self.url(target)?).call())
    }

    /// Opens a stream of server-sent events, or returns the response that refuses it.
    pub fn events(&self, target: &Target) -> Result<Result<EventReader, Answer>, CliError> {
        let request = self.agent.get(self.url(target)?);
        let request = request.header("accept", "text/event-stream").config().timeout_per_read(Some(STREAM_SILENCE_MAX)).build();
        let response = self.response(request.call())?;
        let content_type = response.headers().get("content-type").and_then(|value| value.to_str().ok()).unwrap_or_default();
        if response.status().as_u16() != 200 || !content_type.starts_with("text/event-stream") {
            return self.answer(Ok(response)).map(Err);
        }
        let reader = response.into_body().into_reader();
        Ok(Ok(EventReader::new(Box::new(BufReader::new(reader)))))
    }

    /// Opens a stream of lines, or returns the response that refuses it.
    pub fn post_lines(
        &self,
        target: &Target,
        content_type: &str,
        body: &[u8],
    ) -> Result<Result<Box<dyn BufRead>, Answer>, CliError> {
        let request = self.agent.post(self.url(target)?);
        self.lines(request.header("content-type", content_type).send(body))
    }

    pub fn get_lines(&self, target: &Target) -> Result<Result<Box<dyn BufRead>, Answer>, CliError> {
        self.lines(self.agent.get(self.url(target)?).call())
    }

    fn lines(&self, response: Response) -> Result<Result<Box<dyn BufRead>, Answer>, CliError> {
        let response = self.response(response)?;
        let content_type = response.headers().get("content-type").and_then(|value| value.to_str().ok()).unwrap_or_default();
        if response.status().as_u16() != 200 || !content_type.starts_with("application/x-ndjson") {
            return self.answer(Ok(response)).map(Err);
        }
        Ok(Ok(Box::new(BufReader::new(response.into_body().into_reader()))))
    }

    pub fn post(&self, target: &Target) -> Result<Answer, CliError> {
        self.answer(self.agent.post(self.url(target)?).send_empty())
    }

    pub fn post_json(&self, target: &Target, json: &str) -> Result<Answer, CliError> {
        self.post_body(target, "application/json", json.as_bytes())
    }

    pub fn patch_json(&self, target: &Target, json: &str) -> Result<Answer, CliError> {
        let request = self.agent.patch(self.url(target)?);
        self.answer(request.header("content-type", "application/json").send(json))
    }

    pub fn put(&self, target: &Target) -> Result<Answer, CliError> {
        self.answer(self.agent.put(self.url(target)?).send_empty())
    }

    pub fn put_json(&self, target: &Target, json: &str) -> Result<Answer, CliError> {
        let request = self.agent.put(self.url(target)?);
        self.answer(request.header("content-type", "application/json").send(json))
    }

    pub fn put_text(&self, target: &Target, text: &str) -> Result<Answer, CliError> {
        let request = self.agent.put(self.url(target)?);
        self.answer(request.header("content-type", "text/plain; charset=utf-8").send(text))
    }

    pub fn post_body(&self, target: &Target, content_type: &str, body: &[u8]) -> Result<Answer, CliError> {
        let request = self.agent.post(self.url(target)?);
        self.answer(request.header("content-type", content_type).send(body))
    }

    fn response(&self, response: Response) -> Result<axum::http::Response<ureq::Body>, CliError> {
        response.map_err(|error| match error {
            ureq::Error::BadUri(_) | ureq::Error::Http(_) => {
                CliError::Usage(format!("'{}' is not the address of a host", self.server))
            }
            error => self.unreachable(&error),
        })
    }

    fn answer(&self, response: Response) -> Result<Answer, CliError> {
        let mut response = self.response(response)?;
        let continuation = response.headers().get("x-ms-continuation-token").and_then(|token| token.to_str().ok());
        let continuation = continuation.filter(|token| !token.is_empty()).map(str::to_owned);
        let status = response.status().as_u16();
        let text = response.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_string();
        let text = text.map_err(|why| self.unreachable(&why))?;
        let answer = Answer { status, text, continuation };
        match status {
            // The host is stopping or overloaded; a later attempt may succeed.
            503 => Err(CliError::Unreachable {
                server: self.server.clone(),
                why: answer.reason().unwrap_or_else(|| "it does not serve now".into()),
            }),
            _ => Ok(answer),
        }
    }

    fn unreachable(&self, why: &ureq::Error) -> CliError {
        CliError::Unreachable { server: self.server.clone(), why: trouble_with_tls(why).unwrap_or_else(|| why.to_string()) }
    }
}

impl Answer {
    /// An error that was sent after the response had begun.
    pub fn refusal(status: u16, message: &str) -> Self {
        Self { status, text: serde_json::json!({ "Message": message }).to_string(), continuation: None }
    }

    /// Returns a successful response, or the error of a refusal. `missing` is the error for a 404 without a body.
    pub fn success(self, missing: impl FnOnce() -> String) -> Result<Self, CliError> {
        match self.status {
            200..=299 => Ok(self),
            401 | 403 => {
                let why = self.reason().unwrap_or_else(|| "the host refuses this".into());
                let hint = if self.status == 401 { "\n  --key or DACAPO_KEY takes a key" } else { "" };
                Err(CliError::Failed(format!("{why}{hint}")))
            }
            404 => Err(CliError::NotFound(self.reason().unwrap_or_else(missing))),
            409 => Err(CliError::WrongState(self.reason().unwrap_or_else(|| "it exists already".into()))),
            410 => Err(CliError::WrongState(self.reason().unwrap_or_else(|| "the instance has ended".into()))),
            412 => Err(CliError::WrongState(self.reason().unwrap_or_else(|| "the instance is in another state".into()))),
            status => Err(CliError::Failed(match self.reason() {
                Some(reason) => reason,
                None => format!("the host answered with status {status}: {}", excerpt(&self.text)),
            })),
        }
    }

    /// Like [`Answer::success`], about one instance.
    pub fn about_instance(self, id: &str) -> Result<Self, CliError> {
        if self.status == 410 {
            return Err(CliError::WrongState(format!("the instance '{id}' has ended already; get-runtime-status shows how")));
        }
        match self.status == 404 && self.reason().is_none() {
            true => Err(CliError::no_instance(id)),
            false => self.success(String::new),
        }
    }

    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, CliError> {
        serde_json::from_str(&self.text).map_err(|why| {
            CliError::Failed(format!(
                "this is not the answer of a Dacapo host ({why}): {}; does --server name one?",
                excerpt(&self.text)
            ))
        })
    }

    /// The message in an error body.
    pub fn reason(&self) -> Option<String> {
        let body: serde_json::Value = serde_json::from_str(&self.text).ok()?;
        let member = |name: &str| body.get(name).and_then(|value| value.as_str());
        member("ExceptionMessage").or(member("Message")).or(body.as_str()).map(str::to_owned)
    }
}

fn escape(text: &str) -> String {
    utf8_percent_encode(text, ESCAPED).to_string()
}

fn excerpt(text: &str) -> String {
    const CHARS_MAX: usize = 200;
    match text.char_indices().nth(CHARS_MAX) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_encoded() {
        let target = Target::instance("a/b ä", ["terminate"]).with("reason", "no & more").with_some("top", None::<u32>);
        assert_eq!(
            target.url("http://h", Some("My Hub")).unwrap(),
            "http://h/runtime/webhooks/durabletask/instances/a%2Fb%20%C3%A4/terminate?reason=no%20%26%20more&taskHub=My%20Hub"
        );
        assert_eq!(
            Target::entity("counter", "").url("", None).unwrap(),
            "/runtime/webhooks/durabletask/entities/counter/$".replace('$', "%24")
        );
        assert_eq!(Target::host(["admin", "apps"]).url("http://h", None).unwrap(), "http://h/admin/apps");
    }

    /// `dacapo terminate "$ID"`, and no ID is set.
    #[test]
    fn an_empty_id_or_name_is_refused() {
        for target in [
            Target::instance("", []),
            Target::instance("", ["terminate"]),
            Target::instance("i", ["raiseEvent", ""]),
            Target::management(["orchestrators", "f", ""]),
            Target::entity("", "key"),
            Target::host(["admin", "apps", ""]),
        ] {
            assert!(matches!(target.url("http://h", None), Err(CliError::Usage(why)) if why.contains("empty")));
        }
    }

    #[test]
    fn refusals_are_told_apart() {
        let refusal = |status, text: &str| {
            let answer = Answer { status, text: text.into(), continuation: None };
            answer.about_instance("i").err()
        };
        assert!(refusal(202, "").is_none());
        assert!(matches!(refusal(404, ""), Some(CliError::NotFound(why)) if why.contains("'i'")));
        assert!(matches!(refusal(404, r#"{"Message":"no hub"}"#), Some(CliError::NotFound(why)) if why == "no hub"));
        assert!(matches!(refusal(410, ""), Some(CliError::WrongState(_))));
        assert!(matches!(refusal(412, "\"it runs\""), Some(CliError::WrongState(why)) if why == "it runs"));
        assert!(
            matches!(refusal(400, r#"{"Message":"m","ExceptionMessage":"why"}"#), Some(CliError::Failed(why)) if why == "why")
        );
        assert!(matches!(refusal(502, "<html>"), Some(CliError::Failed(why)) if why.contains("502")));
    }
}
