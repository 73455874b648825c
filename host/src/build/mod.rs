//! Building apps from their sources, for `dacapo build`, `new` and `dev`.
//!
//! ```text
//!   folder ─▶ Language ─▶ its SDK, written beside the app ─▶ its tool chain ─▶ APP.wasm
//! ```
//!
//! - [`Language`]: the languages, and how an app of each is recognised;
//! - `sdk`: the SDKs that this binary carries; `template`: the new apps that it carries;
//! - `functions`: the files of Azure Functions beside an app, `host.json` and `local.settings.json`; `json_file` reads them;
//! - [`Watch`]: whether sources have changed;
//! - `tool`: runs programs on the path, with visible output; [`BuildError`] says how to install one that is missing;
//! - one file for each tool chain: `rust`, `javascript`, `fsharp`, `python`, `go`, `c` (and C++), `zig`, `assemblyscript`, `kotlin`, `wat`.

mod assemblyscript;
mod c;
mod error;
mod fsharp;
mod functions;
mod go;
mod javascript;
mod json_file;
mod kotlin;
mod language;
mod python;
pub mod rust;
mod sdk;
mod template;
mod tool;
mod wat;
mod watch;
mod zig;

use std::path::{Path, PathBuf};

use dacapo_wasm::Manifest;

pub use error::BuildError;
pub use functions::{HostFile, LocalHost, local_settings, named_hub, task_hub};
pub use language::Language;
pub use template::{Template, write_new_app};
pub use watch::Watch;

/// The folder of this program beside an app's sources: SDKs, intermediate files, the data of `dacapo dev`.
pub const OWN_FOLDER: &str = ".dacapo";
/// The manifest of an app whose language has no other way to declare one.
const MANIFEST: &str = "dacapo.json";

/// An app to be built.
#[derive(Debug)]
pub struct Source {
    /// Its folder, absolute.
    pub folder: PathBuf,
    pub language: Language,
}

/// The result of checking types.
#[derive(Debug)]
pub enum TypeCheck {
    Done(Result<(), BuildError>),
    /// The app has types, but no compiler that checks them is installed.
    NoCompiler,
    NoTypes,
}

/// The input of a tool chain.
struct Job<'a> {
    folder: &'a Path,
    /// The file to be written, absolute.
    out: &'a Path,
    /// The folder for build tools, if it is not the usual one.
    tools: Option<&'a Path>,
    /// Further arguments for the compiler.
    arguments: &'a [String],
}

/// Options of a build.
#[derive(Debug, Default)]
pub struct Options {
    /// The folder for tools that an SDK installs for itself.
    pub tools: Option<PathBuf>,
    /// More arguments for the language's compiler or builder.
    pub arguments: Vec<String>,
}

impl Source {
    /// Finds the app in a folder. The language is needed only if the files leave it open.
    pub fn find(folder: &Path, language: Option<Language>) -> Result<Self, BuildError> {
        let folder = folder.canonicalize().map_err(|_| BuildError::NoFolder(folder.to_owned()))?;
        if !folder.is_dir() {
            return Err(BuildError::NoFolder(folder));
        }
        let language = language.map_or_else(|| Language::of(&folder), Ok)?;
        Ok(Self { folder, language })
    }

    /// The app's name, which is that of its folder.
    pub fn name(&self) -> String {
        self.folder.file_name().map_or_else(|| "app".to_owned(), |name| name.to_string_lossy().into_owned())
    }

    /// The default path of the built file.
    pub fn usual_out(&self) -> PathBuf {
        self.folder.join(format!("{}.wasm", self.name()))
    }

    /// Checks the types of an app if its language has them and its build does not check them. The compiler reports errors on
    /// standard error.
    pub fn check_types(&self) -> TypeCheck {
        match self.language {
            Language::JavaScript => javascript::check_types(&self.folder),
            Language::Rust
            | Language::FSharp
            | Language::Python
            | Language::Go
            | Language::C
            | Language::Cpp
            | Language::Zig
            | Language::AssemblyScript
            | Language::Kotlin
            | Language::Wat => TypeCheck::NoTypes,
        }
    }

