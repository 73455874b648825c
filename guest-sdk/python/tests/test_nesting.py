"""Deeply nested payloads ended the function: Python's JSON recursed until the host's stack was used up."""

import json
import unittest
from collections import OrderedDict, defaultdict

import azure.durable_functions as df
from dacapo import payload
from dacapo.testing import Script


class Nesting(unittest.TestCase):
    @staticmethod
    def deep(levels):
        value = 1
        for _ in range(levels):
            value = [{"a": value}]
        return value

    def test_a_text_that_looks_like_deep_json_is_a_text(self):
        for text in ("[" * 100_000, "[" * 50_000 + "]" * 50_000, '{"a":' * 3000, "1" * 5000):
            run = Script().run(lambda context: context.get_input(), text)
            self.assertEqual(run.output, text)

        def starts(context):
            context.start_orchestration("child", "[" * 3000)

        (action,) = Script().run(starts).actions
        self.assertEqual(action.input, json.dumps("[" * 3000))

    def test_a_value_that_is_nested_too_deep_is_refused(self):
        def orchestrator(context):
            try:
                yield context.call_activity("a", self.deep(1500))
            except df.Failure as failure:
                return str(failure)

        said = Script().run(orchestrator).output
        self.assertEqual(said, "InvalidInput: the input of `a` cannot be written as JSON: it is nested deeper than 1000 levels")
        with self.assertRaises(RecursionError):
            payload.decode('[{"a":' * 1500 + "1" + "}]" * 1500)

    def test_subclasses_of_containers_are_levels_too(self):
        class Row(list):
            pass

        for kind in (lambda inner: OrderedDict(a=inner), lambda inner: defaultdict(int, {"a": inner}), lambda inner: Row([inner])):
            value = 1
            for _ in range(1500):
                value = kind(value)
            with self.assertRaises(df.Failure) as refused:
                payload.encode(value, "it")
            self.assertIn("nested deeper than 1000 levels", str(refused.exception))
            shallow = kind(kind(1))
            self.assertEqual(payload.decode(payload.encode(shallow, "it")), shallow)

    def test_brackets_in_texts_are_no_levels_and_neither_is_a_long_list(self):
        for value in (["[" * 5000, '\\"[{' * 5000, "\\\n["], [[n] for n in range(5000)], self.deep(150)):
            self.assertEqual(payload.decode(payload.encode(value, "it")), value)


if __name__ == "__main__":
    unittest.main()
