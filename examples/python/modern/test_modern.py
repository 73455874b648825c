"""Tests of the app without a host: `python -m unittest` with the SDK on the path."""

import unittest
from datetime import timedelta

from dacapo.testing import Script, StartOrchestration, run_activity
from function_app import order, place, release, reserve, transfer


class Order(unittest.TestCase):
    script = Script().activity(reserve, lambda item: f"r-{item}").activity(release)

    def test_an_approved_order_keeps_its_reservations(self):
        script = Script().activity(reserve, lambda item: f"r-{item}").event("Approval", True)
        self.assertEqual(script.run(order, ["a", "b"]).output, ["r-a", "r-b"])

    def test_without_an_answer_all_is_released(self):
        run = self.script.run(order, ["a", "b"])
        self.assertEqual(run.failure.error_type, "NotApproved")
        self.assertEqual(run.calls[2:], [("release", "a"), ("release", "b")])
        self.assertEqual(run.elapsed, timedelta(seconds=2))


class Checkout(unittest.TestCase):
    def test_each_basket_becomes_an_order(self):
        run = run_activity(place, {"ada": ["a lamp"], "bob": ["a chair"]})
        self.assertEqual(run.result, ["order-ada", "order-bob"])
        self.assertEqual(run.actions[0], StartOrchestration("order", '["a lamp"]', "order-ada"))


class Transfer(unittest.TestCase):
    def test_too_much(self):
        run = Script().entity("Account", lambda key, operation, amount: 10).run(transfer, 30)
        self.assertEqual(run.failure.error_type, "InsufficientFunds")


if __name__ == "__main__":
    unittest.main()
