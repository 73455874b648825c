//! Operations and their state, and calls of entities by orchestrators.

use serde_json::json;

use super::{check as orchestrate, lines, run, script};
use crate::app::{self, Entry, Registered};
use crate::entity::{OperationCall, OperationOutcome};
use crate::prelude::*;
use crate::testing::Script;
use crate::{Entity, EntityLock, HttpResponse};

/// Types that can only be read or only be written. An entity may use them if its proxy is not used.
#[derive(Deserialize)]
struct OnlyRead {
    amount: i64,
}

#[derive(Serialize)]
struct OnlyWritten {
    value: i64,
}

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
struct Counter {
    value: i64,
}

#[entity]
impl Counter {
    /// Private to this module, as its proxy's method is.
    fn add(&mut self, amount: i64) -> i64 {
        self.value += amount;
        self.value
    }

    fn get(&self) -> i64 {
        self.value
    }

    pub fn reset(&mut self) {
        self.value = 0;
    }

    fn subtract(&mut self, ctx: &EntityContext, OnlyRead { amount }: OnlyRead) -> Result<OnlyWritten> {
        ctx.signal_entity(&EntityId::new("Audit", ""), "note", &amount)?;
        self.value -= amount;
        match self.value < 0 {
            true => Err(Failure::new("TooFew", "the counter is not negative")),
            false => Ok(OnlyWritten { value: self.value }),
        }
    }

    fn everything(&self, ctx: &EntityContext) -> Result<serde_json::Value> {
        let tomorrow = ctx.current_utc_date_time() + Duration::from_secs(86_400);
        ctx.signal_entity_at(ctx.entity_id(), "reset", &(), tomorrow)?;
        ctx.start_orchestration_named("Report", &1).instance_id("report").start()?;
        ctx.send_event("me", "Counted", &2)?;
        ctx.log_info(format_args!("{} of {}", ctx.operation_name(), ctx.key()));
        Ok(json!([ctx.new_guid() == ctx.new_guid(), ctx.random::<u8>() > 0, ctx.random_range(3..4), ctx.random_bytes(2).len()]))
    }

    fn finish(&self, ctx: &EntityContext) -> i64 {
        ctx.delete_on_exit();
        self.value
    }

    fn not_an_operation() -> Self {
        Self { value: 7 }
    }
}

/// Runs one operation of an entity. Returns its actions, its output and the new state.
fn operate(entry: Entry, operation: &str, input: &str, state: Option<&str>) -> (Vec<String>, Result<OperationOutcome>) {
    let call = OperationCall {
        name: entry.name.to_owned(),
        key: "a".to_owned(),
        operation: operation.to_owned(),
        input: input.to_owned(),
        state: state.map(str::to_owned),
    };
    let (world, outcome) = script().world.play(|host| app::run_entity_operation(&[entry], host, call));
    (lines(&world), outcome)
}

/// The result of an operation: its output and the state, or the type of its failure.
type Ends<'a> = Result<(&'a str, Option<&'a str>), &'a str>;

fn check<E: Registered>((operation, input, state): (&str, &str, Option<&str>), did: &[&str], ends: Ends<'_>) {
    let (actually_did, outcome) = operate(E::entry(), operation, input, state);
    assert_eq!(actually_did, did, "{operation}");
    let outcome = match &outcome {
        Ok(OperationOutcome { output, state }) => Ok((output.as_str(), state.as_deref())),
        Err(failure) => Err(failure.error_type.as_str()),
    };
    assert_eq!(outcome, ends, "{operation}");
}

