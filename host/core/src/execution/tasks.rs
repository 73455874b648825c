//! What completes once, and waiting for it.

use super::calls::{Retry, Target};
use super::channels::Unread;
use super::http::Poll;
use super::{Execution, Stopped, TaskId, TaskOutcome, arguments};
use crate::{Failure, Seq};

#[derive(Debug)]
pub(super) struct Task {
    pub work: Work,
    /// Set once, with the rank of its completion among all completions of the execution.
    done: Option<(u64, TaskOutcome)>,
    /// The guest blocks on it.
    awaited: bool,
    /// The guest has seen how it ended.
    pub read: bool,
}

#[derive(Debug)]
pub(super) enum Work {
    /// A call of an activity or a sub-orchestration, with what it takes to try it again.
    Call {
        target: Target,
        retry: Option<Box<Retry>>,
    },
    /// A call of the host's HTTP activity, with what it takes to ask again.
    Http(Box<Poll>),
    /// An operation of an entity, or a lock: one action with one result.
    Entity,
    Timer {
        seq: Seq,
    },
    /// `event` is what it was served with.
    ExternalEvent {
        folded_name: String,
        event: Option<Unread>,
    },
}

impl Execution {
    pub(super) fn add_task(&mut self, work: Work) -> Result<TaskId, Stopped> {
        if self.tasks.len() >= self.limits.tasks {
            let message = format!("more than {} tasks in one execution (tasks): use continue-as-new", self.limits.tasks);
            return Err(self.stop(Failure::permanent(Failure::LIMIT_EXCEEDED, message)));
        }
        self.tasks.push(Task { work, done: None, awaited: false, read: false });
        Ok(TaskId(self.tasks.len() as u32 - 1))
    }

    pub(super) fn complete(&mut self, id: TaskId, outcome: TaskOutcome) {
        let task = &mut self.tasks[id.0 as usize];
        if task.done.is_some() {
            return;
        }
        task.done = Some((self.completions, outcome));
        self.completions += 1;
        self.runnable |= task.awaited;
    }

    /// Which of the tasks have completed, as indexes into `tasks` in the order of completion. Empty: the guest blocks
    /// until the next [`crate::Guest::resume`], and then asks again.
    pub fn wait(&mut self, tasks: &[TaskId]) -> Result<Vec<u32>, Stopped> {
        if tasks.is_empty() {
            return Err(self.stop(arguments::invalid("it waits on nothing: the list of tasks is empty".into())));
        }
        for id in std::mem::take(&mut self.waiting) {
            self.tasks[id.0 as usize].awaited = false;
        }
        let mut done: Vec<(u64, u32)> = Vec::new();
        for (index, id) in tasks.iter().enumerate() {
            if let Some((rank, _)) = &self.tasks[id.0 as usize].done {
                done.push((*rank, index as u32));
            }
        }
        self.runnable = false;
        if done.is_empty() {
            for id in tasks {
                self.tasks[id.0 as usize].awaited = true;
            }
            self.waiting.extend_from_slice(tasks);
        }
        done.sort_unstable();
        Ok(done.into_iter().map(|(_, index)| index).collect())
    }

    pub fn outcome(&mut self, task: TaskId) -> Option<&TaskOutcome> {
        let task = &mut self.tasks[task.0 as usize];
        task.read |= task.done.is_some();
        task.done.as_ref().map(|(_, outcome)| outcome)
    }

    /// Gives up a timer or a wait for an event. An event that was handed to the wait and that the guest has not read goes
    /// back to where it was, for the next wait. False, and nothing done, for anything else and for what has completed.
    pub fn cancel(&mut self, task: TaskId) -> bool {
        let entry = &mut self.tasks[task.0 as usize];
        let canceled = Err(Failure::permanent(Failure::CANCELED, "it was cancelled"));
        match (&entry.work, &mut entry.done) {
            (Work::ExternalEvent { event: Some(_), .. }, Some((_, outcome))) if !entry.read && outcome.is_ok() => {
                *outcome = canceled;
                self.put_back(task);
                return true;
            }
            (_, Some(_)) | (Work::Call { .. } | Work::Http(_) | Work::Entity, None) => return false,
            (Work::Timer { seq }, None) => {
                let seq = *seq;
                self.clear_timer(seq);
            }
            (Work::ExternalEvent { folded_name, .. }, None) => {
                if let Some(channel) = self.channels.get_mut(folded_name) {
                    channel.waits.retain(|&waiting| waiting != task);
                }
            }
        }
        self.complete(task, canceled);
        true
    }
}
