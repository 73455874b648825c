//! Instances that are moved from one hub to another as a file.

use axum::http::Method;

use super::*;
use crate::api::handlers::transfer;

pub(super) static TRANSFER: Group = Group {
    name: "transfer",
    description: "Instances that are moved from one task hub to another as a file.",
    bases: &[""],
    parameters: &[&TASK_HUB.about],
    answers: &[WRONG, UNAUTHORIZED, FORBIDDEN, LONG_ADDRESS, TOO_MANY, LONG_HEADERS, FAULT, CLOSING],
    routes: &[
        Route {
            method: Method::GET,
            pattern: "admin/instances/{instanceId}/export",
            operation: "exportInstance",
            summary: "All that is stored of an instance: a consistent snapshot.",
            parameters: &[&WITH_MODULES.about],
            needs: Needs::Hub(Role::Administer),
            takes: BodyKind::Nothing,
            answers: &[answer(200, Lines("ExportLine"), "The file."), NO_INSTANCE],
            handler: |call| Box::pin(transfer::export_instance(call)),
        },
        Route {
            method: Method::GET,
            pattern: "admin/export",
            operation: "exportHub",
            summary: "All versions and all instances of a task hub, with a consistent snapshot of each instance, while the hub keeps running.",
            parameters: &[&WITH_ALL_MODULES.about],
            needs: Needs::Hub(Role::Administer),
            takes: BodyKind::Nothing,
            answers: &[answer(200, Lines("ExportLine"), "The file. One without `done` at its end was broken off."), NO_HUB],
            handler: |call| Box::pin(transfer::export_hub(call)),
        },
        Route {
            method: Method::POST,
            pattern: "admin/import",
            operation: "import",
            summary: "Imports a file that was exported. If the id of an instance is in use, the whole file is refused.",
            parameters: &[&REPLACE.about, &RESUME.about],
            needs: Needs::Hub(Role::Administer),
            takes: BodyKind::Export,
            answers: &[
                answer(200, Json("Imported"), "What was imported."),
                answer(
                    403,
                    Json("Error"),
                    "A limit of the task hub is reached; or the request comes from a web page of another origin.",
                ),
                NO_HUB,
                answer(409, Json("Error"), "An id is in use, a version is not deployed, or another app has a function."),
                TOO_LARGE,
                DISK_FULL,
            ],
            handler: |call| Box::pin(transfer::import(call)),
        },
    ],
};
