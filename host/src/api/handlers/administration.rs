//! Task hubs, for their administrator: creating, changing and deleting them, and their limits.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::marker::PhantomData;

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use schemars::{JsonSchema, Schema};
use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::json;

use dacapo_core::Timestamp;
use dacapo_store::control::{Grants, HubRecord, check_hub_name};

use crate::access::{Scope, now};
use crate::api::content::json::{self, Moment, micros};
use crate::api::error::ApiError;
use crate::api::request::Call;
use crate::api::request::parameter::{HUBS_AFTER, HubName, TOP, schema_of};
use crate::grants;
use crate::limits::{HubLimits, InvalidLimit, LIMITS, Then};

/// The longest page of hubs.
const PAGE_MAX: usize = 1_000;

const REASON_CHARS_MAX: usize = 1_000;

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::api) struct NewHub {
    #[schemars(schema_with = "schema_of::<HubName>")]
    name: String,
    /// Limits that are not those of the host's configuration, by name.
    #[serde(default)]
    #[schemars(transform = from_one)]
    limits: BTreeMap<String, u64>,
    /// What activities may reach.
    #[serde(default)]
    grants: Named<Grants>,
    /// What the activities of an app may reach instead.
    #[serde(default)]
    app_grants: BTreeMap<String, Named<Grants>>,
}

/// An absent member changes nothing; `null` removes the value.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::api) struct HubChange {
    /// New values by name; `null` for that of the host's configuration.
    #[serde(default)]
    #[schemars(transform = from_one)]
    limits: BTreeMap<String, Option<u64>>,
    /// Replaces the grants; `null` removes them.
    #[serde(default, deserialize_with = "given")]
    grants: Option<Option<Named<Grants>>>,
    /// By app; `null` for the grants of the hub.
    #[serde(default)]
    app_grants: BTreeMap<String, Option<Named<Grants>>>,
    /// Suspends the hub, for this reason; `null` resumes it.
    #[serde(default, deserialize_with = "given")]
    suspended: Option<Option<String>>,
}

/// No limit is 0.
fn from_one(limits: &mut Schema) {
    limits.ensure_object()["additionalProperties"]["minimum"] = json!(1);
}

// A `T` read from a JSON object only. A derived `Deserialize` also accepts an array of the members, and so an empty array.
#[derive(Debug, Clone, Default, JsonSchema)]
#[schemars(transparent, inline)]
struct Named<T>(T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Named<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ByName<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for ByName<T> {
            type Value = T;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<T, A::Error> {
                T::deserialize(MapAccessDeserializer::new(members))
            }
        }
        deserializer.deserialize_map(ByName(PhantomData)).map(Named)
    }
}

