"""Orchestrators, as generators and as async functions: their actions, and how they are resumed."""

import asyncio
import json
import unittest
from datetime import timedelta
from pathlib import Path

import azure.durable_functions as df
from dacapo.action import CallActivity, CallSubOrchestrator, CreateTimer, WaitForExternalEvent
from dacapo.failure import Failure
from dacapo.testing import ContinueAsNew, Script, SignalEntity

MINUTE = timedelta(minutes=1)


class Generators(unittest.TestCase):
    def test_a_sequence(self):
        def hello(context):
            greetings = []
            for city in context.get_input():
                greetings.append((yield context.call_activity("hello", city)))
            return greetings

        run = Script().activity("hello", lambda city: f"Hello {city}!").run(hello, ["Tokyo", "London"])
        self.assertEqual(run.output, ["Hello Tokyo!", "Hello London!"])
        self.assertEqual(run.actions, [CallActivity("hello", '"Tokyo"'), CallActivity("hello", '"London"')])

    def test_nothing_happens_before_a_task_is_yielded(self):
        def orchestrator(context):
            context.call_activity("never")
            yield context.task_all([])

        self.assertEqual(Script().run(orchestrator).actions, [])

    def test_results_come_in_order_whatever_completes_first(self):
        def orchestrator(context):
            return (yield context.task_all([context.call_activity("slow"), context.call_activity("fast")]))

        script = Script().activity("slow", 1, takes=MINUTE).activity("fast", 2)
        self.assertEqual(script.run(orchestrator).output, [1, 2])

    def test_attempts_begin_when_those_of_the_host_do(self):
        """The host's own schedule is tested with the same cases."""
        cases = Path(__file__).parents[2] / "tests" / "retries.json"
        for case in json.loads(cases.read_text()):
            policy, failures, attempts = case["policy"], case["failures"], []
            options = df.RetryOptions(
                policy["firstInterval"],
                policy["maxAttempts"],
                backoff_coefficient=policy["backoffCoefficient"],
                max_retry_interval_in_milliseconds=policy.get("maxInterval"),
                retry_timeout_in_milliseconds=policy.get("timeout"),
                non_retriable_error_types=policy.get("nonRetriableErrorTypes", []),
            )

            def orchestrator(context):
                return (yield context.call_activity_with_retry("stubborn", options))

            def answer(_):
                attempts.append(len(attempts))
                if len(attempts) <= len(failures):
                    raise Failure(failures[attempts[-1]], "not yet")
                return "it"

            takes = timedelta(milliseconds=case.get("takes", 0))
            with self.subTest(case["what"]):
                run = Script().activity("stubborn", answer, takes=takes).run(orchestrator)
                self.assertEqual(len(attempts), len(case["attempts"]))
                self.assertEqual(run.elapsed, timedelta(milliseconds=case["attempts"][-1]) + takes)
                self.assertEqual(run.failure is None, case["succeeds"])

    def test_the_first_failure_fails_all(self):
        def orchestrator(context):
            try:
                yield context.task_all([context.call_activity("slow"), context.call_activity("bad")])
            except Exception as error:
                return [str(error), context.current_utc_datetime.isoformat()]

        script = Script().activity("slow", takes=MINUTE).activity("bad", ValueError("no"))
        self.assertEqual(script.run(orchestrator).output, ["ValueError: no", "2026-01-01T00:00:00+00:00"])

    def test_any_gives_the_task_that_won_also_if_it_failed(self):
        def orchestrator(context):
            slow, bad = context.call_activity("slow"), context.call_activity("bad")
            winner = yield context.task_any([slow, bad])
            return [winner is bad, winner.is_failed, slow.is_completed, str(winner.result)]

        script = Script().activity("slow", takes=MINUTE).activity("bad", ValueError("no"))
        self.assertEqual(script.run(orchestrator).output, [True, True, False, "ValueError: no"])

    def test_tasks_nest_and_may_be_yielded_again(self):
        def orchestrator(context):
            first = context.call_activity("a")
            pair = context.task_all([first, context.call_activity("b")])
            winner = yield context.task_any([pair, context.create_timer(context.current_utc_datetime + MINUTE)])
            again = yield first
            return [winner.result, again]

        self.assertEqual(Script().activity("a", 1).activity("b", 2).run(orchestrator).output, [[1, 2], 1])

    def test_a_task_that_loses_many_races_holds_on_to_none(self):
        def orchestrator(context):
            stop = context.wait_for_external_event("stop")
            for _ in range(5):
                yield context.task_any([stop, context.create_timer(context.current_utc_datetime + MINUTE)])
            return len(stop._listeners)

        self.assertEqual(Script().run(orchestrator).output, 0)

    def test_a_task_twice_in_a_list(self):
        def orchestrator(context):
            task = context.call_activity("a")
            return (yield context.task_all([task, task]))

        run = Script().activity("a", 1).run(orchestrator)
        self.assertEqual((run.output, len(run.actions)), ([1, 1], 1))

    def test_a_cancelled_timer_is_not_waited_for(self):
        def orchestrator(context):
            timer = context.create_timer(context.current_utc_datetime + MINUTE)
            yield context.task_any([timer, context.wait_for_external_event("go")])
            timer.cancel()
            timer.cancel()
            yield context.call_activity("end")
            return timer.is_cancelled

        run = Script().event("Go").activity("end").run(orchestrator)
        self.assertEqual((run.output, run.elapsed), (True, timedelta()))

    def test_a_wait_that_is_given_up_leaves_its_event_to_the_next(self):
        def orchestrator(context):
            stop, go = context.wait_for_external_event("stop"), context.wait_for_external_event("go")
            winner = yield context.task_any([stop, go])
            go.cancel()
            return [winner is stop, go.is_failed, (yield context.wait_for_external_event("go"))]

        run = Script().event("stop", after=MINUTE).event("go", 5, after=MINUTE).run(orchestrator)
        self.assertEqual(run.output, [True, True, 5])

    def test_a_timer_that_has_fired_cannot_be_cancelled(self):
        def orchestrator(context):
            timer = context.create_timer(context.current_utc_datetime)
            yield timer
            timer.cancel()

        self.assertEqual(Script().run(orchestrator).failure.message, "Cannot cancel a completed task.")

    def test_a_moment_without_a_time_zone_is_in_utc(self):
        def orchestrator(context):
            moment = context.current_utc_datetime + MINUTE
            yield context.create_timer(moment.replace(tzinfo=None))

        run = Script().run(orchestrator)
        self.assertEqual((run.elapsed, type(run.actions[0])), (MINUTE, CreateTimer))

    def test_retries_are_the_hosts(self):
        def orchestrator(context):
            options = df.RetryOptions(1000, 3, backoff_coefficient=2)
            return (yield context.call_activity_with_retry("flaky", options))

        run = Script().activity("flaky", ValueError("1"), ValueError("2"), "done").run(orchestrator)
        self.assertEqual((run.output, run.elapsed, len(run.actions)), ("done", timedelta(seconds=3), 1))

    def test_events_are_kept_in_order_and_names_ignore_case(self):
        def orchestrator(context):
            first = yield context.wait_for_external_event("Go")
            second = yield context.wait_for_external_event("GO")
            return [first, second]

        self.assertEqual(Script().event("go", 1).event("go", 2).run(orchestrator).output, [1, 2])

    def test_sub_orchestrations_are_named_by_themselves(self):
        app = df.DFApp()

        @app.orchestration_trigger(context_name="context", orchestration="Child")
        def child(context):
            return None

        def orchestrator(context):
            return (yield context.call_sub_orchestrator(child, {"n": 1}, "child-1"))

        run = Script().sub_orchestrator("Child", 7).run(orchestrator)
        self.assertEqual((run.output, run.actions), (7, [CallSubOrchestrator("Child", '{"n":1}', "child-1")]))

    def test_a_sub_orchestration_may_ask_for_a_version(self):
        def orchestrator(context):
            retry = df.RetryOptions(1000, 2)
            yield context.call_sub_orchestrator("Child", None, "child-1", "2.0")
            yield context.call_sub_orchestrator_with_retry("Child", retry, version="")
            return (yield context.call_sub_orchestrator("Child"))

        actions = Script().sub_orchestrator("Child", 7).run(orchestrator).actions
        asked = [(action.instance_id, action.version, action.retry is not None) for action in actions]
        self.assertEqual(asked, [("child-1", "2.0", False), (None, "", True), (None, None, False)])

    def test_continuing_as_new_ends_it(self):
        def orchestrator(context):
            yield context.call_activity("work")
            context.continue_as_new({"round": 2})
            return "ignored"

        run = Script().activity("work").run(orchestrator)
        self.assertEqual((run.output, run.continued_as_new), (None, ContinueAsNew('{"round":2}')))

    def test_continuing_as_new_may_be_yielded(self):
        def orchestrator(context):
            yield context.continue_as_new(1)
            raise AssertionError("it goes on")

        self.assertEqual(Script().run(orchestrator).continued_as_new, ContinueAsNew("1"))

    def test_signals_and_custom_status(self):
        def orchestrator(context):
            context.signal_entity(df.EntityId("Counter", "a"), "add", 1)
            context.set_custom_status({"done": 1})
            return context.custom_status

        run = Script().run(orchestrator)
        self.assertEqual((run.output, run.custom_status), ({"done": 1}, {"done": 1}))
        self.assertEqual(run.actions[0], SignalEntity(df.EntityId("counter", "a"), "add", "1", None))

    def test_a_failed_task_that_nobody_catches_fails_it_with_type_and_message(self):
        def orchestrator(context):
            yield context.call_activity("charge")

        failure = (
            Script().activity("charge", df.Failure("CardDeclined", "no", "the root", False)).run(orchestrator).failure
        )
        self.assertEqual((failure.error_type, failure.message, failure.retriable), ("CardDeclined", "no", False))
        self.assertTrue(failure.details.startswith("the root"))
        self.assertIn("test_orchestrators.py", failure.details)


