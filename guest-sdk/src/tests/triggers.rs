use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};

use crate::app::{self, Entry, Kind, Registered};
use crate::prelude::*;
use crate::testing::{ClientCall, ScriptedClient};
use crate::trigger::TriggerContext;
use crate::{EntityFilter, InstanceFilter, OrchestrationStatus, RuntimeStatus, ScheduleStatus, StatusOptions};

fn bindings(entry: &Entry) -> Value {
    let Kind::Trigger { bindings, .. } = entry.kind else { panic!("{} is a trigger", entry.name) };
    serde_json::from_str(&bindings()).unwrap()
}

/// Runs a trigger as the host does. Returns its output.
fn run(entry: Entry, hub: &ScriptedClient, input: &Value) -> Result<Value> {
    let context = TriggerContext::for_test(entry.name, hub.client());
    let output = app::run_trigger(&[entry], context, input.to_string())?;
    Ok(serde_json::from_str(&output).unwrap())
}

#[orchestrator]
async fn order(_ctx: Context, _item: String) -> Result<()> {
    Ok(())
}

#[http_trigger(route = r#"shelves/{shelf:regex(^\d"+$)}"#, methods = ["GET", "post"], auth_level = "Anonymous")]
async fn place(
    ctx: TriggerContext,
    request: Request,
    #[queue_output("placed-items")] placed: &mut Output<String>,
) -> Result<Response> {
    let item: String = request.json()?;
    placed.send(item.clone());
    let id = ctx.client().start_orchestration::<order>(item).instance_id("order-17").start()?;
    ctx.client().create_check_status_response(&id)
}

#[http_trigger(name = "Bare")]
fn bare() {}

#[http_trigger]
fn greeting(_: Request) -> impl crate::IntoResponse {
    "Hello!"
}

#[timer_trigger("0 */5 * * * *", run_on_startup = true, use_monitor = false)]
fn tick(timer: TimerInfo, #[event_hub_output("ticks")] r#type: &mut Output<Option<Timestamp>>) {
    r#type.send(timer.schedule_status.and_then(|ScheduleStatus { next, .. }| next));
}

#[queue_trigger("orders")]
fn take(ctx: &TriggerContext, items: Vec<String>) -> std::result::Result<(), std::num::ParseIntError> {
    ctx.log_info(format!("attempt {}", ctx.attempt()));
    items.iter().try_for_each(|item| item.parse::<u64>().map(drop))
}

#[event_hub_trigger("readings", name = "Batch")]
fn batch(events: Vec<EventHubEvent<u64>>, #[queue_output("sums")] sums: &mut Output<u64>) {
    sums.send(events.iter().map(|event| event.body).sum());
}

#[event_hub_trigger("readings")]
fn single(_event: EventHubEvent<String>) {}

#[event_hub_trigger("readings")]
fn unread() {}

#[event_grid_trigger]
fn grid(event: EventGridEvent<u64>, #[queue_output("numbers")] out: &mut Output<u64>) {
    out.send(event.data);
}

#[manual_trigger]
fn by_hand(ctx: TriggerContext, (id, reason): (String, String)) -> Result<()> {
    ctx.client().terminate(&id, &reason)
}

#[test]
fn triggers_are_described_by_their_bindings() {
    let check = |entry: Entry, name: &str, expected: Value| {
        assert_eq!(entry.name, name);
        assert_eq!(bindings(&entry), expected);
    };
    let place_bindings = json!([
        { "type": "httpTrigger", "direction": "in", "name": "request", "route": r#"shelves/{shelf:regex(^\d"+$)}"#,
          "methods": ["get", "post"], "authLevel": "anonymous" },
        { "type": "http", "direction": "out", "name": "$return" },
        { "type": "queue", "direction": "out", "name": "placed", "queueName": "placed-items" },
    ]);
    check(place::entry(), "place", place_bindings);
    let http = json!([
        { "type": "httpTrigger", "direction": "in", "name": "req" },
        { "type": "http", "direction": "out", "name": "$return" },
    ]);
    check(bare::entry(), "Bare", http.clone());
    check(greeting::entry(), "greeting", http);
    let timer = json!([
        { "type": "timerTrigger", "direction": "in", "name": "timer", "schedule": "0 */5 * * * *", "runOnStartup": true,
          "useMonitor": false },
        { "type": "eventHub", "direction": "out", "name": "type", "eventHubName": "ticks" },
    ]);
    check(tick::entry(), "tick", timer);
    let queue = json!([{ "type": "queueTrigger", "direction": "in", "name": "items", "queueName": "orders" }]);
    check(take::entry(), "take", queue);
    let hub = |name, cardinality| json!({ "type": "eventHubTrigger", "direction": "in", "name": name, "eventHubName": "readings", "cardinality": cardinality });
    let sums = json!({ "type": "queue", "direction": "out", "name": "sums", "queueName": "sums" });
    check(batch::entry(), "Batch", json!([hub("events", "many"), sums]));
    check(single::entry(), "single", json!([hub("_event", "one")]));
    let unread_bindings = json!([
        { "type": "eventHubTrigger", "direction": "in", "name": "events", "eventHubName": "readings" },
    ]);
    check(unread::entry(), "unread", unread_bindings);
    assert_eq!(bindings(&grid::entry())[0], json!({ "type": "eventGridTrigger", "direction": "in", "name": "event" }));
    let manual = json!([{ "type": "manualTrigger", "direction": "in", "name": "input" }]);
    check(by_hand::entry(), "by_hand", manual);
}

