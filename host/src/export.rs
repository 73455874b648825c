//! The file format in which instances are moved from one hub to another, or to a developer's machine for a replay.
//!
//! Lines of JSON, in this order; times are microseconds since 1970:
//!
//! ```text
//!   {"kind":"header","format":"dacapo-export","version":1,"hub":"TestHubName"}
//!   {"kind":"app","app":"orders","version":"3fa9..","label":"2.0","active":true,"value":"AZ.."}   each version that is needed
//!   {"kind":"module","version":"3fa9..","bytes":"AG.."}                               if modules are asked for
//!   {"kind":"instance","id":"order-17","name":"order","status":"Running","value":"AQ.."}
//!   {"kind":"message","event":"EventRaised","value":"AQ.."}                           its inbox
//!   {"kind":"timer","fireAt":1700000000000000,"seq":2}
//!   {"kind":"activity","seq":0,"turn":1}                                              those that have not reported
//!   {"kind":"entity","value":"AQ.."}                                                  the state, if it is an entity
//!   {"kind":"turn","number":0,"events":["ExecutionStarted",..],"value":"AV.."}        each turn of its history
//!   {"kind":"end"}                                                                    of the instance
//!   {"kind":"done","instances":1}
//! ```
//!
//! Each `value` is the Base64 of the bytes that a store keeps ([`dacapo_store::codec`]); the members beside it are for people. So
//! there is one definition of stored bytes, with its promise that later releases read them, and an instance that was moved
//! is identical. A file that does not end with `done` was cut off.

use std::collections::HashSet;
use std::io::BufRead;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use dacapo_core::commit::Timer;
use dacapo_core::execution::Shown;
use dacapo_core::{HistoryChunk, HistoryEvent, InstanceId, InstanceRecord, Row, Seq, Timestamp, VersionId};
use dacapo_store::{AppVersion, Snapshot, StoreError, codec};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::versioning::app_name_trouble;

pub const FORMAT: &str = "dacapo-export";
pub const VERSION: u32 = 1;

/// One line of the file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "camelCase", rename_all_fields = "camelCase")]
#[schemars(rename = "ExportLine")]
pub enum Line {
    Header {
        format: String,
        version: u32,
        hub: String,
    },
    App {
        app: String,
        version: String,
        label: String,
        /// Not in the files of earlier releases.
        #[serde(default)]
        active: bool,
        value: String,
    },
    Module {
        version: String,
        bytes: String,
    },
    Instance {
        id: String,
        name: String,
        status: String,
        version: Option<String>,
        value: String,
    },
    Turn {
        number: u32,
        events: Vec<String>,
        value: String,
    },
    Message {
        event: String,
        value: String,
    },
    Timer {
        fire_at: i64,
        seq: u32,
    },
    Activity {
        seq: u32,
        turn: u32,
    },
    Entity {
        value: String,
    },
    End,
    Done {
        instances: u64,
    },
}

/// A version of an app, as it was deployed on the hub of the export.
#[derive(Debug, Clone, PartialEq)]
pub struct Brought {
    pub version: AppVersion,
    /// Whether it was the active one.
    pub active: bool,
}

/// An item of a file.
#[derive(Debug, Clone, PartialEq)]
pub enum Item {
    App(Brought),
    Module(VersionId, Vec<u8>),
    /// Its row is not assigned yet.
    Instance(Box<Snapshot>),
}

/// Why a file cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {why}")]
pub struct ExportError {
    /// Counted from 1.
    pub line: u64,
    pub why: String,
}

impl Line {
    pub fn header(hub: &str) -> Self {
        Line::Header { format: FORMAT.into(), version: VERSION, hub: hub.into() }
    }

    pub fn app(version: &AppVersion, active: bool) -> Self {
        let value = BASE64_STANDARD.encode(codec::encode_app(version));
        Line::App { app: version.app.clone(), version: version.version.to_string(), label: version.label.clone(), active, value }
    }

