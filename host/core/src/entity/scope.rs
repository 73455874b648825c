//! The host calls of an operation.

use uuid::Uuid;

use crate::execution::{Limits, LogLevel, LogLine, Logs, Stopped, arguments, check_payload};
use crate::guest::Start;
use crate::random::RandomStream;
use crate::{Event, ExecutionId, Failure, InstanceId, Message, Payload, Timestamp};

/// The host calls of an operation. The messages that it sends take effect with the commit of the turn, unless it fails.
///
/// One scope serves all operations of a turn: between [`OperationScope::begin`] and [`OperationScope::finish`] it belongs to
/// one of them.
#[derive(Debug)]
pub struct OperationScope {
    pub entity: InstanceId,
    pub execution: ExecutionId,
    pub now: Timestamp,
    pub limits: Limits,
    /// The number of the operation among all that the entity ever ran: it seeds the operation's randomness.
    number: u64,
    guids: u32,
    random: RandomStream,
    sent: Vec<Message>,
    sent_bytes: usize,
    /// An operation of which none that waits for its time is to be run.
    forgotten: Option<String>,
    logs: Logs,
    fuel: u64,
    fault: Option<Failure>,
}

impl OperationScope {
    pub fn new(entity: InstanceId, execution: ExecutionId, now: Timestamp, limits: Limits) -> Self {
        Self {
            random: RandomStream::new(execution, "operation:0"),
            logs: Logs::new(limits.log_bytes_per_turn),
            fuel: 0,
            entity,
            execution,
            now,
            limits,
            number: 0,
            guids: 0,
            sent: Vec::new(),
            sent_bytes: 0,
            forgotten: None,
            fault: None,
        }
    }

    /// Begins the operation with this number. Of the previous one only the log lines are kept.
    pub fn begin(&mut self, number: u64) {
        self.number = number;
        self.guids = 0;
        self.random = RandomStream::new(self.execution, &format!("operation:{number}"));
        self.sent.clear();
        self.sent_bytes = 0;
        self.forgotten = None;
        self.fault = None;
    }

    /// Returns the messages that the operation has sent, or why it was stopped.
    pub fn finish(&mut self) -> Result<Vec<Message>, Failure> {
        let sent = std::mem::take(&mut self.sent);
        match self.fault.take() {
            Some(failure) => Err(failure),
            None => Ok(sent),
        }
    }

    /// The time of the turn.
    pub fn current_time(&self) -> Timestamp {
        self.now
    }

    pub fn new_guid(&mut self) -> Uuid {
        self.derive("guid")
    }

    pub fn random_bytes(&mut self, bytes: &mut [u8]) {
        self.random.fill(bytes);
    }

    pub fn log(&mut self, level: LogLevel, message: &str) {
        self.logs.push(level, message);
    }

    /// Sends a one-way operation to an entity, this one included, at once or at a time.
    pub fn signal_entity(
        &mut self,
        name: &str,
        key: &str,
        operation: &str,
        input: Payload,
        deliver_at: Option<Timestamp>,
    ) -> Result<(), Stopped> {
        let to = self.checked(arguments::entity(name, key))?;
        let operation = self.checked(arguments::operation(operation))?;
        self.check("the input of an operation", &input)?;
        self.send(to, Event::OperationRequested { operation, input, caller: None, deliver_at })
    }

    /// Starts an orchestration and returns the id of its instance.
    pub fn start_orchestration(&mut self, name: &str, input: Payload, instance: Option<&str>) -> Result<InstanceId, Stopped> {
        let name = self.checked(arguments::function(name))?;
        self.check("the input of an orchestration", &input)?;
        let execution = ExecutionId(self.derive("start"));
        let to = match instance {
            Some(id) => self.checked(arguments::orchestration(id))?,
            None => InstanceId::from_uuid(execution.0),
        };
        let started = Event::ExecutionStarted { execution, name, input, version: String::new(), parent: None, start_at: None };
        self.send(to.clone(), started)?;
        Ok(to)
    }

