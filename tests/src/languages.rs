//! Apps in languages other than Rust: built by `dacapo build`, as their authors would, with the toolchains that are pinned in
//! `tests/toolchains`.

use std::ffi::OsString;
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::host::binary;
use crate::packages::{self, lock};
use crate::workspace;

const JAVA_ADVICE: &str = "The tests of Kotlin need Java 17 or newer, as `java` on the path, for its compiler. \
                           On Debian: apt-get install openjdk-17-jre-headless";

/// A language, or a way to use it, with apps that show its features.
#[derive(Debug, Clone, Copy)]
pub struct Subject {
    pub name: &'static str,
    pub language: Language,
    /// The folders of its apps.
    pub apps: &'static [&'static str],
    /// Whether it has all features. The others have those of the tour, triggers, and the durable client.
    pub whole: bool,
}

/// The languages of the conformance suite and the benchmark. The first is the reference of the comparison.
pub const SUBJECTS: [Subject; 13] = [
    whole("rust", Language::Rust, &["tests/fixtures/conformance/rust"]),
    whole("javascript", Language::JavaScript, &["tests/fixtures/conformance/javascript"]),
    whole("starlingmonkey", Language::StarlingMonkey, &["tests/fixtures/conformance/javascript"]),
    whole("typescript", Language::JavaScript, &["tests/fixtures/conformance/typescript"]),
    whole("fsharp", Language::FSharp, &["examples/fsharp", "tests/fixtures/conformance/fsharp"]),
    whole("python", Language::Python, &["tests/fixtures/conformance/python"]),
    whole("python-async", Language::Python, &["tests/fixtures/conformance/python-async"]),
    whole("go", Language::Go, &["examples/go", "tests/fixtures/conformance/go"]),
    whole("c", Language::C, &["examples/c", "tests/fixtures/conformance/c", "tests/fixtures/conformance/c-triggers"]),
    tour("cpp", Language::Cpp, &["examples/cpp", "tests/fixtures/conformance/cpp"]),
    tour("zig", Language::Zig, &["examples/zig", "tests/fixtures/conformance/zig"]),
    tour("assemblyscript", Language::AssemblyScript, &["examples/assemblyscript", "tests/fixtures/conformance/assemblyscript"]),
    tour("kotlin", Language::Kotlin, &["examples/kotlin", "tests/fixtures/conformance/kotlin"]),
];

const fn whole(name: &'static str, language: Language, apps: &'static [&'static str]) -> Subject {
    Subject { name, language, apps, whole: true }
}

const fn tour(name: &'static str, language: Language, apps: &'static [&'static str]) -> Subject {
    Subject { name, language, apps, whole: false }
}

impl Subject {
    pub fn of(name: &str) -> Self {
        *SUBJECTS.iter().find(|subject| subject.name == name).unwrap_or_else(|| panic!("unknown subject: {name}"))
    }

    /// Whether its client is that of Durable Functions, which ignores what is sent to an instance that has ended.
    pub fn has_the_originals_client(&self) -> bool {
        ["javascript", "starlingmonkey", "python", "python-async"].contains(&self.name)
    }

    /// Whether it has a function for the response with the end of an instance. Bindings that are written by hand do not.
    pub fn answers_outcomes(&self) -> bool {
        !matches!(self.language, Language::Zig | Language::AssemblyScript | Language::Kotlin)
    }

    /// Builds its apps, and returns the name under which to deploy each, and its wasm.
    pub fn built(&self) -> Result<Vec<(String, Vec<u8>)>> {
        let app = |folder: &&'static str| {
            let wasm = match self.language {
                Language::Rust => crate::guest(&format!("fixture-conformance-{}", self.name))?,
                language => fs::read(build(language, folder)?)?,
            };
            Ok((folder.replace('/', "-"), wasm))
        };
        self.apps.iter().map(app).collect()
    }
}

/// The language of an app.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    Rust,
    /// And TypeScript, on QuickJS.
    JavaScript,
    /// JavaScript and TypeScript, on StarlingMonkey.
    StarlingMonkey,
    FSharp,
    Python,
    Go,
    C,
    Cpp,
    Zig,
    AssemblyScript,
    Kotlin,
    Wat,
}