    pub fn module(version: VersionId, bytes: &[u8]) -> Self {
        Line::Module { version: version.to_string(), bytes: BASE64_STANDARD.encode(bytes) }
    }

    /// Returns the lines of one instance without its [`Line::End`], so that further turns of its history can follow.
    pub fn of(snapshot: &Snapshot) -> Vec<Line> {
        let Snapshot { record, history, inbox, timers, activities, entity } = snapshot;
        let encoded = |bytes: Vec<u8>| BASE64_STANDARD.encode(bytes);
        let mut lines = vec![Line::Instance {
            id: record.id.as_str().into(),
            name: record.name.as_str().into(),
            status: record.status.name().into(),
            version: record.version.map(|version| version.to_string()),
            value: encoded(codec::encode_record(record)),
        }];
        lines.extend(
            inbox.iter().map(|message| Line::Message {
                event: message.event.kind().into(),
                value: encoded(codec::encode_message(message)),
            }),
        );
        lines.extend(timers.iter().map(|timer| Line::Timer { fire_at: timer.fire_at.0, seq: timer.seq.0 }));
        lines.extend(activities.iter().map(|(seq, turn)| Line::Activity { seq: seq.0, turn: *turn }));
        lines.extend(entity.iter().map(|entity| Line::Entity { value: encoded(codec::encode_entity(entity)) }));
        lines.extend(history.iter().map(|chunk| Line::turn(chunk.turn, &chunk.events)));
        lines
    }

    pub fn turn(number: u32, events: &[HistoryEvent]) -> Self {
        Line::Turn {
            number,
            events: events.iter().map(|entry| Shown(Some(&entry.event)).to_string()).collect(),
            value: BASE64_STANDARD.encode(codec::encode_history(events)),
        }
    }

    /// Returns the line as it is written to the file, with its line end.
    pub fn text(&self) -> String {
        let mut text = serde_json::to_string(self).expect("it has only text for keys");
        text.push('\n');
        text
    }
}

/// Reads a file, item by item. Ends after an error.
pub struct Reader<R> {
    input: R,
    line: u64,
    instance: Option<Snapshot>,
    /// The ids of the instances that were read.
    ids: HashSet<InstanceId>,
    ended: bool,
}

impl<R: BufRead> Reader<R> {
    /// Reads the header.
    pub fn new(input: R) -> Result<Self, ExportError> {
        let mut reader = Self { input, line: 0, instance: None, ids: HashSet::new(), ended: false };
        match reader.next_line()? {
            Line::Header { format, .. } if format != FORMAT => {
                Err(reader.error(format!("its format is '{format}', not {FORMAT}")))
            }
            Line::Header { version, .. } if version > VERSION => {
                Err(reader.error(format!("its version is {version}, and this release reads up to {VERSION}")))
            }
            Line::Header { .. } => Ok(reader),
            _ => Err(reader.error("it does not begin with a header")),
        }
    }

    fn error(&mut self, why: impl ToString) -> ExportError {
        self.ended = true;
        ExportError { line: self.line, why: why.to_string() }
    }

    fn next_line(&mut self) -> Result<Line, ExportError> {
        let mut text = String::new();
        self.line += 1;
        match self.input.read_line(&mut text) {
            Ok(0) => Err(self.error("the file ends too early")),
            Ok(_) => serde_json::from_str(&text).map_err(|why| self.error(format!("it is no line of an export: {why}"))),
            Err(why) => Err(self.error(why)),
        }
    }

    fn bytes(&mut self, text: &str) -> Result<Vec<u8>, ExportError> {
        BASE64_STANDARD.decode(text).map_err(|why| self.error(why))
    }

    fn decoded<T>(&mut self, text: &str, decode: impl FnOnce(&[u8]) -> Result<T, StoreError>) -> Result<T, ExportError> {
        let bytes = self.bytes(text)?;
        decode(&bytes).map_err(|why| self.error(why))
    }

    fn version(&mut self, text: &str) -> Result<VersionId, ExportError> {
        text.parse().map_err(|why| self.error(format!("'{text}' is not a digest: {why}")))
    }