    /// Starts an orchestration whose arguments have been checked, under its own name and version. For entities of the host.
    pub fn start(&mut self, start: Start) -> Result<(), Stopped> {
        let Start { name, input, instance, version, start_at } = start;
        self.check("the input of an orchestration", &input)?;
        let execution = ExecutionId(self.derive("start"));
        let to = instance.unwrap_or_else(|| InstanceId::from_uuid(execution.0));
        self.send(to, Event::ExecutionStarted { execution, name, input, version, parent: None, start_at })
    }

    /// Terminates an orchestration. For entities of the host, which no limit of guests holds back from this.
    pub fn terminate(&mut self, instance: InstanceId, reason: &str) {
        self.send_unlimited(instance, Event::ExecutionTerminated { reason: reason.into(), recurse: false, parent: None });
    }

    /// Sends an operation to the entity itself, at once or at a time. For entities of the host: no limit of guests keeps one from
    /// being woken.
    pub fn wake(&mut self, operation: &str, deliver_at: Option<Timestamp>) {
        let (operation, input) = (operation.into(), "null".into());
        let to = self.entity.clone();
        self.send_unlimited(to, Event::OperationRequested { operation, input, caller: None, deliver_at });
    }

    /// Drops the signals of this operation that wait for their time. For entities of the host: one that ends need not be woken.
    pub fn forget_wakes(&mut self, operation: &str) {
        self.forgotten = Some(operation.to_owned());
    }

    /// The operation whose waiting signals are to be dropped.
    pub(super) fn take_forgotten(&mut self) -> Option<String> {
        self.forgotten.take()
    }

    fn send_unlimited(&mut self, to: InstanceId, event: Event) {
        self.sent.push(Message { to, execution: None, sent_at: self.now, event });
    }

    pub fn send_event(&mut self, instance: &str, name: &str, data: Payload) -> Result<(), Stopped> {
        self.check("the data of an event", &data)?;
        let name = self.checked(arguments::event(name))?;
        let to = self.checked(arguments::instance(instance))?;
        self.send(to, Event::EventRaised { name, data })
    }

    /// Why the guest was stopped. It overrides what the guest itself returned.
    pub fn fault(&self) -> Option<&Failure> {
        self.fault.as_ref()
    }

    pub fn take_logs(&mut self) -> Vec<LogLine> {
        self.logs.take()
    }

    /// Notes fuel that the guest has spent.
    pub fn spend(&mut self, fuel: u64) {
        self.fuel = self.fuel.saturating_add(fuel);
    }

    pub(crate) fn take_fuel(&mut self) -> u64 {
        std::mem::take(&mut self.fuel)
    }

    fn derive(&mut self, what: &str) -> Uuid {
        self.guids += 1;
        self.execution.derive(&format!("operation:{}:{what}:{}", self.number, self.guids))
    }

    fn send(&mut self, to: InstanceId, event: Event) -> Result<(), Stopped> {
        if self.fault.is_some() {
            return Err(Stopped);
        }
        self.sent_bytes += event.payload_bytes();
        let Limits { actions_per_turn, action_bytes_per_turn, .. } = self.limits;
        if let Some(why) = self.limits.no_room.clone() {
            return Err(self.exceeded(why.to_string()));
        }
        if self.sent.len() >= actions_per_turn {
            return Err(self.exceeded(format!("more than {actions_per_turn} messages sent by one operation (actions_per_turn)")));
        }
        if self.sent_bytes > action_bytes_per_turn {
            return Err(self.exceeded(format!(
                "messages with more than {action_bytes_per_turn} bytes sent by one operation (action_bytes_per_turn)"
            )));
        }
        self.sent.push(Message { to, execution: None, sent_at: self.now, event });
        Ok(())
    }

    fn exceeded(&mut self, message: String) -> Stopped {
        self.stop(Failure::permanent(Failure::LIMIT_EXCEEDED, message))
    }

    fn check(&mut self, what: &str, payload: &Payload) -> Result<(), Stopped> {
        let checked = check_payload(what, payload, &self.limits, Failure::INVALID_ARGUMENT);
        self.checked(checked)
    }

    fn checked<T>(&mut self, argument: Result<T, Failure>) -> Result<T, Stopped> {
        argument.map_err(|failure| self.stop(failure))
    }

    fn stop(&mut self, failure: Failure) -> Stopped {
        self.fault.get_or_insert(failure);
        Stopped
    }
}
