//! The operations of clients, and the responses that the model allows.

use std::fmt;

use rand::Rng as _;
use rand::rngs::StdRng;

use super::queue::{Kind, Place};
use super::schedule::{BACKFILLED, BY_HAND, Overlap, SCHEDULES, Schedule, YEARS};
use super::world::{Counter, Data, Id, KEYS, Message, Program, SLOTS, Signal, Status, World};

/// One step of a sequence.
#[derive(Debug, Clone, PartialEq)]
pub enum Operation {
    Start {
        slot: u8,
        program: Program,
        delay_ms: Option<u32>,
    },
    /// Raises the event that the programs read, in some spelling of its name.
    Raise {
        id: Id,
        name: &'static str,
        data: Data,
    },
    /// Raises an event that no program reads.
    Noise(Id),
    Suspend(Id),
    Resume(Id),
    Terminate {
        id: Id,
        reason: u32,
        recurse: bool,
    },
    Rewind(Id),
    Restart(Id),
    RestartAs {
        id: Id,
        slot: u8,
    },
    Purge(Id),
    /// Purges the instances that have ended with one of these statuses.
    PurgeEnded(Vec<Status>),
    Signal {
        key: u8,
        signal: Signal,
    },
    SuspendCounter(u8),
    ResumeCounter(u8),
    PurgeCounter(u8),
    /// Puts messages into a queue, as one request.
    Enqueue {
        messages: Vec<(u32, Kind)>,
        place: Place,
        delay_ms: Option<u32>,
    },
    Clear(Place),
    /// Moves the messages of the poison queue back.
    Redrive,
    /// Deploys the app that has the trigger of the queue with it, or without it.
    Listen(bool),
    CreateSchedule {
        key: u8,
        paused: bool,
        note: u32,
    },
    PauseSchedule {
        key: u8,
        note: u32,
    },
    ResumeSchedule {
        key: u8,
        note: u32,
    },
    /// Runs the occurrences of these of the years.
    Backfill {
        from: u8,
        to: u8,
        overlap: Overlap,
    },
    RunSchedule,
    DeleteSchedule(u8),
    /// Sets whether the service accepts the requests of a slot.
    Switch {
        slot: u8,
        on: bool,
    },
    /// Compares all instances with the model.
    Look,
    /// Waits until no instance makes progress, and compares all instances with the model.
    Settle,
    /// Like `Settle`, but lists the instances page by page.
    Page,
    /// Kills the host with SIGKILL and restarts it.
    Crash,
    /// Kills the host with SIGKILL during a request, and restarts it.
    CrashDuring {
        operation: Box<Operation>,
        micros: u64,
    },
    /// Sends both requests concurrently.
    Both(Box<Operation>, Box<Operation>),
}

/// The response to a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    pub code: u16,
    /// The number of deleted instances, or of messages that were removed or moved.
    pub deleted: Option<u64>,
}

impl Answer {
    /// No host gives it: the request was executed in part, and a crash came.
    const NONE: Answer = Answer { code: 0, deleted: None };

    fn code(code: u16) -> Answer {
        Answer { code, deleted: None }
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.deleted {
            Some(deleted) => write!(f, "{} ({deleted} deleted)", self.code),
            None => write!(f, "{}", self.code),
        }
    }
}

