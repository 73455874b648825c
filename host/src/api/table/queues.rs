//! Queues, and triggers that are run by an operator or by Event Grid.

use axum::http::Method;

use super::*;
use crate::api::handlers::queues;

const QUEUED: Answer = answer(202, Json("Enqueued"), "The messages are stored, and will be processed.");
const NO_TRIGGER: Answer = answer(404, Json("Error"), "There is no such trigger or task hub.");

pub(super) static QUEUES: Group = Group {
    name: "queues",
    description: "Durable queues of a task hub. A queue exists as long as it has messages, or a trigger. Names have 1 to 63 letters, digits, \
                  '-' or '_'; case is ignored. Not part of Durable Functions.",
    bases: &["runtime/webhooks"],
    parameters: &[&TASK_HUB.about],
    answers: &[WRONG, UNAUTHORIZED, FORBIDDEN, NO_HUB, LONG_ADDRESS, TOO_MANY, LONG_HEADERS, FAULT, CLOSING],
    routes: &[
        Route {
            method: Method::GET,
            pattern: "queues",
            operation: "listQueues",
            summary: "All queues that have messages or a trigger.",
            parameters: &[],
            needs: Needs::Hub(Role::Read),
            takes: BodyKind::Nothing,
            answers: &[answer(200, Json("QueueList"), "All of them, by name.")],
            handler: |call| Box::pin(queues::list(call)),
        },
        Route {
            method: Method::GET,
            pattern: "queues/{queueName}",
            operation: "peekQueue",
            summary: "The first messages of a queue, which stay in it.",
            parameters: &[&TOP.about],
            needs: Needs::Hub(Role::Read),
            takes: BodyKind::Nothing,
            answers: &[answer(200, Json("MessageList"), "The messages, the oldest first.")],
            handler: |call| Box::pin(queues::peek(call)),
        },
        Route {
            method: Method::POST,
            pattern: "queues/{queueName}",
            operation: "enqueue",
            summary: "Puts a message into a queue: the body, as it is; or, if that is declared as JSON and is an array, a message for each of \
                      its elements, whose text is the element if it is a text, or its JSON.",
            parameters: &[&DELIVER_AT.about],
            needs: Needs::Hub(Role::Operate),
            takes: BodyKind::PayloadOrText,
            answers: &[QUEUED, TOO_LARGE, DISK_FULL],
            handler: |call| Box::pin(queues::enqueue(call)),
        },
        Route {
            method: Method::DELETE,
            pattern: "queues/{queueName}",
            operation: "clearQueue",
            summary: "Removes all messages of a queue.",
            parameters: &[],
            needs: Needs::Hub(Role::Operate),
            takes: BodyKind::Nothing,
            answers: &[answer(200, Json("MessageCount"), "How many were removed.")],
            handler: |call| Box::pin(queues::clear(call)),
        },
        Route {
            method: Method::POST,
            pattern: "queues/{queueName}/redrive",
            operation: "redriveQueue",
            summary: "Moves the messages of the queue's poison queue back to it. Either name will do.",
            parameters: &[],
            needs: Needs::Hub(Role::Operate),
            takes: BodyKind::Nothing,
            answers: &[answer(200, Json("MessageCount"), "How many were moved."), DISK_FULL],
            handler: |call| Box::pin(queues::redrive(call)),
        },
        Route {
            method: Method::POST,
            pattern: "EventGrid",
            operation: "receiveEvents",
            summary: "The webhook of an Event Grid trigger: takes events in Event Grid's schema, and CloudEvents 1.0, structured or batched. The \
                      validation of a subscription is answered.",
            parameters: &[&TRIGGER_QUERY.about],
            needs: Needs::Hub(Role::Operate),
            takes: BodyKind::Payload,
            answers: &[
                answer(200, Json("Any"), "The answer to the validation of a subscription."),
                QUEUED,
                NO_TRIGGER,
                TOO_LARGE,
                DISK_FULL,
            ],
            handler: |call| Box::pin(queues::events(call)),
        },
        Route {
            method: Method::OPTIONS,
            pattern: "EventGrid",
            operation: "validateEvents",
            summary: "The validation of a subscription to CloudEvents: names the origin that may send events.",
            parameters: &[&TRIGGER_QUERY.about],
            needs: Needs::Hub(Role::Operate),
            takes: BodyKind::Nothing,
            answers: &[
                answer(200, Nothing, "The origin may send events.")
                    .with(&[("WebHook-Allowed-Origin", "The origin."), ("WebHook-Allowed-Rate", "`*`: as many as it likes.")]),
                NO_TRIGGER,
            ],
            handler: |call| Box::pin(queues::validate(call)),
        },
    ],
};

pub(super) static FUNCTIONS: Group = Group {
    name: "functions",
    description: "Running a trigger by its name.",
    bases: &["admin/functions"],
    parameters: &[&TASK_HUB.about],
    answers: &[WRONG, UNAUTHORIZED, FORBIDDEN, NO_TRIGGER, LONG_ADDRESS, TOO_MANY, LONG_HEADERS, FAULT, CLOSING],
    routes: &[Route {
        method: Method::POST,
        pattern: "{triggerName}",
        operation: "runTrigger",
        summary: "Runs any trigger but an HTTP trigger. The body is a JSON object; its member `input` is a text for the trigger.",
        parameters: &[],
        needs: Needs::Hub(Role::Operate),
        takes: BodyKind::Payload,
        answers: &[answer(202, Nothing, "It will be run."), TOO_LARGE, DISK_FULL],
        handler: |call| Box::pin(queues::run(call)),
    }],
};
