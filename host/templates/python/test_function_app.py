import unittest
from datetime import timedelta

import azure.functions as func
from dacapo.testing import Script, run_trigger
from function_app import order, reserve, start_order


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

    def test_a_request_starts_an_order(self):
        run = run_trigger(start_order, func.HttpRequest("POST", "http://localhost/api/orders", body=b'"a lamp"'))
        (started,) = run.actions
        self.assertEqual((started.name, started.input), ("order", '"a lamp"'))
        self.assertEqual(run.response.status_code, 202)
        self.assertIn(started.instance_id, run.response.get_body().decode())


if __name__ == "__main__":
    unittest.main()
