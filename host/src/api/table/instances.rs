//! Instances: asking for them, telling them something, following and removing them.

use axum::http::Method;

use super::*;
use crate::api::{events, instances, messages, purge};

pub(super) static INSTANCES: Group = Group {
    name: "instances",
    description: "Instances: asking for them, telling them something, removing them.",
    bases: MANAGEMENT_BASES,
    parameters: &[&TASK_HUB.about],
    answers: &[WRONG, UNAUTHORIZED, FORBIDDEN, NO_HUB, LONG_ADDRESS, LONG_HEADERS, FAULT, CLOSING],
    routes: &[
        Route {
            method: Method::GET,
            pattern: "instances",
            operation: "listInstances",
            summary: "Lists the instances that match all filters, entities among them. With a prefix they come ordered by id, \
                      otherwise about in the order in which they were created.",
            parameters: &[
                &INSTANCE_ID_PREFIX.about,
                &CREATED_TIME_FROM.about,
                &CREATED_TIME_TO.about,
                &RUNTIME_STATUS.about,
                &SHOW_INPUT.about,
                &TOP.about,
                &CONTINUATION.about,
            ],
            needs: Needs::Hub(Role::Read),
            takes: Takes::Nothing,
            answers: &[page("InstanceList")],
            handler: |call| Box::pin(instances::list(call)),
        },
        Route {
            method: Method::DELETE,
            pattern: "instances",
            operation: "purgeInstances",
            summary: "Removes every trace of the instances that have ended and match all filters.",
            parameters: &[&CREATED_TIME_FROM.about, &CREATED_TIME_TO.about, &RUNTIME_STATUS.about, &INSTANCE_ID_PREFIX.about],
            needs: Needs::Hub(Role::Operate),
            takes: Takes::Nothing,
            answers: &[
                PURGED,
                answer(
                    400,
                    Json("ErrorOrText"),
                    "A parameter is wrong; or `createdTimeFrom` is missing: then the body is a text.",
                ),
                answer(404, Nothing, "None matches (without a body), or the host has no such task hub."),
                DISK_FULL,
            ],
            handler: |call| Box::pin(purge::purge_all(call)),
        },
        Route {
            method: Method::GET,
            pattern: "instances/{instanceId}",
            operation: "getInstance",
            summary: "The state of an instance.",
            parameters: &[
                &SHOW_HISTORY.about,
                &SHOW_HISTORY_OUTPUT.about,
                &SHOW_INPUT.about,
                &ERROR_ON_FAILURE.about,
                &WAIT.about,
            ],
            needs: Needs::Instance(Role::Read),
            takes: Takes::Nothing,
            answers: &[
                answer(200, Json("InstanceStatus"), "It has ended."),
                answer(202, Json("InstanceStatus"), "It has not ended.").with(&[
                    ("Location", "The address of this very request."),
                    ("Retry-After", "Seconds after which to ask again."),
                ]),
                NO_INSTANCE,
                FAILED,
            ],
            handler: |call| Box::pin(instances::status(call)),
        },
        Route {
            method: Method::DELETE,
            pattern: "instances/{instanceId}",
            operation: "purgeInstance",
            summary: "Removes every trace of an instance that has ended, or the state of an entity.",
            parameters: &[],
            needs: Needs::Instance(Role::Operate),
            takes: Takes::Nothing,
            answers: &[PURGED, NO_INSTANCE, answer(412, Json("ErrorText"), "It has not ended."), DISK_FULL],
            handler: |call| Box::pin(purge::purge(call)),
        },
        Route {
            method: Method::POST,
            pattern: "instances/{instanceId}/raiseEvent/{eventName}",
            operation: "raiseEvent",
            summary: "Raises an external event; it is kept until the orchestration waits for it. The body is its data.",
            parameters: &[],
            needs: Needs::Instance(Role::Operate),
            takes: Takes::Payload,
            answers: &[ACCEPTED, NO_INSTANCE, ENDED, TOO_LARGE, TOO_MANY, DISK_FULL],
            handler: |call| Box::pin(messages::raise_event(call)),
        },
        Route {
            method: Method::POST,
            pattern: "instances/{instanceId}/terminate",
            operation: "terminateInstance",
            summary: "Ends an instance: at once if it waits, otherwise at its next wait. The reason becomes its output.",
            parameters: &[&REASON.about, &RECURSIVE.about],
            needs: Needs::Instance(Role::Operate),
            takes: Takes::Nothing,
            answers: &[ACCEPTED, NO_INSTANCE, ENDED, DISK_FULL],
            handler: |call| Box::pin(messages::terminate(call)),
        },
        Route {
            method: Method::POST,
            pattern: "instances/{instanceId}/suspend",
            operation: "suspendInstance",
            summary: "Suspends an instance: what reaches it waits until it is resumed.",
            parameters: &[&REASON.about],
            needs: Needs::Instance(Role::Operate),
            takes: Takes::Nothing,
            answers: &[
                ACCEPTED,
                NO_INSTANCE,
                ENDED,
                answer(500, Json("Error"), "It is suspended already, or the host has failed."),
                DISK_FULL,
            ],
            handler: |call| Box::pin(messages::suspend(call)),
        },
        Route {
            method: Method::POST,
            pattern: "instances/{instanceId}/resume",
            operation: "resumeInstance",
            summary: "Resumes a suspended instance. One that the host has halted goes on with the active version of its app.",
            parameters: &[&REASON.about],
            needs: Needs::Instance(Role::Operate),
            takes: Takes::Nothing,
            answers: &[
                ACCEPTED,
                NO_INSTANCE,
                ENDED,
                answer(500, Json("Error"), "It is not suspended, or the host has failed."),
                DISK_FULL,
            ],
            handler: |call| Box::pin(messages::resume(call)),
        },
        Route {
            method: Method::POST,
            pattern: "instances/{instanceId}/rewind",
            operation: "rewindInstance",
            summary: "Brings a failed instance back to the state before its failure, and lets it go on. What succeeded is not run again.",
            parameters: &[&REASON.about],
            needs: Needs::Instance(Role::Operate),
            takes: Takes::Nothing,
            answers: &[
                ACCEPTED,
                answer(404, Nothing, "There is no such instance (the body is a text), or no such task hub."),
                answer(412, Json("ErrorText"), "It has not failed, or cannot be brought back."),
                DISK_FULL,
            ],
            handler: |call| Box::pin(messages::rewind(call)),
        },
    ],
};

