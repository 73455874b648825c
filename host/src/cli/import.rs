use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;

use clap::Args;
use serde::{Deserialize, Serialize};

use super::client::{Client, Connection, Target};
use super::error::CliError;
use super::output::{note, print, shell_word};
use crate::export::Line;

/// The size at which a part of the file is sent.
const PART_BYTES: usize = 16 << 20;

/// Import the instances of a file that `dacapo export` wrote.
///
/// They arrive suspended, unless --resume is given. Activities whose results were not recorded run again here.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  dacapo import order-17.jsonl
  dacapo import hub.jsonl --resume --task-hub-name Orders")]
pub(super) struct Import {
    /// The file.
    file: PathBuf,
    /// Replace instances that have the ids of imported ones. Otherwise the import is refused.
    #[arg(long)]
    replace: bool,
    /// Run them at once.
    #[arg(long)]
    resume: bool,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Debug, Deserialize)]
struct Imported {
    instances: Vec<String>,
    versions: Vec<String>,
    /// Absent from hosts of earlier releases.
    #[serde(default)]
    waiting: Vec<Waiting>,
}

/// An instance that waits for others that were not imported.
#[derive(Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Waiting {
    instance_id: String,
    on: Vec<String>,
}

impl Import {
    pub fn run(self) -> Result<(), CliError> {
        let unreadable = |why| CliError::file("reading", &self.file, &why);
        let file = || File::open(&self.file).map(BufReader::new).map_err(unreadable);
        // The whole file is checked before any of it is sent.
        let items = crate::export::Reader::new(file()?).and_then(|items| items.into_iter().try_for_each(|item| item.map(drop)));
        items.map_err(|why| CliError::Failed(format!("{} cannot be imported: {why}", self.file.display())))?;
        let client = self.connection.client();
        let target = Target::host(["admin", "import"]).with("replace", self.replace).with("resume", self.resume);
        let mut parts = Parts {
            client: &client,
            target,
            header: String::new(),
            part: String::new(),
            instances: 0,
            sent: (0, 0),
            waiting: Vec::new(),
        };
        for line in file()?.lines() {
            parts.add(line.map_err(unreadable)?)?;
        }
        let (instances, versions) = parts.sent;
        for Waiting { instance_id, on } in &parts.waiting {
            note(format_args!(
                "warning: '{instance_id}' waits for {}, which is not in this task hub or has ended: it waits for ever unless that is \
                 imported too, from where it runs; to give up: dacapo terminate {}",
                on.iter().map(|id| format!("'{id}'")).collect::<Vec<_>>().join(", "),
                shell_word(instance_id),
            ));
        }
        match self.connection.json {
            true => print(serde_json::json!({ "instances": instances, "versions": versions, "waiting": parts.waiting })),
            false => {
                if versions > 0 {
                    print(format_args!("Versions of apps imported: {versions} (`dacapo apps` lists them)"))?;
                }
                let state = if self.resume { "" } else { ", and suspended until they are resumed" };
                print(format_args!("Instances imported{state}: {instances}"))
            }
        }
    }
}

/// Sends a file in parts, each a complete file of its own.
struct Parts<'a> {
    client: &'a Client,
    target: Target,
    header: String,
    part: String,
    instances: u64,
    sent: (u64, u64),
    /// The instances sent so far that wait for others.
    waiting: Vec<Waiting>,
}

/// Removes the instances that came with a later part from what others wait for.
fn still_waiting(waiting: &mut Vec<Waiting>, came: &[String]) {
    for instance in waiting.iter_mut() {
        instance.on.retain(|id| !came.contains(id));
    }
    waiting.retain(|instance| !instance.on.is_empty());
}

impl Parts<'_> {
    fn add(&mut self, line: String) -> Result<(), CliError> {
        let parsed: Line = serde_json::from_str(&line).map_err(|why| CliError::Failed(format!("the file has changed: {why}")))?;
        match parsed {
            Line::Header { .. } => self.header = line + "\n",
            Line::Done { .. } => self.send()?,
            parsed => {
                self.part += &line;
                self.part += "\n";
                if parsed == Line::End {
                    self.instances += 1;
                    if self.part.len() > PART_BYTES {
                        self.send()?;
                    }
                }
            }
        }
        Ok(())
    }

    fn send(&mut self) -> Result<(), CliError> {
        let done = Line::Done { instances: std::mem::take(&mut self.instances) }.text();
        let body = [self.header.as_str(), &std::mem::take(&mut self.part), &done].concat();
        let answer = self.client.post_body(&self.target, "application/x-ndjson", body.as_bytes())?;
        let refused = |error| {
            if self.sent.0 > 0 {
                note(format_args!("Instances imported before the host refused: {}", self.sent.0));
            }
            error
        };
        let imported: Imported =
            answer.success(|| format!("{} imports nothing", self.client.server())).map_err(refused)?.parse()?;
        self.sent.0 += imported.instances.len() as u64;
        self.sent.1 += imported.versions.len() as u64;
        still_waiting(&mut self.waiting, &imported.instances);
        self.waiting.extend(imported.waiting);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_with_a_later_part_is_not_missing() {
        let waits = |on: &[&str]| Waiting { instance_id: "parent".into(), on: on.iter().map(ToString::to_string).collect() };
        let mut waiting = vec![waits(&["a", "b"]), waits(&["a"])];
        still_waiting(&mut waiting, &["a".into(), "c".into()]);
        assert_eq!(waiting, [waits(&["b"])]);
    }
}
