//! The directories and files of a host: accessible to its user only, and durable.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;

/// Creates a directory and its missing parents, accessible to this user only. They are durable when this returns. A directory
/// that exists is left as it is.
pub fn make(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    make(parent)?;
    match fs::DirBuilder::new().mode(0o700).create(path) {
        // Another process was faster.
        Err(why) if why.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        Err(why) => Err(why),
        Ok(()) => fs::File::open(parent)?.sync_all(),
    }
}

/// Fails if a path belongs to another user, who could put other keys, inputs and code there whatever its mode is.
pub fn belong_to_this_user(path: &Path) -> anyhow::Result<()> {
    belong_to(path, rustix::process::geteuid().as_raw())
}

fn belong_to(path: &Path, user: u32) -> anyhow::Result<()> {
    const ROOT: u32 = 0;
    let looking = || format!("looking at {}", path.display());
    let (link, found) = (fs::symlink_metadata(path).with_context(looking)?, fs::metadata(path).with_context(looking)?);
    // The path may be a symbolic link that the administrator of the machine has made.
    let owner = if link.uid() == ROOT { found.uid() } else { link.uid() };
    for owner in [owner, found.uid()] {
        anyhow::ensure!(
            owner == user,
            "{} belongs to another user of this machine (id {owner}; this process runs as {user}), who can put other keys and \
             code there: change its owner, such as with `chown -R {user} {0}`, or name another directory with --data",
            path.display()
        );
    }
    Ok(())
}

/// Removes the permissions of other users on a file or directory, if it exists, and logs that. Returns whether they could write.
pub fn close_to_others(path: &Path) -> anyhow::Result<bool> {
    Ok(take_from_others(path, 0o077)? & WRITE != 0)
}

/// Removes only the write permissions of other users, on a directory that may hold files which are not the host's. Fails, and
/// changes nothing, on a directory that all users share, such as /tmp.
pub fn keep_others_from_writing(path: &Path) -> anyhow::Result<()> {
    const STICKY: u32 = 0o1000;
    let mode = mode_of(path)?.unwrap_or_default();
    anyhow::ensure!(
        mode & STICKY == 0 || mode & WRITE == 0,
        "{} is a directory that all users of this machine can write to (mode {mode:o}): set one within it with --data, like {}",
        path.display(),
        path.join("dacapo-data").display()
    );
    take_from_others(path, WRITE).map(drop)
}

const WRITE: u32 = 0o022;

/// None: it does not exist.
fn mode_of(path: &Path) -> anyhow::Result<Option<u32>> {
    match fs::metadata(path) {
        Ok(found) => Ok(Some(found.permissions().mode() & 0o7777)),
        Err(why) if why.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(why) => Err(why).with_context(|| format!("looking at {}", path.display())),
    }
}

/// Returns the permissions that were removed.
fn take_from_others(path: &Path, permissions: u32) -> anyhow::Result<u32> {
    let mode = mode_of(path)?.unwrap_or_default();
    let taken = mode & permissions;
    if taken == 0 {
        return Ok(0);
    }
    fs::set_permissions(path, fs::Permissions::from_mode(mode & !permissions)).with_context(|| {
        format!(
            "other users of this machine can reach {} (mode {mode:o}), which holds keys and data of instances, and its mode \
             cannot be changed: change its owner to this user, or run `chmod go= {0}`",
            path.display()
        )
    })?;
    let (could, now) = match taken & !WRITE {
        0 => ("write there", "read, as before, but not write"),
        _ => ("reach it", "not"),
    };
    tracing::warn!(path = %path.display(), "other users of this machine could {could} (mode {mode:o}); now they can {now}");
    Ok(taken)
}

/// Empties a directory.
pub fn empty(path: &Path) -> io::Result<()> {
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        match entry.file_type()?.is_dir() {
            true => fs::remove_dir_all(entry.path())?,
            false => fs::remove_file(entry.path())?,
        }
    }
    Ok(())
}

