//! The host's own routes: its apps, and whether it is well.

use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;

use super::error::ApiError;
use super::json::json;
use super::request::Call;
use crate::hub::DeployedApp;

const APP_NAME_CHARS_MAX: usize = 128;

#[derive(Debug, Serialize)]
struct AppBody {
    app: String,
    version: String,
    label: String,
    functions: Vec<FunctionBody>,
    /// Whether this deployment made another version the active one; absent where nothing was deployed.
    #[serde(skip_serializing_if = "Option::is_none")]
    changed: Option<bool>,
}

#[derive(Debug, Serialize)]
struct FunctionBody {
    name: String,
    kind: &'static str,
}

/// `POST /admin/apps/{appName}?taskHub&label`, the body a wasm component or module.
pub(super) async fn deploy(call: Call) -> Result<Response, ApiError> {
    let hub = call.hub()?;
    let name = app_name(&call.captures[0])?.to_owned();
    let label = call.query.text("label")?.unwrap_or_default().to_owned();
    let deployed = hub.deploy(&name, &label, call.body).await?;
    let changed = Some(deployed.changed);
    Ok(json(StatusCode::OK, &AppBody { changed, ..shown(deployed) }))
}

/// `GET /admin/apps?taskHub`: the active version of each app.
pub(super) async fn apps(call: Call) -> Result<Response, ApiError> {
    let apps: Vec<AppBody> = call.hub()?.apps().into_iter().map(shown).collect();
    Ok(json(StatusCode::OK, &apps))
}

/// `GET /healthz`: that the host answers.
pub(super) async fn health(_call: Call) -> Result<Response, ApiError> {
    Ok(json(StatusCode::OK, &serde_json::json!({ "status": "ok" })))
}

fn shown(app: DeployedApp) -> AppBody {
    let functions = app.functions.iter().map(|(name, kind)| FunctionBody { name: name.to_string(), kind: kind.name() });
    AppBody { functions: functions.collect(), version: app.version.to_string(), label: app.label, app: app.app, changed: None }
}

/// An app's name is shown in tables and typed in shells: plain characters only.
fn app_name(name: &str) -> Result<&str, ApiError> {
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.chars().count() <= APP_NAME_CHARS_MAX && name.chars().all(plain) {
        return Ok(name);
    }
    Err(ApiError::argument(format!(
        "the app name '{name}' is not valid: it must have at most {APP_NAME_CHARS_MAX} characters, all of them letters, digits, '-', \
         '_' or '.'"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn app_names_are_plain() {
        assert!(app_name("hello-sequence_2.0").is_ok());
        for bad in ["a b", "a/b", "ä\n", &"a".repeat(129)] {
            assert!(app_name(bad).is_err(), "{bad}");
        }
    }
}