fn post(body: &str) -> Value {
    json!({ "method": "POST", "url": "http://localhost:7071/api/shelves", "body": body })
}

#[test]
fn an_http_trigger_starts_and_answers() {
    let hub = ScriptedClient::new();
    let output = run(place::entry(), &hub, &post("\"a lamp\"")).unwrap();
    let response = &output["response"];
    assert_eq!(output["outputs"], json!({ "placed": ["a lamp"] }));
    assert_eq!(response["status"], 202);
    let status = "http://localhost:7071/runtime/webhooks/durabletask/instances/order-17?taskHub=TestHubName&connection=Storage";
    let headers = json!([["location", status], ["retry-after", "10"], ["content-type", "application/json; charset=utf-8"],]);
    assert_eq!(response["headers"], headers);
    let body: Value = serde_json::from_str(response["body"].as_str().unwrap()).unwrap();
    assert_eq!((&body["id"], &body["statusQueryGetUri"]), (&json!("order-17"), &json!(status)));
    assert_eq!(body.as_object().unwrap().len(), 9, "the id and eight links");
    let start = ClientCall::StartOrchestration {
        name: "order".into(),
        input: json!("a lamp"),
        instance_id: Some("order-17".into()),
        version: None,
        start_at: None,
    };
    assert_eq!(hub.calls(), [start, ClientCall::ManagementLinks { instance_id: "order-17".into() }]);
}

#[test]
fn a_request_that_is_wrong_gets_a_400_and_sends_nothing() {
    let hub = ScriptedClient::new();
    let output = run(place::entry(), &hub, &post("[1]")).unwrap();
    let expected = "the body cannot be read as JSON: invalid type: sequence, expected a string at line 1 column 0";
    assert_eq!((&output["response"]["status"], &output["response"]["body"]), (&json!(400), &json!(expected)));
    assert_eq!((output.get("outputs"), hub.calls()), (None, vec![]));
}

#[test]
fn a_trigger_may_take_and_return_little() {
    let hub = ScriptedClient::new();
    assert_eq!(run(bare::entry(), &hub, &post("")), Ok(json!({ "response": { "status": 204 } })));
    let text = json!({ "status": 200, "headers": [["content-type", "text/plain; charset=utf-8"]], "body": "Hello!" });
    assert_eq!(run(greeting::entry(), &hub, &post("")), Ok(json!({ "response": text })));
    assert_eq!(run(unread::entry(), &hub, &json!({ "messages": [] })), Ok(json!({})));
}

#[test]
fn other_triggers_send_to_outputs_or_fail() {
    let hub = ScriptedClient::new();
    let timer = json!({ "isPastDue": false, "scheduleStatus": { "next": "1970-01-01T00:00:01Z" } });
    assert_eq!(run(tick::entry(), &hub, &timer), Ok(json!({ "outputs": { "type": ["1970-01-01T00:00:01.000Z"] } })));
    let events = json!({ "messages": ["1", "2"], "metadata": [{ "sequenceNumber": 1, "offset": 40 }] });
    assert_eq!(run(batch::entry(), &hub, &events), Ok(json!({ "outputs": { "sums": [3] } })));
    let event = json!({ "event": { "id": "1", "type": "Placed", "data": 5 } });
    assert_eq!(run(grid::entry(), &hub, &event), Ok(json!({ "outputs": { "out": [5] } })));
    assert_eq!(run(take::entry(), &hub, &json!({ "message": "[\"1\"]" })), Ok(json!({})));
    let failed = run(take::entry(), &hub, &json!({ "message": "[\"x\"]" })).unwrap_err();
    assert_eq!(failed.to_string(), "ParseIntError: invalid digit found in string");
    let unread = run(take::entry(), &hub, &json!({ "message": "x" })).unwrap_err();
    assert_eq!(unread.to_string(), "InvalidInput: `take` cannot read its input: expected value at line 1 column 1");
    let from_host = run(take::entry(), &hub, &json!({ "messages": "x" })).unwrap_err();
    assert!(from_host.message.starts_with("`take` cannot read its input from the host: missing field `message`"), "{from_host}");
}

