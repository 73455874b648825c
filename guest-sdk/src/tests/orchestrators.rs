//! Tests of what an orchestrator schedules, in which order it waits, and which task wins a race.

use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};

use super::{check, double, doubles, run, script};
use crate::app::Registered;
use crate::prelude::*;
use crate::task::ActivityCall;
use crate::testing::Script;

/// Three activities that double, in the order of their names.
fn paces() -> Script {
    let pace = |script: Script, name, seconds| {
        script.activity_named(name, |number: u64| Ok(double(number))).takes(Duration::from_secs(seconds))
    };
    pace(pace(pace(script(), "quick", 10), "steady", 20), "slow", 30)
}

/// Calls the slow one with 1, the steady one with 2 and the quick one with 3.
fn slow_to_quick(ctx: &Context) -> [ActivityCall<u64>; 3] {
    [("slow", 1), ("steady", 2), ("quick", 3)].map(|(name, number)| ctx.call_activity_named(name, &number))
}

#[test]
fn a_chain_schedules_one_after_the_other() {
    #[orchestrator]
    async fn chain(ctx: Context) -> Result<u64> {
        let two = ctx.call_activity::<double>(1).await?;
        ctx.call_activity::<double>(two).retry(RetryPolicy::new(3, Duration::from_secs(1))).await
    }
    check::<chain>(doubles(), &["1: call double(1)", "wait for [1]", "2: call double(2) up to 3 times", "wait for [2]"], Ok("4"));
}

#[test]
fn a_call_is_lazy_until_it_is_started() {
    #[orchestrator]
    async fn lazy(ctx: Context) -> Result<u64> {
        let later = ctx.call_activity::<double>(1);
        let now = ctx.call_activity::<double>(2).start();
        ctx.set_custom_status("both exist")?;
        drop(ctx.call_activity::<double>(3));
        Ok(later.await? + now.await?)
    }
    check::<lazy>(
        doubles(),
        &["1: call double(2)", "status \"both exist\"", "2: call double(1)", "wait for [2]", "wait for [1]"],
        Ok("6"),
    );
}

#[test]
fn when_all_schedules_all_and_keeps_their_order() {
    #[orchestrator]
    async fn all(ctx: Context) -> Result<Vec<u64>> {
        when_all(slow_to_quick(&ctx)).await
    }
    check::<all>(
        paces(),
        &["1: call slow(1)", "2: call steady(2)", "3: call quick(3)", "wait for [1, 2, 3]", "wait for [1, 2]", "wait for [1]"],
        Ok("[2,4,6]"),
    );
}

#[test]
fn when_all_waits_for_the_rest_after_a_failure() {
    #[orchestrator]
    async fn all(ctx: Context) -> Result<Vec<u64>> {
        when_all(["broken", "slow"].map(|name| ctx.call_activity_named(name, &1))).await
    }
    check::<all>(
        paces().activity_named("broken", |_: u64| Err::<u64, _>(Failure::new("Broken", ""))),
        &["1: call broken(1)", "2: call slow(1)", "wait for [1, 2]", "wait for [2]"],
        Err("Broken"),
    );
}

#[test]
fn a_large_fan_out_is_complete() {
    #[orchestrator]
    async fn many(ctx: Context) -> Result<u64> {
        let numbers = when_all((0..1000).map(|number| ctx.call_activity::<double>(number))).await?;
        Ok(numbers.into_iter().sum())
    }
    let (did, outcome) = run(many::entry(), "null", doubles());
    assert_eq!(outcome.unwrap(), "999000");
    assert_eq!(did.len(), 1001, "1000 calls and a single wait");
}

