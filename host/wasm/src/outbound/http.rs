//! Outgoing HTTP: to allowed hosts, at addresses that were checked, within limits.
//!
//! The name is resolved once; the address that was checked is the one that is connected to. No redirect is followed: a
//! guest that follows one sends a request of its own.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use dacapo_core::Failure;
use http::{Request, Response, Uri};
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, SizeHint};
use hyper::client::conn::http1;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::Sleep;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto};
use tokio_util::io::{InspectReader, InspectWriter};
use wasmtime_wasi_http::io::TokioIo;
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpHooks};

use crate::account::{ActivityContext, OutboundBytes};
use crate::outbound::allow_list::{Scheme, Target, Verdict, is_public};
use crate::outbound::scrub::Scrubber;
use crate::outbound::secret;

/// How long connecting may take, if the guest sets no timeout.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);

/// Concurrent requests of one activity. Each holds a socket.
const REQUESTS_AT_ONCE_MAX: usize = 16;

/// Bytes of a body that are taken at a time.
const BODY_CHUNK_BYTES: usize = 64 << 10;

/// Bytes of the head of a response, and how many headers it may have.
const HEAD_BYTES_MAX: usize = 64 << 10;
const HEADERS_MAX: usize = 100;

/// Denials that the failure of an activity lists; more would not help its author.
const DENIALS_MAX: usize = 3;

/// Sends the requests of one activity.
pub(crate) struct Outbound {
    terms: ActivityContext,
    sockets: Arc<Semaphore>,
    /// What the policy denied, for the activity's failure: an error code of WASI cannot carry the reason.
    // Nothing awaits while it is locked.
    denials: Arc<Mutex<Vec<String>>>,
}

pub(crate) type ConnectionTask = Box<dyn Future<Output = Result<(), Error>> + Send>;
pub(crate) type Sent = Result<(Response<WasiBody>, ConnectionTask), Error>;

impl Outbound {
    pub fn new(terms: ActivityContext) -> Self {
        Self { terms, sockets: Arc::new(Semaphore::new(REQUESTS_AT_ONCE_MAX)), denials: Arc::default() }
    }

    /// Adds to a failure of the activity what the policy denied before.
    pub fn explain(&self, failure: Failure) -> Failure {
        let denials = self.denials.lock().unwrap_or_else(PoisonError::into_inner);
        match denials.is_empty() {
            true => failure,
            false => Failure { message: format!("{} ({})", failure.message, denials.join("; ")), ..failure },
        }
    }
}

impl WasiHttpHooks for Outbound {
    /// Each body that a guest writes holds two chunks in the host's memory, sent or not.
    fn p2_outgoing_body_chunk_size(&mut self) -> usize {
        BODY_CHUNK_BYTES
    }

    fn send_request(
        &mut self,
        request: Request<WasiBody>,
        options: Option<RequestOptions>,
        _processed: ConnectionTask,
    ) -> Box<dyn Future<Output = Sent> + Send> {
        let (terms, sockets, denials) = (self.terms.clone(), self.sockets.clone(), self.denials.clone());
        Box::new(async move {
            let socket_permit = sockets.try_acquire_owned().map_err(|_| Error::ConnectionLimitReached)?;
            let target = Target::of(request.uri())?;
            let permit = terms.requests.begin().await;
            let sent = send(&terms, request, options.unwrap_or_default()).await;
            let (response, rest) = sent.inspect_err(|error| note_denial(&denials, &target, error))?;
            let rest = async move {
                let _held = (socket_permit, permit);
                Pin::from(rest).await
            };
            Ok((response, Box::new(rest) as ConnectionTask))
        })
    }
}

fn note_denial(denials: &Mutex<Vec<String>>, target: &Target, error: &Error) {
    let Some(why) = denial(error) else { return };
    let said = format!("the host did not send a request to {target}: {why}");
    let mut denials = denials.lock().unwrap_or_else(PoisonError::into_inner);
    if denials.len() < DENIALS_MAX && !denials.contains(&said) {
        denials.push(said);
    }
}

