use std::io::IsTerminal as _;
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};

use clap::Args;

use super::client::{Client, Connection, Target};
use super::error::CliError;
use super::filter::STATUSES;
use super::following::{InstanceEvent, follow};
use super::instance::Instance;
use super::interrupt;
use super::view::{ROWS_MAX, View};

/// The shortest time between two drawings.
const REDRAW: Duration = Duration::from_millis(100);
/// The time between drawings without a change, because ages grow.
const REDRAW_IDLE: Duration = Duration::from_secs(1);

/// Follow one instance to its end, or all instances as they change.
///
/// On a terminal a table is kept up to date; elsewhere each change is a line. The table of all instances begins with those
/// that have not ended; the instance that changed last comes first. Messages of queues and schedules, which are instances too, are
/// shown with --id-prefix only. A lost connection is reopened. Ctrl-C ends it.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  dacapo watch order-17
  dacapo watch
  dacapo watch --id-prefix order- --runtime-status failed
  dacapo watch --json | jq -c 'select(.runtimeStatus == \"Failed\") | .instanceId'

With --json each change is one line of JSON. For one instance the exit code is that of `dacapo wait`.")]
pub(super) struct Watch {
    /// The id of the instance [default: all instances].
    #[arg(value_name = "ID", conflicts_with_all = ["id", "id_prefix", "runtime_status"])]
    positional_id: Option<String>,
    /// The id of the instance, as an option.
    #[arg(long, conflicts_with_all = ["id_prefix", "runtime_status"])]
    id: Option<String>,
    /// Only those whose id begins with this.
    #[arg(long, value_name = "PREFIX")]
    id_prefix: Option<String>,
    /// Only those with one of these statuses.
    #[arg(long, value_name = "STATUS", num_args = 1.., value_delimiter = ',', ignore_case = true, value_parser = STATUSES)]
    runtime_status: Vec<String>,
    #[command(flatten)]
    connection: Connection,
}

impl Watch {
    pub fn run(self) -> Result<(), CliError> {
        let client = self.connection.client();
        let terminal = !self.connection.json && std::io::stdout().is_terminal();
        if terminal {
            interrupt::says("No longer watching; the host goes on.".into());
        }
        match self.id.as_ref().or(self.positional_id.as_ref()) {
            Some(id) => {
                let view = if terminal { View::properties() } else { View::lines(self.connection.json) };
                watch_one(&client, id, view)
            }
            None => {
                let view = if terminal { View::table(client.server()) } else { View::lines(self.connection.json) };
                self.watch_all(&client, view)
            }
        }
    }

    fn watch_all(&self, client: &Client, mut view: View) -> Result<(), CliError> {
        let target = Target::management(["events"]).with_some("instanceIdPrefix", self.id_prefix.as_deref());
        let events = follow(client.clone(), target, None)?;
        let mut connected = false;
        let mut clock = Clock::new();
        loop {
            match clock.next(|pause| events.recv_timeout(pause)) {
                Some(InstanceEvent::Connected) => {
                    connected = true;
                    if view.is_table() {
                        view.begin(self.living(client)?);
                    }
                }
                Some(InstanceEvent::Status(status)) if self.means(&status.instance) => view.show(*status)?,
                Some(InstanceEvent::Status(status) | InstanceEvent::Purged(status)) => view.remove(&status.instance.instance_id),
                Some(InstanceEvent::Missed(count)) => view.say(format!("{count} changes came too fast and are not shown")),
                Some(InstanceEvent::Lost(why)) if connected => view.say(format!("the connection is lost ({why}); trying again")),
                Some(InstanceEvent::Lost(why)) => return Err(CliError::Unreachable { server: client.server().into(), why }),
                Some(InstanceEvent::Refused(error)) => return Err(error),
                None => {}
            }
            clock.redraw(|| view.draw())?;
        }
    }

    fn means(&self, instance: &Instance) -> bool {
        let status = &instance.runtime_status;
        if instance.is_built_in() && self.id_prefix.is_none() {
            return false;
        }
        self.runtime_status.is_empty() || self.runtime_status.iter().any(|name| name.eq_ignore_ascii_case(status))
    }

    /// Instances that have not ended.
    fn living(&self, client: &Client) -> Result<Vec<Instance>, CliError> {
        let target = Target::management(["instances"])
            .with("top", ROWS_MAX)
            .with("showInput", false)
            .with("runtimeStatus", "Running,Pending,Suspended,ContinuedAsNew")
            .with_some("instanceIdPrefix", self.id_prefix.as_deref());
        let answer = client.get(&target)?.success(|| format!("{} lists no instances", client.server()))?;
        let instances: Vec<Instance> = answer.parse()?;
        Ok(instances.into_iter().filter(|instance| self.means(instance)).collect())
    }
}

/// Follows one instance: the host sends its current state first, then each change.
fn watch_one(client: &Client, id: &str, mut view: View) -> Result<(), CliError> {
    let events = follow(client.clone(), Target::instance(id, ["events"]), Some(id.to_owned()))?;
    let (mut known, mut last) = (false, String::new());
    let mut clock = Clock::new();
    loop {
        match clock.next(|pause| events.recv_timeout(pause)) {
            // A new connection begins with the current state, which may be known already.
            Some(InstanceEvent::Status(status)) if status.text == last => {}
            Some(InstanceEvent::Status(status)) => {
                known = true;
                last.clone_from(&status.text);
                let verdict = status.instance.has_ended().then(|| status.instance.verdict());
                view.show(*status)?;
                if let Some(verdict) = verdict {
                    view.draw()?;
                    return verdict;
                }
            }
            Some(InstanceEvent::Purged(_)) => return Err(purged(id)),
            // The host sends the current state next.
            Some(InstanceEvent::Missed(_) | InstanceEvent::Connected) | None => {}
            Some(InstanceEvent::Lost(why)) if known => view.say(format!("the connection is lost ({why}); trying again")),
            Some(InstanceEvent::Lost(why)) => return Err(CliError::Unreachable { server: client.server().into(), why }),
            Some(InstanceEvent::Refused(CliError::NotFound(_))) if known => return Err(purged(id)),
            Some(InstanceEvent::Refused(error)) => return Err(error),
        }
        clock.redraw(|| view.draw())?;
    }
}

fn purged(id: &str) -> CliError {
    CliError::NotFound(format!("the instance '{id}' was purged"))
}

/// When a view is drawn.
struct Clock {
    drawn: Instant,
    changed: bool,
}

impl Clock {
    fn new() -> Self {
        Self { drawn: Instant::now(), changed: true }
    }

    /// The next event; none when it is time to draw. A thread that has ended has sent the reason before.
    fn next(&mut self, receive: impl FnOnce(Duration) -> Result<InstanceEvent, RecvTimeoutError>) -> Option<InstanceEvent> {
        let pause = if self.changed { REDRAW } else { REDRAW_IDLE };
        let event = receive(pause.saturating_sub(self.drawn.elapsed())).ok();
        self.changed |= event.is_some();
        event
    }

    fn redraw(&mut self, draw: impl FnOnce() -> Result<(), CliError>) -> Result<(), CliError> {
        let due = if self.changed { REDRAW } else { REDRAW_IDLE };
        if self.drawn.elapsed() < due {
            return Ok(());
        }
        (self.drawn, self.changed) = (Instant::now(), false);
        draw()
    }
}
