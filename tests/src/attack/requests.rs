//! Attacks that are requests.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use hyper::Method;
use hyper::body::Bytes;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::attacker::{ADDRESS, Attacker, Tally};
use crate::connection::{address, connect_from};
use crate::wire::statuses;

type Played = Pin<Box<dyn Future<Output = Result<()>> + Send>>;

const BASE: &str = "/runtime/webhooks/durabletask";

/// Longer than any limit of the stage.
const PATIENCE: Duration = Duration::from_secs(20);

pub fn slow_heads(attacker: Arc<Attacker>, tally: Arc<Tally>, until: Instant) -> Played {
    Box::pin(async move { trickle(&attacker, &tally, until, "GET /healthz HTTP/1.1\r\nx-slow: ").await })
}

pub fn slow_bodies(attacker: Arc<Attacker>, tally: Arc<Tally>, until: Instant) -> Played {
    let head =
        format!("POST {BASE}/orchestrators/spin_orchestrator HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1000000\r\n\r\n");
    Box::pin(async move { trickle(&attacker, &tally, until, &head).await })
}

/// Sends a byte now and then, until it is cut off.
async fn trickle(attacker: &Attacker, tally: &Tally, until: Instant, head: &str) -> Result<()> {
    while Instant::now() < until {
        let begin = Instant::now();
        let mut stream = connect_from(ADDRESS, address(&attacker.url)?).await?;
        stream.write_all(head.as_bytes()).await?;
        while begin.elapsed() < PATIENCE && stream.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let cut_off = begin.elapsed() < PATIENCE;
        tally.count(if cut_off { "cut off" } else { "a connection for as long as it likes" }, cut_off);
    }
    Ok(())
}

/// Keeps every connection that it gets.
pub fn connections(attacker: Arc<Attacker>, tally: Arc<Tally>, _until: Instant) -> Played {
    const TRIED: usize = 100;
    Box::pin(async move {
        let to = address(&attacker.url)?;
        let mut tried = Vec::new();
        for _ in 0..TRIED {
            tried.push(connect_from(ADDRESS, to).await?);
        }
        for stream in &mut tried {
            tally.count(if refused(stream).await { "refused" } else { "a connection" }, true);
        }
        Ok(())
    })
}

async fn refused(stream: &mut TcpStream) -> bool {
    let mut answer = [0; 16];
    let read = tokio::time::timeout(Duration::from_millis(1), stream.read(&mut answer)).await;
    read.is_ok()
}

pub fn flood(attacker: Arc<Attacker>, tally: Arc<Tally>, until: Instant) -> Played {
    Box::pin(async move {
        let mut connection = attacker.connect().await?;
        while Instant::now() < until {
            let answer = connection.manage(Method::GET, "instances/none", "").await?;
            tally.count(&answer.status.to_string(), matches!(answer.status, 404 | 429));
        }
        Ok(())
    })
}

pub fn large_bodies(attacker: Arc<Attacker>, tally: Arc<Tally>, until: Instant) -> Played {
    let body = Bytes::from(format!("\"{}\"", "x".repeat(16 << 20)));
    Box::pin(async move {
        while Instant::now() < until {
            let mut connection = attacker.connect().await?;
            let answer = connection.manage(Method::POST, "orchestrators/call_named", body.clone()).await?;
            tally.count(&answer.status.to_string(), answer.status == 413);
        }
        Ok(())
    })
}

pub fn deep_json(attacker: Arc<Attacker>, tally: Arc<Tally>, until: Instant) -> Played {
    const DEPTH: usize = 1_000_000;
    let body = Bytes::from(format!("{}1{}", "[".repeat(DEPTH), "]".repeat(DEPTH)));
    Box::pin(async move {
        let mut connection = attacker.connect().await?;
        while Instant::now() < until {
            let answer = connection.manage(Method::POST, "orchestrators/call_named", body.clone()).await?;
            // JSON it is; what becomes of it is between the attacker and its guest.
            tally.count(&answer.status.to_string(), matches!(answer.status, 202 | 400));
        }
        Ok(())
    })
}

