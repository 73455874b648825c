//! The SDKs, which are embedded in this binary and written beside the sources of an app.
//!
//! An app refers to its SDK by a path in its own folder, so it builds without a registry, and the SDK is always the one of
//! the host that it is built for.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use sha2::{Digest as _, Sha256};

use super::{BuildError, Language, OWN_FOLDER};

/// The folder of SDKs in the folder of an app.
pub(super) const FOLDER: &str = ".dacapo/sdk";

/// The files of `guest-sdk`, by their paths in it.
static FILES: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/sdk.rs"));

impl Language {
    /// The folders of its SDK: that of F# sits on that of JavaScript.
    const fn sdk(self) -> &'static [&'static str] {
        match self {
            Language::Rust => &["rust"],
            Language::JavaScript => &["javascript"],
            Language::FSharp => &["fsharp", "javascript"],
            Language::Python => &["python"],
            Language::Go => &["go"],
            Language::C | Language::Cpp => &["c"],
            Language::Zig | Language::AssemblyScript | Language::Kotlin | Language::Wat => &[],
        }
    }
}

/// Writes the SDK of a language into the folder of an app, unless the same one is there.
pub(super) fn write(app: &Path, language: Language) -> Result<(), BuildError> {
    if language.sdk().is_empty() {
        return Ok(());
    }
    ignore_own_folder(app)?;
    language.sdk().iter().try_for_each(|sdk| write_folder(app, sdk))
}

/// Writes one folder of SDKs, with the contract.
fn write_folder(app: &Path, sdk: &str) -> Result<(), BuildError> {
    let folder = app.join(FOLDER);
    let (stamp, digest) = (folder.join(format!("{sdk}.sha256")), digest(sdk));
    if fs::read_to_string(&stamp).is_ok_and(|written| written == digest) {
        return Ok(());
    }
    // Files that are no longer part of it must go. The stamp means that the SDK is whole, so it goes first and is written last.
    for stale in [&stamp, &folder.join(sdk)] {
        remove(stale).map_err(BuildError::file("removing", stale))?;
    }
    for (path, bytes) in files(sdk) {
        let path = folder.join(path);
        make_parent(&path)?;
        fs::write(&path, bytes).map_err(BuildError::file("writing", &path))?;
    }
    fs::write(&stamp, digest).map_err(BuildError::file("writing", &stamp))
}

/// Makes git ignore the folder: nothing in it is a source of the app.
fn ignore_own_folder(app: &Path) -> Result<(), BuildError> {
    let path = app.join(OWN_FOLDER).join(".gitignore");
    if path.exists() {
        return Ok(());
    }
    make_parent(&path)?;
    fs::write(&path, "*\n").map_err(BuildError::file("writing", &path))
}

/// The files of an SDK and of the contract, by their paths below [`FOLDER`].
fn files(sdk: &str) -> impl Iterator<Item = (String, &'static [u8])> {
    FILES.iter().filter_map(move |&(path, bytes)| Some((place(sdk, path)?, bytes)))
}

/// The path in an app of a file of `guest-sdk`. The Rust SDK is that folder itself, with the contract inside the crate.
fn place(sdk: &str, path: &str) -> Option<String> {
    const OF_RUST: [&str; 4] = ["Cargo.toml", "src", "macros", "wit"];
    let top = path.split('/').next()?;
    match sdk {
        "rust" => OF_RUST.contains(&top).then(|| format!("rust/{path}")),
        _ => (top == sdk || top == "wit").then(|| path.to_owned()),
    }
}

fn digest(sdk: &str) -> String {
    let mut digest = Sha256::new();
    for (path, bytes) in files(sdk) {
        digest.update((path.len() as u64).to_le_bytes());
        digest.update(path);
        digest.update((bytes.len() as u64).to_le_bytes());
        digest.update(bytes);
    }
    digest.finalize().iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a string takes everything");
        text
    })
}

fn make_parent(path: &Path) -> Result<(), BuildError> {
    let parent = path.parent().expect("the path has a file name");
    fs::create_dir_all(parent).map_err(BuildError::file("making", parent))
}

fn remove(path: &Path) -> std::io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(there) if there.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(why) if why.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(why) => Err(why),
    }
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum as _;

    use super::*;

    #[test]
    fn every_sdk_comes_whole_with_the_contract() {
        for sdk in Language::value_variants().iter().flat_map(|language| language.sdk()) {
            let paths: Vec<String> = files(sdk).map(|(path, _)| path).collect();
            assert!(paths.iter().any(|path| path.ends_with("wit/dacapo.wit")), "{sdk}: {paths:?}");
            assert!(paths.iter().any(|path| path.starts_with(&format!("{sdk}/"))), "{sdk}: {paths:?}");
        }
        let of_rust: Vec<String> = files("rust").map(|(path, _)| path).collect();
        for path in ["rust/Cargo.toml", "rust/src/lib.rs", "rust/macros/src/lib.rs", "rust/wit/dacapo.wit"] {
            assert!(of_rust.iter().any(|there| there == path), "{path} is not in {of_rust:?}");
        }
    }

    #[test]
    fn tests_and_what_tools_make_stay_behind() {
        let behind = ["/tests/", "/test/", "/node_modules/", "/__pycache__/", "/target/"];
        let found = FILES.iter().find(|(path, _)| behind.iter().any(|folder| path.contains(folder)));
        assert_eq!(found.map(|(path, _)| path), None);
    }

    #[test]
    fn a_written_sdk_is_left_alone_until_it_differs() {
        let app = tempfile::tempdir().unwrap();
        let sdk = app.path().join(FOLDER);
        let written = sdk.join("python/build.py");
        write(app.path(), Language::Python).unwrap();
        assert!(written.is_file() && sdk.join("wit/dacapo.wit").is_file() && !sdk.join("javascript").exists());
        assert_eq!(fs::read_to_string(app.path().join(".dacapo/.gitignore")).unwrap(), "*\n");

        fs::write(&written, "changed").unwrap();
        write(app.path(), Language::Python).unwrap();
        assert_eq!(fs::read_to_string(&written).unwrap(), "changed");

        fs::write(sdk.join("python/gone.py"), "of an older release").unwrap();
        fs::write(sdk.join("python.sha256"), "another release").unwrap();
        write(app.path(), Language::Python).unwrap();
        assert_ne!(fs::read_to_string(&written).unwrap(), "changed");
        assert!(!sdk.join("python/gone.py").exists());
    }
}
