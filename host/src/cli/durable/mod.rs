//! The commands of Azure Functions Core Tools that manage instances, as its documents print them: `func durable`.
//!
//! Their options, defaults and outputs are those of the original, where the other commands of this program have their own:
//! times without an offset are UTC, text that is not JSON is a string, what the original prints as JSON is JSON of the same shape.
//! All of them speak to a running host. Which host and task hub is decided here, before a verb runs.

mod delete_task_hub;
mod filter;
mod get_history;
mod get_instances;
mod get_runtime_status;
mod purge_history;
mod raise_event;
mod raw_event;
mod rewind;
mod start_new;
mod state;
mod terminate;

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

use super::app_hub::AppHub;
use super::client::{Connection, DEFAULT_SERVER};
use super::error::CliError;
use super::serve::HubArguments;
use super::{restart, resume, suspend};
use crate::build;
use crate::config::{self, ConnectionSetting, Settings};

/// Manage instances with the commands of Azure Functions Core Tools, `func durable`, on a running host.
///
/// The options and the outputs are those that the documents of Durable Functions print. The task hub is the one of
/// --task-hub-name, or else of host.json in the working directory, or else the host's default one. When the program is called as
/// `func`, by a link to it, this is `func durable`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  func durable start-new --function-name HelloWorld --input @counter-data.json
  func durable get-runtime-status --id 1234567 --show-input true --show-output true
  func durable get-instances --created-after 2018-03-10T13:57:31Z --top 15
  func durable raise-event --id 1234567 --event-name MyOtherEvent --event-data 3
  func durable purge-history --created-before 2018-11-14T19:35:00.0000000Z --runtime-status failed
`dacapo durable` is the same; for `func durable`, make a link:
  ln -s \"$(command -v dacapo)\" ~/.local/bin/func")]
pub(super) struct Durable {
    /// A host that the configuration names, in [connections], in place of the one of --server. AzureWebJobsStorage is the one of
    /// --server unless it is there.
    #[arg(long, global = true, value_name = "NAME", help_heading = "Host")]
    connection_string_setting: Option<String>,
    /// The configuration file with the connections [default: dacapo.toml in the working directory, if there is one].
    #[arg(long, global = true, value_name = "FILE", env = "DACAPO_CONFIG", help_heading = "Host")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    StartNew(start_new::StartNew),
    GetRuntimeStatus(get_runtime_status::GetRuntimeStatus),
    GetHistory(get_history::GetHistory),
    GetInstances(get_instances::GetInstances),
    Terminate(terminate::Terminate),
    RaiseEvent(raise_event::RaiseEvent),
    Rewind(rewind::Rewind),
    PurgeHistory(purge_history::PurgeHistory),
    DeleteTaskHub(delete_task_hub::DeleteTaskHub),
    // The original does not have these.
    Suspend(suspend::Suspend),
    Resume(resume::Resume),
    Restart(restart::Restart),
}

/// The name by which the original's documents know the usual connection.
const USUAL_CONNECTION: &str = "AzureWebJobsStorage";

impl Durable {
    pub fn run(mut self) -> Result<(), CliError> {
        let hub = self.connect()?;
        self.verb.run().map_err(|error| hub.explain(error))
    }

    /// Decides which host and task hub it is about.
    fn connect(&mut self) -> Result<AppHub, CliError> {
        let named = self.named()?;
        let connection = self.verb.connection();
        if let Some(named) = named {
            connection.use_named(&named)?;
        }
        let hub = AppHub::decide(connection, || build::task_hub(Path::new(""), |variable| std::env::var(variable).ok()))?;
        match &mut self.verb {
            // What is deleted must be of the task hub that was named.
            Verb::DeleteTaskHub(_) | Verb::PurgeHistory(_) => Ok(hub),
            verb => hub.or_default(verb.connection()),
        }
    }

    /// The connection of --connection-string-setting. None: that of the other options.
    fn named(&self) -> Result<Option<ConnectionSetting>, CliError> {
        let Some(name) = &self.connection_string_setting else { return Ok(None) };
        let settings = HubArguments::of(self.config.clone(), None).load()?;
        match settings.connection(name) {
            Some(connection) => Ok(Some(connection.clone())),
            None if name.eq_ignore_ascii_case(USUAL_CONNECTION) => Ok(None),
            None => Err(unknown_connection(name, &settings, self.config.as_deref())),
        }
    }
}

fn unknown_connection(name: &str, settings: &Settings, file: Option<&Path>) -> CliError {
    let known: Vec<_> = settings.connections.keys().map(String::as_str).collect();
    let known = match known.is_empty() {
        true => "there are none".to_owned(),
        false => format!("there are: {}", known.join(", ")),
    };
    let file = file.unwrap_or(Path::new(config::FILE_NAME)).display();
    let is_bare = name.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c));
    let key = if is_bare { name.to_owned() } else { toml::Value::from(name).to_string() };
    CliError::Usage(format!(
        "the configuration has no connection '{name}'; {known} ({USUAL_CONNECTION} is always that of --server)\n  to add it, write \
         into {file}:\n    [connections.{key}]\n    server = \"{DEFAULT_SERVER}\"\n    key_file = \"FILE\"      # if the host needs a \
         key"
    ))
}

