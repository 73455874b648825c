"""The durable client, and its calls of the host."""

import asyncio
import json
import unittest
from datetime import datetime, timedelta, timezone

import azure.durable_functions as df
import azure.functions as func
from dacapo.failure import Failure
from dacapo.testing import ManageInstance, Script, SendEvent, SignalEntity, StartOrchestration, run_activity

app = df.DFApp()

INSTANCE = "http://localhost/runtime/webhooks/durabletask/instances/a%20b"
QUERY = "taskHub=TestHubName&connection=Storage"


@app.activity_trigger(input_name="order")
@app.durable_client_input(client_name="client")
async def start_order(order: dict, client: df.DurableOrchestrationClient) -> str:
    return await client.start_new("fulfil", order["id"], order, "2.0")


class Host:
    """A `dacapo.host.Client` that keeps its calls, and gives the next answer to each, or raises it."""

    def __init__(self, *answers):
        self.calls = []
        self._answers = list(answers)

    def links(self, instance_id):
        return json.dumps({"id": instance_id, "statusQueryGetUri": f"http://h/instances/{instance_id}?taskHub=Orders"})

    def __getattr__(self, name):
        def call(*arguments):
            self.calls.append((name, *arguments))
            answer = self._answers.pop(0) if self._answers else None
            if isinstance(answer, Exception):
                raise answer
            return answer

        return call


def asked(ask, *answers):
    """The result of a client's method, and the calls of the host that it made."""
    host = Host(*answers)
    return asyncio.run(ask(df.DurableOrchestrationClient(host))), host.calls


class Scripted(unittest.TestCase):
    def test_a_script_has_pages(self):
        @app.activity_trigger(input_name="top")
        @app.durable_client_input(client_name="client")
        async def survey(top: int, client: df.DurableOrchestrationClient) -> list:
            await client.start_new("later", "c", start_at=datetime(2026, 1, 2, tzinfo=timezone.utc))
            first = await client.list_instances(top=top)
            rest = await client.list_instances(top=top, continuation_token=first.continuation_token)
            found = [[status.instance_id for status in page.instances] for page in (first, rest)]
            page = await client.list_entities(entity_name="Counter", fetch_state=True)
            ended = await client.wait_for_completion("b")
            return [*found, rest.continuation_token, [entity.state for entity in page.entities], ended.output]

        script = Script().instance("a", "order").instance("b", "order", runtime_status="Completed", output=1)
        script.entity_state(df.EntityId("counter", "x"), 5).entity_state(df.EntityId("other", "x"), 6)
        run = run_activity(survey, 2, script=script)
        self.assertEqual(run.result, [["a", "b"], ["c"], None, [5], 1])
        self.assertEqual(run.actions[0].start_at, datetime(2026, 1, 2, tzinfo=timezone.utc))


class Starting(unittest.TestCase):
    def test_it_starts_orchestrations(self):
        run = run_activity(start_order, {"id": "o-1"})
        self.assertEqual(run.result, "o-1")
        self.assertEqual(run.actions, [StartOrchestration("fulfil", '{"id":"o-1"}', "o-1", "2.0")])

    def test_a_client_starts_by_its_own_interface(self):
        given, calls = asked(lambda client: client.start_new("fulfil", client_input=[1]), "i-1")
        self.assertEqual((given, calls), ("i-1", [("start_orchestration", "fulfil", "[1]", None, None, None)]))

    def test_an_id_that_is_taken_is_a_failure_with_a_type(self):
        @app.activity_trigger(input_name="id")
        def twice(id, context: df.ActivityCall):
            first = context.start_orchestration("mailbox", None, id)
            try:
                context.start_orchestration("mailbox", None, id)
            except df.Failure as failure:
                return [first, failure.error_type]

        self.assertEqual(run_activity(twice, "x").result, ["x", "InstanceAlreadyExists"])

    def test_a_function_is_started_by_itself_and_without_an_id_gets_one(self):
        @app.orchestration_trigger(context_name="context", orchestration="Fulfil")
        def fulfil(context): ...

        @app.activity_trigger(input_name="n")
        async def several(n, context: df.ActivityCall):
            return [context.start_orchestration(fulfil, str(i)) for i in range(n)]

        run = run_activity(several, 2)
        self.assertEqual(len(set(run.result)), 2)
        # JSON in a string would be decoded by a Python orchestrator, so it is encoded once more.
        self.assertEqual(
            [(action.name, action.input) for action in run.actions], [("Fulfil", '"\\"0\\""'), ("Fulfil", '"\\"1\\""')]
        )

    def test_an_input_arrives_as_it_was_given(self):
        def orchestrator(context):
            return context.get_input()

        for input_ in (None, 5, "text", "5", '{"a": 1}', {"a": [1]}, [], False):
            _, ((_, _, sent, *_),) = asked(
                lambda client, input_=input_: client.start_new("o", client_input=input_), "i"
            )
            run = Script().run(orchestrator, json.loads(sent) if not isinstance(input_, str) else input_)
            self.assertEqual(run.output, input_)

    def test_the_older_model_makes_a_client_of_what_it_is_given(self):
        async def main(name: str, starter: str) -> str:
            client = df.DurableOrchestrationClient(starter)
            return await client.start_new(name, client_input=[1])

        (started,) = run_activity(main, "child").actions
        self.assertEqual((started.name, started.input, started.version), ("child", "[1]", None))

    def test_a_scripted_orchestration_runs_activities_with_clients(self):
        def orchestrator(context):
            return (yield context.call_activity(start_order, {"id": "o-2"}))

        self.assertEqual(Script().activity(start_order).run(orchestrator).output, "o-2")


