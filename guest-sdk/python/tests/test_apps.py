"""How apps declare functions, and the errors for invalid declarations."""

import asyncio
import json
import re
import sys
import tempfile
import unittest
from pathlib import Path
from unittest.mock import Mock

import azure.durable_functions as df
import azure.functions as func
from dacapo import layout
from dacapo.bindings import Kind
from dacapo.failure import Failure
from dacapo.testing import Enqueue, StartOrchestration, run_activity, run_entity, run_trigger


class Order:
    def __init__(self, item):
        self.item = item

    @staticmethod
    def to_json(order):
        return {"item": order.item}

    @staticmethod
    def from_json(data):
        return Order(data["item"])


class Decorators(unittest.TestCase):
    def test_names_come_from_the_trigger_the_decorator_or_the_function(self):
        app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)

        @app.activity_trigger(input_name="x", activity="ByTrigger")
        def one(x): ...

        @app.function_name("ByDecorator")
        @app.activity_trigger(input_name="x")
        def two(x): ...

        @app.activity_trigger(input_name="x")
        def three(x): ...

        self.assertEqual([d.function().name for d in app.declarations()], ["ByTrigger", "ByDecorator", "three"])

    def test_what_dacapo_does_not_have_is_accepted_and_named(self):
        app, blueprint = func.FunctionApp(), func.Blueprint()

        @app.blob_trigger(arg_name="blob", path="p", connection="c")
        def on_blob(blob: func.InputStream): ...

        @blueprint.service_bus_queue_trigger(arg_name="message", queue_name="q", connection="c")
        def on_message(message: func.ServiceBusMessage): ...

        @blueprint.queue_output(arg_name="out", queue_name="q", connection="c")
        @blueprint.orchestration_trigger(context_name="x")
        def enqueue(x, out): ...

        @app.function_name("forgotten")
        def nothing(): ...

        app.register_functions(blueprint)
        found = layout.App()
        for declaration in app.declarations():
            found.add(declaration)
        self.assertEqual((found.functions, found.client_functions), ([], []))
        expected = (
            ("on_blob", "no `blobTrigger`. Instead, let the writer of the blob send"),
            ("forgotten", "it has no trigger"),
            ("on_message", "no `serviceBusTrigger`. Instead, use a queue trigger"),
            ("enqueue", "its binding `out` is a `queue`, and an orchestrator or entity has no such bindings"),
        )
        self.assertEqual(len(found.warnings), len(expected))
        for warning, (name, words) in zip(found.warnings, expected):
            self.assertRegex(warning, f"^`{name}` is left out: .*{words}")
        with self.assertRaisesRegex(layout.AppError, "no function that Dacapo runs\n`on_blob` is left out"):
            found.check()
        with self.assertRaises(AttributeError):
            app.unknown_decorator

    def test_a_function_runs_without_inputs_and_outputs_that_dacapo_does_not_have(self):
        """Samples send text messages and write blobs by outputs. Their functions were left out, so the orchestrators that
        call them failed."""
        app = func.FunctionApp()

        @app.generic_output_binding(arg_name="message", type="twilioSms", to="+1")
        @app.queue_output(arg_name="sent", queue_name="q", connection="c")
        @app.cosmos_db_input(arg_name="numbers", database_name="d", container_name="c", connection="c")
        @app.activity_trigger(input_name="number")
        def sms(number, message: func.Out[str], sent: func.Out[str], numbers: func.DocumentList):
            message.set(json.dumps({"to": number}))
            sent.set(number)
            return numbers

        @app.schedule(schedule="0 0 2 * * *", arg_name="timer")
        @app.generic_output_binding(arg_name="$return", type="blob", path="p")
        @app.cosmos_db_output(arg_name="document", database_name="d", container_name="c", connection="c")
        def nightly(timer: func.TimerRequest, document: func.Out[func.Document]) -> str:
            document.set(func.Document.from_dict({"id": 1}))
            return "report"

        @app.schedule(schedule="0 0 2 * * *", arg_name="timer")
        @app.blob_output(arg_name="out", path="p", connection="c")
        def quiet(timer: func.TimerRequest, out: func.Out[str]): ...

        found = layout.App()
        for declaration in app.declarations():
            found.add(declaration)
        expected = (
            "no output of the type `twilioSms` .`message` of `sms`.: what a function gives to it is not sent.*Instead, call",
            "no input of the type `cosmosDB` .`numbers` of `sms`.: its value is None",
            "no output of the type `blob` .`.return` of `nightly`, `out` of `quiet`.:",
            "no output of the type `cosmosDB` .`document` of `nightly`.:",
        )
        warnings = found.check().warnings
        self.assertEqual(len(warnings), len(expected))
        for words in expected:
            self.assertTrue(any(re.search(words, warning) for warning in warnings), warnings)
        described = json.loads(found.client_functions[0].described())
        self.assertEqual([binding["type"] for binding in described], ["timerTrigger"])

        with self.assertLogs() as logs:
            run = run_activity(sms, "+1")
        self.assertEqual((run.result, run.actions), (None, [Enqueue("q", ("+1",))]))
        said = "\n".join(logs.output)
        self.assertRegex(said, "WARNING:root:The input `numbers` of `sms` is None: Dacapo has no input")
        self.assertRegex(said, "WARNING:root:What `sms` gave to its output `message` is not sent: Dacapo has no output")
        with self.assertLogs() as logs:
            self.assertEqual(run_trigger(nightly, func.TimerRequest()).outputs, {})
        self.assertRegex("\n".join(logs.output), "(?s)`nightly` gave to its output `document`.*output `.return`")
        with self.assertNoLogs():
            run_trigger(quiet, func.TimerRequest())

    def test_outputs_of_an_activity_go_to_their_queues(self):
        app = func.FunctionApp()

        @app.event_hub_output(arg_name="seen", event_hub_name="seen", connection="c")
        @app.queue_output(arg_name="packed", queue_name="packed-items", connection="c")
        @app.activity_trigger(input_name="item")
        def pack(item, packed: func.Out[str], seen: func.Out[str]):
            packed.set([item, {"n": 1}, b"bytes"])
            if item == "bad":
                seen.set(b"\xff")
            return item

        run = run_activity(pack, "a lamp")
        self.assertEqual(run.result, "a lamp")
        self.assertEqual(run.actions, [Enqueue("packed-items", ("a lamp", '{"n":1}', "bytes"))])
        with self.assertRaisesRegex(Failure, "a message must be UTF-8"):
            run_activity(pack, "bad")

    def test_what_is_not_done_of_a_function_that_runs_is_said(self):
        app, found = func.FunctionApp(), layout.App()

        @app.retry(strategy="fixed_delay", max_retry_count="3", delay_interval="00:00:10")
        @app.queue_trigger(arg_name="item", queue_name="q", connection="c")
        @app.durable_client_input(client_name="client", task_hub="Other")
        def work(item, client): ...

        for declaration in app.declarations():
            found.add(declaration)
        self.assertEqual([function.name for function in found.client_functions], ["work"])
        self.assertRegex(found.warnings[0], "`work` has a retry policy, which is not used")
        self.assertRegex(found.warnings[1], "`work` names the task hub Other, which is not used")

    def test_an_app_is_not_registered_in_an_app(self):
        with self.assertRaisesRegex(TypeError, "a Blueprint"):
            func.FunctionApp().register_functions(df.DFApp())

    def test_a_decorator_without_its_parentheses(self):
        with self.assertRaisesRegex(TypeError, "the name of a parameter"):

            @df.DFApp().activity_trigger
            def say_hello(city): ...

    def test_functions_can_be_called_and_unwrapped_as_in_existing_tests(self):
        app = df.DFApp()

        @app.orchestration_trigger(context_name="context")
        def orchestrator(context):
            yield "task"

        self.assertEqual(list(orchestrator.build().get_user_function().orchestrator_function(None)), ["task"])

    def test_a_starter_can_be_tested_as_in_existing_tests(self):
        app = df.DFApp()

        @app.route(route="orchestrators/{functionName}")
        @app.durable_client_input(client_name="client")
        async def http_start(req: func.HttpRequest, client):
            instance_id = await client.start_new(req.route_params["functionName"], client_input=req.get_json())
            return client.create_check_status_response(req, instance_id)

        client = Mock(spec=df.DurableOrchestrationClient)
        client.start_new.return_value = "i-1"
        client.create_check_status_response.return_value = func.HttpResponse("started", status_code=202)
        request = func.HttpRequest("POST", "/api/start", body=b"[1]", route_params={"functionName": "hello"})
        response = asyncio.run(http_start.build().get_user_function().client_function(request, client))
        client.start_new.assert_awaited_once_with("hello", client_input=[1])
        self.assertEqual((response.status_code, response.get_body()), (202, b"started"))

    def test_models_can_be_imported_from_where_they_were(self):
        from azure.durable_functions.models.DurableOrchestrationContext import DurableOrchestrationContext
        from azure.durable_functions.models.Task import TaskBase

        self.assertIs(DurableOrchestrationContext, df.DurableOrchestrationContext)

        from azure.functions.decorators.core import AuthLevel
        from azure.functions.decorators.http import HttpMethod

        self.assertIs(AuthLevel, func.AuthLevel)
        self.assertIs(HttpMethod, func.HttpMethod)
        self.assertIs(TaskBase, df.TaskBase)


