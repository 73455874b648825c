//! The host's own routes: its apps, and whether it is well.

use axum::http::StatusCode;
use axum::response::Response;
use dacapo_wasm::Finding;
use serde::Serialize;
use serde_json::{Value, json};

use super::error::ApiError;
use super::json;
use super::parameter::{APP_NAME, FromText, LABEL};
use super::request::Call;
use crate::hub::DeployedApp;

const APP_NAME_CHARS_MAX: usize = 128;

/// An app's name is shown in tables and typed in shells: plain characters only.
#[derive(Debug)]
pub(super) struct AppName(String);

#[derive(Debug, Serialize)]
struct AppBody {
    app: String,
    version: String,
    label: String,
    functions: Vec<FunctionBody>,
    /// Whether this deployment made another version the active one; absent where nothing was deployed.
    #[serde(skip_serializing_if = "Option::is_none")]
    changed: Option<bool>,
    /// The determinism report; absent where nothing was deployed.
    #[serde(skip_serializing_if = "Option::is_none")]
    report: Option<Vec<Finding>>,
}

#[derive(Debug, Serialize)]
struct FunctionBody {
    name: String,
    kind: &'static str,
}

/// `POST /admin/apps/{appName}?taskHub&label`, the body a wasm component or module.
pub(super) async fn deploy(call: Call) -> Result<Response, ApiError> {
    let hub = call.hub()?;
    let AppName(name) = call.get(&APP_NAME)?;
    let label = call.find(&LABEL)?.unwrap_or_default();
    let deployed = hub.deploy(&name, &label.0, call.body).await?;
    let (changed, report) = (Some(deployed.changed), Some(deployed.report.clone()));
    Ok(json::json(StatusCode::OK, &AppBody { changed, report, ..shown(deployed) }))
}

/// `GET /admin/apps?taskHub`: the active version of each app.
pub(super) async fn apps(call: Call) -> Result<Response, ApiError> {
    let apps: Vec<AppBody> = call.hub()?.apps().into_iter().map(shown).collect();
    Ok(json::json(StatusCode::OK, &apps))
}

/// `GET /healthz`: that the host answers.
pub(super) async fn health(_call: Call) -> Result<Response, ApiError> {
    Ok(json::json(StatusCode::OK, &json!({ "status": "ok" })))
}

fn shown(app: DeployedApp) -> AppBody {
    let functions = app.functions.iter().map(|(name, kind)| FunctionBody { name: name.to_string(), kind: kind.name() });
    AppBody {
        functions: functions.collect(),
        version: app.version.to_string(),
        label: app.label,
        app: app.app,
        changed: None,
        report: None,
    }
}

impl FromText for AppName {
    fn from_text(text: &str) -> Result<Self, String> {
        let plain = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
        if text.chars().count() <= APP_NAME_CHARS_MAX && text.chars().all(plain) {
            return Ok(Self(text.to_owned()));
        }
        Err(format!("must have at most {APP_NAME_CHARS_MAX} characters, all of them letters, digits, '-', '_' or '.'"))
    }

    fn schema() -> Value {
        json!({ "type": "string", "minLength": 1, "maxLength": APP_NAME_CHARS_MAX, "pattern": r"^[\w.-]+$" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn app_names_are_plain() {
        assert!(AppName::from_text("hello-sequence_2.0").is_ok());
        for bad in ["a b", "a/b", "ä\n", &"a".repeat(129)] {
            assert!(AppName::from_text(bad).is_err(), "{bad}");
        }
    }
}
