//! Attacks on authorisation: guessed keys, keys and links used where they give no access, and the owner of a hub who tries to
//! gain more rights.

use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use hyper::Method;
use serde_json::{Value, json};

use super::attacker::{Attacker, Tally};
use super::attacks::Played;
use super::honest;
use super::paths::Operation;
use crate::connection::Connection;

const BASE: &str = "/runtime/webhooks/durabletask";

/// Counts a response, with its path if its status is unexpected.
fn judge(tally: &Tally, path: &str, status: u16, expected: &[u16]) {
    let held = expected.contains(&status);
    tally.count(&if held { status.to_string() } else { format!("{status} {path}") }, held);
}

pub fn guesses(attacker: Arc<Attacker>, tally: Arc<Tally>, _until: Instant) -> Played {
    Box::pin(async move {
        let victim = &attacker.victim;
        let mut connection = attacker.connect_as_nobody().await?;
        for path in [format!("{BASE}/instances?taskHub={victim}"), format!("/admin/hubs/{victim}/keys"), "/admin/hubs".into()] {
            let answer = connection.send(Method::GET, &path, "").await?;
            judge(&tally, &path, answer.status, &[401]);
            for guess in dictionary(&attacker.tenant.key, victim) {
                // A guess that looks like a link's token is refused as a link, which may be a 403.
                let expected = if guess.starts_with("dli_") { [401, 403] } else { [401, 401] };
                let and = if path.contains('?') { '&' } else { '?' };
                let encoded: String = guess.bytes().map(|byte| format!("%{byte:02x}")).collect();
                let answer = connection.send(Method::GET, &format!("{path}{and}code={encoded}"), "").await?;
                judge(&tally, &path, answer.status, &expected);
                let bearer = format!("Bearer {guess}");
                for header in [("x-functions-key", guess.as_str()), ("authorization", &bearer)] {
                    let answer = connection.send_with(&[header], Method::GET, &path, "").await?;
                    judge(&tally, &path, answer.status, &expected);
                }
            }
        }
        Ok(())
    })
}

/// Common passwords, and variations of the attacker's own key.
fn dictionary(own: &str, victim: &str) -> Vec<String> {
    let words =
        ["admin", "root", "master", "default", "host", "password", "null", "*", "0", "dcp_", "dli_", "' or '1'='1", "${key}"];
    let text = own.trim_start_matches("dcp_");
    let last = own.chars().next_back().map_or('A', |last| if last == 'A' { 'E' } else { 'A' });
    let near = [
        text.to_owned(),
        own[..own.len() - 1].to_owned(),
        format!("{}{last}", &own[..own.len() - 1]),
        format!("{own}A"),
        format!("{own}="),
        own.to_uppercase(),
        format!("dli_{text}"),
        format!("dcp_{}", "A".repeat(43)),
        format!("dcp_{}", "_".repeat(43)),
        format!("{victim}/owner"),
        victim.to_owned(),
    ];
    words.map(str::to_owned).into_iter().chain(near).collect()
}

pub fn foreign_hub(attacker: Arc<Attacker>, tally: Arc<Tally>, _until: Instant) -> Played {
    /// These need a key but no hub, and respond the same to every caller.
    const OF_NO_HUB: [&str; 3] = ["/healthz", "/openapi.json", "/admin/limits"];
    Box::pin(async move {
        let victim = &attacker.victim;
        let mut connection = attacker.connect().await?;
        for operation in Operation::all(&attacker).await? {
            let path = operation.filled(|parameter| match parameter {
                "hubName" => victim.clone(),
                "instanceId" => format!("{}-0", honest::PREFIX),
                "appName" => honest::APP.to_owned(),
                "functionName" => "hello_sequence".to_owned(),
                _ => "owner".to_owned(),
            });
            let expected = if OF_NO_HUB.contains(&path.as_str()) { 200 } else { 403 };
            for hub in [victim.clone(), victim.to_uppercase()] {
                let path = format!("{path}?taskHub={hub}&hub={hub}");
                let answer = connection.send(operation.method.clone(), &path, "").await?;
                judge(&tally, &path, answer.status, &[expected]);
            }
        }
        Ok(())
    })
}

pub fn foreign_ids(attacker: Arc<Attacker>, tally: Arc<Tally>, _until: Instant) -> Played {
    const TRIED: usize = 50;
    Box::pin(async move {
        let mut connection = attacker.connect().await?;
        for number in 0..TRIED {
            let id = format!("{}-{number}", honest::PREFIX);
            for (method, rest) in [
                (Method::GET, "?showHistory=true&showHistoryOutput=true"),
                (Method::POST, "/terminate?reason=mine"),
                (Method::POST, "/suspend?reason=mine"),
                (Method::POST, "/rewind?reason=mine"),
                (Method::POST, "/raiseEvent/go"),
                (Method::DELETE, ""),
                (Method::GET, "/events"),
            ] {
                let path = format!("instances/{id}{rest}");
                let answer = connection.manage(method, &path, "1").await?;
                judge(&tally, &path, answer.status, &[404]);
            }
            let path = format!("/admin/instances/{id}/export");
            judge(&tally, &path, connection.send(Method::GET, &path, "").await?.status, &[404]);
            let path = format!("instances/{id}/restart?restartWithNewInstanceId=true");
            judge(&tally, &path, connection.manage(Method::POST, &path, "").await?.status, &[400]);
        }
        // The same id in the attacker's hub is another instance; and a guest's events go to instances of its own hub.
        let id = format!("{}-0", honest::PREFIX);
        let path = format!("orchestrators/call_named/{id}?timeout=60");
        let answer = connection.manage(Method::POST, &path, json!(["nothing", null]).to_string()).await?;
        judge(&tally, &path, answer.status, &[200]);
        let shouts = json!({ "instance_id": format!("{}-1", honest::PREFIX), "count": 10 });
        let answer = attacker.run(&mut connection, "shout", &shouts).await?;
        judge(&tally, "shout", answer.status, &[200]);
        Ok(())
    })
}