#[test]
fn an_app_finds_its_triggers_by_name() {
    let context = TriggerContext::for_test("other", ScriptedClient::new().client());
    let failure = app::run_trigger(&[bare::entry()], context, "{}".to_owned()).unwrap_err();
    assert_eq!(failure.to_string(), "TriggerNotFound: this app has no trigger `other`");
    let described = crate::exports::describe(&[bare::entry(), order::entry()]);
    assert_eq!(described.iter().map(|function| &*function.name).collect::<Vec<_>>(), ["order"]);
    let triggers = crate::exports::describe_triggers(&[bare::entry(), order::entry()]);
    assert_eq!(triggers.iter().map(|trigger| &*trigger.name).collect::<Vec<_>>(), ["Bare"]);
}

#[test]
fn every_call_of_the_client_is_recorded() {
    let hub = ScriptedClient::new().entity(EntityId::new("Counter", "a"), 7);
    let client = &hub.client();
    let (id, counter, at) = ("order-17", EntityId::new("Counter", "a"), Timestamp::from_millis(1_000));
    let filter = InstanceFilter::new().function_name("order");
    let start = client.start_orchestration_named("order", &1).version("2").start_at(at).start();
    assert_eq!(start, Ok("instance-1".to_owned()));
    assert_eq!(client.get_status_with(id, &StatusOptions::new().show_history(true)), Ok(None));
    assert_eq!(client.list_instances(&filter).map(|page| page.instances.len()), Ok(0));
    client.raise_event(id, "Approval", &true).unwrap();
    client.terminate(id, "t").unwrap();
    client.suspend(id, "s").unwrap();
    client.resume(id, "r").unwrap();
    client.rewind(id, "w").unwrap();
    assert_eq!(client.restart(id), Ok("instance-2".to_owned()));
    assert_eq!(client.restart_as(id, "new"), Ok("new".to_owned()));
    assert_eq!((client.purge(id), client.purge_instances(&filter)), (Ok(false), Ok(0)));
    assert_eq!(client.wait_for_completion(id, Duration::from_secs(2)), Ok(None));
    client.signal_entity(&counter, "add", &2).unwrap();
    client.signal_entity_at(&counter, "add", &3, at).unwrap();
    client.enqueue("orders", ["a \"lamp\""]).unwrap();
    client.enqueue_at("orders", [json!({ "item": "a lamp" }), json!(["a"]), json!("b"), json!(1)], at).unwrap();
    assert_eq!(client.read_entity::<u64>(&counter), Ok(Some(7)));
    let listed: Result<Vec<_>> = client.entities(EntityFilter::new()).map(|entity| entity.map(|entity| entity.state)).collect();
    assert_eq!(listed, Ok(vec![json!(7)]));
    let (instance_id, reason) = (|| id.to_owned(), |text: &str| text.to_owned());
    let signal = |input: u64, deliver_at| ClientCall::SignalEntity {
        entity: counter.clone(),
        operation: "add".into(),
        input: json!(input),
        deliver_at,
    };
    let expected = [
        ClientCall::StartOrchestration {
            name: "order".into(),
            input: json!(1),
            instance_id: None,
            version: Some("2".into()),
            start_at: Some(at),
        },
        ClientCall::GetStatus { instance_id: instance_id(), options: StatusOptions::new().show_history(true) },
        ClientCall::ListInstances { filter: filter.clone() },
        ClientCall::RaiseEvent { instance_id: instance_id(), name: "Approval".into(), data: json!(true) },
        ClientCall::Terminate { instance_id: instance_id(), reason: reason("t") },
        ClientCall::Suspend { instance_id: instance_id(), reason: reason("s") },
        ClientCall::Resume { instance_id: instance_id(), reason: reason("r") },
        ClientCall::Rewind { instance_id: instance_id(), reason: reason("w") },
        ClientCall::Restart { instance_id: instance_id(), new_instance_id: None },
        ClientCall::Restart { instance_id: instance_id(), new_instance_id: Some("new".into()) },
        ClientCall::Purge { instance_id: instance_id() },
        ClientCall::PurgeInstances { filter: filter.clone() },
        ClientCall::WaitForCompletion { instance_id: instance_id(), timeout: Duration::from_secs(2) },
        signal(2, None),
        signal(3, Some(at)),
        ClientCall::Enqueue { queue: "orders".into(), messages: vec!["a \"lamp\"".into()], deliver_at: None },
        ClientCall::Enqueue {
            queue: "orders".into(),
            messages: [r#"{"item":"a lamp"}"#, r#"["a"]"#, "b", "1"].map(String::from).into(),
            deliver_at: Some(at),
        },
        ClientCall::ReadEntity { entity: counter.clone() },
        ClientCall::ListEntities { filter: EntityFilter::new() },
    ];
    assert_eq!(hub.calls(), expected);
}

#[test]
fn a_list_goes_on_to_its_end_or_its_first_failure() {
    let pages = |fails: bool| {
        let asked = AtomicU32::new(0);
        ScriptedClient::new().answer(move |call| {
            let ClientCall::ListInstances { filter } = call else { return None };
            let page = asked.fetch_add(1, Ordering::Relaxed);
            let expected = [None, Some("a"), Some("b")][page as usize];
            assert_eq!(filter.continuation_token.as_deref(), expected);
            let status = |id: &str| json!(OrchestrationStatus::new("order", id));
            Some(match page {
                0 => Ok(json!({ "instances": [status("1"), status("2")], "continuationToken": "a" })),
                1 if fails => Err(Failure::new("Unavailable", "later")),
                1 => Ok(json!({ "instances": [], "continuationToken": "b" })),
                _ => Ok(json!({ "instances": [status("3")], "continuationToken": null })),
            })
        })
    };
    let listed = |fails| {
        let client = pages(fails).client();
        let ids = client.instances(InstanceFilter::new()).map(|item| item.map(|item| item.instance_id));
        ids.map(|id| id.map_err(|failure| failure.error_type)).collect::<Vec<_>>()
    };
    let id = |id: &str| Ok(id.to_owned());
    assert_eq!(listed(false), [id("1"), id("2"), id("3")]);
    assert_eq!(listed(true), [id("1"), id("2"), Err("Unavailable".to_owned())]);
}

#[test]
fn a_wait_answers_with_the_output_the_status_or_the_links() {
    let answer = |status: RuntimeStatus| {
        let mut order = OrchestrationStatus::new("order", "order-17");
        (order.runtime_status, order.output) = (status, json!({ "sent": true }));
        let client = ScriptedClient::new().instance(order).client();
        client.wait_for_completion_or_create_check_status_response("order-17", Duration::from_secs(1)).unwrap()
    };
    let completed = answer(RuntimeStatus::Completed);
    assert_eq!((completed.status, completed.body_text().unwrap()), (200, r#"{"sent":true}"#));
    let failed = answer(RuntimeStatus::Failed);
    let status: OrchestrationStatus = failed.body_json().unwrap();
    assert_eq!((failed.status, status.runtime_status), (500, RuntimeStatus::Failed));
    assert_eq!(answer(RuntimeStatus::Terminated).status, 200);
    let running = answer(RuntimeStatus::Running);
    assert_eq!((running.status, running.get_header("Retry-After")), (202, Some("10")));
    let client = ScriptedClient::new().client();
    let missing = client.wait_for_completion_or_create_check_status_response("order-17", Duration::ZERO).unwrap();
    assert_eq!(missing.status, 404);
}

#[test]
fn json_of_the_host_that_is_wrong_is_told() {
    let hub = ScriptedClient::new().answer(|_| Some(Ok(json!({ "name": "order" }))));
    let failure = hub.client().get_status("order-17").unwrap_err();
    let expected = "the host's answer cannot be read as the status of 'order-17': missing field `instanceId` at line 1 column 16";
    assert_eq!((&*failure.error_type, &*failure.message), ("InvalidOutput", expected));
    assert_eq!(failure.details.as_deref(), Some(r#"{"name":"order"}"#));
    assert!(!failure.retriable);
    let failure = hub.client().read_entity::<u64>(&EntityId::new("Counter", "a")).unwrap_err();
    assert!(failure.message.starts_with("the host's answer cannot be read as the state of @counter@a, a u64: "), "{failure}");
}

#[test]
fn what_is_refused_reaches_the_trigger() {
    let hub = ScriptedClient::new().answer(|_| Some(Err(Failure::new("NotGranted", "ask the administrator"))));
    let failure = run(by_hand::entry(), &hub, &json!({ "input": "[\"order-17\", \"enough\"]" })).unwrap_err();
    assert!(failure.is("NotGranted"));
    let terminate = ClientCall::Terminate { instance_id: "order-17".into(), reason: "enough".into() };
    assert_eq!(hub.calls(), [terminate]);
}

#[test]
fn an_activity_has_the_client_too() {
    let hub = ScriptedClient::new();
    let context = ActivityContext::for_test("work", "order-17", 3, 1);
    let without = context.start_orchestration_named("order", &1).start().unwrap_err();
    assert_eq!(without.error_type, "Unsupported");
    let context = context.with_client(hub.client());
    assert_eq!(context.start_orchestration::<order>("a lamp".to_owned()).instance_id("i").start(), Ok("i".to_owned()));
    assert_eq!(context.management_links("i").unwrap().id, "i");
    assert_eq!(hub.calls().len(), 2);
}