/// Why the operator's policy refused a request, if it did. Retrying would not help.
pub(crate) fn denial(error: &Error) -> Option<&str> {
    match error {
        Error::HttpRequestDenied => Some(
            "the operator does not allow requests to this host; the setting `activities.allow_hosts` names the allowed hosts, \
             `dacapo hub grant HUB --outbound HOST` adds to them, and if the app has a manifest, that must ask for the host, too",
        ),
        Error::DestinationIpProhibited => Some(
            "it leads to a private address; an entry of the setting `activities.allow_hosts` with the host and its port allows that",
        ),
        Error::InternalError(Some(why)) => Some(why.as_str()),
        _ => None,
    }
}

impl Target {
    fn of(uri: &Uri) -> Result<Self, Error> {
        let scheme = uri.scheme_str().and_then(Scheme::of).ok_or(Error::HttpRequestUriInvalid)?;
        let host = uri.host().filter(|host| !host.is_empty()).ok_or(Error::HttpRequestUriInvalid)?;
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        Ok(Self { scheme, host, port: uri.port_u16().unwrap_or(scheme.default_port()) })
    }

    /// Resolves the addresses that may be connected to.
    async fn addresses(&self, terms: &ActivityContext) -> Result<Vec<SocketAddr>, Error> {
        self.addresses_by(look_up, terms).await
    }

    /// Resolves the name once, which `FnOnce` enforces: a name that resolves elsewhere the next time is not looked up again.
    async fn addresses_by(
        &self,
        look_up: impl AsyncFnOnce(&str, u16) -> io::Result<Vec<SocketAddr>>,
        terms: &ActivityContext,
    ) -> Result<Vec<SocketAddr>, Error> {
        let (Self { host, port, .. }, ActivityContext { account, policy, .. }) = (self, terms);
        let hub = &account.hub;
        let verdict = policy.outbound.verdict(self);
        if verdict == Verdict::Denied {
            tracing::warn!(target: "guest", hub, "a request to {host}:{port} was refused: the host is not on the allow-list for outgoing HTTP");
            return Err(Error::HttpRequestDenied);
        }
        let found: Vec<SocketAddr> = match host.parse::<IpAddr>() {
            Ok(address) => vec![SocketAddr::new(address, *port)],
            Err(_) => {
                let found = look_up(host, *port).await;
                found.map_err(|why| Error::DnsError { rcode: Some(why.to_string()), info_code: None })?
            }
        };
        let open =
            |ip: IpAddr| verdict == Verdict::Anywhere || is_public(ip) || policy.outbound.grants_address(self, ip.to_canonical());
        let allowed: Vec<SocketAddr> = found.iter().copied().filter(|at| open(at.ip())).collect();
        match (allowed.is_empty(), found.is_empty()) {
            (false, _) => Ok(allowed),
            (true, true) => Err(Error::DestinationNotFound),
            (true, false) => {
                tracing::warn!(target: "guest", hub, "a request to {host}:{port} was refused: it leads to a private address; allow '{host}:{port}' if that is intended");
                Err(Error::DestinationIpProhibited)
            }
        }
    }
}

async fn look_up(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    Ok(tokio::net::lookup_host((host, port)).await?.collect())
}

/// Connects to the first address that accepts. Takes addresses only: names were resolved and checked before.
async fn connect(addresses: Vec<SocketAddr>) -> Result<TcpStream, Error> {
    let mut last = Error::DestinationNotFound;
    for address in addresses {
        match TcpStream::connect(address).await {
            Ok(stream) => return Ok(stream),
            Err(why) if why.kind() == std::io::ErrorKind::ConnectionRefused => last = Error::ConnectionRefused,
            Err(why) => last = Error::Connect(why),
        }
    }
    Err(last)
}

/// A connection whose bytes are counted for the tenant.
fn counted(stream: TcpStream, bytes: &Arc<OutboundBytes>) -> impl AsyncRead + AsyncWrite + Send + Unpin + 'static {
    let (sent, received) = (bytes.clone(), bytes.clone());
    let stream = InspectWriter::new(stream, move |written| sent.sent(written.len() as u64));
    InspectReader::new(stream, move |read| received.received(read.len() as u64))
}