impl Language {
    /// The folders of its SDK in `guest-sdk`.
    fn sdk(self) -> &'static [&'static str] {
        match self {
            Self::JavaScript | Self::StarlingMonkey => &["javascript"],
            Self::FSharp => &["fsharp", "javascript"],
            Self::Python => &["python"],
            Self::Go => &["go"],
            Self::C | Self::Cpp => &["c"],
            Self::Rust | Self::Zig | Self::AssemblyScript | Self::Kotlin | Self::Wat => &[],
        }
    }

    /// Further arguments of `dacapo build`.
    fn arguments(self) -> &'static [&'static str] {
        match self {
            Self::StarlingMonkey => &["--", "--engine", "starlingmonkey"],
            _ => &[],
        }
    }
}

/// Builds the app in a folder of the repository and returns the file.
///
/// Fast when none of its inputs has changed.
pub fn build(language: Language, folder: &str) -> Result<PathBuf> {
    let place = Place::of(folder)?;
    let _lock = place.lock()?;
    let (file, stamp) = (place.file(&format!("{language:?}.wasm")), place.file(&format!("{language:?}.stamp")));
    let wanted = fingerprint(language, &place.source)?;
    if file.is_file() && fs::read_to_string(&stamp).is_ok_and(|made_of| made_of == wanted) {
        return Ok(file);
    }
    eprintln!("building {folder}");
    let output = place.build(language, &file)?;
    let said = [output.stdout, output.stderr].concat();
    ensure!(output.status.success(), "building {folder} failed, {}:\n{}", output.status, String::from_utf8_lossy(&said));
    fs::write(&stamp, wanted).with_context(|| format!("writing {}", stamp.display()))?;
    Ok(file)
}

/// Builds the app in a folder of the repository unconditionally, and returns the output of `dacapo build`, even if it fails.
pub fn build_anew(language: Language, folder: &str, out: &Path) -> Result<Output> {
    let place = Place::of(folder)?;
    let _lock = place.lock()?;
    place.build(language, out)
}

/// An app and its build directory.
struct Place {
    folder: String,
    source: PathBuf,
    apps: PathBuf,
}

impl Place {
    fn of(folder: &str) -> Result<Self> {
        let source = workspace().join(folder);
        ensure!(source.is_dir(), "{} is not a folder", source.display());
        let apps = workspace().join("target/apps");
        fs::create_dir_all(&apps).with_context(|| format!("creating {}", apps.display()))?;
        Ok(Self { folder: folder.to_owned(), source, apps })
    }

    fn file(&self, extension: &str) -> PathBuf {
        self.apps.join(self.folder.replace('/', "-")).with_extension(extension)
    }

    /// A build writes into the folder of the app, so concurrent processes take turns.
    fn lock(&self) -> Result<File> {
        lock(&self.file("lock"), &self.folder)
    }

    fn build(&self, language: Language, out: &Path) -> Result<Output> {
        self.install_dependencies(language)?;
        let mut command = command(language, "build")?;
        command.arg(&self.source).arg("--out").arg(out).args(language.arguments());
        command.output().context("running `dacapo build`")
    }