impl World {
    /// Returns the possible responses to a request, each with the resulting world. Usually there is one.
    ///
    /// For a step that is not a request: none.
    pub fn ask(&self, operation: &Operation) -> Vec<(Answer, World)> {
        let refuse = |code| vec![(Answer::code(code), self.clone())];
        let accept = |change: &dyn Fn(&mut World)| {
            let mut world = self.clone();
            change(&mut world);
            vec![(Answer::code(202), world)]
        };
        let status = |id: &Id| self.status(*id);
        match operation {
            Operation::Start { slot, program, delay_ms } => match status(&main(*slot)) {
                Some(status) if !status.is_terminal() => refuse(409),
                _ => accept(&|world| world.start(main(*slot), program.clone(), *slot, delay_ms.is_some())),
            },
            Operation::Raise { id, data, .. } => match gone(status(id)) {
                Some(code) => refuse(code),
                None => accept(&|world| world.tell(*id, vec![Message::Event(*data)])),
            },
            Operation::Noise(id) => refuse(gone(status(id)).unwrap_or(202)),
            Operation::Suspend(id) => match (gone(status(id)), status(id)) {
                (Some(code), _) => refuse(code),
                (None, Some(Status::Suspended)) => refuse(500),
                (None, _) => accept(&|world| world.tell(*id, vec![Message::Suspend])),
            },
            Operation::Resume(id) => match (gone(status(id)), status(id)) {
                (Some(code), _) => refuse(code),
                (None, Some(Status::Suspended)) => accept(&|world| world.tell(*id, vec![Message::Resume])),
                (None, _) => refuse(500),
            },
            Operation::Terminate { id, reason, recurse } => match gone(status(id)) {
                Some(code) => refuse(code),
                None => accept(&|world| world.terminate(*id, *reason, *recurse)),
            },
            Operation::Rewind(id) => match status(id) {
                None => refuse(404),
                Some(Status::Failed) => accept(&|world| world.rewind(*id)),
                Some(_) => refuse(412),
            },
            Operation::Restart(id) => self.restart(*id, *id, 400),
            Operation::RestartAs { id, slot } => self.restart(*id, main(*slot), 404),
            Operation::Purge(id) => match status(id) {
                None => refuse(404),
                Some(status) if !status.is_terminal() => refuse(412),
                Some(_) => self.purged(&[*id]),
            },
            Operation::PurgeEnded(statuses) => {
                let ended: Vec<Id> = self.instances.keys().copied().filter(|id| self.is_one_of(*id, statuses)).collect();
                let completed = statuses.contains(&Status::Completed);
                let others = if completed { self.queue.processed.len() + self.by_hand.completed } else { 0 };
                match ended.len() + others {
                    0 => refuse(404),
                    deleted => {
                        let mut world = self.clone();
                        world.instances.retain(|id, _| !ended.contains(id));
                        if completed {
                            world.queue.processed.clear();
                            world.by_hand.completed = 0;
                        }
                        vec![(Answer { code: 200, deleted: Some(deleted as u64) }, world)]
                    }
                }
            }
            Operation::Signal { key, signal } => accept(&|world| world.counter(*key, |counter| counter.signal(*signal))),
            Operation::SuspendCounter(key) => match self.counters.get(key) {
                None => refuse(404),
                Some(counter) if counter.suspended => refuse(500),
                Some(_) => accept(&|world| world.counter(*key, |counter| counter.suspended = true)),
            },
            Operation::ResumeCounter(key) => match self.counters.get(key) {
                None => refuse(404),
                Some(counter) if counter.suspended => accept(&|world| world.counter(*key, Counter::resume)),
                Some(_) => refuse(500),
            },
            Operation::PurgeCounter(key) => {
                let deleted = self.counters.get(key).is_some_and(|counter| counter.value.is_some());
                let mut world = self.clone();
                if world.counters.contains_key(key) {
                    world.counter(*key, |counter| counter.value = None);
                }
                vec![(Answer { code: 200, deleted: Some(deleted.into()) }, world)]
            }
            Operation::Enqueue { messages, place, .. } => self.each(messages, Answer::code(202), |world, (number, kind)| {
                vec![world.clone(), world.changed(|world| world.queue.put(*number, *kind, *place))]
            }),
            Operation::Clear(place) => {
                let there: Vec<u32> = self.queue.peek(*place).into_iter().collect();
                let all = Answer { code: 200, deleted: Some(there.len() as u64) };
                self.each(&there, all, |world, number| {
                    vec![world.clone(), world.changed(|world| world.queue.clear(*number, *place))]
                })
            }
            Operation::Redrive => {
                let there: Vec<u32> = self.queue.peek(Place::Poison).into_iter().collect();
                let all = Answer { code: 200, deleted: Some(there.len() as u64) };
                self.each(&there, all, |world, number| {
                    let put_back = world.changed(|world| world.queue.put_back(*number));
                    let moved = put_back.changed(|world| world.queue.clear(*number, Place::Poison));
                    vec![world.clone(), put_back, moved]
                })
            }
            Operation::Listen(on) => vec![(Answer::code(200), self.changed(|world| world.queue.listen(*on)))],
            Operation::CreateSchedule { key, paused, note } => match self.schedules.contains_key(key) {
                true => refuse(409),
                false => {
                    let made = Schedule::new(*paused, *note);
                    vec![(Answer::code(201), self.changed(|world| drop(world.schedules.insert(*key, made))))]
                }
            },
            Operation::PauseSchedule { key, note } => {
                self.on_schedule(*key, 200, |world| world.operate_schedule(*key, |schedule| schedule.set_paused(true, *note)))
            }
            Operation::ResumeSchedule { key, note } => {
                self.on_schedule(*key, 200, |world| world.operate_schedule(*key, |schedule| schedule.set_paused(false, *note)))
            }
            Operation::Backfill { from, to, overlap } => {
                self.on_schedule(BACKFILLED, 202, |world| world.backfill(*from..=*to, *overlap))
            }
            Operation::RunSchedule => self.on_schedule(BY_HAND, 202, World::run_by_hand),
            Operation::DeleteSchedule(key) => self.on_schedule(*key, 204, |world| drop(world.schedules.remove(key))),
            Operation::Switch { .. }
            | Operation::Look
            | Operation::Settle
            | Operation::Page
            | Operation::Crash
            | Operation::CrashDuring { .. }
            | Operation::Both(..) => Vec::new(),
        }
    }

