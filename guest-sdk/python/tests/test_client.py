"""The client of an activity, and its requests to the host."""

import json
import unittest

import azure.durable_functions as df
import azure.functions as func
from dacapo.failure import Failure
from dacapo.testing import Script, StartOrchestration, run_activity

app = df.DFApp()

INSTANCE = "http://localhost/runtime/webhooks/durabletask/instances/a%20b"
QUERY = "taskHub=TestHubName&connection=Storage"


@app.activity_trigger(input_name="order")
@app.durable_client_input(client_name="client")
async def start_order(order: dict, client: df.DurableOrchestrationClient) -> str:
    return await client.start_new("fulfil", order["id"], order, "2.0")


def asked(ask, *answers):
    """The result of a client's method, and the one request that it made."""

    @app.activity_trigger(input_name="nothing")
    @app.durable_client_input(client_name="client")
    async def activity(nothing, client):
        given.append(await ask(client))

    given = []
    script = Script().http(*({"statusCode": code, "headers": {}, "content": content} for code, content in answers))
    run = run_activity(activity, script=script)
    request = json.loads(run.actions[0].request)
    return given[0], (request["method"], request["uri"], request.get("content"))


class Starting(unittest.TestCase):
    def test_it_starts_orchestrations(self):
        run = run_activity(start_order, {"id": "o-1"})
        self.assertEqual(run.result, "o-1")
        self.assertEqual(run.actions, [StartOrchestration("fulfil", '{"id":"o-1"}', "o-1", "2.0")])

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
        status, request = asked(lambda client: client.get_status("a b", show_history=True), (202, answer))
        self.assertTrue(status)
        self.assertIs(status.runtime_status, df.OrchestrationRuntimeStatus.Running)
        self.assertEqual((status.custom_status, status.created_time.year), ({"step": 1}, 2026))
        self.assertEqual((status.history, status.historyEvents), (events, events))
        shown = "showHistory=True&showHistoryOutput=False&showInput=False"
        self.assertEqual(request, ("GET", f"{INSTANCE}?{QUERY}&{shown}", None))

    def test_the_status_of_no_instance_is_false(self):
        status, _ = asked(lambda client: client.get_status("a b"), (404, ""))
        self.assertFalse(status)
        self.assertIsNone(status.runtime_status)

    def test_an_event(self):
        _, request = asked(lambda client: client.raise_event("a b", "Go/on", {"n": 1}), (202, ""))
        self.assertEqual(request, ("POST", f"{INSTANCE}/raiseEvent/Go%2Fon?{QUERY}", '{"n":1}'))
        _, request = asked(lambda client: client.raise_event("a b", "Go"), (202, ""))
        self.assertEqual(request[2], "null")

    def test_reasons(self):
        for verb in ("terminate", "suspend", "resume", "rewind"):
            _, request = asked(lambda client, verb=verb: getattr(client, verb)("a b", "late & last"), (202, ""))
            self.assertEqual(request, ("POST", f"{INSTANCE}/{verb}?reason=late%20%26%20last&{QUERY}", None))

    def test_what_has_ended_is_left_as_it_is(self):
        for verb in ("terminate", "suspend", "resume"):
            asked(lambda client, verb=verb: getattr(client, verb)("a b", ""), (410, ""))

    def test_restart(self):
        given, request = asked(lambda client: client.restart("a b"), (202, '{"id": "new"}'))
        self.assertEqual(given, "new")
        self.assertEqual(request, ("POST", f"{INSTANCE}/restart?{QUERY}&restartWithNewInstanceId=True", None))

    def test_purge(self):
        purged, request = asked(lambda client: client.purge_instance_history("a b"), (200, '{"instancesDeleted": 1}'))
        self.assertEqual((purged.instances_deleted, request), (1, ("DELETE", f"{INSTANCE}?{QUERY}", None)))
        purged, _ = asked(lambda client: client.purge_instance_history("a b"), (404, ""))
        self.assertEqual(purged.instances_deleted, 0)

    def test_the_state_of_an_entity(self):
        def read(client):
            return client.read_entity_state(df.EntityId("Counter", "a"))

        def answer(input_):
            return json.dumps({**self.STATUS, "input": input_})

        given, (_, uri, _) = asked(read, (200, answer({"exists": True, "state": '{"n":5}'})))
        self.assertEqual((given.entity_exists, given.entity_state), (True, {"n": 5}))
        self.assertIn("/instances/%40counter%40a?", uri)
        for nothing in ((200, answer({"exists": False, "state": None})), (404, "")):
            given, _ = asked(read, nothing)
            self.assertEqual((given.entity_exists, given.entity_state), (False, None))

    def test_refusals_have_types_and_the_words_of_the_host(self):
        for ask, code, content, kind, words in (
            (lambda client: client.raise_event("i", "e"), 404, "", "InstanceNotFound", "No instance with ID i found."),
            (lambda client: client.raise_event("i", "e"), 410, "", "InvalidOperation", "either completed or failed"),
            (
                lambda client: client.rewind("i", ""),
                412,
                '"it has not failed"',
                "InvalidOperation",
                "it has not failed",
            ),
            (
                lambda client: client.suspend("i", ""),
                500,
                '{"Message": "x", "ExceptionMessage": "twice"}',
                "InvalidOperation",
                "twice",
            ),
            (lambda client: client.get_status("i"), 429, "later", "HttpRequestFailed", "answers 429 for i: later"),
        ):
            with self.subTest(words), self.assertRaises(Failure) as refused:
                asked(ask, (code, content))
            self.assertEqual(refused.exception.error_type, kind)
            self.assertIn(words, refused.exception.message)

    def test_a_host_that_is_not_reached_is_told_without_the_token_of_the_link(self):
        @app.activity_trigger(input_name="id")
        @app.durable_client_input(client_name="client")
        async def ask(id, client):
            return await client.get_status(id)

        script = Script().http(lambda request: df.Failure("HttpRequestFailed", f"`{request['uri']}`: not allowed"))
        with self.assertRaises(Failure) as refused:
            run_activity(ask, "a b", script=script)
        self.assertEqual(refused.exception.message, f"`{INSTANCE}`: not allowed")

    def test_what_needs_rights_on_the_whole_hub_is_refused(self):
        for ask in (
            lambda client: client.get_status_all(),
            lambda client: client.get_status_by(runtime_status=[df.OrchestrationRuntimeStatus.Failed]),
            lambda client: client.purge_instance_history_by(created_time_from=None),
            lambda client: client.signal_entity(df.EntityId("counter", "a"), "add", 1),
        ):
            with self.assertRaisesRegex(Failure, "^Unsupported: an activity cannot call"):
                asked(ask)

    def test_arguments_are_refused_by_their_names_and_text_is_mended(self):
        def use(act):
            async def activity(how, client):
                await act(client)

            return run_activity(activity, script=Script().http({"statusCode": 202, "headers": {}, "content": ""})).actions

        for words, act in {
            "TypeError: event_name must be a str, not int (5)": lambda client: client.raise_event("a", 5),
            "TypeError: event_name must be a str, not None": lambda client: client.raise_event("a", None),
            "TypeError: instance_id must be a str": lambda client: client.raise_event(5, "x"),
            "TypeError: reason must be a str, not None": lambda client: client.terminate("a", None),
            "TypeError: reason must be a str, not int (5)": lambda client: client.suspend("a", 5),
            "TypeError: entityId must be a EntityId, not str": lambda client: client.read_entity_state("x"),
            "ValueError: the name of a function": lambda client: client.start_new(""),
            "TypeError: timeout_in_milliseconds must be a number": lambda client: (
                client.wait_for_completion_or_create_check_status_response(None, "a", "x")
            ),
        }.items():
            with self.assertRaises(Failure) as raised:
                use(act)
            self.assertIn(words, str(raised.exception))

        (request,) = use(lambda client: client.raise_event("a", "x\ud83d"))
        self.assertIn("/raiseEvent/x%EF%BF%BD?", request.request)
        (request,) = use(lambda client: client.terminate("a", "x\ud83d"))
        self.assertIn("reason=x%EF%BF%BD&", request.request)

    def test_no_event_without_a_name(self):
        with self.assertRaisesRegex(Failure, "ValueError: event_name must be a non-empty string"):
            asked(lambda client: client.raise_event("i", ""))


