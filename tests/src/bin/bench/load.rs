//! A load of HTTP requests.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use dacapo_tests::connection::Connection;
use hyper::Method;
use tokio::task::JoinSet;

/// Starts of one orchestration over several connections, each sent as soon as the one before it is acknowledged.
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
