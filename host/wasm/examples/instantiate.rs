//! Measures what a suspended orchestrator costs: `cargo run --release -p dacapo-wasm --example instantiate [APP.wasm NAME [ACTIVITY INPUT]]`.
//!
//! Without an app it runs a guest of a few instructions; with one, its orchestrator NAME with the input `null`, and one of
//! its activities.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use dacapo_core::execution::{Context, Execution, Limits};
use dacapo_core::guest::SharedExecution;
use dacapo_core::scripted::NoHub;
use dacapo_core::{
    ActivityCall, Event, EventDelivery, ExecutionId, Executor, FunctionName, Guest, InstanceId, Seq, Step, Timestamp, VersionId,
};
use dacapo_wasm::{Account, Config, Policy, Runtime, Tenant};

#[path = "../tests/runtime/guest.rs"]
#[allow(dead_code, reason = "the tests use more of it")]
mod guest;

const GUESTS: usize = 5_000;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (bytes, name) = match arguments.as_slice() {
        [path, name, ..] => (std::fs::read(path).expect("the app can be read"), name.clone()),
        _ => (guest::Guest::orchestrator("(call $wait_for (call $call_work)) (call $done)").module(), "main".to_owned()),
    };
    let directory = tempfile::tempdir().expect("a temporary directory");
    let config = Config::new(directory.path().join("modules"), directory.path().join("cache"));
    println!("pool                      {:>9} guests", config.pool.orchestrators);
    let setup = Instant::now();
    let runtime = Runtime::new(config).expect("the runtime can be set up");
    let tenant = runtime.tenant(Account::default(), Policy::default());
    println!("runtime set up            {:>9.1?}   ({} memory mappings)", setup.elapsed(), mappings());
    let prepare = Instant::now();
    let version = runtime.prepare(&bytes).expect("the app can be deployed").version;
    println!("deployed                  {:>9.1?}   ({} bytes)", prepare.elapsed(), bytes.len());

    // Warm: what the host does when an instance begins and ends in memory.
    let mut begun = Vec::new();
    let mut finished = Vec::new();
    for round in 0..GUESTS {
        let (mut guest, execution, time) = begin(&tenant, version, &name, round);
        begun.push(time);
        finished.push(finish(guest.as_mut(), &execution));
    }
    println!("instantiate + first wait  {:>9.1?}   (median of {GUESTS}, one after the other)", median(&mut begun));
    println!("resume + next rest        {:>9.1?}", median(&mut finished));

    if let [_, _, activity, input] = &std::env::args().collect::<Vec<_>>()[1..] {
        println!("activity                  {:>9.1?}", median(&mut activities(&tenant, version, activity, input)));
    } else if name == "main" {
        println!("activity                  {:>9.1?}", median(&mut activities(&tenant, version, "work", "null")));
    }

    // Many at once: memory.
    let (rss, maps) = (resident_kib(), mappings());
    let mut begun = Vec::new();
    let mut suspended = Vec::new();
    for round in 0..GUESTS {
        let (guest, execution, time) = begin(&tenant, version, &name, round);
        begun.push(time);
        suspended.push((guest, execution));
    }
    let per_guest = (resident_kib() as f64 - rss as f64) / GUESTS as f64;
    println!("instantiate + first wait  {:>9.1?}   (median of {GUESTS}, all kept: cold slots)", median(&mut begun));
    println!(
        "resident per guest        {per_guest:>7.1} KiB   ({:.1} memory mappings)",
        (mappings() - maps) as f64 / GUESTS as f64
    );
    let mut finished: Vec<_> = suspended.iter_mut().map(|(guest, execution)| finish(guest.as_mut(), execution)).collect();
    println!("resume + next rest        {:>9.1?}", median(&mut finished));
    let dropping = Instant::now();
    drop(suspended);
    let kept = (resident_kib() as f64 - rss as f64) / GUESTS as f64;
    println!("drop                      {:>9.1?}   ({kept:.1} KiB stay resident)", dropping.elapsed() / GUESTS as u32);

    runtime.unload(version);
    let load = Instant::now();
    runtime.load(version).expect("it is cached");
    println!("load from the cache       {:>9.1?}", load.elapsed());
}

fn activities(tenant: &Tenant, version: VersionId, name: &str, input: &str) -> Vec<Duration> {
    let call = ActivityCall {
        name: FunctionName::new(name).expect("a valid name"),
        input: input.into(),
        instance: InstanceId::any("i").expect("a valid id"),
        seq: Seq(0),
        attempt: 1,
    };
    let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("tokio can be set up");
    let run = |_| {
        let begun = Instant::now();
        tokio.block_on(tenant.run_activity(version, call.clone(), Arc::new(NoHub))).expect("it succeeds");
        begun.elapsed()
    };
    (0..GUESTS).map(run).collect()
}

fn begin(tenant: &Tenant, version: VersionId, name: &str, round: usize) -> (Box<dyn Guest>, SharedExecution, Duration) {
    let context = Context {
        instance: InstanceId::any(&format!("instance-{round}")).expect("a valid id"),
        execution: ExecutionId(uuid::Uuid::from_u128(round as u128)),
        name: FunctionName::new(name).expect("a valid name"),
        input: "null".into(),
        version_label: String::new(),
        parent: None,
        event_delivery: EventDelivery::FirstAsked,
    };
    let execution = Arc::new(Mutex::new(Execution::new(context, Limits::default())));
    execution.lock().expect("unshared").begin_live_turn(Timestamp(0));
    let begun = Instant::now();
    let mut guest = tenant.start(version, execution.clone()).expect("there is room");
    let step = guest.resume();
    let time = begun.elapsed();
    assert_eq!(step, Step::Waiting);
    (guest, execution, time)
}

fn finish(guest: &mut dyn Guest, execution: &SharedExecution) -> Duration {
    {
        let mut execution = execution.lock().expect("unshared");
        execution.end_live_turn();
        execution.begin_live_turn(Timestamp(1_000_000));
        execution.apply(&Event::TaskCompleted { seq: Seq(0), result: "\"done\"".into() });
    }
    let begun = Instant::now();
    guest.resume();
    begun.elapsed()
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

fn resident_kib() -> usize {
    let pages: usize = std::fs::read_to_string("/proc/self/statm").unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4
}

fn mappings() -> usize {
    std::fs::read_to_string("/proc/self/maps").unwrap().lines().count()
}
