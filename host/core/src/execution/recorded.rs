//! A history as a replay reads it: turn by turn.

use std::collections::VecDeque;
use std::sync::Arc;

use super::Conditions;
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
    /// The guest's conditions from this turn on. None: unchanged.
    pub conditions: Option<&'a Arc<Conditions>>,
    pub messages: Vec<&'a Event>,
    pub actions: VecDeque<RecordedAction>,
    /// The position after its last event.
    pub end: usize,
}

impl<'a> RecordedTurn<'a> {
    /// Splits a history into its turns.
    pub fn split(history: &'a [HistoryEvent]) -> Vec<RecordedTurn<'a>> {
        Self::split_from(0, history)
    }

    /// Splits a part of a history that begins at this position, and with a turn.
    pub fn split_from(begin: usize, history: &'a [HistoryEvent]) -> Vec<RecordedTurn<'a>> {
        let mut turns: Vec<RecordedTurn> = Vec::new();
        for (position, HistoryEvent { at, event }) in (begin..).zip(history) {
            if let Event::OrchestratorStarted { conditions } = event {
                let (conditions, end) = (conditions.as_ref(), position + 1);
                turns.push(RecordedTurn { at: *at, conditions, messages: Vec::new(), actions: VecDeque::new(), end });
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
