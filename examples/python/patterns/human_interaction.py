"""Asks for an approval, and escalates if there is no answer in time."""

import logging
from datetime import timedelta

import azure.durable_functions as df

bp = df.Blueprint()


@bp.orchestration_trigger(context_name="context")
def request_approval(context: df.DurableOrchestrationContext):
    request = context.get_input()
    yield context.call_activity(ask_for_approval, request["item"])

    due_time = context.current_utc_datetime + timedelta(seconds=request["timeout_seconds"])
    timeout_task = context.create_timer(due_time)
    approval_event = context.wait_for_external_event("ApprovalEvent")

    winner = yield context.task_any([approval_event, timeout_task])
    if winner == approval_event:
        timeout_task.cancel()
        outcome = yield context.call_activity(process_approval, approval_event.result)
    else:
        outcome = yield context.call_activity(escalate, request["item"])
    return outcome


@bp.activity_trigger(input_name="item")
def ask_for_approval(item: str):
    logging.info("please approve %s", item)


@bp.activity_trigger(input_name="approved")
def process_approval(approved: bool) -> str:
    return "approved" if approved else "rejected"


@bp.activity_trigger(input_name="item")
def escalate(item: str) -> str:
    return f"escalated {item}"
