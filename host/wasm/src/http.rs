//! Outgoing HTTP: to allowed hosts, at addresses that were checked.
//!
//! The name is resolved once; the address that was checked is the one that is connected to.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http::uri::Scheme;
use http::{Request, Response, Uri};
use http_body_util::BodyExt;
use hyper::client::conn::http1;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto};
use wasmtime_wasi_http::io::TokioIo;
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpHooks};

use crate::allow_list::{Verdict, is_public};
use crate::config::Policy;

/// How long connecting may take, if the guest says nothing. An activity's own deadline bounds everything.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);

/// Sends the requests of one activity.
pub(crate) struct Outbound {
    policy: Arc<Policy>,
}

pub(crate) type Rest = Box<dyn Future<Output = Result<(), Error>> + Send>;
pub(crate) type Sent = Result<(Response<WasiBody>, Rest), Error>;

impl Outbound {
    pub fn new(policy: Arc<Policy>) -> Self {
        Self { policy }
    }
}

impl WasiHttpHooks for Outbound {
    fn send_request(
        &mut self,
        request: Request<WasiBody>,
        options: Option<RequestOptions>,
        _processed: Rest,
    ) -> Box<dyn Future<Output = Sent> + Send> {
        let policy = self.policy.clone();
        Box::new(async move { send(&policy, request, options.unwrap_or_default()).await })
    }
}

/// Where a request goes.
struct Target {
    /// Without brackets.
    host: String,
    port: u16,
    tls: bool,
}

impl Target {
    fn of(uri: &Uri) -> Result<Self, Error> {
        let tls = uri.scheme() == Some(&Scheme::HTTPS);
        let host = uri.host().filter(|host| !host.is_empty()).ok_or(Error::HttpRequestUriInvalid)?;
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        Ok(Self { host, port: uri.port_u16().unwrap_or(if tls { 443 } else { 80 }), tls })
    }

    /// The addresses that may be connected to.
    async fn addresses(&self, policy: &Policy) -> Result<Vec<SocketAddr>, Error> {
        let Self { host, port, .. } = self;
        let verdict = policy.outbound.verdict(host, *port);
        if verdict == Verdict::Denied {
            tracing::warn!(target: "guest", "a request to {host}:{port} was refused: the host is not on the allow-list for outgoing HTTP");
            return Err(Error::HttpRequestDenied);
        }
        let found: Vec<SocketAddr> = match host.parse::<IpAddr>() {
            Ok(address) => vec![SocketAddr::new(address, *port)],
            Err(_) => tokio::net::lookup_host((host.as_str(), *port))
                .await
                .map_err(|why| Error::DnsError { rcode: Some(why.to_string()), info_code: None })?
                .collect(),
        };
        let allowed: Vec<SocketAddr> =
            found.iter().copied().filter(|at| verdict == Verdict::Anywhere || is_public(at.ip())).collect();
        match (allowed.is_empty(), found.is_empty()) {
            (false, _) => Ok(allowed),
            (true, true) => Err(Error::DestinationNotFound),
            (true, false) => {
                tracing::warn!(target: "guest", "a request to {host}:{port} was refused: it leads to a private address; allow '{host}:{port}' if that is meant");
                Err(Error::DestinationIpProhibited)
            }
        }
    }

    async fn connect(&self, policy: &Policy) -> Result<TcpStream, Error> {
        let mut last = Error::DestinationNotFound;
        for address in self.addresses(policy).await? {
            match TcpStream::connect(address).await {
                Ok(stream) => return Ok(stream),
                Err(why) if why.kind() == std::io::ErrorKind::ConnectionRefused => last = Error::ConnectionRefused,
                Err(why) => last = Error::Connect(why),
            }
        }
        Err(last)
    }
}

/// Sends a request, and gives the response when its head is there. The body comes while the other half, which drives the
/// connection, is kept.
pub(crate) async fn send(policy: &Policy, request: Request<WasiBody>, options: RequestOptions) -> Sent {
    let target = Target::of(request.uri())?;
    let connect_timeout = options.connect_timeout.unwrap_or(CONNECT_TIMEOUT);
    let connect = async {
        let stream = target.connect(policy).await?;
        if !target.tls {
            return handshake(stream).await;
        }
        let name = ServerName::try_from(target.host.clone()).map_err(|_| Error::HttpRequestUriInvalid)?;
        handshake(TlsConnector::from(tls_config()).connect(name, stream).await.map_err(Error::Tls)?).await
    };
    let (mut sender, rest) = tokio::time::timeout(connect_timeout, connect).await.map_err(|_| Error::ConnectionTimeout)??;
    let request = sender.send_request(in_origin_form(request));
    let response = match options.first_byte_timeout {
        Some(timeout) => tokio::time::timeout(timeout, request).await.map_err(|_| Error::ConnectionReadTimeout)??,
        None => request.await?,
    };
    Ok((response.map(|body| body.map_err(Error::from).boxed_unsync()), rest))
}

/// Starts HTTP/1.1 on a connection, and the task that drives it until `Rest` is dropped.
async fn handshake<S>(stream: S) -> Result<(http1::SendRequest<WasiBody>, Rest), Error>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let driver = wasmtime_wasi::runtime::spawn(async move { connection.await.map_err(Error::from) });
    Ok((sender, Box::new(driver)))
}

/// The request line names the path only; the host stands in its header.
fn in_origin_form(mut request: Request<WasiBody>) -> Request<WasiBody> {
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    *request.uri_mut() = path.parse().expect("it is the path of a valid URI");
    request
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
    use crate::AllowList;

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
        let sent = Outbound::new(Arc::new(policy)).send_request(request, None, Box::new(async { Ok(()) }));
        let (response, rest) = Pin::from(sent).await?;
        let body = response.into_body().collect().await?.to_bytes();
        drop(rest);
        Ok(String::from_utf8(body.to_vec()).unwrap())
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
        // The name of this machine resolves to a loopback address in one form or another; an entry without a port
        // does not mean that.
        let verdict = Target { host: "ip6-localhost".into(), port, tls: false };
        let policy = Policy { outbound: AllowList::parse(["ip6-localhost"]).unwrap(), ..Policy::default() };
        let refused = verdict.addresses(&policy).await.unwrap_err();
        assert!(matches!(refused, Error::DestinationIpProhibited | Error::DnsError { .. }), "{refused:?}");
    }

    #[tokio::test]
    async fn a_host_that_does_not_speak_tls_is_a_tls_failure() {
        let port = echo().await;
        let failed = get(&[format!("localhost:{port}")], &format!("https://localhost:{port}/")).await;
        assert!(matches!(failed, Err(Error::Tls(_))), "{failed:?}");
    }
}
