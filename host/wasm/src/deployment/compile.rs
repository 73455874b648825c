//! Compiling a deployed file, in this process or in one of its own that a hostile module may crash or exhaust.
//!
//! ```text
//!   host   Compilation::run ── module on standard input ─▶ dacapo compile-module   limits itself, then compile_module
//!          waits, kills     ◀─ answer on standard output ─┘ writes the code to FILE
//! ```

use std::io::{self, Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use wasmparser::{Validator, WasmFeatures};
use wasmtime::Engine;
use wasmtime::component::Component;

use crate::deployment::cache::FunctionFile;
use crate::deployment::complexity;
use crate::deployment::function_cache::FunctionCache;
use crate::deployment::merge::merge;
use crate::deployment::wrap::wrap;
use crate::engine;
use crate::{DeployError, dependency_errors};

/// Where modules are compiled.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Compiler {
    /// In this process: for modules that are trusted, and for tests.
    #[default]
    InProcess,
    /// In a process of this program, which is run as `PROGRAM compile-module --output FILE --seconds N --memory-bytes N`,
    /// sets its own limits, reads the module from standard input and answers what [`compile_module`] returns as JSON.
    Child { program: PathBuf },
}

/// Limits for compiling one module. [`Compiler::InProcess`] does not enforce them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CompileLimits {
    /// Seconds of processor time.
    pub seconds: u64,
    /// Address space.
    pub memory_bytes: u64,
}

impl Default for CompileLimits {
    fn default() -> Self {
        Self { seconds: 120, memory_bytes: 4 << 30 }
    }
}

impl CompileLimits {
    /// The wall-clock time that a compilation may take, and that it may wait for its turn.
    pub fn clock(&self) -> Duration {
        Duration::from_secs(self.seconds.saturating_mul(CLOCK_FACTOR))
    }
}

/// The wall-clock limit as a multiple of the processor-time limit: on a busy machine, it gets only a share of a processor.
const CLOCK_FACTOR: u64 = 5;

/// Bytes of compiled code. (It is several times as large as the module, which is 64 MiB at most by default.)
pub const COMPILED_BYTES_MAX: u64 = 1 << 30;

/// Bytes that are kept of a compiler's output.
const OUTPUT_BYTES_MAX: u64 = 64 << 10;

/// Why a file cannot be compiled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum ModuleError {
    #[error("the file is not WebAssembly: {hint}")]
    NotWasm { hint: String },
    #[error("the file is not valid WebAssembly: {reason}")]
    Invalid { reason: String },
    #[error("the file is more complex than this host compiles: {reason}")]
    TooComplex { reason: String },
    #[error(
        "the component is not a Dacapo app: {reason}. Build it with a Dacapo SDK, or against the world `app` of guest-sdk/wit"
    )]
    WrongWorld { reason: String },
    #[error("the core module does not export `{export}`: {why}. Build it with a Dacapo SDK, or export that by hand")]
    MissingExport { export: String, why: String },
    #[error(
        "the core module is a program (it exports `_start`) and not a library: build it as a reactor \
         (clang and zig cc: -mexec-model=reactor; Go: -buildmode=c-shared; Rust: crate-type = [\"cdylib\"])"
    )]
    Program,
    #[error("the component imports `{import}`, which this host does not offer: {reason}")]
    UnknownImport { import: String, reason: String },
}

impl ModuleError {
    pub(crate) fn invalid(reason: std::fmt::Arguments<'_>) -> Self {
        let reason = reason.to_string();
        Self::Invalid {
            reason: if dependency_errors::is_truncated(&reason) { format!("{reason} (is it complete?)") } else { reason },
        }
    }

    /// A core module that cannot be made a component.
    pub(crate) fn unwrappable(reason: std::fmt::Arguments<'_>) -> Self {
        let reason = reason.to_string();
        match dependency_errors::unresolved_import(&reason) {
            Some(import) => Self::unlinked(import),
            None => Self::WrongWorld { reason },
        }
    }

    /// A core module imports what is neither of the contract nor of WASI.
    pub(crate) fn unlinked(import: &str) -> Self {
        let reason = match import.starts_with("env::") || import.starts_with("GOT.") {
            true => "the linker left it undefined. Link the library that defines it, or build for a target that does not need it",
            false => "the module does not say that it is part of the contract or of WASI",
        };
        Self::UnknownImport { import: import.to_owned(), reason: reason.to_owned() }
    }
}

