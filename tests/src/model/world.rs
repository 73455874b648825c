//! The model: what clients may observe of orchestrations and counters, as simply as possible.
//!
//! A [`World`] is the state of the host at one moment. [`World::progress`] is what the host may do next on its own; the requests
//! of clients are in [`super::operation`]. Nothing here depends on how the host works: there is no history, replay or crash.

use std::collections::{BTreeMap, VecDeque};

use serde_json::{Value, json};

use super::queue::Queue;
use super::schedule::{BACKFILLED, BY_HAND, Overlap, Schedule};

/// Instances that clients start. Each may have a child.
pub const SLOTS: u8 = 3;
/// Counters that clients signal.
pub const KEYS: u8 = 2;

/// Identifies an orchestration. The slots from [`SLOTS`] on are the occurrences of a schedule in [`super::schedule::YEARS`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id {
    pub slot: u8,
    pub child: bool,
}

/// An orchestrator of the fixture `model` with its input.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Program {
    Collect { n: usize },
    Fragile,
    Patient,
    Parent,
    Rounds { rounds: usize, events: Vec<u32> },
}

/// The data of an event that the programs read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Data {
    Number(u32),
    Poison,
}

/// A message to a living orchestration.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Message {
    Event(Data),
    Suspend,
    Resume,
    /// The response of the service.
    Asked(bool),
    ChildEnded(Result<String, Words>),
}

/// The text of a failure. None: the model does not predict it.
pub type Words = Option<String>;

/// The point that the function has reached.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Phase {
    /// Not begun.
    Fresh,
    /// Waiting for an event.
    Reading,
    /// Has sent a request to the service. The response may depend on any position of the switch since then.
    Asking {
        may_succeed: bool,
        may_fail: bool,
        reported: bool,
    },
    Answered(bool),
    /// Waiting for its child.
    Awaiting,
    ChildEnded(Result<String, Words>),
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Life {
    /// It exists and has not begun: its scheduled time has not come, or it has had no turn yet.
    Pending {
        scheduled: bool,
    },
    Living,
    Ended(End),
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct End {
    status: Status,
    /// The output as JSON, the text of the failure, or the reason of the termination.
    words: Words,
    /// The state to which a rewind returns, and the messages that it delivers again.
    before: Box<Instance>,
    carried: Vec<Message>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Status {
    Pending,
    Running,
    Suspended,
    Completed,
    Failed,
    Terminated,
}

impl Status {
    pub fn name(self) -> &'static str {
        match self {
            Status::Pending => "Pending",
            Status::Running => "Running",
            Status::Suspended => "Suspended",
            Status::Completed => "Completed",
            Status::Failed => "Failed",
            Status::Terminated => "Terminated",
        }
    }

    pub fn is_terminal(self) -> bool {
        matches!(self, Status::Completed | Status::Failed | Status::Terminated)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Instance {
    program: Program,
    /// The slot whose service it calls: its own, or that of the instance with whose input it was restarted.
    service: u8,
    execution: u32,
    /// The parent, and its execution, to which it reports.
    parent: Option<(Id, u32)>,
    life: Life,
    suspended: bool,
    phase: Phase,
    /// Events that have arrived and were not read.
    unread: VecDeque<Data>,
    read: Vec<u32>,
    /// Messages that wait for the beginning, for a resume, or for a rewind.
    held: Vec<Message>,
}

/// A message from one orchestration to another, on its way.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Mail {
    ChildEnded { execution: u32, result: Result<String, Words> },
    Terminate { parent: (Id, u32), reason: u32 },
    Rewind { parent: (Id, u32) },
}

/// A counter.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Counter {
    pub value: Option<i64>,
    pub suspended: bool,
    pub held: Vec<Signal>,
}

/// An operation of a counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Signal {
    Add(i64),
    Reset,
    Delete,
    /// An operation that does not exist: it fails, and changes nothing.
    Nonsense,
}

/// The state of all instances.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct World {
    pub instances: BTreeMap<Id, Instance>,
    mail: Vec<(Id, Mail)>,
    executions: u32,
    /// Whether the service accepts the requests of a slot.
    switches: [bool; SLOTS as usize],
    pub counters: BTreeMap<u8, Counter>,
    pub queue: Queue,
    pub schedules: BTreeMap<u8, Schedule>,
    pub by_hand: ByHand,
}

