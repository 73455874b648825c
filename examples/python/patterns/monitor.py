"""Polls a job until it has finished or the deadline has passed."""

from datetime import timedelta

from dateutil import parser

import azure.durable_functions as df

bp = df.Blueprint()


@bp.orchestration_trigger(context_name="context")
def monitor_job(context: df.DurableOrchestrationContext):
    job = context.get_input()
    deadline = context.current_utc_datetime + timedelta(seconds=job["timeout_seconds"])
    if "deadline" in job:
        deadline = parser.isoparse(job["deadline"])

    polls = 0
    while context.current_utc_datetime < deadline:
        polls += 1
        status = yield context.call_activity("get_job_status", {"id": job["id"], "poll": polls})
        if status == "Completed":
            return {"status": status, "polls": polls}
        next_poll = context.current_utc_datetime + timedelta(seconds=job["polling_seconds"])
        yield context.create_timer(next_poll)

    return {"status": "TimedOut", "polls": polls}


@bp.activity_trigger(input_name="job")
def get_job_status(job: dict) -> str:
    # A real app would ask a server.
    return "Completed" if job["poll"] >= 3 else "Running"
