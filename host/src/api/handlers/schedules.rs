//! Schedules, by which orchestrations are started again and again.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use dacapo_core::{InstanceId, InstanceRecord, Timestamp};
use dacapo_store::InstanceQuery;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Serialize;
use serde_json::json;

use crate::api::content::json::{Moment, json as answered, json_text, micros, seconds, written};
use crate::api::content::page::{PageRequest, page_response};
use crate::api::error::ApiError;
use crate::api::request::Call;
use crate::api::request::parameter::{BACKFILL_FROM, BACKFILL_OVERLAP, BACKFILL_TO, NOTE, OVERLAP, SCHEDULE_NAME};
use crate::hub::{Backfill, Hub, NewSchedule, ScheduleState, TriggerRequest, now};
use crate::schedules::{Decided, Specification, Target};

/// The next occurrences that are shown.
const NEXT: usize = 10;

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Schedule")]
pub(in crate::api) struct ScheduleBody {
    name: String,
    specification: Specification,
    /// The app whose deployments make, change and remove it; `null` if a client has made it.
    app: Option<String>,
    paused: bool,
    /// Why it is paused, or goes on.
    note: String,
    created_time: Moment,
    last_updated_time: Moment,
    occurrences: OccurrencesBody,
    /// The last ten runs, the newest first.
    recent: Vec<RunBody>,
    /// The next ten occurrences, without jitter. None while it is paused, or once it has ended.
    next: Vec<Moment>,
    /// Whether an occurrence waits for the end of another one.
    waiting: bool,
    /// Whether a backfill is in progress.
    backfilling: bool,
}

