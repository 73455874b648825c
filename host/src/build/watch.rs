use std::collections::BTreeMap;
use std::fs::{self, Metadata};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, SystemTime};

/// What tools write beside the sources, so that it changes with each build.
const FOLDERS_LEFT_OUT: [&str; 8] = ["__pycache__", "build", "dist", "env", "node_modules", "target", "venv", "zig-out"];
const FILES_LEFT_OUT: [&str; 3] = ["Cargo.lock", "go.sum", "package-lock.json"];
const MODULE: &str = "wasm";

/// Notices that files below a folder have changed.
///
/// It looks, again and again, rather than asking the system to be told: that works alike on every system, over a network and
/// in a container, and an app has few files.
pub struct Watch {
    folder: PathBuf,
    seen: Snapshot,
}

/// When each file was written last, and how long it is.
type Snapshot = BTreeMap<PathBuf, (Option<SystemTime>, u64)>;

impl Watch {
    pub fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), seen: snapshot(folder) }
    }

    /// Returns when something has changed since the last time, and has been left alone for a moment.
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

    fn has_changed(&mut self) -> bool {
        let now = snapshot(&self.folder);
        std::mem::replace(&mut self.seen, now) != self.seen
    }
}

fn snapshot(folder: &Path) -> Snapshot {
    let mut files = Snapshot::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        // What has gone meanwhile has changed.
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let (name, path) = (entry.file_name(), entry.path());
            let name = name.to_string_lossy();
            // A link to a folder may lead in a circle.
            let is_link = entry.file_type().is_ok_and(|kind| kind.is_symlink());
            match fs::metadata(&path) {
                _ if name.starts_with('.') => {}
                Ok(found) if found.is_dir() && !is_link && !FOLDERS_LEFT_OUT.contains(&&*name) => folders.push(path),
                Ok(found) if found.is_file() && is_source(&name) => drop(files.insert(path, state(&found))),
                Ok(_) | Err(_) => {}
            }
        }
    }
    files
}

fn is_source(name: &str) -> bool {
    !FILES_LEFT_OUT.contains(&name) && Path::new(name).extension().is_none_or(|end| end != MODULE)
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
        let mut watch = Watch::new(directory.path());
        assert!(!watch.has_changed());
        write("src/app.ts", "22");
        assert!(watch.has_changed() && !watch.has_changed());
        write("src/more/new.ts", "");
        assert!(watch.has_changed());
        for built in ["app.wasm", "Cargo.lock", "target/x", "node_modules/a/b.js", ".dacapo/app", "src/.app.ts.swp"] {
            write(built, "built");
        }
        assert!(!watch.has_changed());
        fs::remove_file(directory.path().join("src/app.ts")).unwrap();
        assert!(watch.has_changed());
    }
}
