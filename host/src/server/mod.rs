//! The HTTP server, from the listener to the API, built for hostile clients.
//!
//! ```text
//!   accept ─▶ Connections: within limits? ─▶ TLS ─▶ hyper (HTTP/1.1) ─▶ exchange ─▶ API
//!                  ▲                          └─────── stream ───────┘     │
//!                  └── sweep, once a second ◀── Pace: who waits for whom ◀─┘
//! ```
//!
//! - [`connections`]: how many there may be, in all and from one address, and which are closed to make room: among the first,
//!   those whose request is not authorised.
//! - [`pace`]: how long a client may keep the host waiting. No connection has a timer of its own.
//! - [`stream`], [`exchange`]: report bytes and requests to the pace.
//! - [`tls`]: certificates, and their renewal while the host runs.
//!
//! HTTP/1.1 only: the clients of Durable Functions speak nothing else unless told to, and features that do not exist cannot
//! be attacked.

mod connections;
mod exchange;
mod pace;
mod stream;
mod tls;

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::{AbortRegistration, Abortable};
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};

pub use connections::ConnectionLimits;
pub use exchange::{Admission, Remote};
pub use pace::TimeLimits;
pub use tls::{CertificateFiles, Tls};

use connections::{ConnectionPermit, Connections, Refused};
use exchange::Exchange;
use stream::Watched;

/// The largest head of a request. Above the 65,534 bytes of the longest URI, so that a URI which is too long is distinguished
/// from headers that are.
const HEAD_BYTES_MAX: usize = 128 << 10;
const HEADERS_MAX: usize = 100;

/// How often all connections are checked.
const SWEEP: Duration = Duration::from_secs(1);
/// The pause after an error that does not concern a single connection, such as a lack of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The response to a connection that is refused. Nothing is kept in memory for it.
const REFUSAL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";

/// The response to plain HTTP where TLS is expected. The body is like the errors of the API.
const NOT_TLS: &[u8] = b"HTTP/1.1 400 Bad Request\r\ncontent-type: application/json; charset=utf-8\r\nconnection: close\r\n\
    content-length: 162\r\n\r\n\
    {\"Message\":\"this address speaks HTTPS: use https:// in the place of http://\",\
    \"ExceptionMessage\":\"this address speaks HTTPS: use https:// in the place of http://\"}";

/// How to serve.
pub struct ServerOptions {
    pub api: axum::Router,
    pub tls: Option<Arc<Tls>>,
    pub connections: ConnectionLimits,
    pub times: TimeLimits,
}

/// Serves until `stopping` turns true, then finishes the requests in progress and closes all connections.
pub async fn serve(listener: TcpListener, options: ServerOptions, mut stopping: watch::Receiver<bool>) {
    let (alive, mut ended) = mpsc::channel::<()>(1);
    let connections = Arc::new(Connections::new(options.connections, options.times));
    let server = Arc::new(Server { api: options.api, tls: options.tls, connections, stopping: stopping.clone() });
    let sweeping = server.connections.clone();
    let renewing = server.tls.clone();
    tokio::select! {
        () = server.accept_all(listener, alive) => {}
        () = sweep_all(&sweeping) => {}
        () = tls::renew(renewing) => {}
        () = stopped(&mut stopping) => {}
    }
    // The listener is closed, and only connections hold `alive`.
    tokio::select! {
        none = ended.recv() => debug_assert!(none.is_none(), "nothing is ever sent"),
        () = sweep_all(&sweeping) => {}
    }
}

struct Server {
    api: axum::Router,
    tls: Option<Arc<Tls>>,
    connections: Arc<Connections>,
    stopping: watch::Receiver<bool>,
}