impl Verb {
    fn run(self) -> Result<(), CliError> {
        match self {
            Verb::StartNew(command) => command.run(),
            Verb::GetRuntimeStatus(command) => command.run(),
            Verb::GetHistory(command) => command.run(),
            Verb::GetInstances(command) => command.run(),
            Verb::Terminate(command) => command.run(),
            Verb::RaiseEvent(command) => command.run(),
            Verb::Rewind(command) => command.run(),
            Verb::PurgeHistory(command) => command.run(),
            Verb::DeleteTaskHub(command) => command.run(),
            Verb::Suspend(command) => command.run(),
            Verb::Resume(command) => command.run(),
            Verb::Restart(command) => command.run(),
        }
    }

    fn connection(&mut self) -> &mut Connection {
        match self {
            Verb::StartNew(command) => &mut command.connection,
            Verb::GetRuntimeStatus(command) => &mut command.connection,
            Verb::GetHistory(command) => &mut command.connection,
            Verb::GetInstances(command) => &mut command.connection,
            Verb::Terminate(command) => &mut command.connection,
            Verb::RaiseEvent(command) => &mut command.connection,
            Verb::Rewind(command) => &mut command.connection,
            Verb::PurgeHistory(command) => &mut command.connection,
            Verb::DeleteTaskHub(command) => &mut command.connection,
            Verb::Suspend(command) => &mut command.connection,
            Verb::Resume(command) => &mut command.connection,
            Verb::Restart(command) => &mut command.connection,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        durable: Durable,
    }

    fn read(line: &str) -> Result<Durable, clap::Error> {
        Line::try_parse_from(std::iter::once("durable").chain(line.split(' '))).map(|line| line.durable)
    }

    #[track_caller]
    fn accepts(line: &str) -> Verb {
        read(line).unwrap_or_else(|error| panic!("{line}: {error}")).verb
    }

    #[track_caller]
    fn refuses(line: &str) {
        assert!(read(line).is_err(), "{line}");
    }

    #[test]
    fn every_verb_takes_the_options_of_the_documents() {
        let common = "--connection-string-setting Production --task-hub-name Hub";
        for verb in [
            "start-new --function-name HelloWorld",
            "start-new --id 7 --function-name HelloWorld --input 5",
            "start-new --function-name HelloWorld --input @counter-data.json",
            "start-new --function-name HelloWorld --input -5",
            "get-runtime-status --id 7 --show-input --show-output",
            "get-history --id 7",
            "get-instances",
            "get-instances --created-after 2018-03-10T13:57:31Z --created-before 2018-03-10T23:59Z --top 15",
            "get-instances --continuation-token x --runtime-status running",
            "terminate --id 7",
            "terminate --id 7 --reason enough",
            "raise-event --id 7",
            "raise-event --id 7 --event-name MyEvent --event-data @eventdata.json",
            "raise-event --id 7 --event-name MyEvent --event-data -3",
            "rewind --id 7",
            "rewind --id 7 --reason again",
            "purge-history",
            "purge-history --created-after 1/1/2018 --created-before 2018-11-14T19:35:00.0000000Z --runtime-status failed",
            "delete-task-hub",
            "suspend --id 7 --reason lunch",
            "resume --id 7 --reason lunch",
            "restart --id 7",
        ] {
            accepts(verb);
            accepts(&format!("{verb} {common}"));
            accepts(&format!("{verb} {common} --json --server http://h"));
        }
        for wrong in [
            "start-new",
            "start-new HelloWorld",
            "get-runtime-status",
            "get-history",
            "terminate",
            "raise-event --event-name x",
            "rewind",
            "get-instances --top 0",
            "get-instances --top many",
            "get-instances --created-after yesterday",
            "get-instances --runtime-status asleep",
            "get-runtime-status --id 7 --show-input perhaps",
            "delete-history",
        ] {
            refuses(wrong);
        }
    }

    #[test]
    fn truth_is_given_or_left_out() {
        let shown = |line: &str| match accepts(&format!("get-runtime-status {line}")) {
            Verb::GetRuntimeStatus(command) => (command.show_input, command.show_output),
            verb => panic!("{verb:?}"),
        };
        assert_eq!(shown("--id 7"), (false, false));
        assert_eq!(shown("--id 7 --show-input true --show-output true"), (true, true));
        assert_eq!(shown("--show-input --show-output --id 7"), (true, true));
        assert_eq!(shown("--id 7 --show-input TRUE --show-output=False"), (true, false));
        assert_eq!(shown("--show-output true --id 7"), (false, true));
    }

    #[test]
    fn an_unknown_connection_is_refused_with_the_known_ones_and_how_to_add_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("dacapo.toml");
        std::fs::write(&file, "[connections]\nOne = { server = \"http://one\" }\nTwo = { server = \"http://two\" }\n").unwrap();
        let named = |name: &str| {
            let line = format!("get-instances --connection-string-setting {name} --config {}", file.display());
            read(&line).unwrap().named()
        };
        assert_eq!(named("two").unwrap().map(|connection| connection.server).as_deref(), Some("http://two"));
        assert_eq!(named("AzureWebJobsStorage").unwrap(), None);
        let refusal = named("Three.x").unwrap_err().to_string();
        for part in ["'Three.x'", "there are: One, Two", "[connections.\"Three.x\"]", &file.display().to_string()] {
            assert!(refusal.contains(part), "{refusal}");
        }
    }
}
