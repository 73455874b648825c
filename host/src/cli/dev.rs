use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use clap::Args;
use tokio::sync::watch;

use super::app_hub::AppHub;
use super::apps::App;
use super::build::SourceArguments;
use super::client::{Client, Connection, DEFAULT_SERVER, Target};
use super::deploy::Deployable;
use super::error::CliError;
use super::following::{InstanceEvent, follow};
use super::interrupt;
use super::output::{note, shell_word, table_text};
use super::serve::Developing;
use super::versions::{self, Version, VersionList};
use super::view::View;
use crate::access::{FirstKey, KeyPolicy};
use crate::build::{LocalHost, OWN_FOLDER, Options, Source, TypeCheck, Watch, local_settings, task_hub};
use crate::secrets::SecretsKeySource;
use crate::serve::{Announce, Start, run};

// ```text
//   files ─▶ build ─▶ deploy ─▶ a host ─▶ changes of instances, shown
//   (a thread)                  (one that is there, or our own, on a thread)
// ```

/// How often files are looked at.
const LOOK: Duration = Duration::from_millis(300);
/// So long a host of our own may take to serve.
const START_MAX: Duration = Duration::from_secs(30);
/// Versions that nothing needs, and that stay when room is made for new ones: somebody may want to go back.
const VERSIONS_KEPT: usize = 5;

/// Build an app, deploy it, show what its instances do, and again with each change of a file.
///
/// Uses the host at --server. If none runs there, and the address is of this machine, one is run until this command ends, with
/// its data in .dacapo/data in the folder: what was started before goes on with the next `dacapo dev`.
///
/// Its task hub is the one of --task-hub-name, or else of the configuration, or else of host.json. That host has the values of
/// local.settings.json as the environment of the app, also when they change, and takes its port and CORS from there.
///
/// A change is a new version: instances that have begun stay on the one before. Where the host keeps no more versions, the oldest
/// that no instance needs are removed. Files that the build does not read are not looked at.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  dacapo dev
  dacapo dev my-app --server http://127.0.0.1:7200")]
pub(super) struct Dev {
    #[command(flatten)]
    source: SourceArguments,
    #[command(flatten)]
    connection: Connection,
}

impl Dev {
    pub fn run(self) -> Result<(), CliError> {
        let (source, options) = self.source.find()?;
        let Self { mut connection, .. } = self;
        let local = LocalHost::read(&source.folder)?;
        if let Some(port) = local.port {
            connection.use_port(port);
        }
        let option = connection.task_hub_name.clone().filter(|hub| !hub.is_empty());
        let hub = AppHub::decide(&mut connection, || task_hub(&source.folder, |variable| std::env::var(variable).ok()))?;
        let client = connection.client();
        let json = connection.json;
        let developing = |address| Developing {
            data: source.folder.join(OWN_FOLDER).join("data"),
            address,
            hub: option,
            hub_of_app: hub.name().map(str::to_owned),
            cors_origins: local.cors_origins,
        };
        let own_host = OwnHost::start_if_needed(&client, &source.folder, developing, json)?;
        let hub = match &own_host {
            // Its configuration may name another task hub than the app.
            Some(host) => {
                connection.task_hub_name = Some(host.task_hub.clone());
                hub
            }
            None => hub.or_default(&mut connection)?,
        };
        let client = connection.client();
        if own_host.is_none() {
            interrupt::says("No longer watching the files; the host goes on.".into());
        }
        let events = follow(client.clone(), Target::management(["events"]), None)?;
        let settings = own_host.as_ref().map(|host| host.settings.clone());
        let round = Round { source, options, client, hub, settings, deployed: None };
        thread::Builder::new().name("builds".into()).spawn(move || round.repeat()).map_err(no_thread)?;
        show(&events, View::lines(json), own_host)
    }
}

/// Shows what changes, until our own host has ended; another one's end is for Ctrl-C to say.
fn show(events: &Receiver<InstanceEvent>, mut view: View, own_host: Option<OwnHost>) -> Result<(), CliError> {
    loop {
        match events.recv_timeout(LOOK) {
            // The host's own: messages of queues, and schedules.
            Ok(InstanceEvent::Status(status)) if status.instance.is_built_in() => {}
            Ok(InstanceEvent::Status(status)) => view.show(*status)?,
            Ok(InstanceEvent::Missed(count)) => view.say(format!("{count} changes came too fast and are not shown")),
            Ok(InstanceEvent::Refused(error)) => return Err(error),
            // Our own host's end is told below.
            Ok(InstanceEvent::Lost(why)) if own_host.is_none() => {
                view.say(format!("the connection is lost ({why}); trying again"))
            }
            Ok(InstanceEvent::Connected | InstanceEvent::Purged(_) | InstanceEvent::Lost(_)) | Err(RecvTimeoutError::Timeout) => {
            }
            Err(RecvTimeoutError::Disconnected) => thread::sleep(LOOK),
        }
        if let Some(ended) = own_host.as_ref().and_then(OwnHost::ended) {
            return ended;
        }
    }
}

