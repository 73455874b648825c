//! C and C++: `clang` with a WASI sysroot, or else `zig`, which includes one.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::tool::{self, Tool};
use super::{BuildError, Job, Language, sources};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    C,
    Cpp,
}

const COMPILER: Tool = Tool {
    language: Language::C,
    name: "clang for wasm32-wasi, or zig,",
    how: &[
        "  Debian: apt-get install clang-19 lld-19 wasi-libc libclang-rt-19-dev-wasm32 (for C++ also libc++-19-dev-wasm32)",
        "  macOS: brew install zig",
        "  with pip: pip install ziglang, and the folder of its `zig` on the PATH",
        "  others: https://ziglang.org",
    ],
};

/// A compiler of one dialect, and the arguments that make it compile for WASI.
struct Compiler {
    program: PathBuf,
    arguments: &'static [&'static str],
    /// Puts the stack first in memory, so that an overflow traps instead of overwriting the data below it.
    stack_first: &'static [&'static str],
}

pub(super) fn build(job: &Job<'_>, dialect: Dialect) -> Result<(), BuildError> {
    let objects_folder = job.intermediate("c")?;
    let c = Compiler::find(Dialect::C, &objects_folder)?;
    // The SDK is C, and so may be parts of an app in C++.
    let mut objects = vec![c.compile(Dialect::C, &job.sdk("c/dacapo.c"), job, &objects_folder)?];
    for source in app_sources(job, &["c"])? {
        objects.push(c.compile(Dialect::C, &source, job, &objects_folder)?);
    }
    let linker = match dialect {
        Dialect::C => c,
        Dialect::Cpp => Compiler::find(Dialect::Cpp, &objects_folder)?,
    };
    if dialect == Dialect::Cpp {
        for source in app_sources(job, &["cpp", "cc"])? {
            objects.push(linker.compile(Dialect::Cpp, &source, job, &objects_folder)?);
        }
    }
    let mut link = linker.command();
    link.args(linker.stack_first).args(["-Os", "-s", "-mexec-model=reactor", "-o"]).arg(job.out);
    tool::run(link.args(objects))
}

/// The sources of the app, without the tests beside them, which are programs of their own.
fn app_sources(job: &Job<'_>, extensions: &[&str]) -> Result<Vec<PathBuf>, BuildError> {
    let is_test = |path: &PathBuf| path.file_stem().is_some_and(|name| name.to_string_lossy().ends_with("_test"));
    Ok(sources(job.folder, extensions)?.into_iter().filter(|path| !is_test(path)).collect())
}

impl Dialect {
    const fn language(self) -> Language {
        match self {
            Dialect::C => Language::C,
            Dialect::Cpp => Language::Cpp,
        }
    }

    const fn clang(self) -> &'static str {
        match self {
            Dialect::C => "clang",
            Dialect::Cpp => "clang++",
        }
    }

    const fn zig(self) -> &'static [&'static str] {
        match self {
            Dialect::C => &["cc", "-target", "wasm32-wasi"],
            Dialect::Cpp => &["c++", "-target", "wasm32-wasi"],
        }
    }

    const fn flags(self) -> &'static [&'static str] {
        match self {
            Dialect::C => &["-std=c11"],
            // No library with exception support is linked.
            Dialect::Cpp => &["-std=c++23", "-fno-exceptions"],
        }
    }

    /// A source that compiles only with the language's library.
    const fn probe(self) -> (&'static str, &'static str) {
        match self {
            Dialect::C => ("probe.c", "#include <stdlib.h>\nvoid *probe(void) { return malloc(1); }\n"),
            Dialect::Cpp => ("probe.cpp", "#include <string>\nstd::string probe() { return std::string(\"x\"); }\n"),
        }
    }
}

impl Compiler {
    fn find(dialect: Dialect, folder: &Path) -> Result<Self, BuildError> {
        let (name, source) = dialect.probe();
        let probe = folder.join(name);
        std::fs::write(&probe, source).map_err(BuildError::file("writing", &probe))?;
        let clangs = tool::find_versions(dialect.clang()).into_iter();
        let mut clangs =
            clangs.map(|program| Self { program, arguments: &["--target=wasm32-wasi"], stack_first: &["-Wl,--stack-first"] });
        let with_sysroot = clangs.find(|clang| clang.links(&probe));
        // Zig puts the stack first by itself, and rejects the option.
        let zig = || tool::find("zig").map(|program| Self { program, arguments: dialect.zig(), stack_first: &[] });
        with_sysroot.or_else(zig).ok_or_else(|| Tool { language: dialect.language(), ..COMPILER }.missing())
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(self.arguments);
        command
    }

    /// Whether the compiler has a library and a linker for wasm. Most have neither.
    fn links(&self, probe: &Path) -> bool {
        let mut command = self.command();
        tool::answer(command.args(["-mexec-model=reactor", "-o"]).arg(probe.with_extension("wasm")).arg(probe)).is_some()
    }

    fn compile(&self, dialect: Dialect, source: &Path, job: &Job<'_>, objects: &Path) -> Result<PathBuf, BuildError> {
        let name = source.file_name().expect("it is a file").to_string_lossy();
        let object = objects.join(format!("{name}.o"));
        let mut command = self.command();
        command.args(dialect.flags()).args(["-Os", "-Wall", "-c", "-I"]).arg(job.sdk("c")).args(job.arguments);
        tool::run(command.arg("-o").arg(&object).arg(source).current_dir(job.folder))?;
        Ok(object)
    }
}
