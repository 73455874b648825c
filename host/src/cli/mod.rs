//! The command line: one file per command.
//!
//! All commands but `new`, `build`, `inspect`, `serve`, `config`, `delete-task-hub`, `replay`, `new-secrets-key`,
//! `key create --offline`, `completion` and `compile-module` speak HTTP to a running host
//! ([`client`], with [`certificate`]). [`durable`] has the commands of Azure Functions Core Tools, which are there under the name
//! [`func`] too. A command prints through [`output`]; errors go through [`error`], which also gives the
//! exit code. [`line`] reads the command line. What commands share has modules of its own:
//!
//! - selecting: [`instance`], [`entity`], [`filter`] (many instances), [`pages`] (how many of a list);
//! - values: [`input`] (JSON), [`times`];
//! - [`gate`]: the replay gate, for many histories at a time;
//! - interaction: [`waiting`] (for the end), [`event_stream`] and [`following`] (events), [`view`] and [`live`] (drawing),
//!   [`interrupt`] (Ctrl-C), [`confirm`].

mod app_hub;
mod apps;
mod audit;
mod build;
mod certificate;
mod check;
mod client;
mod compile_module;
mod completion;
mod config;
mod confirm;
mod delete_task_hub;
mod deploy;
mod dev;
mod diff;
mod durable;
mod entity;
mod error;
mod event_stream;
mod export;
mod filter;
mod following;
mod func;
mod gate;
mod get_entity;
mod get_history;
mod get_instances;
mod get_receipt;
mod get_runtime_status;
mod hub;
mod import;
mod input;
mod inspect;
mod instance;
mod interrupt;
mod key;
mod line;
mod list_entities;
mod live;
mod migrate;
mod new;
mod new_secrets_key;
mod output;
mod pages;
mod prune;
mod purge_history;
mod queue;
mod raise_event;
mod replay;
mod restart;
mod resume;
mod rewind;
mod rollback;
mod route;
mod schedule;
mod secret;
mod serve;
mod signal_entity;
mod start_new;
mod suspend;
mod terminate;
mod times;
mod undeploy;
mod versions;
mod view;
mod wait;
mod waiting;
mod watch;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use error::CliError;

/// A host for durable orchestrations whose code is WebAssembly.
///
/// Orchestrations started here survive crashes and restarts, wait for days, and run each step once. One command runs the
/// host; the others talk to it.
#[derive(Debug, Parser)]
#[command(name = "dacapo", version, after_help = HELP)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

const HELP: &str = "\
Begin with:
  dacapo new my-app --language typescript                 a new app; also rust, python, go, ...
  dacapo dev                                              build it and run it here, again after each change
or with:
  dacapo serve --dev                                      run a host here, without keys
  dacapo deploy hello_sequence.wasm                       give it an app
  dacapo start-new hello_sequence --input '[\"Tokyo\"]' --wait
  dacapo get-instances                                    see what it does
  dacapo watch                                            see what changes

`dacapo durable` has the commands of `func durable`, as the documents of Durable Functions print them.

JSON is given as it is, as @FILE, or as - for standard input.
Times are such as 2026-01-31, 2026-01-31T12:00 (local time), 2026-01-31T12:00:00Z, or count from
now: 90m, 2h, 7d.

Exit codes:
  0    done
  1    the operation failed
  2    the command line is wrong
  3    there is no such instance, entity or task hub
  4    wrong state: the id or the task hub is in use, the instance has ended, or has not yet
  5    the host cannot be reached
  6    an orchestration that was waited for did not complete: it failed, was terminated, is
       halted, or the wait timed out
  130  ended by Ctrl-C; the orchestrations keep running";

#[derive(Debug, Subcommand)]
enum Command {
    New(new::New),
    Build(build::Build),
    Dev(dev::Dev),
    Serve(Box<serve::Serve>),
    Config(Box<config::Config>),
    Deploy(deploy::Deploy),
    Apps(apps::Apps),
    Versions(versions::Versions),
    Diff(diff::Diff),
    Check(check::Check),
    Migrate(migrate::Migrate),
    Rollback(rollback::Rollback),
    Route(route::Route),
    Prune(prune::Prune),
    Undeploy(undeploy::Undeploy),
    Export(export::Export),
    Import(import::Import),
    Replay(replay::Replay),
    Inspect(inspect::Inspect),
    StartNew(start_new::StartNew),
    GetRuntimeStatus(get_runtime_status::GetRuntimeStatus),
    GetHistory(get_history::GetHistory),
    GetReceipt(get_receipt::GetReceipt),
    GetInstances(get_instances::GetInstances),
    Wait(wait::Wait),
    Watch(watch::Watch),
    RaiseEvent(raise_event::RaiseEvent),
    Suspend(suspend::Suspend),
    Resume(resume::Resume),
    Terminate(terminate::Terminate),
    Rewind(rewind::Rewind),
    Restart(restart::Restart),
    PurgeHistory(purge_history::PurgeHistory),
    SignalEntity(signal_entity::SignalEntity),
    GetEntity(get_entity::GetEntity),
    ListEntities(list_entities::ListEntities),
    #[command(subcommand)]
    Schedule(schedule::Schedule),
    Enqueue(queue::Enqueue),
    #[command(subcommand)]
    Queue(queue::Queue),
    DeleteTaskHub(delete_task_hub::DeleteTaskHub),
    Durable(Box<durable::Durable>),
    #[command(subcommand)]
    Hub(hub::Hub),
    #[command(subcommand)]
    Key(key::Key),
    #[command(subcommand)]
    Secret(secret::Secret),
    Audit(audit::Audit),
    NewSecretsKey(new_secrets_key::NewSecretsKey),
    Completion(completion::Completion),
    #[command(hide = true)]
    CompileModule(compile_module::CompileModule),
}