/// Sends a request, and returns the response when its head has arrived. The body arrives only while the caller keeps the second
/// value, which drives the connection.
///
/// A secret that must not be sent is an [`Error::InternalError`] with the reason.
pub(crate) async fn send(terms: &ActivityContext, request: Request<WasiBody>, options: RequestOptions) -> Sent {
    let limits = &terms.policy.http;
    let (request, request_is_too_large) = bounded_request(request, limits);
    let time = tokio::time::sleep(limits.time);
    let answered = tokio::time::timeout(limits.time, exchange(terms, request, options)).await;
    match answered.unwrap_or(Err(Error::HttpResponseTimeout)) {
        Ok((response, rest)) => Ok((response.map(|body| Bounded::response(body, limits.response_bytes, time)), rest)),
        Err(_) if request_is_too_large.load(Ordering::Relaxed) => {
            Err(Error::HttpRequestBodySize(Some(limits.request_bytes as u64)))
        }
        Err(error) => Err(error),
    }
}

async fn exchange(terms: &ActivityContext, mut request: Request<WasiBody>, options: RequestOptions) -> Sent {
    let ActivityContext { account, policy, .. } = terms;
    let target = Target::of(request.uri())?;
    let scrubber = Scrubber::of(&policy.secrets, &target);
    let connect_timeout = options.connect_timeout.unwrap_or(CONNECT_TIMEOUT);
    let connect = async {
        let addresses = target.addresses(terms).await?;
        secret::fill(&policy.secrets, &target, request.headers_mut())
            .map_err(|why| Error::InternalError(Some(why.to_string())))?;
        scrubber.iter().for_each(|scrubber| scrubber.ask_for_plain(request.headers_mut()));
        let stream = counted(connect(addresses).await?, &account.outbound);
        if target.scheme == Scheme::Http {
            return handshake(stream).await;
        }
        let name = ServerName::try_from(target.host.clone()).map_err(|_| Error::HttpRequestUriInvalid)?;
        handshake(TlsConnector::from(tls_config()).connect(name, stream).await.map_err(Error::Tls)?).await
    };
    let (mut sender, rest) = tokio::time::timeout(connect_timeout, connect).await.map_err(|_| Error::ConnectionTimeout)??;
    let request = sender.send_request(in_origin_form(request)?);
    let response = match options.first_byte_timeout {
        Some(timeout) => tokio::time::timeout(timeout, request).await.map_err(|_| Error::ConnectionReadTimeout)??,
        None => request.await?,
    };
    let response = response.map(|body| body.map_err(Error::from).boxed_unsync());
    match scrubber {
        Some(scrubber) => Ok((scrubber.response(response)?, rest)),
        None => Ok((response, rest)),
    }
}

/// The limits of one outgoing request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpLimits {
    /// Bytes of its body.
    pub request_bytes: usize,
    /// Bytes of the body of its response.
    pub response_bytes: usize,
    /// From connecting to the end of the response.
    pub time: Duration,
}

impl Default for HttpLimits {
    fn default() -> Self {
        Self { request_bytes: 16 << 20, response_bytes: 64 << 20, time: Duration::from_secs(100) }
    }
}

/// A body that fails when it is too long or takes too long.
struct Bounded {
    body: WasiBody,
    left: usize,
    allowed: usize,
    /// Set when the body of a request was too long: hyper reports only that sending it failed.
    too_large: Option<Arc<AtomicBool>>,
    time: Option<Pin<Box<Sleep>>>,
}

fn bounded_request(request: Request<WasiBody>, limits: &HttpLimits) -> (Request<WasiBody>, Arc<AtomicBool>) {
    let (too_large, allowed) = (Arc::new(AtomicBool::new(false)), limits.request_bytes);
    let bounded = |body| Bounded { body, left: allowed, allowed, too_large: Some(too_large.clone()), time: None }.boxed_unsync();
    (request.map(bounded), too_large)
}

impl Bounded {
    fn response(body: WasiBody, allowed: usize, time: Sleep) -> WasiBody {
        Self { body, left: allowed, allowed, too_large: None, time: Some(Box::pin(time)) }.boxed_unsync()
    }

    fn exceeded(&self) -> Error {
        let allowed = Some(self.allowed as u64);
        match &self.too_large {
            Some(flag) => {
                flag.store(true, Ordering::Relaxed);
                Error::HttpRequestBodySize(allowed)
            }
            None => Error::HttpResponseBodySize(allowed),
        }
    }
}

