//! Changing code while instances run, at the terminal.

use super::Cli;
use dacapo_tests::host::Host;
use dacapo_tests::trigger_guest;
use serde_json::{Value, json};

#[test]
fn versions_at_the_terminal() {
    let (host, directory) = Host::temporary(&[]).unwrap();
    let cli = Cli::of(&host);
    let file = |name: &str, bytes: &[u8]| {
        let path = directory.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let probe = dacapo_tests::guest("fixture-probe").unwrap();
    let one = file("one.wasm", &probe);
    let two = file("two.wasm", &[&probe[..], b"\0\x03\x02v2"].concat());
    let corrected = file("corrected.wasm", &dacapo_tests::guest("fixture-probe-corrected").unwrap());

    cli.ok(&["deploy", &one, "--app", "probe", "--label", "1.0", "--check"]);
    cli.ok(&["start-new", "wait_event", "--id", "waiting", "--input", "\"go\""]);
    let diverging = host.start_new("is_replaying_branch", Value::Null).unwrap();
    let called = |_: &Value| host.history(&diverging).is_ok_and(|h| h.iter().any(|e| e["EventType"] == "TaskCompleted"));
    host.wait_until(&diverging, "waiting", called).unwrap();

    // The instances that could not continue are listed, and nothing is deployed.
    let refused = cli.run(&["deploy", &two, "--app", "probe", "--label", "2.0", "--check"]);
    assert_eq!(refused.status.code(), Some(1));
    let shown = String::from_utf8(refused.stdout).unwrap();
    assert!(shown.contains(&diverging) && shown.contains("TaskScheduled add_one(1)") && !shown.contains("waiting"), "{shown}");
    assert!(String::from_utf8(refused.stderr).unwrap().contains("nothing was deployed"));
    assert_eq!(cli.json(&["versions", "probe"])["versions"].as_array().unwrap().len(), 1);
    assert!(cli.fails(1, &["check", &two, "--app", "probe"]).contains("1 of 2 instances"));
    let lines = String::from_utf8(cli.run(&["check", &two, "--app", "probe", "--json"]).stdout).unwrap();
    assert!(lines.lines().all(|line| serde_json::from_str::<Value>(line).is_ok()) && lines.lines().count() == 4, "{lines}");
    assert!(cli.fails(3, &["check", &two, "--app", "nothing"]).contains("'nothing'"));

    let canary = cli.ok(&["deploy", &two, "--app", "probe", "--label", "2.0", "--weight", "10"]);
    assert!(canary.contains("version 2.0 (") && canary.contains("another version stays the active one"), "{canary}");
    // `--weight` had no effect here, and there was no message.
    let again = cli.run(&["deploy", &one, "--app", "probe", "--label", "1.0", "--weight", "10"]);
    assert!(String::from_utf8(again.stderr).unwrap().contains("--weight 10 has changed nothing"));
    let shown = cli.ok(&["versions", "probe"]);
    assert!(shown.contains("90 %") && shown.contains("10 %") && shown.contains("active"), "{shown}");
    assert!(cli.ok(&["route", "probe", "1.0=1", "2.0=3"]).contains("75 %"));
    assert!(cli.ok(&["rollback", "probe", "2.0"]).contains("version 2.0 (") && is_active(&host, "2.0"));
    let back = cli.ok(&["rollback", "probe"]);
    assert!(back.contains("version 2.0 (") && back.contains("gets no new starts any more; 1.0 ("), "{back}");
    assert!(cli.fails(4, &["rollback", "probe"]).contains("was active before"));

    let moved = cli.run(&["migrate", "probe", "--to", "2.0", "--all"]);
    assert_eq!(moved.status.code(), Some(1), "{moved:?}");
    assert!(String::from_utf8(moved.stdout).unwrap().contains("1 of 2 instances run on version 2.0 now"));
    cli.ok(&["deploy", &corrected, "--app", "probe", "--label", "2.1", "--weight", "0"]);
    assert!(cli.ok(&["diff", "probe", "2.0", "2.1"]).contains("wait_event"));
    cli.ok(&["migrate", "probe", "--to", "2.1", "--instances", &diverging]);
    assert!(cli.ok(&["prune", "probe"]).contains("removed: 0"), "each is needed");
    cli.ok(&["raise-event", &diverging, "Go", "--event-data", "null"]);
    assert_eq!(host.wait(&diverging).unwrap()["output"], 2);
    assert!(cli.ok(&["prune", "probe"]).contains("removed: 1"));
    assert!(cli.fails(3, &["rollback", "probe", "2.1"]).contains("2.1"));
}

/// Whether the active version of the probe has this label.
fn is_active(host: &Host, label: &str) -> bool {
    let versions = host.request("GET", "/admin/apps/probe", None).unwrap().json();
    versions["versions"].as_array().unwrap().iter().any(|version| version["label"] == label && version["active"] == true)
}

/// The sequence of commands in the README once failed at its rollback.
#[test]
fn the_readme_changes_code_as_it_says() {
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md")).unwrap();
    let section = readme.split("\n## ").find(|section| section.starts_with("Changing code under running instances")).unwrap();
    let block = section.split("```").nth(1).unwrap();
    let commands = block.lines().filter_map(|line| line.split(" #").next().unwrap().trim().strip_prefix("dacapo "));
    let commands: Vec<Vec<&str>> = commands.map(|command| command.split_whitespace().collect()).collect();
    assert!(commands.iter().any(|command| command[0] == "rollback") && commands.len() > 6, "{commands:?}");

    let (host, directory) = Host::temporary(&[]).unwrap();
    let cli = Cli::of(&host);
    let file = directory.path().join("orders.wasm");
    let probe = dacapo_tests::guest("fixture-probe").unwrap();
    std::fs::write(&file, &probe).unwrap();
    cli.ok(&["deploy", file.to_str().unwrap(), "--label", "2.0"]);
    cli.ok(&["start-new", "wait_event", "--id", "waiting", "--input", "\"go\""]);
    host.wait_until("waiting", "running", |status| status["runtimeStatus"] == "Running").unwrap();
    std::fs::write(&file, [&probe[..], b"\0\x03\x02v2"].concat()).unwrap();
    for command in commands {
        let output = cli.command(&command).current_dir(directory.path()).output().unwrap();
        assert!(output.status.success(), "{command:?}: {output:?}");
        let versions = || cli.ok(&["versions", "orders"]);
        match command[0] {
            "deploy" => assert!(versions().contains("90 %") && versions().contains("10 %"), "{}", versions()),
            "rollback" => assert!(versions().contains("all") && !versions().contains("50 %"), "{}", versions()),
            "migrate" => assert_eq!(cli.json(&["versions", "orders"])["versions"][1]["instances"], 1, "it was moved to 2.1"),
            _ => {}
        }
    }
    assert_eq!((cli.json(&["apps"]), &host.status("waiting").unwrap()["runtimeStatus"]), (json!([]), &json!("Terminated")));
}

/// The next canary once took the share of the previous one silently, and weights of 0 left open which version gets the starts.
#[test]
fn it_is_said_what_each_version_gets() {
    let (host, directory) = Host::temporary(&[]).unwrap();
    let cli = Cli::of(&host);
    let probe = dacapo_tests::guest("fixture-probe").unwrap();
    let deploy = |number: u8, more: &[&str]| {
        let path = directory.path().join(format!("{number}.wasm"));
        std::fs::write(&path, [&probe[..], &[0, 3, 2, b'v', number]].concat()).unwrap();
        let label = format!("{number}.0");
        cli.ok(&[&["deploy", path.to_str().unwrap(), "--app", "probe", "--label", &label], more].concat())
    };
    deploy(1, &[]);
    assert!(deploy(2, &["--weight", "90"]).contains("New starts: 10 % for 1.0, 90 % for 2.0."));
    let said = deploy(3, &["--weight", "10"]);
    assert!(said.contains("New starts: 9 % for 1.0, 81 % for 2.0, 10 % for 3.0."), "{said}");
    let back = cli.ok(&["rollback", "probe"]);
    assert!(back.contains("New starts: 10 % for 1.0, 90 % for 2.0."), "{back}");

    assert!(cli.fails(1, &["route", "probe", "1.0=0"]).contains("dacapo rollback probe VERSION"));
    assert!(cli.fails(2, &["route", "probe", "1.0=1", "1.0=2"]).contains("named twice"));
    let idle = cli.ok(&["prune", "probe", "--version", "3.0", "--dry-run"]);
    assert!(idle.contains("Would remove") && idle.contains("to remove: 1"), "{idle}");
    assert!(cli.fails(4, &["prune", "probe", "--version", "1.0", "--dry-run"]).contains("in use"));
    assert_eq!(cli.json(&["versions", "probe"])["versions"].as_array().unwrap().len(), 3);
    assert!(cli.fails(2, &["terminate", "--function-name", ""]).contains("--function-name"));

    // If the help cannot be written, the command fails.
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    assert_eq!(cli.command(&["--help"]).stdout(full).status().unwrap().code(), Some(1));
}

#[test]
fn a_label_names_one_version_and_who_changes_that_is_told() {
    let (host, directory) = Host::temporary(&[]).unwrap();
    let cli = Cli::of(&host);
    let probe = dacapo_tests::guest("fixture-probe").unwrap();
    let file = |number: u8| {
        let path = directory.path().join(format!("{number}.wasm"));
        std::fs::write(&path, [&probe[..], &[0, 3, 2, b'v', number]].concat()).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let deploy = |file: &str, label: &str| {
        let output = cli.run(&["deploy", file, "--app", "probe", "--label", label]);
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    let (one, two) = (file(1), file(2));
    let first = deploy(&one, "1.0");
    assert!(!first.contains("label") && !first.contains("called"), "{first}");
    // The same file under a second label: one version, with the new label.
    let renamed = deploy(&one, "1.1");
    assert!(renamed.contains("as '1.0'") && renamed.contains("'1.1' from now on"), "{renamed}");
    assert_eq!(cli.json(&["versions", "probe"])["versions"].as_array().unwrap().len(), 1);
    assert!(cli.fails(3, &["rollback", "probe", "1.0"]).contains("'1.0'"));
    // One label for two files: it now names the later one.
    let taken = deploy(&two, "1.1");
    let versions = cli.json(&["versions", "probe"]);
    let digest = versions["versions"][0]["version"].as_str().unwrap();
    assert!(taken.contains("'1.1' was the label of version") && taken.contains(&digest[..12]), "{taken}");
    assert_eq!((&versions["versions"][0]["label"], &versions["versions"][1]["label"]), (&json!(""), &json!("1.1")));
    // A start accepts the same names as every other command, including the digits of the version without a label.
    for (id, version) in [("a", &digest[..8]), ("b", "01.1")] {
        cli.ok(&["start-new", "wait_event", "--id", id, "--input", "\"go\"", "--version", version]);
        host.wait_until(id, "running", |status| status["runtimeStatus"] == "Running").unwrap();
    }
    let versions = cli.json(&["versions", "probe"]);
    assert_eq!((&versions["versions"][0]["instances"], &versions["versions"][1]["instances"]), (&json!(1), &json!(1)));
    cli.ok(&["check", "--app", "probe", "--version", "01.1"]);
    let twice = cli.fails(1, &["route", "probe", "1.1=90", "01.1=10"]);
    assert!(twice.contains("name the same version"), "{twice}");
}

#[test]
fn a_file_is_inspected_without_a_host() {
    let alone = Cli("http://127.0.0.1:1".into());
    let guest = |package: &str| dacapo_tests::guest_path(package).unwrap().to_str().unwrap().to_owned();
    let shown = alone.ok(&["inspect", &guest("example-hello-sequence")]);
    for expected in ["a core module, ", "hello_sequence  orchestrator", "say_hello       activity", "durable", "Memory: "] {
        assert!(shown.contains(expected), "expected {expected:?} in {shown}");
    }
    let shown = alone.ok(&["inspect", &guest("fixture-wasi-probe")]);
    assert!(shown.contains("deterministic") && shown.contains("real, as granted"), "{shown}");
    let inspected = alone.json(&["inspect", &guest("example-hello-sequence")]);
    assert_eq!((&inspected["kind"], &inspected["troubles"]), (&json!("core-module"), &json!([])));
    assert_eq!(inspected["functions"][0], json!({ "name": "hello_sequence", "kind": "orchestrator" }));

    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("app.wasm");
    std::fs::write(&file, b"\0asm\x01\0\0\0").unwrap();
    let refused = alone.fails(1, &["inspect", file.to_str().unwrap()]);
    for missing in ["`describe`", "`memory`", "`cabi_realloc`"] {
        assert!(refused.contains(&format!("does not export {missing}: ")), "{refused}");
    }
    std::fs::write(&file, "function").unwrap();
    assert!(alone.fails(1, &["inspect", file.to_str().unwrap()]).contains("is not WebAssembly"));
    assert!(alone.fails(1, &["inspect", "no/such/file"]).contains("no/such/file"));
}

#[test]
fn an_instance_is_exported_replayed_and_imported() {
    let (host, directory) = Host::temporary(&[]).unwrap();
    let cli = Cli::of(&host);
    let probe = dacapo_tests::guest_path("fixture-probe").unwrap();
    let probe = probe.to_str().unwrap();
    cli.ok(&["deploy", probe, "--app", "probe"]);
    cli.ok(&["start-new", "chain_then_wait", "--id", "chain", "--input", "3"]);
    host.wait_until("chain", "waiting", |_| {
        host.history("chain").is_ok_and(|h| h.iter().filter(|e| e["EventType"] == "TaskCompleted").count() == 3)
    })
    .unwrap();
    let path = directory.path().join("chain.jsonl");
    let file = path.to_str().unwrap();
    cli.ok(&["export", "chain", "-o", file, "--with-modules"]);
    assert!(cli.fails(3, &["export", "nobody", "-o", file]).contains("nobody"));

    // Without a host.
    let alone = Cli("http://127.0.0.1:1".into());
    cli.ok(&["export", "chain", "-o", file, "--with-modules"]);
    let replayed = alone.ok(&["replay", file, probe]);
    assert!(replayed.contains("4 turns with") && replayed.contains("TaskScheduled add_one"), "{replayed}");
    assert!(alone.ok(&["replay", file, probe, "--until", "2"]).contains("2 turns with"));
    let other = dacapo_tests::guest_path("example-hello-sequence").unwrap();
    assert!(alone.fails(1, &["replay", file, other.to_str().unwrap()]).contains("diverges from the history at event"));
    assert!(alone.fails(3, &["replay", file, probe, "--id", "other"]).contains("no such"));
    assert!(alone.fails(1, &["replay", probe, probe]).contains("cannot be read"));

    assert!(cli.fails(4, &["import", file]).contains("already exists"));
    let (other, _directory) = Host::temporary(&[]).unwrap();
    let there = Cli::of(&other);
    assert!(there.ok(&["import", file]).contains("suspended until they are resumed: 1"));
    there.ok(&["resume", "chain"]);
    assert_eq!(other.status("chain").unwrap()["input"], json!(3));
    let hub = directory.path().join("hub.jsonl");
    there.ok(&["export", "--hub", "-o", hub.to_str().unwrap()]);
    there.ok(&["import", hub.to_str().unwrap(), "--replace", "--resume"]);
    std::fs::write(&path, "junk").unwrap();
    assert!(there.fails(1, &["import", file]).contains("line 1"));
}

#[test]
fn a_manifest_beside_the_file_is_deployed_with_it() {
    let (host, directory) = Host::temporary(&[]).unwrap();
    let cli = Cli::of(&host);
    let file = directory.path().join("app.wasm");
    std::fs::copy(dacapo_tests::guest_path("example-hello-sequence").unwrap(), &file).unwrap();
    let path = file.to_str().unwrap();
    std::fs::write(directory.path().join("app.manifest.json"), r#"{"name":"greeter","version":"7.1"}"#).unwrap();
    assert!(cli.ok(&["deploy", path]).contains("App 'greeter'"));
    assert!(cli.ok(&["versions", "greeter"]).contains("7.1"));

    let other = directory.path().join("other.json");
    let named = ["deploy", path, "--manifest", other.to_str().unwrap()];
    assert!(cli.fails(1, &named).contains("No such file"));
    std::fs::write(&other, r#"{"nome":"x"}"#).unwrap();
    assert!(cli.fails(1, &named).contains("unknown field `nome`"));
    let own = dacapo_tests::guest_path("example-file-index").unwrap();
    std::fs::write(&other, "{}").unwrap();
    assert!(
        cli.fails(1, &["deploy", own.to_str().unwrap(), "--manifest", other.to_str().unwrap()]).contains("another one embedded")
    );
    // `dacapo build` finds the file from which the app has embedded its manifest.
    let same = dacapo_tests::workspace().join("examples/file-index/dacapo.json");
    cli.ok(&["deploy", own.to_str().unwrap(), "--manifest", same.to_str().unwrap()]);
}

/// An app whose `host.json` names a task hub was deployed to the default one.
#[test]
fn an_app_is_deployed_to_the_hub_that_it_names() {
    const ANONYMOUS: &str = r#"[{"type":"httpTrigger","methods":["get"],"authLevel":"anonymous"}]"#;
    let (host, directory) = Host::temporary(&[]).unwrap();
    let cli = Cli::of(&host);
    let path = directory.path().join("shop.wasm");
    let path = path.to_str().unwrap();
    std::fs::write(path, trigger_guest::module("echo", &[("greet", ANONYMOUS)])).unwrap();
    std::fs::write(directory.path().join("shop.manifest.json"), r#"{"durableTask":{"hubName":"%SHOP%Hub"}}"#).unwrap();
    let run = |arguments: &[&str]| {
        let output = cli.command(arguments).env("SHOP", "Orders").output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8(said).unwrap())
    };
    let (code, said) = run(&["deploy", path]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("no task hub 'OrdersHub', which host.json names"), "{said}");
    assert!(
        said.contains("in the task hub 'TestHubName'") && said.contains(&format!("[GET] {}/api/greet\n", host.url())),
        "{said}"
    );
    cli.ok(&["hub", "create", "OrdersHub"]);
    let (code, said) = run(&["deploy", path]);
    assert_eq!(code, Some(0), "{said}");
    let url = format!("[GET] {}/api/greet?taskHub=OrdersHub", host.url());
    assert!(said.contains("in the task hub 'OrdersHub'") && said.contains(&url), "{said}");
    let (_, said) = run(&["deploy", path, "--task-hub-name", "TestHubName", "--json"]);
    let told: Value = serde_json::from_str(&said).unwrap();
    let greet = told["functions"].as_array().unwrap().iter().find(|function| function["name"] == "greet").unwrap();
    assert_eq!((&told["taskHub"], &greet["startedBy"]["path"]), (&json!("TestHubName"), &json!("/api/greet")));
    assert!(cli.fails(2, &["deploy", path]).contains("SHOP is neither a variable of the environment"));
}
