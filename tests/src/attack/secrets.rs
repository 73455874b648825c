//! Attacks on a secret that a guest may use and not see. All responses, and all bytes that reach its server, are inspected.

use std::process::Command;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context as _, Result};
use hyper::Method;
use serde_json::{Value, json};

use super::attacker::{Attacker, Tally, said};
use super::attacks::Played;
use super::stage::SECRET_NAME;
use crate::host::binary;

/// The placeholder of the secret in a header.
fn placeholder() -> String {
    format!("{{{{secret:{SECRET_NAME}}}}}")
}

/// Tries to make the host send the secret where it is not granted.
pub fn sent(attacker: Arc<Attacker>, tally: Arc<Tally>, _until: Instant) -> Played {
    Box::pin(async move {
        let (own, partner) = (&attacker.stage.servers.own.authority, &attacker.stage.servers.partner.authority);
        let secret = placeholder();
        let mut connection = attacker.connect().await?;
        let refused = [
            (own, secret.clone()),
            (own, format!("Bearer {secret}")),
            (own, format!("{secret}{secret}")),
            (partner, format!("{{{{secret:{{{{secret:{SECRET_NAME}}}}}}}}}")),
            (partner, "{{secret:TOKEN}}".to_owned()),
            (partner, format!("{{{{secret:../a/{SECRET_NAME}}}}}")),
            (partner, format!("{{{{secret:a\\0{SECRET_NAME}}}}}")),
            (partner, "{{secret:}}".to_owned()),
            (partner, format!("{{{{secret:{SECRET_NAME}")),
        ];
        for (to, value) in refused {
            let call = json!(["send_and_show", [format!("http://{to}/"), [["x-api-key", value]]]]);
            let said = said(&attacker.run(&mut connection, "call_named", &call).await?);
            tally.count(if said.failed { "refused" } else { &said.text }, said.failed);
        }
        // Outside of headers, the placeholder is not replaced; and polling another host does not send the secret.
        let before = attacker.stage.servers.own.requests();
        let encoded = secret.replace('{', "%7B").replace('}', "%7D");
        let call = json!(["send_and_show", [format!("http://{own}/?{encoded}"), []]]);
        let sent = attacker.run(&mut connection, "call_named", &call).await?;
        tally.count("sent without replacing it", sent.status == 200 && attacker.stage.servers.own.requests() == before + 1);
        let headers = json!({ "x-status": "202", "x-location": format!("http://{own}/end"), "x-any": secret });
        let polled = json!({ "uri": format!("http://{partner}/"), "headers": headers });
        let used = attacker.stage.servers.partner.secrets();
        let polled = said(&attacker.run(&mut connection, "call_http", &polled).await?);
        tally.count("polled without it", !polled.failed && attacker.stage.servers.partner.secrets() == used + 1);
        Ok(())
    })
}

/// Uses the secret, and then looks for it in everything that the attacker can read.
pub fn seen(attacker: Arc<Attacker>, tally: Arc<Tally>, _until: Instant) -> Played {
    Box::pin(async move {
        let partner = &attacker.stage.servers.partner;
        let mut connection = attacker.connect().await?;
        let before = partner.secrets();
        let headers = [["x-api-key", &placeholder()]];
        let url = format!("http://{}/", partner.authority);
        let by_activity = attacker.run(&mut connection, "call_named", &json!(["send_and_show", [url, headers]])).await?;
        let by_host = json!({ "uri": url, "headers": { "x-api-key": placeholder() } });
        let by_host = attacker.run(&mut connection, "call_http", &by_host).await?;
        let used = partner.secrets() - before;
        tally.count(&format!("used {used} times"), used == 2 && by_activity.status == 200 && by_host.status == 200);

        let variables = attacker.run(&mut connection, "call_named", &json!(["environment", null])).await?;
        let shown = String::from_utf8_lossy(&variables.body).into_owned();
        tally.count(&format!("environment {shown}"), shown == r#"[["MODE","test"]]"#);
        // Histories and the export: the watch inspects them.
        let list = connection.manage(Method::GET, "instances?showInput=true", "").await?;
        let list: Vec<Value> = serde_json::from_slice(&list.body)?;
        for id in list.iter().filter_map(|status| status["instanceId"].as_str()) {
            let path = format!("instances/{id}?showHistory=true&showHistoryOutput=true");
            let history = connection.manage(Method::GET, &path, "").await?;
            tally.count("a history without it", history.status == 200);
        }
        let exported = connection.send(Method::GET, "/admin/export", "").await?;
        tally.count("an export without it", exported.status == 200 && !decoded_holds(&exported.body, &attacker)?);
        Ok(())
    })
}

/// Whether the Base64 data of an export contains something that the attacker must not see.
fn decoded_holds(export: &[u8], attacker: &Attacker) -> Result<bool> {
    use base64::Engine as _;
    use base64::prelude::BASE64_STANDARD;
    for line in export.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let line: Value = serde_json::from_slice(line).context("an export is lines of JSON")?;
        let values = line.as_object().into_iter().flat_map(|members| members.values());
        for bytes in values.filter_map(|value| BASE64_STANDARD.decode(value.as_str()?).ok()) {
            attacker.stage.watch.inspect(&bytes);
        }
    }
    let leaked = attacker.stage.watch.leaked();
    Ok(!leaked.is_empty())
}

/// Tries every route and command that could show the secret.
pub fn asked(attacker: Arc<Attacker>, tally: Arc<Tally>, _until: Instant) -> Played {
    Box::pin(async move {
        let (own, victim) = (&attacker.tenant.hub, &attacker.victim);
        let mut connection = attacker.connect().await?;
        for (path, expected) in [
            (format!("/admin/hubs/{own}/secrets"), 200),
            (format!("/admin/hubs/{own}/secrets/{SECRET_NAME}"), 404),
            (format!("/admin/hubs/{own}"), 200),
            (format!("/admin/audit?hub={own}"), 200),
            (format!("/admin/hubs/{victim}/secrets"), 403),
            (format!("/admin/hubs/{victim}/secrets/{SECRET_NAME}"), 404),
        ] {
            let answer = connection.send(Method::GET, &path, "").await?;
            let held = answer.status == expected;
            tally.count(&if held { answer.status.to_string() } else { format!("{} {path}", answer.status) }, held);
        }
        for (arguments, succeeds) in [
            (vec!["secret", "list", "--hub", own], true),
            (vec!["secret", "list", "--hub", own, "--json"], true),
            (vec!["secret", "list", "--hub", victim], false),
            (vec!["hub", "show", own], true),
            (vec!["hub", "show", victim], false),
        ] {
            let mut command = Command::new(binary()?);
            command.args(&arguments).args(["--server", attacker.url()]).env("DACAPO_KEY", &attacker.tenant.key);
            let output = tokio::task::spawn_blocking(move || command.output()).await??;
            attacker.stage.watch.inspect(&output.stdout);
            attacker.stage.watch.inspect(&output.stderr);
            let said = if output.status.success() { "a list of names" } else { "a refusal" };
            let held = output.status.success() == succeeds;
            tally.count(&if held { said.to_owned() } else { format!("{arguments:?}: {said}") }, held);
        }
        Ok(())
    })
}