/// Compiles a deployed file for an engine.
pub(crate) fn compile(engine: &Engine, bytes: &[u8]) -> Result<Component, ModuleError> {
    let wrapped = wrap(bytes)?;
    complexity::check(&wrapped)?;
    let invalid = |why: &dyn std::fmt::Display| ModuleError::invalid(format_args!("{why:#}"));
    Validator::new_with_features(WasmFeatures::all()).validate_all(&wrapped).map_err(|why| invalid(&why))?;
    // Merging must not be why a valid file is refused.
    let merged = merge(&wrapped).and_then(|merged| Component::from_binary(engine, &merged).ok());
    merged.map_or_else(|| Component::from_binary(engine, &wrapped).map_err(|why| invalid(&why)), Ok)
}

/// What the process of [`Compiler::Child`] makes of a module.
pub struct CompiledModule {
    /// Code that a [`crate::Runtime`] of this program can map.
    pub code: Vec<u8>,
    functions: Arc<FunctionCache>,
}

impl CompiledModule {
    /// Writes the compiled functions, for the next call of [`compile_module`] for the same tenant.
    pub fn write_functions(&self, to: impl io::Write) -> io::Result<()> {
        self.functions.write(to)
    }
}

/// Compiles a deployed file. Functions that were compiled before are taken from what [`CompiledModule::write_functions`] wrote
/// then, which is `functions`; it may be empty.
pub fn compile_module(bytes: &[u8], functions: Vec<u8>) -> Result<CompiledModule, ModuleError> {
    let failed = |why: wasmtime::Error| ModuleError::invalid(format_args!("{why:#}"));
    let functions = Arc::new(FunctionCache::new(functions));
    let engine = engine::compiler(functions.clone()).map_err(failed)?;
    let code = compile(&engine, bytes)?.serialize().map_err(failed)?;
    Ok(CompiledModule { code, functions })
}

/// The answer of a compiler's process to the host.
#[derive(Debug, Serialize, Deserialize)]
pub enum CompilerAnswer {
    Compiled,
    Refused(ModuleError),
    /// The code was compiled but could not be written, which is no fault of the module. Holds the OS error number, if any.
    NotWritten {
        os_error: Option<i32>,
    },
}

/// The terms of one compilation.
#[derive(Default)]
pub(crate) struct Terms {
    pub limits: CompileLimits,
    pub cancellation: Cancellation,
    /// The task hub whose compiled functions are used, and for which those of this compilation are kept.
    pub hub: Option<String>,
}

/// Cancels a compilation whose caller has gone. Clones share their state.
#[derive(Clone, Default)]
pub(crate) struct Cancellation(Arc<Mutex<Cancelled>>);

#[derive(Default)]
struct Cancelled {
    is_so: bool,
    /// Notified of the cancellation.
    compilation: Option<mpsc::SyncSender<CompilerEvent>>,
}

/// Cancels on drop, which has no effect once the compilation has ended.
pub(crate) struct CancelOnDrop(Cancellation);

impl Cancellation {
    pub fn cancel_on_drop(&self) -> CancelOnDrop {
        CancelOnDrop(self.clone())
    }

    fn tell(&self, compilation: mpsc::SyncSender<CompilerEvent>) {
        let mut cancelled = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        cancelled.compilation = Some(compilation);
        cancelled.pass_on();
    }
}

impl Cancelled {
    fn pass_on(&mut self) {
        if let Some(compilation) = self.compilation.take_if(|_| self.is_so) {
            // The channel has room for both messages that can be sent.
            let _ = compilation.try_send(CompilerEvent::Cancelled);
        }
    }
}

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        let mut cancelled = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        cancelled.is_so = true;
        cancelled.pass_on();
    }
}

/// What ends the wait for a compiler.
enum CompilerEvent {
    /// The compiler has written this and closed its standard output.
    Answer(Vec<u8>),
    Cancelled,
}

/// One run of a compiler in a process of its own.
pub(crate) struct Compilation<'a> {
    pub program: &'a Path,
    pub limits: CompileLimits,
    pub cancellation: &'a Cancellation,
    pub module: &'a [u8],
    pub functions: Option<&'a FunctionFile>,
    /// Where the code is to be written.
    pub output: &'a Path,
}

/// How a compiler's process ended.
struct Ended {
    status: ExitStatus,
    /// None: it was killed because its wall-clock time was up.
    heard: Option<CompilerEvent>,
    /// What it wrote to standard error.
    said: String,
}

