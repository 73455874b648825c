"""Functions with triggers: how they are described, what they are given, and what they give."""

import base64
import json
import unittest
from datetime import datetime, timezone

import azure.durable_functions as df
import azure.functions as func
from dacapo import layout
from dacapo.calls import TriggerCall
from dacapo.failure import Failure
from dacapo.runner import Runner
from dacapo.testing import Script, StartOrchestration, run_trigger


def declared(app):
    """The functions of an app, as the component finds them."""
    found = layout.App()
    for declaration in app.declarations():
        found.add(declaration)
    return found.check()


def bindings_of(app):
    """The bindings by which the one trigger of an app is described."""
    (function,) = declared(app).client_functions
    return json.loads(function.described())


def run(app, input_, attempt=1, client=None):
    """Runs the one trigger of an app with an input of the contract, and returns the output."""
    found = declared(app)
    (function,) = found.client_functions
    call = TriggerCall(function.name, "call-1", attempt, client)
    return json.loads(Runner(found.functions, found.client_functions).run_trigger(call, json.dumps(input_)))


REQUEST = {
    "method": "POST",
    "url": "http://localhost:7071/api/orders/7?q=a&q=b",
    "headers": [["content-type", "application/json"], ["x-tag", "1"], ["x-tag", "2"], ["traceparent", "00-ab-cd-01"]],
    "query": [["q", "a"], ["q", "b"], ["empty", ""]],
    "params": {"id": "7", "n": 5, "missing": None},
    "body": '{"item":"ä lamp"}',
}


