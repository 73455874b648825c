//! Authorisation: the key of a request, the hub that it addresses, and the role that its route needs.

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;

use dacapo_core::InstanceId;

use crate::access::{Caller, Denied, Needs, Refusal, Role};
use crate::api::error::ApiError;
use crate::api::request::parameter::{CODE, HUB, HUB_NAME, INSTANCE_ID, TASK_HUB};
use crate::api::request::{Call, Query};

pub(in crate::api) const KEY_HEADER: &str = "x-functions-key";

/// The caller of a request over the address for programs without a key: an extension of the request.
#[derive(Debug, Clone)]
pub(in crate::api) struct Rpc(pub Caller);

/// Identifies and authorises the caller. Returns the hub that the request names, or that its host name or its key is for;
/// none means the host's default hub, or no hub at all.
pub(in crate::api) fn admit(call: &mut Call) -> Result<Option<String>, ApiError> {
    let needs = call.found.route.needs;
    if needs == Needs::Nothing {
        return Ok(None);
    }
    let access = call.api.options.access.clone();
    let credential = credential(call)?;
    call.caller = match call.head.extensions.get::<Rpc>() {
        // A key that it sends opens nothing there.
        Some(Rpc(caller)) => caller.clone(),
        None => access.identify(credential.as_deref())?,
    };
    if credential.is_none() {
        // A missing key is reported before any other error.
        access.admit(&call.caller, Needs::Key, None, None)?;
    }
    let hub = hub(call)?;
    // Only routes of one instance have an id.
    let id = call.found.capture(INSTANCE_ID.about.name).and_then(|text| InstanceId::any(text).ok());
    let asked = match call.found.declares(&TASK_HUB.about) {
        true => Some(hub.as_deref().unwrap_or(&call.api.options.default_hub)),
        false => hub.as_deref(),
    };
    let admitted = access.admit(&call.caller, needs, asked, id.as_ref());
    if let (Err(Denied::Refused(Refusal::OtherScope { .. } | Refusal::WeakRole { .. })), true) = (&admitted, is_act(needs)) {
        access.note_denial(&call.caller, call.found.route.operation, asked);
    }
    admitted?;
    Ok(hub)
}

/// Whether a denied attempt is recorded in the audit log.
fn is_act(needs: Needs) -> bool {
    match needs {
        Needs::Nothing | Needs::Key => false,
        Needs::Hub(role) | Needs::Instance(role) => role >= Role::Deploy,
        Needs::Host(_) => true,
    }
}

/// The hub that a request names, or else that of its host name, or else that of its key.
fn hub(call: &Call) -> Result<Option<String>, ApiError> {
    let named = if call.found.capture(HUB_NAME.about.name).is_some() {
        Some(call.hub_name()?)
    } else if call.found.declares(&TASK_HUB.about) {
        call.find(&TASK_HUB)?.map(|name| name.0).or_else(|| call.hub_of_host().map(|hub| hub.to_string()))
    } else if call.found.declares(&HUB.about) {
        call.find(&HUB)?.map(|name| name.0)
    } else {
        return Ok(None);
    };
    Ok(named.or_else(|| call.caller.own_hub().map(str::to_owned)))
}

fn credential(call: &Call) -> Result<Option<String>, ApiError> {
    credential_of(&call.head.headers, &call.query)
}

/// The key or link token of a request. It may be given in several places if it is the same in all.
pub(in crate::api) fn credential_of(headers: &HeaderMap, query: &Query) -> Result<Option<String>, ApiError> {
    // A header that is not text holds no valid key.
    let header = |name: &str| headers.get_all(name).iter().map(|value| value.to_str().unwrap_or("?").trim().to_owned()).collect();
    let authorization: Vec<String> = header(AUTHORIZATION.as_str());
    let bearer = authorization.iter().filter_map(|value| {
        let (scheme, token) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim().to_owned())
    });
    let in_header: Vec<String> = header(KEY_HEADER);
    let mut given: Vec<String> = query.all(CODE).map(str::to_owned).chain(in_header).chain(bearer).collect();
    given.retain(|text| !text.is_empty());
    given.sort();
    given.dedup();
    match given.len() {
        0 | 1 => Ok(given.pop()),
        _ => Err(ApiError::argument(format!(
            "more than one key is given: 'code', '{KEY_HEADER}' and 'Authorization' must not differ"
        ))),
    }
}
