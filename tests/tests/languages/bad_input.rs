//! Faults in apps: each is a clear error of the build, or a clear failure of only that instance.
//!
//! `tests/fixtures/bad-input` has the apps, and in `cases.json` the texts that must appear.

use dacapo_tests::host::Host;
use dacapo_tests::languages::{Language, build_anew};
use dacapo_tests::workspace;
use serde::Deserialize;
use serde_json::Value;

const FOLDER: &str = "tests/fixtures/bad-input";

#[derive(Deserialize)]
struct Cases {
    builds: Vec<Build>,
    runs: Runs,
}

#[derive(Deserialize)]
struct Build {
    app: String,
    /// The build fails with an output that contains all of these.
    #[serde(default)]
    fails: Vec<String>,
    /// The build succeeds with an output that contains all of these.
    #[serde(default)]
    warns: Vec<String>,
}

#[derive(Deserialize)]
struct Runs {
    javascript: Vec<Run>,
    fsharp: Vec<Run>,
    python: Vec<Run>,
}

#[derive(Deserialize)]
struct Run {
    function: String,
    #[serde(default)]
    input: Value,
    /// The orchestration fails with this type; without one it completes with `output`.
    r#type: Option<String>,
    #[serde(default)]
    message: String,
    #[serde(default)]
    details: String,
    #[serde(default)]
    output: Value,
}

fn cases() -> Cases {
    let file = workspace().join(FOLDER).join("cases.json");
    serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap()
}

#[test]
fn javascript_that_cannot_be_built() {
    builds(Language::JavaScript, "builds/javascript-");
}

#[test]
fn fsharp_that_cannot_be_built() {
    builds(Language::FSharp, "builds/fsharp-");
}

#[test]
fn python_that_cannot_be_built() {
    builds(Language::Python, "builds/python-");
}

#[test]
fn javascript_that_fails() {
    runs(Language::JavaScript, "javascript", cases().runs.javascript);
}

#[test]
fn fsharp_that_fails() {
    runs(Language::FSharp, "fsharp", cases().runs.fsharp);
}

#[test]
fn python_that_fails() {
    runs(Language::Python, "python", cases().runs.python);
}

fn builds(language: Language, prefix: &str) {
    let directory = tempfile::tempdir().unwrap();
    let wanted: Vec<Build> = cases().builds.into_iter().filter(|build| build.app.starts_with(prefix)).collect();
    assert!(!wanted.is_empty());
    for Build { app, fails, warns } in wanted {
        let out = directory.path().join("app.wasm");
        let built = build_anew(language, &format!("{FOLDER}/{app}"), &out).unwrap();
        let said = String::from_utf8_lossy(&built.stderr);
        let is_built = built.status.success() && out.exists();
        assert_eq!(is_built, fails.is_empty(), "{app}:\n{said}");
        let missing = fails.iter().chain(&warns).find(|words| !said.contains(*words));
        assert_eq!(missing, None, "{app}:\n{said}");
    }
}

/// Builds the app, runs each of its functions, and checks that the host is unharmed.
fn runs(language: Language, app: &str, runs: Vec<Run>) {
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().join("app.wasm");
    let built = build_anew(language, &format!("{FOLDER}/{app}"), &out).unwrap();
    let said = String::from_utf8_lossy(&built.stderr);
    assert!(built.status.success(), "{said}");
    let warns = cases().builds.into_iter().filter(|build| build.app == app).flat_map(|build| build.warns);
    warns.for_each(|words| assert!(said.contains(&words), "{words} is not in\n{said}"));

    let (host, _directory) = Host::temporary(&[]).unwrap();
    host.deploy(app, &std::fs::read(out).unwrap()).unwrap();
    for run in runs {
        run.check(&host);
    }
}

impl Run {
    fn check(&self, host: &Host) {
        let id = host.start_new(&self.function, self.input.clone()).unwrap();
        let status = host.wait(&id).unwrap();
        let Some(error_type) = &self.r#type else {
            assert_eq!((&status["runtimeStatus"], &status["output"]), (&"Completed".into(), &self.output), "{status}");
            return;
        };
        let history = host.history(&id).unwrap();
        let end = history.last().unwrap_or_else(|| panic!("{} has no history: {status}", self.function));
        let failure = &end["FailureDetails"];
        let text = |name: &str| failure[name].as_str().unwrap_or_default();
        let seen = (text("ErrorType"), text("ErrorMessage"), text("StackTrace"));
        let fits = seen.0 == error_type && seen.1.contains(&self.message) && seen.2.contains(&self.details);
        assert!(fits, "{}: {end}", self.function);
    }
}