class Descriptions(unittest.TestCase):
    def test_a_route_has_the_defaults_of_the_app(self):
        app = func.FunctionApp()

        @app.route()
        @app.durable_client_input(client_name="client")
        async def start(req: func.HttpRequest, client): ...

        expected = [
            {"type": "durableClient", "direction": "in", "name": "client"},
            {"type": "httpTrigger", "direction": "in", "name": "req", "route": "start", "authLevel": "function"},
            {"type": "http", "direction": "out", "name": "$return"},
        ]
        self.assertCountEqual(bindings_of(app), expected)

    def test_a_route_says_all_of_it(self):
        app, blueprint = df.DFApp(http_auth_level="ANONYMOUS"), df.Blueprint()

        @blueprint.function_name("Orders")
        @blueprint.route(
            route="/orders/{id:int?}",
            methods=["get", func.HttpMethod.POST],
            auth_level=func.AuthLevel.ADMIN,
            trigger_arg_name="request",
            binding_arg_name="response",
            trigger_extra_fields={"dataType": "binary"},
        )
        def orders(request, response: func.Out[func.HttpResponse]): ...

        app.register_blueprint(blueprint)
        trigger, output = bindings_of(app)
        self.assertEqual((trigger["route"], trigger["methods"]), ("orders/{id:int?}", ["get", "post"]))
        self.assertEqual((trigger["authLevel"], trigger["name"], trigger["dataType"]), ("admin", "request", "binary"))
        self.assertEqual(output, {"type": "http", "direction": "out", "name": "response"})
        self.assertEqual(declared(app).client_functions[0].name, "Orders")

    def test_functions_of_a_blueprint_have_the_level_of_the_app(self):
        app, blueprint = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS), df.Blueprint()

        @blueprint.route()
        def open_to_all(req): ...

        app.register_functions(blueprint)
        self.assertEqual(bindings_of(app)[0]["authLevel"], "anonymous")

    def test_other_triggers(self):
        def of(decorate):
            app = func.FunctionApp()

            def work(x): ...

            decorate(app)(work)
            (binding,) = bindings_of(app)
            self.assertEqual((binding.pop("direction"), binding.pop("name")), ("in", "x"))
            return binding

        for decorate, expected in (
            (
                lambda app: app.schedule(
                    arg_name="x", schedule="0 */5 * * * *", run_on_startup=True, use_monitor=False
                ),
                {"type": "timerTrigger", "schedule": "0 */5 * * * *", "runOnStartup": True, "useMonitor": False},
            ),
            (
                lambda app: app.timer_trigger("x", "%Schedule%"),
                {"type": "timerTrigger", "schedule": "%Schedule%"},
            ),
            (
                lambda app: app.queue_trigger(arg_name="x", queue_name="q", connection="c"),
                {"type": "queueTrigger", "queueName": "q", "connection": "c"},
            ),
            (
                lambda app: app.event_hub_message_trigger(arg_name="x", event_hub_name="h", connection="c"),
                {"type": "eventHubTrigger", "eventHubName": "h", "connection": "c", "cardinality": "one"},
            ),
            (
                lambda app: app.event_hub_message_trigger(
                    "x", "c", "h", cardinality=func.Cardinality.MANY, consumer_group="g"
                ),
                {
                    "type": "eventHubTrigger",
                    "eventHubName": "h",
                    "connection": "c",
                    "cardinality": "many",
                    "consumerGroup": "g",
                },
            ),
            (lambda app: app.event_grid_trigger(arg_name="x"), {"type": "eventGridTrigger"}),
            (lambda app: app.generic_trigger(arg_name="x", type="manualTrigger"), {"type": "manualTrigger"}),
            (
                lambda app: app.generic_trigger(arg_name="x", type="QUEUETRIGGER", queue_name="q", dataType="string"),
                {"type": "queueTrigger", "queueName": "q", "dataType": "string"},
            ),
        ):
            with self.subTest(expected):
                self.assertEqual(of(decorate), expected)

    def test_outputs(self):
        app = func.FunctionApp()

        @app.queue_trigger(arg_name="x", queue_name="in", connection="c")
        @app.queue_output(arg_name="$return", queue_name="out", connection="c")
        @app.event_hub_output(arg_name="events", event_hub_name="h", connection="c")
        @app.generic_output_binding(arg_name="more", type="queue", queue_name="more")
        def work(x, events: func.Out[str], more: func.Out[str]): ...

        outputs = [binding for binding in bindings_of(app) if binding["direction"] == "out"]
        expected = [
            {"type": "queue", "direction": "out", "name": "more", "queueName": "more"},
            {"type": "eventHub", "direction": "out", "name": "events", "connection": "c", "eventHubName": "h"},
            {"type": "queue", "direction": "out", "name": "$return", "queueName": "out", "connection": "c"},
        ]
        self.assertEqual(outputs, expected)

    def test_two_triggers_are_refused(self):
        app = func.FunctionApp()
        with self.assertRaisesRegex(ValueError, "`work` has two triggers: timerTrigger and httpTrigger"):

            @app.route()
            @app.schedule(arg_name="timer", schedule="* * * * * *")
            def work(req, timer): ...

    def test_what_is_no_method_or_level_is_refused(self):
        for declare in (
            lambda: func.FunctionApp().route(methods=["FETCH"]),
            lambda: func.FunctionApp().route(auth_level="everybody"),
            lambda: func.FunctionApp(http_auth_level="everybody"),
        ):
            with self.assertRaisesRegex(ValueError, "is none of"):
                declare()

    def test_the_parameters_must_be_those_of_the_bindings(self):
        app = func.FunctionApp()

        @app.route()
        def start(request): ...

        with self.assertRaisesRegex(layout.AppError, r"test_triggers.py.*`start` cannot be called.* name `req`;"):
            declared(app)

    def test_functions_for_unit_tests_of_existing_apps(self):
        app = func.FunctionApp()

        @app.route(route="hello")
        def hello(req: func.HttpRequest) -> func.HttpResponse:
            return func.HttpResponse(req.params["name"])

        (function,) = app.get_functions()
        self.assertEqual(function.get_bindings_dict()["bindings"][0]["authLevel"], "function")
        request = func.HttpRequest("GET", "/api/hello", params={"name": "Ada"}, body=b"")
        self.assertEqual(function.build().get_user_function()(request).get_body(), b"Ada")
        self.assertEqual(function.get_function_name(), "hello")
        self.assertEqual(function.get_bindings_dict()["bindings"][0]["route"], "hello")