/// The runs of a schedule that clients have asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct ByHand {
    /// Started, and not completed.
    running: usize,
    /// Completed, and not purged.
    pub completed: usize,
}

/// The result of a status query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Look {
    pub status: Status,
    pub program: Program,
    pub service: u8,
    /// None: the model does not predict it.
    pub output: Option<Value>,
}

impl Default for World {
    fn default() -> Self {
        World {
            instances: BTreeMap::new(),
            mail: Vec::new(),
            executions: 0,
            switches: [true; SLOTS as usize],
            counters: BTreeMap::new(),
            queue: Queue::default(),
            schedules: BTreeMap::new(),
            by_hand: ByHand::default(),
        }
    }
}

impl Program {
    /// The function's name.
    pub fn name(&self) -> &'static str {
        match self {
            Program::Collect { .. } => "collect",
            Program::Fragile => "fragile",
            Program::Patient => "patient",
            Program::Parent => "parent",
            Program::Rounds { .. } => "rounds",
        }
    }

    /// The function's input; `service` is the address of the slot's service.
    pub fn input(&self, service: &str) -> Value {
        match self {
            Program::Collect { n } => json!(n),
            Program::Fragile | Program::Patient | Program::Parent => json!(service),
            Program::Rounds { rounds, events } => json!({ "service": service, "events": events, "rounds": rounds }),
        }
    }
}

impl Message {
    /// Whether a rewind discards it.
    fn has_failed(&self) -> bool {
        matches!(self, Message::Asked(false) | Message::ChildEnded(Err(_)))
    }
}

impl Instance {
    fn new(program: Program, service: u8, execution: u32, parent: Option<(Id, u32)>, scheduled: bool) -> Self {
        Instance {
            program,
            service,
            execution,
            parent,
            life: Life::Pending { scheduled },
            suspended: false,
            phase: Phase::Fresh,
            unread: VecDeque::new(),
            read: Vec::new(),
            held: Vec::new(),
        }
    }

    pub fn status(&self) -> Status {
        match &self.life {
            Life::Pending { .. } => Status::Pending,
            Life::Living if self.suspended => Status::Suspended,
            Life::Living => Status::Running,
            Life::Ended(end) => end.status,
        }
    }

    pub fn is_living(&self) -> bool {
        !self.status().is_terminal()
    }

    pub fn look(&self) -> Look {
        let output = match &self.life {
            Life::Pending { .. } | Life::Living => Some(Value::Null),
            Life::Ended(end) => match (end.status, &end.words) {
                (_, None) => None,
                (Status::Completed, Some(output)) => serde_json::from_str(output).ok(),
                (Status::Failed, Some(words)) => {
                    Some(json!(format!("Orchestrator function '{}' failed: {words}", self.program.name())))
                }
                (_, Some(reason)) => Some(json!(reason)),
            },
        };
        Look { status: self.status(), program: self.program.clone(), service: self.service, output }
    }

    fn is_asking(&self) -> bool {
        matches!(self.phase, Phase::Asking { .. })
    }

    fn apply(&mut self, message: &Message) {
        match message {
            Message::Event(data) => self.unread.push_back(*data),
            Message::Suspend => self.suspended = true,
            Message::Resume => self.suspended = false,
            Message::Asked(yes) if self.is_asking() => self.phase = Phase::Answered(*yes),
            Message::ChildEnded(result) if self.phase == Phase::Awaiting => self.phase = Phase::ChildEnded(result.clone()),
            // It is a duplicate.
            Message::Asked(_) | Message::ChildEnded(_) => {}
        }
    }
}

impl World {
    pub fn status(&self, id: Id) -> Option<Status> {
        self.instances.get(&id).map(Instance::status)
    }

    fn next_execution(&mut self) -> u32 {
        self.executions += 1;
        self.executions
    }

    /// Starts an instance for a client. Its first turn precedes the response, unless it is scheduled.
    pub fn start(&mut self, id: Id, program: Program, service: u8, scheduled: bool) {
        let execution = self.next_execution();
        self.instances.insert(id, Instance::new(program, service, execution, None, scheduled));
        if !scheduled {
            self.begin(id);
        }
    }

    /// Returns the program with which an instance is restarted, with the input of its last execution, and its service.
    pub fn program(&self, id: Id) -> Option<(Program, u8)> {
        self.instances.get(&id).map(|instance| (instance.program.clone(), instance.service))
    }

