//! Routes of the host itself.

use axum::http::Method;

use super::openapi;
use super::*;
use crate::api::handlers::{health, usage};
use crate::metrics;

pub(super) static HOST: Group = Group {
    name: "host",
    description: "Routes of the host itself.",
    bases: &[""],
    parameters: &[],
    answers: &[WRONG, UNAUTHORIZED, FORBIDDEN, LONG_ADDRESS, TOO_MANY, LONG_HEADERS],
    routes: &[
        Route {
            method: Method::GET,
            pattern: "healthz",
            operation: "health",
            summary: "Whether the host does its work: whether a worker takes a job, and whether something can be saved. Checked once a second at most.",
            parameters: &[],
            needs: Needs::Nothing,
            takes: BodyKind::Nothing,
            answers: &[answer(200, Json("Health"), "It does."), answer(503, Json("Health"), "It does not.")],
            handler: |call| Box::pin(health::health(call)),
        },
        Route {
            method: Method::GET,
            pattern: "openapi.json",
            operation: "openapi",
            summary: "This document.",
            parameters: &[],
            needs: Needs::Key,
            takes: BodyKind::Nothing,
            answers: &[answer(200, Json("Object"), "OpenAPI 3.1.")],
            handler: |call| Box::pin(openapi::serve(call)),
        },
        Route {
            method: Method::GET,
            pattern: "metrics",
            operation: "metrics",
            summary: "What all task hubs have used, for Prometheus. Opens no task hub.",
            parameters: &[],
            needs: Needs::Host(Role::Read),
            takes: BodyKind::Nothing,
            answers: &[
                answer(200, Text(metrics::MEDIA_TYPE), "Counters by hub and function, in the text format of OpenMetrics."),
                FAULT,
                CLOSING,
            ],
            handler: |call| Box::pin(usage::metrics(call)),
        },
    ],
};
