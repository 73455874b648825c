//! The table of all routes: method, path, parameters, required role, answers, handler.
//!
//! Routing, what a handler may read and answer with, and the document at `/openapi.json` all come from here.

mod administration;
mod apps;
mod entities;
mod host;
mod instances;
pub(super) mod lookup;
pub(super) mod openapi;
mod orchestrators;
mod queues;
mod schedules;
mod schema;
mod transfer;

pub(in crate::api) use orchestrators::STARTERS;

use crate::access::{Needs, Role};
use crate::api::admission::body::BodyKind;
use crate::api::request::parameter::*;
use crate::api::request::route::Sends::{self, Events, Json, JsonOrLines, Lines, Nothing, Text};
use crate::api::request::route::{Answer, Group, Route};

/// A request looks for its route in this order.
pub(in crate::api) static GROUPS: &[&Group] = &[
    &instances::INSTANCES,
    &instances::BULK,
    &orchestrators::ORCHESTRATORS,
    &entities::ENTITIES,
    &instances::EVENTS,
    &orchestrators::STARTERS,
    &apps::APPS,
    &schedules::SCHEDULES,
    &queues::QUEUES,
    &queues::FUNCTIONS,
    &transfer::TRANSFER,
    &host::HOST,
    &administration::ADMINISTRATION,
];

/// The base paths of Durable Functions' management API: the public one, that of the first version, that of the client
/// libraries.
const MANAGEMENT_BASES: &[&str] = &["runtime/webhooks/durabletask", "admin/extensions/DurableTaskExtension", "durabletask"];

// Answers of more than one route.

const STARTED: Answer =
    answer(202, Json("CheckStatus"), "It is started, and has not ended within the time to wait for it, if any.")
        .with(&[("Location", "The URL of its status."), ("Retry-After", "Seconds after which to ask for it.")]);
const OUTPUT: Answer =
    answer(200, Json("Any"), "It has ended within the time to wait for it: its output, or its state if it did not complete.");
const ACCEPTED: Answer = answer(202, Nothing, "The message is stored, and will be processed.");
const PURGED: Answer = answer(200, Json("PurgeResult"), "How many instances were removed.");
const WRONG: Answer = answer(400, Json("Error"), "The request is wrong: the body says what.");
const UNAUTHORIZED: Answer =
    answer(401, Json("Error"), "There is no key, or it is unknown.").with(&[("WWW-Authenticate", "`Bearer`.")]);
const FORBIDDEN: Answer = answer(
    403,
    Json("Error"),
    "The key is one of another task hub (whether or not the requested one exists), or its role is too weak; or the task hub is \
     suspended; or the request comes from a web page of another origin, or under a name that is not the host's.",
);
const NO_HUB: Answer = answer(404, Json("Error"), "The host has no such task hub.");
const NO_INSTANCE: Answer = answer(404, Nothing, "There is no such instance (without a body), or no such task hub.");
const IN_USE: Answer = answer(409, Json("Error"), "An instance that has not ended has this id.");
const ENDED: Answer = answer(410, Nothing, "It has ended.");
const TOO_LARGE: Answer = answer(413, Json("Error"), "The body is larger than the configuration of the host allows.");
const LONG_ADDRESS: Answer = answer(414, Nothing, "The address has more than 65,534 bytes.");
const TOO_MANY: Answer = answer(
    429,
    Json("Error"),
    "A limit is reached, such as the task hub's requests per second or at once, or that on compiling: the body says which.",
)
.with(&[("Retry-After", "Seconds after which to try again.")]);
const LONG_HEADERS: Answer = answer(431, Nothing, "The headers are too large.");
const FAULT: Answer = answer(500, Json("Error"), "The host has failed. Its log says more.");
const FAILED: Answer = answer(
    500,
    Json("ErrorOrStatus"),
    "The instance has failed, and `returnInternalServerErrorOnFailure` is true; or the host has.",
);
const CLOSING: Answer = answer(
    503,
    Json("Error"),
    "The host is shutting down, or has no room at present for another open task hub or for the body of the request.",
);
const DISK_FULL: Answer = answer(
    507,
    Json("Error"),
    "The disk of the host is full, or the task hub has reached its limit of storage. Nothing was changed.",
);

const fn page(schema: &'static str) -> Answer {
    answer(200, Json(schema), "A page. One with the header is not the last, even if it is not full.").with(&[(
        "x-ms-continuation-token",
        "To be sent in the header of this name to get the next page. Absent on the last one.",
    )])
}

const fn answer(status: u16, body: Sends, when: &'static str) -> Answer {
    Answer { status, when, body, headers: &[] }
}

impl Answer {
    const fn with(mut self, headers: &'static [(&'static str, &'static str)]) -> Self {
        self.headers = headers;
        self
    }
}
