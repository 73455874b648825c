//! Attacks that send too much, or too slowly: bytes, connections, requests.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use hyper::Method;
use hyper::body::Bytes;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::attacker::{Attacker, Tally, said};
use super::attacks::Played;
use crate::wire::statuses;

const BASE: &str = "/runtime/webhooks/durabletask";

/// How long the stage lets a connection wait for a request head (`http.head_seconds`).
const SILENCE: Duration = Duration::from_secs(1);

/// Longer than any limit of the stage.
const PATIENCE: Duration = Duration::from_secs(20);

pub fn slow_heads(attacker: Arc<Attacker>, tally: Arc<Tally>, until: Instant) -> Played {
    Box::pin(async move { trickle(&attacker, &tally, until, "GET /healthz HTTP/1.1\r\nx-slow: ").await })
}

pub fn slow_bodies(attacker: Arc<Attacker>, tally: Arc<Tally>, until: Instant) -> Played {
    let head = format!(
        "POST {BASE}/orchestrators/spin_orchestrator HTTP/1.1\r\nhost: localhost\r\nx-functions-key: {}\r\ncontent-length: 1000000\r\n\r\n",
        attacker.tenant.key
    );
    Box::pin(async move { trickle(&attacker, &tally, until, &head).await })
}

/// Sends a byte now and then, until the host cuts the connection off.
async fn trickle(attacker: &Attacker, tally: &Tally, until: Instant, head: &str) -> Result<()> {
    loop {
        let begin = Instant::now();
        let mut stream = attacker.open().await?;
        stream.write_all(head.as_bytes()).await?;
        while begin.elapsed() < PATIENCE && stream.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let cut_off = begin.elapsed() < PATIENCE;
        tally.count(if cut_off { "cut off" } else { "a connection without a time limit" }, cut_off);
        if Instant::now() >= until {
            return Ok(());
        }
    }
}

/// Announces a body, sends none of it, and starts again when the host has responded.
pub fn bodies_without_key(attacker: Arc<Attacker>, tally: Arc<Tally>, until: Instant) -> Played {
    let head = format!("POST {BASE}/orchestrators/none HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1000000\r\n\r\n");
    Box::pin(async move {
        loop {
            let mut stream = attacker.open().await?;
            stream.write_all(head.as_bytes()).await?;
            let mut answer = Vec::new();
            // The host may close it in favour of other connections.
            let ended = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await.is_ok();
            let statuses = statuses(&String::from_utf8_lossy(&answer));
            let held = ended && matches!(statuses[..], [] | [401 | 503]);
            tally.count(&format!("{statuses:?}{}", if ended { "" } else { " and kept" }), held);
            if Instant::now() >= until {
                return Ok(());
            }
        }
    })
}

/// Opens many connections and keeps all that are accepted.
pub fn connections(attacker: Arc<Attacker>, tally: Arc<Tally>, until: Instant) -> Played {
    const TRIED: usize = 500;
    const ALLOWED: usize = 256;
    Box::pin(async move {
        let begin = Instant::now();
        let mut tried = Vec::new();
        for _ in 0..TRIED {
            tried.push(attacker.open().await?);
        }
        // When the last one is refused, the host has decided on all others.
        let mut byte = [0];
        let last = tried.last_mut().expect("there are many");
        let refused = tokio::time::timeout(PATIENCE, last.read(&mut byte)).await.is_ok();
        tally.count(if refused { "the last one refused" } else { "the last one as well" }, refused);
        let mut kept = 0;
        for stream in &mut tried {
            // A refused one has ended already, so there is no need to wait.
            kept += usize::from(tokio::time::timeout(Duration::ZERO, stream.read(&mut byte)).await.is_err());
        }
        // Accepted ones send nothing, so they time out too; on a slow machine, all may have ended before they were counted.
        let least = usize::from(begin.elapsed() < SILENCE);
        tally.count(&format!("{kept} connections kept"), (least..=ALLOWED).contains(&kept));
        tokio::time::sleep_until(until.into()).await;
        Ok(())
    })
}

pub fn listeners(attacker: Arc<Attacker>, tally: Arc<Tally>, until: Instant) -> Played {
    let head = format!("GET {BASE}/events HTTP/1.1\r\nhost: localhost\r\nx-functions-key: {}\r\n\r\n", attacker.tenant.key);
    Box::pin(async move {
        let mut stream = attacker.open().await?;
        stream.write_all(head.as_bytes()).await?;
        tokio::time::sleep_until(until.into()).await;
        let mut read = vec![0; 4_096];
        let count = stream.read(&mut read).await?;
        let statuses = statuses(&String::from_utf8_lossy(&read[..count]));
        tally.count(&format!("{statuses:?} and events that were left unread"), matches!(statuses[..], [200 | 429]));
        Ok(())
    })
}

pub fn requests(attacker: Arc<Attacker>, tally: Arc<Tally>, until: Instant) -> Played {
    repeated(attacker, tally, until, "instances/none", &[404, 429])
}

pub fn lists(attacker: Arc<Attacker>, tally: Arc<Tally>, until: Instant) -> Played {
    repeated(attacker, tally, until, "instances?instanceIdPrefix=evil&top=1000&showInput=true", &[200, 429])
}

