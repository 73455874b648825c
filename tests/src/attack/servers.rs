//! The servers that activities connect to, on this machine. Some are granted to the attacker's hubs and some are not.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::Result;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::watch::{Watch, Watched};

/// The secret of the attacker's hubs: guests may send it to the partner and never see it.
pub const SECRET: &str = "s3cret-that-guests-only-use-ZpQ8";

pub struct Servers {
    /// The attacker's server: all that it receives is inspected. It responds as the request asks.
    pub own: Server,
    /// Granted, with the secret, but not the attacker's.
    pub partner: Server,
    /// Not granted to any hub.
    pub vault: Server,
    _running: JoinSet<()>,
}

pub struct Server {
    pub authority: String,
    seen: Arc<Seen>,
}

#[derive(Default)]
struct Seen {
    requests: AtomicUsize,
    secrets: AtomicUsize,
}

impl Server {
    /// The number of requests received.
    pub fn requests(&self) -> usize {
        self.seen.requests.load(Ordering::Relaxed)
    }

    /// The number of requests that contained the secret.
    pub fn secrets(&self) -> usize {
        self.seen.secrets.load(Ordering::Relaxed)
    }
}

impl Servers {
    pub async fn start(watch: &Arc<Watch>) -> Result<Self> {
        let mut running = JoinSet::new();
        let nobody = Arc::new(Watch::default());
        let own = serve(&mut running, watch.clone()).await?;
        let partner = serve(&mut running, nobody.clone()).await?;
        let vault = serve(&mut running, nobody).await?;
        Ok(Self { own, partner, vault, _running: running })
    }
}

async fn serve(running: &mut JoinSet<()>, watch: Arc<Watch>) -> Result<Server> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let authority = listener.local_addr()?.to_string();
    let seen = Arc::new(Seen::default());
    let counted = seen.clone();
    running.spawn(async move {
        let mut clients = JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            clients.spawn(answer(Watched::new(stream, watch.clone()), counted.clone()));
            while clients.try_join_next().is_some() {}
        }
    });
    Ok(Server { authority, seen })
}

/// Responds to one request as its headers `x-status` and `x-location` say; at `/end`, with a plain 200.
async fn answer(mut stream: Watched<TcpStream>, seen: Arc<Seen>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => return,
        }
    }
    let head = String::from_utf8_lossy(&head);
    seen.requests.fetch_add(1, Ordering::Relaxed);
    seen.secrets.fetch_add(usize::from(head.contains(SECRET)), Ordering::Relaxed);
    let header = |name: &str| {
        let mut lines = head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_owned())
    };
    let header = |name: &str| header(name).filter(|_| !head.starts_with("GET /end "));
    let status = header("x-status").unwrap_or_else(|| "200".into());
    let location = header("x-location").map(|to| format!("location: {to}\r\nretry-after: 0\r\n")).unwrap_or_default();
    let answer = format!("HTTP/1.1 {status} Any\r\n{location}content-length: 2\r\nconnection: close\r\n\r\nok");
    // The client may have disconnected.
    let _ = stream.write_all(answer.as_bytes()).await;
}
