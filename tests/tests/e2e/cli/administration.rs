//! Hubs, keys, secrets and the audit log at the terminal.

use std::process::{Command, Output, Stdio};

use dacapo_tests::host::{Host, binary};
use serde_json::{Value, json};

struct Administrator {
    host: Host,
    key: String,
    directory: tempfile::TempDir,
}

impl Administrator {
    fn new(arguments: &[&str]) -> Self {
        let (host, directory) = Host::temporary_locked(arguments).unwrap();
        let key = host.administrator_key().unwrap().to_owned();
        Self { host, key, directory }
    }

    fn run_as(&self, key: &str, arguments: &[&str]) -> Output {
        let mut command = Command::new(binary().unwrap());
        command.args(arguments).env("DACAPO_SERVER", self.host.url()).env("DACAPO_KEY", key).stdin(Stdio::null());
        command.output().unwrap()
    }

    #[track_caller]
    fn ok_as(&self, key: &str, arguments: &[&str]) -> String {
        let output = self.run_as(key, arguments);
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    #[track_caller]
    fn ok(&self, arguments: &[&str]) -> String {
        self.ok_as(&self.key, arguments)
    }

    #[track_caller]
    fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.ok(&[arguments, &["--json"]].concat())).unwrap()
    }

    #[track_caller]
    fn fails(&self, code: i32, key: &str, arguments: &[&str]) -> String {
        let output = self.run_as(key, arguments);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {output:?}");
        String::from_utf8(output.stderr).unwrap()
    }
}

