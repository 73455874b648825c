//! Files by digest: deployed modules, which are kept, and compiled code, which may be deleted at any time.

use std::collections::HashSet;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use dacapo_core::{FunctionKind, FunctionName, VersionId};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use wasmtime::Engine;
use wasmtime::component::Component;

use crate::deployment::compile::ModuleError;
use crate::engine::pool::PoolUsage;
use crate::guest::prepared::Described;
use crate::{DeployError, dependency_errors};

/// The digest that identifies a deployed file.
pub fn version_of(bytes: &[u8]) -> VersionId {
    VersionId(Sha256::digest(bytes).into())
}

/// Deployed files, as they were deployed.
#[derive(Debug)]
pub(crate) struct Modules(PathBuf);

impl Modules {
    pub fn open(directory: &Path) -> io::Result<Self> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
        Ok(Self(directory.to_owned()))
    }

    /// Stores a file, which is durable when this returns. After a crash it is complete or absent. A damaged file is replaced.
    pub fn put(&self, version: VersionId, bytes: &[u8]) -> io::Result<()> {
        let path = self.path(version);
        if digest_of_file(&path).is_ok_and(|digest| digest == version.0) {
            return Ok(());
        }
        replace(&path, bytes, Durable::Yes)
    }

    pub fn get(&self, version: VersionId) -> io::Result<Vec<u8>> {
        fs::read(self.path(version))
    }

    pub fn remove(&self, version: VersionId) -> io::Result<()> {
        remove_if_there(&self.path(version))
    }

    pub fn is_empty(&self) -> io::Result<bool> {
        Ok(fs::read_dir(&self.0)?.next().is_none())
    }

    /// Removes the files of all other versions, and unfinished files of a crash. Returns the number of removed files.
    pub fn keep_only(&self, needed: &HashSet<VersionId>) -> io::Result<usize> {
        sweep(&self.0, |version, rest| rest == ".wasm" && needed.contains(&version))
    }

    pub fn path(&self, version: VersionId) -> PathBuf {
        self.0.join(format!("{version}.wasm"))
    }
}

/// Compiled code. Keyed by the module's digest, and by what the code depends on: the engine's settings, and [`FORM`].
#[derive(Debug)]
pub(crate) struct Compiled {
    directory: PathBuf,
    engine_key: u64,
}

impl Compiled {
    pub fn open(directory: &Path, engine: &Engine) -> io::Result<Self> {
        create(directory)?;
        fs::set_permissions(directory, fs::Permissions::from_mode(0o700))?;
        // A hasher that changes with the Rust release only costs a compilation.
        let mut hasher = DefaultHasher::new();
        engine.precompile_compatibility_hash().hash(&mut hasher);
        FORM.hash(&mut hasher);
        Ok(Self { directory: directory.to_owned(), engine_key: hasher.finish() })
    }

    /// Returns the code that was compiled for this engine earlier. None if there is none, or if the file is damaged.
    pub fn get(&self, version: VersionId, engine: &Engine) -> Option<Component> {
        let path = self.path(version, "cwasm");
        let expected = fs::read(self.path(version, "sha256")).ok()?;
        if expected != digest_of_file(&path).ok()? {
            tracing::warn!(path = %path.display(), "compiled code is damaged: compiling again");
            return None;
        }
        deserialize(engine, &path)
            .inspect_err(|why| tracing::warn!(path = %path.display(), "compiled code cannot be used: compiling again: {why:#}"))
            .ok()
    }

    /// Calls `compile` with the path of a new file, and keeps the code that it writes there.
    pub fn make(
        &self,
        version: VersionId,
        engine: &Engine,
        compile: impl FnOnce(&Path) -> Result<(), DeployError>,
    ) -> Result<Component, DeployError> {
        create(&self.directory)?;
        let unfinished = Unfinished(temporary(&self.path(version, "compiled")));
        compile(&unfinished.0)?;
        let component = deserialize(engine, &unfinished.0).map_err(|why| unusable(&why))?;
        replace(&self.path(version, "sha256"), &digest_of_file(&unfinished.0)?, Durable::No)?;
        fs::rename(&unfinished.0, self.path(version, "cwasm"))?;
        Ok(component)
    }

