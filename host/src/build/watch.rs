use std::collections::BTreeMap;
use std::fs::{self, Metadata};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, SystemTime};

use sha2::{Digest as _, Sha256};

use super::Language;
use super::functions::SETTINGS_FILE;

/// Folders and files that tools write beside the sources, and that change with each build.
const FOLDERS_LEFT_OUT: [&str; 9] = ["__pycache__", "build", "dist", "env", "node_modules", "obj", "target", "venv", "zig-out"];
const FILES_LEFT_OUT: [&str; 3] = ["Cargo.lock", "go.sum", "package-lock.json"];

/// Extensions of files that describe an app, in any language.
const DESCRIPTIONS: &[&str] = &["json", "wit"];

/// Extensions of files that sources often include, in languages that can include any (`include_str!`, `go:embed`, `@embedFile`).
const INCLUDED: &[&str] = &["bin", "css", "csv", "html", "md", "proto", "sql", "tmpl", "toml", "txt", "xml", "yaml", "yml"];

/// Notices changes of the files that the build of an app reads: sources and descriptions, recognised by their extensions. Other
/// files in the folder, such as a log, are ignored.
///
/// It polls rather than asking the system for notifications: that works alike on every system, over a network and in a
/// container, and an app has few files. A recursive watch would also cover folders of packages and of build output.
pub struct Watch {
    folder: PathBuf,
    language: Language,
    seen: Snapshot,
}

/// The modification time and length of each file.
type Snapshot = BTreeMap<PathBuf, (Option<SystemTime>, u64)>;

impl Watch {
    pub fn new(folder: &Path, language: Language) -> Self {
        Self { folder: folder.to_owned(), language, seen: snapshot(folder, language) }
    }

    /// Returns once something has changed since the last call, and then nothing for a moment.
    pub fn wait_for_change(&mut self, pause: Duration) {
        while !self.has_changed() {
            thread::sleep(pause);
        }
        // An editor writes several files, and a file in several steps.
        loop {
            thread::sleep(pause);
            if !self.has_changed() {
                return;
            }
        }
    }

    /// A digest of the contents of the files that become part of the app: a file may be written without a change, and the settings
    /// of this machine are watched only.
    pub fn contents(&self) -> [u8; 32] {
        let mut digest = Sha256::new();
        let is_built = |path: &&PathBuf| path.file_name().is_none_or(|name| name != SETTINGS_FILE);
        for path in self.seen.keys().filter(is_built) {
            // A file removed meanwhile is noticed as a change.
            let held = fs::read(path).unwrap_or_default();
            digest.update(path.as_os_str().as_encoded_bytes());
            digest.update((held.len() as u64).to_be_bytes());
            digest.update(held);
        }
        digest.finalize().into()
    }

    fn has_changed(&mut self) -> bool {
        let now = snapshot(&self.folder, self.language);
        std::mem::replace(&mut self.seen, now) != self.seen
    }
}

fn snapshot(folder: &Path, language: Language) -> Snapshot {
    let mut files = Snapshot::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        // A folder removed meanwhile is noticed as a change.
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let (name, path) = (entry.file_name(), entry.path());
            let name = name.to_string_lossy();
            // A link to a folder may form a cycle.
            let is_link = entry.file_type().is_ok_and(|kind| kind.is_symlink());
            match fs::metadata(&path) {
                _ if name.starts_with('.') => {}
                Ok(found) if found.is_dir() && !is_link && !FOLDERS_LEFT_OUT.contains(&&*name) => folders.push(path),
                Ok(found) if found.is_file() && is_read(&name, language) => drop(files.insert(path, state(&found))),
                Ok(_) | Err(_) => {}
            }
        }
    }
    files
}

/// Whether the build of an app in this language reads files of this name.
fn is_read(name: &str, language: Language) -> bool {
    let Some(end) = Path::new(name).extension().and_then(|end| end.to_str()) else { return false };
    let (sources, others) = ends(language);
    !FILES_LEFT_OUT.contains(&name) && [sources, others, DESCRIPTIONS].iter().any(|ends| ends.contains(&end))
}

