//! Secrets of hubs: they can be set and deleted, but not read.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;
use zeroize::Zeroizing;

use crate::access::Scope;
use crate::api::content::json;
use crate::api::error::ApiError;
use crate::api::handlers::administration::record;
use crate::api::request::Call;
use crate::api::request::parameter::SECRET_NAME;

/// `GET admin/hubs/{hubName}/secrets`: their names.
pub(in crate::api) async fn list(call: Call) -> Result<Response, ApiError> {
    let (hub, control) = (record(&call)?.name, call.api.options.access.control().clone());
    call.control(move || Ok(json::json(StatusCode::OK, &control.secret_names(&hub)?))).await
}

/// `PUT admin/hubs/{hubName}/secrets/{secretName}`, the body the secret.
pub(in crate::api) async fn set(mut call: Call) -> Result<Response, ApiError> {
    let (hub, name) = (record(&call)?.name, call.get(&SECRET_NAME)?.0);
    let bytes = Zeroizing::new(std::mem::take(&mut call.body));
    let text = std::str::from_utf8(&bytes).map_err(|_| ApiError::argument("the secret in the body is not UTF-8"))?;
    if text.is_empty() {
        return Err(ApiError::argument("the secret in the body is empty"));
    }
    let secret = Zeroizing::new(text.to_owned());
    let entry = call.entry(Scope::Hub(hub.clone()), "secret.set", json!({ "secret": name }));
    let (secrets, of) = (call.api.options.secrets.clone(), hub.clone());
    call.control(move || Ok(secrets.set(&of, &name, &secret, &entry)?)).await?;
    call.api.options.hubs.refresh(&hub).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// `DELETE admin/hubs/{hubName}/secrets/{secretName}`
pub(in crate::api) async fn delete(call: Call) -> Result<Response, ApiError> {
    let (hub, name) = (record(&call)?.name, call.get(&SECRET_NAME)?.0);
    let entry = call.entry(Scope::Hub(hub.clone()), "secret.delete", json!({ "secret": name }));
    let (control, of) = (call.api.options.access.control().clone(), hub.clone());
    call.control(move || Ok(control.delete_secret(&of, &name, &entry)?)).await?;
    call.api.options.hubs.refresh(&hub).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
