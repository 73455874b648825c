//! Following instances without polling: server-sent events.
//!
//! ```text
//!   Hub::changes ─▶ Follower: which of them ─▶ EventText: made once for all followers ─▶ event: status | purged | missed
//! ```
//!
//! A stream that is too slow loses changes and reports how many; it never slows the hub down. One whose client does not read
//! does no work. Where a hub has many streams, they are woken together.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::HeaderName;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, watch};

use dacapo_core::{InstanceId, InstanceRecord};
use dacapo_store::InstanceQuery;

use crate::api::content::json::written;
use crate::api::content::page::{statuses, text};
use crate::api::content::status::StatusBody;
use crate::api::error::ApiError;
use crate::api::request::Call;
use crate::api::request::parameter::INSTANCE_ID_PREFIX;
use crate::hub::{Change, EventText, Hub};

/// After this long a silence a comment is sent, so that neither peer nor a proxy takes the connection for dead.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
const KEEP_ALIVE_TEXT: &[u8] = b": keep-alive\n\n";

/// Tells a proxy not to buffer events.
const NOT_BUFFERED: (HeaderName, &str) = (HeaderName::from_static("x-accel-buffering"), "no");

/// `GET instances/{instanceId}/events`
pub(in crate::api) async fn follow_instance(call: Call) -> Result<Response, ApiError> {
    let (hub, id) = (call.hub()?, call.instance_id()?);
    // Subscribed before the state is read, so that no change falls between the two.
    let mut follower = Follower::new(&call, hub.changes()?, Followed::Instance { id, last: None })?;
    if !follower.show_now().await? {
        return Err(ApiError::not_found());
    }
    Ok(response(follower))
}

/// `GET events`
pub(in crate::api) async fn follow_hub(call: Call) -> Result<Response, ApiError> {
    let id_prefix = text(&call, &INSTANCE_ID_PREFIX)?;
    let query = InstanceQuery { id_prefix, statuses: statuses(&call)?, ..InstanceQuery::default() };
    let changes = call.hub()?.changes()?;
    Ok(response(Follower::new(&call, changes, Followed::Hub(query))?))
}

fn response(follower: Follower) -> Response {
    let events = futures::stream::unfold(follower, |mut follower| async {
        let event = follower.next().await?;
        Some((Ok::<_, Infallible>(event), follower))
    });
    let headers = [(CONTENT_TYPE, "text/event-stream"), (CACHE_CONTROL, "no-cache"), NOT_BUFFERED];
    (headers, Body::from_stream(events)).into_response()
}

/// What a client follows.
#[allow(clippy::large_enum_variant)] // one for each stream
enum Followed {
    /// Until it ends.
    Instance {
        id: InstanceId,
        last: Option<InstanceRecord>,
    },
    Hub(InstanceQuery),
}

/// One stream.
struct Follower {
    hub: Hub,
    changes: broadcast::Receiver<Change>,
    stopping: watch::Receiver<bool>,
    followed: Followed,
    /// Events that are still to be sent.
    ready: VecDeque<Bytes>,
    /// The stream ends after those.
    ended: bool,
}

/// What a stream waits for.
enum StreamInput {
    Change(Change),
    Missed(u64),
    Silence,
    /// The host is shutting down.
    End,
}

impl Follower {
    fn new(call: &Call, changes: broadcast::Receiver<Change>, followed: Followed) -> Result<Self, ApiError> {
        Ok(Self::of(call.hub()?, changes, call.api.options.stopping.clone(), followed))
    }

    fn of(hub: Hub, changes: broadcast::Receiver<Change>, stopping: watch::Receiver<bool>, followed: Followed) -> Self {
        Self { hub, changes, stopping, followed, ready: VecDeque::new(), ended: false }
    }

