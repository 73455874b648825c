//! Moving instances to another version, and rehearsals of that.

use dacapo_core::execution::Limits;
use dacapo_core::scripted::Scripted;
use dacapo_core::turn::{Halt, NoVersion, Rehearsal};
use dacapo_core::{Event, RuntimeStatus, StartError, VersionId};

use super::world::{FIXED, VERSION, World, done, raised};

const OTHER: VersionId = VersionId([3; 32]);

/// `VERSION` and `FIXED` call A and then B; `OTHER` calls A and then C.
fn versions() -> Scripted {
    let script = |second: &'static str| {
        Scripted::new().orchestrator("main", move |h| async move {
            h.activity("A", "1").await?;
            h.activity(second, "2").await
        })
    };
    script("B").version(FIXED, script("B")).version(OTHER, script("C"))
}

fn migrated(version: VersionId) -> Event {
    Event::ExecutionMigrated { version }
}

#[test]
fn an_instance_goes_on_with_a_version_that_has_the_same_history() {
    for hot in [false, true] {
        let mut world = World::new(versions(), hot);
        world.turn([done(0, "5")]);
        world.turn([migrated(FIXED)]);
        assert_eq!((world.record.version, world.refused.clone()), (Some(FIXED), None));
        assert_eq!(world.history.last().unwrap().event, migrated(FIXED), "the history says so");
        assert!(world.commits.last().unwrap().activities_set.is_empty() && world.sent.is_empty());
        // A history that contains a migration is replayed like any other.
        world.live = None;
        world.turn([done(1, "6")]);
        assert_eq!(world.record.status, RuntimeStatus::Completed);
    }
}

#[test]
fn an_instance_that_would_diverge_stays_where_it_is() {
    let mut world = World::new(versions(), true);
    world.turn([done(0, "5")]);
    let (history, record) = (world.history.clone(), world.record.clone());
    world.turn([migrated(OTHER)]);
    assert_eq!((world.history.clone(), world.record.clone()), (history, record));
    let why = world.refused.clone().unwrap();
    assert!(why.contains("at event 5: recorded TaskScheduled B(2) as action 1, attempted TaskScheduled C(2)"), "{why}");
    // Other messages of the turn are taken in nevertheless.
    world.turn([migrated(OTHER), done(1, "6")]);
    assert_eq!((world.record.status, world.record.version), (RuntimeStatus::Completed, Some(VERSION)));
    world.turn([migrated(FIXED)]);
    assert!(world.refused.clone().unwrap().contains("has ended"));
}

#[test]
fn what_was_halted_goes_on_with_a_corrected_version() {
    let mut world = World::new(versions(), false);
    world.executor =
        Scripted::new().orchestrator("main", |h| async move { h.activity("Z", "1").await }).version(FIXED, versions());
    world.turn([done(0, "5")]);
    assert!(world.record.halted.is_some());
    world.turn([migrated(OTHER)]);
    assert!(world.record.halted.is_some() && world.refused.is_some(), "that version diverges too");
    assert_eq!(world.record.version, Some(VERSION));
    world.turn([migrated(FIXED)]);
    assert_eq!((world.record.halted.clone(), world.record.version), (None, Some(FIXED)));
    assert!(world.inbox.is_empty(), "messages that had arrived meanwhile are taken in");
    world.turn([done(1, "6")]);
    assert_eq!(world.record.status, RuntimeStatus::Completed);
}

#[test]
fn a_suspended_instance_is_moved_and_stays_suspended() {
    let mut world = World::new(versions(), true);
    world.turn([Event::ExecutionSuspended { reason: "lunch".into() }]);
    world.turn([migrated(FIXED)]);
    assert_eq!((world.record.status, world.record.version), (RuntimeStatus::Suspended, Some(FIXED)));
    world.turn([Event::ExecutionResumed { reason: String::new() }, done(0, "5")]);
    assert_eq!(world.record.status, RuntimeStatus::Running);
}

#[test]
fn an_execution_without_a_version_fails_or_waits_for_one() {
    let mut world = World::waiting_for(versions(), NoVersion::Halts("no version takes '9'".into()));
    assert!(world.record.halted.clone().unwrap().contains("no version takes '9'"), "{:?}", world.record);
    assert_eq!((world.record.version, world.inbox.len()), (None, 1));
    world.turn([migrated(FIXED)]);
    assert!(world.refused.clone().unwrap().contains("has not begun"));
    world.begins_on = None;
    world.turn([Event::ExecutionResumed { reason: String::new() }]);
    assert_eq!((world.record.halted.clone(), world.record.version), (None, Some(VERSION)));
    assert_eq!(world.record.status, RuntimeStatus::Running);
}

#[test]
fn a_rehearsal_says_what_would_happen_and_changes_nothing() {
    let mut world = World::new(versions(), false);
    world.turn([done(0, "5")]);
    world.turn([raised("x", "1")]);
    let rehearse = |version, until: usize| {
        let limits = Limits::default();
        let rehearsal = Rehearsal { executor: &world.executor, limits: &limits, version };
        let mut turns = Vec::new();
        let result = rehearsal.run(&world.record, &world.history, |step| {
            turns.push((step.turn, step.events.len()));
            turns.len() < until
        });
        (turns, result)
    };
    assert_eq!(rehearse(FIXED, 99), (vec![(0, 3), (1, 3), (2, 2)], Ok(())));
    assert_eq!(rehearse(FIXED, 1), (vec![(0, 3)], Ok(())));
    let (turns, result) = rehearse(OTHER, 99);
    assert_eq!(turns, [(0, 3)]);
    assert!(matches!(result, Err(Halt::Diverged(divergence)) if divergence.position == 5));
    let missing = Rehearsal { executor: &Scripted::new(), limits: &Limits::default(), version: FIXED };
    let result = missing.run(&world.record, &world.history, |_| true);
    assert!(matches!(result, Err(Halt::NotStarted(StartError::Unable(_)))));
}