    /// Builds the app. The output of the tools goes to standard error.
    pub fn build(&self, out: &Path, options: &Options) -> Result<(), BuildError> {
        // Before anything is built: what is wrong with it must not leave an app without it.
        let manifest = manifest(&self.folder, self.language)?;
        sdk::write(&self.folder, self.language)?;
        let out = std::path::absolute(out).map_err(BuildError::file("finding", out))?;
        if let Some(folder) = out.parent() {
            std::fs::create_dir_all(folder).map_err(BuildError::file("making", folder))?;
        }
        let tools = options.tools.as_deref();
        let tools = tools.map(|tools| std::path::absolute(tools).map_err(BuildError::file("finding", tools))).transpose()?;
        let job = Job { folder: &self.folder, out: &out, tools: tools.as_deref(), arguments: &options.arguments };
        match self.language {
            Language::Rust => rust::build(&job),
            Language::JavaScript => javascript::build(&job),
            Language::FSharp => fsharp::build(&job),
            Language::Python => python::build(&job),
            Language::Go => go::build(&job),
            Language::C => c::build(&job, c::Dialect::C),
            Language::Cpp => c::build(&job, c::Dialect::Cpp),
            Language::Zig => zig::build(&job),
            Language::AssemblyScript => assemblyscript::build(&job),
            Language::Kotlin => kotlin::build(&job),
            Language::Wat => wat::build(&job),
        }?;
        match manifest {
            Some(manifest) => attach(&manifest, job.out),
            None => Ok(()),
        }
    }
}

impl Job<'_> {
    /// A file of the app's SDK.
    fn sdk(&self, path: &str) -> PathBuf {
        self.folder.join(sdk::FOLDER).join(path)
    }

    /// Creates a folder for intermediate files.
    fn intermediate(&self, name: &str) -> Result<PathBuf, BuildError> {
        let folder = self.folder.join(OWN_FOLDER).join(name);
        std::fs::create_dir_all(&folder).map_err(BuildError::file("making", &folder))?;
        Ok(folder)
    }
}

/// Returns the files of a folder with one of these extensions, sorted by name.
fn sources(folder: &Path, extensions: &[&str]) -> Result<Vec<PathBuf>, BuildError> {
    let entries = std::fs::read_dir(folder).map_err(BuildError::file("reading", folder))?;
    let has_extension = |path: &PathBuf| path.extension().is_some_and(|end| extensions.iter().any(|wanted| end == *wanted));
    let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).filter(has_extension).collect();
    files.sort();
    Ok(files)
}

/// The manifest beside the sources, with what the app's `host.json` adds.
fn manifest(folder: &Path, language: Language) -> Result<Option<Vec<u8>>, BuildError> {
    let path = folder.join(MANIFEST);
    let host = HostFile::read(folder, matches!(language, Language::JavaScript | Language::Python))?;
    if !host.ignored.is_empty() {
        eprintln!("warning: these settings of host.json have no effect here: {}", host.ignored.join(", "));
    }
    let own = match path.is_file() {
        true => Some(std::fs::read(&path).map_err(BuildError::file("reading", &path))?),
        false => None,
    };
    let refused = |why: dacapo_wasm::DeployError| BuildError::Sources(format!("{}: {why}", path.display()));
    let parsed = own.as_deref().map(Manifest::parse).transpose().map_err(refused)?;
    Ok(match host.adds_nothing() {
        true => own,
        false => {
            let whole = host.add_to(parsed.unwrap_or_default());
            Some(serde_json::to_vec(&whole).expect("a manifest can be written as JSON"))
        }
    })
}

/// Attaches a manifest to the built file, so that only one file is deployed.
fn attach(manifest: &[u8], out: &Path) -> Result<(), BuildError> {
    let built = std::fs::read(out).map_err(BuildError::file("reading", out))?;
    let whole = Manifest::attach(manifest, &built).map_err(|why| BuildError::Sources(format!("{}: {why}", out.display())))?;
    std::fs::write(out, whole).map_err(BuildError::file("writing", out))
}
