//! What triggers open: responses of hostile guests, requests of hostile clients, routes that others have, queues, schedules, and
//! triggers that never answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use hyper::Method;
use hyper::body::Bytes;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::attacker::{Attacker, Tally, said};
use super::attacks::Played;
use super::stage::{ROUTE, ROUTE_OF_ALL};
use crate::trigger_guest;
use crate::wire::statuses;

/// Longer than any limit of the stage.
const PATIENCE: Duration = Duration::from_secs(20);

const ANONYMOUS: &str = r#"[{"type":"httpTrigger","authLevel":"anonymous"}]"#;

impl Attacker {
    /// Deploys an app beside its own. Returns the status of the response, and what it says.
    async fn deploy_as(&self, app: &str, module: Vec<u8>) -> Result<(u16, String)> {
        let answer = self.connect().await?.send(Method::POST, &format!("/admin/apps/{app}"), module).await?;
        Ok((answer.status, said(&answer).text))
    }

    /// The head of a request to a path of its own hub, without the empty line at its end.
    fn head(&self, method: &str, path: &str) -> String {
        format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\nx-functions-key: {}\r\n", self.tenant.key)
    }
}

/// A request that ends its connection; what follows a response on the wire must be the response to it.
const LAST: &str = "GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";

/// Triggers whose responses are none, or would break those of others if they were sent as they are.
pub fn responses(attacker: Arc<Attacker>, tally: Arc<Tally>, _until: Instant) -> Played {
    Box::pin(async move {
        let outputs = outputs();
        let triggers: Vec<(&str, &str)> = outputs.iter().map(|(output, _)| (ANONYMOUS, output.as_str())).collect();
        let deployed = attacker.deploy_as("returning", trigger_guest::returning(&triggers)).await?;
        ensure!(deployed.0 == 200, "{deployed:?}");
        for (number, (output, expected)) in outputs.iter().enumerate() {
            for method in ["GET", "HEAD", "POST"] {
                let body = if method == "POST" { "content-length: 0\r\n" } else { "" };
                let path = format!("/api/return-{number:02}");
                let sent = format!("{}{body}\r\n{LAST}", attacker.head(method, &path));
                let Some(answers) = attacker.exchange(sent).await? else {
                    tally.count("a connection that stays open", false);
                    continue;
                };
                let lower = answers.to_ascii_lowercase();
                let injected =
                    ["\nx-injected:", "\ntransfer-encoding:", "\nupgrade:", "\nalt-svc:", "\nstrict-transport-security:"];
                let found = injected.into_iter().find(|line| lower.contains(line));
                let statuses = statuses(&answers);
                let protected =
                    *expected != 200 || lower.contains("\ncontent-security-policy: sandbox") && lower.contains(": nosniff");
                let held = statuses == [*expected, 200] && found.is_none() && protected;
                let got = format!("{statuses:?}{}", found.unwrap_or_default());
                tally.count(&if held { got } else { format!("{got} {method} {output:.60}") }, held);
            }
        }
        Ok(())
    })
}

