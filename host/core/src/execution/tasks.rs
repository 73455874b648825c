//! Tasks, which complete once, and waiting for them.

use super::calls::{Retry, Target};
use super::external_events::Wait;
use super::http::Poll;
use super::{Execution, Stopped, TaskId, TaskOutcome, arguments};
use crate::commit::EventDelivery;
use crate::{Failure, Payload, Seq};

#[derive(Debug)]
pub(super) struct Task {
    pub work: Work,
    /// The outcome, with the rank of its completion among all arrivals and completions of the execution.
    done: Option<(u64, TaskOutcome)>,
    /// The guest blocks on it, as one of a list.
    awaited: bool,
    /// The guest watches it, under this number.
    watched: Option<u32>,
    /// The guest has read the outcome.
    pub read: bool,
    /// The guest has dropped its handle, and will not ask for it again.
    released: bool,
}

#[derive(Debug)]
pub(super) enum Work {
    /// A call of an activity or a sub-orchestration, with the state of its retries.
    Call {
        target: Target,
        retry: Option<Box<Retry>>,
    },
    /// A call of the built-in HTTP activity, with the state of its polling.
    Http(Box<Poll>),
    /// An operation of an entity, or a lock: one action with one result.
    Entity,
    Timer {
        seq: Seq,
    },
    ExternalEvent(Wait),
    /// A call with invalid arguments: it failed from the beginning, nothing was scheduled, and so nothing is recorded.
    Refused,
}

impl Task {
    pub fn is_done(&self) -> bool {
        self.done.is_some()
    }

    /// The guest blocks on it, or will when it blocks next.
    pub fn is_awaited(&self) -> bool {
        self.awaited || self.watched.is_some()
    }
}

impl Execution {
    pub(super) fn add_task(&mut self, work: Work) -> Result<TaskId, Stopped> {
        if self.tasks.len() >= self.limits.tasks {
            let message = format!("more than {} tasks in one execution (tasks): use continue-as-new", self.limits.tasks);
            return Err(self.stop(Failure::permanent(Failure::LIMIT_EXCEEDED, message)));
        }
        self.tasks.push(Task { work, done: None, awaited: false, watched: None, read: false, released: false });
        Ok(TaskId(self.tasks.len() as u32 - 1))
    }

    /// Makes the task of a call with invalid arguments. The guest can catch this failure like any other failure of the call.
    pub(super) fn refused(&mut self, why: Failure) -> Result<TaskId, Stopped> {
        let id = self.add_task(Work::Refused)?;
        self.complete(id, Err(why));
        Ok(id)
    }

    pub(super) fn next_rank(&mut self) -> u64 {
        self.ranks += 1;
        self.ranks
    }

    pub(super) fn complete(&mut self, id: TaskId, outcome: TaskOutcome) {
        let rank = self.next_rank();
        self.complete_at(rank, id, outcome);
    }

    pub(super) fn complete_at(&mut self, rank: u64, id: TaskId, outcome: TaskOutcome) {
        let task = &mut self.tasks[id.0 as usize];
        if task.done.is_some() {
            return;
        }
        task.done = Some((rank, outcome));
        self.runnable |= task.is_awaited();
        if task.watched.is_some() {
            self.ready.insert(rank, id);
        }
        if task.released {
            self.forget_outcome(id);
        }
    }

    /// Reopens a wait for an event whose outcome the guest has not read.
    pub(super) fn reopen(&mut self, id: TaskId) {
        self.tasks[id.0 as usize].done = None;
    }

    /// Returns which of the tasks have completed, as indexes into `tasks` in the order of completion. Empty: the guest blocks
    /// until the next [`crate::Guest::resume`], and then asks again.
    pub fn wait(&mut self, tasks: &[TaskId]) -> Result<Vec<u32>, Stopped> {
        if tasks.is_empty() {
            return Err(self.stop(arguments::invalid("it waits on nothing: the list of tasks is empty".into())));
        }
        self.end_wait();
        for id in tasks {
            self.tasks[id.0 as usize].awaited = true;
        }
        self.waiting.extend_from_slice(tasks);
        self.serve_waits(tasks);
        let mut done: Vec<(u64, u32)> = Vec::new();
        for (index, id) in tasks.iter().enumerate() {
            if let Some((rank, _)) = &self.tasks[id.0 as usize].done {
                done.push((*rank, index as u32));
            }
        }
        self.runnable = false;
        done.sort_unstable();
        if let Some(&(_, first)) = done.first() {
            self.claim(tasks[first as usize]);
        }
        Ok(done.into_iter().map(|(_, index)| index).collect())
    }

    /// Watches a task: [`Self::wait_watched`] reports it once, by this number.
    pub fn watch(&mut self, id: TaskId, key: u32) {
        let task = &mut self.tasks[id.0 as usize];
        if task.watched.replace(key).is_none() {
            self.watched += 1;
        }
        match &task.done {
            Some((rank, _)) => drop(self.ready.insert(*rank, id)),
            None if matches!(task.work, Work::ExternalEvent(_)) => drop(self.asking.insert(id)),
            None => {}
        }
    }

