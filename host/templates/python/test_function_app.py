import unittest
from datetime import timedelta

from dacapo.testing import Script
from function_app import order, reserve


class Order(unittest.TestCase):
    def test_an_approved_order_is_sent(self):
        script = Script().activity(reserve).event("Approval", True, after=timedelta(hours=2))
        run = script.run(order, "a lamp")
        self.assertEqual(run.output, "the reservation of a lamp is on its way")
        self.assertEqual(run.elapsed, timedelta(hours=2))

    def test_without_an_answer_it_expires(self):
        run = Script().activity(reserve).run(order, "a lamp")
        self.assertEqual(run.output, "the reservation of a lamp has expired")
        self.assertEqual(run.elapsed, timedelta(days=3))

    def test_a_reservation_is_tried_again(self):
        script = Script().activity(reserve, OSError("try later"), OSError("try later"), "r-17")
        run = script.event("Approval", False).run(order, "a lamp")
        self.assertEqual(run.output, "r-17 was rejected")
        self.assertEqual(run.elapsed, timedelta(seconds=1 + 2))


if __name__ == "__main__":
    unittest.main()
