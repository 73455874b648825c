use std::io::{self, Read as _, Write as _};
use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use dacapo_wasm::CompilerAnswer;
use rustix::process::{Resource, Rlimit, Signal, nice, set_parent_process_death_signal, setrlimit};

use super::error::CliError;
use super::output::print;

/// Compile a module from standard input to a file, within limits.
///
/// The host runs this for each deployment, so that a module can crash, slow or exhaust nothing but this process. The answer
/// on standard output is for the host.
#[derive(Debug, Args)]
pub(super) struct CompileModule {
    /// Where the code is to be written. There must be no such file.
    #[arg(long)]
    output: PathBuf,
    /// Processor time.
    #[arg(long)]
    seconds: u64,
    /// Address space.
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
        Ok(match dacapo_wasm::compile_module(&module).map(|code| self.write(&code)) {
            Ok(Ok(())) => CompilerAnswer::Compiled,
            Ok(Err(why)) => CompilerAnswer::NotWritten { os_error: why.raw_os_error() },
            Err(refused) => CompilerAnswer::Refused(refused),
        })
    }

    /// Before anything of the module is read.
    fn limit(&self) -> io::Result<()> {
        let exactly = |value: u64| Rlimit { current: Some(value), maximum: Some(value) };
        setrlimit(Resource::As, exactly(self.memory_bytes))?;
        setrlimit(Resource::Fsize, exactly(dacapo_wasm::COMPILED_BYTES_MAX))?;
        // A module that crashes it must not fill the disk with memory images.
        setrlimit(Resource::Core, exactly(0))?;
        // The signal for the first limit says what happened; the second one ends the process whatever it does.
        setrlimit(Resource::Cpu, Rlimit { current: Some(self.seconds), maximum: Some(self.seconds.saturating_add(1)) })?;
        // Nobody waits for it once the host is gone.
        #[cfg(target_os = "linux")]
        set_parent_process_death_signal(Some(Signal::KILL))?;
        nice(NICENESS)?;
        Ok(())
    }

    fn write(&self, code: &[u8]) -> io::Result<()> {
        std::fs::File::create_new(&self.output)?.write_all(code)
    }
}

/// What answers clients goes first, but not alone: whoever deploys to a busy host has a quarter of a processor, and not what
/// nobody else wants.
const NICENESS: i32 = 5;