/// The path of the control file in a data directory.
pub fn control_path(data: &Path) -> PathBuf {
    data.join("control.redb")
}

/// The identity of a file, apart from its name: a file that replaces it has another identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    path: PathBuf,
    /// Device and inode. None: they could not be read, so a replacement cannot be detected.
    file: Option<(u64, u64)>,
}

impl Identity {
    /// The identity of a file that was opened. It may be gone already.
    pub fn of(path: &Path) -> Self {
        let file = fs::metadata(path).ok().map(|found| (found.dev(), found.ino()));
        Self { path: path.to_owned(), file }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the file was removed or replaced. If that cannot be checked, it is assumed to be there.
    pub fn has_vanished(&self) -> bool {
        match fs::metadata(&self.path) {
            Ok(found) => self.file.is_some_and(|file| file != (found.dev(), found.ino())),
            Err(why) => why.kind() == io::ErrorKind::NotFound,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    /// systemd creates a StateDirectory that all users may read.
    #[test]
    fn what_others_can_read_is_closed_to_them() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("control.redb");
        fs::write(&file, "keys").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(!close_to_others(&file).unwrap(), "they could read, not write");
        assert_eq!(mode(&file), 0o600);
        assert!(!close_to_others(&directory.path().join("missing")).unwrap());
        fs::set_permissions(&file, fs::Permissions::from_mode(0o662)).unwrap();
        assert!(close_to_others(&file).unwrap());
        assert_eq!(mode(&file), 0o600);
    }

    /// A data directory of mode 0777 was left as it was: any user could replace the control file or the code.
    #[test]
    fn others_do_not_write_where_our_files_lie() {
        let directory = tempfile::tempdir().unwrap();
        let with = |mode: u32| fs::set_permissions(directory.path(), fs::Permissions::from_mode(mode)).unwrap();
        for (before, after) in [(0o777, 0o755), (0o770, 0o750), (0o755, 0o755), (0o1755, 0o755), (0o700, 0o700)] {
            with(before);
            keep_others_from_writing(directory.path()).unwrap();
            assert_eq!(mode(directory.path()), after, "{before:o}");
        }
        with(0o1777);
        let refusal = keep_others_from_writing(directory.path()).unwrap_err().to_string();
        assert!(refusal.contains("--data") && mode(directory.path()) == 0o777, "{refusal}");
    }

    #[test]
    fn what_belongs_to_somebody_else_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        belong_to_this_user(directory.path()).unwrap();
        let user = fs::metadata(directory.path()).unwrap().uid();
        let refusal = belong_to(directory.path(), user + 1).unwrap_err().to_string();
        assert!(refusal.contains("another user") && refusal.contains("chown -R") && refusal.contains("--data"), "{refusal}");
    }

    #[test]
    fn a_directory_is_emptied() {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("a")).unwrap();
        fs::write(directory.path().join("a/b"), "").unwrap();
        fs::write(directory.path().join("c"), "").unwrap();
        empty(directory.path()).unwrap();
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    }

    #[test]
    fn directories_are_made_for_this_user_only() {
        let directory = tempfile::tempdir().unwrap();
        let deep = directory.path().join("a/b/c");
        make(&deep).unwrap();
        make(&deep).unwrap();
        for made in [&deep, &directory.path().join("a")] {
            assert_eq!(mode(made), 0o700);
        }
    }

    #[test]
    fn a_file_that_is_removed_or_replaced_has_vanished() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("hub.redb");
        fs::write(&path, "1").unwrap();
        let kept = fs::File::open(&path).unwrap();
        let file = Identity::of(&path);
        assert!(!file.has_vanished());
        fs::remove_file(&path).unwrap();
        assert!(file.has_vanished());
        assert!(Identity::of(&path).has_vanished(), "it went before it was looked at");
        fs::write(&path, "2").unwrap();
        assert!(file.has_vanished());
        drop(kept);
    }
}