/// Requests lists that are much larger than the socket buffers, and reads none of them.
pub fn lists_unread(attacker: Arc<Attacker>, tally: Arc<Tally>, until: Instant) -> Played {
    const INPUT_BYTES: usize = 1 << 20;
    let head = format!(
        "GET {BASE}/instances?showInput=true&top=1000 HTTP/1.1\r\nhost: localhost\r\nx-functions-key: {}\r\n\r\n",
        attacker.tenant.key
    );
    Box::pin(async move {
        let input = format!(r#"["nothing", "{}"]"#, "x".repeat(INPUT_BYTES));
        let id = attacker.fresh_id();
        let started = attacker.connect().await?.manage(Method::POST, &format!("orchestrators/call_named/{id}"), input).await?;
        tally.count(&started.status.to_string(), matches!(started.status, 202 | 429 | 503));
        let mut stream = attacker.open().await?;
        stream.write_all(head.as_bytes()).await?;
        tokio::time::sleep_until(until.into()).await;
        // The host may have closed the connection.
        let mut begin = [0; 12];
        let answered = stream.read_exact(&mut begin).await.is_ok();
        let got = if answered { String::from_utf8_lossy(&begin).into_owned() } else { "cut off".to_owned() };
        tally.count(&got, !answered || begin.starts_with(b"HTTP/1.1 "));
        Ok(())
    })
}

/// Raises large events for a suspended instance.
pub fn fill_inbox(attacker: Arc<Attacker>, tally: Arc<Tally>, until: Instant) -> Played {
    const EVENT_BYTES: usize = 1 << 20;
    Box::pin(async move {
        let event = Bytes::from(format!("\"{}\"", "x".repeat(EVENT_BYTES)));
        let mut connection = attacker.connect().await?;
        let id = attacker.fresh_id();
        // The instance waits for a slow activity.
        let start = (format!("orchestrators/call_named/{id}"), r#"["spin_activity", null]"#);
        for (path, body) in [start, (format!("instances/{id}/suspend?reason=x"), "")] {
            let answer = connection.manage(Method::POST, &path, body).await?;
            ensure!(answer.status == 202, "{path}: {:?}", answer.body);
        }
        loop {
            let answer = connection.manage(Method::POST, &format!("instances/{id}/raiseEvent/noise"), event.clone()).await?;
            tally.count(&answer.status.to_string(), matches!(answer.status, 202 | 429 | 503 | 507));
            if Instant::now() >= until {
                return Ok(());
            }
        }
    })
}

fn repeated(attacker: Arc<Attacker>, tally: Arc<Tally>, until: Instant, path: &'static str, expected: &'static [u16]) -> Played {
    Box::pin(async move {
        let mut connection = attacker.connect().await?;
        loop {
            let answer = connection.manage(Method::GET, path, "").await?;
            tally.count(&answer.status.to_string(), expected.contains(&answer.status));
            if Instant::now() >= until {
                return Ok(());
            }
        }
    })
}

pub fn large_bodies(attacker: Arc<Attacker>, tally: Arc<Tally>, until: Instant) -> Played {
    let body = Bytes::from(format!("\"{}\"", "x".repeat(16 << 20)));
    Box::pin(async move {
        loop {
            let mut connection = attacker.connect().await?;
            let answer = connection.manage(Method::POST, "orchestrators/call_named", body.clone()).await?;
            tally.count(&answer.status.to_string(), answer.status == 413);
            if Instant::now() >= until {
                return Ok(());
            }
        }
    })
}

pub fn deep_json(attacker: Arc<Attacker>, tally: Arc<Tally>, until: Instant) -> Played {
    const DEPTH: usize = 1_000_000;
    let body = Bytes::from(format!("{}1{}", "[".repeat(DEPTH), "]".repeat(DEPTH)));
    Box::pin(async move {
        let mut connection = attacker.connect().await?;
        loop {
            let answer = connection.manage(Method::POST, "orchestrators/call_named", body.clone()).await?;
            // It is valid JSON, so the host may accept it; the guest may fail on it.
            tally.count(&answer.status.to_string(), matches!(answer.status, 202 | 400));
            if Instant::now() >= until {
                return Ok(());
            }
        }
    })
}

/// Fills its hub until the host refuses more, and then keeps trying.
pub fn fill_disk(attacker: Arc<Attacker>, tally: Arc<Tally>, until: Instant) -> Played {
    const TRIES_MAX: usize = 100;
    Box::pin(async move {
        let mut connection = attacker.connect().await?;
        let mut full = false;
        for _ in 0..TRIES_MAX {
            let answer = attacker.run(&mut connection, "fill", &json!(1 << 20)).await?;
            let said = said(&answer);
            let refused = (answer.status == 507 || said.failed) && said.says("storage_bytes");
            full |= refused;
            tally.count(&format!("{} {}", answer.status, said.text), refused || answer.status == 200);
            if full && Instant::now() >= until {
                return Ok(());
            }
        }
        tally.count("more storage than its hub may have", full);
        Ok(())
    })
}
