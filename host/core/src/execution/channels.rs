//! External events: kept until they are read, first come, first served, per name.

use std::collections::VecDeque;

use super::tasks::Work;
use super::{Execution, Stopped, TaskId, arguments};
use crate::id::fold;
use crate::{Event, Payload};

/// The unread events of one name, and the waits for it.
#[derive(Debug, Default)]
pub(super) struct Channel {
    pub unread: VecDeque<Unread>,
    pub waits: VecDeque<TaskId>,
}

#[derive(Debug)]
pub(super) struct Unread {
    /// Order of arrival over all names.
    rank: u64,
    name: String,
    data: Payload,
}

impl Execution {
    pub fn wait_for_external_event(&mut self, name: &str) -> Result<TaskId, Stopped> {
        let name = self.checked(arguments::event(name))?;
        let folded_name = fold(&name);
        let id = self.add_task(Work::ExternalEvent { folded_name: folded_name.clone(), event: None })?;
        let channel = self.channels.entry(folded_name).or_default();
        match channel.unread.pop_front() {
            Some(event) => self.serve(id, event),
            None => channel.waits.push_back(id),
        }
        Ok(id)
    }

    pub(super) fn raise(&mut self, name: &str, data: &Payload) {
        let rank = self.arrivals;
        self.arrivals += 1;
        let event = Unread { rank, name: name.into(), data: data.clone() };
        let channel = self.channels.entry(fold(name)).or_default();
        match channel.waits.pop_front() {
            Some(id) => self.serve(id, event),
            None => channel.unread.push_back(event),
        }
    }

    /// Gives the event that a wait was served with to the next wait, or back to the front of the unread ones.
    pub(super) fn put_back(&mut self, task: TaskId) {
        let Work::ExternalEvent { folded_name, event } = &mut self.tasks[task.0 as usize].work else { return };
        let (Some(event), channel) = (event.take(), self.channels.entry(folded_name.clone()).or_default()) else { return };
        match channel.waits.pop_front() {
            Some(next) => self.serve(next, event),
            None => channel.unread.push_front(event),
        }
    }

    /// Completes a wait with an event.
    fn serve(&mut self, wait: TaskId, served: Unread) {
        let data = served.data.clone();
        if let Work::ExternalEvent { event, .. } = &mut self.tasks[wait.0 as usize].work {
            *event = Some(served);
        }
        self.complete(wait, Ok(data));
    }

    /// The events that the guest never read, in the order in which they arrived: continue-as-new takes them along.
    pub fn take_unread(&mut self) -> Vec<Event> {
        let served = self.tasks.iter_mut().filter(|task| !task.read).filter_map(|task| match &mut task.work {
            Work::ExternalEvent { event, .. } => event.take(),
            Work::Call { .. } | Work::Http(_) | Work::Entity | Work::Timer { .. } => None,
        });
        let mut unread: Vec<Unread> = served.collect();
        unread.extend(self.channels.drain().flat_map(|(_, channel)| channel.unread));
        unread.sort_by_key(|event| event.rank);
        unread.into_iter().map(|event| Event::EventRaised { name: event.name, data: event.data }).collect()
    }
}
