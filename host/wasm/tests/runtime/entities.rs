use std::sync::{Arc, Mutex};

use dacapo_core::entity::{EntityMemory, EntityTurn, Operation, OperationResult, OperationScope, SharedOperation, Untimed};
use dacapo_core::execution::Limits;
use dacapo_core::{
    Delivery, EntityGuest, Event, ExecutionId, Executor, Failure, FunctionName, InstanceId, InstanceRecord, Message, NotNow,
    OperationError, Row, StartError, Timestamp, Usage, VersionId,
};
use dacapo_wasm::PoolSize;

use crate::guest::{Guest, Kind};
use crate::wasi;
use crate::world::{Host, START};

/// An entity in memory, between two operations.
pub struct Entity {
    guest: Box<dyn EntityGuest>,
    scope: SharedOperation,
    name: FunctionName,
    pub state: Option<String>,
}

impl Entity {
    /// `name` in lower case, as in the entity's id.
    pub fn start(host: &Host, version: VersionId, name: &str) -> Result<Self, StartError> {
        let name = FunctionName::new(name).unwrap();
        let scope = Arc::new(Mutex::new(scope(&name)));
        let guest = host.tenant.start_entity(version, scope.clone())?;
        Ok(Self { guest, scope, name, state: None })
    }

    pub fn of(host: &Host, guest: &Guest) -> Self {
        Self::start(host, host.deploy(guest), "thing").unwrap()
    }

    /// Runs an operation, and keeps the new state.
    pub fn run(&mut self, operation: &str, input: &str) -> Result<String, Failure> {
        let operation = Operation {
            entity: self.name.clone(),
            key: "a".into(),
            name: operation.into(),
            input: input.into(),
            state: self.state.as_deref().map(Into::into),
        };
        let OperationResult { output, state } = self.guest.run(&operation).map_err(|why| match why {
            OperationError::Failed(failure) => failure,
            OperationError::NotStarted(why) => panic!("{why}"),
        })?;
        self.state = state.map(|state| state.to_string());
        Ok(output.to_string())
    }

    pub fn logs(&self) -> Vec<String> {
        self.scope.lock().unwrap().take_logs().into_iter().map(|line| line.message).collect()
    }
}

/// Provides the host functions for operations of an entity with the key `a`. A turn creates a new scope for each operation; here
/// they share one.
fn scope(name: &FunctionName) -> OperationScope {
    let entity = InstanceId::entity(name, "a").unwrap();
    OperationScope::new(entity, ExecutionId(uuid::Uuid::from_u128(7)), Timestamp(START * 1_000_000), Limits::default())
}

fn outcome(host: &Host, guest: &Guest) -> Result<String, Failure> {
    Entity::of(host, guest).run("do", "1")
}

/// Returns a text as JSON, and no new state.
const QUOTE: &str = r#"
    (func $quote (param $text i32) (param $length i32) (result i32)
        (i32.store8 (i32.const 6000) (i32.const 34))
        (memory.copy (i32.const 6001) (local.get $text) (local.get $length))
        (i32.store8 (i32.add (i32.const 6001) (local.get $length)) (i32.const 34))
        (drop (call $forgotten))
        (call $ok (i32.const 6000) (i32.add (local.get $length) (i32.const 2))))"#;
const TELL_NAME: &str = "(call $quote (local.get 0) (local.get 1))";
const TELL_KEY: &str = "(call $quote (local.get 2) (local.get 3))";
const TELL_OPERATION: &str = "(call $quote (local.get 4) (local.get 5))";

#[test]
fn an_operation_is_given_everything_and_leads_to_output_and_state() {
    let host = Host::new();
    // The name as the app spells it; then the rest as given.
    let cases = [(TELL_NAME, "\"Thing\""), (TELL_KEY, "\"a\""), (TELL_OPERATION, "\"do\"")];
    for (body, expected) in cases {
        assert_eq!(outcome(&host, &Guest { more: QUOTE, ..Guest::entity(body) }), Ok(expected.into()));
    }
    // The first operation has no state, and stores its input as the state; the second returns the state that the first stored.
    let mut entity = Entity::of(
        &host,
        &Guest::entity(
            "(if (result i32) (local.get 8)
                 (then (call $kept (local.get 9) (local.get 10) (local.get 6) (local.get 7)))
                 (else (call $kept (i32.const 3100) (i32.const 4) (local.get 6) (local.get 7))))",
        ),
    );
    assert_eq!(entity.run("do", "[1]"), Ok("null".into()));
    assert_eq!(entity.run("do", "[2]"), Ok("[1]".into()));
    assert_eq!(entity.state.as_deref(), Some("[2]"));
}

