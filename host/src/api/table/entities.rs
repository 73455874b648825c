//! Entities.

use axum::http::Method;

use super::*;
use crate::api::handlers::entities;

pub(super) static ENTITIES: Group = Group {
    name: "entities",
    description: "Entities: their states, and operations on them.",
    bases: MANAGEMENT_BASES,
    parameters: &[&TASK_HUB.about],
    answers: &[WRONG, UNAUTHORIZED, FORBIDDEN, NO_HUB, LONG_ADDRESS, TOO_MANY, LONG_HEADERS, FAULT, CLOSING],
    routes: &[
        Route {
            method: Method::GET,
            pattern: "entities",
            operation: "listEntities",
            summary: "Lists the entities that match all filters, ordered by id.",
            parameters: &[
                &FETCH_STATE.about,
                &TOP.about,
                &LAST_OPERATION_FROM.about,
                &LAST_OPERATION_TO.about,
                &CONTINUATION.about,
            ],
            needs: Needs::Hub(Role::Read),
            takes: BodyKind::Nothing,
            answers: &[page("EntityList")],
            handler: |call| Box::pin(entities::list(call)),
        },
        Route {
            method: Method::GET,
            pattern: "entities/{entityName}",
            operation: "listEntitiesOfName",
            summary: "Lists the entities of one function that match all filters, ordered by key.",
            parameters: &[
                &FETCH_STATE.about,
                &TOP.about,
                &LAST_OPERATION_FROM.about,
                &LAST_OPERATION_TO.about,
                &CONTINUATION.about,
            ],
            needs: Needs::Hub(Role::Read),
            takes: BodyKind::Nothing,
            answers: &[page("EntityList")],
            handler: |call| Box::pin(entities::list(call)),
        },
        Route {
            method: Method::GET,
            pattern: "entities/{entityName}/{entityKey}",
            operation: "readEntity",
            summary: "The state of an entity, as it is.",
            parameters: &[],
            needs: Needs::Hub(Role::Read),
            takes: BodyKind::Nothing,
            answers: &[
                answer(200, Json("Any"), "Its state."),
                answer(404, Nothing, "It does not exist or has no state (without a body), or the host has no such task hub."),
            ],
            handler: |call| Box::pin(entities::read(call)),
        },
        Route {
            method: Method::POST,
            pattern: "entities/{entityName}/{entityKey}",
            operation: "signalEntity",
            summary: "Sends an operation to an entity, which is created if there is none. The body is the input of the operation: JSON if \
                      its `Content-Type` says so, otherwise a text.",
            parameters: &[&OPERATION.about, &DELIVER_AT.about],
            needs: Needs::Hub(Role::Operate),
            takes: BodyKind::PayloadOrText,
            answers: &[ACCEPTED, TOO_LARGE, DISK_FULL],
            handler: |call| Box::pin(entities::signal(call)),
        },
        Route {
            method: Method::POST,
            pattern: "entities/{entityName}",
            operation: "signalEntityWithoutKey",
            summary: "The same for the entity whose key is empty.",
            parameters: &[&OPERATION.about, &DELIVER_AT.about],
            needs: Needs::Hub(Role::Operate),
            takes: BodyKind::PayloadOrText,
            answers: &[ACCEPTED, TOO_LARGE, DISK_FULL],
            handler: |call| Box::pin(entities::signal(call)),
        },
        Route {
            method: Method::DELETE,
            pattern: "entities/{entityName}/{entityKey}",
            operation: "deleteEntity",
            summary: "Sends the operation `delete` to an entity.",
            parameters: &[],
            needs: Needs::Hub(Role::Operate),
            takes: BodyKind::Nothing,
            answers: &[ACCEPTED, DISK_FULL],
            handler: |call| Box::pin(entities::delete(call)),
        },
        Route {
            method: Method::DELETE,
            pattern: "entities/{entityName}",
            operation: "deleteEntityWithoutKey",
            summary: "The same for the entity whose key is empty.",
            parameters: &[],
            needs: Needs::Hub(Role::Operate),
            takes: BodyKind::Nothing,
            answers: &[ACCEPTED, DISK_FULL],
            handler: |call| Box::pin(entities::delete(call)),
        },
    ],
};