    /// The next event; none at the end of the stream.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(event);
            }
            if self.ended {
                return None;
            }
            match self.next_input().await {
                StreamInput::Change(change) => self.take_in(change).await,
                StreamInput::Missed(count) => self.missed(count).await,
                StreamInput::Silence => self.ready.push_back(Bytes::from_static(KEEP_ALIVE_TEXT)),
                StreamInput::End => self.ended = true,
            }
        }
    }

    async fn next_input(&mut self) -> StreamInput {
        let Self { changes, stopping, hub, .. } = self;
        let was_waiting = changes.is_empty();
        let heard = tokio::select! {
            biased;
            () = stopped(stopping) => return StreamInput::End,
            heard = changes.recv() => match heard {
                Ok(change) => StreamInput::Change(change),
                Err(RecvError::Lagged(count)) => StreamInput::Missed(count),
                Err(RecvError::Closed) => return StreamInput::End,
            },
            () = tokio::time::sleep(KEEP_ALIVE) => return StreamInput::Silence,
        };
        if was_waiting && let Some(moment) = hub.tells_at() {
            tokio::time::sleep_until(moment.into()).await;
        }
        heard
    }

    async fn take_in(&mut self, change: Change) {
        if !self.followed.wants(&change) {
            return;
        }
        if let Followed::Instance { last, .. } = &mut self.followed {
            self.ended = change.purged || change.record.status.is_terminal();
            *last = Some((*change.record).clone());
        }
        let text = self.shared_text(&change).await;
        self.ready.push_back(Bytes::from_owner(Sent(text)));
    }

    /// Reports missed changes, and shows an instance anew: its end may have been among them.
    async fn missed(&mut self, count: u64) {
        self.ready.push_back(format!("event: missed\ndata: {count}\n\n").into());
        if let Followed::Instance { last, .. } = &mut self.followed {
            *last = None;
            self.ended = !self.show_now().await.unwrap_or(false) || self.ended;
        }
    }

    /// Queues an event with the current state of the followed instance. False if it does not exist.
    async fn show_now(&mut self) -> Result<bool, ApiError> {
        let Followed::Instance { id, .. } = &self.followed else { return Ok(false) };
        let id = id.clone();
        let Some(record) = self.hub.read(move |hub| hub.instance(&id)).await? else { return Ok(false) };
        self.take_in(Change::new(record.into(), false)).await;
        Ok(true)
    }

    /// The event of a change, made by the first follower that needs it, for all.
    async fn shared_text(&self, change: &Change) -> Arc<EventText> {
        let mut kept = change.text.lock().await;
        if let Some(text) = kept.upgrade() {
            return text;
        }
        let text = Arc::new(self.reserved_text(change).await);
        *kept = Arc::downgrade(&text);
        text
    }

    /// The text with its memory reservation. It is not held while waiting for memory, but made again.
    async fn reserved_text(&self, change: &Change) -> EventText {
        loop {
            let text = self.text(change).await;
            let no_room = match self.hub.memory().try_reserve(text.len()) {
                Ok(reservation) => return EventText { text, reservation: Some(reservation) },
                Err(no_room) => no_room,
            };
            drop(text);
            if self.hub.memory().reserve(no_room.wanted).await.is_err() {
                return EventText { text: self.text(change).await, reservation: None };
            }
        }
    }

    async fn text(&self, change: &Change) -> String {
        let record = &change.record;
        let kind = if change.purged { "purged" } else { "status" };
        let output = if record.status.is_terminal() { self.output(record).await } else { None };
        let data = written(&StatusBody::new(record, None, output.as_deref()));
        let mut text = format!("event: {kind}\nid: {}-{}\n", record.row.0, record.updated.0);
        // A payload may have line breaks between its tokens.
        for line in data.split(['\r', '\n']) {
            text.push_str("data: ");
            text.push_str(line);
            text.push('\n');
        }
        text.push('\n');
        text
    }

    /// None also if the instance was replaced or purged since.
    async fn output(&self, record: &InstanceRecord) -> Option<dacapo_core::Payload> {
        let record = record.clone();
        self.hub.read(move |hub| hub.output_of(&record)).await.ok().flatten()
    }
}

/// An event as the body of a stream takes it, shared with other streams.
struct Sent(Arc<EventText>);

