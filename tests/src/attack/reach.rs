//! Activities that connect to addresses that are not granted to them. A server on this machine, the vault, counts requests.

use std::sync::Arc;
use std::time::Instant;

use anyhow::Result;
use serde_json::{Value, json};

use super::attacker::{Attacker, Tally, said};
use super::attacks::Played;
use super::stage::NAMES;
use crate::connection::Connection;

/// Parts of the host's error messages: the address is not granted, it resolves to a private one, or it is invalid.
const REFUSALS: [&str; 7] = [
    "HttpRequestDenied",
    "DestinationIpProhibited",
    "InvalidUrl",
    "DnsError",
    "not an absolute",
    "does not allow",
    "private address",
];

/// Spellings of the address of this machine, and addresses of private networks.
fn nobodys(attacker: &Attacker) -> Vec<String> {
    let vault = &attacker.stage.servers.vault.authority;
    let port = vault.rsplit(':').next().unwrap_or_default();
    let names = [
        "127.0.0.1",
        "localhost",
        "LOCALHOST",
        "127.2",
        "0.0.0.0",
        "2130706434",
        "0x7f000002",
        "017700000001",
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        "a@127.0.0.1",
        "127.0.0.1%00.example.org",
    ];
    let here = names.iter().map(|name| format!("http://{name}:{port}/"));
    let elsewhere = ["169.254.169.254", "10.0.0.1", "192.168.0.1", "172.16.0.1", "100.64.0.1", "[fd00::1]", "[fe80::1]"];
    let elsewhere = elsewhere.iter().map(|name| format!("http://{name}/latest/meta-data"));
    here.chain(elsewhere).chain([format!("{}/healthz", attacker.url())]).collect()
}

pub fn addresses(attacker: Arc<Attacker>, tally: Arc<Tally>, _until: Instant) -> Played {
    Box::pin(async move {
        let mut connection = attacker.connect().await?;
        for url in nobodys(&attacker) {
            refused(&attacker, &mut connection, &tally, "call_named", &json!(["fetch", url])).await?;
        }
        vault(&attacker, &tally);
        Ok(())
    })
}

pub fn names(attacker: Arc<Attacker>, tally: Arc<Tally>, _until: Instant) -> Played {
    Box::pin(async move {
        let vault_at = &attacker.stage.servers.vault.authority;
        let port = vault_at.rsplit(':').next().unwrap_or_default();
        let mut connection = attacker.connect().await?;
        for name in NAMES {
            let url = format!("http://{name}:{port}/");
            refused(&attacker, &mut connection, &tally, "call_named", &json!(["fetch", url])).await?;
        }
        vault(&attacker, &tally);
        Ok(())
    })
}

pub fn redirects(attacker: Arc<Attacker>, tally: Arc<Tally>, _until: Instant) -> Played {
    Box::pin(async move {
        let own = &attacker.stage.servers.own;
        let mut connection = attacker.connect().await?;
        for url in nobodys(&attacker) {
            let before = own.requests();
            let input = json!(["follow", [format!("http://{}/", own.authority), url]]);
            refused(&attacker, &mut connection, &tally, "call_named", &input).await?;
            tally.count("redirected by its own server", own.requests() == before + 1);
        }
        vault(&attacker, &tally);
        Ok(())
    })
}

pub fn polls(attacker: Arc<Attacker>, tally: Arc<Tally>, _until: Instant) -> Played {
    Box::pin(async move {
        let own = &attacker.stage.servers.own;
        let vault_at = &attacker.stage.servers.vault.authority;
        let mut connection = attacker.connect().await?;
        // Each poll waits for a second before the next request.
        for url in [format!("http://{vault_at}/"), "http://169.254.169.254/latest/meta-data".to_owned()] {
            let before = own.requests();
            let headers = json!({ "x-status": "202", "x-location": url });
            let input = json!({ "uri": format!("http://{}/", own.authority), "headers": headers });
            refused(&attacker, &mut connection, &tally, "call_http", &input).await?;
            tally.count("redirected by its own server", own.requests() == before + 1);
        }
        vault(&attacker, &tally);
        Ok(())
    })
}

/// Runs an orchestration that must fail, because the host refuses to send a request.
async fn refused(attacker: &Attacker, connection: &mut Connection, tally: &Tally, function: &str, input: &Value) -> Result<()> {
    let said = said(&attacker.run(connection, function, input).await?);
    let why = REFUSALS.iter().find(|why| said.says(why));
    match why.filter(|_| said.failed) {
        Some(why) => tally.count(&format!("refused: {why}"), true),
        None => tally.count(&format!("{} for {input}", said.text), false),
    }
    Ok(())
}

fn vault(attacker: &Attacker, tally: &Tally) {
    let visits = attacker.stage.servers.vault.requests();
    tally.count(&format!("{visits} requests in the vault"), visits == 0);
}
