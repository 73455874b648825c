//! New apps, as created by `dacapo new`: their tests pass, they build, and they run.

use std::ffi::OsString;
use std::path::Path;
use std::process::Command;

use clap::ValueEnum as _;
use dacapo::build::Template;
use dacapo_tests::guests::quiet;
use dacapo_tests::host::{Host, binary};
use dacapo_tests::languages::{Language, path_with_toolchains, tools_of};
use dacapo_tests::workspace;
use serde_json::json;

#[test]
fn rust() {
    works(Template::Rust, Language::Rust);
}

#[test]
fn typescript() {
    works(Template::TypeScript, Language::JavaScript);
}

#[test]
fn javascript() {
    works(Template::JavaScript, Language::JavaScript);
}

#[test]
fn fsharp() {
    works(Template::FSharp, Language::FSharp);
}

#[test]
fn python() {
    works(Template::Python, Language::Python);
}

#[test]
fn go() {
    works(Template::Go, Language::Go);
}

#[test]
fn c() {
    works(Template::C, Language::C);
}

fn works(template: Template, language: Language) {
    let directory = tempfile::tempdir().unwrap();
    let bench = Bench::new(directory.path(), language);
    let name = template.to_possible_value().expect("no template is hidden");
    bench.dacapo(&["new", "my-app", "--language", name.get_name()]);
    let folder = directory.path().join("my-app");
    if language == Language::Rust {
        // The versions of packages with which this repository was built.
        std::fs::copy(workspace().join("Cargo.lock"), folder.join("Cargo.lock")).unwrap();
    }
    bench.succeeds(Command::new("sh").args(["-c", template.test_command()]).current_dir(&folder));
    bench.dacapo(&["build", "my-app", "--tools", &bench.tools]);

    let (host, _data) = Host::temporary(&[]).unwrap();
    host.deploy("my-app", &std::fs::read(folder.join("my-app.wasm")).unwrap()).unwrap();
    let id = host.start_new("order", json!("a lamp")).unwrap();
    host.raise_event(&id, "Approval", json!(true)).unwrap();
    assert_eq!(host.wait(&id).unwrap()["output"], json!("the reservation of a lamp is on its way"));
    let failed = host.run("order", json!("")).unwrap();
    assert!(failed["output"].as_str().unwrap().contains("an order names an item"), "{failed}");
}

/// The environment in which commands run.
struct Bench<'a> {
    folder: &'a Path,
    path: OsString,
    tools: String,
}

impl<'a> Bench<'a> {
    fn new(folder: &'a Path, language: Language) -> Self {
        let path = path_with_toolchains(language).unwrap();
        let tools = tools_of(language);
        Self { folder, path, tools: tools.to_str().unwrap().to_owned() }
    }

    fn dacapo(&self, arguments: &[&str]) {
        self.succeeds(Command::new(binary().unwrap()).args(arguments).current_dir(self.folder));
    }

    fn succeeds(&self, command: &mut Command) {
        let mut own = Command::new(command.get_program());
        own.args(command.get_args()).current_dir(command.get_current_dir().unwrap()).env("PATH", &self.path);
        // So that a second run rebuilds only what has changed.
        own.env("CARGO_TARGET_DIR", workspace().join("target/new-apps"));
        own.env("XDG_CACHE_HOME", workspace().join("target/toolchains/cache"));
        let output = quiet(own).output().unwrap();
        assert!(output.status.success(), "{command:?}: {output:?}");
    }
}