#[test]
fn the_first_to_complete_wins_whatever_its_place_in_the_list() {
    #[orchestrator]
    async fn race(ctx: Context) -> Result<(usize, u64)> {
        let (index, outcome) = when_any(slow_to_quick(&ctx)).await;
        Ok((index, outcome?))
    }
    let calls = ["1: call slow(1)", "2: call steady(2)", "3: call quick(3)"];
    check::<race>(paces(), &[&calls[..], &["wait for [1, 2, 3]"]].concat(), Ok("[2,6]"));

    // One wait reports all of them.
    #[orchestrator]
    async fn late_race(ctx: Context) -> Result<(usize, u64)> {
        let calls = slow_to_quick(&ctx).map(ActivityCall::start);
        ctx.create_timer(Duration::from_secs(60)).await?;
        let (index, outcome) = when_any(calls).await;
        Ok((index, outcome?))
    }
    let did = [&calls[..], &["4: timer at 61000 ms", "wait for [4]", "wait for [1, 2, 3]"]].concat();
    check::<late_race>(paces(), &did, Ok("[2,6]"));
}

#[test]
fn a_timer_that_lost_is_given_up() {
    #[orchestrator]
    async fn deadline(ctx: Context) -> Result<Option<u64>> {
        let mut call = ctx.call_activity::<double>(1);
        let mut timer = ctx.create_timer(Duration::from_secs(5));
        select! {
            number = call => Ok(Some(number?)),
            _ = timer => Ok(None),
        }
    }
    let did = ["1: call double(1)", "2: timer at 6000 ms", "wait for [1, 2]"];
    let takes = |seconds| doubles().takes(Duration::from_secs(seconds));
    check::<deadline>(takes(4), &[&did[..], &["cancel 2"]].concat(), Ok("2"));
    check::<deadline>(takes(6), &did, Ok("null"));
}

#[test]
fn a_timeout_leaves_the_event_to_the_next_wait() {
    #[orchestrator]
    async fn patient(ctx: Context) -> Result<Option<u64>> {
        ctx.wait_for_external_event("Go").timeout(Duration::from_secs(5)).await
    }
    let did = ["1: event Go", "2: timer at 6000 ms", "wait for [1, 2]"];
    check::<patient>(script().event("Go", 7), &[&did[..], &["cancel 2"]].concat(), Ok("7"));
    check::<patient>(script(), &[&did[..], &["cancel 1"]].concat(), Ok("null"));
}

/// One wait reports the timer and, after it, the event. If the event were dropped with its wait, it would be lost: an
/// orchestration that an event should stop would not stop.
#[test]
fn an_event_that_came_too_late_by_a_hair_is_for_the_next_wait() {
    #[orchestrator]
    async fn unlucky(ctx: Context) -> Result<(bool, u64)> {
        let mut timer = ctx.create_timer(Duration::from_secs(5)).start();
        let is_late = {
            let mut event = ctx.wait_for_external_event::<u64>("Go");
            select! {
                _ = event => false,
                _ = timer => true,
            }
        };
        Ok((is_late, ctx.wait_for_external_event("Go").await?))
    }
    check::<unlucky>(
        script().event_after(Duration::from_secs(5), "Go", 7),
        &["1: timer at 6000 ms", "2: event Go", "wait for [1, 2]", "cancel 2", "3: event Go", "wait for [3]"],
        Ok("[true,7]"),
    );
}

/// The wait that a `wait` reports first has claimed its event, and can still give it up.
#[test]
fn an_event_that_was_reported_first_and_never_read_is_for_the_next_wait() {
    #[orchestrator]
    async fn forgetful(ctx: Context) -> Result<u64> {
        let mut event = ctx.wait_for_external_event::<u64>("Go");
        let mut is_polled = false;
        std::future::poll_fn(|context| match std::mem::replace(&mut is_polled, true) {
            false => event.poll_unpin(context).map(drop),
            true => std::task::Poll::Ready(()),
        })
        .await;
        drop(event);
        ctx.wait_for_external_event("Go").await
    }
    check::<forgetful>(
        script().event("Go", 7),
        &["1: event Go", "wait for [1]", "cancel 1", "2: event Go", "wait for [2]"],
        Ok("7"),
    );
}