impl Body for Bounded {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        if self.time.as_mut().is_some_and(|time| time.as_mut().poll(context).is_ready()) {
            return Poll::Ready(Some(Err(Error::HttpResponseTimeout)));
        }
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        if let Some(Ok(Some(data))) = frame.as_ref().map(|frame| frame.as_ref().map(Frame::data_ref)) {
            match self.left.checked_sub(data.len()) {
                Some(left) => self.left = left,
                None => return Poll::Ready(Some(Err(self.exceeded()))),
            }
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Starts HTTP/1.1 on a connection, and the task that drives it until `ConnectionTask` is dropped.
async fn handshake<S>(stream: S) -> Result<(http1::SendRequest<WasiBody>, ConnectionTask), Error>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let mut http = http1::Builder::new();
    http.max_buf_size(HEAD_BYTES_MAX).max_headers(HEADERS_MAX);
    let (sender, connection) = http.handshake(TokioIo::new(stream)).await?;
    let driver = wasmtime_wasi::runtime::spawn(async move { connection.await.map_err(Error::from) });
    Ok((sender, Box::new(driver)))
}

/// The request line names the path only; the host is in its header.
fn in_origin_form(mut request: Request<WasiBody>) -> Result<Request<WasiBody>, Error> {
    let path = request.uri().path_and_query().map_or("", |path| path.as_str());
    // `http://host?query` has no path of its own, and a request line must have one.
    let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
    *request.uri_mut() = path.parse().map_err(|_| Error::HttpRequestUriInvalid)?;
    Ok(request)
}

fn tls_config() -> Arc<ClientConfig> {
    static CONFIG: OnceLock<Arc<ClientConfig>> = OnceLock::new();
    let config = CONFIG.get_or_init(|| {
        let roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.into() };
        let builder = ClientConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()));
        let builder = builder.with_safe_default_protocol_versions().expect("ring has the ciphers of TLS 1.2 and 1.3");
        Arc::new(builder.with_root_certificates(roots).with_no_client_auth())
    });
    config.clone()
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;

    use bytes::Bytes;
    use http_body_util::Full;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;
    use crate::account::Requests;
    use crate::deployment::compilations::TenantId;
    use crate::engine::permits::FairSemaphore;
    use crate::{AllowList, Policy};

    fn terms(policy: Policy) -> ActivityContext {
        let requests = Requests::new(FairSemaphore::new(64), TenantId(1));
        ActivityContext { account: Arc::default(), policy: Arc::new(policy), requests }
    }

    /// Answers one request with the first line of it.
    async fn echo() -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut buffer = [0; 4096];
            let length = stream.read(&mut buffer).await.unwrap();
            let head = String::from_utf8_lossy(&buffer[..length]).into_owned();
            let line = head.lines().next().unwrap();
            let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{line}", line.len());
            stream.write_all(answer.as_bytes()).await.unwrap();
        });
        port
    }

    async fn get(allowed: &[String], url: &str) -> Result<String, Error> {
        let policy = Policy { outbound: AllowList::parse(allowed).unwrap(), ..Policy::default() };
        let body = Full::new(Bytes::new()).map_err(Error::from).boxed_unsync();
        let request = Request::get(url).header("host", "test").body(body).unwrap();
        let sent = Outbound::new(terms(policy)).send_request(request, None, Box::new(async { Ok(()) }));
        let (response, rest) = Pin::from(sent).await?;
        let body = response.into_body().collect().await?.to_bytes();
        drop(rest);
        Ok(String::from_utf8(body.to_vec()).unwrap())
    }

    /// Answers every request with these bytes, and keeps the connection.
    async fn answering(answer: &'static [u8]) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            let mut kept = Vec::new();
            while let Ok((mut stream, _)) = listener.accept().await {
                let _ = stream.write_all(answer).await;
                kept.push(stream);
            }
        });
        port
    }

    /// Posts bytes, under these limits.
    async fn post(port: u16, http: HttpLimits, body: Vec<u8>) -> Result<Bytes, Error> {
        let outbound = AllowList::parse([format!("127.0.0.1:{port}")]).unwrap();
        let policy = Policy { outbound, http, ..Policy::default() };
        let body = Full::new(Bytes::from(body)).map_err(Error::from).boxed_unsync();
        let request = Request::post(format!("http://127.0.0.1:{port}/")).body(body).unwrap();
        let sent = Outbound::new(terms(policy)).send_request(request, None, Box::new(async { Ok(()) }));
        let (response, _rest) = Pin::from(sent).await?;
        Ok(response.into_body().collect().await?.to_bytes())
    }

    /// The host panicked over an address without a path.
    #[tokio::test]
    async fn an_address_without_a_path_is_asked_for_its_root() {
        for (address, line) in [("", "GET / HTTP/1.1"), ("?a=b", "GET /?a=b HTTP/1.1"), ("/a?b", "GET /a?b HTTP/1.1")] {
            let port = echo().await;
            assert_eq!(get(&[format!("127.0.0.1:{port}")], &format!("http://127.0.0.1:{port}{address}")).await.unwrap(), line);
        }
    }

    #[tokio::test]
    async fn requests_and_responses_are_bounded_in_size_and_time() {
        let limits = HttpLimits { request_bytes: 100, response_bytes: 5, time: Duration::from_millis(300) };
        let fine = answering(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello").await;
        assert_eq!(post(fine, limits.clone(), vec![b'x'; 100]).await.unwrap(), "hello");
        let failed = post(answering(b"").await, limits.clone(), vec![b'x'; 101]).await;
        assert!(matches!(failed, Err(Error::HttpRequestBodySize(Some(100)))), "{failed:?}");
        let large = answering(b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nhello!").await;
        let failed = post(large, limits.clone(), vec![]).await;
        assert!(matches!(failed, Err(Error::HttpResponseBodySize(Some(5)))), "{failed:?}");
        // No head, half a head, half a body: a server that is slow on purpose.
        for answer in [&b""[..], b"HTTP/1.1 200", b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhel"] {
            let failed = post(answering(answer).await, limits.clone(), vec![]).await;
            assert!(matches!(failed, Err(Error::HttpResponseTimeout)), "{failed:?}");
        }
    }

    #[tokio::test]
    async fn the_head_of_a_response_is_bounded() {
        let large: Vec<u8> = [b"HTTP/1.1 200 OK\r\nx: ".as_slice(), &vec![b'x'; 1 << 20]].concat();
        let many: Vec<u8> = [b"HTTP/1.1 200 OK\r\n".as_slice(), "x: y\r\n".repeat(200).as_bytes(), b"\r\n"].concat();
        for answer in [large, many] {
            let failed = post(answering(answer.leak()).await, HttpLimits::default(), vec![]).await;
            assert!(matches!(failed, Err(Error::Hyper(_))), "{failed:?}");
        }
    }

    #[tokio::test]
    async fn an_activity_has_only_so_many_requests_under_way() {
        let port = answering(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhel").await;
        let outbound = AllowList::parse([format!("127.0.0.1:{port}")]).unwrap();
        let mut activity = Outbound::new(terms(Policy { outbound, ..Policy::default() }));
        let mut send = || {
            let body = Full::new(Bytes::new()).map_err(Error::from).boxed_unsync();
            let request = Request::get(format!("http://127.0.0.1:{port}/")).body(body).unwrap();
            Pin::from(activity.send_request(request, None, Box::new(async { Ok(()) })))
        };
        let mut under_way = Vec::new();
        for _ in 0..REQUESTS_AT_ONCE_MAX {
            under_way.push(send().await.unwrap());
        }
        assert!(matches!(send().await, Err(Error::ConnectionLimitReached)));
        under_way.pop();
        assert!(send().await.is_ok());
    }

    #[tokio::test]
    async fn an_allowed_host_is_reached_by_name_and_by_address() {
        for host in ["localhost", "127.0.0.1"] {
            let port = echo().await;
            let answer = get(&[format!("{host}:{port}")], &format!("http://{host}:{port}/status?a=1")).await;
            assert_eq!(answer.unwrap(), "GET /status?a=1 HTTP/1.1");
        }
    }

    #[tokio::test]
    async fn what_is_not_allowed_is_not_even_resolved() {
        let port = echo().await;
        assert!(matches!(get(&[], "http://does-not-exist.invalid/").await, Err(Error::HttpRequestDenied)));
        let allowed = [format!("localhost:{port}")];
        for url in ["http://localhost/", "http://127.0.0.1:80/", "https://example.org/"] {
            assert!(matches!(get(&allowed, url).await, Err(Error::HttpRequestDenied)), "{url}");
        }
    }

    #[tokio::test]
    async fn a_public_name_that_leads_to_a_private_address_is_refused() {
        let port = echo().await;
        // The name of this machine resolves to a loopback address in one form or another, which an entry without a port
        // does not allow.
        let verdict = Target { scheme: Scheme::Http, host: "ip6-localhost".into(), port };
        let policy = Policy { outbound: AllowList::parse(["ip6-localhost"]).unwrap(), ..Policy::default() };
        let refused = verdict.addresses(&terms(policy)).await.unwrap_err();
        assert!(matches!(refused, Error::DestinationIpProhibited | Error::DnsError { .. }), "{refused:?}");
    }

    /// Rebinding: a name that leads to a granted address when it is checked, and to another one when it is connected to.
    #[tokio::test]
    async fn the_address_that_was_checked_is_the_one_that_is_connected_to() {
        let (granted, other) = (TcpListener::bind("127.0.0.2:0").await.unwrap(), TcpListener::bind("127.0.0.3:0").await.unwrap());
        let (granted_at, other_at) = (granted.local_addr().unwrap(), other.local_addr().unwrap());
        let outbound = AllowList::parse(["rebinding.test", "127.0.0.2"]).unwrap();
        let terms = terms(Policy { outbound, ..Policy::default() });
        let target = Target { scheme: Scheme::Http, host: "rebinding.test".into(), port: granted_at.port() };
        let mut answers = vec![vec![other_at], vec![other_at, granted_at]];
        let mut look_up = async |_: &str, _: u16| Ok(answers.pop().expect("it is asked so often"));
        // Only the granted one of the two is left, and is connected to although the name resolves elsewhere now.
        let addresses = target.addresses_by(&mut look_up, &terms).await.unwrap();
        assert_eq!(addresses, [granted_at]);
        let stream = connect(addresses).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), granted_at);
        let refused = target.addresses_by(&mut look_up, &terms).await.unwrap_err();
        assert!(matches!(refused, Error::DestinationIpProhibited), "{refused:?}");
    }

    #[tokio::test]
    async fn other_spellings_of_a_private_address_are_refused() {
        // As names that an operator has allowed without a port: whatever they resolve to is checked.
        for host in ["2130706433", "0x7f000001", "0177.0.0.1", "127.1", "0", "localhost.", "169.254.169.254.nip.invalid"] {
            let policy = Policy { outbound: AllowList::parse([host]).unwrap(), ..Policy::default() };
            let target = Target { scheme: Scheme::Http, host: host.into(), port: 80 };
            let refused = target.addresses(&terms(policy)).await.unwrap_err();
            assert!(matches!(refused, Error::DestinationIpProhibited | Error::DnsError { .. }), "{host}: {refused:?}");
        }
        // As addresses in brackets and without.
        for url in [
            "http://127.0.0.1/",
            "http://[::1]/",
            "http://[::ffff:127.0.0.1]/",
            "http://0.0.0.0/",
            "http://[::]/",
            "http://2130706433/",
        ] {
            assert!(matches!(get(&["*.example.org".into()], url).await, Err(Error::HttpRequestDenied)), "{url}");
        }
    }

    #[tokio::test]
    async fn a_name_may_lead_into_a_granted_range() {
        let port = echo().await;
        let allowed = ["ip4.test".to_owned(), "127.0.0.0/8".to_owned()];
        let policy = Policy { outbound: AllowList::parse(&allowed).unwrap(), ..Policy::default() };
        let target = Target { scheme: Scheme::Http, host: "ip4.test".into(), port };
        assert!(policy.outbound.grants_address(&target, "127.0.0.1".parse().unwrap()));
        assert_eq!(get(&allowed, &format!("http://127.0.0.1:{port}/a")).await.unwrap(), "GET /a HTTP/1.1");
    }

    #[tokio::test]
    async fn a_host_that_does_not_speak_tls_is_a_tls_failure() {
        let port = echo().await;
        let failed = get(&[format!("localhost:{port}")], &format!("https://localhost:{port}/")).await;
        assert!(matches!(failed, Err(Error::Tls(_))), "{failed:?}");
    }
}