class Http(unittest.TestCase):
    def app_of(self, handle, **more):
        app = func.FunctionApp()
        app.function_name("handle")(app.route(**more)(handle))
        return app

    def test_a_request(self):
        def handle(req: func.HttpRequest):
            seen.append(req)

        seen = []
        self.assertIsNone(run(self.app_of(handle), REQUEST))
        (req,) = seen
        self.assertEqual((req.method, req.url), ("POST", REQUEST["url"]))
        self.assertEqual((req.headers["X-Tag"], req.headers.get("Content-Type")), ("1,2", "application/json"))
        self.assertEqual(dict(req.params), {"q": "a,b", "empty": ""})
        self.assertEqual(dict(req.route_params), {"id": "7", "n": "5"})
        self.assertEqual((req.get_body(), req.get_json()), (REQUEST["body"].encode(), {"item": "ä lamp"}))

    def test_bodies(self):
        def handle(req: func.HttpRequest):
            return req.get_body()

        app = self.app_of(handle)
        binary = {**REQUEST, "bodyBase64": base64.b64encode(b"\xff\x00").decode()}
        del binary["body"]
        response = run(app, binary)["response"]
        self.assertEqual(response["bodyBase64"], binary["bodyBase64"])
        self.assertEqual(response["headers"], [["content-type", "application/octet-stream"]])
        without = {name: value for name, value in REQUEST.items() if name != "body"}
        self.assertEqual(run(app, without)["response"], {"status": 200, "headers": []})

    def test_responses(self):
        for returned, expected in (
            ("hello", {"status": 200, "headers": [["content-type", "text/plain; charset=utf-8"]], "body": "hello"}),
            (
                func.HttpResponse('{"a":1}', status_code=201, headers={"X-A": "1"}, mimetype="application/json"),
                {"status": 201, "headers": [["X-A", "1"], ["content-type", "application/json"]], "body": '{"a":1}'},
            ),
            (
                func.HttpResponse("<p>", headers={"Content-Type": "text/html"}),
                {"status": 200, "headers": [["Content-Type", "text/html"]], "body": "<p>"},
            ),
            (func.HttpResponse(status_code=404), {"status": 404, "headers": []}),
        ):
            self.assertEqual(run(self.app_of(lambda req, returned=returned: returned), REQUEST), {"response": expected})

    def test_cookies_stay_apart(self):
        def handle(req):
            response = func.HttpResponse()
            response.headers.add("Set-Cookie", "a=1")
            response.headers.add("Set-Cookie", "b=2")
            return response

        headers = run(self.app_of(handle), REQUEST)["response"]["headers"]
        self.assertEqual(headers, [["Set-Cookie", "a=1"], ["Set-Cookie", "b=2"]])

    def test_a_response_in_a_parameter(self):
        def handle(req, response: func.Out[func.HttpResponse]):
            response.set(func.HttpResponse("hello", status_code=418))

        self.assertEqual(run(self.app_of(handle, binding_arg_name="response"), REQUEST)["response"]["status"], 418)

    def test_what_is_no_response(self):
        for returned, words in (
            ({"a": 1}, r"not dict. For JSON: HttpResponse\(json.dumps"),
            (func.HttpResponse(status_code=99), "must be a number from 200 to 999, not 99"),
            (func.HttpResponse(headers={"a b": "c"}), "'a b' is not a name of a header"),
            (func.HttpResponse(headers={"a": "b\r\nc: d"}), "the header a must not contain control characters"),
        ):
            with self.subTest(words), self.assertRaisesRegex(Failure, f"InvalidOutput: .*{words}") as refused:
                run(self.app_of(lambda req, returned=returned: returned), REQUEST)
            self.assertIn("test_triggers.py", refused.exception.details)

    def test_the_context_of_the_call(self):
        async def handle(req, context: func.Context):
            seen.append(context)

        seen = []
        run(self.app_of(handle), REQUEST, attempt=3)
        (context,) = seen
        self.assertEqual((context.function_name, context.invocation_id), ("handle", "call-1"))
        self.assertEqual(context.retry_context.retry_count, 2)
        self.assertEqual(context.trace_context.trace_parent, "00-ab-cd-01")
        self.assertEqual(context.thread_local_storage.invocation_id, "call-1")
        self.assertTrue(context.function_directory.endswith("tests"))

    def test_an_exception_is_a_failure_with_a_traceback(self):
        def handle(req):
            raise LookupError("gone")

        with self.assertRaisesRegex(Failure, "LookupError: gone") as failed:
            run(self.app_of(handle), REQUEST)
        self.assertIn('raise LookupError("gone")', failed.exception.details)
        self.assertNotIn("runner.py", failed.exception.details)

    def test_a_trigger_that_the_app_does_not_have(self):
        with self.assertRaisesRegex(Failure, "TriggerNotFound: this app has no trigger `x`"):
            Runner([]).run_trigger(TriggerCall("x", "i", 1, None), "{}")

    def test_the_starter_of_every_tutorial(self):
        app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)

        @app.route(route="orchestrators/{functionName}")
        @app.durable_client_input(client_name="client")
        async def http_start(req: func.HttpRequest, client: df.DurableOrchestrationClient):
            instance_id = await client.start_new(req.route_params["functionName"], client_input=req.get_json())
            return client.create_check_status_response(req, instance_id)

        request = func.HttpRequest("POST", "https://x.org/api/a", route_params={"functionName": "hello"}, body=b"[1]")
        ran = run_trigger(http_start, request)
        self.assertEqual(ran.actions, [StartOrchestration("hello", "[1]", "test:started:0")])
        self.assertEqual(ran.response.status_code, 202)
        self.assertEqual(ran.response.headers["content-type"], "application/json")
        self.assertRegex(ran.response.headers["Location"], "^https://x.org/runtime/webhooks/durabletask/instances/test")
        self.assertEqual(json.loads(ran.response.get_body())["id"], "test:started:0")


