//! Packages of other languages that the tests need: pinned in folders of `tests`, installed below `target`, and reinstalled only
//! when the pins change.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};

use crate::workspace;

/// The minimum versions that the pinned packages need.
const PYTHON_MINIMUM: (u32, u32) = (3, 11);
const NODE_MINIMUM: (u32, u32) = (20, 0);
const NPM_MINIMUM: (u32, u32) = (8, 0);

const PYTHON_ADVICE: &str = "The tests of other languages need Python 3.11 or newer with pip and venv, as `python3` on the path. \
                             On Debian: apt-get install python3 python3-venv";
const NODE_ADVICE: &str = "The tests of other languages need Node.js 20 or newer with npm, as `node` and `npm` on the path. \
                           On Debian: apt-get install nodejs npm";
const OFFLINE_ADVICE: &str = "The packages are fetched once, so this needs a network, or a mirror that the package manager is \
                              configured for";

/// Returns a virtual environment with the packages of `requirements.txt` in `tests/PINS`, installed as `target/PINS`.
pub fn python(pins: &str) -> Result<PathBuf> {
    let (program, version) = find_python().context(PYTHON_ADVICE)?;
    install(pins, &["requirements.txt"], &version, |directory, source| {
        run(Command::new(program).args(["-m", "venv", "--clear"]).arg(directory)).context(PYTHON_ADVICE)?;
        let mut pip = Command::new(directory.join("bin/python"));
        pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes", "--requirement"]);
        run(pip.arg(source.join("requirements.txt"))).context(OFFLINE_ADVICE)
    })
}

/// Returns a folder whose `node_modules` follow `package-lock.json` in `tests/PINS`, installed as `target/PINS`.
pub fn node(pins: &str) -> Result<PathBuf> {
    let version = version_of("node", &["--version"]).context(NODE_ADVICE)?;
    ensure!(at_least(&version, NODE_MINIMUM), "`node` is {version}. {NODE_ADVICE}");
    let npm = version_of("npm", &["--version"]).context(NODE_ADVICE)?;
    ensure!(at_least(&npm, NPM_MINIMUM), "`npm` is {npm}. {NODE_ADVICE}");
    let files = ["package.json", "package-lock.json"];
    install(pins, &files, &version, |directory, source| {
        for file in files {
            fs::copy(source.join(file), directory.join(file)).with_context(|| format!("copying {file}"))?;
        }
        let arguments = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"];
        run(Command::new("npm").args(arguments).current_dir(directory)).context(OFFLINE_ADVICE)
    })
}

/// Returns the folder `target/PINS`; `make` creates it again if the files or the interpreter have changed. Concurrent processes
/// take turns.
fn install(pins: &str, files: &[&str], version: &str, make: impl FnOnce(&Path, &Path) -> Result<()>) -> Result<PathBuf> {
    let source = workspace().join("tests").join(pins);
    let directory = workspace().join("target").join(pins);
    let above = directory.parent().context("pins lie in a folder")?;
    fs::create_dir_all(above).with_context(|| format!("creating {}", above.display()))?;
    let _lock = lock(&directory.with_extension("lock"), pins)?;
    let stamp = directory.join(".installed");
    let mut wanted = format!("{version}\n");
    for file in files {
        wanted += &fs::read_to_string(source.join(file)).with_context(|| format!("reading the pins in {file}"))?;
    }
    if fs::read_to_string(&stamp).is_ok_and(|made_with| made_with == wanted) {
        return Ok(directory);
    }
    eprintln!("installing the pinned packages of {pins} in {}", directory.display());
    if directory.exists() {
        fs::remove_dir_all(&directory).with_context(|| format!("removing {}", directory.display()))?;
    }
    fs::create_dir_all(&directory).with_context(|| format!("creating {}", directory.display()))?;
    make(&directory, &source).with_context(|| format!("installing the pinned packages of {pins}"))?;
    fs::write(&stamp, wanted).with_context(|| format!("writing {}", stamp.display()))?;
    Ok(directory)
}

/// Locks a file until the result is dropped.
pub(crate) fn lock(path: &Path, what: &str) -> Result<File> {
    let file = File::create(path).with_context(|| format!("creating {}", path.display()))?;
    if file.try_lock().is_err() {
        eprintln!("waiting for another process or test that builds {what}");
        file.lock().with_context(|| format!("locking {}", path.display()))?;
    }
    Ok(file)
}

/// Returns the first interpreter on the path that is new enough, and its version.
fn find_python() -> Result<(&'static str, String)> {
    let mut found = Vec::new();
    for program in ["python3", "python3.13", "python3.12", "python3.11", "python"] {
        let Ok(version) = version_of(program, &["-c", "import sys; print('%d.%d.%d' % sys.version_info[:3])"]) else { continue };
        if at_least(&version, PYTHON_MINIMUM) {
            return Ok((program, version));
        }
        found.push(format!("`{program}` is {version}"));
    }
    bail!("found no Python that is new enough ({})", if found.is_empty() { "none at all".into() } else { found.join(", ") })
}

fn version_of(program: &str, arguments: &[&str]) -> Result<String> {
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).stderr(Stdio::null()).output();
    let output = output.with_context(|| format!("starting `{program}`"))?;
    ensure!(output.status.success(), "`{program}` does not print its version: {}", output.status);
    Ok(String::from_utf8_lossy(&output.stdout).trim().trim_start_matches('v').to_owned())
}

fn at_least(version: &str, minimum: (u32, u32)) -> bool {
    let mut numbers = version.split('.').map_while(|number| number.parse().ok());
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) >= minimum
}

/// Runs a command to its end. The error contains its output.
pub fn run(command: &mut Command) -> Result<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    let arguments = command.get_args().map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ");
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("starting `{program} {arguments}`"))?;
    let said = [output.stdout, output.stderr].concat();
    ensure!(output.status.success(), "`{program} {arguments}` failed, {}:\n{}", output.status, String::from_utf8_lossy(&said));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_by_their_numbers() {
        assert!(at_least("3.11.7", (3, 11)) && at_least("20.20.2", (20, 0)) && at_least("22", (20, 0)));
        assert!(!at_least("3.9.18", (3, 11)) && !at_least("18.19.0", (20, 0)) && !at_least("", (8, 0)));
    }
}