class Instances(unittest.TestCase):
    STATUS = {
        "name": "fulfil",
        "instanceId": "a b",
        "runtimeStatus": "Running",
        "input": None,
        "customStatus": {"step": 1},
        "output": None,
        "createdTime": "2026-01-02T03:04:05Z",
        "lastUpdatedTime": "2026-01-02T03:04:06Z",
    }

    def test_status(self):
        events = [{"EventType": "ExecutionStarted"}]
        answer = json.dumps({**self.STATUS, "history": events, "historyEvents": events})
        status, ((name, instance_id, options),) = asked(
            lambda client: client.get_status("a b", show_history=True), answer
        )
        self.assertTrue(status)
        self.assertIs(status.runtime_status, df.OrchestrationRuntimeStatus.Running)
        self.assertEqual((status.custom_status, status.created_time.year), ({"step": 1}, 2026))
        self.assertEqual((status.history, status.historyEvents), (events, events))
        self.assertEqual((name, instance_id), ("get_status", "a b"))
        self.assertEqual(json.loads(options), {"showHistory": True, "showHistoryOutput": False, "showInput": False})

    def test_the_status_of_no_instance_is_false(self):
        status, _ = asked(lambda client: client.get_status("a b"), "null")
        self.assertFalse(status)
        self.assertIsNone(status.runtime_status)

    def test_all_pages_of_instances_are_read(self):
        pages = [
            {"instances": [self.STATUS], "continuationToken": "next"},
            {"instances": [{**self.STATUS, "instanceId": "c"}], "continuationToken": None},
        ]
        statuses, calls = asked(lambda client: client.get_status_all(), *map(json.dumps, pages))
        self.assertEqual([status.instance_id for status in statuses], ["a b", "c"])
        self.assertEqual([json.loads(filter_) for _, filter_ in calls], [{}, {"continuationToken": "next"}])

    def test_instances_by_a_filter(self):
        at = datetime(2026, 1, 2, 3, 4, 5, 6000)
        statuses, ((_, filter_),) = asked(
            lambda client: client.get_status_by(
                at,
                (at + timedelta(days=1)).replace(tzinfo=timezone(timedelta(hours=1))),
                [df.OrchestrationRuntimeStatus.Failed, df.OrchestrationRuntimeStatus.Running],
                "order-",
            ),
            json.dumps({"instances": [], "continuationToken": None}),
        )
        self.assertEqual(statuses, [])
        expected = {
            "createdTimeFrom": "2026-01-02T03:04:05.006000Z",
            "createdTimeTo": "2026-01-03T02:04:05.006000Z",
            "runtimeStatus": ["Failed", "Running"],
            "instanceIdPrefix": "order-",
        }
        self.assertEqual(json.loads(filter_), expected)

    def test_an_event(self):
        _, calls = asked(lambda client: client.raise_event("a b", "Go/on", {"n": 1}))
        self.assertEqual(calls, [("raise_event", "a b", "Go/on", '{"n":1}')])
        _, calls = asked(lambda client: client.raise_event("a b", "Go"))
        self.assertEqual(calls, [("raise_event", "a b", "Go", "null")])

    def test_reasons(self):
        for verb in ("terminate", "suspend", "resume", "rewind"):
            _, calls = asked(lambda client, verb=verb: getattr(client, verb)("a b", "late & last"))
            self.assertEqual(calls, [(verb, "a b", "late & last")])

    def test_what_has_ended_is_left_as_it_is(self):
        for verb in ("terminate", "suspend", "resume"):
            asked(lambda client, verb=verb: getattr(client, verb)("a b", ""), Failure("InstanceEnded", "it has ended"))

    def test_a_refusal_is_a_failure_with_a_type(self):
        for ask, kind in (
            (lambda client: client.raise_event("i", "e"), "InstanceNotFound"),
            (lambda client: client.raise_event("i", "e"), "InstanceEnded"),
            (lambda client: client.terminate("i", ""), "InstanceNotFound"),
            (lambda client: client.rewind("i", ""), "NotRewindable"),
            (lambda client: client.rewind("i", ""), "InstanceEnded"),
            (lambda client: client.purge_instance_history("i"), "InstanceNotEnded"),
            (lambda client: client.get_status("i"), "NotGranted"),
        ):
            with self.subTest(kind), self.assertRaises(Failure) as refused:
                asked(ask, Failure(kind, "no"))
            self.assertEqual(refused.exception.error_type, kind)

    def test_a_refusal_has_the_text_of_the_original(self):
        for ask, kind, text in (
            (lambda client: client.raise_event("i", "e"), "InstanceNotFound", "No instance with ID i found."),
            (
                lambda client: client.raise_event("i", "e"),
                "InstanceEnded",
                "Instance with ID i is gone: either completed or failed",
            ),
            (lambda client: client.terminate("i", ""), "InstanceNotFound", "No instance with ID 'i' found."),
            (lambda client: client.suspend("i", ""), "InstanceNotFound", "No instance with ID 'i' found."),
            (lambda client: client.resume("i", ""), "InstanceNotFound", "No instance with ID 'i' found."),
            (lambda client: client.restart("i"), "InstanceNotFound", "No instance with ID 'i' found."),
            (lambda client: client.rewind("i", ""), "InstanceNotFound", "No instance with ID i found."),
            (lambda client: client.rewind("i", ""), "NotRewindable", "it is Completed"),
            (lambda client: client.start_new("o"), "OrchestratorNotFound", "The function 'o' doesn't exist"),
            (lambda client: client.purge_instance_history("i"), "InstanceNotEnded", "it is Running"),
        ):
            with self.subTest(text), self.assertRaises(Failure) as refused:
                asked(ask, Failure(kind, text if kind not in ("InstanceNotFound", "InstanceEnded") else "no"))
            self.assertEqual((refused.exception.error_type, str(refused.exception)), (kind, text))

    def test_restart(self):
        self.assertEqual(asked(lambda client: client.restart("a"), "new"), ("new", [("restart", "a", None)]))
        self.assertEqual(asked(lambda client: client.restart("a", False), "a"), ("a", [("restart", "a", "a")]))

    def test_purge(self):
        purged, calls = asked(lambda client: client.purge_instance_history("a b"), True)
        self.assertEqual((purged.instances_deleted, calls), (1, [("purge", "a b")]))
        purged, _ = asked(lambda client: client.purge_instance_history("a b"), False)
        self.assertEqual(purged.instances_deleted, 0)

    def test_purge_by_a_filter(self):
        at = datetime(2026, 1, 2, tzinfo=timezone.utc)
        completed = df.OrchestrationRuntimeStatus.Completed
        purged, ((name, filter_),) = asked(
            lambda client: client.purge_instance_history_by(at, runtime_status=[completed]), 3
        )
        self.assertEqual((purged.instances_deleted, name), (3, "purge_instances"))
        expected = {"createdTimeFrom": "2026-01-02T00:00:00.000000Z", "runtimeStatus": ["Completed"]}
        self.assertEqual(json.loads(filter_), expected)
        with self.assertRaisesRegex(ValueError, "created_time_from is required"):
            asked(lambda client: client.purge_instance_history_by(created_time_to=at))

    def test_what_the_original_lacks(self):
        at = datetime(2026, 1, 2, tzinfo=timezone.utc)
        time = "2026-01-02T00:00:00.000000Z"
        _, calls = asked(lambda client: client.start_new("fulfil", start_at=at), "i-1")
        self.assertEqual(calls, [("start_orchestration", "fulfil", "null", None, None, at)])
        _, calls = asked(lambda client: client.restart("a", new_instance_id="b"), "b")
        self.assertEqual(calls, [("restart", "a", "b")])
        status, calls = asked(lambda client: client.wait_for_completion("a b", 500), json.dumps(self.STATUS))
        self.assertEqual((status.instance_id, calls), ("a b", [("wait_for_completion", "a b", 500)]))
        self.assertFalse(asked(lambda client: client.wait_for_completion("a b"), "null")[0])
        _, ((_, filter_),) = asked(
            lambda client: client.purge_instance_history_by(
                at, instance_id_prefix="o", function_name="fulfil", version="2"
            ),
            0,
        )
        expected = {"instanceIdPrefix": "o", "functionName": "fulfil", "version": "2", "createdTimeFrom": time}
        self.assertEqual(json.loads(filter_), expected)

        page, ((_, filter_),) = asked(
            lambda client: client.list_instances(
                function_name="fulfil", show_input=False, top=1, continuation_token="here"
            ),
            json.dumps({"instances": [self.STATUS], "continuationToken": "there"}),
        )
        self.assertEqual(([found.instance_id for found in page.instances], page.continuation_token), (["a b"], "there"))
        expected = {"functionName": "fulfil", "showInput": False, "top": 1, "continuationToken": "here"}
        self.assertEqual(json.loads(filter_), expected)

        entity = {"entityId": {"name": "counter", "key": "a"}, "lastOperationTime": "2026-01-02T00:00:00Z", "state": 5}
        page, ((_, filter_),) = asked(
            lambda client: client.list_entities(entity_name="Counter", last_operation_time_from=at, fetch_state=True),
            json.dumps({"entities": [entity], "continuationToken": None}),
        )
        (found,) = page.entities
        self.assertEqual((found.entity_id, found.last_operation_time), (df.EntityId("counter", "a"), at))
        self.assertEqual((found.state, page.continuation_token), (5, None))
        expected = {"fetchState": True, "entityName": "Counter", "lastOperationTimeFrom": time}
        self.assertEqual(json.loads(filter_), expected)

    def test_an_operation_of_an_entity(self):
        counter = df.EntityId("Counter", "a")
        _, calls = asked(lambda client: client.signal_entity(counter, "add", 0))
        self.assertEqual(calls, [("signal_entity", counter, "add", "0", None)])
        at = datetime(2026, 1, 2, tzinfo=timezone.utc)
        _, calls = asked(lambda client: client.signal_entity(counter, "reset", deliver_at=at))
        self.assertEqual(calls, [("signal_entity", counter, "reset", "null", at)])

    def test_messages_are_texts_or_json(self):
        for messages, texts in (("a", ["a"]), ({"n": 1}, ['{"n":1}']), (["a", 1, ["b"]], ["a", "1", '["b"]']), ([], [])):
            _, calls = asked(lambda client, messages=messages: client.enqueue("orders", messages))
            self.assertEqual(calls, [("enqueue", "orders", texts, None)])
        at = datetime(2026, 1, 2, tzinfo=timezone.utc)
        _, calls = asked(lambda client: client.enqueue("orders", "later", deliver_at=at))
        self.assertEqual(calls, [("enqueue", "orders", ["later"], at)])
        with self.assertRaisesRegex(df.Failure, "a message for the queue `orders` cannot be written as JSON"):
            asked(lambda client: client.enqueue("orders", [object()]))

    def test_the_state_of_an_entity(self):
        counter = df.EntityId("Counter", "a")
        for answer, expected in (('{"n":5}', (True, {"n": 5})), ("null", (True, None)), (None, (False, None))):
            given, calls = asked(lambda client: client.read_entity_state(counter), answer)
            self.assertEqual((given.entity_exists, given.entity_state), expected)
            self.assertEqual(calls, [("read_entity", counter)])

    def test_another_task_hub_is_refused(self):
        counter = df.EntityId("counter", "a")
        for ask in (
            lambda client, hub: client.raise_event("i", "e", None, hub, "Storage"),
            lambda client, hub: client.rewind("i", "", hub, "Storage"),
            lambda client, hub: client.signal_entity(counter, "add", 1, hub, "Storage"),
            lambda client, hub: client.read_entity_state(counter, hub, "Storage"),
        ):
            for own in (None, "", "Orders", "orders"):
                _, calls = asked(lambda client, ask=ask, own=own: ask(client, own))
                self.assertEqual(len(calls), 1)
            with self.assertRaisesRegex(
                ValueError, "'Other', but a client reaches only its app's task hub, 'Orders'"
            ):
                asked(lambda client, ask=ask: ask(client, "Other"))

    def test_arguments_are_refused_by_their_names_and_text_is_mended(self):
        for words, act in {
            "TypeError: event_name must be a str, not int (5)": lambda client: client.raise_event("a", 5),
            "TypeError: event_name must be a str, not None": lambda client: client.raise_event("a", None),
            "TypeError: instance_id must be a str": lambda client: client.raise_event(5, "x"),
            "TypeError: reason must be a str, not None": lambda client: client.terminate("a", None),
            "TypeError: reason must be a str, not int (5)": lambda client: client.suspend("a", 5),
            "TypeError: entityId must be a EntityId, not str": lambda client: client.read_entity_state("x"),
            "TypeError: created_time_from must be a datetime": lambda client: client.get_status_by("2026-01-01"),
            "ValueError: 'Late' is not a valid": lambda client: client.get_status_by(runtime_status=["Late"]),
            "ValueError: event_name must be a non-empty string": lambda client: client.raise_event("i", ""),
            "ValueError: the name of a function": lambda client: client.start_new(""),
            "TypeError: timeout_in_milliseconds must be a number": lambda client: (
                client.wait_for_completion_or_create_check_status_response(None, "a", "x")
            ),
            "ValueError: timeout_in_milliseconds must be at least": lambda client: (
                client.wait_for_completion_or_create_check_status_response(None, "a", 10, 20)
            ),
        }.items():
            with self.subTest(words), self.assertRaises((TypeError, ValueError)) as raised:
                asked(act)
            self.assertIn(words, f"{type(raised.exception).__name__}: {raised.exception}")

        _, ((_, _, name, _),) = asked(lambda client: client.raise_event("a", "x\ud83d"))
        self.assertEqual(name, "x\ufffd")
        _, ((_, _, reason),) = asked(lambda client: client.terminate("a", "x\ud83d"))
        self.assertEqual(reason, "x\ufffd")


