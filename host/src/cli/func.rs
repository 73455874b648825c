//! The program under the name `func`: what it has of the commands of Azure Functions Core Tools.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use clap::error::ErrorKind;
use clap::{CommandFactory as _, Parser, Subcommand};

use super::Command;
use super::durable::Durable;
use crate::printable::one_line;

/// This is `dacapo` under the name `func`: it manages the instances of a Dacapo host with the commands of `func durable`.
///
/// The whole command line is `dacapo`, which also builds apps (`dacapo build`), deploys them (`dacapo deploy`) and runs hosts
/// (`dacapo serve`, `dacapo dev`).
#[derive(Debug, Parser)]
#[command(
    name = "func",
    version,
    after_help = "\
Examples:
  func durable start-new --function-name HelloWorld --input @counter-data.json
  func durable get-instances --runtime-status running completed
  func durable --help                         all of them"
)]
pub(super) struct Func {
    #[command(subcommand)]
    command: FuncCommand,
}

#[derive(Debug, Subcommand)]
enum FuncCommand {
    Durable(Box<Durable>),
    #[command(external_subcommand)]
    Other(Vec<OsString>),
}

/// Whether a program was called as `func`: by a link, or a copy.
pub(super) fn is_func(program: &OsStr) -> bool {
    let name = Path::new(program).file_name().and_then(OsStr::to_str);
    name.is_some_and(|name| name.eq_ignore_ascii_case("func") || name.eq_ignore_ascii_case("func.exe"))
}

impl Func {
    /// The command, if there is one of this name.
    pub fn into_command(self) -> Result<Command, clap::Error> {
        match self.command {
            FuncCommand::Durable(durable) => Ok(Command::Durable(durable)),
            FuncCommand::Other(words) => {
                let word = words.first().map(|word| word.to_string_lossy().into_owned()).unwrap_or_default();
                let why = format!(
                    "there is no `func {}` here: this is `dacapo` under the name `func`, which has only `func durable VERB`\n\n  \
                     `func durable --help` shows the verbs; `dacapo --help` shows the whole command line, with `dacapo new`, `build`, \
                     `dev`, `deploy` and `serve`",
                    one_line(&word)
                );
                Err(Func::command().error(ErrorKind::InvalidSubcommand, why))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::line;

    fn read(line: &str) -> Result<Command, clap::Error> {
        line::read(line.split(' ').map(OsString::from))
    }

    #[test]
    fn the_command_line_is_consistent() {
        Func::command().debug_assert();
    }

    #[test]
    fn the_name_of_the_program_decides() {
        for name in ["func", "/usr/local/bin/func", "./func", "func.exe"] {
            assert!(is_func(OsStr::new(name)), "{name}");
            assert!(matches!(read(&format!("{name} durable get-instances")), Ok(Command::Durable(_))), "{name}");
            assert!(read(&format!("{name} get-instances")).is_err(), "{name}");
        }
        for name in ["dacapo", "functions", "func/dacapo", "func.sh", ""] {
            assert!(!is_func(OsStr::new(name)), "{name}");
            assert!(read(&format!("{name} get-instances")).is_ok(), "{name}");
        }
        assert!(matches!(read("dacapo durable get-instances"), Ok(Command::Durable(_))));
    }

    #[test]
    fn other_commands_of_func_are_refused_with_what_there_is() {
        for line in ["func start", "func host start --port 7071", "func new --name x", "func azure functionapp publish app"] {
            let error = read(line).unwrap_err();
            assert_eq!((error.exit_code(), error.use_stderr()), (2, true), "{line}");
            let text = error.to_string();
            assert!(text.contains("`func durable VERB`") && text.contains("`dacapo --help`"), "{text}");
            assert!(text.contains(&line.split(' ').take(2).collect::<Vec<_>>().join(" ")), "{text}");
        }
        let text = read("func").unwrap_err().to_string();
        assert!(text.contains("durable") && text.contains("dacapo"), "{text}");
        assert_eq!(read("func --help").unwrap_err().exit_code(), 0);
        assert!(!read("func st\u{1b}[2Jart").unwrap_err().to_string().contains('\u{1b}'));
    }
}
