//! Starting orchestrations.

use axum::http::Method;

use super::*;
use crate::api::handlers::{orchestrators, restart};

pub(super) static ORCHESTRATORS: Group = Group {
    name: "orchestrators",
    description: "Starting orchestrations.",
    bases: MANAGEMENT_BASES,
    parameters: &[&TASK_HUB.about],
    answers: &[WRONG, UNAUTHORIZED, FORBIDDEN, NO_HUB, LONG_ADDRESS, TOO_MANY, LONG_HEADERS, FAULT, CLOSING],
    routes: &[
        Route {
            method: Method::POST,
            pattern: "orchestrators/{functionName}",
            operation: "startOrchestration",
            summary: "Starts an orchestration under an id that the host generates. The body is its input.",
            parameters: &[
                &VERSION.about,
                &START_AT.about,
                &IF_ENDED.about,
                &TIMEOUT.about,
                &POLLING_INTERVAL.about,
                &ERROR_ON_FAILURE.about,
                &CONNECTION.about,
            ],
            needs: Needs::Hub(Role::Operate),
            takes: BodyKind::Payload,
            answers: &[STARTED, OUTPUT, IN_USE, TOO_LARGE, FAILED, DISK_FULL],
            handler: |call| Box::pin(orchestrators::start(call)),
        },
        Route {
            method: Method::POST,
            pattern: "orchestrators/{functionName}/{instanceId}",
            operation: "startOrchestrationWithId",
            summary: "Starts an orchestration under an id that the client chooses. An instance of this id that has ended is replaced.",
            parameters: &[
                &VERSION.about,
                &START_AT.about,
                &IF_ENDED.about,
                &TIMEOUT.about,
                &POLLING_INTERVAL.about,
                &ERROR_ON_FAILURE.about,
                &CONNECTION.about,
            ],
            needs: Needs::Hub(Role::Operate),
            takes: BodyKind::Payload,
            answers: &[STARTED, OUTPUT, IN_USE, TOO_LARGE, FAILED, DISK_FULL],
            handler: |call| Box::pin(orchestrators::start(call)),
        },
        Route {
            method: Method::POST,
            pattern: "instances/{instanceId}/restart",
            operation: "restartInstance",
            summary: "Restarts an orchestration with its original input.",
            parameters: &[
                &RESTART_WITH_NEW_ID.about,
                &TIMEOUT.about,
                &POLLING_INTERVAL.about,
                &ERROR_ON_FAILURE.about,
                &CONNECTION.about,
            ],
            needs: Needs::Instance(Role::Operate),
            takes: BodyKind::Nothing,
            answers: &[
                STARTED,
                OUTPUT,
                answer(400, Json("Error"), "A parameter is wrong, or there is no such instance."),
                IN_USE,
                FAILED,
                DISK_FULL,
            ],
            handler: |call| Box::pin(restart::restart(call)),
        },
        Route {
            method: Method::POST,
            pattern: "instances/{instanceId}/restartWithOptions",
            operation: "restartInstanceWithOptions",
            summary: "Restarts an orchestration with its original input, under an id that the client chooses.",
            parameters: &[&NEW_INSTANCE_ID.about, &RESTART_VERSION.about, &CONNECTION.about],
            needs: Needs::Hub(Role::Operate),
            takes: BodyKind::Nothing,
            answers: &[STARTED, NO_INSTANCE, IN_USE, DISK_FULL],
            handler: |call| Box::pin(restart::restart_with_options(call)),
        },
    ],
};

pub(in crate::api) static STARTERS: Group = Group {
    name: "starters",
    description: "The HTTP triggers that the documents of Durable Functions use in every example.",
    bases: &["api", ""],
    parameters: &[&TASK_HUB.about],
    answers: &[WRONG, UNAUTHORIZED, FORBIDDEN, NO_HUB, LONG_ADDRESS, TOO_MANY, LONG_HEADERS, FAULT, CLOSING],
    routes: &[
        Route {
            method: Method::POST,
            pattern: "orchestrators/{functionName}",
            operation: "start",
            summary: "Starts an orchestration under an id that the host generates. The body is its input.",
            parameters: &[&VERSION.about, &START_AT.about, &CONNECTION.about],
            needs: Needs::Hub(Role::Operate),
            takes: BodyKind::Payload,
            answers: &[STARTED, IN_USE, TOO_LARGE, DISK_FULL],
            handler: |call| Box::pin(orchestrators::start_only(call)),
        },
        // Before the next route, which would take `wait` for an id.
        Route {
            method: Method::POST,
            pattern: "orchestrators/{functionName}/wait",
            operation: "startAndWait",
            summary: "Starts an orchestration and waits for its output.",
            parameters: &[&VERSION.about, &WAIT_TIMEOUT.about, &RETRY_INTERVAL.about, &ERROR_ON_FAILURE.about, &CONNECTION.about],
            needs: Needs::Hub(Role::Operate),
            takes: BodyKind::Payload,
            answers: &[STARTED, OUTPUT, IN_USE, TOO_LARGE, FAILED, DISK_FULL],
            handler: |call| Box::pin(orchestrators::start_and_wait(call)),
        },
        Route {
            method: Method::POST,
            pattern: "orchestrators/{functionName}/{instanceId}",
            operation: "startWithId",
            summary: "Starts an orchestration under an id that the client chooses, which cannot be `wait`. An instance of this id that has \
                      ended is replaced.",
            parameters: &[&VERSION.about, &START_AT.about, &CONNECTION.about],
            needs: Needs::Hub(Role::Operate),
            takes: BodyKind::Payload,
            answers: &[STARTED, IN_USE, TOO_LARGE, DISK_FULL],
            handler: |call| Box::pin(orchestrators::start_only(call)),
        },
    ],
};
