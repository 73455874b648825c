//! Finds the programs that build apps on the path, and runs them with visible output.

use std::env;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::fs::{Access, access};

use super::{BuildError, Language};

/// A program that building in a language needs.
pub(super) struct Tool {
    pub language: Language,
    /// Its name on the path.
    pub name: &'static str,
    /// How to install it, a line for each system.
    pub how: &'static [&'static str],
}

impl Tool {
    pub fn find(&self) -> Result<PathBuf, BuildError> {
        find(self.name).ok_or_else(|| self.missing())
    }

    pub fn missing(&self) -> BuildError {
        BuildError::ToolMissing { tool: self.name, language: self.language, how: self.how }
    }
}

/// Finds a program on the path.
pub(super) fn find(name: &str) -> Option<PathBuf> {
    folders().map(|folder| folder.join(name)).find(|path| is_program(path))
}

/// Finds all programs of a name on the path, also with a version number, as Debian names them: the newest first, and those
/// without a number last.
pub(super) fn find_versions(name: &str) -> Vec<PathBuf> {
    let entries = folders().filter_map(|folder| folder.read_dir().ok()).flatten().flatten();
    let mut found: Vec<(Option<u32>, PathBuf)> = entries
        .filter_map(|entry| Some((version_of(entry.file_name().to_str()?, name)?, entry.path())))
        .filter(|(_, path)| is_program(path))
        .collect();
    found.sort_by(|(one, _), (other, _)| other.cmp(one));
    found.into_iter().map(|(_, path)| path).collect()
}

/// The 19 of `clang-19`; none of `clang`.
fn version_of(file: &str, name: &str) -> Option<Option<u32>> {
    match file.strip_prefix(name)? {
        "" => Some(None),
        version => version.strip_prefix('-')?.parse().ok().map(Some),
    }
}

fn folders() -> impl Iterator<Item = PathBuf> {
    env::split_paths(&env::var_os("PATH").unwrap_or_default()).collect::<Vec<_>>().into_iter()
}

fn is_program(path: &Path) -> bool {
    path.is_file() && access(path, Access::EXEC_OK).is_ok()
}

/// Runs a step of a build to its end. Its output is not the output of this program, so all of it goes to standard error.
pub(super) fn run(command: &mut Command) -> Result<(), BuildError> {
    let status = command.stdin(Stdio::null()).stdout(io::stderr()).status();
    let program = Path::new(command.get_program()).to_owned();
    let status = status.map_err(BuildError::file("running", &program))?;
    match status.success() {
        true => Ok(()),
        false => Err(failed(&program, status)),
    }
}

/// The same, but returns what it writes to standard output.
pub(super) fn run_for_output(command: &mut Command) -> Result<Vec<u8>, BuildError> {
    let output = command.stdin(Stdio::null()).stderr(Stdio::inherit()).output();
    let program = Path::new(command.get_program()).to_owned();
    let output = output.map_err(BuildError::file("running", &program))?;
    match output.status.success() {
        true => Ok(output.stdout),
        false => Err(failed(&program, output.status)),
    }
}

fn failed(program: &Path, status: std::process::ExitStatus) -> BuildError {
    let tool = program.file_name().unwrap_or(program.as_os_str()).to_string_lossy().into_owned();
    BuildError::ToolFailed { tool, status }
}

/// Runs a program, and returns its standard output if it succeeds.
pub(super) fn answer(command: &mut Command) -> Option<String> {
    let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_from_names() {
        assert_eq!(version_of("clang-19", "clang"), Some(Some(19)));
        assert_eq!(version_of("clang", "clang"), Some(None));
        assert_eq!(version_of("clang++-19", "clang"), None);
        assert_eq!(version_of("clang-format", "clang"), None);
        assert!(Some(19) > None, "numbers come before the plain name");
    }
}