impl Compilation<'_> {
    /// Runs the compiler. On success the output file is complete; on failure it may exist or not.
    pub fn run(&self) -> Result<(), DeployError> {
        let child = self.start().map_err(DeployError::Compiler)?;
        let ended = self.finish(child).map_err(DeployError::Compiler)?;
        self.judge(&ended)
    }

    fn start(&self) -> io::Result<Child> {
        let CompileLimits { seconds, memory_bytes } = self.limits;
        let mut command = Command::new(self.program);
        command.arg("compile-module").arg("--output").arg(self.output);
        command.args(["--seconds", &seconds.to_string(), "--memory-bytes", &memory_bytes.to_string()]);
        if let Some(functions) = self.functions {
            command.arg("--functions").arg(&functions.path).arg("--functions-output").arg(functions.unfinished());
        }
        // It needs nothing of the host's environment, and Ctrl-C at the host's terminal must not reach it.
        command.env_clear().process_group(0);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()
    }

    /// Writes the module to the process, reads its output, and kills it when its time is up or it is cancelled.
    fn finish(&self, mut child: Child) -> io::Result<Ended> {
        let pipes = "each was asked for";
        let mut stdin = child.stdin.take().expect(pipes);
        let (stdout, stderr) = (child.stdout.take().expect(pipes), child.stderr.take().expect(pipes));
        thread::scope(|threads| {
            // The write fails if the process ends early.
            threads.spawn(move || drop(stdin.write_all(self.module)));
            let said = threads.spawn(move || read_bounded(stderr));
            let (tell, heard) = mpsc::sync_channel(2);
            self.cancellation.tell(tell.clone());
            threads.spawn(move || drop(tell.send(CompilerEvent::Answer(read_bounded(stdout)))));
            let heard = heard.recv_timeout(self.limits.clock()).ok();
            match heard {
                Some(CompilerEvent::Answer(_)) => {}
                Some(CompilerEvent::Cancelled) | None => child.kill()?,
            }
            let status = child.wait()?;
            let said = String::from_utf8_lossy(&said.join().unwrap_or_default()).into_owned();
            Ok(Ended { status, heard, said })
        })
    }

    fn judge(&self, ended: &Ended) -> Result<(), DeployError> {
        const OUT_OF_TIME: i32 = 24;
        const FILE_TOO_LARGE: i32 = 25;
        let CompileLimits { seconds, memory_bytes } = self.limits;
        let answer = match &ended.heard {
            Some(CompilerEvent::Answer(answer)) => answer,
            Some(CompilerEvent::Cancelled) => return Err(DeployError::Cancelled),
            None => return Err(DeployError::OutOfTime { seconds: self.limits.clock().as_secs() }),
        };
        let ran_out_of_memory = ran_out_of_memory(&ended.said) || ran_out_of_memory(&String::from_utf8_lossy(answer));
        if let (true, Ok(answer)) = (ended.status.success(), serde_json::from_slice(answer)) {
            match answer {
                CompilerAnswer::Compiled => return Ok(()),
                CompilerAnswer::NotWritten { os_error } => {
                    let unknown = || io::Error::other("the compiled code cannot be written");
                    return Err(DeployError::Io(os_error.map_or_else(unknown, io::Error::from_raw_os_error)));
                }
                // The compiler reports a failed mapping as a fault of the module.
                CompilerAnswer::Refused(_) if ran_out_of_memory => {}
                CompilerAnswer::Refused(why) => return Err(DeployError::Module(why)),
            }
        }
        if ended.status.signal() == Some(OUT_OF_TIME) {
            let what = format!("compiling it takes more than {seconds} seconds");
            return Err(DeployError::Limit { limit: "compile_seconds", value: seconds, what });
        }
        if ran_out_of_memory {
            let what = format!("compiling it takes more than {memory_bytes} bytes of memory");
            return Err(DeployError::Limit { limit: "compile_memory_bytes", value: memory_bytes, what });
        }
        if ended.status.signal() == Some(FILE_TOO_LARGE) {
            let reason = format!("its compiled code has more than {COMPILED_BYTES_MAX} bytes");
            return Err(DeployError::Module(ModuleError::TooComplex { reason }));
        }
        let said = ended.said.lines().next().unwrap_or_default();
        tracing::warn!(status = %ended.status, said, "the compiler crashed on a module");
        Err(DeployError::CompilerCrashed { how: ended.status.to_string() })
    }
}

/// Rust aborts when an allocation fails; a failed mapping, or a thread that gets no stack, shows only in the text of an error.
fn ran_out_of_memory(said: &str) -> bool {
    let signs = ["memory allocation of", "Cannot allocate memory", "Resource temporarily unavailable", "out of memory"];
    signs.iter().any(|sign| said.contains(sign))
}

/// Reads to the end, and keeps the beginning.
fn read_bounded(mut from: impl Read) -> Vec<u8> {
    let mut kept = Vec::new();
    // A read error ends the output.
    let _ = from.by_ref().take(OUTPUT_BYTES_MAX).read_to_end(&mut kept);
    let _ = io::copy(&mut from, &mut io::sink());
    kept
}
