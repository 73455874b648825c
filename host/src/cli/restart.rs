use clap::Args;

use super::client::{Answer, Connection, Target};
use super::error::CliError;
use super::instance::{IdArgument, Started};
use super::output::{note, print};
use super::waiting::{WaitArgument, wait_for_output};

/// Restart an orchestration with its original input.
///
/// It runs from the beginning, on the active version of its app, and under a new id unless an option says otherwise.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  dacapo restart order-17
  dacapo restart order-17 --same-id                   only once it has ended
  dacapo restart --id order-17 --new-id order-17-b --version 2.0 --wait")]
pub(super) struct Restart {
    #[command(flatten)]
    instance: IdArgument,
    /// The id of the new instance [default: a new one].
    #[arg(long, value_name = "ID", conflicts_with = "same_id")]
    new_id: Option<String>,
    /// Use the same id again.
    #[arg(long)]
    same_id: bool,
    /// The version label that the orchestration sees [default: the one it had].
    #[arg(long = "version", value_name = "LABEL")]
    version_label: Option<String>,
    #[command(flatten)]
    wait: WaitArgument,
    #[command(flatten)]
    pub(super) connection: Connection,
}

impl Restart {
    pub fn run(self) -> Result<(), CliError> {
        let id = self.instance.id();
        let client = self.connection.client();
        let answer = existing(client.post(&self.target())?, id)?.about_instance(id)?;
        let new_id = answer.parse::<Started>()?.id;
        let restarted = format!("Restarted '{id}'. Instance ID: '{new_id}'.");
        match (self.wait.patience, self.connection.json) {
            (None, true) => print(answer.text),
            (None, false) => print(restarted),
            (Some(patience), json) => {
                if !json {
                    note(format_args!("{restarted} Waiting for its end."));
                }
                wait_for_output(&self.connection, &new_id, patience)
            }
        }
    }

    fn target(&self) -> Target {
        let id = self.instance.id();
        let chosen = match (&self.new_id, &self.version_label) {
            (Some(new_id), _) => Some(new_id.clone()),
            // The host takes a version only with an id.
            (None, Some(_)) if self.same_id => Some(id.to_owned()),
            (None, Some(_)) => Some(uuid::Uuid::new_v4().simple().to_string()),
            (None, None) => None,
        };
        match chosen {
            Some(new_id) => Target::instance(id, ["restartWithOptions"])
                .with("newInstanceId", new_id)
                .with_some("version", self.version_label.as_deref()),
            None => Target::instance(id, ["restart"]).with("restartWithNewInstanceId", !self.same_id),
        }
    }
}

/// Maps the 400 that the contract has for a missing instance.
fn existing(answer: Answer, id: &str) -> Result<Answer, CliError> {
    const MISSING: &str = "InstanceId does not match a valid orchestration instance.";
    match answer.status == 400 && answer.text.contains(MISSING) {
        true => Err(CliError::no_instance(id)),
        false => Ok(answer),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        restart: Restart,
    }

    #[track_caller]
    fn check(line: &str, expected: &str) {
        let restart = Line::try_parse_from(line.split(' ')).unwrap().restart;
        assert_eq!(restart.target().url("", None).unwrap(), format!("/runtime/webhooks/durabletask/instances/{expected}"));
    }

    #[test]
    fn a_version_is_asked_for_with_an_id() {
        check("restart i", "i/restart?restartWithNewInstanceId=true");
        check("restart i --same-id", "i/restart?restartWithNewInstanceId=false");
        check("restart i --new-id j", "i/restartWithOptions?newInstanceId=j");
        check("restart --id i --new-id j --version 2.0", "i/restartWithOptions?newInstanceId=j&version=2.0");
        check("restart i --same-id --version 2", "i/restartWithOptions?newInstanceId=i&version=2");
        let line = Line::try_parse_from(["restart", "i", "--version", "2"]).unwrap();
        let url = line.restart.target().url("", None).unwrap();
        let id = url.split_once("newInstanceId=").unwrap().1.split('&').next().unwrap();
        assert_eq!(id.len(), 32, "{url}");
        assert!(Line::try_parse_from(["restart", "i", "--new-id", "j", "--same-id"]).is_err());
    }
}