class Activities(unittest.TestCase):
    def test_async_activities_and_the_context(self):
        app = df.DFApp()

        @app.activity_trigger(input_name="city")
        async def hello(city, context: func.Context):
            return [city, context.attempt, context.function_name]

        self.assertEqual(run_activity(hello, "Tokyo", attempt=2).result, ["Tokyo", 2, "hello"])

    def test_objects_travel_in_envelopes(self):
        app = df.DFApp()

        @app.activity_trigger(input_name="order")
        def double(order):
            return Order(order.item * 2)

        envelope = {"__class__": "Order", "__module__": __name__, "__data__": {"item": "abab"}}
        self.assertEqual(run_activity(double, Order("ab")).result, envelope)

    def test_an_exception_is_a_failure_with_a_traceback(self):
        app = df.DFApp()

        @app.activity_trigger(input_name="x")
        def bad(x):
            raise LookupError("gone")

        with self.assertRaises(Failure) as caught:
            run_activity(bad)
        failure = caught.exception
        self.assertEqual((failure.error_type, failure.message, failure.retriable), ("LookupError", "gone", True))
        self.assertIn('raise LookupError("gone")', failure.details)
        self.assertNotIn("runner.py", failure.details)


class Entities(unittest.TestCase):
    def test_state_is_made_kept_and_deleted(self):
        def entity(context):
            match context.operation_name:
                case "add":
                    context.set_state(context.get_state(lambda: 0) + context.get_input())
                case "get":
                    context.set_result(context.get_state())
                case "delete":
                    context.destruct_on_exit()

        self.assertEqual(run_entity(entity, "add", 2).state, 2)
        self.assertEqual(run_entity(entity, "get", state=5).result, 5)
        self.assertEqual(run_entity(entity, "get", state=5).state, 5)
        self.assertFalse(run_entity(entity, "delete", state=5).exists)

    def test_an_entity_starts_an_orchestration_by_itself(self):
        @df.DFApp().orchestration_trigger(context_name="context", orchestration="Billing")
        def billing(context): ...

        run = run_entity(lambda context: context.set_result(context.start_orchestration(billing, 5)), "close")
        self.assertEqual(run.actions, [StartOrchestration("Billing", "5", run.result)])

    def test_an_entity_cannot_wait(self):
        import asyncio

        async def entity(context):
            await asyncio.sleep(1)

        with self.assertRaisesRegex(Failure, "cannot sleep"):
            run_entity(entity, "x")


