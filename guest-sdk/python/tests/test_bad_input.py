"""Mistakes in apps end in failures that explain them and name the line."""

import asyncio
import unittest

import azure.durable_functions as df
from dacapo.testing import Script, run_entity


class Impostor:
    def __await__(self):
        yield "no task"


class BadInput(unittest.TestCase):
    def check(self, orchestrator, error_type, words, *, retriable=False):
        failure = Script().activity("work", "done").run(orchestrator).failure
        self.assertEqual((failure.error_type, failure.retriable), (error_type, retriable))
        self.assertIn(words, failure.message)
        return failure.details

    def test_what_is_no_task_is_refused_at_its_yield(self):
        cases = [
            (lambda context: 42, "yielded a int"),
            (lambda context: context.set_custom_status("busy"), "called without `yield`"),
            (lambda context: [context.call_activity("work")], "task_all"),
            (lambda context: Impostor(), "awaited"),
        ]
        for make, words in cases:

            def orchestrator(context):
                yielded = make(context)
                yield yielded  # here

            self.assertIn("yield yielded  # here", self.check(orchestrator, "NotATask", words))

    def test_an_asynchronous_generator_is_no_orchestrator(self):
        async def orchestrator(context):
            yield context.call_activity("work")

        details = self.check(orchestrator, "InvalidOrchestrator", "use `await` in place of `yield`")
        self.assertIn("async def orchestrator(context):", details)

    def test_what_never_completes_is_found_out(self):
        async def orchestrator(context):
            await asyncio.get_running_loop().create_future()

        details = self.check(orchestrator, "NothingToWaitFor", "must come from its context")
        self.assertIn("await asyncio.get_running_loop().create_future()", details)

    def test_what_is_not_durable_is_refused(self):
        async def awaits_an_impostor(context):
            await Impostor()

        async def awaits_a_thread(context):
            await asyncio.to_thread(print)

        self.check(awaits_an_impostor, "RuntimeError", "bad yield: 'no task'", retriable=True)
        self.check(awaits_a_thread, "RuntimeError", "a guest has no threads", retriable=True)

    def test_what_is_not_json_is_named(self):
        cycle = []
        cycle.append(cycle)
        for value, words in [
            ({"a"}, "`set` has no `to_json`"),
            (cycle, "Circular reference"),
            (float("nan"), "not JSON compliant"),
        ]:
            self.check(lambda context: value, "InvalidOutput", "the output of `orchestrator` cannot be written as JSON")
            details = self.check(lambda context: value, "InvalidOutput", words)
            self.assertRegex(details, r'File ".*test_bad_input.py", line \d+, in orchestrator')
            self.check(lambda context: context.call_activity("work", value), "InvalidInput", "the input of `work`")
            self.check(lambda context: context.send_event("i", "e", value), "InvalidInput", "the data of the event `e`")
            self.check(lambda context: context.set_custom_status(value), "InvalidInput", "the custom status")

    def test_a_state_that_is_not_json_is_named(self):
        with self.assertRaises(df.Failure) as raised:
            run_entity(lambda context: context.set_state({"a"}), "fill")
        self.assertEqual(raised.exception.error_type, "InvalidState")
        self.assertIn("the state of @entity@key cannot be written as JSON", raised.exception.message)
        self.assertRegex(raised.exception.details, r'File ".*test_bad_input.py", line \d+, in entity')

    def test_causes_that_go_in_a_circle_are_told_once(self):
        def orchestrator(context):
            inner, outer = ValueError("inner"), ValueError("outer")
            inner.__cause__ = outer
            raise outer from inner

        self.assertEqual(self.check(orchestrator, "ValueError", "outer", retriable=True).count("ValueError: inner"), 1)

    def test_a_module_that_is_not_in_the_component_is_explained(self):
        def orchestrator(context):
            import no_such_module  # here

        details = self.check(orchestrator, "ModuleNotFoundError", "not part of the app", retriable=True)
        self.assertIn("import no_such_module  # here", details)


if __name__ == "__main__":
    unittest.main()
