//! Requests that two parsers could read differently, so that the host might check another request than it executes.

use std::sync::Arc;
use std::time::Instant;

use anyhow::Result;

use super::attacker::{Attacker, Tally};
use super::attacks::Played;
use crate::wire::statuses;

const BASE: &str = "/runtime/webhooks/durabletask";

/// There must be exactly one response, with one of these statuses.
async fn check(attacker: &Attacker, tally: &Tally, bytes: &str, expected: &[u16]) -> Result<()> {
    let Some(answers) = attacker.exchange(bytes).await? else {
        tally.count("a connection that stays open", false);
        return Ok(());
    };
    let statuses = statuses(&answers);
    let held = matches!(statuses[..], [status] if expected.contains(&status)) && !answers.contains("set-cookie: x=1\r\n");
    let line = bytes.lines().next().unwrap_or_default();
    tally.count(&if held { format!("{statuses:?}") } else { format!("{statuses:?} {line}") }, held);
    Ok(())
}

/// Hides a second request, for the victim's hub and with the attacker's key, in the body of the first.
pub fn bodies(attacker: Arc<Attacker>, tally: Arc<Tally>, _until: Instant) -> Played {
    Box::pin(async move {
        let (key, victim) = (&attacker.tenant.key, &attacker.victim);
        let second = format!("DELETE /admin/hubs/{victim} HTTP/1.1\r\nhost: localhost\r\nx-functions-key: {key}\r\n\r\n");
        for lines in [
            "content-length: 5\r\ntransfer-encoding: chunked\r\n",
            "transfer-encoding: chunked\r\ncontent-length: 5\r\n",
            "transfer-encoding: chunked\r\ntransfer-encoding: identity\r\n",
            "transfer-encoding: chunked, identity\r\n",
            "transfer-encoding: xchunked\r\n",
            "transfer-encoding : chunked\r\n",
            "transfer-encoding:\r\n chunked\r\ncontent-length: 1\r\n",
            "content-length: 1\r\ncontent-length: 2\r\n",
            "content-length: 1, 2\r\n",
            "content-length: +1\r\n",
            "content-length: 0x1\r\n",
        ] {
            let head =
                format!("POST {BASE}/orchestrators/poke HTTP/1.1\r\nhost: localhost\r\nx-functions-key: {key}\r\n{lines}\r\n");
            // Either the first is refused, or it is accepted and the last of its connection: the second is never executed.
            check(&attacker, &tally, &format!("{head}0\r\n\r\n{second}"), &[400, 202]).await?;
        }
        Ok(())
    })
}

/// Headers that proxies set and trust: client, target, user and method.
pub fn headers(attacker: Arc<Attacker>, tally: Arc<Tally>, _until: Instant) -> Played {
    Box::pin(async move {
        let (key, victim) = (&attacker.tenant.key, &attacker.victim);
        let get = |path: &str, lines: &str| format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{lines}\r\n");
        let own = format!("x-functions-key: {key}\r\n");
        for lines in [
            format!("x-original-url: {BASE}/instances?taskHub={victim}"),
            format!("x-rewrite-url: /admin/hubs/{victim}"),
            format!("x-task-hub: {victim}\r\ntaskhub: {victim}"),
            "x-http-method-override: DELETE\r\nx-method-override: DELETE".to_owned(),
            "x-forwarded-for: 127.0.0.1\r\nforwarded: for=127.0.0.1\r\nx-real-ip: 127.0.0.1".to_owned(),
            "x-forwarded-user: root\r\nx-ms-client-principal-name: root\r\nx-dacapo-role: administer".to_owned(),
        ] {
            // They change nothing: with its key the attacker sees its own list, and without a key it gets a 401.
            check(&attacker, &tally, &get(&format!("{BASE}/instances"), &format!("{own}{lines}\r\n")), &[200]).await?;
            check(&attacker, &tally, &get(&format!("{BASE}/instances?taskHub={victim}"), &format!("{lines}\r\n")), &[401])
                .await?;
        }
        for (lines, expected) in [
            ("x-forwarded-host: evil.example\r\nhost: evil.example\r\n", 400),
            ("x-injected: a\r\n b\r\n", 400),
            ("x-injected: a\0b\r\n", 400),
            ("x-injected: a\rset-cookie: x=1\r\n", 400),
        ] {
            check(&attacker, &tally, &get("/healthz", lines), &[expected]).await?;
        }
        check(&attacker, &tally, &get(&format!("{BASE}/instances/a%0d%0aset-cookie:%20x=1"), &own), &[404]).await?;
        check(&attacker, &tally, &get("http://evil.example/admin/hubs", &own), &[400]).await
    })
}

/// Two hubs or two keys in one request, and other spellings of the victim's hub.
pub fn queries(attacker: Arc<Attacker>, tally: Arc<Tally>, _until: Instant) -> Played {
    Box::pin(async move {
        let (key, own, victim) = (&attacker.tenant.key, &attacker.tenant.hub, &attacker.victim);
        let (upper, guess) = (victim.to_uppercase(), format!("dcp_{}", "A".repeat(43)));
        let hubs = [
            format!("taskHub={own}&taskHub={victim}"),
            format!("taskHub={own}&TASKHUB={victim}"),
            format!("taskHub={victim}&task%48ub={own}"),
            format!("taskHub={own}%26taskHub={victim}"),
            format!("taskHub={own};taskHub={victim}"),
            format!("taskHub={own},{victim}"),
            format!("taskHub={victim}%00"),
            format!("taskHub={victim}%20"),
            format!("taskHub=%20{victim}"),
            format!("taskHub={upper}"),
            format!("task%48ub={victim}"),
            format!("taskHub[]={victim}&taskHub={upper}"),
            format!("taskHub=..%2fhubs%2f{victim}"),
            format!("taskHub={victim}.redb"),
        ];
        let request = |query: &str, lines: &str| {
            let get = format!("GET {BASE}/instances?{query} HTTP/1.1");
            format!("{get}\r\nhost: localhost\r\nconnection: close\r\n{lines}\r\n")
        };
        for query in hubs {
            check(&attacker, &tally, &request(&query, &format!("x-functions-key: {key}\r\n")), &[400, 403, 404]).await?;
        }
        for (query, lines) in [
            (format!("code={key}&code={guess}"), String::new()),
            (format!("code={guess}"), format!("x-functions-key: {key}\r\n")),
            (String::new(), format!("x-functions-key: {key}\r\nx-functions-key: {guess}\r\n")),
            (String::new(), format!("x-functions-key: {guess}\r\nauthorization: Bearer {key}\r\n")),
        ] {
            check(&attacker, &tally, &request(&query, &lines), &[400]).await?;
        }
        Ok(())
    })
}