    /// Delivers messages of clients. They reach the instance before the response.
    pub fn tell(&mut self, id: Id, messages: Vec<Message>) {
        let Some(instance) = self.instances.get_mut(&id) else { return };
        match instance.life {
            Life::Pending { scheduled } => {
                instance.held.extend(messages);
                if !scheduled {
                    self.begin(id);
                }
            }
            Life::Living | Life::Ended(_) => self.turn(id, messages),
        }
    }

    pub fn switch(&mut self, slot: u8, on: bool) {
        self.switches[usize::from(slot)] = on;
        for instance in self.instances.values_mut() {
            if let Phase::Asking { may_succeed, may_fail, .. } = &mut instance.phase
                && instance.service == slot
            {
                *may_succeed |= on;
                *may_fail |= !on;
            }
        }
    }

    /// Ends an instance at once. Messages that it has not taken in are lost.
    pub fn terminate(&mut self, id: Id, reason: u32, recurse: bool) {
        let Some(instance) = self.instances.get_mut(&id) else { return };
        let awaits = instance.phase == Phase::Awaiting;
        let owner = (id, instance.execution);
        let before = Instance { held: Vec::new(), ..instance.clone() };
        if recurse && awaits {
            self.mail.push((Id { child: true, ..id }, Mail::Terminate { parent: owner, reason }));
        }
        let words = Some(reason_text(reason));
        self.end(id, End { status: Status::Terminated, words, before: Box::new(before), carried: Vec::new() });
    }

    /// Returns an instance to its state before its end.
    pub fn rewind(&mut self, id: Id) {
        let Some(asking) = self.asking(id) else { return };
        let Some(instance) = self.instances.get_mut(&id) else { return };
        let Life::Ended(End { before, carried, .. }) = instance.life.clone() else { return };
        let kept = std::mem::take(&mut instance.held);
        *instance = *before;
        instance.life = Life::Living;
        if instance.is_asking() {
            instance.phase = asking;
        }
        let (owner, awaits) = ((id, instance.execution), instance.phase == Phase::Awaiting);
        // A success that arrived later is the result that it waits for; a failure is to be retried.
        let kept: Vec<Message> = kept.into_iter().filter(|message| !message.has_failed()).collect();
        if awaits && kept.is_empty() {
            self.mail.push((Id { child: true, ..id }, Mail::Rewind { parent: owner }));
        }
        self.turn(id, carried.into_iter().chain(kept).collect());
    }

    /// Returns the phase of an instance that begins a request to the service.
    fn asking(&self, id: Id) -> Option<Phase> {
        let on = self.switches[usize::from(self.instances.get(&id)?.service)];
        Some(Phase::Asking { may_succeed: on, may_fail: !on, reported: false })
    }

    /// Returns the worlds after each single step that may happen next without a client.
    pub fn progress(&self) -> Vec<World> {
        let mut worlds = Vec::new();
        for (&id, instance) in &self.instances {
            match (&instance.life, &instance.phase) {
                (Life::Pending { .. }, _) => worlds.push(self.changed(|world| world.begin(id))),
                (Life::Living, Phase::Fresh) if !instance.suspended => {
                    worlds.push(self.changed(|world| world.turn(id, Vec::new())));
                }
                (Life::Living, &Phase::Asking { may_succeed, may_fail, reported: false }) => {
                    let answers = [(may_succeed, true), (may_fail, false)];
                    for (_, yes) in answers.into_iter().filter(|(may, _)| *may) {
                        worlds.push(self.changed(|world| world.report(id, yes)));
                    }
                }
                (Life::Living | Life::Ended(_), _) => {}
            }
        }
        let mut receivers: Vec<Id> = self.mail.iter().map(|(to, _)| *to).collect();
        receivers.sort();
        receivers.dedup();
        for to in receivers {
            let mut world = self.clone();
            let first = world.mail.iter().position(|(receiver, _)| *receiver == to);
            let (_, mail) = world.mail.remove(first.expect("there is mail for each of the receivers"));
            world.deliver(to, mail);
            worlds.push(world);
        }
        worlds.extend(self.queue.progress().into_iter().map(|queue| World { queue, ..self.clone() }));
        if self.by_hand.running > 0 {
            worlds.push(self.changed(|world| {
                world.by_hand.running -= 1;
                world.by_hand.completed += 1;
            }));
        }
        worlds
    }

