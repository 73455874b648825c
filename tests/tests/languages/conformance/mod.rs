//! One suite of orchestrations, in every language: every action, every failure; hot, cold, and on a host that is killed during
//! the run. The histories must equal those of the Rust guest, event by event. And triggers, and the durable client in a trigger
//! and in an activity, whose answers must be the same in every language.

mod cases;
mod client;
mod comparable;
mod triggers;

use std::collections::BTreeMap;
use std::sync::OnceLock;

use dacapo_tests::clients::Switch;
use dacapo_tests::host::{Host, HostOptions};
use dacapo_tests::languages::{Language, SUBJECTS, Subject, build};
use serde_json::Value;
use tempfile::TempDir;

use cases::{Case, Sight, cases};

/// The functions that the example of every language has.
const TOUR: [&str; 4] = ["hello_sequence", "fan_out", "approval", "stubborn"];

/// The compared data of each instance.
type Seen = BTreeMap<&'static str, (Value, Vec<Value>)>;

#[test]
fn rust() {
    conforms("rust");
}

#[test]
fn javascript() {
    conforms("javascript");
}

#[test]
fn javascript_on_starling_monkey() {
    conforms("starlingmonkey");
}

#[test]
fn typescript_with_async_and_await() {
    conforms("typescript");
}

#[test]
fn fsharp() {
    conforms("fsharp");
}

#[test]
fn python() {
    conforms("python");
}

#[test]
fn python_with_async_and_await() {
    conforms("python-async");
}

#[test]
fn go() {
    conforms("go");
}

#[test]
fn c() {
    conforms("c");
}

#[test]
fn cpp() {
    conforms("cpp");
}

#[test]
fn zig() {
    conforms("zig");
}

#[test]
fn assembly_script() {
    conforms("assemblyscript");
}

#[test]
fn kotlin() {
    conforms("kotlin");
}

/// No language is left out.
#[test]
fn every_subject_has_its_test() {
    let tested = include_str!("mod.rs");
    for subject in SUBJECTS {
        assert!(tested.contains(&format!("conforms(\"{}\")", subject.name)), "{subject:?}");
    }
}

/// Runs the cases in three ways, and the triggers, on the same data directory, so that the apps are compiled once.
fn conforms(name: &str) {
    let subject = Subject::of(name);
    let cases: Vec<Case> = cases().into_iter().filter(|case| subject.whole || TOUR.contains(&case.function)).collect();
    let mut bench = Bench::new(&subject);
    for way in [Way::Hot, Way::Cold, Way::Killed] {
        let seen = bench.run(&cases, way);
        for (name, (output, history)) in &seen {
            let (expected_output, expected) = &reference()[name];
            assert_eq!(output, expected_output, "{name}, {way:?}");
            let [history, expected] = [history, expected].map(|events| serde_json::to_string_pretty(events).unwrap());
            assert!(history == expected, "{name}, {way:?}: this history\n{history}\nis in Rust\n{expected}");
        }
    }
    let host = bench.host(Way::Hot);
    triggers::check(&host, &subject);
    client::check(&host, &subject);
}

/// The results of the Rust guest, hot.
fn reference() -> &'static Seen {
    static REFERENCE: OnceLock<Seen> = OnceLock::new();
    REFERENCE.get_or_init(|| Bench::new(&SUBJECTS[0]).run(&cases(), Way::Hot))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Hot,
    Cold,
    /// Hot, on a host that is killed after all instances have started, and again after all events have been raised.
    Killed,
}

/// The environment to run the cases of one language.
struct Bench {
    apps: Vec<(String, Vec<u8>)>,
    switch: Switch,
    directory: TempDir,
}

impl Bench {
    fn new(subject: &Subject) -> Self {
        let mut apps = subject.built().unwrap_or_else(|why| panic!("{why:#}"));
        if !subject.whole {
            // What its client operates.
            let companion = build(Language::C, "tests/fixtures/conformance/c").and_then(|file| Ok(std::fs::read(file)?));
            apps.push(("companion".to_owned(), companion.unwrap_or_else(|why| panic!("{why:#}"))));
        }
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
        let seen = sights.iter().map(|sight| (sight.case.name, sight.end(&host))).collect();
        sights.iter().for_each(|sight| sight.expect_lines(&host, way == Way::Killed));
        seen
    }

    fn host(&self, way: Way) -> Host {
        let mut arguments = vec!["--allow-host".to_owned(), self.switch.authority.clone()];
        arguments.extend((way == Way::Cold).then(|| "--no-heat".to_owned()));
        Host::start(HostOptions { data: self.directory.path().to_owned(), arguments }).unwrap()
    }
}