/// Builds and deploys.
struct Round {
    source: Source,
    options: Options,
    client: Client,
    hub: AppHub,
    /// Those of our own host.
    settings: Option<LocalSettings>,
    deployed: Option<Deployed>,
}

/// What was deployed last.
struct Deployed {
    version: String,
    /// Of the files that it was built from. Not every tool makes the same file of the same sources.
    contents: [u8; 32],
}

impl Round {
    fn repeat(mut self) {
        let mut watch = Watch::new(&self.source.folder, self.source.language);
        note(format_args!("dacapo: building {}", self.source.folder.display()));
        loop {
            if let Err(error) = self.build_and_deploy(watch.contents()) {
                error.report();
            }
            note("dacapo: waiting for changes of files; Ctrl-C ends");
            watch.wait_for_change(LOOK);
            note("dacapo: changed, building");
            if let Some(settings) = &self.settings
                && let Err(error) = settings.read_again()
            {
                error.report();
            }
        }
    }

    fn build_and_deploy(&mut self, contents: [u8; 32]) -> Result<(), CliError> {
        let began = Instant::now();
        if self.deployed.as_ref().is_some_and(|deployed| deployed.contents == contents) {
            note("dacapo: nothing changed: the files hold what is deployed");
            return Ok(());
        }
        match self.source.check_types() {
            TypeCheck::Done(checked) => checked?,
            TypeCheck::NoCompiler => note("dacapo: types are not checked: `npm install` in the folder brings their compiler"),
            TypeCheck::NoTypes => {}
        }
        let out = self.source.folder.join(OWN_FOLDER).join(format!("{}.wasm", self.source.name()));
        self.source.build(&out, &self.options)?;
        let built = began.elapsed();
        let file = Deployable::read(&out)?;
        if let Some(deployed) = self.deployed.as_mut().filter(|deployed| deployed.version == file.version()) {
            deployed.contents = contents;
            note(format_args!("dacapo: nothing changed: what was built in {built:.1?} is what is deployed"));
            return Ok(());
        }
        let app = self.deploy(&file).map_err(|error| self.hub.explain(error))?;
        self.deployed = Some(Deployed { version: app.version.clone(), contents });
        note(format_args!(
            "dacapo: app '{}', version {}, in the task hub '{}': built in {built:.1?}, deployed after {:.1?}",
            app.app,
            app.short_version(),
            app.task_hub,
            began.elapsed(),
        ));
        note(table_text(app.functions_table(self.client.server())));
        note(format_args!("dacapo: {}", self.next(&app)));
        Ok(())
    }

    /// Makes room for the version where the host keeps no more.
    fn deploy(&self, file: &Deployable) -> Result<App, CliError> {
        let refusal = match file.deploy(&self.client) {
            Err(CliError::Failed(why)) if why.contains(TOO_MANY_VERSIONS) => CliError::Failed(why),
            deployed => return deployed,
        };
        let list: VersionList =
            self.client.get(&versions::target(&file.app))?.success(|| versions::no_app(&file.app))?.parse()?;
        let mut removed = Vec::new();
        for version in in_the_way(&list.versions) {
            let target = Target::host(["admin", "apps", file.app.as_str(), "versions", version.version.as_str()]);
            // One that an instance has come to need meanwhile stays.
            if self.client.delete(&target)?.success(|| versions::no_app(&file.app)).is_ok() {
                removed.push(version.short());
            }
        }
        if removed.is_empty() {
            return Err(refusal);
        }
        note(format_args!(
            "dacapo: the host keeps no more versions of an app; removed the oldest that no instance needs: {}",
            removed.join(", ")
        ));
        file.deploy(&self.client)
    }

    /// Where the app runs, and what to do with it.
    fn next(&self, app: &App) -> String {
        let server = self.client.server();
        let orchestrator = app.functions.iter().find(|function| function.kind == "orchestrator");
        let Some(orchestrator) = orchestrator else { return format!("it runs at {server}") };
        let name = shell_word(&orchestrator.name);
        let elsewhere = if server == DEFAULT_SERVER { String::new() } else { format!(" --server {server}") };
        // It is the default one of our own host.
        let hub = self.hub.name().filter(|_| self.settings.is_none());
        let hub = hub.map_or_else(String::new, |hub| format!(" --task-hub-name {}", shell_word(hub)));
        format!("it runs at {server}; in another terminal: dacapo start-new {name} --input JSON{elsewhere}{hub}")
    }
}

/// How a host refuses a version for which there is no room.
const TOO_MANY_VERSIONS: &str = "the limit versions of the task hub";

/// The versions that are removed where there is no room for one more: the oldest of those that nothing needs, and one at least.
/// They come oldest first.
fn in_the_way(versions: &[Version]) -> Vec<&Version> {
    let is_idle = |version: &&Version| !version.active && version.weight == 0 && version.instances == 0;
    let idle: Vec<&Version> = versions.iter().filter(is_idle).collect();
    let count = idle.len().saturating_sub(VERSIONS_KEPT).max(1);
    idle.into_iter().take(count).collect()
}