#[test]
fn a_stream_of_futures_yields_in_the_order_of_completion() {
    #[orchestrator]
    async fn stream(ctx: Context) -> Result<Vec<u64>> {
        let mut calls: FuturesUnordered<_> = slow_to_quick(&ctx).into_iter().collect();
        let mut numbers = Vec::new();
        while let Some(number) = calls.next().await {
            numbers.push(number?);
        }
        Ok(numbers)
    }
    let (_, outcome) = run(stream::entry(), "null", paces());
    assert_eq!(outcome.unwrap(), "[6,4,2]");
}

#[test]
fn a_task_that_was_set_aside_is_not_forgotten() {
    #[orchestrator]
    async fn aside(ctx: Context) -> Result<u64> {
        let mut winner = ctx.call_activity::<double>(1).start();
        let mut other = ctx.call_activity::<double>(2);
        let first = select! {
            number = other => 100 * number?,
            number = winner => number?,
        };
        let third = ctx.call_activity::<double>(3).await?;
        Ok(first + third + other.await?)
    }
    check::<aside>(
        doubles(),
        &["1: call double(1)", "2: call double(2)", "wait for [1, 2]", "3: call double(3)", "wait for [3]"],
        Ok("12"),
    );
}

#[test]
fn a_canceled_timer_says_so() {
    #[orchestrator]
    async fn cancel(ctx: Context) -> Result<bool> {
        let mut timer = ctx.create_timer(Duration::from_secs(5)).start();
        Ok(timer.cancel())
    }
    check::<cancel>(script(), &["1: timer at 6000 ms", "cancel 1"], Ok("true"));

    #[orchestrator]
    async fn cancel_unscheduled(ctx: Context) -> Result<()> {
        let mut timer = ctx.create_timer(Duration::from_secs(5));
        assert!(timer.cancel());
        timer.await
    }
    check::<cancel_unscheduled>(script(), &[], Err("Canceled"));
}

#[test]
fn what_is_not_durable_fails() {
    #[orchestrator]
    async fn stuck(_ctx: Context) -> Result<()> {
        std::future::pending().await
    }
    check::<stuck>(script(), &[], Err("NothingToWaitFor"));
}

#[test]
fn a_future_that_wakes_itself_is_polled_again() {
    #[orchestrator]
    async fn yields(_ctx: Context) -> Result<u64> {
        let mut polls = 0;
        std::future::poll_fn(|context| {
            polls += 1;
            context.waker().wake_by_ref();
            if polls < 3 { std::task::Poll::Pending } else { std::task::Poll::Ready(()) }
        })
        .await;
        Ok(polls)
    }
    check::<yields>(script(), &[], Ok("3"));
}

#[test]
fn an_input_that_does_not_fit_is_a_failure() {
    #[orchestrator]
    async fn wants_numbers(_ctx: Context, numbers: Vec<u64>) -> u64 {
        numbers.into_iter().sum()
    }
    let (_, outcome) = run(wants_numbers::entry(), "[1,\"two\"]", script());
    let failure = outcome.unwrap_err();
    assert!(failure.is("InvalidInput") && !failure.retriable);
    assert!(failure.message.starts_with("`wants_numbers` cannot read its input: invalid type: string"), "{failure}");
    assert_eq!(run(wants_numbers::entry(), "[1,2]", script()).1.unwrap(), "3");
}

#[test]
fn an_output_or_event_of_another_type_is_a_failure() {
    #[orchestrator]
    async fn output(ctx: Context) -> Result<u64> {
        ctx.call_activity::<double>(1).await
    }
    let another = script().activity_named("double", |_: u64| Ok("x"));
    check::<output>(another, &["1: call double(1)", "wait for [1]"], Err("InvalidOutput"));

    #[orchestrator]
    async fn event(ctx: Context) -> Result<u64> {
        ctx.wait_for_external_event("Go").await
    }
    check::<event>(script().event("Go", "x"), &["1: event Go", "wait for [1]"], Err("InvalidEventData"));
}