    /// A request that does the same to each of several things. `steps` returns the worlds in which it has been done to one of
    /// them, from not at all to wholly: a crash may come anywhere.
    fn each<T>(&self, things: &[T], whole: Answer, steps: impl Fn(&World, &T) -> Vec<World>) -> Vec<(Answer, World)> {
        let mut done = self.clone();
        let mut partly = vec![self.clone()];
        for thing in things {
            partly = partly.iter().flat_map(|world| steps(world, thing)).collect();
            done = steps(&done, thing).pop().unwrap_or(done);
        }
        let partly = partly.into_iter().map(|world| (Answer::NONE, world));
        [(whole, done)].into_iter().chain(partly).collect()
    }

    fn on_schedule(&self, key: u8, code: u16, change: impl FnOnce(&mut World)) -> Vec<(Answer, World)> {
        match self.schedules.contains_key(&key) {
            true => vec![(Answer::code(code), self.changed(change))],
            false => vec![(Answer::code(404), self.clone())],
        }
    }

    /// Returns the possible results of two concurrent requests if one turn takes in both.
    pub fn ask_in_one_turn(&self, first: &Operation, second: &Operation) -> Vec<([Answer; 2], World)> {
        let (Operation::Raise { id, data: one, .. }, Operation::Raise { data: two, .. }) = (first, second) else {
            return Vec::new();
        };
        if gone(self.status(*id)).is_some() {
            return Vec::new();
        }
        let taken = [[one, two], [two, one]].map(|events| {
            let mut world = self.clone();
            world.tell(*id, events.map(|data| Message::Event(*data)).to_vec());
            ([Answer::code(202); 2], world)
        });
        taken.to_vec()
    }

    fn restart(&self, id: Id, new: Id, code_if_missing: u16) -> Vec<(Answer, World)> {
        let code = match (self.program(id), self.status(new)) {
            (None, _) => code_if_missing,
            (Some(_), Some(status)) if !status.is_terminal() => 409,
            (Some((program, service)), _) => {
                let mut world = self.clone();
                world.start(new, program, service, false);
                return vec![(Answer::code(202), world)];
            }
        };
        vec![(Answer::code(code), self.clone())]
    }

    fn is_one_of(&self, id: Id, statuses: &[Status]) -> bool {
        self.status(id).is_some_and(|status| status.is_terminal() && statuses.contains(&status))
    }

    fn purged(&self, ids: &[Id]) -> Vec<(Answer, World)> {
        let mut world = self.clone();
        world.instances.retain(|id, _| !ids.contains(id));
        vec![(Answer { code: 200, deleted: Some(ids.len() as u64) }, world)]
    }

    /// Changes a counter. The first signal creates it; it is removed when it has neither a value nor a suspension.
    fn counter(&mut self, key: u8, change: impl FnOnce(&mut Counter)) {
        let counter = self.counters.entry(key).or_default();
        change(counter);
        if !counter.exists() {
            self.counters.remove(&key);
        }
    }
}

fn main(slot: u8) -> Id {
    Id { slot, child: false }
}

/// Returns the status of the response to a request for an instance that does not exist or has ended.
fn gone(status: Option<Status>) -> Option<u16> {
    match status {
        None => Some(404),
        Some(status) => status.is_terminal().then_some(410),
    }
}

/// Generates a random sequence, determined by `random`.
pub fn random_sequence(random: &mut StdRng, with_crashes: bool) -> Vec<Operation> {
    let length = random.random_range(6..40);
    let mut generator = Generator { random, numbers: 0, started: [const { None }; SLOTS as usize] };
    let mut operations = Vec::new();
    while operations.len() < length {
        if generator.random.random_range(0..12) == 0 {
            operations.extend(generator.failure());
        }
        let operation = generator.operation();
        operations.push(match generator.random.random_range(0..100) {
            0..7 if with_crashes => Operation::Crash,
            7..16 if with_crashes => {
                let micros = generator.random.random_range(0..6_000);
                Operation::CrashDuring { operation: Box::new(operation), micros }
            }
            16..22 => generator.at_the_same_time(operation),
            _ => operation,
        });
        match generator.random.random_range(0..10) {
            0..4 => operations.push(Operation::Settle),
            4..6 => operations.push(Operation::Look),
            _ => {}
        }
    }
    operations
}