    /// Maps code that was just found or made, for another engine that runs the same code.
    pub fn map(&self, version: VersionId, engine: &Engine) -> Result<Component, DeployError> {
        deserialize(engine, &self.path(version, "cwasm")).map_err(|why| unusable(&why))
    }

    /// Returns the description that is kept of a version. None if there is none, or if the file is damaged.
    pub fn described(&self, version: VersionId) -> Option<Described> {
        let kept: KeptDescription = serde_json::from_slice(&fs::read(self.path(version, DESCRIBED)).ok()?).ok()?;
        kept.read()
    }

    /// Keeps a description, so that loading the code again runs no guest. If it cannot be written, it is made again then.
    pub fn keep_described(&self, version: VersionId, described: &Described) {
        let text = serde_json::to_vec(&KeptDescription::of(described)).expect("texts and numbers are always JSON");
        if let Err(error) = replace(&self.path(version, DESCRIBED), &text, Durable::No) {
            tracing::debug!(%version, %error, "the description of a version could not be kept");
        }
    }

    pub fn remove(&self, version: VersionId) {
        // A missing file need not be removed.
        for extension in EXTENSIONS {
            let _ = fs::remove_file(self.path(version, extension));
        }
    }

    /// Removes the code of all other versions, code for other engines, and unfinished files of a crash.
    pub fn keep_only(&self, needed: &HashSet<VersionId>) -> io::Result<usize> {
        let kept = EXTENSIONS.map(|extension| format!("-{:016x}.{extension}", self.engine_key));
        sweep(&self.directory, |version, rest| needed.contains(&version) && kept.iter().any(|kept| kept == rest))
    }

    /// Whether there is code for this engine; it may turn out to be damaged.
    pub fn has(&self, version: VersionId) -> bool {
        self.path(version, "cwasm").exists()
    }

    /// Keeps compiled code.
    pub fn put(&self, version: VersionId, component: &Component) -> io::Result<()> {
        create(&self.directory)?;
        let code = component.serialize().map_err(io::Error::other)?;
        replace(&self.path(version, "sha256"), &Sha256::digest(&code), Durable::No)?;
        replace(&self.path(version, "cwasm"), &code, Durable::No)
    }

    fn path(&self, version: VersionId, extension: &str) -> PathBuf {
        self.directory.join(format!("{version}-{:016x}.{extension}", self.engine_key))
    }
}

/// Changed when [`crate::deployment::compile::compile`] makes other code of the same file, so that hosts compile it again.
const FORM: u32 = 1;

/// The files that are kept of a version: the digest of its code, its code, its description.
const EXTENSIONS: [&str; 3] = ["sha256", "cwasm", DESCRIBED];
const DESCRIBED: &str = "json";

/// The stored form of a [`Described`].
#[derive(Serialize, Deserialize)]
struct KeptDescription {
    /// Kinds and names.
    functions: Vec<(String, String)>,
    /// Names and bindings.
    triggers: Vec<(String, String)>,
    core_instances: u32,
    memories: u32,
    tables: u32,
}

impl KeptDescription {
    fn of(described: &Described) -> Self {
        let PoolUsage { core_instances, memories, tables } = described.takes;
        let function = |(name, kind): &(FunctionName, FunctionKind)| (kind.name().to_owned(), name.to_string());
        let trigger = |(name, bindings): &(FunctionName, String)| (name.to_string(), bindings.clone());
        let (functions, triggers) = (described.functions.iter().map(function), described.triggers.iter().map(trigger));
        Self { functions: functions.collect(), triggers: triggers.collect(), core_instances, memories, tables }
    }

    /// None: the file is damaged.
    fn read(self) -> Option<Described> {
        let Self { functions, triggers, core_instances, memories, tables } = self;
        let function = |(kind, name): (String, String)| {
            Some((FunctionName::new(&name).ok()?, FunctionKind::ALL.into_iter().find(|known| known.name() == kind)?))
        };
        let trigger = |(name, bindings): (String, String)| Some((FunctionName::new(&name).ok()?, bindings));
        let functions = functions.into_iter().map(function).collect::<Option<_>>()?;
        let triggers = triggers.into_iter().map(trigger).collect::<Option<_>>()?;
        Some(Described { functions, triggers, takes: PoolUsage { core_instances, memories, tables } })
    }
}