class BadOrchestrators(unittest.TestCase):
    def failure_of(self, orchestrator, script=None):
        failure = (script or Script()).run(orchestrator).failure
        self.assertIsNotNone(failure)
        return failure

    def test_yielding_no_task_is_told_at_the_line(self):
        def orchestrator(context):
            yield [context.call_activity("a")]

        failure = self.failure_of(orchestrator)
        self.assertIn("yielded a list", failure.message)
        self.assertIn("yield [context.call_activity", failure.details)

    def test_awaiting_what_is_not_durable_is_told_at_the_line(self):
        async def orchestrator(context):
            await asyncio.get_running_loop().create_future()

        failure = self.failure_of(orchestrator)
        self.assertEqual((failure.error_type, failure.retriable), ("NothingToWaitFor", False))
        self.assertIn("create_future()", failure.details)

    def test_an_asynchronous_generator(self):
        async def orchestrator(context):
            yield 1

        self.assertIn("asynchronous generator", self.failure_of(orchestrator).message)

    def test_threads(self):
        async def orchestrator(context):
            await asyncio.to_thread(print)

        self.assertIn("no threads", self.failure_of(orchestrator).message)

    def test_a_cyclic_cause(self):
        def orchestrator(context):
            first, second = ValueError("first"), ValueError("second")
            first.__cause__, second.__cause__ = second, first
            raise first

        self.assertEqual(self.failure_of(orchestrator).message, "first")

    def test_an_exception_without_a_text(self):
        class MuteError(Exception):
            def __str__(self):
                raise RuntimeError

        def orchestrator(context):
            raise MuteError

        self.assertEqual(self.failure_of(orchestrator).error_type, "MuteError")
        self.assertEqual(self.failure_of(lambda _: exec("raise ValueError")).message, "ValueError")

    def test_what_is_no_json(self):
        cyclic = []
        cyclic.append(cyclic)
        for value in ({1}, float("nan"), cyclic, object()):
            failure = self.failure_of(lambda _, value=value: value)
            self.assertEqual((failure.error_type, failure.retriable), ("InvalidOutput", False))

    def test_an_exit(self):
        self.assertEqual(self.failure_of(lambda _: exit(3)).error_type, "SystemExit")

    def test_a_script_that_lacks_an_answer_is_told_though_the_orchestrator_catches_all(self):
        def orchestrator(context):
            try:
                yield context.call_activity("unknown")
            except Exception:
                return None

        with self.assertRaisesRegex(AssertionError, "no answer for CallActivity"):
            Script().run(orchestrator)


