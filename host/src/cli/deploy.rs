use std::io::{BufRead as _, Stderr};
use std::path::{Path, PathBuf};

use clap::Args;
use dacapo_wasm::Manifest;
use serde::Deserialize;
use serde_json::Value;

use super::app_hub::AppHub;
use super::apps::{App, shared_out};
use super::check::app_of;
use super::client::{Answer, Client, Connection, Target};
use super::error::CliError;
use super::live::Live;
use super::output::{note, print, print_table, short};
use super::rollback::named;
use super::{gate, versions};
use crate::build::{self, BuildError};

/// Deploy an app: a WebAssembly component, or a core module that follows the contract.
///
/// Each deployment is a version. New orchestrations run on the newest one; running ones stay on theirs.
///
/// The task hub is the one of --task-hub-name, or else of the app's host.json if the host has it, or else that of the key or the
/// host's default one.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  dacapo deploy target/wasm32-unknown-unknown/guest/hello_sequence.wasm
  dacapo deploy app.wasm --app orders --label 2.1
  dacapo deploy app.wasm --app orders --label 2.1 --check --weight 10
  dacapo deploy app.wasm --manifest dacapo.json")]
pub(super) struct Deploy {
    /// The file to deploy.
    #[arg(value_name = "APP.wasm")]
    file: PathBuf,
    /// The name of the app [default: that of its manifest, or the name of the file without its extension].
    #[arg(long, alias = "name", value_name = "NAME")]
    app: Option<String>,
    /// The label of this version [default: the version of its manifest]. A label names one version: that of the last file
    /// that was deployed under it.
    #[arg(long)]
    label: Option<String>,
    /// Its manifest, if the file has none: name, version and the grants asked for, as JSON [default: APP.manifest.json beside
    /// APP.wasm, if there is one].
    #[arg(long, value_name = "FILE")]
    manifest: Option<PathBuf>,
    /// Replay the histories of running instances against it first; deploy nothing if one of them would diverge.
    #[arg(long)]
    check: bool,
    /// The percentage of new starts that it gets; 0: none yet. The versions that got them so far share the rest as before, and
    /// the active version stays active.
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u32).range(0..=100))]
    weight: Option<u32>,
    #[command(flatten)]
    connection: Connection,
}

impl Deploy {
    pub fn run(mut self) -> Result<(), CliError> {
        let bytes = with_manifest(&self.file, self.manifest.as_deref())?;
        let name = self.app.unwrap_or_else(|| name_of(&self.file, &bytes));
        let hub = AppHub::decide(&mut self.connection, || hub_of(&self.file, &bytes))?.or_default(&mut self.connection)?;
        let client = self.connection.client();
        // The first version of an app has no histories to go on with.
        if self.check && client.get(&versions::target(&name))?.status != 404 {
            let target = Target::host(["admin", "apps", name.as_str(), "check"]);
            let totals = gate::follow(&client, &target, &bytes, false)?;
            if totals.failed() > 0 {
                let (failed, of) = (totals.failed(), totals.instances());
                return Err(CliError::Failed(format!(
                    "{failed} of {of} instances would not go on with this code: nothing was deployed"
                )));
            }
            note(format_args!("All {} instances would go on with this code ({}).", totals.instances(), totals.speed()));
        }
        let target =
            Target::host(["admin", "apps", name.as_str()]).with_some("label", self.label).with_some("weight", self.weight);
        let weight = self.weight;
        let answer = post(&client, target, &bytes).map_err(|error| hub.explain(error))?;
        if self.connection.json {
            return print(answer);
        }
        let app = parsed(answer)?;
        let change = match (app.changed, app.active) {
            (true, true) => "is the active version now",
            (true, false) => "is deployed; another version stays the active one",
            (false, _) => "was the active version already",
        };
        print(format_args!(
            "App '{}': version {} {change}, in the task hub '{}'.",
            app.app,
            named(app.short_version(), &app.label),
            app.task_hub
        ))?;
        if let Some(weight) = weight.filter(|_| app.active) {
            note(format_args!(
                "--weight {weight} has changed nothing: it is the active version. To share out the new starts: dacapo route {} {}={weight} \
                 OTHER={}",
                app.app,
                if app.label.is_empty() { app.short_version() } else { &app.label },
                100_u32.saturating_sub(weight),
            ));
        }
        if !app.new_starts.is_empty() && (!app.active || app.new_starts.len() > 1) {
            print(shared_out(&app.new_starts))?;
        }
        print_table(app.functions_table(client.server()))?;
        renamed(&app).iter().for_each(note);
        Ok(())
    }
}

/// Notes on versions whose labels a deployment has changed.
fn renamed(app: &App) -> Vec<String> {
    let label = &app.label;
    let was = app.former_label.iter().map(|former| {
        format!(
            "note: this file was deployed before, as '{former}': it is the same version, which is called '{label}' from now on"
        )
    });
    let taken = app.label_taken_from.iter().map(|version| {
        let digits = version.get(..12).unwrap_or(version);
        format!("note: '{label}' was the label of version {digits}, which has none now and is called by its digits")
    });
    was.chain(taken).collect()
}