    /// Changes a schedule, which first looks at what runs.
    pub fn operate_schedule(&mut self, key: u8, operate: impl FnOnce(&mut Schedule)) {
        let instances = &self.instances;
        let Some(schedule) = self.schedules.get_mut(&key) else { return };
        schedule.look(|id| instances.get(&id).is_some_and(Instance::is_living));
        operate(schedule);
    }

    /// Runs the occurrences of these years that have not run.
    pub fn backfill(&mut self, years: std::ops::RangeInclusive<u8>, overlap: Overlap) {
        self.operate_schedule(BACKFILLED, |_| {});
        for year in years {
            let id = Id { slot: SLOTS + year, child: false };
            let exists = self.instances.contains_key(&id);
            let starts = self.schedules.get_mut(&BACKFILLED).is_some_and(|schedule| schedule.occur(id, overlap, exists));
            if starts {
                let execution = self.next_execution();
                self.instances.insert(id, Instance::new(Program::Collect { n: 1 }, 0, execution, None, false));
            }
        }
    }

    /// Runs a schedule that has no instance to wait for.
    pub fn run_by_hand(&mut self) {
        self.operate_schedule(BY_HAND, |schedule| schedule.run += 1);
        self.by_hand.running += 1;
    }

    pub fn changed(&self, change: impl FnOnce(&mut World)) -> World {
        let mut world = self.clone();
        change(&mut world);
        world
    }

    /// Executes the first turn.
    fn begin(&mut self, id: Id) {
        let Some(instance) = self.instances.get_mut(&id) else { return };
        instance.life = Life::Living;
        let came = std::mem::take(&mut instance.held);
        self.turn(id, came);
    }

    fn report(&mut self, id: Id, yes: bool) {
        if let Some(Instance { phase: Phase::Asking { reported, .. }, .. }) = self.instances.get_mut(&id) {
            *reported = true;
        }
        self.turn(id, vec![Message::Asked(yes)]);
    }

    fn deliver(&mut self, to: Id, mail: Mail) {
        let Some(instance) = self.instances.get_mut(&to) else {
            // There is no instance to rewind.
            if let Mail::Rewind { parent: (parent, execution) } = mail {
                self.mail.push((parent, Mail::ChildEnded { execution, result: Err(None) }));
            }
            return;
        };
        match mail {
            Mail::ChildEnded { execution, result } if instance.execution == execution => {
                match &instance.life {
                    Life::Pending { .. } | Life::Living => self.turn(to, vec![Message::ChildEnded(result)]),
                    // Kept in case it is rewound.
                    Life::Ended(End { status: Status::Failed, .. }) => instance.held.push(Message::ChildEnded(result)),
                    Life::Ended(_) => {}
                }
            }
            Mail::Terminate { parent, reason } if instance.parent == Some(parent) && instance.is_living() => {
                self.terminate(to, reason, true);
            }
            Mail::ChildEnded { .. } | Mail::Terminate { .. } => {}
            Mail::Rewind { parent } if instance.parent == Some(parent) => match &instance.life {
                Life::Pending { .. } | Life::Living => {}
                Life::Ended(End { status: Status::Completed, words: Some(output), .. }) => {
                    let result = Ok(output.clone());
                    self.mail.push((parent.0, Mail::ChildEnded { execution: parent.1, result }));
                }
                Life::Ended(_) => self.rewind(to),
            },
            Mail::Rewind { parent: (parent, execution) } => {
                self.mail.push((parent, Mail::ChildEnded { execution, result: Err(None) }));
            }
        }
    }

    /// Takes in messages, then runs the function as far as possible.
    fn turn(&mut self, id: Id, messages: Vec<Message>) {
        let Some(instance) = self.instances.get_mut(&id) else { return };
        let before = Instance { held: Vec::new(), ..instance.clone() };
        let mut taken = Vec::new();
        let mut queue = VecDeque::from(messages);
        while let Some(message) = queue.pop_front() {
            if instance.suspended && message != Message::Resume {
                instance.held.push(message);
                continue;
            }
            if message == Message::Resume {
                instance.held.drain(..).rev().for_each(|held| queue.push_front(held));
            }
            instance.apply(&message);
            taken.push(message);
        }
        if !instance.suspended
            && let Some((status, words)) = self.run(id)
        {
            taken.retain(|message| !message.has_failed());
            self.end(id, End { status, words, before: Box::new(before), carried: taken });
        }
    }