/// What has become of the occurrences so far.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Occurrences")]
struct OccurrencesBody {
    run: u64,
    /// Later than the catch-up window, because the host was down.
    missed: u64,
    /// Left out because of an instance that still ran, or because they had run already.
    skipped: u64,
    /// Those that had to wait for the end of another one.
    buffered: u64,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Run")]
struct RunBody {
    instance_id: String,
    nominal_time: Moment,
    started_time: Moment,
    /// `null` if the instance was purged, as completed runs of timer triggers are after a while.
    #[schemars(schema_with = "status_or_null")]
    runtime_status: Option<&'static str>,
}

fn status_or_null(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": ["string", "null"] })
}

/// A line of the list.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "ScheduleSummary")]
pub(in crate::api) struct SummaryBody {
    name: String,
    /// Or the timer trigger.
    orchestrator: String,
    /// The pattern or the interval, as it was written.
    occurs: String,
    time_zone: String,
    app: Option<String>,
    paused: bool,
    note: String,
    /// The nominal time of the last run; `null` if there was none.
    last: Option<Moment>,
    /// The next occurrence; `null` while it is paused, or once it has ended.
    next: Option<Moment>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Triggered")]
pub(in crate::api) struct TriggeredBody {
    instance_id: String,
    outcome: TriggerOutcome,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
enum TriggerOutcome {
    Started,
    /// It waits for the end of another instance.
    Buffered,
    /// Another instance still runs.
    Skipped,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Backfilled")]
pub(in crate::api) struct BackfilledBody {
    /// How many there are in the range. Those that have run already are not run again.
    occurrences: usize,
}

/// `GET schedules`
pub(in crate::api) async fn list(call: Call) -> Result<Response, ApiError> {
    let hub = call.hub()?;
    let query = InstanceQuery { id_prefix: Hub::schedules_prefix(), ..InstanceQuery::default() };
    let found = PageRequest::new(&call, query)?.read(&hub, |record| record.id.is_entity()).await?;
    let write = |hub: &Hub, record: &InstanceRecord| -> Result<Option<String>, ApiError> {
        Ok(hub.schedule_in(&record.id)?.map(|schedule| written(&summary(&schedule))))
    };
    page_response(hub, found, write).await
}

/// `GET schedules/{scheduleName}`
pub(in crate::api) async fn show(call: Call) -> Result<Response, ApiError> {
    let hub = call.hub()?;
    let schedule = hub.schedule(&call.get(&SCHEDULE_NAME)?.0).await?;
    answer(&hub, StatusCode::OK, schedule).await
}

/// `POST schedules/{scheduleName}`
pub(in crate::api) async fn create(call: Call) -> Result<Response, ApiError> {
    make(call, false).await
}

/// `PUT schedules/{scheduleName}`
pub(in crate::api) async fn replace(call: Call) -> Result<Response, ApiError> {
    make(call, true).await
}

async fn make(call: Call, replace: bool) -> Result<Response, ApiError> {
    let (hub, name, specification) = (call.hub()?, call.get(&SCHEDULE_NAME)?.0, call.object::<Specification>()?);
    let details = json!({ "schedule": name, "orchestrator": specification.orchestrator, "cron": specification.cron, "interval": specification.interval });
    let made = hub.create_schedule(NewSchedule { name, specification, replace }).await?;
    call.audited(if made.is_new { "schedule.create" } else { "schedule.replace" })?.begun(details).await?;
    let status = if made.is_new { StatusCode::CREATED } else { StatusCode::OK };
    answer(&hub, status, made).await
}

/// `DELETE schedules/{scheduleName}`
pub(in crate::api) async fn delete(call: Call) -> Result<Response, ApiError> {
    let (hub, name) = (call.hub()?, call.get(&SCHEDULE_NAME)?.0);
    hub.delete_schedule(&name).await?;
    call.audited("schedule.delete")?.begun(json!({ "schedule": name })).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// `POST schedules/{scheduleName}/pause`
pub(in crate::api) async fn pause(call: Call) -> Result<Response, ApiError> {
    let (hub, name, note) = (call.hub()?, call.get(&SCHEDULE_NAME)?.0, call.find(&NOTE)?.unwrap_or_default().0);
    let paused = hub.pause_schedule(&name, note.clone()).await?;
    call.audited("schedule.pause")?.begun(json!({ "schedule": name, "note": note })).await?;
    answer(&hub, StatusCode::OK, paused).await
}

/// `POST schedules/{scheduleName}/resume`
pub(in crate::api) async fn resume(call: Call) -> Result<Response, ApiError> {
    let (hub, name, note) = (call.hub()?, call.get(&SCHEDULE_NAME)?.0, call.find(&NOTE)?.unwrap_or_default().0);
    let resumed = hub.resume_schedule(&name, note.clone()).await?;
    call.audited("schedule.resume")?.begun(json!({ "schedule": name, "note": note })).await?;
    answer(&hub, StatusCode::OK, resumed).await
}

/// `POST schedules/{scheduleName}/trigger`
pub(in crate::api) async fn trigger(call: Call) -> Result<Response, ApiError> {
    let (hub, name, overlap) = (call.hub()?, call.get(&SCHEDULE_NAME)?.0, call.find(&OVERLAP)?);
    let (id, schedule) = hub.trigger_schedule(TriggerRequest { name: name.clone(), overlap }).await?;
    call.audited("schedule.trigger")?.begun(json!({ "schedule": name })).await?;
    let outcome = match schedule.state.recent.iter().any(|run| run.id == id.as_str()) {
        true => TriggerOutcome::Started,
        false if schedule.state.waits_for(&name, id.as_str()) => TriggerOutcome::Buffered,
        false => TriggerOutcome::Skipped,
    };
    Ok(answered(StatusCode::ACCEPTED, &TriggeredBody { instance_id: id.to_string(), outcome }))
}

/// `POST schedules/{scheduleName}/backfill`
pub(in crate::api) async fn backfill(call: Call) -> Result<Response, ApiError> {
    let (hub, name) = (call.hub()?, call.get(&SCHEDULE_NAME)?.0);
    let (from, to, overlap) = (call.get(&BACKFILL_FROM)?, call.get(&BACKFILL_TO)?, call.get(&BACKFILL_OVERLAP)?);
    let occurrences = hub.backfill_schedule(Backfill { name: name.clone(), from, to, overlap }).await?;
    let details = json!({ "schedule": name, "from": micros(from), "to": micros(to), "occurrences": occurrences });
    call.audited("schedule.backfill")?.begun(details).await?;
    Ok(answered(StatusCode::ACCEPTED, &BackfilledBody { occurrences }))
}

/// The schedule, with the states of its last runs.
async fn answer(hub: &Hub, status: StatusCode, schedule: ScheduleState) -> Result<Response, ApiError> {
    let body = hub.read(move |hub| -> Result<String, ApiError> { Ok(written(&body(hub, schedule)?)) }).await?;
    Ok(json_text(status, body))
}

fn body(hub: &Hub, schedule: ScheduleState) -> Result<ScheduleBody, ApiError> {
    let ScheduleState { name, state, plan, .. } = schedule;
    let next = state.next(&plan, now(), NEXT).into_iter().map(seconds).collect();
    let mut recent = Vec::new();
    for run in &state.recent {
        recent.push(RunBody {
            instance_id: run.id.clone(),
            nominal_time: micros(Timestamp(run.nominal)),
            started_time: micros(Timestamp(run.started)),
            runtime_status: status(hub, &run.id)?,
        });
    }
    let Decided { run, missed, skipped, buffered } = state.decided;
    Ok(ScheduleBody {
        name,
        app: state.app.clone(),
        paused: state.paused,
        note: state.note.clone(),
        created_time: micros(Timestamp(state.created)),
        last_updated_time: micros(Timestamp(state.updated)),
        occurrences: OccurrencesBody { run, missed, skipped, buffered },
        recent,
        next,
        waiting: state.is_waiting(),
        backfilling: state.backfilling(),
        specification: state.specification,
    })
}

fn status(hub: &Hub, id: &str) -> Result<Option<&'static str>, ApiError> {
    let Ok(id) = InstanceId::any(id) else { return Ok(None) };
    Ok(hub.instance(&id)?.map(|record| record.status.name()))
}

fn summary(schedule: &ScheduleState) -> SummaryBody {
    let ScheduleState { name, state, plan, .. } = schedule;
    let specification = &state.specification;
    let interval = || specification.interval.as_ref().map(|interval| format!("every {interval}"));
    SummaryBody {
        name: name.clone(),
        orchestrator: match &state.target {
            Target::Orchestrator => specification.orchestrator.clone(),
            Target::Timer { function, .. } => function.clone(),
        },
        occurs: specification.cron.clone().or_else(interval).unwrap_or_default(),
        time_zone: specification.time_zone.clone().unwrap_or_else(|| "UTC".into()),
        app: state.app.clone(),
        paused: state.paused,
        note: state.note.clone(),
        last: state.recent.front().map(|run| micros(Timestamp(run.nominal))),
        next: state.next(plan, now(), 1).first().copied().map(seconds),
    }
}