/// A file and its app: the one that its manifest names, or else its file name.
pub(super) struct Deployable {
    pub app: String,
    bytes: Vec<u8>,
}

impl Deployable {
    pub fn read(file: &Path) -> Result<Self, CliError> {
        let bytes = with_manifest(file, None)?;
        Ok(Self { app: name_of(file, &bytes), bytes })
    }

    /// The version, as the host names it.
    pub fn version(&self) -> String {
        dacapo_wasm::version_of(&self.bytes).to_string()
    }

    pub fn deploy(&self, client: &Client) -> Result<App, CliError> {
        parsed(post(client, Target::host(["admin", "apps", self.app.as_str()]), &self.bytes)?)
    }
}

/// A line of the host's report on a deployment.
#[derive(Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase")]
enum DeployProgress {
    Waiting { seconds: u64 },
    Compiling { seconds: u64 },
    Deployed { app: Value },
    Refused { status: u16, message: String },
}

/// Sends the file, and shows the progress of the deployment.
fn post(client: &Client, target: Target, bytes: &[u8]) -> Result<Value, CliError> {
    let no_apps = || format!("{} deploys no apps", client.server());
    let lines = match client.post_lines(&target.with("progress", true), "application/wasm", bytes)? {
        Ok(lines) => lines,
        // A refusal, or the response of a host of an earlier release.
        Err(answer) => return answer.success(no_apps)?.parse(),
    };
    let mut progress = Progress { live: Live::progress(), said: "" };
    for line in lines.lines() {
        let line = line.map_err(|why| CliError::Failed(format!("the host broke off its response: {why}")))?;
        let report: DeployProgress =
            serde_json::from_str(&line).map_err(|why| CliError::Failed(format!("the host said '{}': {why}", short(&line))))?;
        match report {
            DeployProgress::Waiting { seconds } => progress.show("waiting: the host compiles other files", seconds),
            DeployProgress::Compiling { seconds } => progress.show("compiling", seconds),
            DeployProgress::Deployed { app } => {
                progress.end();
                return Ok(app);
            }
            DeployProgress::Refused { status, message } => {
                progress.end();
                return Err(Answer::refusal(status, &message).success(no_apps).err().unwrap_or(CliError::Failed(message)));
            }
        }
    }
    progress.end();
    Err(CliError::Failed("the host broke off its response: is it stopping?".into()))
}

fn parsed(app: Value) -> Result<App, CliError> {
    serde_json::from_value(app).map_err(|why| CliError::Failed(format!("this is not the answer of a Dacapo host ({why})")))
}

/// Says how far a deployment is: in one line of a terminal, elsewhere whenever it comes further.
struct Progress {
    live: Option<Live<Stderr>>,
    said: &'static str,
}

/// No progress is shown for deployments that take less.
const QUICK_SECONDS: u64 = 2;

impl Progress {
    fn show(&mut self, what: &'static str, seconds: u64) {
        if seconds < QUICK_SECONDS {
            return;
        }
        match &mut self.live {
            // Where standard error is closed, nobody wants to know.
            Some(live) => drop(live.draw(&format!("{what}, {seconds} s"))),
            None if self.said != what => note(format_args!("{what} ...")),
            None => {}
        }
        self.said = what;
    }

    fn end(&mut self) {
        if let Some(live) = &mut self.live {
            let _ = live.clear();
        }
    }
}

/// The task hub that an app names in its manifest. Errors in a manifest are ignored here: the host reports them.
fn hub_of(file: &Path, bytes: &[u8]) -> Result<Option<String>, BuildError> {
    let settings = Manifest::read(bytes).ok().flatten().and_then(|manifest| manifest.durable_task);
    let Some(text) = settings.and_then(|settings| settings.hub_name) else { return Ok(None) };
    let place = format!("{}: `hubName` of its host.json", file.display());
    let folder = file.parent().unwrap_or(Path::new(""));
    build::named_hub(&text, &place, folder, |variable| std::env::var(variable).ok()).map(Some)
}

/// The name of the app. Errors in a manifest are ignored here: the host reports them.
fn name_of(file: &Path, bytes: &[u8]) -> String {
    let own = Manifest::read(bytes).ok().flatten().and_then(|manifest| manifest.name);
    own.or_else(|| app_of(file)).unwrap_or_default()
}

/// Reads the file, and attaches the manifest that is given or lies beside it.
fn with_manifest(file: &Path, manifest: Option<&Path>) -> Result<Vec<u8>, CliError> {
    let read = |file: &Path| std::fs::read(file).map_err(|why| CliError::file("reading", file, &why));
    let bytes = read(file)?;
    let beside = || Some(file.with_extension("manifest.json")).filter(|file| file.exists());
    let Some(manifest) = manifest.map(Path::to_owned).or_else(beside) else { return Ok(bytes) };
    Manifest::attach(&read(&manifest)?, &bytes).map_err(|why| CliError::Failed(format!("{}: {why}", manifest.display())))
}
