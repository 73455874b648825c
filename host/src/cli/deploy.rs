use std::path::{Path, PathBuf};

use clap::Args;
use dacapo_wasm::{Finding, Manifest};

use super::apps::App;
use super::check::app_of;
use super::client::{Answer, Client, Connection, Target};
use super::error::CliError;
use super::output::{note, print, print_table, shell_word, table};
use super::{gate, versions};

/// Deploy an app: a WebAssembly component, or a core module that follows the contract.
///
/// Each deployment is a version. New orchestrations run on the newest one; running ones stay on theirs.
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
    /// What people call this version [default: the version of its manifest].
    #[arg(long)]
    label: Option<String>,
    /// Its manifest, if the file has none: name, version and the grants asked for, as JSON [default: APP.manifest.json beside
    /// APP.wasm, if there is one].
    #[arg(long, value_name = "FILE")]
    manifest: Option<PathBuf>,
    /// Replay the histories of running instances against it first; deploy nothing if one of them would diverge.
    #[arg(long)]
    check: bool,
    /// Give it so many of 100 new starts, and leave the rest to the active version; 0: none yet.
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u32).range(0..=100))]
    weight: Option<u32>,
    #[command(flatten)]
    connection: Connection,
}

impl Deploy {
    pub fn run(self) -> Result<(), CliError> {
        let bytes = with_manifest(&self.file, self.manifest.as_deref())?;
        let name = self.app.unwrap_or_else(|| name_of(&self.file, &bytes));
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
        let answer = post(&client, &target, &bytes)?;
        if self.connection.json {
            return print(answer.text);
        }
        let app: App = answer.parse()?;
        let news = match (app.changed, app.active) {
            (true, true) => "is the active version now",
            (true, false) => "is deployed; the active version stays that",
            (false, _) => "was the active version already",
        };
        print(format_args!("App '{}': version {} {news}.", app.app, app.short_version()))?;
        let mut functions = table(["FUNCTION", "KIND"]);
        functions.add_rows(app.functions.iter().map(|function| [&function.name, &function.kind]));
        print_table(functions)?;
        if let Some(line) = noted(&app.report, &self.file) {
            note(line);
        }
        Ok(())
    }
}

/// Deploys a file as an app that is named by its manifest, or by the file.
pub(super) fn deploy(client: &Client, file: &Path) -> Result<App, CliError> {
    let bytes = with_manifest(file, None)?;
    let name = name_of(file, &bytes);
    post(client, &Target::host(["admin", "apps", name.as_str()]), &bytes)?.parse()
}

fn post(client: &Client, target: &Target, bytes: &[u8]) -> Result<Answer, CliError> {
    client.post_body(target, "application/wasm", bytes)?.success(|| format!("{} deploys no apps", client.server()))
}

/// What is wrong with a manifest the host says.
fn name_of(file: &Path, bytes: &[u8]) -> String {
    let own = Manifest::read(bytes).ok().flatten().and_then(|manifest| manifest.name);
    own.or_else(|| app_of(file)).unwrap_or_default()
}

/// The file, with the manifest that is given or lies beside it.
fn with_manifest(file: &Path, manifest: Option<&Path>) -> Result<Vec<u8>, CliError> {
    let read = |file: &Path| std::fs::read(file).map_err(|why| CliError::file("reading", file, &why));
    let bytes = read(file)?;
    let beside = || Some(file.with_extension("manifest.json")).filter(|file| file.exists());
    let Some(manifest) = manifest.map(Path::to_owned).or_else(beside) else { return Ok(bytes) };
    Manifest::attach(&read(&manifest)?, &bytes).map_err(|why| CliError::Failed(format!("{}: {why}", manifest.display())))
}

/// The determinism report, in a line: it is worth knowing, and most often as it should be.
fn noted(report: &[Finding], file: &Path) -> Option<String> {
    let mut interfaces: Vec<&str> = report.iter().map(|finding| finding.interface.as_str()).collect();
    interfaces.dedup();
    (!interfaces.is_empty()).then(|| {
        format!(
            "note: it imports what only activities may call; in an orchestrator or entity it traps: {} (`dacapo inspect {}` \
             says which functions, and who calls them)",
            interfaces.join(", "),
            shell_word(&file.display().to_string())
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_report_is_one_line() {
        let finding = |interface: &str, function: &str| Finding {
            interface: interface.into(),
            function: function.into(),
            what: "it traps".into(),
            called_by: Vec::new(),
        };
        let report = [finding("wasi:http/types", "append"), finding("wasi:http/types", "send"), finding("x", "y")];
        let note = noted(&report, Path::new("my app.wasm")).unwrap();
        assert!(note.contains("it traps: wasi:http/types, x (`dacapo inspect 'my app.wasm'` says"), "{note}");
        assert_eq!(noted(&[], Path::new("app.wasm")), None);
    }
}
