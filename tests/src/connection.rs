//! HTTP requests over a connection that is kept open, as fast as they are answered.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpSocket, TcpStream};

pub struct Connection {
    address: SocketAddr,
    sender: http1::SendRequest<Full<Bytes>>,
}

/// What came back, and after how long.
pub struct Answer {
    pub status: u16,
    pub body: Bytes,
    pub took: Duration,
}

impl Connection {
    pub async fn open(url: &str) -> Result<Self> {
        let address = address(url)?;
        Self::over(TcpStream::connect(address).await?, address).await
    }

    /// From an address of this machine's own choice: all of 127.0.0.0/8 are its own.
    pub async fn open_from(source: IpAddr, url: &str) -> Result<Self> {
        let address = address(url)?;
        Self::over(connect_from(source, address).await?, address).await
    }

    async fn over(stream: TcpStream, address: SocketAddr) -> Result<Self> {
        stream.set_nodelay(true)?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(Self { address, sender })
    }

    pub async fn send(&mut self, method: Method, path: &str, body: impl Into<Bytes>) -> Result<Answer> {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", self.address.to_string())
            .header("content-type", "application/json")
            .body(Full::new(body.into()))?;
        self.sender.ready().await?;
        let begin = Instant::now();
        let response = self.sender.send_request(request).await?;
        let status = response.status().as_u16();
        let body = response.into_body().collect().await?.to_bytes();
        Ok(Answer { status, body, took: begin.elapsed() })
    }

    /// One request below the management API.
    pub async fn manage(&mut self, method: Method, path: &str, body: impl Into<Bytes>) -> Result<Answer> {
        self.send(method, &format!("/runtime/webhooks/durabletask/{path}"), body).await
    }
}

/// A bare connection from an address of this machine's own choice.
pub async fn connect_from(source: IpAddr, to: SocketAddr) -> Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::new(source, 0))?;
    Ok(socket.connect(to).await?)
}

/// The address in the URL of a host, such as `http://127.0.0.1:7071`.
pub fn address(url: &str) -> Result<SocketAddr> {
    url.rsplit('/').next().unwrap_or(url).parse().with_context(|| format!("'{url}' names no address"))
}