class Responses(unittest.TestCase):
    def test_the_response_that_tells_where_to_ask(self):
        async def main(nothing, starter):
            response = df.DurableOrchestrationClient(starter).create_check_status_response(None, "a b")
            return [response.status_code, response.headers["Location"], json.loads(response.get_body())["id"]]

        self.assertEqual(run_activity(main).result, [202, f"{INSTANCE}?{QUERY}", "a b"])

    def test_links_at_the_origin_of_a_request(self):
        request = func.HttpRequest("GET", "https://example.org/api/start")

        def main(nothing, starter):
            links = df.DurableOrchestrationClient(starter).get_client_response_links(request, "a b")
            return [links["id"], links["terminatePostUri"]]

        at = INSTANCE.replace("http://localhost", "https://example.org")
        self.assertEqual(run_activity(main).result, ["a b", f"{at}/terminate?reason={{text}}&{QUERY}"])

    def test_waiting_for_the_end(self):
        def answer(status, output=None):
            return json.dumps({**Instances.STATUS, "runtimeStatus": status, "output": output})

        def wait(client):
            return client.wait_for_completion_or_create_check_status_response(None, "a b", 200, 1)

        response, _ = asked(wait, (202, answer("Running")), (200, answer("Completed", {"n": 1})))
        self.assertEqual((response.status_code, response.get_body()), (200, b'{"n": 1}'))
        response, _ = asked(wait, (200, answer("Completed", "as it is")))
        self.assertEqual(response.get_body(), b"as it is")
        response, _ = asked(wait, (200, answer("Failed", "it broke")))
        self.assertEqual((response.status_code, json.loads(response.get_body())["output"]), (500, "it broke"))
        response, _ = asked(wait, (202, answer("Running")))
        self.assertEqual(response.status_code, 202)


if __name__ == "__main__":
    unittest.main()
