//! Grants take effect at once, for activities of that hub or app only.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::process::Command;

use dacapo_tests::host::{Host, binary};
use serde_json::{Value, json};

/// A service that responds with the `Authorization` header of the request, and with it reversed, as the host masks a secret in a
/// response but not its reverse. Returns its authority.
fn echo() -> String {
    let service = TcpListener::bind("127.0.0.1:0").unwrap();
    let authority = service.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for stream in service.incoming().flatten() {
            let mut lines = BufReader::new(&stream).lines().map_while(Result::ok).take_while(|line| !line.is_empty());
            let header = lines.find_map(|line| line.to_ascii_lowercase().strip_prefix("authorization: ").map(str::to_owned));
            let header = header.unwrap_or_default();
            let body = format!("{header} {}", header.chars().rev().collect::<String>());
            let _ = write!(&stream, "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len());
        }
    });
    authority
}

fn ok(host: &Host, method: &str, path: &str, body: &Value) {
    let answer = host.request(method, path, Some(body.to_string().as_bytes())).unwrap();
    assert!((200..300).contains(&answer.status), "{method} {path}: {answer:?}");
}

/// Returns the `Authorization` header that an orchestration of the hub sent to the service, or the error of the orchestration.
fn sent(host: &Host, hub: &str, authority: &str, token: &str) -> Result<String, String> {
    let input = json!({ "url": format!("http://{authority}/"), "token": token });
    let ended = host.manage("POST", &format!("orchestrators/order_report?taskHub={hub}&timeout=60"), Some(&input)).unwrap();
    let ended = ended.json();
    match ended["content"].as_str() {
        Some(content) => Ok(content.to_owned()),
        None => Err(ended.to_string()),
    }
}

#[test]
fn a_grant_holds_at_once_and_for_its_hub_only() {
    let directory = tempfile::tempdir().unwrap();
    let key = directory.path().join("key");
    assert!(Command::new(binary().unwrap()).arg("new-secrets-key").arg(&key).status().unwrap().success());
    let (host, _data) = Host::temporary(&["--set", &format!("secrets.key_file={}", key.display())]).unwrap();
    let module = dacapo_tests::guest("example-call-http").unwrap();
    for hub in ["one", "two"] {
        ok(&host, "POST", "/admin/hubs", &json!({ "name": hub }));
        let deployed = host.request("POST", &format!("/admin/apps/call-http?taskHub={hub}"), Some(&module)).unwrap();
        assert_eq!(deployed.status, 200, "{deployed:?}");
    }
    let authority = echo();
    let refused = sent(&host, "one", &authority, "x").unwrap_err();
    assert!(refused.contains("127.0.0.1"), "nothing is granted yet: {refused}");

    let secrets = json!({ "api": { "hosts": [format!("http://{authority}")] } });
    ok(&host, "PATCH", "/admin/hubs/one", &json!({ "grants": { "outbound": [authority], "secrets": secrets } }));
    assert_eq!(sent(&host, "one", &authority, "x").unwrap(), "bearer x x reraeb");
    assert!(sent(&host, "one", &authority, "{{secret:api}}").is_err(), "it is granted, and was not set yet");
    let set = host.request("PUT", "/admin/hubs/one/secrets/api", Some(b"s3same")).unwrap();
    assert!((200..300).contains(&set.status), "{set:?}");
    assert_eq!(
        sent(&host, "one", &authority, "{{secret:api}}").unwrap(),
        "bearer ****** emas3s reraeb",
        "it is sent, and hidden in the answer"
    );
    assert!(sent(&host, "two", &authority, "{{secret:api}}").is_err(), "another hub has neither the host nor the secret");

    // The grants of an app replace those of its hub.
    ok(&host, "PATCH", "/admin/hubs/one", &json!({ "appGrants": { "call-http": { "outbound": ["example.org"] } } }));
    assert!(sent(&host, "one", &authority, "x").is_err(), "its app is granted something else");
    ok(&host, "PATCH", "/admin/hubs/one", &json!({ "appGrants": { "call-http": null } }));
    assert_eq!(sent(&host, "one", &authority, "x").unwrap(), "bearer x x reraeb");
    ok(&host, "PATCH", "/admin/hubs/one", &json!({ "grants": null }));
    assert!(sent(&host, "one", &authority, "x").is_err(), "the grants were revoked");
}