pub(super) static EVENTS: Group = Group {
    name: "events",
    description: "Following instances without asking again and again.",
    bases: MANAGEMENT_BASES,
    parameters: &[&TASK_HUB.about],
    answers: &[WRONG, UNAUTHORIZED, FORBIDDEN, NO_HUB, LONG_ADDRESS, LONG_HEADERS, FAULT, CLOSING],
    routes: &[
        Route {
            method: Method::GET,
            pattern: "instances/{instanceId}/events",
            operation: "followInstance",
            summary: "The state of an instance now and after each change, as server-sent events. The stream ends when the \
                      instance does. Not part of Durable Functions.",
            parameters: &[],
            needs: Needs::Instance(Role::Read),
            takes: Takes::Nothing,
            answers: &[
                answer(
                    200,
                    Events("InstanceStatus"),
                    "An event `status` for now and for each change, without input, with the \
                    output at the end; `purged` if the instance is removed; `missed` with a number of changes, if the client is too slow, \
                    and then the state as it is.",
                ),
                NO_INSTANCE,
            ],
            handler: |call| Box::pin(events::follow_instance(call)),
        },
        Route {
            method: Method::GET,
            pattern: "events",
            operation: "followInstances",
            summary: "Every change of an instance from now on, as server-sent events. Not part of Durable Functions.",
            parameters: &[&INSTANCE_ID_PREFIX.about, &RUNTIME_STATUS.about],
            needs: Needs::Hub(Role::Read),
            takes: Takes::Nothing,
            answers: &[answer(
                200,
                Events("InstanceStatus"),
                "An event `status` for each change, without input, with the output of \
                an instance that has ended; `purged` for one that is removed; `missed` with a number of changes, if the client is too slow.",
            )],
            handler: |call| Box::pin(events::follow_hub(call)),
        },
    ],
};
