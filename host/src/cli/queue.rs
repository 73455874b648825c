use clap::{Args, Subcommand};
use serde::Deserialize;
use serde_json::json;

use super::client::{Connection, Target};
use super::confirm::Confirmation;
use super::error::CliError;
use super::input;
use super::output::{print, print_done, print_table, short, table};
use super::times::{self, local_time};
use crate::triggers::queue::POISON;

/// Put a message into a queue of the task hub.
///
/// The trigger of the queue is run for it, again after a failure, five times at most; then the message goes to the queue
/// NAME-poison. A message whose queue has no trigger waits for one.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  dacapo enqueue orders '{\"id\": 17}'
  dacapo enqueue orders @order.json --deliver-at 10m
  some-program | dacapo enqueue orders -")]
pub(super) struct Enqueue {
    /// The queue: letters, digits, '-' and '_'.
    queue: String,
    /// The message: a text as it is, @FILE, or - for standard input.
    message: String,
    /// Deliver it not before this time.
    #[arg(long, value_name = "TIME", value_parser = times::future)]
    deliver_at: Option<String>,
    #[command(flatten)]
    connection: Connection,
}

/// List queues, look into them, clear them, and move messages back that could not be processed.
#[derive(Debug, Subcommand)]
#[command(after_help = "\
Examples:
  dacapo queue list
  dacapo queue peek orders
  dacapo queue redrive orders                             moves the messages of orders-poison back to orders
  dacapo queue clear orders --yes")]
pub(super) enum Queue {
    List(List),
    Peek(Peek),
    Clear(Clear),
    Redrive(Redrive),
}

/// List the queues that have messages or a trigger.
///
/// MESSAGES are those that wait or are processed, PROCESSING those of them that are processed now, POISON those of the queue NAME-poison.
#[derive(Debug, Args)]
pub(super) struct List {
    #[command(flatten)]
    connection: Connection,
}

/// Show the first messages of a queue, the oldest first. They stay in it.
#[derive(Debug, Args)]
pub(super) struct Peek {
    /// The queue.
    queue: String,
    /// How many, at most 100.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=100))]
    top: u32,
    #[command(flatten)]
    connection: Connection,
}

/// Remove all messages of a queue.
#[derive(Debug, Args)]
pub(super) struct Clear {
    /// The queue.
    queue: String,
    #[command(flatten)]
    confirmation: Confirmation,
    #[command(flatten)]
    connection: Connection,
}

/// Move the messages of a queue's poison queue back to it.
#[derive(Debug, Args)]
pub(super) struct Redrive {
    /// The queue; with or without -poison.
    queue: String,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct State {
    name: String,
    messages: u64,
    processing: u64,
    poison: u64,
    oldest_time: Option<String>,
    trigger: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Message {
    id: String,
    text: String,
    inserted_time: String,
    next_delivery_time: Option<String>,
    attempts: u32,
    reason: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Count {
    messages: u64,
}

fn target(queue: &str) -> Target {
    Target::host(["runtime", "webhooks", "queues", queue])
}

impl Enqueue {
    pub fn run(self) -> Result<(), CliError> {
        let text = input::text(&self.message)?;
        let client = self.connection.client();
        let target = target(&self.queue).with_some("deliverAt", self.deliver_at.as_deref());
        let answer = client.post_body(&target, "text/plain; charset=utf-8", text.as_bytes())?.success(none)?;
        #[derive(Deserialize)]
        struct Enqueued {
            messages: Vec<String>,
        }
        let id = answer.parse::<Enqueued>()?.messages.pop().unwrap_or_default();
        let done = json!({ "id": id, "queue": self.queue, "deliverAt": self.deliver_at });
        let at = self.deliver_at.map(|at| format!(" It is delivered at {}.", local_time(&at))).unwrap_or_default();
        print_done(self.connection.json, &done, format_args!("Put the message {id} into the queue '{}'.{at}", self.queue))
    }
}

impl Queue {
    pub fn run(self) -> Result<(), CliError> {
        match self {
            Queue::List(command) => command.run(),
            Queue::Peek(command) => command.run(),
            Queue::Clear(command) => command.run(),
            Queue::Redrive(command) => command.run(),
        }
    }
}

impl List {
    fn run(self) -> Result<(), CliError> {
        let answer = self.connection.client().get(&Target::host(["runtime", "webhooks", "queues"]))?.success(none)?;
        if self.connection.json {
            return print(answer.text);
        }
        let mut rows = table(["QUEUE", "MESSAGES", "PROCESSING", "POISON", "OLDEST", "TRIGGER"]);
        rows.add_rows(answer.parse::<Vec<State>>()?.into_iter().map(|state| {
            let [messages, processing, poison] = [state.messages, state.processing, state.poison].map(|count| count.to_string());
            let oldest = state.oldest_time.map(|at| local_time(&at)).unwrap_or_default();
            [state.name, messages, processing, poison, oldest, state.trigger.unwrap_or_else(|| "none".into())]
        }));
        print_table(rows)
    }
}

impl Peek {
    fn run(self) -> Result<(), CliError> {
        let answer = self.connection.client().get(&target(&self.queue).with("top", self.top))?.success(none)?;
        if self.connection.json {
            return print(answer.text);
        }
        let mut rows = table(["MESSAGE", "ENQUEUED", "NEXT DELIVERY", "ATTEMPTS", "TEXT", "LAST FAILURE"]);
        rows.add_rows(answer.parse::<Vec<Message>>()?.into_iter().map(|message| {
            let (text, reason) = (short(&message.text).to_string(), message.reason.unwrap_or_default());
            let next = message.next_delivery_time.map(|at| local_time(&at)).unwrap_or_default();
            let enqueued = local_time(&message.inserted_time);
            [message.id, enqueued, next, message.attempts.to_string(), text, short(&reason).to_string()]
        }));
        print_table(rows)
    }
}

impl Clear {
    fn run(self) -> Result<(), CliError> {
        self.confirmation.ask(&format!("Remove all messages of the queue '{}'?", self.queue))?;
        let answer = self.connection.client().delete(&target(&self.queue))?.success(none)?;
        let count = answer.parse::<Count>()?.messages;
        let done = json!({ "queue": self.queue, "messages": count });
        print_done(self.connection.json, &done, format_args!("Removed {count} messages of the queue '{}'.", self.queue))
    }
}

impl Redrive {
    fn run(self) -> Result<(), CliError> {
        let target = Target::host(["runtime", "webhooks", "queues", self.queue.as_str(), "redrive"]);
        let answer = self.connection.client().post(&target)?.success(none)?;
        let count = answer.parse::<Count>()?.messages;
        let lower = self.queue.to_ascii_lowercase();
        let queue = lower.strip_suffix(POISON).unwrap_or(&lower);
        let done = json!({ "queue": queue, "messages": count });
        print_done(self.connection.json, &done, format_args!("Moved {count} messages back to the queue '{queue}'."))
    }
}

fn none() -> String {
    "the host has no queues: it is of an earlier release".to_owned()
}
