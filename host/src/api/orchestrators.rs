//! Starting orchestrations.

use std::time::Duration;

use axum::http::StatusCode;
use axum::response::Response;

use dacapo_core::{FunctionName, InstanceId, RuntimeStatus};

use super::error::ApiError;
use super::instances::ended_response;
use super::json::{json, raw};
use super::request::{Call, Query, blocking};
use crate::hub::{HubError, InstanceState, StartRequest};

/// `POST orchestrators/{functionName}[/{instanceId}]?version&timeout&pollingInterval&returnInternalServerErrorOnFailure`
pub(super) async fn start(call: Call) -> Result<Response, ApiError> {
    let hub = call.hub()?;
    let timeout = synchronous(&call.query)?;
    let error_on_failure = call.query.flag("returnInternalServerErrorOnFailure")?.unwrap_or(false);
    let links = call.links()?.internal_server_error_on_failure(error_on_failure);
    let id = hub.start_new(request(&call)?).await?;
    let Some(timeout) = timeout else { return Ok(links.check_status_response(&id)) };

    let record = match tokio::time::timeout(timeout, hub.wait(&id)).await {
        Ok(Ok(record)) => record,
        // The instance was started, and goes on.
        Err(_) | Ok(Err(HubError::ShuttingDown)) => return Ok(links.check_status_response(&id)),
        Ok(Err(error)) => return Err(error.into()),
    };
    blocking(move || {
        let (input, output) = hub.input_and_output(&record)?;
        Ok(match record.status {
            RuntimeStatus::Completed => json(StatusCode::OK, &output.as_deref().map(raw)),
            _ => ended_response(&InstanceState { record, input, output }, error_on_failure),
        })
    })
    .await
}

fn request(call: &Call) -> Result<StartRequest, ApiError> {
    let name = &call.captures[0];
    let name =
        FunctionName::new(name).map_err(|why| ApiError::argument(format!("the functionName '{name}' is not valid: {why}")))?;
    let id = call.captures.get(1).map(|id| {
        InstanceId::orchestration(id).map_err(|why| ApiError::argument(format!("the instanceId '{id}' is not valid: {why}")))
    });
    let version = call.query.text("version")?.unwrap_or_default().to_owned();
    Ok(StartRequest { name, id: id.transpose()?, input: call.payload()?, version })
}

/// How long to wait for the end, if at all. The host is told of the end, so the polling interval is only checked.
fn synchronous(query: &Query) -> Result<Option<Duration>, ApiError> {
    let timeout = query.seconds("timeout")?;
    let interval = query.seconds("pollingInterval")?;
    if timeout.zip(interval).is_some_and(|(timeout, interval)| interval > timeout) {
        return Err(ApiError::argument("the parameter 'pollingInterval' must not be greater than the parameter 'timeout'"));
    }
    Ok(timeout)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_synchronous_start_needs_a_timeout() {
        let check = |query: &str| synchronous(&Query::parse(query)).map_err(|_| ());
        assert_eq!(check(""), Ok(None));
        assert_eq!(check("pollingInterval=2"), Ok(None));
        assert_eq!(check("timeout=1.5"), Ok(Some(Duration::from_millis(1500))));
        assert_eq!(check("timeout=1.5&pollingInterval=0.5"), Ok(Some(Duration::from_millis(1500))));
        assert_eq!(check("timeout=1&pollingInterval=2"), Err(()));
        assert_eq!(check("timeout=soon"), Err(()));
    }
}