#[test]
fn an_operation_may_delete_the_state() {
    let mut entity = Entity::of(&Host::new(), &Guest::entity("(call $forgotten)"));
    entity.state = Some("1".into());
    assert_eq!((entity.run("do", "1"), entity.state), (Ok("\"ok\"".into()), None));
}

const COUNTING: &str = "(global.set $count (i64.add (global.get $count) (i64.const 1)))
    (drop (call $number (global.get $count)))
    (call $kept (i32.load (i32.const 20)) (i32.load (i32.const 24)) (i32.const 3100) (i32.const 4))";

#[test]
fn operations_run_on_one_instance_of_the_component() {
    let host = Host::new();
    let guest = Guest { more: "(global $count (mut i64) (i64.const 0))", ..Guest::entity(COUNTING) };
    let mut entity = Entity::of(&host, &guest);
    let counted = [0; 3].map(|_| entity.run("do", "1").unwrap());
    assert_eq!(counted, ["1", "2", "3"]);
    assert_eq!(outcome(&host, &guest), Ok("1".into()), "another guest has another instance");
}

#[test]
fn what_breaks_an_operation_is_named() {
    let host = Host::new();
    let only_orchestrators = "an operation of an entity waits for nothing; it can signal entities, start orchestrations and";
    let cases = [
        ("(call $loop_for_ever) (call $done)", "FuelExhausted", "2000000 units of fuel that one operation may spend"),
        ("(call $allocate_for_ever) (call $done)", "OutOfMemory", "bytes of memory, 4194304 are allowed"),
        ("(drop (call $recurse (i32.const 0))) (call $done)", "StackOverflow", "a stack of 262144 bytes"),
        ("unreachable", "Trap", "`unreachable`"),
        ("(call $panic) (call $done)", "Panic", "no stock!"),
        ("(call $kept (i32.const 3200) (i32.const 8) (i32.const 3100) (i32.const 4))", "InvalidOutput", "the output is not JSON"),
        ("(call $kept (i32.const 3100) (i32.const 4) (i32.const 3200) (i32.const 8))", "InvalidOutput", "the state is not JSON"),
        ("(drop (call $timer (f64.const 0))) (call $done)", "Trap", "only orchestrators may call create-timer: "),
        ("(drop (call $call_work)) (call $done)", "Trap", only_orchestrators),
        ("(call $await_event) (call $done)", "Trap", "only orchestrators may call wait-for-external-event"),
        ("(call $wait (i32.const 64) (i32.const 0) (i32.const 80)) (call $done)", "Trap", "only orchestrators may call wait: "),
    ];
    for (body, error_type, message) in cases {
        let failure = outcome(&host, &Guest::entity(body)).unwrap_err();
        assert_eq!(failure.error_type, error_type, "{body}: {failure:?}");
        assert!(failure.message.contains(message), "{body}: {failure:?}");
        assert!(!failure.retriable, "{body}");
    }
}

#[test]
fn an_output_and_a_state_are_limited() {
    let host = Host::with(|setup| setup.policy.execution.payload_bytes = 5);
    let mut entity = Entity::of(&host, &Guest::entity("(call $kept (i32.const 3000) (i32.const 4) (local.get 6) (local.get 7))"));
    assert!(entity.run("do", "[123]").is_ok());
    let failure = entity.run("do", "[1234]").unwrap_err();
    assert_eq!(
        (failure.error_type.as_str(), failure.message.as_str()),
        ("LimitExceeded", "the state has 6 bytes, 5 are allowed (payload_bytes)")
    );
}

#[test]
fn fuel_is_per_operation() {
    // Each operation spends more than half of its fuel.
    let mut entity = Entity::of(&Host::new(), &Guest::entity("(call $spin (i32.const 300000)) (call $forgotten)"));
    for _ in 0..5 {
        assert!(entity.run("do", "1").is_ok());
    }
}

/// Returns the usage of a turn with this number of operations.
fn receipt(host: &Host, version: VersionId, operations: usize) -> Usage {
    let event = Event::OperationRequested { operation: "do".into(), input: "1".into(), caller: None, deliver_at: None };
    let message = Message { to: InstanceId::any("@thing@a").unwrap(), execution: None, sent_at: Timestamp(0), event };
    let record = InstanceRecord::pending(Row(1), &message).unwrap();
    let inbox = vec![Delivery { message, stored: None }; operations];
    let (executor, limits) = (&host.tenant, Limits::default());
    let turn = EntityTurn {
        executor,
        limits: &limits,
        now: Timestamp(START * 1_000_000),
        active_version: Some(version),
        time: &Untimed,
    };
    turn.run(record, EntityMemory::default(), inbox).commit.unwrap().record.usage
}