/// Tells `null` from an absent member.
fn given<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Hub")]
pub(in crate::api) struct HubBody {
    #[schemars(schema_with = "schema_of::<HubName>")]
    name: String,
    created_at: Moment,
    /// Why it is suspended; `null` if it is not.
    suspended: Option<String>,
    /// Limits that are not those of the host's configuration, by name.
    #[schemars(transform = from_one)]
    limits: BTreeMap<String, u64>,
    /// What activities may reach.
    grants: Grants,
    /// What the activities of an app may reach instead.
    app_grants: BTreeMap<String, Grants>,
    /// Requests that come under one of these host names are for this hub, unless they name another.
    host_names: BTreeSet<String>,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Limit")]
pub(in crate::api) struct LimitBody {
    name: &'static str,
    #[schemars(range(min = 1))]
    value: u64,
    /// The value for hubs without one of their own.
    #[schemars(range(min = 1))]
    default: u64,
    unit: &'static str,
    /// What happens when the limit is reached.
    then: Then,
    what: &'static str,
}

/// `GET admin/hubs?top`
pub(in crate::api) async fn hubs(call: Call) -> Result<Response, ApiError> {
    let limit = call.get(&TOP)?.0.min(PAGE_MAX);
    let after = call.find(&HUBS_AFTER)?.map(|token| token.0);
    let control = call.api.options.access.control().clone();
    call.control(move || {
        // One more tells whether there is a next page.
        let mut records = control.hubs(after.as_deref(), limit + 1)?;
        let more = records.len() > limit;
        records.truncate(limit);
        let next = records.last().filter(|_| more).map(|last| format!("hub.{}", last.name));
        let bodies: Vec<HubBody> = records.into_iter().map(HubBody::from).collect();
        Ok(with_continuation(json::json(StatusCode::OK, &bodies), next))
    })
    .await
}

/// `POST admin/hubs`
pub(in crate::api) async fn create(call: Call) -> Result<Response, ApiError> {
    let NewHub { name, limits, grants, app_grants } = call.object()?;
    if let Some(trouble) = check_hub_name(&name) {
        return Err(ApiError::member("name", trouble));
    }
    let app_grants = app_grants.into_iter().map(|(app, Named(grants))| (app, grants)).collect();
    let record = HubRecord { created_at: now(), name, limits, grants: grants.0, app_grants, ..HubRecord::default() };
    check(&call, &record).await?;
    let HubRecord { limits, grants, app_grants, .. } = &record;
    let mut details = serde_json::Map::new();
    if !limits.is_empty() {
        details.insert("limits".into(), json!(limits));
    }
    if *grants != Grants::default() {
        details.insert("grants".into(), json!(grants));
    }
    if !app_grants.is_empty() {
        details.insert("appGrants".into(), json!(app_grants));
    }
    let entry = call.entry(Scope::Hub(record.name.clone()), "hub.create", details.into());
    call.api.options.hubs.create(&record, &entry).await?;
    Ok(json::json(StatusCode::CREATED, &HubBody::from(record)))
}

/// `GET admin/hubs/{hubName}`
pub(in crate::api) async fn show(call: Call) -> Result<Response, ApiError> {
    Ok(json::json(StatusCode::OK, &HubBody::from(record(&call)?)))
}

/// `PATCH admin/hubs/{hubName}`
pub(in crate::api) async fn change(call: Call) -> Result<Response, ApiError> {
    let (name, change) = (call.hub_name()?, call.object::<HubChange>()?);
    if let Some(Some(why)) = &change.suspended
        && (why.trim().is_empty() || why.chars().count() > REASON_CHARS_MAX)
    {
        return Err(ApiError::member("suspended", format!("should say why, in at most {REASON_CHARS_MAX} characters")));
    }
    let mut wanted = record(&call)?;
    change.apply(&mut wanted);
    check(&call, &wanted).await?;
    let details: serde_json::Value = serde_json::from_slice(&call.body).unwrap_or_default();
    let entry = call.entry(Scope::Hub(wanted.name), "hub.change", details);
    let changed = call.api.options.hubs.change(&name, &entry, move |record| change.apply(record)).await?;
    Ok(json::json(StatusCode::OK, &HubBody::from(changed)))
}

/// `DELETE admin/hubs/{hubName}`
pub(in crate::api) async fn delete(call: Call) -> Result<Response, ApiError> {
    let record = record(&call)?;
    let entry = call.entry(Scope::Hub(record.name.clone()), "hub.delete", json!({}));
    call.api.options.hubs.delete(&record.name, &entry).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// `GET admin/limits`: the limits of a hub that has none of its own.
pub(in crate::api) async fn limits(call: Call) -> Result<Response, ApiError> {
    Ok(json::json(StatusCode::OK, &table(&call.api.options.limits, &call.api.options.limits)))
}

/// `GET admin/hubs/{hubName}/limits`
pub(in crate::api) async fn limits_of_hub(call: Call) -> Result<Response, ApiError> {
    let own = call.api.options.limits.with_stored(&record(&call)?.limits);
    let own = own.map_err(|why| ApiError::internal(why.to_string()))?;
    Ok(json::json(StatusCode::OK, &table(&own, &call.api.options.limits)))
}

fn table(own: &HubLimits, defaults: &HubLimits) -> Vec<LimitBody> {
    let value = |limits: &HubLimits, name| limits.get(name).unwrap_or_default();
    let row = |limit: &crate::limits::Limit| LimitBody {
        name: limit.name,
        value: value(own, limit.name),
        default: value(defaults, limit.name),
        unit: limit.unit,
        then: limit.then,
        what: limit.what,
    };
    LIMITS.iter().map(row).collect()
}

/// The hub that the path names.
pub(in crate::api) fn record(call: &Call) -> Result<HubRecord, ApiError> {
    let name = call.hub_name()?;
    call.api.options.access.control().hub(&name)?.ok_or_else(|| ApiError::unknown_task_hub(&name))
}

/// Checks the limits and grants of a hub. Looks at directories, so it runs on the threads of the control file.
async fn check(call: &Call, record: &HubRecord) -> Result<(), ApiError> {
    call.api.options.limits.with(&record.limits).map_err(|why| match &why {
        InvalidLimit::Unknown(name) | InvalidLimit::Zero(name) | InvalidLimit::TooHigh { name, .. } => {
            ApiError::member(&format!("limits.{name}"), &why)
        }
    })?;
    let (data, record) = (call.api.options.data.clone(), record.clone());
    call.control(move || {
        grants::check(&record.grants, &data).map_err(|why| ApiError::member("grants", why))?;
        record.app_grants.iter().try_for_each(|(app, grants)| {
            grants::check(grants, &data).map_err(|why| ApiError::member(&format!("appGrants.{app}"), why))
        })
    })
    .await
}

pub(in crate::api) fn with_continuation(response: Response, token: Option<String>) -> Response {
    match token {
        Some(token) => ([(HUBS_AFTER.about.name, token)], response).into_response(),
        None => response,
    }
}

impl HubChange {
    fn apply(&self, record: &mut HubRecord) {
        merge(&mut record.limits, &self.limits, |value| *value);
        merge(&mut record.app_grants, &self.app_grants, |Named(grants)| grants.clone());
        if let Some(grants) = &self.grants {
            record.grants = grants.clone().unwrap_or_default().0;
        }
        if let Some(suspended) = &self.suspended {
            record.suspended = suspended.clone();
        }
    }
}

fn merge<T, U>(kept: &mut BTreeMap<String, T>, changes: &BTreeMap<String, Option<U>>, value_of: impl Fn(&U) -> T) {
    for (name, value) in changes {
        match value {
            Some(value) => drop(kept.insert(name.clone(), value_of(value))),
            None => drop(kept.remove(name)),
        }
    }
}

impl From<HubRecord> for HubBody {
    fn from(record: HubRecord) -> Self {
        let HubRecord { name, created_at, suspended, limits, grants, app_grants, host_names } = record;
        Self { name, created_at: micros(Timestamp(created_at)), suspended, limits, grants, app_grants, host_names }
    }
}
