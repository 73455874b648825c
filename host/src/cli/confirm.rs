//! Asks for confirmation of what cannot be undone.

use std::io::{IsTerminal as _, Write as _};

use clap::Args;

use super::error::CliError;
use crate::printable::printable;

#[derive(Debug, Args)]
pub(super) struct Confirmation {
    /// Do not ask for confirmation. (Nothing is asked if standard input is not a terminal.)
    #[arg(long, short = 'y')]
    yes: bool,
}

impl Confirmation {
    /// Asks on a terminal for confirmation. Any answer but yes is an error.
    pub fn ask(&self, question: &str) -> Result<(), CliError> {
        if self.yes || !std::io::stdin().is_terminal() {
            return Ok(());
        }
        let mut stderr = std::io::stderr();
        write!(stderr, "{} [y/N] ", printable(question)).and_then(|()| stderr.flush())?;
        let mut answer = String::new();
        let read = std::io::stdin().read_line(&mut answer);
        read.map_err(|why| CliError::Failed(format!("reading standard input failed: {why}; --yes asks nothing")))?;
        if is_yes(&answer) { Ok(()) } else { Err(CliError::Failed("nothing was done".into())) }
    }
}

fn is_yes(answer: &str) -> bool {
    ["y", "yes"].iter().any(|yes| answer.trim().eq_ignore_ascii_case(yes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_clear_yes_is_one() {
        assert!(is_yes("y\n") && is_yes(" Yes\n"));
        assert!(!is_yes("\n") && !is_yes("no\n") && !is_yes("yesterday\n") && !is_yes(""));
    }
}
