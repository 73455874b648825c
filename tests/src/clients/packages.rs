//! Installs the pinned client packages below `target/clients`, once for as long as the pins do not change.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};

use crate::workspace;

/// What the pinned packages need.
const PYTHON_MINIMUM: (u32, u32) = (3, 11);
const NODE_MINIMUM: (u32, u32) = (20, 0);
const NPM_MINIMUM: (u32, u32) = (8, 0);

const PYTHON_ADVICE: &str = "The tests of the Python client need Python 3.11 or newer with pip and venv, as `python3` on the path. \
                             On Debian: apt-get install python3 python3-venv";
const NODE_ADVICE: &str = "The tests of the JavaScript client need Node.js 20 or newer with npm, as `node` and `npm` on the path. \
                           On Debian: apt-get install nodejs npm";
const OFFLINE_ADVICE: &str = "The packages are fetched once, so this needs a network, or a mirror that the package manager is \
                              configured for";

/// The interpreter of a virtual environment that holds what `tests/clients/python/requirements.txt` names.
pub(super) fn python() -> Result<PathBuf> {
    let (program, version) = find_python().context(PYTHON_ADVICE)?;
    let directory = install("python", &["requirements.txt"], &version, |directory, source| {
        run(Command::new(program).args(["-m", "venv", "--clear"]).arg(directory)).context(PYTHON_ADVICE)?;
        let mut pip = Command::new(interpreter(directory));
        pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes", "--requirement"]);
        run(pip.arg(source.join("requirements.txt"))).context(OFFLINE_ADVICE)
    })?;
    Ok(interpreter(&directory))
}

/// A folder whose `node_modules` are what `tests/clients/node/package-lock.json` names.
pub(super) fn node() -> Result<PathBuf> {
    let version = version_of("node", &["--version"]).context(NODE_ADVICE)?;
    ensure!(at_least(&version, NODE_MINIMUM), "`node` is {version}. {NODE_ADVICE}");
    let npm = version_of("npm", &["--version"]).context(NODE_ADVICE)?;
    ensure!(at_least(&npm, NPM_MINIMUM), "`npm` is {npm}. {NODE_ADVICE}");
    let pins = ["package.json", "package-lock.json"];
    install("node", &pins, &version, |directory, source| {
        for pin in pins {
            fs::copy(source.join(pin), directory.join(pin)).with_context(|| format!("copying {pin}"))?;
        }
        let arguments = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"];
        run(Command::new("npm").args(arguments).current_dir(directory)).context(OFFLINE_ADVICE)
    })
}

/// The folder `target/clients/NAME`, made anew by `make` if the pins or the interpreter are not those it was made with.
/// Several processes wait for each other.
fn install(name: &str, pins: &[&str], version: &str, make: impl FnOnce(&Path, &Path) -> Result<()>) -> Result<PathBuf> {
    let source = workspace().join("tests/clients").join(name);
    let clients = workspace().join("target/clients");
    fs::create_dir_all(&clients).with_context(|| format!("creating {}", clients.display()))?;
    let _lock = lock(&clients.join(format!(".{name}.lock")), name)?;
    let directory = clients.join(name);
    let stamp = directory.join(".installed");
    let mut wanted = format!("{version}\n");
    for pin in pins {
        wanted += &fs::read_to_string(source.join(pin)).with_context(|| format!("reading the pins in {pin}"))?;
    }
    if fs::read_to_string(&stamp).is_ok_and(|made_with| made_with == wanted) {
        return Ok(directory);
    }
    eprintln!("installing the pinned {name} packages in {}", directory.display());
    if directory.exists() {
        fs::remove_dir_all(&directory).with_context(|| format!("removing {}", directory.display()))?;
    }
    fs::create_dir_all(&directory).with_context(|| format!("creating {}", directory.display()))?;
    make(&directory, &source).with_context(|| format!("installing the pinned {name} packages"))?;
    fs::write(&stamp, wanted).with_context(|| format!("writing {}", stamp.display()))?;
    Ok(directory)
}

/// Held until it is dropped.
fn lock(path: &Path, name: &str) -> Result<File> {
    let file = File::create(path).with_context(|| format!("creating {}", path.display()))?;
    if file.try_lock().is_err() {
        eprintln!("waiting for another process or test that installs the {name} packages");
        file.lock().with_context(|| format!("locking {}", path.display()))?;
    }
    Ok(file)
}

fn interpreter(environment: &Path) -> PathBuf {
    environment.join("bin").join("python")
}

/// The first interpreter of the path that is new enough, and its version.
fn find_python() -> Result<(&'static str, String)> {
    let mut found = Vec::new();
    for program in ["python3", "python3.13", "python3.12", "python3.11", "python"] {
        let Ok(version) = version_of(program, &["-c", "import sys; print('%d.%d.%d' % sys.version_info[:3])"]) else { continue };
        if at_least(&version, PYTHON_MINIMUM) {
            return Ok((program, version));
        }
        found.push(format!("`{program}` is {version}"));
    }
    bail!("no Python that is new enough was found ({})", if found.is_empty() { "none at all".into() } else { found.join(", ") })
}

fn version_of(program: &str, arguments: &[&str]) -> Result<String> {
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).stderr(Stdio::null()).output();
    let output = output.with_context(|| format!("starting `{program}`"))?;
    ensure!(output.status.success(), "`{program}` does not say its version: {}", output.status);
    Ok(String::from_utf8_lossy(&output.stdout).trim().trim_start_matches('v').to_owned())
}

fn at_least(version: &str, minimum: (u32, u32)) -> bool {
    let mut numbers = version.split('.').map_while(|number| number.parse().ok());
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) >= minimum
}

/// Runs a command to its end; the error holds what it said.
fn run(command: &mut Command) -> Result<()> {
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