    /// Installs the dependencies of an app in JavaScript, as its author would: all except those that the SDK replaces.
    fn install_dependencies(&self, language: Language) -> Result<()> {
        const STOOD_IN_FOR: [&str; 2] = ["@azure/functions", "durable-functions"];
        if language.sdk() != Language::JavaScript.sdk() || self.source.join("node_modules").exists() {
            return Ok(());
        }
        let manifest: Value = serde_json::from_slice(&fs::read(self.source.join("package.json"))?)?;
        let mut dependencies = manifest["dependencies"].as_object().into_iter().flatten();
        if dependencies.all(|(name, _)| STOOD_IN_FOR.contains(&name.as_str())) {
            return Ok(());
        }
        let mut npm = Command::new("npm");
        npm.args(["install", "--no-package-lock", "--omit=dev", "--ignore-scripts", "--no-audit", "--no-fund"]);
        packages::run(npm.arg("--loglevel=error").current_dir(&self.source))
    }
}

/// Returns the command `dacapo VERB`, set up to find the toolchain of a language.
pub fn command(language: Language, verb: &str) -> Result<Command> {
    let mut command = Command::new(binary()?);
    command.arg(verb).arg("--tools").arg(tools_of(language));
    command.env("PATH", path_with_toolchains(language)?).stdin(Stdio::null());
    Ok(command)
}

/// Where the builder of a language keeps what it installs.
pub fn tools_of(language: Language) -> PathBuf {
    workspace().join(format!("target/toolchains/{language:?}"))
}

/// Returns the search path, with the tools of the language first.
pub fn path_with_toolchains(language: Language) -> Result<OsString> {
    let mut path = match language {
        Language::Rust
        | Language::JavaScript
        | Language::StarlingMonkey
        | Language::FSharp
        | Language::Python
        | Language::Wat => Vec::new(),
        Language::Go | Language::C | Language::Cpp | Language::Zig => {
            let environment = packages::python("toolchains/python")?;
            vec![environment.join("bin"), zig_in(&environment)?]
        }
        Language::AssemblyScript | Language::Kotlin => vec![packages::node("toolchains/node")?.join("node_modules/.bin")],
    };
    if language == Language::Kotlin {
        let java = Command::new("java").arg("-version").stderr(Stdio::null()).status();
        ensure!(java.is_ok_and(|status| status.success()), "{JAVA_ADVICE}");
    }
    path.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()));
    Ok(std::env::join_paths(path)?)
}

/// The package has the compiler beside its library, and does not put it on the path.
fn zig_in(environment: &Path) -> Result<PathBuf> {
    let libraries = environment.join("lib");
    let mut versions = fs::read_dir(&libraries).with_context(|| format!("reading {}", libraries.display()))?.flatten();
    let found = versions.find_map(|version| Some(version.path().join("site-packages/ziglang")).filter(|folder| folder.is_dir()));
    found.with_context(|| format!("there is no Zig in {}", libraries.display()))
}

/// Hashes everything that the file depends on: the app, its SDK, the build code, and the toolchain.
fn fingerprint(language: Language, source: &Path) -> Result<String> {
    let mut hasher = DefaultHasher::new();
    let shared = ["guest-sdk/wit", "host/src/build", "tests/toolchains"].map(str::to_owned);
    let sdk = language.sdk().iter().map(|sdk| format!("guest-sdk/{sdk}"));
    let folders = shared.into_iter().chain(sdk).map(|folder| workspace().join(folder));
    for folder in folders.chain([source.to_owned()]) {
        hash_files(&folder, &mut hasher)?;
    }
    Ok(format!("{:016x}", hasher.finish()))
}

fn hash_files(folder: &Path, hasher: &mut DefaultHasher) -> Result<()> {
    /// Folders that tools create.
    const LEFT_BEHIND: [&str; 4] = [".dacapo", "node_modules", "__pycache__", "target"];
    let entries = fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))?;
    let mut entries = entries.collect::<std::io::Result<Vec<_>>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let (name, path) = (entry.file_name(), entry.path());
        if LEFT_BEHIND.iter().any(|left| name == *left) {
            continue;
        }
        name.hash(hasher);
        if entry.file_type()?.is_dir() {
            hash_files(&path, hasher)?;
        } else {
            fs::read(&path).with_context(|| format!("reading {}", path.display()))?.hash(hasher);
        }
    }
    Ok(())
}
