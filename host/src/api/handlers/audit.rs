//! The audit log.

use axum::http::StatusCode;
use axum::response::Response;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use dacapo_core::Timestamp;
use dacapo_store::control::AuditEntry;

use crate::access::Scope;
use crate::api::content::json::{self, Moment, micros};
use crate::api::error::ApiError;
use crate::api::handlers::administration::with_continuation;
use crate::api::request::Call;
use crate::api::request::parameter::{AUDIT_BEFORE, HUB, TOP};

const PAGE_MAX: usize = 1_000;

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "AuditLine")]
pub(in crate::api) struct LineBody {
    #[schemars(range(min = 1))]
    number: u64,
    at: Moment,
    /// A key as `HUB/NAME`, `*/NAME` if it is one of the host; `dev` where no keys are needed; `offline` on the data directory itself;
    /// `host`.
    actor: String,
    /// What it was done to; `*` for the host.
    hub: String,
    action: String,
    /// It was refused, and nothing was done.
    denied: bool,
    /// What was given; never a key or a secret.
    details: Value,
}

/// `GET admin/audit?hub&top`: the newest first.
pub(in crate::api) async fn audit(call: Call) -> Result<Response, ApiError> {
    let limit = call.get(&TOP)?.0.min(PAGE_MAX);
    let before = call.find(&AUDIT_BEFORE)?.map(|token| token.0);
    let named = call.find(&HUB)?.map(|name| name.0).or_else(|| call.caller.own_hub().map(str::to_owned));
    let control = call.api.options.access.control().clone();
    let of_host = call.caller.is_of_host();
    call.control(move || {
        // A key of a hub does not show the entries of an earlier hub of the same name.
        let since = match &named {
            Some(hub) if !of_host => control.hub(hub)?.map_or(i64::MAX, |record| record.created_at),
            _ => i64::MIN,
        };
        let scope = named.map(Scope::Hub);
        let mut lines = control.audit(scope.as_ref(), before, limit + 1)?;
        let more = lines.len() > limit;
        lines.truncate(limit);
        let next = lines.last().filter(|_| more).map(|(number, _)| format!("line.{number}"));
        let lines = lines.into_iter().filter(|(_, entry)| entry.at >= since);
        let bodies: Vec<LineBody> = lines.map(|(number, entry)| shown(number, entry)).collect();
        Ok(with_continuation(json::json(StatusCode::OK, &bodies), next))
    })
    .await
}

fn shown(number: u64, entry: AuditEntry) -> LineBody {
    let AuditEntry { at, actor, scope, action, details, denied } = entry;
    LineBody { number, at: micros(Timestamp(at)), actor, hub: scope.into(), action, denied, details }
}