class Messages(unittest.TestCase):
    def given(self, decorate, input_):
        """What a function is given for an input of the contract."""
        app, seen = func.FunctionApp(), []

        async def work(x):
            seen.append(x)

        decorate(app)(work)
        self.assertIsNone(run(app, input_))
        return seen[0]

    def test_a_timer(self):
        timer = self.given(
            lambda app: app.schedule(arg_name="x", schedule="0 * * * * *"),
            {
                "isPastDue": True,
                "schedule": {"adjustForDST": True},
                "scheduleStatus": {"last": "2026-01-02T00:00:00Z", "next": "2026-01-02T00:01:00Z", "lastUpdated": None},
            },
        )
        self.assertIsInstance(timer, func.TimerRequest)
        self.assertIs(timer.past_due, True)
        self.assertEqual(timer.schedule, {"AdjustForDST": True})
        self.assertEqual(
            (timer.schedule_status["Last"], timer.schedule_status["LastUpdated"]), ("2026-01-02T00:00:00Z", None)
        )

    def test_a_message_of_a_queue(self):
        metadata = {
            "id": "m-1",
            "dequeueCount": 2,
            "insertionTime": "2026-01-02T03:04:05.5Z",
            "expirationTime": "2026-01-09T03:04:05Z",
            "nextVisibleTime": "2026-01-02T03:14:05Z",
            "popReceipt": "r",
        }
        message = self.given(
            lambda app: app.queue_trigger(arg_name="x", queue_name="q", connection="c"),
            {"message": '{"n":1}', "metadata": metadata},
        )
        self.assertIsInstance(message, func.QueueMessage)
        self.assertEqual((message.id, message.dequeue_count, message.pop_receipt), ("m-1", 2, "r"))
        self.assertEqual((message.get_body(), message.get_json()), (b'{"n":1}', {"n": 1}))
        self.assertEqual(message.insertion_time, datetime(2026, 1, 2, 3, 4, 5, 500_000, timezone.utc))
        self.assertEqual((message.expiration_time.day, message.time_next_visible.minute), (9, 14))

    def test_events_of_an_event_hub(self):
        def metadata(n):
            return {
                "sequenceNumber": n,
                "enqueuedTime": "2026-01-02T03:04:05Z",
                "offset": str(n * 10),
                "partitionKey": "k",
            }

        input_ = {"messages": ["a", "b"], "metadata": [metadata(1), metadata(2)]}
        events = self.given(lambda app: app.event_hub_message_trigger("x", "c", "h", cardinality="many"), input_)
        self.assertEqual([event.get_body() for event in events], [b"a", b"b"])
        self.assertEqual([event.sequence_number for event in events], [1, 2])
        self.assertEqual((events[1].offset, events[1].partition_key, events[1].enqueued_time.year), ("20", "k", 2026))
        self.assertEqual(events[0].metadata["SequenceNumberArray"], [1, 2])
        self.assertEqual(events[0].metadata["SystemPropertiesArray"][1]["Offset"], "20")

        event = self.given(
            lambda app: app.event_hub_message_trigger("x", "c", "h"), {"messages": ["a"], "metadata": [metadata(1)]}
        )
        self.assertIsInstance(event, func.EventHubEvent)
        self.assertEqual((event.get_body(), event.metadata["SequenceNumber"]), (b"a", 1))

    def test_an_event_of_event_grid(self):
        event = {
            "id": "e-1",
            "topic": "t",
            "subject": "s",
            "eventType": "k",
            "eventTime": "2026-01-02T03:04:05.1234567Z",
            "data": {"n": 1},
            "dataVersion": "1",
        }
        given = self.given(lambda app: app.event_grid_trigger(arg_name="x"), {"event": event})
        self.assertIsInstance(given, func.EventGridEvent)
        self.assertEqual((given.id, given.topic, given.subject, given.event_type), ("e-1", "t", "s", "k"))
        self.assertEqual((given.event_time.year, given.get_json(), given.data_version), (2026, {"n": 1}, "1"))

    def test_a_cloud_event(self):
        event = {
            "specversion": "1.0",
            "id": "e-1",
            "source": "/s",
            "type": "k",
            "data": [1],
            "time": None,
            "tenant": "a",
        }
        given = self.given(lambda app: app.event_grid_trigger(arg_name="x"), {"event": event})
        self.assertIsInstance(given, func.CloudEvent)
        self.assertEqual((given.id, given.source, given.type, given.get_json()), ("e-1", "/s", "k", [1]))
        self.assertEqual(given.extension_attrs, {"tenant": "a"})

    def test_what_an_operator_runs(self):
        event = {"specversion": "1.0", "id": "e-1"}
        for decorate, check in (
            (lambda app: app.generic_trigger("x", "manualTrigger"), lambda x: x == "text"),
            (lambda app: app.schedule("x", "* * * * * *"), lambda x: x.past_due is False),
            (lambda app: app.queue_trigger("x", "q"), lambda x: (x.get_body(), x.dequeue_count) == (b"text", None)),
            (lambda app: app.event_hub_message_trigger("x", "c", "h"), lambda x: x.get_body() == b"text"),
            (
                lambda app: app.event_hub_message_trigger("x", "c", "h", cardinality="many"),
                lambda x: [event.get_body() for event in x] == [b"text"],
            ),
        ):
            self.assertTrue(check(self.given(decorate, {"input": "text"})))
        by_hand = self.given(lambda app: app.event_grid_trigger("x"), {"input": json.dumps(event)})
        self.assertEqual(by_hand.id, "e-1")
        for text in ("text", "[1]"):
            with self.assertRaisesRegex(Failure, "InvalidInput: the input must be an event"):
                self.given(lambda app: app.event_grid_trigger("x"), {"input": text})

    def test_outputs(self):
        def sent(*values):
            app = func.FunctionApp()

            @app.schedule(arg_name="timer", schedule="* * * * * *")
            @app.queue_output(arg_name="$return", queue_name="q", connection="c")
            @app.event_hub_output(arg_name="events", event_hub_name="h", connection="c")
            def work(timer, events: func.Out[str]):
                for value in values:
                    events.set(value)
                self.assertEqual(events.get(), values[-1] if values else None)
                return "returned" if values else None

            return run(app, {"input": ""})

        for value, expected in (
            ("text", "text"),
            ("5", "5"),
            (b"bytes", "bytes"),
            ({"a": [1]}, {"a": [1]}),
            (["a", b"b", func.QueueMessage(body="c"), {"d": 1}], ["a", "b", "c", {"d": 1}]),
            (func.EventHubEvent(body=b"e"), "e"),
            (iter(("a", "b")), ["a", "b"]),
        ):
            self.assertEqual(sent("replaced", value), {"outputs": {"events": expected, "$return": "returned"}})
        self.assertIsNone(sent())
        with self.assertRaisesRegex(Failure, "InvalidOutput: a message must be UTF-8"):
            sent(b"\xff")
        with self.assertRaisesRegex(Failure, "InvalidOutput: the outputs cannot be written as JSON"):
            sent(object())

    def test_a_response_and_a_message(self):
        app = func.FunctionApp()

        @app.route()
        @app.queue_output(arg_name="order", queue_name="q", connection="c")
        def place(req, order: func.Out[str]):
            order.set(req.get_body().decode())
            return func.HttpResponse(status_code=202)

        output = run(app, REQUEST)
        self.assertEqual((output["response"]["status"], output["outputs"]), (202, {"order": REQUEST["body"]}))

    def test_a_value_that_has_no_binding(self):
        with self.assertRaisesRegex(
            Failure, r"InvalidOutput: the function returned a str, but has no binding named `\$ret"
        ):
            app = func.FunctionApp()
            app.function_name("f")(app.queue_trigger("x", "q")(lambda x: "lost"))
            run(app, {"input": ""})


