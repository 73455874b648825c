//! Apps and their versions: deployment, shares of new starts, replay checks and migration.

use std::convert::Infallible;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use dacapo_core::{FunctionKind, FunctionName, InstanceId, VersionId};
use dacapo_store::AppVersion;
use dacapo_wasm::{Finding, Stage};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};

use crate::api::content::json::{self, Moment, micros};
use crate::api::error::ApiError;
use crate::api::request::parameter::{
    APP_NAME, AppName, CHECKED_VERSION, DIFF_FROM, DIFF_TO, DRY_RUN, LABEL, OF_VERSION, PROGRESS, SAMPLE, VERSION_NAME, WEIGHT,
    WITH_INSTANCES,
};
use crate::api::request::{AuditedAction, Call};
use crate::hub::{
    Candidate, Checked, DeployedApp, Difference, Hub, HubError, Pruned, ReplayProgress, RolledBack, Share, Totals, Traffic,
    Undeployed, Verdict, VersionState, Which,
};
use crate::triggers::StartedBy;

/// How often the progress of a deployment is reported.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(1);

pub(in crate::api) const LINES: &str = "application/x-ndjson";

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "App")]
pub(in crate::api) struct AppBody {
    app: String,
    /// The SHA-256 digest of the deployed file.
    version: String,
    label: String,
    task_hub: String,
    functions: Vec<FunctionBody>,
    /// Whether the change altered which versions get new starts. Only after a change.
    #[serde(skip_serializing_if = "Option::is_none")]
    changed: Option<bool>,
    /// Whether it is the active version. Only after a change.
    #[serde(skip_serializing_if = "Option::is_none")]
    active: Option<bool>,
    /// The determinism report: what the version imports that traps in its orchestrators and entities. Only after a deployment.
    #[serde(skip_serializing_if = "Option::is_none")]
    report: Option<Vec<Finding>>,
    /// The label of the version before this deployment.
    #[serde(skip_serializing_if = "Option::is_none")]
    former_label: Option<String>,
    /// The version that had the label before this deployment, and has none now.
    #[serde(skip_serializing_if = "Option::is_none")]
    label_taken_from: Option<String>,
    /// The versions that get new starts now, and their shares of 100. Only after a change.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    new_starts: Vec<ShareBody>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Share")]
struct ShareBody {
    version: String,
    label: String,
    percent: f64,
}

impl From<Share> for ShareBody {
    fn from(Share { version, label, percent }: Share) -> Self {
        Self { version: version.to_string(), label, percent }
    }
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Function")]
struct FunctionBody {
    name: String,
    #[schemars(schema_with = "any_kind")]
    kind: &'static str,
    /// Of a trigger of an app: what starts it.
    #[serde(skip_serializing_if = "Option::is_none")]
    started_by: Option<StartedBy>,
    /// Whether it is a trigger that does not run, by itself or by the settings of its app.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    disabled: bool,
}

fn any_kind(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "enum": FunctionKind::ALL.map(FunctionKind::name) })
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Version")]
struct VersionBody {
    /// The SHA-256 digest of the deployed file.
    version: String,
    label: String,
    deployed_at: Moment,
    active: bool,
    /// Its share of new starts. All have 0: they go to the active one.
    weight: u32,
    /// Bytes of the deployed file.
    size: u64,
    /// Orchestrations that have not ended and run on it.
    instances: u64,
    functions: Vec<FunctionBody>,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(in crate::api) struct VersionList {
    app: String,
    versions: Vec<VersionBody>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "RolledBack")]
pub(in crate::api) struct RolledBackBody {
    app: String,
    from: NamedVersion,
    active: NamedVersion,
    /// Which versions get new starts now, and how many of 100.
    new_starts: Vec<ShareBody>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct NamedVersion {
    version: String,
    label: String,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Pruned")]
pub(in crate::api) struct PrunedBody {
    /// The versions.
    removed: Vec<String>,
    /// Those that nothing in this task hub refers to any more.
    unreferenced: Vec<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Undeployed")]
pub(in crate::api) struct UndeployedBody {
    /// The versions.
    removed: Vec<String>,
    /// Orchestrations that ran on one of them.
    terminated: u64,
    entities_purged: u64,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Difference")]
pub(in crate::api) struct DifferenceBody {
    app: String,
    from: String,
    to: String,
    functions: FunctionsDiffer,
    imports: ImportsDiffer,
}

#[derive(Debug, Serialize, JsonSchema)]
struct FunctionsDiffer {
    added: Vec<FunctionBody>,
    removed: Vec<FunctionBody>,
    changed: Vec<ChangedFunction>,
}

/// A function of another kind than before.
#[derive(Debug, Serialize, JsonSchema)]
struct ChangedFunction {
    name: String,
    #[schemars(schema_with = "any_kind")]
    from: &'static str,
    #[schemars(schema_with = "any_kind")]
    to: &'static str,
}

#[derive(Debug, Serialize, JsonSchema)]
struct ImportsDiffer {
    added: Vec<String>,
    removed: Vec<String>,
}

/// `POST admin/apps/{appName}`, the body a wasm component or module.
pub(in crate::api) async fn deploy(call: Call) -> Result<Response, ApiError> {
    let hub = call.hub()?;
    let AppName(name) = call.get(&APP_NAME)?;
    let label = call.find(&LABEL)?.unwrap_or_default();
    let traffic = call.find(&WEIGHT)?.map_or(Traffic::All, |weight| Traffic::Percent(weight.0));
    let (progress, audit) = (call.get(&PROGRESS)?, call.audited("app.deploy")?);
    let default_hub = call.api.options.default_hub.clone();
    let (stage, watched) = watch::channel(Stage::default());
    let (body, room) = (call.body, call.body_reservation);
    // Dropped with the request: a file is not compiled once its client is gone.
    let deploying = async move {
        let prepared = hub.prepare(body, stage).await?;
        drop(room);
        hub.change_versions(move |hub| {
            let mut deployed = hub.record(&name, &label.0, prepared, traffic)?;
            let weight = match traffic {
                Traffic::All => None,
                Traffic::Percent(weight) => Some(weight),
            };
            let (version, label) = (deployed.version.to_string(), &deployed.label);
            audit.done(json!({ "app": name, "version": version, "label": label, "weight": weight, "changed": deployed.changed }));
            let report = Some(std::mem::take(&mut deployed.report));
            Ok(AppBody { report, ..changed_body(hub, &default_hub, deployed) })
        })
        .await
    };
    match progress {
        true => Ok(stages(deploying, watched)),
        false => Ok(json::json(StatusCode::OK, &deploying.await?)),
    }
}

#[derive(Serialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "camelCase")]
pub(in crate::api) enum DeploymentProgress {
    Waiting {
        /// Since the request arrived.
        seconds: u64,
    },
    Compiling {
        /// Since the request arrived.
        seconds: u64,
    },
    Deployed {
        app: AppBody,
    },
    Refused {
        /// The status that the response would have had.
        status: u16,
        message: String,
    },
}

/// Streams a line of JSON each second with the progress of a deployment, and one with its result.
fn stages(
    deploying: impl Future<Output = Result<AppBody, ApiError>> + Send + 'static,
    watched: watch::Receiver<Stage>,
) -> Response {
    let began = Instant::now();
    let ticks = tokio::time::interval(PROGRESS_INTERVAL);
    let lines = futures::stream::unfold(Some((Box::pin(deploying), watched, ticks)), move |state| async move {
        let (mut deploying, mut watched, mut ticks) = state?;
        let line = tokio::select! {
            biased;
            ended = &mut deploying => match ended {
                Ok(app) => DeploymentProgress::Deployed { app },
                Err(refusal) => DeploymentProgress::Refused { status: refusal.status(), message: refusal.reason().to_owned() },
            },
            _ = ticks.tick() => {
                let seconds = began.elapsed().as_secs();
                let line = match *watched.borrow_and_update() {
                    Stage::Waiting => DeploymentProgress::Waiting { seconds },
                    Stage::Compiling => DeploymentProgress::Compiling { seconds },
                };
                return Some((Ok::<_, Infallible>(json::line(&line)), Some((deploying, watched, ticks))));
            }
        };
        Some((Ok(json::line(&line)), None))
    });
    ([(CONTENT_TYPE, LINES)], Body::from_stream(lines)).into_response()
}

/// `GET admin/apps`: the active version of each app.
pub(in crate::api) async fn apps(call: Call) -> Result<Response, ApiError> {
    let hub = call.hub()?;
    let apps: Vec<AppBody> = hub.apps().into_iter().map(|app| shown(&hub, &call.api.options.default_hub, app)).collect();
    Ok(json::json(StatusCode::OK, &apps))
}

/// `GET admin/apps/{appName}`: all versions.
pub(in crate::api) async fn versions(call: Call) -> Result<Response, ApiError> {
    let (hub, AppName(app)) = (call.hub()?, call.get(&APP_NAME)?);
    version_list(&hub, app).await
}

async fn version_list(hub: &Hub, app: String) -> Result<Response, ApiError> {
    let versions = hub.versions(&app).await?.into_iter().map(VersionBody::new).collect();
    Ok(json::json(StatusCode::OK, &VersionList { app, versions }))
}

/// `POST admin/apps/{appName}/activate`
pub(in crate::api) async fn activate(call: Call) -> Result<Response, ApiError> {
    let (hub, AppName(app), version) = (call.hub()?, call.get(&APP_NAME)?, call.get(&OF_VERSION)?.0);
    let audit = call.audited("app.activate")?;
    let default_hub = call.api.options.default_hub.clone();
    hub.change_versions(move |hub| {
        let activated = hub.activate(&app, &version)?;
        audit.done(json!({ "app": app, "version": activated.version.to_string(), "label": activated.label }));
        Ok(json::json(StatusCode::OK, &changed_body(hub, &default_hub, activated)))
    })
    .await
}

/// `POST admin/apps/{appName}/rollback`
pub(in crate::api) async fn roll_back(call: Call) -> Result<Response, ApiError> {
    let (hub, AppName(app), audit) = (call.hub()?, call.get(&APP_NAME)?, call.audited("app.rollback")?);
    hub.change_versions(move |hub| {
        let RolledBack { from, active, new_starts } = hub.roll_back(&app)?;
        let new_starts = new_starts.into_iter().map(ShareBody::from).collect();
        let body = RolledBackBody { app, from: from.into(), active: active.into(), new_starts };
        audit.done(json!(body));
        Ok(json::json(StatusCode::OK, &body))
    })
    .await
}

/// The members of an object, duplicates included, so that those can be refused.
struct Weights(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Weights {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Weights;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object of weights")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Weights, A::Error> {
                let mut weights = Vec::new();
                while let Some(member) = members.next_entry()? {
                    weights.push(member);
                }
                Ok(Weights(weights))
            }
        }
        deserializer.deserialize_map(Members)
    }
}

/// `POST admin/apps/{appName}/weights`, the body such as `{"1.0": 90, "2.0": 10}`.
pub(in crate::api) async fn weigh(call: Call) -> Result<Response, ApiError> {
    let (hub, AppName(app)) = (call.hub()?, call.get(&APP_NAME)?);
    let Weights(weights) = serde_json::from_str(call.text()?)
        .map_err(|why| ApiError::invalid_json(format!("the body should be such as {{\"1.0\": 90, \"2.0\": 10}}: {why}")))?;
    let weight = |(version, weight): (String, Value)| match weight.as_u64().and_then(|weight| u32::try_from(weight).ok()) {
        Some(weight) => Ok((version, weight)),
        None => Err(ApiError::invalid_json(format!("the weight of '{version}' should be a whole number from 0 to {}", u32::MAX))),
    };
    let weights = weights.into_iter().map(weight).collect::<Result<Vec<_>, ApiError>>()?;
    let (of, audit) = (app.clone(), call.audited("app.route")?);
    let weighing = move |hub: &Hub| -> Result<(), HubError> {
        hub.weigh(&of, &weights)?;
        let weights: serde_json::Map<String, Value> = weights.into_iter().map(|(name, weight)| (name, weight.into())).collect();
        audit.done(json!({ "app": of, "weights": weights }));
        Ok(())
    };
    hub.change_versions(weighing).await?;
    version_list(&hub, app).await
}

/// `DELETE admin/apps/{appName}/versions/{version}`
pub(in crate::api) async fn remove(call: Call) -> Result<Response, ApiError> {
    let (hub, AppName(app), version) = (call.hub()?, call.get(&APP_NAME)?, call.get(&VERSION_NAME)?.0);
    let (dry_run, audit) = (call.get(&DRY_RUN)?, call.audited("app.prune")?);
    hub.change_versions(move |hub| match dry_run {
        true => {
            let idle = vec![hub.idle_version(&app, &version)?];
            Ok(json::json(StatusCode::OK, &PrunedBody::from(Pruned { unreferenced: idle.clone(), removed: idle })))
        }
        false => Ok(pruned(&audit, &app, hub.remove_version(&app, &version)?)),
    })
    .await
}

/// `POST admin/apps/{appName}/prune`
pub(in crate::api) async fn prune(call: Call) -> Result<Response, ApiError> {
    let (hub, AppName(app)) = (call.hub()?, call.get(&APP_NAME)?);
    let (dry_run, audit) = (call.get(&DRY_RUN)?, call.audited("app.prune")?);
    hub.change_versions(move |hub| match dry_run {
        true => Ok(json::json(StatusCode::OK, &PrunedBody::from(hub.idle_versions(&app)?))),
        false => Ok(pruned(&audit, &app, hub.prune(&app)?)),
    })
    .await
}

/// `DELETE admin/apps/{appName}`: all versions.
pub(in crate::api) async fn undeploy(call: Call) -> Result<Response, ApiError> {
    let (hub, AppName(app), audit) = (call.hub()?, call.get(&APP_NAME)?, call.audited("app.undeploy")?);
    let with_instances = call.get(&WITH_INSTANCES)?;
    // To the end, even if the client disconnects: half an app is of no use.
    let undeploying = tokio::spawn(async move {
        let gone = match with_instances {
            true => hub.undeploy_with_instances(&app).await?,
            false => hub.undeploy(&app).await?,
        };
        let Undeployed { versions, terminated, purged } = gone;
        let body = UndeployedBody { removed: texts(&versions.removed), terminated, entities_purged: purged };
        let details = json!({ "app": app, "withInstances": with_instances, "done": body });
        hub.change_versions(move |_| {
            audit.done(details);
            Ok::<_, HubError>(())
        })
        .await?;
        Ok(json::json(StatusCode::OK, &body))
    });
    undeploying.await.unwrap_or_else(|_| Err(ApiError::internal("removing the app failed; the log of the host says more")))
}

/// `GET admin/apps/{appName}/diff`
pub(in crate::api) async fn diff(call: Call) -> Result<Response, ApiError> {
    let (hub, AppName(app)) = (call.hub()?, call.get(&APP_NAME)?);
    let (from, to) = (call.get(&DIFF_FROM)?.0, call.get(&DIFF_TO)?.0);
    hub.read(move |hub| {
        let Difference { from, to, added, removed, changed, imports_added, imports_removed } = hub.diff(&app, &from, &to)?;
        let changed = changed
            .into_iter()
            .map(|(name, from, to)| ChangedFunction { name: name.to_string(), from: from.name(), to: to.name() })
            .collect();
        let functions = FunctionsDiffer { added: functions(&added), removed: functions(&removed), changed };
        let imports = ImportsDiffer { added: imports_added, removed: imports_removed };
        let body = DifferenceBody { app, from: from.to_string(), to: to.to_string(), functions, imports };
        Ok(json::json(StatusCode::OK, &body))
    })
    .await
}

/// `POST admin/apps/{appName}/check`, the body a file that is not deployed, unless `version` names one that is.
pub(in crate::api) async fn check(call: Call) -> Result<Response, ApiError> {
    let (hub, AppName(app)) = (call.hub()?, call.get(&APP_NAME)?);
    let version = call.find(&CHECKED_VERSION)?;
    let which = call.find(&SAMPLE)?.map_or(Which::All, |sample| Which::Sample(sample.0));
    let candidate = match version {
        Some(_) if !call.body.is_empty() => {
            return Err(ApiError::argument(
                "there is a body, and the parameter 'version' names a deployed version: give only one",
            ));
        }
        Some(version) => Candidate::Deployed(version.0),
        None => Candidate::Module(call.body),
    };
    Ok(progress(hub.check(&app, candidate, which).await?))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct MigrateBody {
    instances: Vec<String>,
}

/// `POST admin/apps/{appName}/migrate`, the body `{"instances": [...]}`, or nothing for all.
pub(in crate::api) async fn migrate(call: Call) -> Result<Response, ApiError> {
    let (hub, AppName(app), version) = (call.hub()?, call.get(&APP_NAME)?, call.get(&OF_VERSION)?.0);
    let which = if call.body.is_empty() { Which::All } else { these(call.text()?)? };
    // Recorded first: it may be broken off, and the instances moved by then stay moved.
    let instances = match &which {
        Which::All | Which::Sample(_) => Value::Null,
        Which::These(ids) => ids.len().into(),
    };
    call.audited("app.migrate")?.begun(json!({ "app": app, "version": version, "instances": instances })).await?;
    Ok(progress(hub.migrate(&app, &version, which).await?))
}

fn these(text: &str) -> Result<Which, ApiError> {
    let body: MigrateBody = serde_json::from_str(text).map_err(|why| ApiError::invalid_json(why.to_string()))?;
    let id = |text: &String| {
        InstanceId::any(text).map_err(|why| ApiError::argument(format!("'{text}' is not the id of an instance: {why}")))
    };
    Ok(Which::These(body.instances.iter().map(id).collect::<Result<_, _>>()?))
}

/// Streams one line of JSON for each report of progress.
fn progress(receiver: mpsc::Receiver<ReplayProgress>) -> Response {
    let lines = futures::stream::unfold(receiver, |mut receiver| async {
        let line = ReplayProgressBody::from(receiver.recv().await?);
        Some((Ok::<_, Infallible>(json::line(&line)), receiver))
    });
    ([(CONTENT_TYPE, LINES)], Body::from_stream(lines)).into_response()
}

/// Once `begun`, then `instance` for each instance, at the end `done`. A stream without that was cut off.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "camelCase", rename_all_fields = "camelCase")]
#[schemars(rename = "ReplayProgress")]
pub(in crate::api) enum ReplayProgressBody {
    Begun {
        app: String,
        /// The one that is checked, or moved to.
        version: String,
        instances: u64,
    },
    Instance {
        instance_id: String,
        name: String,
        /// The one that it ran on.
        version: Option<String>,
        /// Events that were replayed.
        events: usize,
        result: ReplayResult,
        /// The position in the history, counted from 0, at which the two differ.
        #[serde(skip_serializing_if = "Option::is_none")]
        position: Option<usize>,
        #[serde(skip_serializing_if = "Option::is_none")]
        recorded: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        attempted: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        why: Option<String>,
    },
    Done {
        passed: u64,
        migrated: u64,
        diverged: u64,
        refused: u64,
        gone: u64,
        /// Events that were replayed.
        events: u64,
        seconds: f64,
    },
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub(in crate::api) enum ReplayResult {
    Passed,
    Migrated,
    Diverged,
    Refused,
    Gone,
}

impl From<ReplayProgress> for ReplayProgressBody {
    fn from(progress: ReplayProgress) -> Self {
        match progress {
            ReplayProgress::Begun { app, version, instances } => {
                ReplayProgressBody::Begun { app, version: version.to_string(), instances }
            }
            ReplayProgress::Instance(checked) => Self::of(*checked),
            ReplayProgress::Done(Totals { passed, migrated, diverged, refused, gone, events, elapsed }) => {
                ReplayProgressBody::Done { passed, migrated, diverged, refused, gone, events, seconds: elapsed.as_secs_f64() }
            }
        }
    }
}

impl ReplayProgressBody {
    fn of(checked: Checked) -> Self {
        let Checked { id, name, version, events, verdict } = checked;
        let (mut at, mut was, mut does, mut reason) = (None, None, None, None);
        let result = match verdict {
            Verdict::Passed => ReplayResult::Passed,
            Verdict::Migrated => ReplayResult::Migrated,
            Verdict::Diverged { position, recorded, attempted } => {
                (at, was, does) = (Some(position), Some(recorded), Some(attempted));
                ReplayResult::Diverged
            }
            Verdict::Refused(why) => {
                reason = Some(why);
                ReplayResult::Refused
            }
            Verdict::Gone => ReplayResult::Gone,
        };
        let version = version.map(|version| version.to_string());
        let instance_id = id.as_str().to_owned();
        ReplayProgressBody::Instance {
            instance_id,
            name,
            version,
            events,
            result,
            position: at,
            recorded: was,
            attempted: does,
            why: reason,
        }
    }
}

impl VersionBody {
    fn new(state: VersionState) -> Self {
        Self {
            version: state.version.to_string(),
            label: state.label,
            deployed_at: micros(state.deployed_at),
            active: state.active,
            weight: state.weight,
            size: state.size,
            instances: state.instances,
            functions: functions(&state.functions),
        }
    }
}

fn functions(functions: &[(FunctionName, FunctionKind)]) -> Vec<FunctionBody> {
    let function = |(name, kind): &(FunctionName, FunctionKind)| FunctionBody {
        name: name.to_string(),
        kind: kind.name(),
        started_by: None,
        disabled: false,
    };
    functions.iter().map(function).collect()
}

fn pruned(audit: &AuditedAction, app: &str, pruned: Pruned) -> Response {
    let body = PrunedBody::from(pruned);
    if !body.removed.is_empty() {
        audit.done(json!({ "app": app, "versions": body.removed }));
    }
    json::json(StatusCode::OK, &body)
}

impl From<Pruned> for PrunedBody {
    fn from(Pruned { removed, unreferenced }: Pruned) -> Self {
        Self { removed: texts(&removed), unreferenced: texts(&unreferenced) }
    }
}

impl From<AppVersion> for NamedVersion {
    fn from(AppVersion { version, label, .. }: AppVersion) -> Self {
        Self { version: version.to_string(), label }
    }
}

fn texts(versions: &[VersionId]) -> Vec<String> {
    versions.iter().map(VersionId::to_string).collect()
}

fn changed_body(hub: &Hub, default_hub: &str, app: DeployedApp) -> AppBody {
    let (changed, active) = (Some(app.changed), Some(app.active));
    AppBody { changed, active, ..shown(hub, default_hub, app) }
}

/// `default_hub`: that of the host, which requests need not name.
fn shown(hub: &Hub, default_hub: &str, app: DeployedApp) -> AppBody {
    let mut functions = functions(&app.functions);
    let is_default = hub.name().eq_ignore_ascii_case(default_hub);
    for (name, started_by) in app.triggers {
        let Some(function) = functions.iter_mut().find(|function| function.name == name.as_str()) else { continue };
        function.started_by = Some(if is_default { started_by } else { started_by.in_hub(hub.name()) });
        function.disabled = hub.is_disabled(&name);
    }
    let (version, label, former_label) = (app.version.to_string(), app.label, app.former_label);
    let label_taken_from = app.label_taken_from.map(|version| version.to_string());
    let new_starts = app.new_starts.into_iter().map(ShareBody::from).collect();
    AppBody {
        app: app.app,
        version,
        label,
        task_hub: hub.name().to_owned(),
        functions,
        changed: None,
        active: None,
        report: None,
        former_label,
        label_taken_from,
        new_starts,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_of_one_name_are_all_seen() {
        let Weights(weights) = serde_json::from_str(r#"{"1.0":1,"2.0":3,"1.0":2}"#).unwrap();
        let names: Vec<&str> = weights.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["1.0", "2.0", "1.0"]);
        assert!(serde_json::from_str::<Weights>("[]").is_err());
    }

    #[test]
    fn instances_to_migrate_are_named_in_json() {
        assert!(matches!(these(r#"{"instances":["a","b"]}"#), Ok(Which::These(ids)) if ids.len() == 2));
        for bad in ["", "[]", "{}", r#"{"instances":"a"}"#, r#"{"instances":["a/b"]}"#, r#"{"instances":[],"all":true}"#] {
            assert!(these(bad).is_err(), "{bad}");
        }
    }
}
