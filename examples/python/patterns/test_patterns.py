"""Tests of the app without a host: `python -m unittest` with the SDK on the path."""

import unittest
from datetime import timedelta

from counter import Counter
from human_interaction import ask_for_approval, escalate, process_approval, request_approval
from monitor import get_job_status, monitor_job
from retries import place_order

from dacapo.testing import Script, run_entity


class Approval(unittest.TestCase):
    request = {"item": "a lamp", "timeout_seconds": 3 * 86400}

    def script(self) -> Script:
        return Script().activity(ask_for_approval).activity(process_approval).activity(escalate)

    def test_an_answer_in_time_is_processed(self):
        run = self.script().event("ApprovalEvent", True, after=timedelta(days=2)).run(request_approval, self.request)
        self.assertEqual(run.output, "approved")
        self.assertEqual(run.elapsed, timedelta(days=2))

    def test_no_answer_is_escalated(self):
        run = self.script().run(request_approval, self.request)
        self.assertEqual(run.output, "escalated a lamp")
        self.assertEqual(run.elapsed, timedelta(days=3))


class Monitor(unittest.TestCase):
    def test_it_polls_until_the_job_is_done(self):
        job = {"id": "j1", "polling_seconds": 60, "timeout_seconds": 3600}
        run = Script().activity(get_job_status).run(monitor_job, job)
        self.assertEqual(run.output, {"status": "Completed", "polls": 3})
        self.assertEqual(run.elapsed, timedelta(minutes=2))


class Retries(unittest.TestCase):
    def test_what_keeps_failing_is_cancelled(self):
        script = Script().activity("charge", ValueError("declined")).activity("cancel")
        run = script.run(place_order, {"item": "chairs", "quantity": 2})
        self.assertEqual(run.output, "cancelled: ValueError: declined")
        self.assertEqual([name for name, _ in run.calls], ["charge", "cancel"])


class CounterEntity(unittest.TestCase):
    def test_it_adds(self):
        run = run_entity(Counter, "add", 4, state=3)
        self.assertEqual((run.result, run.state), (7, 7))


if __name__ == "__main__":
    unittest.main()