    fn item(&mut self) -> Result<Option<Item>, ExportError> {
        loop {
            match self.next_line()? {
                Line::App { app, version, active, value, .. } if self.instance.is_none() => {
                    if let Some(why) = app_name_trouble(&app) {
                        return Err(self.error(format!("the name of an app {why}")));
                    }
                    let version = self.version(&version)?;
                    let version = self.decoded(&value, |bytes| codec::decode_app(&app, version, bytes))?;
                    return Ok(Some(Item::App(Brought { version, active })));
                }
                Line::Module { version, bytes } if self.instance.is_none() => {
                    let version = self.version(&version)?;
                    return self.bytes(&bytes).map(|bytes| Some(Item::Module(version, bytes)));
                }
                Line::Instance { value, .. } if self.instance.is_none() => {
                    let record = self.decoded(&value, |bytes| codec::decode_record(Row(0), bytes))?;
                    self.instance = Some(empty(record));
                }
                Line::Done { instances } if self.instance.is_none() => {
                    self.ended = true;
                    return match instances == self.ids.len() as u64 {
                        true => Ok(None),
                        false => Err(self.error(format!("it should hold {instances} instances, but holds {}", self.ids.len()))),
                    };
                }
                Line::End => {
                    let Some(snapshot) = self.instance.take() else { return Err(self.error("no instance has begun")) };
                    snapshot.check().map_err(|why| self.error(format!("the instance '{}': {why}", snapshot.record.id)))?;
                    if !self.ids.insert(snapshot.record.id.clone()) {
                        return Err(self.error(format!("the instance '{}' occurs twice", snapshot.record.id)));
                    }
                    return Ok(Some(Item::Instance(Box::new(snapshot))));
                }
                line => self.part(line)?,
            }
        }
    }

    /// Adds a line to the instance that has begun.
    fn part(&mut self, line: Line) -> Result<(), ExportError> {
        let Some(mut snapshot) = self.instance.take() else { return Err(self.error("the line is outside of an instance")) };
        match line {
            Line::Turn { number, value, .. } => {
                let mut events = Vec::new();
                self.decoded(&value, |bytes| codec::decode_history(bytes, &mut events))?;
                snapshot.history.push(HistoryChunk { turn: number, events });
            }
            Line::Message { value, .. } => snapshot.inbox.push(self.decoded(&value, codec::decode_message)?),
            Line::Timer { fire_at, seq } => snapshot.timers.push(Timer { fire_at: Timestamp(fire_at), seq: Seq(seq) }),
            Line::Activity { seq, turn } => snapshot.activities.push((Seq(seq), turn)),
            Line::Entity { value } => snapshot.entity = Some(self.decoded(&value, codec::decode_entity)?),
            Line::Header { .. }
            | Line::App { .. }
            | Line::Module { .. }
            | Line::Instance { .. }
            | Line::End
            | Line::Done { .. } => {
                return Err(self.error("the line is inside of an instance"));
            }
        }
        self.instance = Some(snapshot);
        Ok(())
    }
}

impl<R: BufRead> Iterator for Reader<R> {
    type Item = Result<Item, ExportError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended { None } else { self.item().transpose() }
    }
}