class Responses(unittest.TestCase):
    def test_the_response_that_tells_where_to_ask(self):
        async def main(nothing, starter):
            response = df.DurableOrchestrationClient(starter).create_check_status_response(None, "a b")
            return [response.status_code, response.headers["Location"], json.loads(response.get_body())["id"]]

        self.assertEqual(run_activity(main).result, [202, f"{INSTANCE}?{QUERY}", "a b"])

    def test_links_at_the_origin_of_a_request(self):
        def links_for(url):
            def main(nothing, starter):
                client = df.DurableOrchestrationClient(starter)
                links = client.get_client_response_links(func.HttpRequest("GET", url, body=b""), "a b")
                return [links["id"], links["terminatePostUri"]]

            return run_activity(main).result

        at = INSTANCE.replace("http://localhost", "https://example.org")
        self.assertEqual(links_for("https://example.org/api/start"), ["a b", f"{at}/terminate?reason={{text}}&{QUERY}"])
        self.assertEqual(links_for("/api/start"), ["a b", f"{INSTANCE}/terminate?reason={{text}}&{QUERY}"])

    def test_waiting_for_the_end(self):
        def answer(status, output=None):
            return json.dumps({**Instances.STATUS, "runtimeStatus": status, "output": output})

        def wait(client):
            return client.wait_for_completion_or_create_check_status_response(None, "a b", 200, 1)

        response, calls = asked(wait, answer("Completed", {"n": 1}))
        self.assertEqual((response.status_code, response.get_body()), (200, b'{"n": 1}'))
        self.assertEqual(calls, [("wait_for_completion", "a b", 200)])
        response, _ = asked(wait, answer("Completed", "as it is"))
        self.assertEqual(response.get_body(), b"as it is")
        response, _ = asked(wait, answer("Failed", "it broke"))
        self.assertEqual((response.status_code, json.loads(response.get_body())["output"]), (500, "it broke"))
        response, _ = asked(wait, answer("Terminated"))
        self.assertEqual(response.status_code, 200)
        response, _ = asked(wait, answer("Running"))
        self.assertEqual((response.status_code, response.headers["retry-after"]), (202, "10"))
        response, _ = asked(wait, "null")
        self.assertEqual((response.status_code, response.get_body()), (404, b""), "as the management API responds")