    /// Runs the function until it waits. Returns how it ended, if it did.
    fn run(&mut self, id: Id) -> Option<(Status, Words)> {
        loop {
            let asking = self.asking(id)?;
            let next_execution = self.executions + 1;
            let instance = self.instances.get_mut(&id)?;
            let phase = instance.phase.clone();
            instance.phase = match (&mut instance.program, phase) {
                (Program::Parent, Phase::Fresh) => {
                    self.start_child(id);
                    continue;
                }
                (Program::Rounds { rounds, events }, Phase::Fresh) if events.len() >= *rounds => asking,
                (_, Phase::Fresh) => Phase::Reading,
                (Program::Collect { n }, Phase::Reading) if instance.read.len() == *n => {
                    return Some((Status::Completed, Some(json!(instance.read).to_string())));
                }
                (program, Phase::Reading) => match (instance.unread.pop_front()?, program) {
                    (Data::Poison, _) => return Some((Status::Failed, Some("this event is poison".into()))),
                    (Data::Number(number), Program::Rounds { events, .. }) => {
                        events.push(number);
                        // It continues as new: the next turn is the first of the next execution.
                        instance.execution = next_execution;
                        instance.phase = Phase::Fresh;
                        self.executions = next_execution;
                        return None;
                    }
                    (Data::Number(number), Program::Collect { .. }) => {
                        instance.read.push(number);
                        Phase::Reading
                    }
                    (Data::Number(number), _) => {
                        instance.read.push(number);
                        asking
                    }
                },
                (_, Phase::Asking { .. } | Phase::Awaiting) => return None,
                (Program::Rounds { events, .. }, Phase::Answered(true)) => {
                    return Some((Status::Completed, Some(json!([events, "yes"]).to_string())));
                }
                (_, Phase::Answered(true)) => {
                    return Some((Status::Completed, Some(json!([instance.read[0], "yes"]).to_string())));
                }
                (_, Phase::Answered(false)) => {
                    return Some((Status::Failed, Some("Activity function 'ask' failed: the service says 503".into())));
                }
                (_, Phase::ChildEnded(Ok(output))) => return Some((Status::Completed, Some(output))),
                (_, Phase::ChildEnded(Err(words))) => return Some((Status::Failed, words)),
            };
        }
    }

    fn start_child(&mut self, parent: Id) {
        let child = Id { child: true, ..parent };
        let Some(instance) = self.instances.get_mut(&parent) else { return };
        instance.phase = Phase::Awaiting;
        let (service, execution) = (instance.service, instance.execution);
        if self.instances.get(&child).is_some_and(Instance::is_living) {
            self.mail.push((parent, Mail::ChildEnded { execution, result: Err(None) }));
        } else {
            let own = self.next_execution();
            self.instances.insert(child, Instance::new(Program::Fragile, service, own, Some((parent, execution)), false));
        }
    }

    fn end(&mut self, id: Id, end: End) {
        let Some(instance) = self.instances.get_mut(&id) else { return };
        let report = instance.parent.map(|(parent, execution)| {
            let result = match (end.status, &end.words) {
                (Status::Completed, Some(output)) => Ok(output.clone()),
                (Status::Terminated, Some(reason)) => Err(Some(format!("the instance was terminated: {reason}"))),
                // All children run the same program.
                (_, words) => Err(words.as_ref().map(|words| format!("Orchestrator function 'fragile' failed: {words}"))),
            };
            (parent, Mail::ChildEnded { execution, result })
        });
        instance.life = Life::Ended(end);
        instance.suspended = false;
        instance.held.clear();
        self.mail.extend(report);
    }
}

/// The text of the reason with this number.
pub fn reason_text(reason: u32) -> String {
    format!("reason {reason}")
}

impl Counter {
    /// Whether the counter has a value or is suspended.
    pub fn exists(&self) -> bool {
        self.value.is_some() || self.suspended
    }

    pub fn signal(&mut self, signal: Signal) {
        if self.suspended {
            return self.held.push(signal);
        }
        match signal {
            Signal::Add(number) => self.value = Some(self.value.unwrap_or(0) + number),
            Signal::Reset => self.value = Some(0),
            Signal::Delete => self.value = None,
            Signal::Nonsense => {}
        }
    }

    pub fn resume(&mut self) {
        self.suspended = false;
        std::mem::take(&mut self.held).into_iter().for_each(|signal| self.signal(signal));
    }
}