#[test]
fn a_tenant_from_the_first_day_to_the_last() {
    let root = Administrator::new(&[]);
    assert_eq!(root.ok(&["hub", "create", "acme", "--limit", "apps=3"]), "Task hub 'acme' created.\n");
    assert!(root.fails(4, &root.key, &["hub", "create", "ACME"]).contains("'ACME'"));
    assert!(root.ok(&["hub", "list"]).contains("acme"));
    let owner = root.ok(&["key", "create", "owner", "--role", "administer", "--hub", "acme"]);
    let owner = owner.trim();
    assert!(owner.starts_with("dcp_") && owner.len() == 47, "the key and nothing else: {owner}");

    let module = dacapo_tests::guest_path("example-hello-sequence").unwrap();
    root.ok_as(owner, &["deploy", module.to_str().unwrap(), "--name", "hello"]);
    let said = root.ok_as(owner, &["start-new", "hello_sequence", "--input", r#"["Ada"]"#, "--wait"]);
    assert!(said.contains("Hello, Ada!"), "{said}");
    assert!(root.fails(1, owner, &["hub", "list"]).contains("opens nothing else"));
    assert!(root.ok(&["get-instances", "--task-hub-name", "acme"]).contains("hello_sequence"));

    root.ok(&["hub", "set-limit", "acme", "versions", "2"]);
    root.ok(&["hub", "set-limit", "acme", "apps", "default"]);
    assert_eq!(root.json(&["hub", "show", "acme"])["limits"], json!({ "versions": 2 }));
    let limits = root.ok_as(owner, &["hub", "limits", "acme"]);
    assert!(limits.contains("2 (changed)") && limits.contains("storage_bytes"), "{limits}");
    assert!(root.ok_as(owner, &["hub", "limits"]).contains("storage_bytes"));

    let directory = root.directory.path().to_str().unwrap();
    root.ok(&["hub", "grant", "acme", "--outbound", "example.org", "--dir", "/usr=/usr", "--secret", "token=example.org"]);
    root.ok(&["hub", "grant", "acme", "--outbound", "example.com"]);
    let grants = &root.json(&["hub", "show", "acme"])["grants"];
    assert_eq!(grants["outbound"], json!(["example.org", "example.com"]));
    assert_eq!(grants["directories"], json!([{ "guest": "/usr", "host": "/usr", "writable": false }]));
    let refused = root.fails(1, &root.key, &["hub", "grant", "acme", "--dir", &format!("/data={directory}")]);
    assert!(refused.contains("data directory"), "{refused}");
    root.ok(&["hub", "grant", "acme", "--none"]);
    assert_eq!(root.json(&["hub", "show", "acme"])["grants"]["outbound"], json!([]));

    root.ok(&["hub", "add-host-name", "acme", "Shop.example"]);
    root.ok(&["hub", "add-host-name", "acme", "*.acme.example"]);
    assert_eq!(root.json(&["hub", "show", "acme"])["hostNames"], json!(["*.acme.example", "shop.example"]));
    assert!(root.fails(4, &root.key, &["hub", "add-host-name", "TestHubName", "shop.example"]).contains("'acme'"));
    assert!(root.fails(1, &root.key, &["hub", "add-host-name", "acme", "shop.example:80"]).contains("without a port"));
    assert!(root.fails(1, owner, &["hub", "remove-host-name", "acme", "shop.example"]).contains("opens nothing else"));
    root.ok(&["hub", "remove-host-name", "acme", "*.acme.example"]);
    let shown = root.ok(&["hub", "show", "acme"]);
    assert!(shown.contains("shop.example") && !shown.contains("*.acme"), "{shown}");

    root.ok(&["hub", "suspend", "acme", "--reason", "unpaid"]);
    assert!(root.fails(1, owner, &["get-instances"]).contains("unpaid"));
    root.ok(&["hub", "resume", "acme"]);
    root.ok_as(owner, &["get-instances"]);

    assert!(root.ok(&["key", "list", "--hub", "acme"]).contains("owner"));
    root.ok(&["key", "revoke", "owner", "--hub", "acme"]);
    assert!(root.fails(1, owner, &["get-instances"]).contains("not known"));
    root.ok(&["hub", "delete", "acme", "--yes"]);
    assert!(root.fails(3, &root.key, &["hub", "show", "acme"]).contains("acme"));
    let audit = root.ok(&["audit", "--hub", "acme", "--all"]);
    for action in ["hub.create", "hub.change", "key.create", "key.revoke", "hub.delete", "*/root"] {
        assert!(audit.contains(action), "{action}: {audit}");
    }
    assert!(!audit.contains("dcp_"), "{audit}");
}

#[test]
fn secrets_come_from_a_file_and_are_listed_by_name() {
    let keys = tempfile::tempdir().unwrap();
    let (key_file, secret_file) = (keys.path().join("key"), keys.path().join("secret"));
    Command::new(binary().unwrap()).arg("new-secrets-key").arg(&key_file).output().unwrap();
    std::fs::write(&secret_file, "s3cr3t\n").unwrap();
    let root = Administrator::new(&["--set", &format!("secrets.key_file={}", key_file.display())]);
    let set = ["secret", "set", "token", "--hub", "TestHubName", "--file", secret_file.to_str().unwrap()];
    assert_eq!(root.ok(&set), "Set the secret 'token'.\n");
    assert_eq!(root.json(&["secret", "list", "--hub", "TestHubName"]), json!(["token"]));
    assert!(root.fails(1, &root.key, &["secret", "set", "token", "--hub", "TestHubName"]).contains("empty"));
    root.ok(&["secret", "delete", "token", "--hub", "TestHubName"]);
    assert!(root.fails(3, &root.key, &["secret", "delete", "token", "--hub", "TestHubName"]).contains("'token'"));
}

#[test]
fn a_key_is_asked_for_and_never_shown() {
    let root = Administrator::new(&[]);
    assert!(root.fails(1, "", &["get-instances"]).contains("DACAPO_KEY"));
    let help = root.ok(&["get-instances", "--help"]);
    assert!(help.contains("DACAPO_KEY") && !help.contains(&root.key), "{help}");
    let wrong = root.fails(2, &root.key, &["get-instances", "--top", "none"]);
    assert!(!wrong.contains(&root.key), "{wrong}");
    let strange = root.fails(2, &root.key, &["get-instances", "--key", "a\nb"]);
    assert!(strange.contains("--key"), "{strange}");
}