/// Compiled functions of what was deployed before ([`crate::deployment::function_cache`]), a file for each task hub. They may be
/// deleted at any time.
#[derive(Debug)]
pub(crate) struct FunctionFiles(PathBuf);

/// The compiled functions of a task hub.
pub(crate) struct FunctionFile {
    pub path: PathBuf,
    unfinished: Unfinished,
}

/// Bytes of the functions of all task hubs together. The files of hubs that have not deployed for the longest time are removed.
const FUNCTION_BYTES_MAX: u64 = 1 << 30;

impl FunctionFiles {
    /// Opens the directory. Must be called before anything is deployed: it removes unfinished files of a crash.
    pub fn open(directory: &Path) -> io::Result<Self> {
        let directory = directory.join("functions");
        create(&directory)?;
        for entry in fs::read_dir(&directory)? {
            let path = entry?.path();
            if !path.as_os_str().as_bytes().ends_with(FUNCTIONS.as_bytes()) {
                remove_if_there(&path)?;
            }
        }
        Ok(Self(directory))
    }

    /// The file of a hub, which need not exist.
    pub fn of(&self, hub: &str) -> FunctionFile {
        let path = self.0.join(format!("{}{FUNCTIONS}", hub.to_ascii_lowercase()));
        let unfinished = Unfinished(temporary(&path));
        // If it cannot be created, neither can the file, and all is compiled.
        let _ = create(&self.0);
        FunctionFile { path, unfinished }
    }

    /// Replaces the file of a hub with what a compilation has written, and removes old ones of other hubs if all are too large.
    pub fn replace(&self, file: FunctionFile) -> io::Result<()> {
        fs::rename(&file.unfinished.0, &file.path)?;
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.0)? {
            let entry = entry?;
            // Another deployment may have renamed its file meanwhile.
            let Ok(metadata) = entry.metadata() else { continue };
            files.push((metadata.modified()?, metadata.len(), entry.path()));
        }
        files.sort();
        let mut bytes: u64 = files.iter().map(|(_, bytes, _)| bytes).sum();
        for (_, of_file, path) in files {
            if bytes <= FUNCTION_BYTES_MAX {
                break;
            }
            remove_if_there(&path)?;
            bytes -= of_file;
        }
        Ok(())
    }

    pub fn remove(&self, hub: &str) -> io::Result<()> {
        remove_if_there(&self.of(hub).path)
    }
}

impl FunctionFile {
    /// Where a compilation writes.
    pub fn unfinished(&self) -> &Path {
        &self.unfinished.0
    }
}

/// How the names of finished files end.
const FUNCTIONS: &str = ".functions";

/// Maps compiled code into memory.
#[allow(unsafe_code, reason = "wasmtime cannot check machine code; see the safety argument")]
fn deserialize(engine: &Engine, path: &Path) -> wasmtime::Result<Component> {
    // SAFETY: the file must be what `Component::serialize` wrote, and must not change while it is mapped. It lies in a
    // directory that only the host's user can enter; only `Compiled` has files written there, under a temporary name, and
    // renames them: no file is ever changed in place. `put` writes what this process has compiled. For `make`, a process
    // of this same program writes what it has compiled with `compile_module`, of the module that it was given on standard
    // input, and of the functions that the same program compiled earlier, which lie in the same directory and each of which matches
    // its digest; it has exited successfully before the file is used. It is trusted as the compiler in this process is: its limits
    // protect the host from a module that is slow, large or crashes it, and a crash is not success. Nothing else from outside
    // is ever put there. For a file that already existed, the caller has compared its digest with the one stored beside it, so
    // it is not torn. An attacker who can forge both as the host's user can replace the host itself. wasmtime checks version
    // and settings.
    unsafe { Component::deserialize_file(engine, path) }
}

