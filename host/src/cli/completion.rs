use std::io::Write as _;

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use super::Arguments;
use super::error::CliError;

/// Print a script that completes this command line in a shell.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  dacapo completion bash > ~/.local/share/bash-completion/completions/dacapo
  dacapo completion zsh > \"${fpath[1]}/_dacapo\"
  dacapo completion fish > ~/.config/fish/completions/dacapo.fish
  source <(dacapo completion bash)                    for this shell only")]
pub(super) struct Completion {
    /// The shell.
    shell: Shell,
}

impl Completion {
    pub fn run(self) -> Result<(), CliError> {
        let mut command = Arguments::command();
        let name = command.get_name().to_owned();
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut command, name, &mut script);
        let mut stdout = std::io::stdout().lock();
        stdout.write_all(&script)?;
        Ok(stdout.flush()?)
    }
}
