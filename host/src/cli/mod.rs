//! The command line: one file per command.
//!
//! All commands but `serve` and `config` speak HTTP to a running host ([`client`]). What a command prints goes through
//! [`output`], what went wrong through [`error`], which also gives the exit code.

mod apps;
mod client;
mod config;
mod deploy;
mod error;
mod get_history;
mod get_instances;
mod get_runtime_status;
mod input;
mod instance;
mod output;
mod raise_event;
mod resume;
mod serve;
mod start_new;
mod suspend;
mod terminate;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use error::CliError;

/// A host for durable orchestrations whose code is WebAssembly.
///
/// Orchestrations started here survive crashes and restarts, wait for days, and run each step once. One command runs the
/// host; the others talk to it.
#[derive(Debug, Parser)]
#[command(name = "dacapo", version, after_help = HELP)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

const HELP: &str = "\
Begin with:
  dacapo serve                                            run a host here
  dacapo deploy hello_sequence.wasm                       give it an app
  dacapo start-new hello_sequence --input '\"Tokyo\"' --wait
  dacapo get-instances                                    see what it does

Exit codes:
  0  done
  1  the operation failed
  2  the command line is wrong
  3  there is no such instance (or task hub)
  4  it is in the wrong state: the id is in use, the instance has ended
  5  the host cannot be reached
  6  the orchestration that was waited for did not complete";

#[derive(Debug, Subcommand)]
enum Command {
    Serve(Box<serve::Serve>),
    Config(Box<config::Config>),
    Deploy(deploy::Deploy),
    Apps(apps::Apps),
    StartNew(start_new::StartNew),
    GetRuntimeStatus(get_runtime_status::GetRuntimeStatus),
    GetHistory(get_history::GetHistory),
    GetInstances(get_instances::GetInstances),
    RaiseEvent(raise_event::RaiseEvent),
    Terminate(terminate::Terminate),
    Suspend(suspend::Suspend),
    Resume(resume::Resume),
}

/// Reads the command line of the process and does what it says.
pub fn main() -> ExitCode {
    match Arguments::parse().command.run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            error.report();
            error.exit_code()
        }
    }
}

impl Command {
    fn run(self) -> Result<(), CliError> {
        match self {
            Command::Serve(command) => command.run(),
            Command::Config(command) => command.run(),
            Command::Deploy(command) => command.run(),
            Command::Apps(command) => command.run(),
            Command::StartNew(command) => command.run(),
            Command::GetRuntimeStatus(command) => command.run(),
            Command::GetHistory(command) => command.run(),
            Command::GetInstances(command) => command.run(),
            Command::RaiseEvent(command) => command.run(),
            Command::Terminate(command) => command.run(),
            Command::Suspend(command) => command.run(),
            Command::Resume(command) => command.run(),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[track_caller]
    fn accepts(line: &str) {
        if let Err(error) = Arguments::try_parse_from(line.split(' ')) {
            panic!("{line}: {error}");
        }
    }

    #[track_caller]
    fn refuses(line: &str) {
        assert!(Arguments::try_parse_from(line.split(' ')).is_err(), "{line}");
    }

    #[test]
    fn names_and_ids_stand_alone_or_behind_their_option() {
        accepts("dacapo start-new hello_sequence");
        accepts("dacapo start-new --function-name hello_sequence --id 7 --input 5 --wait");
        accepts("dacapo start-new --wait=2.5 hello_sequence");
        accepts("dacapo get-runtime-status 7 --show-input --show-output");
        accepts("dacapo get-history --id 7 --json");
        accepts("dacapo raise-event 7 Approve --event-data true");
        accepts("dacapo raise-event --id 7 --event-name Approve --event-data @file");
        accepts("dacapo terminate 7 --reason enough");
        accepts("dacapo get-instances --runtime-status failed pending --top 5 --task-hub-name Hub");
        refuses("dacapo start-new");
        refuses("dacapo start-new a --function-name a");
        refuses("dacapo terminate");
        refuses("dacapo terminate 7 --id 7");
        refuses("dacapo get-instances --runtime-status asleep");
    }

    #[test]
    fn serve_takes_grants_and_settings() {
        accepts("dacapo serve --address 127.0.0.1:0 --dir /data=/tmp --dir /more=/ --allow-host localhost:8080 --no-heat");
        accepts("dacapo serve --set limits.tasks=5 --ready-file /tmp/ready --json");
        refuses("dacapo serve --dir /data");
        refuses("dacapo serve --set limits.tasks");
        refuses("dacapo serve --no-heat --hot-instances 5");
    }
}
