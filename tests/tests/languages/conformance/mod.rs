//! One suite of orchestrations, in every language: every action, every failure; hot, cold, and with a host that is killed on the
//! way. The histories must be those of the Rust guest, event by event.

mod cases;
mod comparable;

use std::collections::BTreeMap;
use std::sync::OnceLock;

use dacapo_tests::clients::Switch;
use dacapo_tests::host::{Host, HostOptions};
use dacapo_tests::languages::{self, Language};
use serde_json::Value;
use tempfile::TempDir;

use cases::{Case, Sight, cases};

/// What every example shows.
const TOUR: [&str; 4] = ["hello_sequence", "fan_out", "approval", "stubborn"];

/// What is deployed together, by name.
type Apps = Vec<(&'static str, Vec<u8>)>;

/// An instance as it is compared.
type Seen = BTreeMap<&'static str, (Value, Vec<Value>)>;

#[test]
fn rust() {
    conforms(rust_apps(), |_| true);
}

#[test]
fn javascript() {
    conforms(built(Language::JavaScript, &["tests/fixtures/conformance/javascript"]), |_| true);
}

#[test]
fn typescript_with_async_and_await() {
    conforms(built(Language::JavaScript, &["tests/fixtures/conformance/typescript"]), |_| true);
}

#[test]
fn python() {
    conforms(built(Language::Python, &["tests/fixtures/conformance/python"]), |_| true);
}

#[test]
fn python_with_async_and_await() {
    conforms(built(Language::Python, &["tests/fixtures/conformance/python-async"]), |_| true);
}

#[test]
fn go() {
    conforms(built(Language::Go, &["examples/go", "tests/fixtures/conformance/go"]), |_| true);
}

#[test]
fn c() {
    conforms(built(Language::C, &["examples/c", "tests/fixtures/conformance/c"]), |_| true);
}

#[test]
fn cpp() {
    conforms(built(Language::Cpp, &["examples/cpp"]), on_the_tour);
}

#[test]
fn zig() {
    conforms(built(Language::Zig, &["examples/zig"]), on_the_tour);
}

#[test]
fn assembly_script() {
    conforms(built(Language::AssemblyScript, &["examples/assemblyscript"]), on_the_tour);
}

#[test]
fn kotlin() {
    conforms(built(Language::Kotlin, &["examples/kotlin"]), on_the_tour);
}

fn on_the_tour(case: &Case) -> bool {
    TOUR.contains(&case.function)
}

fn rust_apps() -> Apps {
    vec![("rust", dacapo_tests::guest("fixture-conformance-rust").unwrap())]
}

fn built(language: Language, folders: &[&'static str]) -> Apps {
    let built = folders.iter().map(|folder| {
        let file = languages::build(language, folder).unwrap_or_else(|why| panic!("{why:#}"));
        (*folder, std::fs::read(file).unwrap())
    });
    built.map(|(folder, wasm)| (folder.rsplit('/').next().unwrap(), wasm)).collect()
}

/// Runs the cases three ways. All on one data directory, so that the apps are compiled once.
fn conforms(apps: Apps, wanted: impl Fn(&Case) -> bool) {
    let cases: Vec<Case> = cases().into_iter().filter(wanted).collect();
    let mut bench = Bench::new(apps);
    for way in [Way::Hot, Way::Cold, Way::Killed] {
        let seen = bench.run(&cases, way);
        for (name, (output, history)) in &seen {
            let (expected_output, expected) = &reference()[name];
            assert_eq!(output, expected_output, "{name}, {way:?}");
            let [history, expected] = [history, expected].map(|events| serde_json::to_string_pretty(events).unwrap());
            assert!(history == expected, "{name}, {way:?}: this history\n{history}\nis in Rust\n{expected}");
        }
    }
}

/// What the Rust guest does, hot.
fn reference() -> &'static Seen {
    static REFERENCE: OnceLock<Seen> = OnceLock::new();
    REFERENCE.get_or_init(|| Bench::new(rust_apps()).run(&cases(), Way::Hot))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Hot,
    Cold,
    /// Hot, by a host that is killed after all have been started, and again when all that had to happen has happened.
    Killed,
}

/// A place to run the cases of one language.
struct Bench {
    apps: Apps,
    switch: Switch,
    directory: TempDir,
}

impl Bench {
    fn new(apps: Apps) -> Self {
        Self { apps, switch: Switch::start().unwrap(), directory: tempfile::tempdir().unwrap() }
    }

    fn run(&mut self, cases: &[Case], way: Way) -> Seen {
        let mut host = self.host(way);
        for (name, wasm) in &self.apps {
            host.deploy(name, wasm).unwrap_or_else(|why| panic!("{why:#}\n{}", host.log()));
        }
        let sights: Vec<Sight> =
            cases.iter().map(|case| case.begin(&host, format!("{way:?}-{}", case.name), &self.switch.authority)).collect();
        if way == Way::Killed {
            host.restart().unwrap();
        }
        sights.iter().for_each(|sight| sight.interfere(&host));
        if way == Way::Killed {
            host.restart().unwrap();
        }
        sights.iter().map(|sight| (sight.case.name, sight.end(&host))).collect()
    }

    fn host(&self, way: Way) -> Host {
        let mut arguments = vec!["--allow-host".to_owned(), self.switch.authority.clone()];
        arguments.extend((way == Way::Cold).then(|| "--no-heat".to_owned()));
        Host::start(HostOptions { data: self.directory.path().to_owned(), arguments }).unwrap()
    }
}
