use clap::Args;

use super::error::CliError;
use super::output::print;
use super::serve::SettingArguments;
use crate::config::DEFAULT_FILE;

/// Print the settings that `dacapo serve` would run with, or the documented default file.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  dacapo config --defaults > dacapo.toml      begin a configuration file
  dacapo config --config dacapo.toml          check it, and see what results")]
pub(super) struct Config {
    /// Print a configuration file with every key, its meaning and its default.
    #[arg(long)]
    defaults: bool,
    #[command(flatten)]
    settings: SettingArguments,
}

impl Config {
    pub fn run(self) -> Result<(), CliError> {
        if self.defaults {
            return print(DEFAULT_FILE.trim_end());
        }
        let settings = toml::to_string(&self.settings.load()?).map_err(anyhow::Error::from)?;
        print(settings.trim_end())
    }
}