#[test]
fn tasks_of_all_kinds_fit_into_one_list() {
    #[orchestrator]
    async fn child(_ctx: Context, name: String) -> String {
        name
    }

    #[orchestrator]
    async fn mixed(ctx: Context) -> Result<(usize, serde_json::Value)> {
        let (index, output) = when_any([
            ctx.create_timer(Duration::from_secs(1)).json(),
            ctx.wait_for_external_event::<u64>("Go").json(),
            ctx.call_sub_orchestrator::<child>("c".to_owned()).instance_id("me-c").version("2.0").json(),
            ctx.call_activity::<double>(1).json(),
        ])
        .await;
        Ok((index, output?))
    }
    check::<mixed>(
        doubles().takes(Duration::from_secs(60)).sub_orchestrator::<child>(Ok),
        &[
            "1: timer at 2000 ms",
            "2: event Go",
            "3: orchestrate child(\"c\") as me-c on 2.0",
            "4: call double(1)",
            "wait for [1, 2, 3, 4]",
            "cancel 1",
            "cancel 2",
        ],
        Ok("[2,\"c\"]"),
    );
}

#[test]
fn the_rest_of_the_context() {
    #[orchestrator(name = "Rest")]
    async fn rest(ctx: Context) -> Result<()> {
        assert_eq!(ctx.random_bytes(65_537).len(), 65_537);
        assert_ne!(ctx.random::<u64>(), ctx.random::<u64>());
        assert!((10..20).contains(&ctx.random_range(10..20)));
        ctx.log_warn(format_args!("{} is half done", ctx.instance_id()));
        let id = ctx.start_orchestration_named("Other", &1).instance_id("other").start()?;
        ctx.send_event(&id, "Go", &[1, 2])?;
        ctx.continue_as_new("again")
    }
    check::<rest>(
        script(),
        &["warn: me is half done", "start Other(1) as other", "send Go([1,2]) to other", "continue as new(\"again\")"],
        Ok("null"),
    );
}

#[test]
fn functions_take_and_return_what_they_like() {
    #[derive(Debug)]
    enum Trouble {
        Deep,
    }

    impl From<Trouble> for Failure {
        fn from(trouble: Trouble) -> Self {
            Failure::new("Trouble", format!("{trouble:?}"))
        }
    }

    #[activity]
    fn nothing() {}

    #[activity]
    async fn only_context(ctx: ActivityContext) -> u32 {
        ctx.attempt()
    }

    #[activity(name = "Borrowing")]
    fn borrowing(ctx: &ActivityContext, name: Option<String>) -> Result<String, std::num::ParseIntError> {
        Ok(name.unwrap_or_else(|| ctx.name().to_owned()))
    }

    #[activity]
    async fn own_error(_input: ()) -> std::result::Result<(), Trouble> {
        Err(Trouble::Deep)
    }

    #[activity]
    async fn endless() {
        std::future::pending().await
    }

    let check = |entry: crate::__private::Entry, input: &str, ends: Result<&str, &str>| {
        let context = ActivityContext::for_test(entry.name, "me", 1, 3);
        let outcome = crate::app::run_activity(&[entry], context, input.to_owned());
        assert_eq!(outcome.as_deref().map_err(|failure| failure.error_type.as_str()), ends);
    };
    check(nothing::entry(), "{\"ignored\":true}", Ok("null"));
    check(only_context::entry(), "null", Ok("3"));
    check(borrowing::entry(), "null", Ok("\"Borrowing\""));
    check(borrowing::entry(), "\"x\"", Ok("\"x\""));
    check(own_error::entry(), "null", Err("Trouble"));
    check(endless::entry(), "null", Err("NothingToWaitFor"));
    let (_, outcome) = run(double::entry(), "1", script());
    assert!(outcome.unwrap_err().is("OrchestratorNotFound"));
}
