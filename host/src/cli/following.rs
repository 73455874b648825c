//! Following what changes on a host, by its server-sent events, across lost connections.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use super::client::{Client, Target};
use super::error::CliError;
use super::event_stream::EventReader;
use super::instance::Instance;

/// The most changes that wait to be shown. Further ones wait in the connection, and the host reports how many it drops.
const CHANGES_MAX: usize = 1_000;
const RETRY_PAUSE: Duration = Duration::from_millis(500);
const RETRY_PAUSE_MAX: Duration = Duration::from_secs(8);

/// What can arrive from a host.
#[derive(Debug)]
pub(super) enum InstanceEvent {
    /// The stream is open: changes arrive from now on.
    Connected,
    /// The new state of an instance.
    Status(Box<Status>),
    /// The last state of an instance that was removed.
    Purged(Box<Status>),
    /// The number of changes that were lost because this client was too slow.
    Missed(u64),
    /// The connection is lost; another one is tried.
    Lost(String),
    /// The host has refused the request.
    Refused(CliError),
}

#[derive(Debug)]
pub(super) struct Status {
    /// The host's own text.
    pub text: String,
    pub instance: Instance,
}

/// Listens in a thread of its own, which ends when the receiver is gone.
pub(super) fn follow(client: Client, target: Target, id: Option<String>) -> Result<Receiver<InstanceEvent>, CliError> {
    let (sender, receiver) = sync_channel(CHANGES_MAX);
    let listen = move || {
        let mut pause = RETRY_PAUSE;
        loop {
            let (event, connected) = match connect(&client, &target, id.as_deref()) {
                Ok(reader) => (listen(reader, &sender), true),
                Err(CliError::Unreachable { why, .. }) => (Some(InstanceEvent::Lost(why)), false),
                Err(error) => (Some(InstanceEvent::Refused(error)), false),
            };
            // The receiver is gone.
            let Some(event) = event else { return };
            let refused = matches!(event, InstanceEvent::Refused(_));
            if sender.send(event).is_err() || refused {
                return;
            }
            pause = if connected { RETRY_PAUSE } else { (pause * 2).min(RETRY_PAUSE_MAX) };
            std::thread::sleep(pause);
        }
    };
    let thread = std::thread::Builder::new().name("events".into()).spawn(listen);
    thread.map_err(|why| CliError::Failed(format!("starting a thread failed: {why}")))?;
    Ok(receiver)
}

fn connect(client: &Client, target: &Target, id: Option<&str>) -> Result<EventReader, CliError> {
    let answer = match client.events(target)? {
        Ok(reader) => return Ok(reader),
        Err(answer) => answer,
    };
    let refused = match id {
        Some(id) => answer.about_instance(id),
        None => answer.success(|| format!("{} sends no events", client.server())),
    };
    Err(refused.err().unwrap_or_else(|| CliError::Failed(format!("{} does not answer with events", client.server()))))
}

/// Passes events on until the connection is lost. None: the receiver is gone.
fn listen(mut reader: EventReader, sender: &SyncSender<InstanceEvent>) -> Option<InstanceEvent> {
    sender.send(InstanceEvent::Connected).ok()?;
    loop {
        let event = match reader.next() {
            Ok(Some(event)) => event,
            Ok(None) => return Some(InstanceEvent::Lost("the host has closed the connection".into())),
            Err(why) => return Some(InstanceEvent::Lost(why.to_string())),
        };
        let event = match event.kind.as_str() {
            kind @ ("status" | "purged") => match serde_json::from_str(&event.data) {
                Ok(instance) => {
                    let status = Box::new(Status { text: event.data, instance });
                    if kind == "status" { InstanceEvent::Status(status) } else { InstanceEvent::Purged(status) }
                }
                Err(why) => return Some(InstanceEvent::Lost(format!("the host sent a status that cannot be read: {why}"))),
            },
            "missed" => InstanceEvent::Missed(event.data.trim().parse().unwrap_or(1)),
            // Events that a newer host may send.
            _ => continue,
        };
        sender.send(event).ok()?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn news_are_read_until_the_connection_ends() {
        let stream = "event: status\ndata: {\"name\":\"f\",\"instanceId\":\"i\",\"runtimeStatus\":\"Running\",\n\
                      data: \"createdTime\":\"\",\"lastUpdatedTime\":\"\"}\n\nevent: missed\ndata: 17\n\nevent: other\ndata: x\n\n";
        let (sender, receiver) = sync_channel(8);
        let end = listen(EventReader::new(Box::new(stream.as_bytes())), &sender);
        assert!(matches!(end, Some(InstanceEvent::Lost(_))));
        drop(sender);
        let events: Vec<_> = receiver.iter().collect();
        assert!(
            matches!(&events[..], [InstanceEvent::Connected, InstanceEvent::Status(status), InstanceEvent::Missed(17)] if status.instance.instance_id == "i"),
            "{events:?}"
        );
    }

    #[test]
    fn a_status_that_cannot_be_read_is_told() {
        let (sender, _receiver) = sync_channel(8);
        let end = listen(EventReader::new(Box::new(&b"event: status\ndata: {}\n\n"[..])), &sender);
        assert!(matches!(end, Some(InstanceEvent::Lost(why)) if why.contains("cannot be read")));
    }
}
