"""get_status: every state and every flag."""

from datetime import datetime, timedelta, timezone

from checks import check, equal, refused, true
from world import STATES


async def status_of(world, state):
    instance_id = await world.instance(state)
    status = await world.client.get_status(instance_id)
    if state == "missing":
        equal(bool(status), False, "whether there is a status")
        equal(status.runtime_status, None, "the status")
        return
    equal(bool(status), True, "whether there is a status")
    equal(status.runtime_status.value.lower(), state, "the status")
    equal(status.instance_id, instance_id, "the id")
    now = datetime.now(timezone.utc)
    true(now - timedelta(minutes=5) < status.created_time <= now, f"it was created at {status.created_time}, it is {now}")
    true(status.created_time <= status.last_updated_time <= now, f"it was updated at {status.last_updated_time}")


for state in STATES:
    check(f"get_status of a {state} instance", state)(status_of)


@check("get_status of a failed instance says why")
async def failed(world):
    status = await world.client.get_status(await world.instance("failed"))
    equal(status.name, "return_error", "the name")
    true(status.output.startswith("Orchestrator function 'return_error' failed: "), f"the output is {status.output}")
    true("the probe fails" in status.output, f"the output is {status.output}")


@check("get_status of a terminated instance has the reason as its output")
async def terminated(world):
    equal((await world.client.get_status(await world.instance("terminated"))).output, "not needed", "the output")


@check("get_status has the custom status")
async def custom_status(world):
    instance_id = await world.start_raw("set_status", 5)
    await world.until(instance_id, "Running")
    equal((await world.client.get_status(instance_id)).custom_status, "xxxxx", "the custom status")


async def history_of(world, flags, results):
    instance_id = await world.start_raw("chain", 2)
    await world.until(instance_id, "Completed")
    status = await world.client.get_status(instance_id, **flags)
    if not flags.get("show_history"):
        equal((status.history, hasattr(status, "historyEvents")), (None, False), "the history")
        return
    types = ["ExecutionStarted", "TaskCompleted", "TaskCompleted", "ExecutionCompleted"]
    # The library keeps the original's `historyEvents` unchanged; its documentation promises `history`.
    for history in [status.historyEvents, status.history]:
        equal([event["EventType"] for event in history], types, "the types of the events")
        equal(history[0]["FunctionName"], "chain", "the function")
        equal(history[1]["FunctionName"], "add_one", "the activity")
        equal([event.get("Result") for event in history[1:]], results, "the results")
        true(history[1]["ScheduledTime"] <= history[1]["Timestamp"], f"{history[1]}")
        equal(history[3]["OrchestrationStatus"], "Completed", "how it ended")


for flags, results in [
    ({}, None),
    ({"show_input": True}, None),
    ({"show_history_output": True}, None),
    ({"show_history": True}, [None, None, None]),
    ({"show_history": True, "show_history_output": True}, [1, 2, 2]),
    ({"show_history": True, "show_history_output": True, "show_input": True}, [1, 2, 2]),
]:
    check(f"get_status with {', '.join(flags) or 'no flags'}", flags, results)(history_of)


@check("get_status shows the input even if it is not asked to: the client does not send a flag that is false")
async def input_is_shown(world):
    instance_id = await world.instance("completed")
    for flags in [{}, {"show_input": False}, {"show_input": True}]:
        equal((await world.client.get_status(instance_id, **flags)).input_, '{"a": 1}', f"the input with {flags}")


@check("get_status without a base address is refused by the client")
async def no_base(world):
    await refused(world.another_client(rpcBaseUrl=None).get_status("x"), "has not RPC base url")
