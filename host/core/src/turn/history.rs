//! The history of a cold instance, read page by page: no more than one turn of it has to be in memory.

use std::collections::VecDeque;

use crate::Event;
use crate::event::HistoryEvent;
use crate::guest::NotNow;

/// The recorded history of an execution.
pub trait History: Send {
    /// Returns the events in order, in pages; each call starts at the first event. `NotNow::Unread`: reading failed, for a
    /// reason that the implementation knows.
    fn pages(&self) -> Pages<'_>;
}

pub type Pages<'h> = Box<dyn Iterator<Item = Result<Vec<HistoryEvent>, NotNow>> + 'h>;

/// A history in memory.
impl History for Vec<HistoryEvent> {
    fn pages(&self) -> Pages<'_> {
        Box::new(std::iter::once(Ok(self.clone())))
    }
}

/// Reads the whole history.
pub(super) fn whole(history: &dyn History) -> Result<Vec<HistoryEvent>, NotNow> {
    let mut events = Vec::new();
    for page in history.pages() {
        events.append(&mut page?);
    }
    Ok(events)
}

/// The events of a history, turn by turn: each turn begins with its `OrchestratorStarted`.
pub(super) struct Turns<'h> {
    pages: Pages<'h>,
    ahead: VecDeque<HistoryEvent>,
}

impl<'h> Turns<'h> {
    pub fn of(history: &'h dyn History) -> Self {
        Self { pages: history.pages(), ahead: VecDeque::new() }
    }
}

impl Iterator for Turns<'_> {
    type Item = Result<Vec<HistoryEvent>, NotNow>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut turn = Vec::new();
        loop {
            while let Some(entry) = self.ahead.pop_front() {
                if matches!(entry.event, Event::OrchestratorStarted { .. }) && !turn.is_empty() {
                    self.ahead.push_front(entry);
                    return Some(Ok(turn));
                }
                turn.push(entry);
            }
            match self.pages.next() {
                Some(Ok(page)) => self.ahead = page.into(),
                Some(Err(why)) => return Some(Err(why)),
                None => return (!turn.is_empty()).then_some(Ok(turn)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Timestamp;

    struct InPages(Vec<HistoryEvent>, usize);

    impl History for InPages {
        fn pages(&self) -> Pages<'_> {
            Box::new(self.0.chunks(self.1).map(|page| Ok(page.to_vec())))
        }
    }

    #[test]
    fn turns_do_not_depend_on_the_pages() {
        let event = |at, event| HistoryEvent { at: Timestamp(at), event };
        let raised = || Event::EventRaised { name: "e".into(), data: "1".into() };
        let started = || Event::OrchestratorStarted { conditions: None };
        let events = [started(), raised(), raised(), started(), started(), raised()];
        let events: Vec<_> = events.into_iter().enumerate().map(|(at, of)| event(at as i64, of)).collect();
        for size in 1..8 {
            let history = InPages(events.clone(), size);
            let turns: Vec<_> = Turns::of(&history).map(|turn| turn.unwrap()).collect();
            assert_eq!(turns, [&events[..3], &events[3..4], &events[4..]], "pages of {size}");
            assert_eq!(whole(&history).unwrap(), events);
        }
    }
}