    /// Stops watching a task.
    pub fn unwatch(&mut self, id: TaskId) {
        let task = &mut self.tasks[id.0 as usize];
        if task.watched.take().is_none() {
            return;
        }
        self.watched -= 1;
        if let Some((rank, _)) = &task.done {
            self.ready.remove(rank);
        }
        self.asking.remove(&id);
        self.stop_asking_unless_listed(id);
    }

    /// Returns the numbers of the watched tasks that have completed, in the order of completion, and stops watching them.
    /// Empty: the guest blocks until the next [`crate::Guest::resume`], and then asks again.
    pub fn wait_watched(&mut self) -> Result<Vec<u32>, Stopped> {
        if self.watched == 0 {
            return Err(self.stop(arguments::invalid("it waits on nothing: no task is watched".into())));
        }
        self.end_wait();
        self.serve_waits(&[]);
        self.runnable = false;
        let ready = std::mem::take(&mut self.ready);
        if let Some(&first) = ready.values().next() {
            self.claim(first);
        }
        self.watched -= ready.len();
        Ok(ready.into_values().filter_map(|id| self.tasks[id.0 as usize].watched.take()).collect())
    }

    /// Ends the last [`Self::wait`]: its tasks are not asked for any more.
    fn end_wait(&mut self) {
        for id in std::mem::take(&mut self.waiting) {
            self.tasks[id.0 as usize].awaited = false;
            self.stop_asking_unless_listed(id);
        }
    }

    fn stop_asking_unless_listed(&mut self, id: TaskId) {
        let is_awaited = self.tasks[id.0 as usize].is_awaited();
        if self.context.event_delivery == EventDelivery::FirstAsked && !is_awaited {
            self.dequeue_wait(id);
        }
    }

    /// Serves the waits for events that the guest newly asks for, oldest first.
    fn serve_waits(&mut self, listed: &[TaskId]) {
        let mut asking = std::mem::take(&mut self.asking);
        if self.context.event_delivery == EventDelivery::FirstMade {
            return;
        }
        asking.extend(listed.iter().filter(|id| matches!(self.tasks[id.0 as usize].work, Work::ExternalEvent(_))));
        asking.into_iter().for_each(|id| self.ask(id));
    }

    /// Returns the outcome. An event that the task was served with cannot be put back any more.
    pub fn outcome(&mut self, id: TaskId) -> Option<&TaskOutcome> {
        if self.context.event_delivery == EventDelivery::FirstAsked && !self.tasks[id.0 as usize].is_done() {
            self.ask(id);
            self.stop_asking_unless_listed(id);
        }
        let task = &mut self.tasks[id.0 as usize];
        task.read |= task.done.is_some();
        task.done.as_ref().map(|(_, outcome)| outcome)
    }

    /// Notes that the guest has dropped the handle: an outcome that it has read, or cannot read any more, need not be kept.
    pub fn release(&mut self, id: TaskId) {
        self.tasks[id.0 as usize].released = true;
        self.forget_outcome(id);
    }

    /// Drops the outcome, unless it is an unread event, which may still go to another wait.
    fn forget_outcome(&mut self, id: TaskId) {
        let task = &mut self.tasks[id.0 as usize];
        match &mut task.work {
            Work::ExternalEvent(_) if !task.read => return,
            Work::ExternalEvent(wait) => wait.forget_event(),
            Work::Call { .. } | Work::Http(_) | Work::Entity | Work::Timer { .. } | Work::Refused => {}
        }
        if let Some((_, outcome)) = &mut task.done {
            let forgotten = std::mem::replace(outcome, Ok(Payload::from("")));
            let bytes = forgotten.map_or_else(|failure| failure.payload_bytes(), |payload| payload.len());
            self.payload_bytes = self.payload_bytes.saturating_sub(bytes);
        }
    }

    /// Cancels a timer or a wait for an event. An unread event that the wait was served with goes back, for the next wait.
    /// Returns false, and changes nothing, for all other tasks and for those that have completed.
    pub fn cancel(&mut self, task: TaskId) -> bool {
        let entry = &mut self.tasks[task.0 as usize];
        let canceled = Err(Failure::permanent(Failure::CANCELED, "it was cancelled"));
        match (&entry.work, &mut entry.done) {
            (Work::ExternalEvent(wait), Some((_, outcome))) if wait.is_served() && !entry.read => {
                *outcome = canceled;
                self.put_back(task);
                return true;
            }
            (_, Some(_)) | (Work::Call { .. } | Work::Http(_) | Work::Entity | Work::Refused, None) => return false,
            (Work::Timer { seq }, None) => {
                let seq = *seq;
                self.clear_timer(seq);
            }
            (Work::ExternalEvent(_), None) => {
                self.asking.remove(&task);
                self.dequeue_wait(task);
            }
        }
        self.complete(task, canceled);
        true
    }
}