/// Names that would mean something to a file system, a shell, a header or a page.
const NAMES: [&str; 10] = [
    "..%2f..%2f..%2fetc%2fpasswd",
    "..%5c..%5cetc",
    "%00",
    "a%00b",
    "a%0d%0aset-cookie:%20x=1",
    ".",
    "..",
    "hubs%2fTestHubName.redb",
    "%3cscript%3e",
    "%ff%fe",
];

pub fn paths(attacker: Arc<Attacker>, tally: Arc<Tally>, _until: Instant) -> Played {
    Box::pin(async move {
        let mut connection = attacker.connect().await?;
        for name in NAMES {
            for (method, path) in [
                (Method::GET, format!("{BASE}/instances/{name}")),
                (Method::GET, format!("{BASE}/entities/{name}/{name}")),
                (Method::GET, format!("{BASE}/instances?taskHub={name}")),
                (Method::POST, format!("{BASE}/orchestrators/{name}")),
                (Method::POST, format!("/admin/apps/{name}")),
            ] {
                let answer = connection.send(method, &path, "").await?;
                let said = String::from_utf8_lossy(&answer.body).contains("root:");
                tally.count(&answer.status.to_string(), matches!(answer.status, 400 | 404) && !said);
            }
        }
        Ok(())
    })
}

pub fn lists(attacker: Arc<Attacker>, tally: Arc<Tally>, until: Instant) -> Played {
    Box::pin(async move {
        let mut connection = attacker.connect().await?;
        while Instant::now() < until {
            let answer = connection.manage(Method::GET, "instances?instanceIdPrefix=evil&top=1000&showInput=true", "").await?;
            tally.count(&answer.status.to_string(), matches!(answer.status, 200 | 429));
        }
        Ok(())
    })
}

pub fn listeners(attacker: Arc<Attacker>, tally: Arc<Tally>, until: Instant) -> Played {
    Box::pin(async move {
        let mut stream = connect_from(ADDRESS, address(&attacker.url)?).await?;
        stream.write_all(format!("GET {BASE}/events HTTP/1.1\r\nhost: localhost\r\n\r\n").as_bytes()).await?;
        tokio::time::sleep_until(until.into()).await;
        let mut read = vec![0; 4_096];
        let count = stream.read(&mut read).await?;
        let statuses = statuses(&String::from_utf8_lossy(&read[..count]));
        tally.count(&format!("{statuses:?}, events that it had not read"), matches!(statuses[..], [200 | 429]));
        Ok(())
    })
}

/// Ways to say 127.0.0.1 and other addresses that are nobody's business.
fn addresses(port: u16) -> Vec<String> {
    let names = [
        "127.0.0.1",
        "localhost",
        "127.1",
        "0.0.0.0",
        "0",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        "127.0.0.1.",
        "LOCALHOST",
        "localhost.",
        "a@127.0.0.1",
    ];
    let here = names.iter().map(|name| format!("http://{name}:{port}/"));
    let elsewhere = ["169.254.169.254", "10.0.0.1", "192.168.0.1", "172.16.0.1", "100.64.0.1", "[fd00::1]", "[fe80::1]"];
    here.chain(elsewhere.iter().map(|name| format!("http://{name}/latest/meta-data"))).collect()
}

/// Activities fetch from where they must not. A treasure on this machine counts who comes.
pub fn reach(attacker: Arc<Attacker>, tally: Arc<Tally>, _until: Instant) -> Played {
    Box::pin(async move {
        let treasure = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await?;
        let port = treasure.local_addr()?.port();
        let found = tokio::spawn(async move { treasure.accept().await.is_ok() });
        let mut connection = attacker.connect().await?;
        for url in addresses(port) {
            let path = format!("orchestrators/call_named/{}?timeout=20&pollingInterval=1", attacker.fresh_id());
            let answer = connection.manage(Method::POST, &path, json!(["fetch", url]).to_string()).await?;
            let body = String::from_utf8_lossy(&answer.body);
            tally.count(if body.contains("Failed") { "refused" } else { "an answer" }, body.contains("Failed"));
        }
        let reached = found.is_finished();
        found.abort();
        ensure!(!reached, "an activity has reached this machine");
        Ok(())
    })
}
