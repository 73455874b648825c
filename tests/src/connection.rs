//! HTTP requests over a persistent connection.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpSocket, TcpStream};

pub struct Connection {
    address: SocketAddr,
    key: Option<String>,
    sender: http1::SendRequest<Full<Bytes>>,
}

/// A response, and how long it took.
pub struct Answer {
    pub status: u16,
    pub body: Bytes,
    pub took: Duration,
}

impl Connection {
    pub async fn open(url: &str) -> Result<Self> {
        let address = address(url)?;
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Self::over(stream, address).await
    }

    /// Uses any stream to a host as the connection.
    pub async fn over(stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static, address: SocketAddr) -> Result<Self> {
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(Self { address, key: None, sender })
    }

    /// Sends this key with every request.
    #[must_use]
    pub fn with_key(self, key: &str) -> Self {
        Self { key: Some(key.to_owned()), ..self }
    }

    pub async fn send(&mut self, method: Method, path: &str, body: impl Into<Bytes>) -> Result<Answer> {
        self.send_with(&[], method, path, body).await
    }

    /// Like [`Self::send`], with more headers.
    pub async fn send_with(
        &mut self,
        headers: &[(&str, &str)],
        method: Method,
        path: &str,
        body: impl Into<Bytes>,
    ) -> Result<Answer> {
        let key = self.key.as_deref().map(|key| ("x-functions-key", key));
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", self.address.to_string())
            .header("content-type", "application/json");
        let request = headers.iter().copied().chain(key).fold(request, |request, (name, value)| request.header(name, value));
        let request = request.body(Full::new(body.into()))?;
        self.sender.ready().await?;
        let begin = Instant::now();
        let response = self.sender.send_request(request).await?;
        let status = response.status().as_u16();
        let body = response.into_body().collect().await?.to_bytes();
        Ok(Answer { status, body, took: begin.elapsed() })
    }

    /// Sends a request to a path below the management API.
    pub async fn manage(&mut self, method: Method, path: &str, body: impl Into<Bytes>) -> Result<Answer> {
        self.send(method, &format!("/runtime/webhooks/durabletask/{path}"), body).await
    }
}

/// Opens a TCP connection from the given local address.
pub async fn connect_from(source: IpAddr, to: SocketAddr) -> Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::new(source, 0))?;
    let stream = socket.connect(to).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Returns the address in the URL of a host, such as `http://127.0.0.1:7071`.
pub fn address(url: &str) -> Result<SocketAddr> {
    url.rsplit('/').next().unwrap_or(url).parse().with_context(|| format!("'{url}' has no address"))
}
