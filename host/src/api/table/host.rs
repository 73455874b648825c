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