/// The extensions of a language's sources, and of other files that its builds read.
fn ends(language: Language) -> (&'static [&'static str], &'static [&'static str]) {
    match language {
        Language::Rust => (&["rs"], INCLUDED),
        Language::JavaScript => (&["ts", "mts", "cts", "tsx", "js", "mjs", "cjs", "jsx"], &[]),
        Language::FSharp => (&["fs", "fsi", "fsx", "fsproj", "props"], &["js", "mjs"]),
        Language::Python => (&["py", "pyi"], &["cfg", "ini", "toml", "txt"]),
        Language::Go => (&["go", "mod", "s"], INCLUDED),
        Language::C => (&["c", "h", "inc"], &[]),
        Language::Cpp => (&["cpp", "cc", "cxx", "hpp", "hh", "hxx", "h", "c", "inc"], &[]),
        Language::Zig => (&["zig", "zon"], INCLUDED),
        Language::AssemblyScript => (&["ts"], &[]),
        Language::Kotlin => (&["kt", "kts"], &["toml"]),
        Language::Wat => (&["wat"], &[]),
    }
}

fn state(found: &Metadata) -> (Option<SystemTime>, u64) {
    (found.modified().ok(), found.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_noticed_and_what_is_built_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = directory.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("src/app.ts", "1");
        let mut watch = Watch::new(directory.path(), Language::JavaScript);
        assert!(!watch.has_changed());
        let before = watch.contents();
        write("src/app.ts", "22");
        assert!(watch.has_changed() && !watch.has_changed());
        assert_ne!(watch.contents(), before);
        write("src/app.ts", "1");
        assert!(watch.has_changed());
        assert_eq!(watch.contents(), before, "what was written is what was there");
        write("src/more/new.ts", "");
        assert!(watch.has_changed());
        for built in ["app.wasm", "Cargo.lock", "target/x", "node_modules/a/b.js", ".dacapo/app", "src/.app.ts.swp"] {
            write(built, "built");
        }
        assert!(!watch.has_changed());
        // `dacapo dev > dev.log` in the app's folder was triggered by its own log, for ever.
        for unrelated in ["dev.log", "notes.md", "src/core", "data.csv", "src/app.ts~", "src/other.py"] {
            write(unrelated, "of somebody else");
        }
        assert!(!watch.has_changed());
        write("package.json", "{}");
        assert!(watch.has_changed());
        let before = watch.contents();
        write("local.settings.json", "{}");
        assert!(watch.has_changed());
        assert_eq!(watch.contents(), before, "no build reads them");
        fs::remove_file(directory.path().join("src/app.ts")).unwrap();
        assert!(watch.has_changed());
    }

    #[test]
    fn each_language_has_sources_of_its_own() {
        for (language, read, not) in [
            (Language::Rust, ["src/lib.rs", "Cargo.toml", "src/page.html"], ["dev.log", "Cargo.lock", "a.wasm"]),
            (Language::Python, ["function_app.py", "requirements.txt", "host.json"], ["dev.log", "a.pyc", "a.wasm"]),
            (Language::FSharp, ["App.fs", "App.fsproj", "native.js"], ["dev.log", "notes.txt", "a.wasm"]),
            (Language::Go, ["main.go", "go.mod", "page.tmpl"], ["dev.log", "go.sum", "a.wasm"]),
            (Language::Cpp, ["a.cpp", "a.h", "dacapo.json"], ["dev.log", "a.o", "a.wasm"]),
            (Language::Wat, ["a.wat", "dacapo.json", "a.manifest.json"], ["dev.log", "a", "a.wasm"]),
        ] {
            let name = |path: &str| path.rsplit('/').next().unwrap().to_owned();
            assert!(read.iter().all(|path| is_read(&name(path), language)), "{language}: {read:?}");
            assert!(!not.iter().any(|path| is_read(&name(path), language)), "{language}: {not:?}");
        }
    }
}
