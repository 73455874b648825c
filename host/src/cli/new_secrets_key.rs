use std::path::PathBuf;

use clap::Args;

use super::error::CliError;
use super::output::print;
use crate::secrets::SecretsKey;

/// Create the key that encrypts the secrets of task hubs.
///
/// Keep it apart from the data: both together give access to the secrets. Without the key they are lost.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  dacapo new-secrets-key /etc/dacapo/secrets.key
  dacapo serve --set secrets.key_file=/etc/dacapo/secrets.key
  DACAPO_SECRETS_KEY=$(dacapo new-secrets-key) dacapo serve")]
pub(super) struct NewSecretsKey {
    /// The new file, which only its owner may read [default: the key is printed].
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
}

impl NewSecretsKey {
    pub fn run(self) -> Result<(), CliError> {
        let key = SecretsKey::random();
        match &self.file {
            Some(path) => Ok(key.write(path)?),
            None => print(key.to_text().as_str()),
        }
    }
}
