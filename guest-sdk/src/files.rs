//! Access to the directories that the operator granted, for activities. (Feature `files`.)
//!
//! A path is absolute and begins with the name under which a directory was granted, such as `/data`. Other directories
//! are not visible. The failures have the names of WASI's error codes, such as `NoEntry`, `Access`, `IsDirectory`, and
//! `NotGranted` for a path outside of all grants. In an orchestrator, and outside of wasm, every function here fails.
//!
//! ```no_run
//! use dacapo_sdk::files;
//! use dacapo_sdk::prelude::*;
//!
//! #[activity]
//! fn count_lines(path: String) -> Result<usize> {
//!     Ok(files::read_to_string(&path)?.lines().count())
//! }
//! ```

use wasip2::filesystem::preopens;
use wasip2::filesystem::types::{Descriptor, DescriptorFlags, DescriptorType, ErrorCode, OpenFlags, PathFlags};
use wasip2::io::streams::StreamError;

use crate::failure::{Failure, Result};

/// One entry of a directory. Made by [`read_dir`].
///
/// ```no_run
/// # use dacapo_sdk::{Result, files};
/// # fn example() -> Result<()> {
/// for entry in files::read_dir("/data")? {
///     let kind = if entry.kind == files::EntryKind::Directory { "directory" } else { "file" };
///     println!("{kind} {} at {}", entry.name, entry.path);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Entry {
    /// The name in the directory.
    pub name: String,
    /// The full path, for [`read`] and [`read_dir`].
    pub path: String,
    /// The kind of the entry.
    pub kind: EntryKind,
}

/// The kind of an [`Entry`].
///
/// ```no_run
/// # use dacapo_sdk::{Result, files};
/// # fn example() -> Result<()> {
/// let entries = files::read_dir("/data")?;
/// let files = entries.iter().filter(|entry| entry.kind == files::EntryKind::File);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EntryKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link, a device, a socket.
    Other,
}

/// Returns the entries of a directory, sorted by name.
///
/// ```no_run
/// # use dacapo_sdk::{Result, files};
/// # fn example() -> Result<()> {
/// let names: Vec<String> = files::read_dir("/data")?.into_iter().map(|entry| entry.name).collect();
/// # Ok(())
/// # }
/// ```
pub fn read_dir(path: &str) -> Result<Vec<Entry>> {
    let fail = |code| failure(path, code);
    let directory = open(path, OpenFlags::DIRECTORY)?;
    let stream = directory.read_directory().map_err(fail)?;
    let mut entries = Vec::new();
    while let Some(entry) = stream.read_directory_entry().map_err(fail)? {
        let kind = match entry.type_ {
            DescriptorType::RegularFile => EntryKind::File,
            DescriptorType::Directory => EntryKind::Directory,
            _ => EntryKind::Other,
        };
        entries.push(Entry { path: format!("{}/{}", path.trim_end_matches('/'), entry.name), name: entry.name, kind });
    }
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(entries)
}

/// Reads the bytes of a file.
///
/// ```no_run
/// # use dacapo_sdk::{Result, files};
/// # fn example() -> Result<()> {
/// let bytes: Vec<u8> = files::read("/data/picture.png")?;
/// # Ok(())
/// # }
/// ```
pub fn read(path: &str) -> Result<Vec<u8>> {
    let file = open(path, OpenFlags::empty())?;
    let stream = file.read_via_stream(0).map_err(|code| failure(path, code))?;
    let mut bytes = Vec::new();
    loop {
        match stream.blocking_read(CHUNK) {
            Ok(chunk) => bytes.extend(chunk),
            Err(StreamError::Closed) => return Ok(bytes),
            Err(StreamError::LastOperationFailed(error)) => {
                return Err(match wasip2::filesystem::types::filesystem_error_code(&error) {
                    Some(code) => failure(path, code),
                    None => Failure::new("Io", format!("cannot read `{path}`: {}", error.to_debug_string())),
                });
            }
        }
    }
}

/// Reads the text of a file in UTF-8. Fails with `NotUtf8` if the file is not UTF-8.
///
/// ```no_run
/// # use dacapo_sdk::{Result, files};
/// # fn example() -> Result<()> {
/// let text: String = files::read_to_string("/data/notes.txt")?;
/// # Ok(())
/// # }
/// ```
pub fn read_to_string(path: &str) -> Result<String> {
    String::from_utf8(read(path)?)
        .map_err(|error| Failure::new("NotUtf8", format!("`{path}` is not UTF-8 text: {error}")).not_retriable())
}

/// The maximum number of bytes of one read.
const CHUNK: u64 = 65_536;

fn open(path: &str, flags: OpenFlags) -> Result<Descriptor> {
    if cfg!(not(target_family = "wasm")) {
        return Err(Failure::new("Unsupported", "granted directories are available only in an activity that runs on a host"));
    }
    let (root, relative) = granted(path)?;
    root.open_at(PathFlags::SYMLINK_FOLLOW, &relative, flags, DescriptorFlags::READ).map_err(|code| failure(path, code))
}

/// Returns the granted directory that contains a path, and the path relative to it.
fn granted(path: &str) -> Result<(Descriptor, String)> {
    let mut directories = preopens::get_directories();
    directories.sort_by_key(|(_, name)| std::cmp::Reverse(name.len()));
    let names: Vec<String> = directories.iter().map(|(_, name)| format!("`{name}`")).collect();
    let found = directories.into_iter().find_map(|(root, name)| Some((root, relative(path, &name)?)));
    found.ok_or_else(|| {
        let granted = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        Failure::new("NotGranted", format!("`{path}` is not in a granted directory (granted: {granted})")).not_retriable()
    })
}

fn relative(path: &str, directory: &str) -> Option<String> {
    let rest = path.strip_prefix(directory.trim_end_matches('/'))?;
    match rest.trim_start_matches('/') {
        "" => Some(".".to_owned()),
        below if rest.starts_with('/') => Some(below.to_owned()),
        _ => None,
    }
}

fn failure(path: &str, code: ErrorCode) -> Failure {
    // The code `no-entry` becomes the failure `NoEntry`.
    let name: String = code.name().split('-').map(capitalized).collect();
    let failure = Failure::new(name, format!("`{path}`: {}", code.message().trim_end_matches('.')));
    match code {
        ErrorCode::WouldBlock | ErrorCode::Busy | ErrorCode::Interrupted | ErrorCode::Io => failure,
        _ => failure.not_retriable(),
    }
}

fn capitalized(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map(|first| first.to_ascii_uppercase().to_string() + letters.as_str()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_below_a_grant() {
        let check = |path, directory, expected: Option<&str>| assert_eq!(relative(path, directory).as_deref(), expected);
        check("/data", "/data", Some("."));
        check("/data/", "/data", Some("."));
        check("/data/a/b.txt", "/data", Some("a/b.txt"));
        check("/data/a", "/data/", Some("a"));
        check("/database", "/data", None);
        check("/etc/passwd", "/data", None);
        check("/etc/passwd", "/", Some("etc/passwd"));
    }

    #[test]
    fn codes_are_named_for_people() {
        let failure = failure("/data/x", ErrorCode::NoEntry);
        assert!(failure.is("NoEntry") && !failure.retriable, "{failure}");
    }
}