/// Reads the command line of the process and runs the command.
pub fn main() -> ExitCode {
    let command = match line::read(std::env::args_os()) {
        Ok(command) => command,
        Err(error) => return line::say(&error),
    };
    match command.run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            error.report();
            error.exit_code()
        }
    }
}

impl Command {
    fn run(self) -> Result<(), CliError> {
        match self {
            Command::New(command) => command.run(),
            Command::Build(command) => command.run(),
            Command::Dev(command) => command.run(),
            Command::Serve(command) => command.run(),
            Command::Config(command) => command.run(),
            Command::Deploy(command) => command.run(),
            Command::Apps(command) => command.run(),
            Command::Versions(command) => command.run(),
            Command::Diff(command) => command.run(),
            Command::Check(command) => command.run(),
            Command::Migrate(command) => command.run(),
            Command::Rollback(command) => command.run(),
            Command::Route(command) => command.run(),
            Command::Prune(command) => command.run(),
            Command::Undeploy(command) => command.run(),
            Command::Export(command) => command.run(),
            Command::Import(command) => command.run(),
            Command::Replay(command) => command.run(),
            Command::Inspect(command) => command.run(),
            Command::StartNew(command) => command.run(),
            Command::GetRuntimeStatus(command) => command.run(),
            Command::GetHistory(command) => command.run(),
            Command::GetReceipt(command) => command.run(),
            Command::GetInstances(command) => command.run(),
            Command::Wait(command) => command.run(),
            Command::Watch(command) => command.run(),
            Command::RaiseEvent(command) => command.run(),
            Command::Suspend(command) => command.run(),
            Command::Resume(command) => command.run(),
            Command::Terminate(command) => command.run(),
            Command::Rewind(command) => command.run(),
            Command::Restart(command) => command.run(),
            Command::PurgeHistory(command) => command.run(),
            Command::SignalEntity(command) => command.run(),
            Command::GetEntity(command) => command.run(),
            Command::ListEntities(command) => command.run(),
            Command::Schedule(command) => command.run(),
            Command::Enqueue(command) => command.run(),
            Command::Queue(command) => command.run(),
            Command::DeleteTaskHub(command) => command.run(),
            Command::Durable(command) => command.run(),
            Command::Hub(command) => command.run(),
            Command::Key(command) => command.run(),
            Command::Secret(command) => command.run(),
            Command::Audit(command) => command.run(),
            Command::NewSecretsKey(command) => command.run(),
            Command::Completion(command) => command.run(),
            Command::CompileModule(command) => command.run(),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[track_caller]
    fn accepts(line: &str) {
        if let Err(error) = Arguments::try_parse_from(line.split(' ')) {
            panic!("{line}: {error}");
        }
    }

    #[track_caller]
    fn refuses(line: &str) {
        assert!(Arguments::try_parse_from(line.split(' ')).is_err(), "{line}");
    }

    #[test]
    fn names_and_ids_stand_alone_or_behind_their_option() {
        accepts("dacapo start-new hello_sequence");
        accepts("dacapo start-new --function-name hello_sequence --id 7 --input 5 --wait");
        accepts("dacapo start-new --wait=2.5 hello_sequence");
        accepts("dacapo get-runtime-status 7 --show-input --show-output");
        accepts("dacapo get-history --id 7 --json");
        accepts("dacapo raise-event 7 Approve --event-data true");
        accepts("dacapo raise-event --id 7 --event-name Approve --event-data @file");
        accepts("dacapo terminate 7 --reason enough");
        accepts("dacapo get-instances --runtime-status failed pending --top 5 --task-hub-name Hub");
        refuses("dacapo start-new");
        refuses("dacapo start-new a --function-name a");
        refuses("dacapo terminate");
        refuses("dacapo terminate 7 --id 7");
        refuses("dacapo get-instances --runtime-status asleep");
        accepts("dacapo suspend --function-name order --version 2.0");
        accepts("dacapo terminate --id-prefix test- --yes --recursive");
        accepts("dacapo rewind --runtime-status failed --created-after 2h");
        accepts("dacapo resume --all --yes");
        refuses("dacapo suspend");
        refuses("dacapo suspend 7 --all");
        refuses("dacapo resume 7 --function-name order");
        accepts("dacapo start-new order --id 7 --if-ended refuse");
        refuses("dacapo start-new order --if-ended keep");
    }

    #[test]
    fn versions_are_named_and_weighed() {
        accepts("dacapo deploy app.wasm --app orders --label 2.1 --check --weight 10");
        accepts("dacapo deploy app.wasm --name orders");
        accepts("dacapo route orders 2.0=90 a=b=10");
        accepts("dacapo prune orders --dry-run");
        accepts("dacapo undeploy orders --with-instances --yes");
        refuses("dacapo undeploy");
        accepts("dacapo prune orders --version 1.0 --dry-run");
        accepts("dacapo check app.wasm --sample 5");
        accepts("dacapo check --app orders --version 2.0");
        accepts("dacapo migrate orders --to 2.0 --instances a b");
        refuses("dacapo deploy app.wasm --weight 101");
        refuses("dacapo route orders");
        refuses("dacapo route orders 2.0");
        refuses("dacapo route orders 2.0=-1");
        refuses("dacapo check");
        refuses("dacapo check app.wasm --version 2.0");
        refuses("dacapo check app.wasm --sample 0");
        accepts("dacapo export order-17 -o file --with-modules");
        accepts("dacapo export --hub -o -");
        accepts("dacapo replay file app.wasm --until 5 --id a");
        refuses("dacapo export -o file");
        refuses("dacapo export a --hub -o file");
        refuses("dacapo replay file app.wasm --until 0");
        refuses("dacapo migrate orders --to 2.0");
        refuses("dacapo migrate orders --to 2.0 --all --instances a");
    }

    #[test]
    fn administrators_have_commands() {
        accepts("dacapo hub create acme --limit apps=3");
        accepts("dacapo hub set-limit acme apps 5");
        accepts("dacapo hub usage acme --json");
        accepts("dacapo get-receipt order-17");
        accepts("dacapo hub set-limit acme apps default");
        accepts("dacapo hub grant acme --app orders --outbound example.org --dir /in=/srv/in --writable-dir /out=/srv/out");
        accepts("dacapo hub grant acme --env MODE=test --secret token=example.org --secret-env token=TOKEN");
        accepts("dacapo hub suspend acme --reason unpaid");
        accepts("dacapo key create ci --role deploy --hub acme --key dcp_x");
        accepts("dacapo key create root --role administer --offline --data /srv/data");
        accepts("dacapo secret set token --hub acme --file /dev/null");
        accepts("dacapo audit --hub acme --top 5 --json");
        refuses("dacapo hub set-limit acme apps none");
        refuses("dacapo hub grant acme");
        refuses("dacapo hub suspend acme");
        refuses("dacapo key create ci --hub acme");
        refuses("dacapo key create ci --role owner");
        refuses("dacapo secret set token --hub acme s3cr3t");
    }

    #[test]
    fn schedules_are_made_and_run() {
        accepts("dacapo schedule create report --orchestrator r --cron @daily --time-zone Europe/Berlin --replace");
        accepts("dacapo schedule create poll --function-name p --interval 30s --phase 5s --overlap buffer-one --jitter 1s");
        accepts("dacapo schedule list --all --json");
        accepts("dacapo schedule pause report --note why");
        accepts("dacapo schedule trigger report --overlap allowAll");
        accepts("dacapo schedule backfill report --from 7d --to 1h");
        accepts("dacapo schedule delete report --yes");
        refuses("dacapo schedule create report --cron @daily");
        refuses("dacapo schedule create report --orchestrator r");
        refuses("dacapo schedule create report --orchestrator r --cron @daily --interval 5s");
        refuses("dacapo schedule create report --orchestrator r --cron @daily --overlap queue");
        refuses("dacapo schedule backfill report");
    }

    #[test]
    fn apps_are_made_and_built() {
        accepts("dacapo new my-app --language typescript");
        accepts("dacapo build");
        accepts("dacapo build examples/go -l go --out app.wasm --tools tools --json");
        accepts("dacapo build --language c++");
        accepts("dacapo build app -- --engine starlingmonkey");
        accepts("dacapo dev my-app --server http://127.0.0.1:7200");
        refuses("dacapo new my-app");
        refuses("dacapo new --language rust");
        refuses("dacapo new my-app --language cobol");
        refuses("dacapo build a b");
    }

    #[test]
    fn serve_takes_grants_and_settings() {
        accepts("dacapo serve --address 127.0.0.1:0 --dir /data=/tmp --dir /more=/ --allow-host localhost:8080 --no-heat");
        accepts("dacapo serve --set limits.tasks=5 --ready-file /tmp/ready --json");
        refuses("dacapo serve --dir /data");
        refuses("dacapo serve --set limits.tasks");
        refuses("dacapo serve --no-heat --hot-instances 5");
    }
}
