use std::io::{self, Read as _, Write as _};
use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use dacapo_wasm::{CompiledModule, CompilerAnswer};
use rustix::process::{Resource, Rlimit, Signal, nice, set_parent_process_death_signal, setrlimit};

use super::error::CliError;
use super::output::print;

/// Compile a module from standard input to a file, within limits.
///
/// The host runs this for each deployment, so that a module can crash, slow down or exhaust only this process. Its result on
/// standard output is for the host.
#[derive(Debug, Args)]
pub(super) struct CompileModule {
    /// The file for the compiled code, which must not exist.
    #[arg(long)]
    output: PathBuf,
    /// The functions that were compiled for the same task hub before, if there are any.
    #[arg(long, requires = "functions_output")]
    functions: Option<PathBuf>,
    /// The file for the functions of this compilation and of those before.
    #[arg(long, requires = "functions")]
    functions_output: Option<PathBuf>,
    /// The limit on processor time.
    #[arg(long)]
    seconds: u64,
    /// The limit on address space.
    #[arg(long)]
    memory_bytes: u64,
}

impl CompileModule {
    pub fn run(self) -> Result<(), CliError> {
        let answer = serde_json::to_string(&self.compile()?).context("writing the answer")?;
        print(answer)
    }

    fn compile(&self) -> anyhow::Result<CompilerAnswer> {
        self.limit().context("setting its own limits")?;
        let mut module = Vec::new();
        io::stdin().lock().read_to_end(&mut module).context("reading the module")?;
        let functions = self.functions.as_deref().map(dacapo_wasm::read_functions).unwrap_or_default();
        Ok(match dacapo_wasm::compile_module(&module, functions).map(|compiled| self.write(&compiled)) {
            Ok(Ok(())) => CompilerAnswer::Compiled,
            Ok(Err(why)) => CompilerAnswer::NotWritten { os_error: why.raw_os_error() },
            Err(refused) => CompilerAnswer::Refused(refused),
        })
    }

    /// Sets the limits of this process, before anything of the module is read.
    fn limit(&self) -> io::Result<()> {
        let exactly = |value: u64| Rlimit { current: Some(value), maximum: Some(value) };
        setrlimit(Resource::As, exactly(self.memory_bytes))?;
        setrlimit(Resource::Fsize, exactly(dacapo_wasm::COMPILED_BYTES_MAX))?;
        // A module that crashes the compiler must not fill the disk with core dumps.
        setrlimit(Resource::Core, exactly(0))?;
        // The signal at the soft limit tells the host why; the hard limit kills the process in any case.
        setrlimit(Resource::Cpu, Rlimit { current: Some(self.seconds), maximum: Some(self.seconds.saturating_add(1)) })?;
        // Once the host is gone, nobody needs the result.
        #[cfg(target_os = "linux")]
        set_parent_process_death_signal(Some(Signal::KILL))?;
        nice(NICENESS)?;
        Ok(())
    }

    fn write(&self, compiled: &CompiledModule) -> io::Result<()> {
        if let Some(path) = &self.functions_output {
            let written = std::fs::File::create_new(path).and_then(|file| compiled.write_functions(file));
            // They only save time. What was written of them must not be used.
            written.or_else(|_| std::fs::remove_file(path)).ok();
        }
        std::fs::File::create_new(&self.output)?.write_all(&compiled.code)
    }
}

/// Serving clients comes first, but not exclusively: on a busy host a deployment still gets a quarter of a processor, not only
/// what is idle.
const NICENESS: i32 = 5;