#[test]
fn the_receipt_holds_what_operations_have_spent() {
    let host = Host::new();
    let version = host.deploy(&Guest::entity("(call $spin (i32.const 100000)) (call $forgotten)"));
    let [one, two, three] = [1, 2, 3].map(|operations| receipt(&host, version, operations));
    assert_eq!((one.operations, two.operations, three.operations), (1, 2, 3));
    assert!(one.fuel > 200_000, "{one:?}");
    assert_eq!(three.fuel - two.fuel, two.fuel - one.fuel);
    let stopped = host.deploy(&Guest::entity("(call $loop_for_ever) (call $done)"));
    assert!(receipt(&host, stopped, 1).fuel >= 2_000_000);
}

#[test]
fn what_operations_leave_in_memory_does_not_add_up() {
    // A megabyte each, of four that are allowed.
    let body = "(if (i32.eq (memory.grow (i32.const 16)) (i32.const -1)) (then unreachable)) (call $forgotten)";
    let mut entity = Entity::of(&Host::new(), &Guest::entity(body));
    for _ in 0..20 {
        assert!(entity.run("do", "1").is_ok());
    }
}

#[test]
fn entities_and_orchestrators_take_the_same_places() {
    // The other half of the pool is for other tenants.
    let host = Host::with(|setup| setup.pool = PoolSize { orchestrators: 4, activities: 1, triggers: 1 });
    let version = host.deploy(&Guest::entity("(call $forgotten)"));
    for _ in 0..20 {
        let mut entities = [Entity::start(&host, version, "thing"), Entity::start(&host, version, "thing")].map(Result::unwrap);
        assert!(entities.iter_mut().all(|entity| entity.run("do", "1").is_ok()));
        let why = Entity::start(&host, version, "thing").err();
        assert_eq!(why, Some(StartError::NotNow(NotNow::NoRoom(version))));
    }
}

#[test]
fn a_version_without_the_entity_does_not_start_it() {
    let host = Host::new();
    let version = host.deploy(&Guest { functions: vec![("other", Kind::Entity), ("thing", Kind::Activity)], ..Guest::default() });
    let why = Entity::start(&host, version, "thing").err().unwrap();
    assert_eq!(why, StartError::Unable(format!("version {version} has no entity 'thing'")));
    assert!(Entity::start(&host, version, "other").is_ok());
}

#[test]
fn wasi_gives_an_operation_time_and_chance_but_no_sleep() {
    let host = Host::new();
    let mut entity = Entity::of(
        &host,
        &wasi::entity_on_wasi(
            "(drop (call $number (call $time (i32.const 0)))) (call $kept (i32.load (i32.const 20)) (i32.load (i32.const 24)) (i32.const 3100) (i32.const 4))",
        ),
    );
    assert_eq!(entity.run("do", "1"), Ok(format!("{START}000000000")));

    let drawing = wasi::entity_on_wasi(
        "(drop (call $random_get (i32.const 200) (i32.const 8)))
         (drop (call $number (i64.load (i32.const 200))))
         (call $kept (i32.load (i32.const 20)) (i32.load (i32.const 24)) (i32.const 3100) (i32.const 4))",
    );
    let mut entity = Entity::of(&host, &drawing);
    assert_ne!(entity.run("do", "1").unwrap(), entity.run("do", "1").unwrap(), "no operation sees the numbers of another");

    assert!(outcome(&host, &wasi::entity_on_wasi("(call $sleep (i64.const 0)) (call $forgotten)")).is_ok());
    let failure = outcome(&host, &wasi::entity_on_wasi("(call $sleep (i64.const 1000)) (call $forgotten)")).unwrap_err();
    assert_eq!(failure.error_type, "Trap");
    assert!(failure.message.starts_with("an operation of an entity must not wait or sleep"), "{failure:?}");
}

#[test]
fn output_of_an_operation_goes_to_its_log() {
    let mut entity = Entity::of(
        &Host::new(),
        &wasi::entity_on_wasi("(call $print (i32.const 1) (i32.const 3600) (i32.const 7)) (call $forgotten)"),
    );
    for _ in 0..2 {
        entity.run("do", "1").unwrap();
        assert_eq!(entity.logs(), ["one", "two"], "all of it, with the operation that printed it");
    }
}

#[test]
fn what_an_entity_may_not_use_traps_with_a_sentence() {
    let mut guest = wasi::on_the_network();
    guest.entity = "(drop (call $network)) (call $forgotten)";
    guest.functions = vec![("Thing", Kind::Entity)];
    let failure = outcome(&Host::new(), &guest).unwrap_err();
    let sentence =
        "an entity may not use wasi:sockets/instance-network.instance-network: do it in an activity of an orchestration";
    assert_eq!((failure.error_type.as_str(), failure.message.as_str()), ("Trap", sentence));
}
