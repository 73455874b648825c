//! Deploying a version: check and compile it, then record it.

use std::sync::Arc;

use dacapo_core::VersionId;
use dacapo_wasm::{App, DeployError, Preparation, Stage, version_of};
use tokio::sync::watch;

use super::catalog::{DeployedApp, Deployment, Traffic};
use crate::engine::modules::Held;
use crate::hub::error::{HubError, join_result};
use crate::hub::hub_core::{Hub, HubCore, now};

/// A file that was checked and compiled, and is kept until it is deployed or this is dropped.
pub struct PreparedFile {
    pub(in crate::hub) app: App,
    /// Bytes.
    pub(in crate::hub) size: u64,
    _held: Held,
}

impl Hub {
    /// Deploys a version of an app. Deploying the active one again changes nothing but its label.
    ///
    /// `Deploy`, `FunctionTaken`, `Limit`.
    pub async fn deploy(&self, app: &str, label: &str, bytes: Vec<u8>, traffic: Traffic) -> Result<DeployedApp, HubError> {
        let prepared = self.prepare(bytes, watch::Sender::default()).await?;
        let (hub, app, label) = (self.clone(), app.to_owned(), label.to_owned());
        let task = self.0.tokio.spawn_blocking(move || hub.record(&app, &label, prepared, traffic));
        join_result(task.await)?
    }

    /// The first half of a deployment: checks and compiles, which takes long, and reports its stage. Cancelled on drop. `Deploy`
    pub async fn prepare(&self, bytes: Vec<u8>, stage: watch::Sender<Stage>) -> Result<PreparedFile, HubError> {
        let size = bytes.len() as u64;
        let preparation = self.0.preparation(bytes, stage).await?;
        let (app, held) = self.0.prepared(self.0.executor.prepare_async(preparation)).await?;
        Ok(PreparedFile { app, size, _held: held })
    }

    /// The second half: records the version. Blocks on the disk. `FunctionTaken`, `Limit`
    pub fn record(&self, app: &str, label: &str, file: PreparedFile, traffic: Traffic) -> Result<DeployedApp, HubError> {
        let PreparedFile { app: mut prepared, size, _held } = file;
        let own_label = prepared.manifest.as_ref().and_then(|manifest| manifest.version.clone());
        let label = if label.is_empty() { own_label.unwrap_or_default() } else { label.to_owned() };
        let (version, report) = (prepared.version, std::mem::take(&mut prepared.report));
        self.0.tokio.block_on(self.0.check_schedules(app, &prepared))?;
        // Before any guest of it can run.
        self.0.apply_policies(&[(app, version)]);
        let deployment = Deployment { app: app.to_owned(), label, prepared, size, at: now(), traffic };
        let record = || self.0.catalog.deploy(self.0.store.as_ref(), &self.0.rules().limits, deployment);
        let deployed = self.0.record(&[version], record)?;
        if deployed.active {
            self.0.schedules_follow(deployed.changed.then_some(version));
            self.0.wake_messages(self.0.catalog.queues_of(version));
        }
        Ok(DeployedApp { report, ..deployed })
    }
}

impl HubCore {
    /// Returns the preparation of a file that is about to be compiled, and is held from now on.
    pub(in crate::hub) async fn preparation(
        &self,
        module: Vec<u8>,
        stage: watch::Sender<Stage>,
    ) -> Result<Preparation<Held>, HubError> {
        let module = Arc::new(module);
        let (modules, bytes) = (self.engine.modules().clone(), module.clone());
        let held = self.tokio.spawn_blocking(move || modules.hold(version_of(&bytes)));
        Ok(Preparation { module, stage, held: join_result(held.await)? })
    }

    /// Awaits a preparation, which is cancelled when the hub closes.
    pub(in crate::hub) async fn prepared<T>(
        &self,
        preparing: impl Future<Output = Result<T, DeployError>>,
    ) -> Result<T, HubError> {
        tokio::select! {
            prepared = preparing => prepared.map_err(|error| HubError::Deploy(Arc::new(error))),
            () = self.closed() => Err(HubError::ShuttingDown),
        }
    }

    /// Applies the policies: that of the app to its versions, where it has one, else the hub's. `added` are about to be recorded.
    pub(in crate::hub) fn apply_policies(&self, added: &[(&str, VersionId)]) {
        let (rules, apps) = (self.rules(), self.catalog.all());
        let recorded = apps.iter().flat_map(|(app, versions)| versions.all.iter().map(|known| (app.as_str(), known.version)));
        let of_versions =
            recorded.chain(added.iter().copied()).filter_map(|(app, version)| Some((version, rules.of_apps.get(app)?.clone())));
        self.executor.set_policy(rules.policy.clone(), of_versions.collect());
    }
}
