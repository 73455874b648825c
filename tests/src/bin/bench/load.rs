//! A load of HTTP requests.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use dacapo_tests::connection::Connection;
use hyper::Method;
use tokio::task::JoinSet;

/// A request, and the status of its response.
#[derive(Clone)]
pub struct Ask {
    pub method: Method,
    pub path: &'static str,
    pub body: &'static str,
    pub status: u16,
}

/// The same request over several connections, each sent as soon as the one before it is acknowledged.
pub struct Load {
    clients: JoinSet<Result<()>>,
    stop: Arc<AtomicBool>,
    acknowledged: Arc<AtomicUsize>,
}

impl Load {
    /// Starts of one orchestration.
    pub async fn start(url: &str, connections: usize, path: &'static str, body: &'static str) -> Result<Self> {
        Self::of(url, connections, Ask { method: Method::POST, path, body, status: 202 }).await
    }

    pub async fn of(url: &str, connections: usize, ask: Ask) -> Result<Self> {
        let (stop, acknowledged) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let mut clients = JoinSet::new();
        for _ in 0..connections {
            let mut connection = Connection::open(url).await?;
            let (stop, acknowledged, ask) = (stop.clone(), acknowledged.clone(), ask.clone());
            clients.spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    let answer = connection.send(ask.method.clone(), ask.path, ask.body).await?;
                    ensure!(answer.status == ask.status, "{}: {:?}", answer.status, answer.body);
                    acknowledged.fetch_add(1, Ordering::Relaxed);
                }
                Ok(())
            });
        }
        Ok(Self { clients, stop, acknowledged })
    }

    /// Returns the requests acknowledged per second during `length`, from now on.
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