#[test]
fn an_operation_leads_from_one_state_to_the_next() {
    let seven = Some(r#"{"value":7}"#);
    check::<Counter>(("add", "5", None), &[], Ok(("5", Some(r#"{"value":5}"#))));
    check::<Counter>(("ADD", "5", seven), &[], Ok(("12", Some(r#"{"value":12}"#))));
    check::<Counter>(("get", "\"ignored\"", seven), &[], Ok(("7", seven)));
    check::<Counter>(("Reset", "null", seven), &[], Ok(("null", Some(r#"{"value":0}"#))));
    check::<Counter>(("finish", "null", seven), &[], Ok(("7", None)));
    check::<Counter>(("delete", "null", seven), &[], Ok(("null", None)));
    assert_eq!(Counter::not_an_operation(), Counter { value: 7 });
}

#[test]
fn an_operation_that_cannot_be_run_is_a_failure() {
    let seven = Some(r#"{"value":7}"#);
    check::<Counter>(("add", "\"five\"", seven), &[], Err("InvalidInput"));
    check::<Counter>(("divide", "5", seven), &[], Err("OperationNotFound"));
    check::<Counter>(("not_an_operation", "5", seven), &[], Err("OperationNotFound"));
    check::<Counter>(("get", "null", Some("[]")), &[], Err("InvalidState"));
    // The host discards the messages of a failed operation.
    check::<Counter>(("subtract", r#"{"amount":8}"#, seven), &["signal @audit@ note(8)"], Err("TooFew"));
    let (_, outcome) = operate(Counter::entry(), "add", "\"five\"", None);
    assert!(outcome.unwrap_err().message.starts_with("`Counter.add` cannot read its input: "));
}

#[test]
fn an_operation_sends_and_draws() {
    check::<Counter>(
        ("everything", "null", None),
        &[
            "signal @counter@a reset(null) at 86401000 ms",
            "start Report(1) as report",
            "send Counted(2) to me",
            "info: everything of a",
        ],
        Ok((r#"[false,true,3,2]"#, Some(r#"{"value":0}"#))),
    );
    check::<Counter>(
        ("subtract", r#"{"amount":1}"#, Some(r#"{"value":7}"#)),
        &["signal @audit@ note(1)"],
        Ok((r#"{"value":6}"#, Some(r#"{"value":6}"#))),
    );
}

#[test]
fn a_function_is_an_entity_too() {
    #[entity(name = "Tally")]
    fn tally(ctx: &EntityContext, value: &mut i64) -> Result<i64> {
        match ctx.operation_name() {
            "add" => *value += ctx.input::<i64>()?,
            "reset" => ctx.delete_on_exit(),
            _ => return Err(ctx.operation_not_found()),
        }
        Ok(*value)
    }
    assert_eq!(<tally as Entity>::NAME, "Tally");
    check::<tally>(("add", "2", None), &[], Ok(("2", Some("2"))));
    check::<tally>(("add", "null", Some("2")), &[], Err("InvalidInput"));
    check::<tally>(("reset", "null", Some("2")), &[], Ok(("2", None)));
    check::<tally>(("delete", "null", Some("2")), &[], Err("OperationNotFound"));
}

#[test]
fn an_entity_may_have_its_own_way_to_be_deleted() {
    #[derive(Default, Serialize, Deserialize)]
    enum Door {
        #[default]
        Open,
        Closed,
    }

    #[entity]
    impl Door {
        fn close(&mut self) {
            *self = Door::Closed;
        }

        fn delete(&mut self) -> Result<()> {
            match self {
                Door::Open => Err(Failure::new("StillOpen", "close it first")),
                Door::Closed => Ok(()),
            }
        }
    }
    check::<Door>(("close", "null", None), &[], Ok(("null", Some("\"Closed\""))));
    check::<Door>(("delete", "null", None), &[], Err("StillOpen"));
}

/// Answers the operations of all counters, as one counter would.
fn counter() -> Script {
    let mut counter = Counter::default();
    script().entity("Counter", move |call| match (call.operation.as_str(), call.input.as_i64()) {
        ("add", Some(amount)) => Ok(counter.add(amount)),
        ("get", None) => Ok(counter.get()),
        (other, _) => Err(Failure::new("OperationNotFound", other)),
    })
}

#[test]
fn an_orchestrator_calls_and_signals_by_proxy_and_by_id() {
    #[orchestrator]
    async fn count(ctx: Context) -> Result<i64> {
        let clicks = ctx.entity::<Counter>("clicks");
        clicks.reset().signal()?;
        clicks.add(1).signal_at(ctx.current_utc_date_time() + Duration::from_secs(1))?;
        let both = when_all([clicks.add(2), clicks.add(3)]).await?;
        let by_id = EntityId::of::<Counter>("clicks");
        assert_eq!(clicks.id(), &by_id);
        ctx.signal_entity(&by_id, "add", &4)?;
        ctx.signal_entity_at(&by_id, "add", &5, Timestamp::from_millis(9_000))?;
        Ok(both.into_iter().sum::<i64>() + ctx.call_entity::<i64>(&by_id, "get", &()).start().await?)
    }
    orchestrate::<count>(
        counter(),
        &[
            "signal @counter@clicks reset(null)",
            "signal @counter@clicks add(1) at 2000 ms",
            "1: call @counter@clicks add(2)",
            "2: call @counter@clicks add(3)",
            "wait for [1, 2]",
            "signal @counter@clicks add(4)",
            "signal @counter@clicks add(5) at 9000 ms",
            "3: call @counter@clicks get(null)",
            "wait for [3]",
        ],
        Ok("12"),
    );
}

#[test]
fn an_output_of_another_type_is_a_failure() {
    #[orchestrator]
    async fn confused(ctx: Context) -> Result<i64> {
        ctx.entity::<Counter>("a").get().await
    }
    let (_, outcome) = run(confused::entry(), "null", script().entity("Counter", |_| Ok("x")));
    let failure = outcome.unwrap_err();
    assert!(failure.is("InvalidOutput") && failure.message.starts_with("the output of `get` of @counter@a is not a i64"));
}

#[test]
fn a_lock_is_held_until_it_is_dropped_or_released() {
    #[orchestrator]
    async fn transfer(ctx: Context) -> Result<i64> {
        let [from, to] = ["b", "a"].map(|key| ctx.entity::<Counter>(key));
        let lock: EntityLock = ctx.lock([from.id(), to.id()]).await?;
        from.add(-1).await?;
        lock.unlock();
        ctx.set_custom_status("between")?;
        let _lock = ctx.lock([to.id()]).await?;
        to.add(1).await
    }
    let takes_only = |call: crate::testing::EntityCall| match call.input.as_i64() {
        Some(-1) => Ok(-1),
        _ => Err(Failure::new("Broken", "")),
    };
    orchestrate::<transfer>(
        script().entity("Counter", takes_only),
        &[
            "1: lock @counter@b @counter@a",
            "wait for [1]",
            "2: call @counter@b add(-1)",
            "wait for [2]",
            "unlock",
            "status \"between\"",
            "3: lock @counter@a",
            "wait for [3]",
            "4: call @counter@a add(1)",
            "wait for [4]",
            "unlock",
        ],
        Err("Broken"),
    );
}

#[test]
fn a_lock_that_comes_too_late_is_released_at_once() {
    #[orchestrator]
    async fn impatient(ctx: Context) -> Result<i64> {
        let counter = ctx.entity::<Counter>("a");
        let mut timer = ctx.create_timer(Duration::from_secs(1)).start();
        {
            let mut lock = ctx.lock([counter.id()]);
            select! {
                _ = lock => return Ok(-1),
                _ = timer => ctx.log_info("too late"),
            }
        }
        ctx.entity::<Counter>("b").get().await
    }
    let begun = ["1: timer at 2000 ms", "2: lock @counter@a", "wait for [1, 2]", "info: too late"];
    let lock_takes = |seconds| {
        let mut script = counter().takes(Duration::from_secs(5));
        script.world.lock_takes = Duration::from_secs(seconds);
        script
    };
    orchestrate::<impatient>(
        lock_takes(2),
        &[&begun[..], &["3: call @counter@b get(null)", "wait for [3, 2]", "unlock", "wait for [3]"]].concat(),
        Ok("0"),
    );
    // It completed together with the timer, which was first.
    orchestrate::<impatient>(
        lock_takes(1),
        &[&begun[..], &["unlock", "3: call @counter@b get(null)", "wait for [3]"]].concat(),
        Ok("0"),
    );
}

#[test]
fn an_http_request_is_sent_by_the_host() {
    #[orchestrator]
    async fn fetch(ctx: Context) -> Result<(u16, Vec<u32>)> {
        let request = HttpRequest::new("PUT", "https://example.org/a").header("X-Key", "1").json(&[1, 2])?;
        let response = ctx.call_http(request.timeout(Duration::from_secs(5)).without_polling()).await?;
        assert_eq!(response.header("ETag"), Some("7"));
        Ok((response.status, response.json()?))
    }
    let mut response = HttpResponse::new(201, "[3]");
    response.headers.insert("etag".to_owned(), "7".to_owned());
    orchestrate::<fetch>(
        script().http(move |_| Ok(response.clone())),
        &[
            concat!(
                r#"1: http {"asynchronousPatternEnabled":false,"content":"[1,2]","#,
                r#""headers":{"content-type":"application/json","x-key":"1"},"#,
                r#""method":"PUT","timeoutMs":5000,"uri":"https://example.org/a"}"#
            ),
            "wait for [1]",
        ],
        Ok("[201,[3]]"),
    );
}

#[test]
fn ids_are_texts() {
    let id: EntityId = serde_json::from_str("\"@Counter@a@b\"").unwrap();
    assert_eq!((id.name(), id.key()), ("counter", "a@b"));
    assert_eq!(serde_json::to_string(&id).unwrap(), "\"@counter@a@b\"");
    for bad in ["", "counter", "counter@a", "@@a", "@counter"] {
        assert!(bad.parse::<EntityId>().is_err(), "{bad}");
    }
}