class ScriptedInstances(unittest.TestCase):
    """The task hub that `dacapo.testing` gives a client."""

    def run_with(self, script, ask):
        async def activity(nothing, client):
            given.append(await ask(client))

        given = []
        return run_activity(activity, script=script).actions, given[0]

    def test_instances_and_entities_are_found(self):
        script = Script().instance("a", "fulfil", custom_status=1, input_=[2]).instance("b", runtime_status="Failed")
        script.entity_state(df.EntityId("Counter", "k"), 5)

        async def ask(client):
            status, missing = await client.get_status("a", show_input=True), await client.get_status("c")
            failed = await client.get_status_by(runtime_status=[df.OrchestrationRuntimeStatus.Failed])
            state = await client.read_entity_state(df.EntityId("counter", "k"))
            return [
                status.name,
                status.custom_status,
                status.input_,
                bool(missing),
                failed[0].instance_id,
                state.entity_state,
            ]

        self.assertEqual(self.run_with(script, ask)[1], ["fulfil", 1, [2], False, "b", 5])

    def test_instances_are_managed(self):
        async def ask(client):
            await client.raise_event("a", "Go", 1)
            await client.suspend("a", "wait")
            await client.resume("a", "go")
            await client.terminate("a", "stop")
            await client.rewind("b", "again")
            await client.signal_entity(df.EntityId("counter", "k"), "add", 1)
            purged = await client.purge_instance_history_by(datetime(2020, 1, 1))
            return purged.instances_deleted, await client.restart("b")

        actions, given = self.run_with(Script().instance("a").instance("b", runtime_status="Failed"), ask)
        self.assertEqual(given, (1, "b:restarted"))
        expected = [
            SendEvent("a", "Go", "1"),
            ManageInstance("suspend", "a", "wait"),
            ManageInstance("resume", "a", "go"),
            ManageInstance("terminate", "a", "stop"),
            ManageInstance("rewind", "b", "again"),
            SignalEntity(df.EntityId("counter", "k"), "add", "1", None),
            ManageInstance("purge", "a"),
            ManageInstance("restart", "b"),
        ]
        self.assertEqual(actions, expected)

    def test_what_cannot_be_done_fails_as_on_the_host(self):
        script = Script().instance("a").instance("b", runtime_status="Completed")
        for ask, kind in (
            (lambda client: client.raise_event("c", "e"), "InstanceNotFound"),
            (lambda client: client.raise_event("b", "e"), "InstanceEnded"),
            (lambda client: client.rewind("a", ""), "NotRewindable"),
            (lambda client: client.purge_instance_history("a"), "InstanceNotEnded"),
            (lambda client: client.start_new("o", "a"), "InstanceAlreadyExists"),
            (lambda client: client.restart("a", False), "InstanceAlreadyExists"),
        ):
            with self.subTest(kind), self.assertRaises(Failure) as refused:
                self.run_with(script, ask)
            self.assertEqual(refused.exception.error_type, kind)

    def test_a_started_orchestration_ends_with_the_answer_of_the_script(self):
        async def ask(client):
            response = await client.wait_for_completion_or_create_check_status_response(
                None, await client.start_new("fulfil", client_input=2)
            )
            return response.status_code, response.get_body()

        script = Script().sub_orchestrator("fulfil", lambda n: n * 2)
        self.assertEqual(self.run_with(script, ask)[1], (200, b"4"))
        self.assertEqual(self.run_with(Script(), ask)[1][0], 202)
        script = Script().sub_orchestrator("fulfil", ValueError("no"))
        self.assertEqual(self.run_with(script, ask)[1][0], 500)


if __name__ == "__main__":
    unittest.main()
