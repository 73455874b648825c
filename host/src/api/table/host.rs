//! What is the host's own.

use axum::http::Method;

use super::*;
use crate::api::{admin, openapi};

pub(super) static HOST: Group = Group {
    name: "host",
    description: "What is the host's own.",
    bases: &[""],
    parameters: &[],
    answers: &[WRONG, UNAUTHORIZED, FORBIDDEN, LONG_ADDRESS, LONG_HEADERS],
    routes: &[
        Route {
            method: Method::POST,
            pattern: "admin/apps/{appName}",
            operation: "deployApp",
            summary: "Deploys a version of an app and makes it the active one. The same file again changes nothing.",
            parameters: &[&TASK_HUB.about, &LABEL.about],
            needs: Needs::Hub(Role::Deploy),
            takes: Takes::Module,
            answers: &[
                answer(200, Json("App"), "It is deployed."),
                NO_HUB,
                answer(409, Json("Error"), "A function of this name belongs to another app."),
                TOO_LARGE,
                FAULT,
                CLOSING,
                DISK_FULL,
            ],
            handler: |call| Box::pin(admin::deploy(call)),
        },
        Route {
            method: Method::GET,
            pattern: "admin/apps",
            operation: "listApps",
            summary: "The active version of each app.",
            parameters: &[&TASK_HUB.about],
            needs: Needs::Hub(Role::Read),
            takes: Takes::Nothing,
            answers: &[answer(200, Json("AppList"), "All apps."), NO_HUB],
            handler: |call| Box::pin(admin::apps(call)),
        },
        Route {
            method: Method::GET,
            pattern: "healthz",
            operation: "health",
            summary: "Whether the host answers.",
            parameters: &[],
            needs: Needs::Nothing,
            takes: Takes::Nothing,
            answers: &[answer(200, Json("Health"), "It does.")],
            handler: |call| Box::pin(admin::health(call)),
        },
        Route {
            method: Method::GET,
            pattern: "openapi.json",
            operation: "openapi",
            summary: "This document.",
            parameters: &[],
            needs: Needs::Key,
            takes: Takes::Nothing,
            answers: &[answer(200, Json("Object"), "OpenAPI 3.1.")],
            handler: |call| Box::pin(openapi::serve(call)),
        },
    ],
};
