//! Entities: their states, and operations on them.

use axum::http::StatusCode;
use axum::response::Response;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::value::RawValue;

use dacapo_core::{InstanceId, InstanceRecord, Payload};
use dacapo_store::InstanceQuery;

use crate::api::content::json::{Moment, json_text, micros, raw, text, written};
use crate::api::content::page::{PageRequest, page_response};
use crate::api::content::parts;
use crate::api::error::ApiError;
use crate::api::handlers::messages::accepted;
use crate::api::request::Call;
use crate::api::request::parameter::{
    DELIVER_AT, ENTITY_KEY, ENTITY_NAME, FETCH_STATE, LAST_OPERATION_FROM, LAST_OPERATION_TO, OPERATION,
};
use crate::hub::{Hub, HubError, is_built_in};

/// The empty key in a path. It may also be left out where the shorter path has no other meaning.
const EMPTY_KEY: &str = "$";

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Entity")]
pub(in crate::api) struct EntityBody<'a> {
    entity_id: EntityId<'a>,
    last_operation_time: Moment,
    /// Any JSON; `null` if it is not asked for, or there is none.
    state: Option<Box<RawValue>>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct EntityId<'a> {
    name: &'a str,
    key: &'a str,
}

impl<'a> EntityBody<'a> {
    /// None if the record is not of an entity.
    fn new(record: &'a InstanceRecord, state: Option<&str>) -> Option<Self> {
        let (name, key) = record.id.as_entity()?;
        let last_operation_time = micros(record.updated);
        Some(Self { entity_id: EntityId { name, key }, last_operation_time, state: state.map(raw) })
    }
}

/// `GET entities[/{entityName}]`
pub(in crate::api) async fn list(call: Call) -> Result<Response, ApiError> {
    let (hub, name) = (call.hub()?, call.find(&ENTITY_NAME)?);
    let id_prefix = name.map_or_else(|| "@".into(), |name| format!("@{}@", name.folded()));
    let request = PageRequest::new(&call, InstanceQuery { id_prefix, ..InstanceQuery::default() })?;
    let (from, to) = (call.find(&LAST_OPERATION_FROM)?, call.find(&LAST_OPERATION_TO)?);
    let fetch_state = call.get(&FETCH_STATE)?;
    let in_time =
        move |record: &InstanceRecord| from.is_none_or(|from| record.updated >= from) && to.is_none_or(|to| record.updated <= to);
    // Those of the host itself are lists of their own.
    let is_of_an_app = |record: &InstanceRecord| record.id.is_entity() && !is_built_in(&record.name);
    let found = request.read(&hub, move |record| is_of_an_app(record) && in_time(record)).await?;
    let write = move |hub: &Hub, record: &InstanceRecord| -> Result<Option<String>, ApiError> {
        let state = if fetch_state { hub.entity_state(&record.id)? } else { None };
        Ok(EntityBody::new(record, state.as_deref()).map(|body| written(&body)))
    };
    page_response(hub, found, write).await
}

/// `GET entities/{entityName}/{entityKey}`
pub(in crate::api) async fn read(call: Call) -> Result<Response, ApiError> {
    let (hub, id) = (call.hub()?, entity_id(&call)?);
    let answer = move |hub: &Hub| -> Result<(String, ()), ApiError> {
        let state = hub.entity_state(&id)?.ok_or_else(ApiError::not_found)?;
        Ok((written(&raw(&state)), ()))
    };
    let (body, ()) = parts::counted(&hub, answer).await?;
    Ok(json_text(StatusCode::OK, body))
}

/// `POST entities/{entityName}[/{entityKey}]`
pub(in crate::api) async fn signal(call: Call) -> Result<Response, ApiError> {
    let (hub, id) = (call.hub()?, entity_id(&call)?);
    let operation = call.find(&OPERATION)?.unwrap_or_default().0;
    let deliver_at = call.find(&DELIVER_AT)?;
    match hub.signal_entity(&id, &operation, input(&call)?, deliver_at).await {
        Err(HubError::InvalidPayload(why)) => Err(ApiError::unparsable_operation(why)),
        result => Ok(result.map(|()| accepted())?),
    }
}

/// `DELETE entities/{entityName}[/{entityKey}]`
pub(in crate::api) async fn delete(call: Call) -> Result<Response, ApiError> {
    call.hub()?.signal_entity(&entity_id(&call)?, "delete", "null".into(), None).await?;
    Ok(accepted())
}

fn entity_id(call: &Call) -> Result<InstanceId, ApiError> {
    let (name, key) = (call.get(&ENTITY_NAME)?, call.find(&ENTITY_KEY)?.map(|key| key.0).unwrap_or_default());
    let key = if key == EMPTY_KEY { "" } else { key.as_str() };
    InstanceId::entity(&name, key)
        .map_err(|why| ENTITY_KEY.about.refusal(key, &format!("as a part of the id of the entity {why}")))
}

/// The input of an operation. A body that is not declared as JSON is a text; an empty one is null, whatever its type.
fn input(call: &Call) -> Result<Payload, ApiError> {
    if call.claims_json() == Some(true) {
        return call.payload().map_err(ApiError::unparsable_operation);
    }
    Ok(match call.text()? {
        "" => "null".into(),
        said => text(said).get().into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use dacapo_core::{Event, Message, Row, Timestamp};

    #[test]
    fn an_entity_is_listed_by_name_and_key() {
        let to = InstanceId::any("@counter@a@b").unwrap();
        let event = Event::OperationRequested { operation: "add".into(), input: "1".into(), caller: None, deliver_at: None };
        let message = Message { to, execution: None, sent_at: Timestamp(1_500_000), event };
        let record = InstanceRecord::pending(Row(1), &message).unwrap();
        let listed = |state| serde_json::to_string(&EntityBody::new(&record, state)).unwrap();
        let expected = r#"{"entityId":{"name":"counter","key":"a@b"},"lastOperationTime":"1970-01-01T00:00:01.500000Z","state":"#;
        assert_eq!(listed(Some("[1]")), format!("{expected}[1]}}"));
        assert_eq!(listed(None), format!("{expected}null}}"));
    }
}
