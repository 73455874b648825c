//! Apps in languages other than Rust: built by `dacapo build`, as their authors build them, with tool chains that are pinned in
//! `tests/toolchains`.

use std::ffi::OsString;
use std::fs;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};

use crate::host::binary;
use crate::packages::{self, lock};
use crate::workspace;

/// What an app is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    JavaScript,
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
    /// The folder of its SDK in `guest-sdk`.
    fn sdk(self) -> Option<&'static str> {
        match self {
            Self::JavaScript => Some("javascript"),
            Self::Python => Some("python"),
            Self::Go => Some("go"),
            Self::C | Self::Cpp => Some("c"),
            Self::Zig | Self::AssemblyScript | Self::Kotlin | Self::Wat => None,
        }
    }
}

/// Builds the app in a folder of the repository and returns the file.
///
/// Cheap while nothing has changed that it is made of. Builds of several processes wait for each other.
pub fn build(language: Language, folder: &str) -> Result<PathBuf> {
    let source = workspace().join(folder);
    ensure!(source.is_dir(), "{} is no folder", source.display());
    let apps = workspace().join("target/apps");
    fs::create_dir_all(&apps).with_context(|| format!("creating {}", apps.display()))?;
    let name = folder.replace('/', "-");
    let [file, stamp, lock_file] = ["wasm", "stamp", "lock"].map(|extension| apps.join(&name).with_extension(extension));
    let _lock = lock(&lock_file, folder)?;
    let wanted = fingerprint(language, &source)?;
    if file.is_file() && fs::read_to_string(&stamp).is_ok_and(|made_of| made_of == wanted) {
        return Ok(file);
    }
    eprintln!("building {folder}");
    let mut command = Command::new(binary()?);
    command.arg("build").arg(&source).arg("--out").arg(&file);
    command.arg("--tools").arg(workspace().join(format!("target/toolchains/{language:?}")));
    command.env("PATH", path_with_toolchains(language)?).stdin(Stdio::null());
    let output = command.output().context("running `dacapo build`")?;
    let said = [output.stdout, output.stderr].concat();
    ensure!(output.status.success(), "building {folder} failed, {}:\n{}", output.status, String::from_utf8_lossy(&said));
    fs::write(&stamp, wanted).with_context(|| format!("writing {}", stamp.display()))?;
    Ok(file)
}

/// The search path, with what the language needs before everything else.
pub fn path_with_toolchains(language: Language) -> Result<OsString> {
    let mut path = match language {
        Language::JavaScript | Language::Python | Language::Wat => Vec::new(),
        Language::Go | Language::C | Language::Cpp | Language::Zig => {
            let environment = packages::python("toolchains/python")?;
            vec![environment.join("bin"), zig_in(&environment)?]
        }
        Language::AssemblyScript | Language::Kotlin => vec![packages::node("toolchains/node")?.join("node_modules/.bin")],
    };
    path.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()));
    Ok(std::env::join_paths(path)?)
}

/// The package holds the compiler beside its library, and puts none on the path.
fn zig_in(environment: &Path) -> Result<PathBuf> {
    let libraries = environment.join("lib");
    let mut versions = fs::read_dir(&libraries).with_context(|| format!("reading {}", libraries.display()))?.flatten();
    let found = versions.find_map(|version| Some(version.path().join("site-packages/ziglang")).filter(|folder| folder.is_dir()));
    found.with_context(|| format!("there is no Zig in {}", libraries.display()))
}

/// Of everything that the file is made of: the app, its SDK, how it is built, and with what.
fn fingerprint(language: Language, source: &Path) -> Result<String> {
    let mut hasher = DefaultHasher::new();
    let shared = ["guest-sdk/wit", "host/src/build", "tests/toolchains"].map(str::to_owned);
    let sdk = language.sdk().map(|sdk| format!("guest-sdk/{sdk}"));
    let folders = shared.into_iter().chain(sdk).map(|folder| workspace().join(folder));
    for folder in folders.chain([source.to_owned()]) {
        hash_files(&folder, &mut hasher)?;
    }
    Ok(format!("{:016x}", hasher.finish()))
}

fn hash_files(folder: &Path, hasher: &mut DefaultHasher) -> Result<()> {
    /// What tools leave behind.
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