impl Server {
    async fn accept_all(self: Arc<Self>, listener: TcpListener, alive: mpsc::Sender<()>) {
        loop {
            match listener.accept().await {
                Ok((stream, remote)) => self.admit(stream, remote, &alive),
                Err(why) if concerns_one(why.kind()) => {}
                Err(why) => {
                    tracing::error!(%why, "no connection can be accepted");
                    self.connections.make_room();
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    fn admit(self: &Arc<Self>, stream: TcpStream, remote: SocketAddr, alive: &mpsc::Sender<()>) {
        match self.connections.admit(remote, self.tls.is_some(), Instant::now()) {
            Ok((place, registration)) => {
                let (server, alive) = (self.clone(), alive.clone());
                tokio::spawn(async move {
                    server.attend(stream, remote, place, registration).await;
                    drop(alive);
                });
            }
            Err(Refused) if self.tls.is_none() => drop(stream.try_write(REFUSAL)),
            Err(Refused) => {}
        }
    }

    /// Handles one connection, from its first byte to its end. Its permit is released however it ends.
    async fn attend(&self, stream: TcpStream, remote: SocketAddr, place: ConnectionPermit, registration: AbortRegistration) {
        // Without it, small responses may wait for the acknowledgement of earlier bytes.
        let _ = stream.set_nodelay(true);
        let attended = Abortable::new(self.converse(stream, remote, &place), registration).await;
        match attended {
            Ok(Ok(())) => {}
            Ok(Err(why)) => tracing::debug!(%remote, error = %why, "a connection has failed"),
            Err(_aborted) => tracing::debug!(%remote, "a connection is cut off"),
        }
    }

    async fn converse(&self, stream: TcpStream, remote: SocketAddr, place: &ConnectionPermit) -> anyhow::Result<()> {
        let plain = self.tls.is_some() && speaks_http(&stream).await?;
        let mut stream = Watched::new(stream, place.pace.clone());
        match &self.tls {
            None => self.exchange(stream, remote, place).await,
            Some(_) if plain => Ok(refuse_http(&mut stream).await?),
            Some(tls) => {
                let stream = tls.acceptor().accept(stream).await?;
                place.pace.lock().greeted(Instant::now());
                self.exchange(stream, remote, place).await
            }
        }
    }

    async fn exchange(
        &self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        remote: SocketAddr,
        place: &ConnectionPermit,
    ) -> anyhow::Result<()> {
        let exchange = Exchange { api: self.api.clone(), pace: place.pace.clone(), remote };
        let mut http = http1::Builder::new();
        http.max_buf_size(HEAD_BYTES_MAX).max_headers(HEADERS_MAX).header_read_timeout(None);
        let mut connection = std::pin::pin!(http.serve_connection(TokioIo::new(stream), exchange));
        let mut stopping = self.stopping.clone();
        tokio::select! {
            ended = connection.as_mut() => return Ok(ended?),
            () = stopped(&mut stopping) => connection.as_mut().graceful_shutdown(),
        }
        Ok(connection.await?)
    }
}

/// Whether a client begins with the name of a method instead of a TLS handshake. Consumes nothing of the stream.
async fn speaks_http(stream: &TcpStream) -> std::io::Result<bool> {
    let mut first = [0];
    Ok(stream.peek(&mut first).await? == 1 && first[0].is_ascii_uppercase())
}

/// Sends the error for plain HTTP, and waits until the client has read it.
async fn refuse_http(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> std::io::Result<()> {
    stream.write_all(NOT_TLS).await?;
    stream.shutdown().await?;
    // If a connection is closed with received bytes unread, the client may lose the response.
    tokio::io::copy(&mut stream.take(HEAD_BYTES_MAX as u64), &mut tokio::io::sink()).await.map(drop)
}

/// Whether only the connection that was about to be accepted has failed.
fn concerns_one(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::ConnectionRefused | ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset)
}

/// Never ends.
async fn sweep_all(connections: &Connections) {
    let mut ticks = tokio::time::interval(SWEEP);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        connections.sweep(Instant::now());
    }
}

async fn stopped(stopping: &mut watch::Receiver<bool>) {
    // An error means that the sender is gone and the host cannot be stopped this way.
    if stopping.wait_for(|stop| *stop).await.is_err() {
        std::future::pending::<()>().await;
    }
}
