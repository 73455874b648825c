use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use clap::Args;

use super::build::SourceArguments;
use super::client::{Client, Connection, Target};
use super::deploy::deploy;
use super::error::CliError;
use super::following::{News, follow};
use super::interrupt;
use super::output::note;
use super::serve::settings_for_developing;
use super::view::View;
use crate::access::Door;
use crate::build::{OWN_FOLDER, Options, Source, Watch};
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

/// Build an app, deploy it, show what its instances do, and again with each change of a file.
///
/// Uses the host at --server. If none runs there, and the address is of this machine, one is run until this command ends, with
/// its data in .dacapo/data in the folder: what was started before goes on with the next `dacapo dev`.
///
/// A change is a new version: instances that have begun stay on the one before.
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
        let client = self.connection.client();
        let json = self.connection.json;
        let own_host = OwnHost::start_if_needed(&client, &source.folder, json)?;
        if own_host.is_none() {
            interrupt::says("No longer watching the files; the host goes on.".into());
        }
        let news = follow(client.clone(), Target::management(["events"]), None)?;
        let round = Round { source, options, client };
        thread::Builder::new().name("builds".into()).spawn(move || round.repeat()).map_err(no_thread)?;
        show(&news, View::lines(json), own_host)
    }
}

/// Shows what changes, until our own host has ended; another one's end is for Ctrl-C to say.
fn show(news: &Receiver<News>, mut view: View, own_host: Option<OwnHost>) -> Result<(), CliError> {
    loop {
        match news.recv_timeout(LOOK) {
            Ok(News::Status(status)) => view.show(*status)?,
            Ok(News::Missed(count)) => view.say(format!("{count} changes came too fast and are not shown")),
            Ok(News::Refused(error)) => return Err(error),
            // Our own host's end is told below.
            Ok(News::Lost(why)) if own_host.is_none() => view.say(format!("the connection is lost ({why}); trying again")),
            Ok(News::Connected | News::Purged(_) | News::Lost(_)) | Err(RecvTimeoutError::Timeout) => {}
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
}

impl Round {
    fn repeat(self) {
        let mut watch = Watch::new(&self.source.folder);
        loop {
            if let Err(error) = self.build_and_deploy() {
                error.report();
            }
            note("dacapo: waiting for changes of files; Ctrl-C ends");
            watch.wait_for_change(LOOK);
        }
    }

    fn build_and_deploy(&self) -> Result<(), CliError> {
        let began = Instant::now();
        let out = self.source.folder.join(OWN_FOLDER).join(format!("{}.wasm", self.source.name()));
        self.source.build(&out, &self.options)?;
        let built = began.elapsed();
        let app = deploy(&self.client, &out)?;
        let functions: Vec<&str> = app.functions.iter().map(|function| function.name.as_str()).collect();
        note(format_args!(
            "dacapo: app '{}', version {} with {}: built in {built:.1?}, deployed after {:.1?}",
            app.app,
            app.short_version(),
            functions.join(", "),
            began.elapsed(),
        ));
        Ok(())
    }
}

/// A host that runs in this process, on a thread. Ctrl-C stops it in good order, as it stops `dacapo serve`.
struct OwnHost {
    end: Receiver<Result<(), CliError>>,
}

impl OwnHost {
    /// None where a host answers already.
    fn start_if_needed(client: &Client, app: &Path, json: bool) -> Result<Option<Self>, CliError> {
        let unreachable = match answers(client) {
            Ok(()) => return Ok(None),
            Err(error) => error,
        };
        let Some(address) = client.loopback_address() else { return Err(unreachable) };
        let settings = settings_for_developing(&app.join(OWN_FOLDER).join("data"), &address)?;
        let (sender, end) = channel();
        let serve = move || {
            let start = Start {
                door: Door::Open,
                secrets_key: SecretsKeySource::default(),
                announce: Announce { json, ready_file: None },
            };
            // Nobody listens any more when this command has ended already.
            let _ = sender.send(run(settings, &start).map_err(CliError::from));
        };
        thread::Builder::new().name("host".into()).spawn(serve).map_err(no_thread)?;
        let host = Self { end };
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
