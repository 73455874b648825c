//! Schedules.

use axum::http::Method;

use super::*;
use crate::api::handlers::schedules;

const SCHEDULE: Answer = answer(200, Json("Schedule"), "The schedule, as it is now.");
const NO_SCHEDULE: Answer = answer(404, Json("Error"), "There is no such schedule or task hub.");
const OF_AN_APP: Answer = answer(409, Json("Error"), "It belongs to an app, whose deployments change and remove it.");

pub(super) static SCHEDULES: Group = Group {
    name: "schedules",
    description: "Schedules start an orchestration again and again: at the times of a cron pattern, or at intervals. Each occurrence \
                  starts one instance, whatever crashes, whose id is `{schedule}:{nominal time}`, such as \
                  `report:20261201T080000Z`. Timer triggers of apps are schedules whose names begin with `timer:`. Not part of Durable \
                  Functions.",
    bases: MANAGEMENT_BASES,
    parameters: &[&TASK_HUB.about],
    answers: &[WRONG, UNAUTHORIZED, FORBIDDEN, NO_HUB, LONG_ADDRESS, TOO_MANY, LONG_HEADERS, FAULT, CLOSING],
    routes: &[
        Route {
            method: Method::GET,
            pattern: "schedules",
            operation: "listSchedules",
            summary: "Lists the schedules, ordered by name.",
            parameters: &[&TOP.about, &CONTINUATION.about],
            needs: Needs::Hub(Role::Read),
            takes: BodyKind::Nothing,
            answers: &[page("ScheduleList")],
            handler: |call| Box::pin(schedules::list(call)),
        },
        Route {
            method: Method::GET,
            pattern: "schedules/{scheduleName}",
            operation: "getSchedule",
            summary: "A schedule, its last ten runs and its next ten occurrences.",
            parameters: &[],
            needs: Needs::Hub(Role::Read),
            takes: BodyKind::Nothing,
            answers: &[SCHEDULE, NO_SCHEDULE],
            handler: |call| Box::pin(schedules::show(call)),
        },
        Route {
            method: Method::POST,
            pattern: "schedules/{scheduleName}",
            operation: "createSchedule",
            summary: "Makes a schedule.",
            parameters: &[],
            needs: Needs::Hub(Role::Operate),
            takes: BodyKind::Json("ScheduleSpecification"),
            answers: &[
                answer(201, Json("Schedule"), "It is made."),
                answer(409, Json("Error"), "There is one of this name."),
                TOO_LARGE,
                DISK_FULL,
            ],
            handler: |call| Box::pin(schedules::create(call)),
        },
        Route {
            method: Method::PUT,
            pattern: "schedules/{scheduleName}",
            operation: "replaceSchedule",
            summary: "Makes a schedule, or replaces what it does from now on.",
            parameters: &[],
            needs: Needs::Hub(Role::Operate),
            takes: BodyKind::Json("ScheduleSpecification"),
            answers: &[
                answer(200, Json("Schedule"), "It is replaced."),
                answer(201, Json("Schedule"), "It is made."),
                OF_AN_APP,
                TOO_LARGE,
                DISK_FULL,
            ],
            handler: |call| Box::pin(schedules::replace(call)),
        },
        Route {
            method: Method::DELETE,
            pattern: "schedules/{scheduleName}",
            operation: "deleteSchedule",
            summary: "Removes a schedule. The instances that it has started go on.",
            parameters: &[],
            needs: Needs::Hub(Role::Operate),
            takes: BodyKind::Nothing,
            answers: &[answer(204, Nothing, "It is removed."), NO_SCHEDULE, OF_AN_APP],
            handler: |call| Box::pin(schedules::delete(call)),
        },
        Route {
            method: Method::POST,
            pattern: "schedules/{scheduleName}/pause",
            operation: "pauseSchedule",
            summary: "Lets a schedule start nothing until it is resumed. What it would have started meanwhile is not made up for.",
            parameters: &[&NOTE.about],
            needs: Needs::Hub(Role::Operate),
            takes: BodyKind::Nothing,
            answers: &[SCHEDULE, NO_SCHEDULE],
            handler: |call| Box::pin(schedules::pause(call)),
        },
        Route {
            method: Method::POST,
            pattern: "schedules/{scheduleName}/resume",
            operation: "resumeSchedule",
            summary: "Lets a paused schedule go on.",
            parameters: &[&NOTE.about],
            needs: Needs::Hub(Role::Operate),
            takes: BodyKind::Nothing,
            answers: &[SCHEDULE, NO_SCHEDULE],
            handler: |call| Box::pin(schedules::resume(call)),
        },
        Route {
            method: Method::POST,
            pattern: "schedules/{scheduleName}/trigger",
            operation: "triggerSchedule",
            summary: "Runs a schedule once, now, even if it is paused.",
            parameters: &[&OVERLAP.about],
            needs: Needs::Hub(Role::Operate),
            takes: BodyKind::Nothing,
            answers: &[
                answer(202, Json("Triggered"), "What has become of it, and the id of its instance."),
                NO_SCHEDULE,
                DISK_FULL,
            ],
            handler: |call| Box::pin(schedules::trigger(call)),
        },
        Route {
            method: Method::POST,
            pattern: "schedules/{scheduleName}/backfill",
            operation: "backfillSchedule",
            summary: "Runs what occurs in a range of the past, and has not run. At most 1,000 occurrences.",
            parameters: &[&BACKFILL_FROM.about, &BACKFILL_TO.about, &BACKFILL_OVERLAP.about],
            needs: Needs::Hub(Role::Operate),
            takes: BodyKind::Nothing,
            answers: &[answer(202, Json("Backfilled"), "They are run, as far as they have not."), NO_SCHEDULE, DISK_FULL],
            handler: |call| Box::pin(schedules::backfill(call)),
        },
    ],
};
