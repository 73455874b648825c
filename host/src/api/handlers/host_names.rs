//! Host names of task hubs, which only an administrator of the host gives: a hub must not take another's, or the host's own.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::access::Scope;
use crate::api::admission::guard::host_name;
use crate::api::error::ApiError;
use crate::api::handlers::administration::record;
use crate::api::request::Call;
use crate::api::request::parameter::HOST_NAME;

/// `PUT admin/hubs/{hubName}/host-names/{hostName}`
pub(in crate::api) async fn add(call: Call) -> Result<Response, ApiError> {
    let name = call.get(&HOST_NAME)?.0;
    if is_of_host(&name, &call.api.options.public_url) {
        return Err(HOST_NAME.about.refusal(&name, "that is a name of the host itself"));
    }
    let hub = record(&call)?.name;
    let entry = call.entry(Scope::Hub(hub.clone()), "hostName.add", json!({ "hostName": name }));
    let control = call.api.options.access.control().clone();
    call.control(move || Ok(control.add_host_name(&hub, &name, &entry)?)).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// `DELETE admin/hubs/{hubName}/host-names/{hostName}`
pub(in crate::api) async fn remove(call: Call) -> Result<Response, ApiError> {
    let (name, hub) = (call.get(&HOST_NAME)?.0, record(&call)?.name);
    let entry = call.entry(Scope::Hub(hub.clone()), "hostName.remove", json!({ "hostName": name }));
    let control = call.api.options.access.control().clone();
    call.control(move || Ok(control.remove_host_name(&hub, &name, &entry)?)).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Whether the host itself is reached under a name.
fn is_of_host(name: &str, public_url: &str) -> bool {
    let authority = public_url.split_once("://").and_then(|(_scheme, rest)| rest.split('/').next()).unwrap_or_default();
    name == "localhost" || name.eq_ignore_ascii_case(host_name(authority))
}

#[cfg(test)]
mod tests {
    use super::is_of_host;

    #[test]
    fn the_name_of_the_host_is_that_in_its_public_url() {
        for url in ["https://Dacapo.example", "http://dacapo.example:8080/path"] {
            assert!(is_of_host("dacapo.example", url), "{url}");
            assert!(is_of_host("localhost", url) && !is_of_host("shop.localhost", url));
            assert!(!is_of_host("shop.dacapo.example", url) && !is_of_host("example", url));
        }
        assert!(!is_of_host("dacapo.example", "http://127.0.0.1:7071"));
    }
}