/// The most messages in the queues: a crash in a request that concerns all of them leaves as many worlds as they have subsets.
const MESSAGES_MAX: usize = 5;

/// Puts operations on queues and schedules between those of a sequence.
pub fn woven(random: &mut StdRng, operations: Vec<Operation>, with_crashes: bool) -> Vec<Operation> {
    let (mut numbers, mut waiting) = (0, 0);
    let mut all = Vec::new();
    for operation in operations {
        while random.random_range(0..5) < 2 {
            numbers += 10;
            let operation = of_queue_or_schedule(random, numbers);
            if let Operation::Enqueue { messages, .. } = &operation {
                waiting += messages.len();
            }
            if waiting > MESSAGES_MAX {
                all.extend([Operation::Clear(Place::Work), Operation::Clear(Place::Poison)]);
                waiting = 0;
                continue;
            }
            all.push(match random.random_range(0..100) {
                0..14 if with_crashes => {
                    let micros = random.random_range(0..6_000);
                    Operation::CrashDuring { operation: Box::new(operation), micros }
                }
                _ => operation,
            });
            all.extend((random.random_range(0..4) == 0).then_some(Operation::Settle));
        }
        all.push(operation);
    }
    all
}

fn of_queue_or_schedule(random: &mut StdRng, numbers: u32) -> Operation {
    let key = random.random_range(0..SCHEDULES);
    let place = if random.random_range(0..3) == 0 { Place::Poison } else { Place::Work };
    match random.random_range(0..100) {
        0..25 => {
            let kind = |random: &mut StdRng| match random.random_range(0..60) {
                0 => Kind::Bad,
                1..8 => Kind::Flaky,
                _ => Kind::Good,
            };
            let messages = (0..random.random_range(1..4)).map(|number| (numbers + number, kind(random))).collect();
            let delay_ms = (random.random_range(0..6) == 0).then(|| random.random_range(1..200));
            Operation::Enqueue { messages, place, delay_ms }
        }
        25..31 => Operation::Clear(place),
        31..38 => Operation::Redrive,
        38..50 => Operation::Listen(random.random_range(0..3) > 0),
        50..60 => Operation::CreateSchedule { key, paused: random.random_range(0..3) == 0, note: numbers },
        60..65 => Operation::PauseSchedule { key, note: numbers },
        65..70 => Operation::ResumeSchedule { key, note: numbers },
        70..84 => {
            let from = random.random_range(0..YEARS.len() as u8);
            let overlap = if random.random() { Overlap::Skip } else { Overlap::AllowAll };
            Operation::Backfill { from, to: random.random_range(from..YEARS.len() as u8), overlap }
        }
        84..88 => Operation::DeleteSchedule(key),
        88..94 => Operation::RunSchedule,
        // To an occurrence, as to any other orchestration.
        _ => {
            let id = Id { slot: SLOTS + random.random_range(0..YEARS.len() as u8), child: false };
            match random.random_range(0..6) {
                0 => Operation::Terminate { id, reason: numbers, recurse: false },
                1 => Operation::Purge(id),
                2 => Operation::Restart(id),
                3 => Operation::Suspend(id),
                _ => Operation::Raise { id, name: "Go", data: Data::Number(numbers) },
            }
        }
    }
}

/// Generates operations, most of them for instances that have been started.
struct Generator<'a> {
    random: &'a mut StdRng,
    /// The last number that an event or a reason was given.
    numbers: u32,
    started: [Option<Program>; SLOTS as usize],
}

