//! Keys of hubs and of the host.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use dacapo_core::Timestamp;
use dacapo_store::control::KeyRecord;

use crate::access::{self, KEY_NAME_RULE, Role, Scope, is_key_name};
use crate::api::content::json::{self, Moment, micros};
use crate::api::error::ApiError;
use crate::api::request::Call;
use crate::api::request::parameter::{HUB_NAME, KEY_NAME, KeyName, schema_of};

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::api) struct NewKey {
    #[schemars(schema_with = "schema_of::<KeyName>")]
    name: String,
    role: Role,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Key")]
pub(in crate::api) struct KeyBody {
    #[schemars(schema_with = "schema_of::<KeyName>")]
    name: String,
    /// `*` for a key of the host.
    hub: String,
    role: Role,
    created_at: Moment,
    /// Accurate to about a minute; `null` if the key was never used.
    last_used_at: Option<Moment>,
    /// The key itself, shown only when it is created.
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
}

/// `GET admin/keys`, `GET admin/hubs/{hubName}/keys`
pub(in crate::api) async fn list(call: Call) -> Result<Response, ApiError> {
    let (scope, control) = (scope(&call)?, call.api.options.access.control().clone());
    call.control(move || {
        let keys = control.keys(&scope)?.into_iter();
        let bodies: Vec<KeyBody> = keys.map(|(record, used)| shown(record, used)).collect();
        Ok(json::json(StatusCode::OK, &bodies))
    })
    .await
}

/// `POST admin/keys`, `POST admin/hubs/{hubName}/keys`
pub(in crate::api) async fn create(call: Call) -> Result<Response, ApiError> {
    let (scope, NewKey { name, role }) = (scope(&call)?, call.object()?);
    if !is_key_name(&name) {
        return Err(ApiError::member("name", KEY_NAME_RULE));
    }
    let (control, actor) = (call.api.options.access.control().clone(), call.caller.actor());
    call.control(move || {
        let key = access::create_key(&control, scope.clone(), &name, role, &actor)?;
        let record = KeyRecord { name, scope, role, created_at: access::now() };
        let body = KeyBody { key: Some(key.as_str().to_owned()), ..shown(record, None) };
        Ok(json::json(StatusCode::CREATED, &body))
    })
    .await
}

/// `DELETE admin/keys/{keyName}`, `DELETE admin/hubs/{hubName}/keys/{keyName}`
pub(in crate::api) async fn revoke(call: Call) -> Result<Response, ApiError> {
    let (scope, name) = (scope(&call)?, call.get(&KEY_NAME)?.0);
    let entry = call.entry(scope.clone(), "key.revoke", json!({ "key": name }));
    let access = call.api.options.access.clone();
    call.control(move || {
        access.revoke_key(&scope, &name, &entry)?;
        Ok(StatusCode::NO_CONTENT.into_response())
    })
    .await
}

/// The scope of the keys that the path is about. The hub's name is spelled as at its creation.
fn scope(call: &Call) -> Result<Scope, ApiError> {
    match call.found.capture(HUB_NAME.about.name) {
        Some(_) => Ok(Scope::Hub(super::administration::record(call)?.name)),
        None => Ok(Scope::Host),
    }
}

fn shown(record: KeyRecord, used: Option<i64>) -> KeyBody {
    let KeyRecord { name, scope, role, created_at } = record;
    let time = |at| micros(Timestamp(at));
    KeyBody { name, hub: scope.into(), role, created_at: time(created_at), last_used_at: used.map(time), key: None }
}