class OutsideOfAHost(unittest.TestCase):
    """`dacapo.testing.run_trigger`."""

    def test_a_decorated_function(self):
        app = func.FunctionApp()

        @app.queue_trigger(arg_name="item", queue_name="q", connection="c")
        @app.queue_output(arg_name="out", queue_name="o", connection="c")
        @app.durable_client_input(client_name="client")
        async def work(item: func.QueueMessage, out: func.Out[str], client: df.DurableOrchestrationClient):
            status = await client.get_status("i-1")
            out.set(f"{item.get_json()} {status.name}")

        ran = run_trigger(work, func.QueueMessage(body="5"), script=Script().instance("i-1", "fulfil"))
        self.assertEqual((ran.response, ran.outputs, ran.actions), (None, {"out": "5 fulfil"}, []))

    def test_the_main_of_a_folder(self):
        async def main(msg: func.QueueMessage, starter: str, out: func.Out[str]) -> str:
            client = df.DurableOrchestrationClient(starter)
            out.set(await client.start_new("o", "i-1"))
            return "done"

        ran = run_trigger(main, func.QueueMessage(body="5"))
        self.assertEqual(ran.outputs, {"out": "i-1", "$return": "done"})
        self.assertEqual(ran.actions, [StartOrchestration("o", "null", "i-1")])

        def answer(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
            return func.HttpResponse(context.function_name)

        self.assertEqual(run_trigger(answer, func.HttpRequest("GET", "/", body=b"")).response.get_body(), b"answer")

    def test_an_input_of_the_contract(self):
        app = func.FunctionApp()

        @app.route()
        def answer(req: func.HttpRequest):
            return req.route_params["id"]

        self.assertEqual(run_trigger(answer, REQUEST).response.get_body(), b"7")

    def test_a_durable_function(self):
        app = df.DFApp()

        @app.activity_trigger(input_name="x")
        def work(x): ...

        with self.assertRaisesRegex(TypeError, "`work` has no trigger but a durable one"):
            run_trigger(work)


if __name__ == "__main__":
    unittest.main()