/// What the triggers return, and the status of the response.
fn outputs() -> Vec<(String, u16)> {
    let response = |response: Value| json!({ "response": response }).to_string();
    let headers = |headers: Value| response(json!({ "headers": headers, "body": "hello" }));
    let cookies =
        |count: usize| headers((0..count).map(|number| json!(["set-cookie", format!("c{number}=1; Path=/")])).collect());
    let mut outputs: Vec<(String, u16)> = Vec::new();
    for (name, value) in [
        ("x-a", "b\r\nx-injected: 1"),
        ("x-a", "b\nx-injected: 1"),
        ("x-a", "b\r\n\r\nHTTP/1.1 200 OK\r\nx-injected: 1\r\n\r\n"),
        ("x-a", "b\0c"),
        ("x-a\r\nx-injected", "1"),
        ("x-injected: 1\r\nx-a", "1"),
        ("x a", "b"),
        ("", "b"),
    ] {
        outputs.push((headers(json!([[name, value]])), 500));
    }
    for framing in [
        json!([["content-length", "1"]]),
        json!([["Content-Length", "999999"]]),
        json!([["content-length", "0"], ["content-length", "7"]]),
        json!([["transfer-encoding", "chunked"]]),
        json!([["Transfer-Encoding", "gzip, chunked"], ["content-length", "3"]]),
        json!([["connection", "upgrade"], ["upgrade", "websocket"]]),
        json!([["connection", "close"], ["keep-alive", "timeout=1"]]),
        json!([["trailer", "x-injected"], ["te", "trailers"]]),
        json!([["alt-svc", "h3=\"evil.example:443\""], ["strict-transport-security", "max-age=99999999"]]),
        json!([["content-security-policy", "default-src *"], ["x-content-type-options", "sniff"]]),
    ] {
        outputs.push((headers(framing), 200));
    }
    outputs.extend([(cookies(150), 200), (cookies(10_000), 500)]);
    outputs.push((headers(json!([["x-large", "x".repeat(1 << 20)]])), 500));
    outputs.push((headers(json!([["x".repeat(1 << 20), "large"]])), 500));
    for status in ["0", "99", "100", "101", "103", "199", "600", "1000", "-200", "200.5", "1e300", "\"200\"", "[200]"] {
        outputs.push((format!(r#"{{"response":{{"status":{status},"body":"hello"}}}}"#), 500));
    }
    // These have no body on the wire, whatever the guest says.
    for status in [204, 304] {
        outputs.push((response(json!({ "status": status, "body": "hello", "headers": [["content-length", "5"]] })), status));
    }
    for output in [
        response(json!({ "bodyBase64": "!!!" })),
        response(json!({ "bodyBase64": "QQ=" })),
        response(json!({ "body": "a", "bodyBase64": "QQ==" })),
        json!({ "outputs": { "nobody": "x" } }).to_string(),
        format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000)),
        r#"{"response":{"body":"\ud800"}}"#.to_owned(),
        "no JSON".to_owned(),
        String::new(),
    ] {
        outputs.push((output, 500));
    }
    outputs
}

/// Requests to a trigger that shows what it gets: each is refused, or answered by that trigger and nobody else.
pub fn requests(attacker: Arc<Attacker>, tally: Arc<Tally>, _until: Instant) -> Played {
    Box::pin(async move {
        for path in [
            "/api/show/a%2fb/c%2f..%2fd",
            "/api/show/a/../../../admin/hubs",
            "/api/show/%2e%2e/%2e%2e/%2e%2e/admin/hubs",
            "/api/show/..%5c..%5cadmin/x",
            "/api/show/%00/a%00b",
            "/api/show/%c0%ae%c0%ae/x",
            "/api/show/%f4%90%80%80/x",
            "/api/show/%ed%a0%80/x",
            "/api/show/%zz/%",
            "/api/show/%252e%252e/x",
            "/api/show/a%0d%0ax-injected:%201/b",
            "/api/show//x",
            "/api/show/a;b=c/d|e{f}",
            "/API/SHOW/a/b",
            "/api/./show/a/b",
            "//api//show/a/b",
            "/api/show/a/b?x=%00&y=%ff&code=1&code=2",
        ] {
            answered_by_show(&attacker, &tally, path, "connection: close\r\n", b"").await?;
        }
        let deep = format!("/api/show/a{}", "/x".repeat(20_000));
        let long = format!("/api/show/{}/b", "a".repeat(60_000));
        let pairs = format!("/api/show/a/b?{}", "a=b&".repeat(15_000));
        for path in [deep, long, pairs] {
            answered_by_show(&attacker, &tally, &path, "connection: close\r\n", b"").await?;
        }
        let thousand: String = (0..1_000).map(|number| format!("x-{number}: y\r\n")).collect();
        let large = format!("x-large: {}\r\n", "x".repeat(200_000));
        let same = "cookie: a=b\r\n".repeat(90);
        for (lines, body) in [
            (thousand, &b""[..]),
            (large, b""),
            (same, b""),
            ("x-bytes: \u{80}\u{ff}\r\n".to_owned(), b""),
            ("content-length: 99999999999\r\n".to_owned(), b"x"),
            ("content-length: 4\r\n".to_owned(), b"\xff\xfe\x00\x80"),
            ("transfer-encoding: chunked\r\n".to_owned(), b"ffffffffffffffffff\r\nx"),
            ("transfer-encoding: chunked\r\n".to_owned(), b"-1\r\nx\r\n0\r\n\r\n"),
            ("transfer-encoding: chunked\r\n".to_owned(), b"2\r\nabc\r\n0\r\n\r\n"),
        ] {
            let lines = format!("connection: close\r\n{lines}");
            answered_by_show(&attacker, &tally, "/api/show/a/b", &lines, body).await?;
        }
        endless(&attacker, &tally, &b"x".repeat(64 << 10), Duration::ZERO).await?;
        endless(&attacker, &tally, b"x", Duration::from_millis(100)).await
    })
}

/// Sends a request to `show`.
async fn answered_by_show(attacker: &Attacker, tally: &Tally, path: &str, lines: &str, body: &[u8]) -> Result<()> {
    let head = format!("{}{lines}\r\n", attacker.head("POST", path));
    let Some(answers) = attacker.exchange([head.as_bytes(), body].concat()).await? else {
        tally.count(&format!("a connection that stays open, {path:.60}"), false);
        return Ok(());
    };
    let (head, body) = answers.split_once("\r\n\r\n").unwrap_or((&answers, ""));
    let statuses = statuses(&answers);
    let held = match statuses[..] {
        [200] => body.starts_with(r#"{"bytes":"#) && !head.contains("x-injected"),
        [400..500] => true,
        // Closed without a response.
        [] => answers.is_empty(),
        _ => false,
    };
    tally.count(&if held { format!("{statuses:?}") } else { format!("{statuses:?} {path:.40} {lines:.40} {body:.40}") }, held);
    Ok(())
}

/// Sends a chunked body that never ends, with a pause after each chunk, until the host has had enough.
async fn endless(attacker: &Attacker, tally: &Tally, chunk: &[u8], pause: Duration) -> Result<()> {
    let begin = Instant::now();
    let stream = attacker.open().await?;
    let (mut reader, mut writer) = tokio::io::split(stream);
    writer.write_all(format!("{}transfer-encoding: chunked\r\n\r\n", attacker.head("POST", "/api/show/a/b")).as_bytes()).await?;
    let chunk = [format!("{:x}\r\n", chunk.len()).as_bytes(), chunk, b"\r\n"].concat();
    let sending = async {
        while begin.elapsed() < PATIENCE && writer.write_all(&chunk).await.is_ok() {
            tokio::time::sleep(pause).await;
        }
    };
    let mut answer = Vec::new();
    // A reset counts as closed, too.
    let reading = async { drop(reader.read_to_end(&mut answer).await) };
    tokio::join!(sending, async { drop(tokio::time::timeout(PATIENCE, reading).await) });
    let statuses = statuses(&String::from_utf8_lossy(&answer));
    let held = begin.elapsed() < PATIENCE && matches!(statuses[..], [] | [408 | 413]);
    tally.count(&format!("{statuses:?} and closed: a body that does not end"), held);
    Ok(())
}

/// Claims the route of an honest hub, all routes, and those of the host. How a client names a hub decides who answers.
pub fn claims(attacker: Arc<Attacker>, tally: Arc<Tally>, _until: Instant) -> Played {
    const EVIL: &str = "this is evil";
    Box::pin(async move {
        descriptions(&attacker, &tally).await?;
        let output = json!({ "response": { "body": EVIL } }).to_string();
        let bindings = [ROUTE, ROUTE_OF_ALL].map(http);
        let module = trigger_guest::returning(&[(&bindings[0], &output), (&bindings[1], &output)]);
        let module = dacapo_wasm::Manifest::attach(br#"{"http":{"routePrefix":""}}"#, &module)?;
        let (status, text) = attacker.deploy_as("claims", module).await?;
        tally.count("claims a route of another hub, in its own", status == 200);
        ensure!(status == 200, "{status}: {text}");
        let path = format!("/{}", ROUTE.replace("{id}", "7"));
        let (own, victim) = (&attacker.tenant.hub, &attacker.victim);
        // An honest client, who names the hub by a parameter or by its key.
        for client in [attacker.stage.visit(victim, &path)?, attacker.stage.visit_by_key(victim, &path)?] {
            tally.count("the victim's clients are answered by its trigger", client.status == 202 && !client.body.contains(EVIL));
        }
        // Nobody has the route in the default hub, nor can the attacker be the default.
        let nobody = attacker.connect_as_nobody().await?.send(Method::GET, &path, "").await?;
        tally.count(&format!("{} for clients that name no hub", nobody.status), nobody.status == 404);
        let mut connection = attacker.connect().await?;
        for (query, is_own) in [
            (String::new(), true),
            (format!("?taskHub={own}"), true),
            (format!("?taskHub={victim}"), false),
            (format!("?taskHub={victim}&taskHub={own}"), false),
            (format!("?taskhub={}", victim.to_uppercase()), false),
        ] {
            let answer = connection.send(Method::GET, &format!("{path}{query}"), "").await?;
            let is_evil = answer.body == EVIL;
            // The victim's trigger needs a key of the victim.
            let held = if is_own { is_evil } else { matches!(answer.status, 400 | 403 | 404) && !is_evil };
            tally.count(&format!("{}{query:.30}", answer.status), held);
        }
        for path in [
            "/healthz",
            "/HEALTHZ",
            "/admin/hubs",
            "/admin/none",
            "/Admin//hubs",
            "//admin/hubs",
            "/%61dmin/hubs",
            "/runtime/webhooks/durabletask/instances",
            "/runtime/webhooks/none",
            "/durabletask/none",
            "/openapi.json",
            "/metrics",
            "/favicon.ico",
            "/.well-known/security.txt",
        ] {
            let answer = connection.send(Method::GET, path, "").await?;
            let held = answer.body != EVIL;
            tally.count(&if held { "the host's own paths".to_owned() } else { format!("{path} is the attacker's") }, held);
        }
        Ok(())
    })
}

/// Triggers that must not be deployed.
async fn descriptions(attacker: &Attacker, tally: &Tally) -> Result<()> {
    let large = "x".repeat(1 << 20);
    let nested = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
    let greedy = "{a:regex(^(((((a{9}){9}){9}){9}){9}){9}$)}".to_owned();
    for bindings in [
        http(&large),
        http(&greedy),
        http(&format!("{{{large}}}")),
        http(&"{a}/".repeat(500)),
        http(&(0..900).map(|number| format!("{{a{number}}}")).collect::<Vec<_>>().join("/")),
        http("a\r\nb"),
        json!([{ "type": "httpTrigger", "methods": [large, ""], "authLevel": "anonymous" }]).to_string(),
        json!([{ "type": "httpTrigger", "authLevel": "nobody" }]).to_string(),
        json!([{ "type": "queueTrigger", "queueName": "../../control" }]).to_string(),
        json!([{ "type": "queueTrigger", "queueName": large }]).to_string(),
        json!([{ "type": "timerTrigger", "schedule": large }]).to_string(),
        json!([{ "type": "timerTrigger", "schedule": "0 0 0 30 2 *" }]).to_string(),
        json!([{ "type": large }]).to_string(),
        format!(r#"[{{"type":"httpTrigger","route":{nested}}}]"#),
        nested,
        String::new(),
    ] {
        let module = trigger_guest::returning(&[(&bindings, "null")]);
        let (status, text) = attacker.deploy_as("wrong", module).await?;
        let held = status == 400 && text.len() < 8_000;
        let (length, begin) = (text.len(), bindings.get(..60).unwrap_or(&bindings));
        tally.count(&if held { "400".to_owned() } else { format!("{status} with {length} bytes: {begin}") }, held);
    }
    for prefix in ["admin", "Runtime/webhooks", "healthz"] {
        let module = trigger_guest::returning(&[(&http("{*rest}"), "null")]);
        let manifest = json!({ "http": { "routePrefix": prefix } }).to_string();
        let module = dacapo_wasm::Manifest::attach(manifest.as_bytes(), &module)?;
        let (status, text) = attacker.deploy_as("wrong", module).await?;
        tally.count(&format!("{status} {text}"), status == 400 && text.contains("host's own"));
    }
    Ok(())
}

fn http(route: &str) -> String {
    json!([{ "type": "httpTrigger", "route": route, "authLevel": "anonymous" }]).to_string()
}

pub fn sleeping(attacker: Arc<Attacker>, tally: Arc<Tally>, until: Instant) -> Played {
    unanswered(attacker, tally, until, "/api/sleep_trigger")
}

pub fn spinning(attacker: Arc<Attacker>, tally: Arc<Tally>, until: Instant) -> Played {
    unanswered(attacker, tally, until, "/api/spin_trigger")
}

/// Calls a trigger that never answers, again and again. Every second client leaves at once.
fn unanswered(attacker: Arc<Attacker>, tally: Arc<Tally>, until: Instant, path: &'static str) -> Played {
    static PLAYERS: AtomicUsize = AtomicUsize::new(0);
    let leaves = PLAYERS.fetch_add(1, Ordering::Relaxed) % 2 == 1;
    Box::pin(async move {
        let head = format!("{}\r\n", attacker.head("GET", path));
        let mut connection = attacker.connect().await?;
        loop {
            if leaves {
                attacker.open().await?.write_all(head.as_bytes()).await?;
                tally.count("left", true);
                // What it has left must not take the place of the other players for ever.
                tokio::time::sleep(Duration::from_secs(5)).await;
            } else {
                // With those who have left in front of it, it may wait for several times the limit.
                match tokio::time::timeout(3 * PATIENCE, connection.send(Method::GET, path, "")).await {
                    Ok(answer) => {
                        let status = answer?.status;
                        tally.count(&status.to_string(), matches!(status, 429 | 500 | 503));
                    }
                    Err(_elapsed) => {
                        tally.count("no answer, for a minute", false);
                        return Ok(());
                    }
                }
            }
            if Instant::now() >= until {
                return Ok(());
            }
        }
    })
}

pub fn queue_flood(attacker: Arc<Attacker>, tally: Arc<Tally>, until: Instant) -> Played {
    enqueue(attacker, tally, until, "flood", (0..1_000).map(|number| json!(number)).collect())
}

/// Fills a queue that nobody reads, until its hub has as many instances as it may.
pub fn queue_full(attacker: Arc<Attacker>, tally: Arc<Tally>, until: Instant) -> Played {
    Box::pin(async move {
        enqueue(attacker.clone(), tally.clone(), until, "nobody", (0..1_000).map(|number| json!(number)).collect()).await?;
        let listed = attacker.connect().await?.send(Method::GET, "/runtime/webhooks/queues", "").await?;
        let listed: Value = serde_json::from_slice(&listed.body)?;
        let queue = listed.as_array().into_iter().flatten().find(|queue| queue["name"] == "nobody");
        let messages = queue.and_then(|queue| queue["messages"].as_u64());
        let held = messages.is_some_and(|messages| messages <= QUEUE_FULL);
        tally.count(&if held { "no more messages than may be".to_owned() } else { format!("{messages:?} messages") }, held);
        Ok(())
    })
}

/// The instances that the hub of [`queue_full`] may have.
pub const QUEUE_FULL: u64 = 2_000;

pub fn queue_large(attacker: Arc<Attacker>, tally: Arc<Tally>, until: Instant) -> Played {
    enqueue(attacker, tally, until, "nobody", vec![json!("x".repeat(1 << 20))])
}

/// Messages whose trigger never ends.
pub fn queue_stuck(attacker: Arc<Attacker>, tally: Arc<Tally>, until: Instant) -> Played {
    enqueue(attacker, tally, until, "stuck", (0..10).map(|number| json!(number)).collect())
}

/// Messages whose trigger fails, with as many words as it can.
pub fn queue_refused(attacker: Arc<Attacker>, tally: Arc<Tally>, until: Instant) -> Played {
    enqueue(attacker, tally, until, "refused", (0..10).map(|number| json!(number)).collect())
}

fn enqueue(attacker: Arc<Attacker>, tally: Arc<Tally>, until: Instant, queue: &'static str, batch: Vec<Value>) -> Played {
    let body = Bytes::from(Value::from(batch).to_string());
    Box::pin(async move {
        let mut connection = attacker.connect().await?;
        loop {
            let answer = connection.send(Method::POST, &format!("/runtime/webhooks/queues/{queue}"), body.clone()).await?;
            tally.count(&answer.status.to_string(), matches!(answer.status, 202 | 429 | 503 | 507));
            if Instant::now() >= until {
                return Ok(());
            }
        }
    })
}

/// Makes as many schedules as its hub may have, all of which start an instance each second.
pub fn schedules(attacker: Arc<Attacker>, tally: Arc<Tally>, until: Instant) -> Played {
    const TRIES_MAX: usize = 2_000;
    Box::pin(async move {
        let specification =
            json!({ "orchestrator": "multiply", "input": 0, "cron": "* * * * * *", "overlap": "allowAll" }).to_string();
        let mut connection = attacker.connect().await?;
        let mut full = false;
        for _ in 0..TRIES_MAX {
            let path = format!("schedules/{}", attacker.fresh_id());
            let answer = connection.manage(Method::POST, &path, specification.clone()).await?;
            full = answer.status == 403 && said(&answer).says("schedules");
            tally.count(&answer.status.to_string(), full || matches!(answer.status, 201 | 429 | 503));
            if full {
                break;
            }
        }
        tally.count("more schedules than its hub may have", full);
        tokio::time::sleep_until(until.into()).await;
        Ok(())
    })
}