impl AsRef<[u8]> for Sent {
    fn as_ref(&self) -> &[u8] {
        self.0.text.as_bytes()
    }
}

impl Followed {
    fn wants(&self, change: &Change) -> bool {
        let record = &change.record;
        match self {
            // Changes older than the state that was shown last may still arrive.
            Followed::Instance { id, last } => {
                let old = |last: &InstanceRecord| {
                    record.row < last.row || record.row == last.row && record.updated < last.updated || **record == *last
                };
                record.id == *id && (change.purged || !last.as_ref().is_some_and(old))
            }
            Followed::Hub(query) => {
                let status = query.statuses.is_empty() || query.statuses.contains(&record.status);
                status && record.id.as_str().starts_with(&query.id_prefix)
            }
        }
    }
}

async fn stopped(stopping: &mut watch::Receiver<bool>) {
    // An error means that the sender is gone, so no signal to stop will come.
    if stopping.wait_for(|stop| *stop).await.is_err() {
        std::future::pending::<()>().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::tests::Host;
    use dacapo_core::{Message, Row, RuntimeStatus, Timestamp};
    use uuid::Uuid;

    const CAPACITY: usize = 4;

    fn record(id: &str, status: RuntimeStatus, second: i64) -> InstanceRecord {
        let event = dacapo_core::Event::ExecutionStarted {
            execution: dacapo_core::ExecutionId(Uuid::nil()),
            name: dacapo_core::FunctionName::new("Main").unwrap(),
            input: "1".into(),
            version: String::new(),
            parent: None,
            start_at: None,
        };
        let to = InstanceId::any(id).unwrap();
        let message = Message { to, execution: None, sent_at: Timestamp(0), event };
        let pending = InstanceRecord::pending(Row(7), &message).unwrap();
        InstanceRecord { status, updated: Timestamp(second * 1_000_000), ..pending }
    }

    fn change(id: &str, status: RuntimeStatus, second: i64) -> Change {
        Change::new(record(id, status, second).into(), false)
    }

    /// What a follower sends of these changes, each event as its kind, its id and the statuses in it.
    async fn check(followed: Followed, changes: Vec<Change>, expected: &[&str]) {
        let host = Host::open();
        let (sender, receiver) = broadcast::channel(CAPACITY);
        let (_stop, stopping) = watch::channel(false);
        let mut follower = Follower::of(host.hub().await, receiver, stopping, followed);
        changes.into_iter().for_each(|change| drop(sender.send(change)));
        drop(sender);
        let mut sent = Vec::new();
        while let Some(event) = follower.next().await {
            sent.push(shown(&event));
        }
        assert_eq!(sent, expected);
        host.close().await;
    }

    /// An event as it is sent, in one line.
    fn shown(event: &[u8]) -> String {
        let text = str::from_utf8(event).unwrap();
        assert!(text.ends_with("\n\n"), "{text}");
        let lines = text.lines().filter(|line| !line.is_empty()).map(|line| match line.strip_prefix("data: {") {
            Some(json) => {
                let status: serde_json::Value = serde_json::from_str(&format!("{{{json}")).unwrap();
                assert_eq!(status["input"], serde_json::Value::Null);
                format!("{} {}", status["instanceId"].as_str().unwrap(), status["runtimeStatus"].as_str().unwrap())
            }
            None => line.to_owned(),
        });
        lines.collect::<Vec<_>>().join("; ")
    }

    fn instance(last: Option<InstanceRecord>) -> Followed {
        Followed::Instance { id: InstanceId::any("a").unwrap(), last }
    }

    #[tokio::test]
    async fn an_instance_is_followed_to_its_end() {
        use RuntimeStatus::{Completed, Running, Suspended};
        check(
            instance(Some(record("a", Running, 2))),
            vec![change("a", Running, 1), change("b", Completed, 3), change("a", Suspended, 3), change("a", Completed, 4)],
            &["event: status; id: 7-3000000; a Suspended", "event: status; id: 7-4000000; a Completed"],
        )
        .await;
        check(
            instance(None),
            vec![change("a", Completed, 1), change("a", Running, 2)],
            &["event: status; id: 7-1000000; a Completed"],
        )
        .await;
    }

    #[tokio::test]
    async fn an_instance_that_is_removed_is_followed_no_further() {
        let running = record("a", RuntimeStatus::Running, 1);
        let purged = Change::new(running.clone().into(), true);
        check(
            instance(Some(running)),
            vec![purged, change("a", RuntimeStatus::Running, 2)],
            &["event: purged; id: 7-1000000; a Running"],
        )
        .await;
    }

    #[tokio::test]
    async fn a_hub_is_followed_by_prefix_and_status() {
        use RuntimeStatus::{Completed, Failed, Running};
        let query = InstanceQuery { id_prefix: "a".into(), statuses: vec![Running, Completed], ..InstanceQuery::default() };
        check(
            Followed::Hub(query),
            vec![change("a1", Running, 1), change("b1", Running, 1), change("a2", Failed, 1), change("a1", Completed, 2)],
            &["event: status; id: 7-1000000; a1 Running", "event: status; id: 7-2000000; a1 Completed"],
        )
        .await;
    }

    #[tokio::test]
    async fn who_is_too_slow_is_told_how_much_is_missing() {
        let changes = (1..=6).map(|second| change("a", RuntimeStatus::Running, second)).collect();
        let expected = [
            "event: missed; data: 2",
            "event: status; id: 7-3000000; a Running",
            "event: status; id: 7-4000000; a Running",
            "event: status; id: 7-5000000; a Running",
            "event: status; id: 7-6000000; a Running",
        ];
        check(Followed::Hub(InstanceQuery::default()), changes, &expected).await;
        // An instance that is gone by then has no state to go on with.
        let changes = (1..=6).map(|second| change("a", RuntimeStatus::Running, second)).collect();
        check(instance(None), changes, &["event: missed; data: 2"]).await;
    }

    /// 1,500 streams of one hub read the output of each instance that ended 1,500 times.
    #[tokio::test]
    async fn what_is_told_is_made_once_for_all() {
        let host = Host::open();
        let (sender, _) = broadcast::channel(CAPACITY);
        let (_stop, stopping) = watch::channel(false);
        let follower = async || {
            let query = Followed::Hub(InstanceQuery::default());
            Follower::of(host.hub().await, sender.subscribe(), stopping.clone(), query)
        };
        let (mut one, mut two) = (follower().await, follower().await);
        sender.send(change("a", RuntimeStatus::Running, 1)).unwrap();
        let (first, second) = (one.next().await.unwrap(), two.next().await.unwrap());
        assert!(std::ptr::eq(first.as_ptr(), second.as_ptr()));
        drop((one, two));
        host.close().await;
    }

    #[tokio::test]
    async fn a_line_break_in_a_payload_ends_no_event() {
        let host = Host::open();
        let (_sender, receiver) = broadcast::channel(CAPACITY);
        let (_stop, stopping) = watch::channel(false);
        let follower = Follower::of(host.hub().await, receiver, stopping, Followed::Hub(InstanceQuery::default()));
        let custom_status = Some("[1,\r\n\n2]".into());
        let record = InstanceRecord { custom_status, ..record("a", RuntimeStatus::Running, 1) };
        let text = follower.text(&Change::new(record.into(), false)).await;
        let data: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("data: ")).collect();
        let read: serde_json::Value = serde_json::from_str(&data.join("\n")).unwrap();
        assert_eq!(read["customStatus"], serde_json::json!([1, 2]));
        assert!(!text.trim_end().contains("\n\n") && !text.contains('\r'), "{text}");
        host.close().await;
    }

    #[tokio::test]
    async fn a_stream_ends_when_the_host_stops() {
        let host = Host::open();
        let (_sender, receiver) = broadcast::channel(CAPACITY);
        let (stop, stopping) = watch::channel(false);
        let mut follower = Follower::of(host.hub().await, receiver, stopping, instance(None));
        stop.send_replace(true);
        assert!(follower.next().await.is_none());
        host.close().await;
    }
}
