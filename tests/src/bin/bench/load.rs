//! HTTP requests as fast as they are answered, over connections that are kept open.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// A connection that is kept open.
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
        let address: SocketAddr = url.trim_start_matches("http://").parse().context("the address of the host")?;
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(Self { address, sender })
    }

    /// One request below the management API.
    pub async fn manage(&mut self, method: Method, path: &str, body: &'static str) -> Result<Answer> {
        let request = Request::builder()
            .method(method)
            .uri(format!("/runtime/webhooks/durabletask/{path}"))
            .header("host", self.address.to_string())
            .header("content-type", "application/json")
            .body(Full::new(Bytes::from_static(body.as_bytes())))?;
        self.sender.ready().await?;
        let begin = Instant::now();
        let response = self.sender.send_request(request).await?;
        let status = response.status().as_u16();
        let body = response.into_body().collect().await?.to_bytes();
        Ok(Answer { status, body, took: begin.elapsed() })
    }
}

/// Starts of one orchestration over so many connections, each as fast as the one before is acknowledged.
pub struct Load {
    clients: JoinSet<Result<()>>,
    stop: Arc<AtomicBool>,
    acknowledged: Arc<AtomicUsize>,
}

impl Load {
    pub async fn start(url: &str, connections: usize, path: &'static str, body: &'static str) -> Result<Self> {
        let (stop, acknowledged) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let mut clients = JoinSet::new();
        for _ in 0..connections {
            let mut connection = Connection::open(url).await?;
            let (stop, acknowledged) = (stop.clone(), acknowledged.clone());
            clients.spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    let answer = connection.manage(Method::POST, path, body).await?;
                    ensure!(answer.status == 202, "{}: {:?}", answer.status, answer.body);
                    acknowledged.fetch_add(1, Ordering::Relaxed);
                }
                Ok(())
            });
        }
        Ok(Self { clients, stop, acknowledged })
    }

    /// Requests acknowledged per second, from now on for so long.
    pub async fn rate(&self, length: Duration) -> f64 {
        let (before, begin) = (self.acknowledged(), Instant::now());
        tokio::time::sleep(length).await;
        (self.acknowledged() - before) as f64 / begin.elapsed().as_secs_f64()
    }

    pub fn acknowledged(&self) -> usize {
        self.acknowledged.load(Ordering::Relaxed)
    }

    pub async fn stop(mut self) -> Result<()> {
        self.stop.store(true, Ordering::Relaxed);
        while let Some(client) = self.clients.join_next().await {
            client??;
        }
        Ok(())
    }
}