class Async(unittest.TestCase):
    def test_sleep_and_gather(self):
        async def orchestrator(context):
            await asyncio.sleep(60)
            return await asyncio.gather(
                context.call_activity("slow"), context.call_activity("fast"), asyncio.sleep(1, 3)
            )

        run = Script().activity("slow", 1, takes=MINUTE).activity("fast", 2).run(orchestrator)
        self.assertEqual((run.output, run.elapsed), ([1, 2, 3], 2 * MINUTE))

    def test_a_wait_that_times_out_leaves_the_event_to_the_next(self):
        async def orchestrator(context):
            try:
                await asyncio.wait_for(context.wait_for_external_event("go"), timeout=30)
            except TimeoutError:
                return await context.wait_for_external_event("go")

        run = Script().event("go", "late", after=MINUTE).run(orchestrator)
        self.assertEqual((run.output, run.elapsed), ("late", MINUTE))

    def test_a_timeout_that_is_not_reached_is_not_waited_for(self):
        async def orchestrator(context):
            async with asyncio.timeout(60):
                await context.call_activity("quick")
            await context.call_activity("quick")

        self.assertEqual(Script().activity("quick").run(orchestrator).elapsed, timedelta())

    def test_the_first_of_several(self):
        async def orchestrator(context):
            tasks = {asyncio.create_task(context.call_activity(name), name=name) for name in ("slow", "fast")}
            done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            return [task.get_name() for task in done] + [len(pending)]

        script = Script().activity("slow", takes=MINUTE).activity("fast")
        self.assertEqual(script.run(orchestrator).output, ["fast", 1])

    def test_a_failure_is_raised_where_it_is_awaited(self):
        async def orchestrator(context):
            try:
                await context.call_activity("bad")
            except df.Failure as failure:
                return failure.error_type

        self.assertEqual(Script().activity("bad", KeyError("k")).run(orchestrator).output, "KeyError")

    def test_flows_go_on_in_the_order_of_completion(self):
        order = []

        async def flow(context, name):
            await context.call_activity(name)
            order.append(name)

        async def orchestrator(context):
            await asyncio.gather(*(flow(context, name) for name in ("c", "b", "a")))

        script = Script().activity("a").activity("b", takes=MINUTE).activity("c", takes=2 * MINUTE)
        script.run(orchestrator)
        self.assertEqual(order, ["a", "b", "c"])

    def test_a_cancelled_flow_gives_up_its_event_but_not_its_activity(self):
        async def orchestrator(context):
            waits = asyncio.create_task(context.wait_for_external_event("go"))
            works = asyncio.create_task(context.call_activity("work"))
            await asyncio.sleep(1)
            waits.cancel()
            works.cancel()
            return await context.wait_for_external_event("go")

        script = Script().event("go", 5, after=MINUTE).activity("work", takes=2 * MINUTE)
        run = script.run(orchestrator)
        self.assertEqual(run.output, 5)
        self.assertEqual(run.actions.count(WaitForExternalEvent("go")), 2)

    def test_locks(self):
        async def orchestrator(context):
            entity = df.EntityId("Counter", "a")
            with await context.lock_entities(entity):
                return await context.call_entity(entity, "add", 2)

        script = Script().entity("counter", lambda key, operation, amount: [key, operation, amount])
        self.assertEqual(script.run(orchestrator).output, ["a", "add", 2])


class Http(unittest.TestCase):
    def test_whether_a_202_is_polled_is_said_to_the_host(self):
        def orchestrator(context):
            polled = yield context.call_http("GET", "http://example.org/")
            plain = yield context.call_http("GET", "http://example.org/", enable_polling=False)
            return [polled, plain]

        run = Script().http(lambda request: request.get("asynchronousPatternEnabled")).run(orchestrator)
        self.assertEqual(run.output, [None, False])


class Inputs(unittest.TestCase):
    @staticmethod
    def echo(context):
        return context.get_input()

    def test_any_json_is_an_input(self):
        for value in (None, 5, "text", "5", [1], {"a": None}):
            self.assertEqual(Script().run(self.echo, value).output, value)
            self.assertEqual(Script(parent_instance_id="parent").run(self.echo, value).output, value)

    def test_json_in_a_string_is_what_the_python_client_sends(self):
        from dacapo import payload

        self.assertEqual(payload.decode_start_input('"{\\"a\\": 1}"'), {"a": 1})
        self.assertEqual(payload.decode_start_input('"text"'), "text")


if __name__ == "__main__":
    unittest.main()