class Folders(unittest.TestCase):
    def load(self, files):
        with tempfile.TemporaryDirectory() as root:
            root = str(Path(root).resolve())
            for path, text in files.items():
                Path(root, path).parent.mkdir(exist_ok=True)
                Path(root, path).write_text(text)
            sys.path.insert(0, root)
            known = set(sys.modules)
            try:
                return layout.load(Path(root))
            finally:
                sys.path.remove(root)
                for name in set(sys.modules) - known:
                    del sys.modules[name]

    def test_classic_folders(self):
        def declared(*types, **more):
            bindings = [{"name": kind.removesuffix("Trigger"), "type": kind} for kind in types]
            return json.dumps({"bindings": bindings, **more})

        app = self.load(
            {
                "Hello/function.json": declared("orchestrationTrigger"),
                "Hello/__init__.py": "from ..shared import x\ndef main(context): return x",
                "Say/function.json": declared("activityTrigger", scriptFile="say.py", entryPoint="run"),
                "Say/say.py": "from __app__.shared import x\ndef run(activity): return x",
                "Begin/function.json": declared("durableClient", "activityTrigger"),
                "Begin/__init__.py": "async def main(activity, durableClient): ...",
                "Start/function.json": declared("httpTrigger", "durableClient"),
                "Start/__init__.py": "from ..shared import x\nasync def main(http, durableClient): ...",
                "Off/function.json": declared("queueTrigger", disabled=True),
                "shared.py": "x = 1",
            }
        )
        self.assertEqual(
            [(f.name, f.kind, f.clients) for f in app.functions],
            [
                ("Begin", Kind.ACTIVITY, ["durableClient"]),
                ("Hello", Kind.ORCHESTRATOR, []),
                ("Say", Kind.ACTIVITY, []),
            ],
        )
        self.assertEqual([(f.name, f.clients) for f in app.client_functions], [("Start", ["durableClient"])])
        self.assertEqual(app.warnings, ["`Off` is left out: it is disabled"])

    def test_classic_folders_with_triggers(self):
        def folder(name, source, *bindings, **more):
            declared = json.dumps({"scriptFile": "__init__.py", "bindings": bindings, **more})
            return {f"{name}/function.json": declared, f"{name}/__init__.py": source}

        def trigger(type, name, **more):
            return {"type": type, "direction": "in", "name": name, **more}

        def output(type, name, **more):
            return {"type": type, "direction": "out", "name": name, **more}

        starter = {"type": "durableClient", "direction": "in", "name": "starter"}
        start = """
import azure.durable_functions as df
import azure.functions as func
from ..shared import names

async def main(req: func.HttpRequest, starter: str, context: func.Context) -> func.HttpResponse:
    client = df.DurableOrchestrationClient(starter)
    instance_id = await client.start_new(names.ORCHESTRATOR, None, req.get_json())
    return client.create_check_status_response(req, instance_id)
"""
        enqueue = """
import azure.durable_functions as df
import azure.functions as func

def main(msg: func.QueueMessage, starter: str, out: func.Out[str]) -> str:
    out.set(msg.get_body().decode() + "!")
    return "returned"
"""
        app = self.load(
            {
                **folder(
                    "Start",
                    start,
                    trigger("httpTrigger", "req", route="start", authLevel="Anonymous", methods=["post"]),
                    output("http", "$return"),
                    starter,
                ),
                **folder(
                    "Enqueue",
                    enqueue,
                    trigger("queueTrigger", "msg", queueName="in", connection="c"),
                    starter,
                    output("queue", "out", queueName="out"),
                    output("eventHub", "$return", eventHubName="h"),
                ),
                **folder(
                    "Tick", "def main(timer): assert not timer.past_due", trigger("timerTrigger", "timer", schedule="")
                ),
                **folder("ByHand", "def main(text): assert text == 'text'", trigger("manualTrigger", "text")),
                **folder(
                    "Many",
                    "def main(events): assert len(events) == 1",
                    trigger("eventHubTrigger", "events", eventHubName="h", cardinality="many"),
                ),
                **folder("Grid", "def main(event): ...", trigger("eventGridTrigger", "event"), retry={"strategy": "x"}),
                **folder("Bare", "def main(req): return 'bare'", trigger("httpTrigger", "req"), disabled="IS_OFF"),
                **folder("Blob", "import no_such_module", trigger("blobTrigger", "blob")),
                **folder(
                    "Copy",
                    "def main(msg, out): out.set('x')",
                    trigger("queueTrigger", "msg", queueName="q"),
                    output("blob", "out", path="p"),
                ),
                "shared/__init__.py": "",
                "shared/names.py": "ORCHESTRATOR = 'Hello'",
            }
        )
        functions = {function.name: function for function in app.client_functions}
        self.assertEqual(list(functions), ["Bare", "ByHand", "Copy", "Enqueue", "Grid", "Many", "Start", "Tick"])
        expected = (
            "`Blob` is left out: .*blobTrigger",
            "`Grid` has a retry policy",
            "Dacapo has no output of the type `blob` .`out` of `Copy`.",
        )
        self.assertEqual(len(app.warnings), 3)
        for warning, words in zip(app.warnings, expected):
            self.assertRegex(warning, words)
        self.assertEqual(json.loads(functions["Bare"].described())[0]["disabled"], "IS_OFF")
        route, response, client = json.loads(functions["Start"].described())
        self.assertEqual((route["route"], route["authLevel"], route["methods"]), ("start", "anonymous", ["post"]))
        self.assertEqual((response["name"], client["type"]), ("$return", "durableClient"))

        run = run_trigger(functions["Start"], func.HttpRequest("POST", "http://h/api/start", body=b"[1]"))
        self.assertEqual(run.actions, [StartOrchestration("Hello", "[1]", "test:started:0")])
        self.assertEqual(run.response.status_code, 202)
        run = run_trigger(functions["Enqueue"], func.QueueMessage(body="a"))
        self.assertEqual(run.outputs, {"out": "a!", "$return": "returned"})
        self.assertEqual(run_trigger(functions["Bare"], func.HttpRequest("GET", "/")).response.get_body(), b"bare")
        for name, given in (
            ("Tick", func.TimerRequest()),
            ("ByHand", "text"),
            ("Many", [func.EventHubEvent(body=b"a")]),
            ("Grid", None),
        ):
            self.assertEqual(run_trigger(functions[name], given).outputs, {})

    def test_what_is_wrong_is_said(self):
        def declared(trigger, **others):
            bindings = [{"name": "x", "type": trigger}, *({"name": name, "type": of} for of, name in others.items())]
            return json.dumps({"bindings": bindings})

        def activity_of(source, name="a"):
            return f"@app.activity_trigger('x', '{name}')\n{source}\n"

        activity = declared("activityTrigger")
        bound = declared("activityTrigger", durableClient="client")
        blob = declared("blobTrigger")
        two = declared("activityTrigger", httpTrigger="y")
        nameless = json.dumps({"bindings": [{"type": "httpTrigger"}]})
        outside = json.dumps({"bindings": [{"type": "httpTrigger", "name": "x"}], "scriptFile": tempfile.__file__})
        timer = declared("timerTrigger")
        b = {"a/function.json": timer, "a/__init__.py": "def main(x): ..."}
        app = "import azure.durable_functions as df\napp = df.DFApp()\n"
        twice = "@app.activity_trigger(input_name='x')\ndef a(x): ...\n@app.activity_trigger('x', 'A')\ndef b(x): ...\n"
        client = "@app.durable_client_input('client')\n"
        entity = "@app.entity_trigger('context')\ndef a(context): yield\n"
        orchestrator = "@app.orchestration_trigger('context')\ndef o(context, client): ...\n"
        for files, message in (
            ({}, "neither a function_app.py nor a folder"),
            ({"function_app.py": ""}, "one app, .* has none"),
            ({"function_app.py": app + "other = df.DFApp()"}, "one app, .* has several"),
            ({"function_app.py": app}, "no function that Dacapo runs"),
            ({"function_app.py": app + twice}, 'line 5: two .* called `A`.* File "function_app.py", line 3'),
            ({"A/function.json": "{"}, "A/function.json is not JSON"),
            ({"A/function.json": "{}"}, "no list of `bindings`"),
            ({"A/function.json": activity}, "names the scriptFile __init__.py, which does not exist"),
            ({"A/function.json": activity, "A/__init__.py": ""}, "A/__init__.py has no function `main`"),
            ({"A/function.json": activity, "A/__init__.py": "def main(y): ..."}, 'File "A/__init__.py", line 1: `A`'),
            ({"A/function.json": activity, "A/__init__.py": "def main(x, y): ..."}, "argument: 'y'.* name `x`;"),
            ({"A/function.json": bound, "A/__init__.py": "def main(x): ..."}, "argument 'client'.* name `x`, `client`"),
            ({"A/function.json": blob}, "no function .*\n`A` is left out: .*no `blobTrigger`"),
            ({"A/function.json": two}, "`A` has two triggers: activityTrigger and httpTrigger"),
            ({"A/function.json": nameless}, "`A` has a binding without a name, its httpTrigger"),
            (
                {"A/function.json": outside, "A/x.py": ""},
                "A/function.json names the scriptFile .*, which is not in the fold",
            ),
            ({"A/function.json": timer, "A/__init__.py": "def main(y): ..."}, "`A` cannot be called: .* name `x`;"),
            ({"A/function.json": timer, "A/__init__.py": "def main(x): yield"}, "the function `A` must not `yield`"),
            ({"A/function.json": timer, "A/__init__.py": "def main(x): ...", **b}, "two functions are called `a`"),
            ({"function_app.py": app + entity}, 'File "function_app.py", line 3: the entity `a` must not `yield`'),
            ({"function_app.py": app + activity_of("def a(x): yield")}, "the activity `a` must not `yield`"),
            (
                {"function_app.py": app + activity_of("def a(x): ...", "say hello")},
                "line 3: 'say hello' is not a valid",
            ),
            ({"function_app.py": app + client + orchestrator}, "the orchestrator `o` cannot have a client"),
            ({"A/function.json": '{"bindings": [1]}'}, "no list of `bindings`"),
            ({"function_app.py": app + orchestrator}, "`o` cannot be called: missing .* its context"),
        ):
            with self.subTest(message), self.assertRaisesRegex(layout.AppError, message):
                self.load(files)

    def test_a_folder_that_cannot_be_loaded_is_left_out(self):
        """As in Azure Functions: one broken function ended the build of all."""
        timer = json.dumps({"bindings": [{"name": "x", "type": "timerTrigger", "schedule": "0 0 * * * *"}]})
        good = {"Good/function.json": timer, "Good/__init__.py": "def main(x): ..."}
        for files, message in (
            ({"__init__.py": "import no_such_package\ndef main(x): ..."}, 'File "A/__init__.py", line 1.*No module named'),
            ({"__init__.py": "def main(x) ..."}, "line 1.*expected ':'"),
            ({"__init__.py": "raise SystemExit(3)"}, "SystemExit: 3"),
            ({"__init__.py": "def main(y): ..."}, "`A` cannot be called"),
            ({}, "names the scriptFile __init__.py, which does not exist"),
            ({"function.json": "{"}, "A/function.json is not JSON"),
        ):
            bad = {f"A/{name}": text for name, text in {"function.json": timer, **files}.items()}
            with self.subTest(message):
                app = self.load({**bad, **good})
                self.assertEqual([function.name for function in app.client_functions], ["Good"])
                (warning,) = app.warnings
                self.assertRegex(warning, f"(?s)^`A` cannot be loaded, so it is left out: .*{message}")
                with self.assertRaisesRegex(BaseException, message.rsplit(".*", 1)[-1].removeprefix("SystemExit: ")):
                    self.load(bad)


if __name__ == "__main__":
    unittest.main()