/// A host that runs in this process, on a thread. Ctrl-C stops it in good order, as it stops `dacapo serve`.
struct OwnHost {
    end: Receiver<Result<(), CliError>>,
    /// The hub of requests that name none.
    task_hub: String,
    settings: LocalSettings,
}

/// The settings of an app that our own host runs: those of its configuration, and those in `local.settings.json`.
#[derive(Clone)]
struct LocalSettings {
    app: PathBuf,
    of_host: BTreeMap<String, String>,
    current: watch::Sender<BTreeMap<String, String>>,
}

impl LocalSettings {
    fn read(app: &Path, of_host: BTreeMap<String, String>) -> Result<Self, CliError> {
        let settings = Self { app: app.to_owned(), of_host, current: watch::Sender::default() };
        settings.current.send_replace(settings.whole()?);
        Ok(settings)
    }

    /// Hands changed ones to the host. Functions that begin from now on see them.
    fn read_again(&self) -> Result<(), CliError> {
        let now = self.whole()?;
        let put = |current: &mut BTreeMap<String, String>| {
            let is_changed = *current != now;
            *current = now;
            is_changed
        };
        if self.current.send_if_modified(put) {
            note("dacapo: functions that begin from now on see the changed settings of local.settings.json");
        }
        Ok(())
    }

    fn whole(&self) -> Result<BTreeMap<String, String>, CliError> {
        let local = local_settings(&self.app)?;
        Ok(self.of_host.clone().into_iter().chain(local).collect())
    }
}

impl OwnHost {
    /// None where a host answers already.
    fn start_if_needed(
        client: &Client,
        app: &Path,
        developing: impl FnOnce(String) -> Developing,
        json: bool,
    ) -> Result<Option<Self>, CliError> {
        let unreachable = match answers(client) {
            Ok(()) => return Ok(None),
            Err(error) => error,
        };
        let Some(address) = client.loopback_address() else { return Err(unreachable) };
        let settings = developing(address).load()?;
        let task_hub = settings.task_hub.clone();
        let local = LocalSettings::read(app, settings.environment.clone())?;
        let environment = Some(local.current.subscribe());
        let (sender, end) = channel();
        let serve = move || {
            let start = Start {
                key_policy: KeyPolicy::NotRequired,
                secrets_key: SecretsKeySource::default(),
                first_key: FirstKey::default(),
                announce: Announce { json, ready_file: None },
                recover: Vec::new(),
                environment,
            };
            // Nobody listens any more when this command has ended already.
            let _ = sender.send(run(settings, &start).map_err(CliError::from));
        };
        thread::Builder::new().name("host".into()).spawn(serve).map_err(no_thread)?;
        let host = Self { end, task_hub, settings: local };
        let began = Instant::now();
        while answers(client).is_err() {
            if let Some(ended) = host.ended() {
                return Err(ended.err().unwrap_or(unreachable));
            }
            if began.elapsed() > START_MAX {
                return Err(unreachable);
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(Some(host))
    }

    /// How it has ended, if it has.
    fn ended(&self) -> Option<Result<(), CliError>> {
        self.end.try_recv().ok()
    }
}

/// Whether there is a host. One that refuses something is one.
fn answers(client: &Client) -> Result<(), CliError> {
    client.get(&Target::host(["healthz"])).map(drop)
}

fn no_thread(why: std::io::Error) -> CliError {
    CliError::Failed(format!("starting a thread failed: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// After as many versions as a hub keeps, no change was deployed until somebody pruned.
    #[test]
    fn room_is_made_of_the_oldest_versions_that_nothing_needs() {
        let version = |number: usize, active, weight, instances| Version {
            version: number.to_string(),
            label: String::new(),
            deployed_at: String::new(),
            active,
            weight,
            instances,
        };
        let removed = |versions: &[Version]| in_the_way(versions).iter().map(|known| known.version.clone()).collect::<Vec<_>>();
        let mut versions: Vec<Version> = (0..10).map(|number| version(number, number == 9, 0, 0)).collect();
        assert_eq!(removed(&versions), ["0", "1", "2", "3"], "the newest stay");
        versions[0].instances = 1;
        versions[2].weight = 10;
        assert_eq!(removed(&versions), ["1", "3"]);
        let few = [version(0, false, 0, 0), version(1, false, 0, 0), version(2, true, 0, 0)];
        assert_eq!(removed(&few), ["0"], "one at least, or nothing more is deployed");
        assert_eq!(removed(&few[2..]), [""; 0]);
    }

    #[test]
    fn the_refusal_is_the_one_that_hosts_send() {
        let refusal = crate::hub::HubError::Limit { limit: "versions", value: 50, what: "the app 'a' has 50 versions".into() };
        assert!(refusal.to_string().contains(TOO_MANY_VERSIONS), "{refusal}");
    }
}