pub fn links(attacker: Arc<Attacker>, tally: Arc<Tally>, _until: Instant) -> Played {
    Box::pin(async move {
        let victim = &attacker.victim;
        let mut keyed = attacker.connect().await?;
        // The victim has an instance of the same id, so that only the hub differs.
        let id = format!("{}-0", honest::PREFIX);
        let own = &attacker.tenant.hub;
        let token = token_of(&mut keyed, &id).await?;
        let other = token_of(&mut keyed, "own-other").await?;
        let mut connection = attacker.connect_as_nobody().await?;
        let status = |hub: &str, id: &str, code: &str| format!("{BASE}/instances/{id}?taskHub={hub}&code={code}");
        let opened = connection.send(Method::GET, &status(own, &id, &token), "").await?.status;
        ensure!(matches!(opened, 200 | 202), "a link opens its own instance: {opened}");

        let mut refused = vec![
            status(own, &id, &other),
            status(own, "own-other", &token),
            status(victim, &id, &token),
            status(victim, &format!("{}-1", honest::PREFIX), &token),
            status("nowhere", &id, &token),
            status(own, &id, &token[..token.len() - 1]),
            status(own, &id, &token.to_uppercase()),
            status(own, &id, "dli_"),
        ];
        // Each character of the token in turn is replaced.
        for at in "dli_".len()..token.len() {
            let old = &token[at..=at];
            let new = if old == "A" { "B" } else { "A" };
            refused.push(status(own, &id, &format!("{}{new}{}", &token[..at], &token[at + 1..])));
        }
        for path in refused {
            let answer = connection.send(Method::GET, &path, "").await?;
            judge(&tally, &path, answer.status, &[401]);
        }
        for path in ["/admin/hubs".to_owned(), format!("/admin/apps?taskHub={own}"), format!("{BASE}/instances?taskHub={own}")] {
            let answer = connection
                .send(Method::GET, &format!("{path}{}code={token}", if path.contains('?') { "&" } else { "?" }), "")
                .await?;
            judge(&tally, &path, answer.status, &[403]);
        }
        Ok(())
    })
}

/// Starts a long-running instance and returns the token of its links.
async fn token_of(connection: &mut Connection, id: &str) -> Result<String> {
    let answer = connection.manage(Method::POST, &format!("orchestrators/tick_for_ever/{id}"), "null").await?;
    let links: Value = serde_json::from_slice(&answer.body)?;
    let link = links["statusQueryGetUri"].as_str().context("an answer to a start has links")?;
    let code = link.split_once("code=").context("a link has a token")?.1;
    Ok(code.split('&').next().unwrap_or(code).to_owned())
}

pub fn promotion(attacker: Arc<Attacker>, tally: Arc<Tally>, _until: Instant) -> Played {
    Box::pin(async move {
        let (own, victim) = (&attacker.tenant.hub, &attacker.victim);
        let mut connection = attacker.connect().await?;
        let grants = json!({ "outbound": ["127.0.0.0/8"], "directories": [{ "guest": "/", "host": "/" }] });
        let key = json!({ "name": "more", "role": "administer" });
        for (method, path, body) in [
            (Method::PATCH, format!("/admin/hubs/{own}"), json!({ "limits": { "fuel_per_turn": 1_000_000_000_000_u64 } })),
            (Method::PATCH, format!("/admin/hubs/{own}"), json!({ "grants": grants })),
            (Method::PATCH, format!("/admin/hubs/{own}"), json!({ "suspended": null })),
            (Method::PATCH, format!("/admin/hubs/{victim}"), json!({ "suspended": "mine" })),
            (Method::DELETE, format!("/admin/hubs/{own}"), Value::Null),
            (Method::POST, "/admin/hubs".to_owned(), json!({ "name": "evil-more", "grants": grants })),
            (Method::POST, "/admin/keys".to_owned(), key.clone()),
            (Method::POST, format!("/admin/hubs/{victim}/keys"), key.clone()),
            (Method::GET, "/admin/audit?hub=*".to_owned(), Value::Null),
            (Method::GET, format!("/admin/audit?hub={victim}"), Value::Null),
        ] {
            let answer = connection.send(method, &path, body.to_string()).await?;
            judge(&tally, &path, answer.status, &[400, 403]);
        }
        // A key that the owner makes has only the rights of its role.
        let made = json!({ "name": "deployer", "role": "deploy" });
        let made = connection.send(Method::POST, &format!("/admin/hubs/{own}/keys"), made.to_string()).await?;
        let made: Value = serde_json::from_slice(&made.body)?;
        let deployer = made["key"].as_str().context("an owner makes keys of its hub")?;
        let mut deployer = attacker.connect_as_nobody().await?.with_key(deployer);
        for (method, path) in [
            (Method::POST, format!("/admin/hubs/{own}/keys")),
            (Method::DELETE, format!("/admin/hubs/{own}/keys/owner")),
            (Method::GET, format!("/admin/hubs/{own}/secrets")),
            (Method::GET, format!("/admin/export?taskHub={own}")),
            (Method::GET, format!("/admin/audit?hub={own}")),
        ] {
            let answer = deployer.send(method, &path, key.to_string()).await?;
            judge(&tally, &path, answer.status, &[403]);
        }
        Ok(())
    })
}
