//! A history as a replay reads it: turn by turn.

use std::collections::VecDeque;

use crate::{Event, HistoryEvent, Timestamp};

/// A recorded action and its position in the history.
#[derive(Debug, Clone)]
pub struct RecordedAction {
    pub position: usize,
    pub event: Event,
}

/// One turn of a history.
#[derive(Debug)]
pub struct RecordedTurn<'a> {
    pub at: Timestamp,
    pub messages: Vec<&'a Event>,
    pub actions: VecDeque<RecordedAction>,
    /// The position behind its last event.
    pub end: usize,
}

impl<'a> RecordedTurn<'a> {
    /// Splits a history into its turns.
    pub fn split(history: &'a [HistoryEvent]) -> Vec<RecordedTurn<'a>> {
        let mut turns: Vec<RecordedTurn> = Vec::new();
        for (position, HistoryEvent { at, event }) in history.iter().enumerate() {
            if matches!(event, Event::OrchestratorStarted) {
                turns.push(RecordedTurn { at: *at, messages: Vec::new(), actions: VecDeque::new(), end: position + 1 });
            } else if let Some(turn) = turns.last_mut() {
                turn.end = position + 1;
                if event.is_action() {
                    turn.actions.push_back(RecordedAction { position, event: event.clone() });
                } else {
                    turn.messages.push(event);
                }
            }
        }
        turns
    }
}