impl Generator<'_> {
    fn operation(&mut self) -> Operation {
        let slot = self.slot();
        let id = self.id(slot);
        let key = self.random.random_range(0..KEYS);
        self.numbers += 1;
        let nothing_yet = self.started.iter().all(Option::is_none);
        match self.random.random_range(0..100) {
            0..60 if nothing_yet => self.start(slot),
            0..12 => self.start(slot),
            12..44 => self.event(id),
            44..46 => Operation::Noise(id),
            46..51 => Operation::Suspend(id),
            51..57 => Operation::Resume(id),
            57..61 => Operation::Terminate { id, reason: self.numbers, recurse: self.random.random() },
            61..72 => Operation::Rewind(id),
            72..74 => Operation::Restart(id),
            74..76 => Operation::RestartAs { id, slot: self.random.random_range(0..SLOTS) },
            76..79 => Operation::Purge(id),
            79 => Operation::PurgeEnded(self.statuses()),
            80..90 => Operation::Switch { slot, on: self.random.random_range(0..5) < 3 },
            90..96 => Operation::Signal { key, signal: self.signal() },
            96 => Operation::SuspendCounter(key),
            97 => Operation::ResumeCounter(key),
            98 => Operation::PurgeCounter(key),
            _ => Operation::Page,
        }
    }

    /// Operations that probably make an instance fail, and rewind it now or later.
    fn failure(&mut self) -> Vec<Operation> {
        let slot = self.slot();
        self.numbers += 1;
        let id = Id { slot, child: self.started[usize::from(slot)] == Some(Program::Parent) };
        let event = self.event(id);
        let mut operations = vec![Operation::Switch { slot, on: false }, event, Operation::Settle];
        if self.random.random() {
            operations.push(Operation::Switch { slot, on: true });
        }
        if self.random.random() {
            let child = id.child && self.random.random();
            operations.push(Operation::Rewind(Id { slot, child }));
        }
        operations
    }

    /// Returns a slot in which something was started, if there is one. Sometimes any slot.
    fn slot(&mut self) -> u8 {
        let started: Vec<u8> = (0..SLOTS).filter(|slot| self.started[usize::from(*slot)].is_some()).collect();
        match started.is_empty() || self.random.random_range(0..8) == 0 {
            true => self.random.random_range(0..SLOTS),
            false => started[self.random.random_range(0..started.len())],
        }
    }

    /// Returns the instance of a slot or, more often where there is one, its child.
    fn id(&mut self, slot: u8) -> Id {
        let share = match self.started[usize::from(slot)] {
            Some(Program::Parent) => 60,
            Some(_) => 3,
            None => 10,
        };
        Id { slot, child: self.random.random_range(0..100) < share }
    }

    fn start(&mut self, slot: u8) -> Operation {
        // Prefers a slot in which nothing has been started yet.
        let free = (0..SLOTS).find(|slot| self.started[usize::from(*slot)].is_none());
        let slot = free.filter(|_| self.random.random_range(0..3) > 0).unwrap_or(slot);
        let delay_ms = (self.random.random_range(0..8) == 0).then(|| self.random.random_range(1..120));
        let program = self.program();
        self.started[usize::from(slot)] = Some(program.clone());
        Operation::Start { slot, program, delay_ms }
    }

    fn program(&mut self) -> Program {
        match self.random.random_range(0..8) {
            0..2 => Program::Collect { n: self.random.random_range(1..4) },
            2 => Program::Fragile,
            3 => Program::Patient,
            4..6 => Program::Rounds { rounds: self.random.random_range(0..3), events: Vec::new() },
            _ => Program::Parent,
        }
    }

    fn event(&mut self, id: Id) -> Operation {
        let name = ["Go", "go", "GO"][self.random.random_range(0..3)];
        let poison = self.random.random_range(0..12) == 0;
        let data = if poison { Data::Poison } else { Data::Number(self.numbers) };
        Operation::Raise { id, name, data }
    }

    fn signal(&mut self) -> Signal {
        match self.random.random_range(0..10) {
            0 => Signal::Reset,
            1 => Signal::Delete,
            2 => Signal::Nonsense,
            _ => Signal::Add(self.random.random_range(-5..100)),
        }
    }

    fn statuses(&mut self) -> Vec<Status> {
        let mut statuses = vec![Status::Completed, Status::Failed, Status::Terminated];
        statuses.retain(|_| self.random.random());
        if statuses.is_empty() { vec![Status::Failed] } else { statuses }
    }

    /// Combines a request with a suitable concurrent one to the same instance: the possible results are those of one after the
    /// other, and of one turn that takes in both.
    fn at_the_same_time(&mut self, first: Operation) -> Operation {
        self.numbers += 1;
        let second = match &first {
            Operation::Start { slot, .. } => Operation::Start { slot: *slot, program: self.program(), delay_ms: None },
            Operation::Raise { id, .. } if self.random.random() => Operation::Suspend(*id),
            Operation::Raise { id, .. } => self.event(*id),
            Operation::Signal { key, .. } => Operation::Signal { key: *key, signal: self.signal() },
            _ => return first,
        };
        Operation::Both(Box::new(first), Box::new(second))
    }
}