/// The error for compiled code that cannot be loaded. The module is at fault if it needs more than a slot of the pool holds (the
/// compiler has no pool), the host if the code was not compiled for this engine.
fn unusable(why: &wasmtime::Error) -> DeployError {
    let reason = format!("{why:#}");
    match dependency_errors::exceeds_pool(&reason) {
        true => ModuleError::TooComplex { reason }.into(),
        false => DeployError::Compiler(io::Error::other(format!("the compiled code cannot be used: {reason}"))),
    }
}

fn digest_of_file(path: &Path) -> io::Result<Vec<u8>> {
    let mut file = fs::File::open(path)?;
    let mut buffer = vec![0; 256 << 10];
    let mut digest = Sha256::new();
    loop {
        match io::Read::read(&mut file, &mut buffer)? {
            0 => return Ok(digest.finalize().to_vec()),
            length => digest.update(&buffer[..length]),
        }
    }
}

/// Removes the files of a directory whose names begin with the digest of a version, unless `is_kept` accepts the version and the
/// rest of the name. Returns the number of removed files.
fn sweep(directory: &Path, is_kept: impl Fn(VersionId, &str) -> bool) -> io::Result<usize> {
    const DIGITS: usize = 64;
    let mut removed = 0;
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        let Some((digits, rest)) = name.to_str().and_then(|name| name.split_at_checked(DIGITS)) else { continue };
        let Ok(version) = digits.parse() else { continue };
        if !is_kept(version, rest) {
            remove_if_there(&entry.path())?;
            removed += 1;
        }
    }
    Ok(removed)
}

/// Creates a directory of the cache, for the owner only, also if somebody has deleted it meanwhile.
fn create(directory: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(why) if why.kind() != io::ErrorKind::NotFound => Err(why),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Returns a unique temporary name beside a file.
fn temporary(path: &Path) -> PathBuf {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    path.with_extension(format!("tmp-{}-{}", std::process::id(), COUNTER.fetch_add(1, Ordering::Relaxed)))
}

/// A temporary file that is removed on drop, unless it was renamed.
struct Unfinished(PathBuf);

impl Drop for Unfinished {
    fn drop(&mut self) {
        // Fails if it was renamed, as is usual.
        let _ = fs::remove_file(&self.0);
    }
}

/// Whether a file must survive a crash.
///
/// Compiled code need not: a torn file does not match its digest, and is compiled again. Each sync makes the hubs' commits wait
/// for the disk.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Durable {
    Yes,
    No,
}

/// Replaces a file atomically: opening it yields the complete old or new content.
fn replace(path: &Path, bytes: &[u8], durable: Durable) -> io::Result<()> {
    let unfinished = Unfinished(temporary(path));
    let mut file = fs::File::create(&unfinished.0)?;
    file.write_all(bytes)?;
    if durable == Durable::Yes {
        file.sync_all()?;
    }
    fs::rename(&unfinished.0, path)?;
    match path.parent().filter(|_| durable == Durable::Yes) {
        Some(parent) => fs::File::open(parent)?.sync_all(),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Loading a version used to start a guest of it on an engine of its own, each time.
    #[test]
    fn what_a_version_says_of_itself_is_kept_beside_its_code() {
        let directory = tempfile::tempdir().unwrap();
        let compiled = Compiled::open(directory.path(), &Engine::default()).unwrap();
        let version = version_of(b"a module");
        assert_eq!(compiled.described(version), None);
        let functions =
            [("Hello", FunctionKind::Orchestrator), ("sayHello", FunctionKind::Activity), ("c", FunctionKind::Entity)];
        let functions = functions.map(|(name, kind)| (FunctionName::new(name).unwrap(), kind)).into();
        let triggers = vec![(FunctionName::new("Start").unwrap(), r#"[{"type":"httpTrigger"}]"#.to_owned())];
        let described = Described { functions, triggers, takes: PoolUsage { core_instances: 33, memories: 2, tables: 5 } };
        compiled.keep_described(version, &described);
        assert_eq!(compiled.described(version), Some(described));
        let path = compiled.path(version, DESCRIBED);
        for damaged in [&b""[..], b"{}", &[0; 40], &fs::read(&path).unwrap()[..20]] {
            fs::write(&path, damaged).unwrap();
            assert_eq!(compiled.described(version), None);
        }
        compiled.remove(version);
        assert!(!path.exists());
    }
}