/// Adds a manifest that requests these grants to a module.
fn asking(module: &[u8], grants: &Value) -> Vec<u8> {
    let name = "dacapo:manifest";
    let manifest = json!({ "grants": grants }).to_string();
    let length = |length: usize| [(length & 0x7f) as u8 | 0x80, (length >> 7) as u8];
    let section = [&[name.len() as u8], name.as_bytes(), manifest.as_bytes()].concat();
    [module, &[0], &length(section.len()), &section].concat()
}

/// Returns what an activity of the app sees: its environment, and its directories with the result of writing to each.
fn seen(host: &Host) -> (Vec<Value>, Vec<Value>) {
    let ended = host.run("granted", Value::Null).unwrap();
    let list = |member: &str| ended["output"][member].as_array().unwrap_or_else(|| panic!("{ended}")).clone();
    (list("environment"), list("directories"))
}

#[test]
fn directories_and_variables_are_granted_and_narrowed_by_the_manifest() {
    let (own, granted) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let key = own.path().join("key");
    assert!(Command::new(binary().unwrap()).arg("new-secrets-key").arg(&key).status().unwrap().success());
    let (host, _data) = Host::temporary(&["--set", &format!("secrets.key_file={}", key.display())]).unwrap();
    let module = dacapo_tests::guest("fixture-wasi-probe").unwrap();
    host.deploy("probe", &module).unwrap();
    assert_eq!(seen(&host), (vec![], vec![]), "nothing is granted yet");

    let (read, write) = (granted.path().join("read"), granted.path().join("write"));
    for directory in [&read, &write] {
        std::fs::create_dir(directory).unwrap();
    }
    let directories = json!([
        { "guest": "/read", "host": read },
        { "guest": "/write", "host": write, "writable": true },
    ]);
    let secrets = json!({ "shown": { "environment": "TOKEN" }, "hidden": { "hosts": ["example.org"] } });
    let grants = json!({ "directories": directories, "environment": { "MODE": "test", "OTHER": "x" }, "secrets": secrets });
    for (name, value) in [("shown", "s3same"), ("hidden", "0pen")] {
        let set = host.request("PUT", &format!("/admin/hubs/TestHubName/secrets/{name}"), Some(value.as_bytes())).unwrap();
        assert!((200..300).contains(&set.status), "{set:?}");
    }
    ok(&host, "PATCH", "/admin/hubs/TestHubName", &json!({ "grants": grants }));
    let (environment, directories) = seen(&host);
    assert_eq!(environment, ["MODE=test", "OTHER=x", "TOKEN=s3same"], "a secret is seen only where that is granted");
    assert_eq!(directories, ["/read: not-permitted", "/write: written"]);
    assert_eq!(std::fs::read(write.join("written")).unwrap(), b"by a guest");
    assert!(!read.join("written").exists());

    // The app requests less than is granted, and something that is not granted.
    let asked = json!({
        "directories": [{ "guest": "/write" }, { "guest": "/etc", "writable": true }],
        "environment": ["MODE", "PATH"],
    });
    host.deploy("probe", &asking(&module, &asked)).unwrap();
    let (environment, directories) = seen(&host);
    assert_eq!((environment, directories), (vec![json!("MODE=test")], vec![json!("/write: not-permitted")]));
    let asked = json!({ "secrets": ["shown"], "directories": [{ "guest": "/read", "writable": true }] });
    host.deploy("probe", &asking(&module, &asked)).unwrap();
    let (environment, directories) = seen(&host);
    assert_eq!((environment, directories), (vec![json!("TOKEN=s3same")], vec![json!("/read: not-permitted")]));
}
