//! Whether a commit follows the stored state. Only reads.

use dacapo_core::RuntimeStatus;

use super::{Plan, Tables};
use crate::StoreError;
use crate::codec::CommitGuard;
use crate::redb::fault::Fault;
use crate::redb::prepare::Prepared;

impl Tables<'_> {
    pub(super) fn check(&self, commit: &Prepared) -> Result<Plan, Fault> {
        let stale = |reason: String| Fault::Store(StoreError::Stale { instance: commit.id.clone(), reason });
        let stored = self.guard(commit.row)?;
        follows(commit, stored.as_ref()).map_err(|StaleReason(reason)| stale(reason))?;
        is_consistent(commit).map_err(|reason| stale(reason.into()))?;
        if stored.is_some() {
            return Ok(Plan { new: false, replaces: None });
        }
        match self.holder(commit.id.as_str())? {
            Some((_, holder)) if !holder.status.is_terminal() => Err(stale("another instance with this id is alive".into())),
            Some((row, _)) if Some(row) != commit.replaces => Err(stale("an instance with this id has ended meanwhile".into())),
            holder => Ok(Plan { new: true, replaces: holder.map(|(row, _)| row) }),
        }
    }
}

/// Why a commit is not the next one of its instance.
struct StaleReason(String);

/// Whether the commit is the next one of its instance.
fn follows(commit: &Prepared, stored: Option<&CommitGuard>) -> Result<(), StaleReason> {
    if let Some(stored) = stored {
        if stored.id != commit.id {
            return Err(StaleReason(format!("its row {} belongs to '{}'", commit.row.0, stored.id)));
        }
        if rewinds(commit, stored) {
            return Ok(());
        }
        if stored.status.is_terminal() && !commit.listing_fields.status.is_terminal() {
            return Err(StaleReason(format!("it has ended: it is {}", stored.status.name())));
        }
    }
    let turns = stored.map_or(0..0, |stored| stored.turns.clone());
    let came = commit.history.as_ref().map(|(turn, _)| *turn);
    let end = match came {
        Some(turn) if turn == turns.end => turn.checked_add(1),
        Some(_) => None,
        None => Some(turns.end),
    };
    if end != Some(commit.turns.end) || commit.turns.start > commit.turns.end {
        return Err(StaleReason(format!(
            "turns {turns:?} are stored, and the commit makes them {:?} with turn {came:?}",
            commit.turns
        )));
    }
    // Continue-as-new removes all turns; only a rewind removes just the last ones.
    let all_go = commit.forgotten == turns && commit.turns.is_empty() && came.is_none();
    if !commit.forgotten.is_empty() && !all_go {
        return Err(StaleReason(format!("turns {turns:?} are stored, and the commit forgets {:?}", commit.forgotten)));
    }
    Ok(())
}

/// Whether the commit rewinds an instance that failed or was terminated: it removes the last turns and reuses the number of the
/// first of them; or it removes all, because the turn in their place continued as new.
fn rewinds(commit: &Prepared, stored: &CommitGuard) -> bool {
    let (turns, gone) = (&stored.turns, &commit.forgotten);
    let may_be = matches!(stored.status, RuntimeStatus::Failed | RuntimeStatus::Terminated);
    let last_ones_go = !gone.is_empty() && gone.start >= turns.start && gone.end == turns.end;
    let goes_on = match &commit.history {
        Some((turn, _)) => *turn == gone.start && commit.turns == (turns.start..turn + 1) && commit.execution == stored.execution,
        None => {
            gone == turns
                && commit.turns.is_empty()
                && (gone.start..=gone.end).contains(&commit.turns.start)
                && commit.execution != stored.execution
        }
    };
    may_be && last_ones_go && goes_on
}

/// Whether the parts of the commit are consistent.
fn is_consistent(commit: &Prepared) -> Result<(), &'static str> {
    if commit.consumed.iter().any(|(row, _)| *row != commit.row) {
        return Err("the commit consumes a message of another instance");
    }
    if commit.history.is_none() && !commit.activities_set.is_empty() {
        return Err("the commit schedules activities without a turn that says so");
    }
    if commit.activities_set.iter().any(|(_, turn)| !commit.turns.contains(turn)) {
        return Err("the commit schedules activities of a turn that is not stored");
    }
    let is_turn_of_entity = commit.id.is_entity() && commit.history.is_none() && commit.turns == (0..0);
    if (commit.entity.is_some() || commit.vanishes) && !is_turn_of_entity {
        return Err("the commit has the state of an entity, but is not a turn of an entity");
    }
    Ok(())
}