fn empty(record: InstanceRecord) -> Snapshot {
    Snapshot { record, history: vec![], inbox: vec![], timers: vec![], activities: vec![], entity: None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dacapo_core::{Event, FunctionKind, FunctionName};
    use dacapo_store::conformance::sample::{self, Instance};

    fn snapshot() -> Snapshot {
        let mut instance = Instance::new("a", Row(0));
        let first = instance.turn(vec![instance.started(), sample::scheduled(0)]);
        let fired = HistoryEvent { at: sample::at(1), event: Event::TimerCreated { seq: Seq(1), fire_at: sample::at(9) } };
        let second = HistoryChunk { turn: 1, events: vec![fired] };
        instance.record.turns.end = 2;
        Snapshot {
            record: instance.record,
            history: first.history.into_iter().chain([second]).collect(),
            inbox: vec![sample::message("a", sample::raised("go", 1))],
            timers: vec![Timer { fire_at: sample::at(9), seq: Seq(1) }],
            activities: vec![(Seq(0), 0)],
            entity: None,
        }
    }

    fn app() -> AppVersion {
        AppVersion {
            app: "shop".into(),
            version: VersionId([7; 32]),
            deployed_at: sample::at(0),
            label: "2.0".into(),
            functions: vec![(FunctionName::new("main").unwrap(), FunctionKind::Orchestrator)],
            triggers: vec![],
            route_prefix: None,
            versioning: Default::default(),
            size: 4,
            weight: 10,
            activated_at: Some(sample::at(1)),
        }
    }

    fn lines() -> Vec<Line> {
        let mut lines = vec![Line::header("hub"), Line::app(&app(), true), Line::module(app().version, b"\0asm")];
        lines.extend(Line::of(&snapshot()));
        lines.push(Line::End);
        lines.push(Line::Done { instances: 1 });
        lines
    }

    fn read(text: &str) -> Result<Vec<Item>, ExportError> {
        Reader::new(text.as_bytes())?.collect()
    }

    fn text(lines: &[Line]) -> String {
        lines.iter().map(Line::text).collect()
    }

    #[test]
    fn what_is_written_is_read() {
        let items = read(&text(&lines())).unwrap();
        let expected = [
            Item::App(Brought { version: app(), active: true }),
            Item::Module(app().version, b"\0asm".into()),
            Item::Instance(Box::new(snapshot())),
        ];
        assert_eq!(items, expected);
    }

    #[test]
    fn a_file_that_was_cut_off_or_reordered_is_refused() {
        let all = lines();
        for length in 0..all.len() {
            assert!(read(&text(&all[..length])).is_err(), "{length} lines");
            let mut without = all.clone();
            // Without a message, a timer or an activity it is another instance, but a complete one.
            let may_miss = matches!(
                without.remove(length),
                Line::App { .. } | Line::Module { .. } | Line::Message { .. } | Line::Timer { .. } | Line::Activity { .. }
            );
            assert_eq!(read(&text(&without)).is_ok(), may_miss, "without line {length}");
            let mut twice = all.clone();
            twice.insert(length, all[all.len() - 1].clone());
            assert!(read(&text(&twice)).is_err() || length + 1 == all.len(), "done in line {length}");
        }
    }

    #[test]
    fn what_is_wrong_is_named_by_its_line() {
        let refused = |text: &str, line: u64, why: &str| {
            let error = read(text).unwrap_err();
            assert!(error.line == line && error.why.contains(why), "{error}");
        };
        let header = Line::header("hub").text();
        refused("", 1, "too early");
        refused("hello", 1, "no line of an export");
        refused(&header.replace(FORMAT, "other"), 1, "'other'");
        refused(&header.replace("\"version\":1", "\"version\":2"), 1, "reads up to 1");
        refused(&format!("{header}{{\"kind\":\"newer\"}}\n"), 2, "no line of an export");
        refused(&format!("{header}{}", Line::End.text()), 2, "no instance");
        refused(&format!("{header}{}", Line::Timer { fire_at: 0, seq: 0 }.text()), 2, "outside");
        refused(&format!("{header}{}", Line::Done { instances: 1 }.text()), 2, "should hold 1");
        let once = [Line::of(&snapshot()), vec![Line::End]].concat();
        let twice = [&[Line::header("hub")][..], &once, &once, &[Line::Done { instances: 2 }]].concat();
        refused(&text(&twice), 2 * once.len() as u64 + 1, "twice");
        let damaged = |value: &str| {
            format!(
                "{header}{{\"kind\":\"instance\",\"id\":\"a\",\"name\":\"n\",\"status\":\"s\",\"version\":null,\"value\":\"{value}\"}}\n"
            )
        };
        refused(&damaged("%"), 2, "");
        refused(&damaged("AQ=="), 2, "damaged");
        refused(&damaged("CQ=="), 2, "newer release");
    }
}
