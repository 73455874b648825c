"""terminate, suspend, resume, rewind, restart, purge: each in every state."""

import json
from datetime import datetime, timedelta, timezone

from checks import check, equal, refused, true
from world import ENDED, STATES, fresh, path

REASON = "it was time: a&b = 100% + gr\u00fc\u00df; done?"


async def outcome(call, expected):
    """Checks that the call returns nothing, or if `expected` is a pattern, that it raises a matching exception."""
    if expected is None:
        equal(await call, None, "the answer")
    else:
        await refused(call, expected)


def missing(instance_id):
    return f"No instance with ID '{instance_id}' found"


async def status_is(world, instance_id, state):
    if state != "missing":
        await world.until(instance_id, state.capitalize())


async def terminated(world, state):
    """The client treats a 410 as success, so an ended instance is no error."""
    instance_id = await world.instance(state)
    await outcome(world.client.terminate(instance_id, REASON), missing(instance_id) if state == "missing" else None)
    await status_is(world, instance_id, state if state in [*ENDED, "missing"] else "terminated")
    if state in ("running", "suspended", "pending"):
        equal((await world.client.get_status(instance_id)).output, REASON, "the output")


async def suspended(world, state):
    instance_id = await world.instance(state)
    expected = {"missing": missing(instance_id), "suspended": "unexpected status code 500"}.get(state)
    await outcome(world.client.suspend(instance_id, REASON), expected)
    await status_is(world, instance_id, state if state in [*ENDED, "missing"] else "suspended")


async def resumed(world, state):
    instance_id = await world.instance(state)
    not_suspended = "unexpected status code 500"
    expected = {"missing": missing(instance_id), "running": not_suspended, "pending": not_suspended}.get(state)
    await outcome(world.client.resume(instance_id, REASON), expected)
    await status_is(world, instance_id, "running" if state == "suspended" else state)


async def not_rewound(world, state):
    instance_id = await world.instance(state)
    expected = f"No instance with ID {instance_id} found" if state == "missing" else "rewound|rewind"
    await outcome(world.client.rewind(instance_id, "try again"), expected)
    await status_is(world, instance_id, state)


async def restarted(world, state):
    """The client returns the whole body of the response and not, as documented, the id."""
    instance_id = await world.instance(state)
    call = world.client.restart(instance_id)
    if state == "missing":
        await refused(call, "unexpected status code 400")
        return
    again = (await call)["id"]
    true(again != instance_id, f"the id is still {again}")
    before, after = await world.client.get_status(instance_id), await world.client.get_status(again)
    equal((after.name, after.input_), (before.name, before.input_), "name and input")
    await status_is(world, instance_id, state)
    await status_is(world, again, {"completed": "completed", "failed": "failed", "pending": "completed"}.get(state, "running"))


async def restarted_in_place(world, state):
    instance_id = await world.instance(state)
    call = world.client.restart(instance_id, restart_with_new_instance_id=False)
    if state in ENDED:
        before = await world.client.get_status(instance_id, show_history=True)
        equal((await call)["id"], instance_id, "the id")
        await status_is(world, instance_id, {"terminated": "running"}.get(state, state))
        after = await world.client.get_status(instance_id, show_history=True)
        equal((after.name, after.input_), (before.name, before.input_), "name and input")
        true(after.historyEvents[0]["Timestamp"] > before.historyEvents[0]["Timestamp"], "the history is the old one")
    else:
        await refused(call, f"unexpected status code {400 if state == 'missing' else 409}")
        await status_is(world, instance_id, state)


async def purged(world, state):
    instance_id = await world.instance(state)
    call = world.client.purge_instance_history(instance_id)
    if state in ("running", "suspended", "pending"):
        await refused(call, "unexpected status code 412")
        await status_is(world, instance_id, state)
        return
    equal((await call).instances_deleted, 0 if state == "missing" else 1, "the number of purged instances")
    equal(bool(await world.client.get_status(instance_id)), False, "whether it is there")
    equal((await world.client.purge_instance_history(instance_id)).instances_deleted, 0, "the number, the second time")
    status, history = await world.raw("GET", f"{path(instance_id)}?showHistory=true")
    equal((status, history), (404, None), "the answer about its history")


for state in STATES:
    check(f"terminate a {state} instance", state)(terminated)
    check(f"suspend a {state} instance", state)(suspended)
    check(f"resume a {state} instance", state)(resumed)
    if state != "failed":
        check(f"rewind a {state} instance", state)(not_rewound)
    check(f"restart a {state} instance", state)(restarted)
    check(f"restart a {state} instance under its own id", state)(restarted_in_place)
    check(f"purge a {state} instance", state)(purged)


@check("suspend an instance before it starts: it starts suspended")
async def suspended_before_the_start(world):
    at = (datetime.now(timezone.utc) + timedelta(seconds=1)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    instance_id = await world.start_raw("echo_orchestrator", None, f"?startAt={at}")
    await world.client.suspend(instance_id, "not yet")
    await world.until(instance_id, "Suspended")
    await world.client.resume(instance_id, "now")
    await world.until(instance_id, "Completed")


async def reasons_of(world, instance_id):
    history = (await world.client.get_status(instance_id, show_history=True)).historyEvents
    return [(event["EventType"], event["Reason"]) for event in history if "Reason" in event and event["Reason"] is not None]


@check("the reasons of suspend and resume are in the history")
async def reasons(world):
    instance_id = await world.instance("running")
    await world.client.suspend(instance_id, REASON)
    await world.client.resume(instance_id, "go on")
    await world.client.raise_event(instance_id, "Done")
    await world.until(instance_id, "Completed")
    equal(await reasons_of(world, instance_id), [("ExecutionSuspended", REASON), ("ExecutionResumed", "go on")], "the reasons")


async def answers(world, name):
    return (await world.raw("GET", f"{world.switch}/{name}/asked"))[1]


@check("rewind a failed instance: what failed runs again, what succeeded does not")
async def rewound(world):
    good, bad = f"{fresh()}-on", f"{fresh()}-off"
    instance_id = await world.start_raw("fetch_all", [f"{world.switch}/{good}", f"{world.switch}/{bad}"])
    await world.until(instance_id, "Failed")
    equal(await answers(world, good), 1, "how often the good service was asked")
    await world.raw("POST", f"{world.switch}/{bad}/on")
    before = await answers(world, bad)
    equal(await world.client.rewind(instance_id, "the service is back"), None, "the answer")
    status = await world.until(instance_id, "Completed")
    equal(status.output, [200, 200], "the output")
    equal(await answers(world, good), 1, "how often the good service was asked")
    equal(await answers(world, bad), before + 1, "how often the other was asked")
    history = (await world.client.get_status(instance_id, show_history=True)).historyEvents
    true("the service is back" in json.dumps(history), f"the reason is not in the history: {history}")


@check("rewind an instance that fails again")
async def rewound_in_vain(world):
    instance_id = await world.instance("failed")
    equal(await world.client.rewind(instance_id, "once+more & again"), None, "the answer")
    await world.until(instance_id, "Failed")
    await world.client.rewind(instance_id, "again", task_hub_name=world.hub, connection_name="Storage")
    await world.until(instance_id, "Failed")
    elsewhere = world.client.rewind(instance_id, "again", task_hub_name="Elsewhere")
    await refused(elsewhere, "opens nothing else")


@check("terminate passes while an instance is busy, and what comes later is dropped")
async def terminated_while_busy(world):
    instance_id = await world.start_raw("call", {"name": "sleep", "input": 3_000})
    await world.until(instance_id, "Running")
    await world.client.terminate(instance_id, "enough")
    equal((await world.until(instance_id, "Terminated")).output, "enough", "the output")


@check("a purged id can be used again, and nothing of the old instance is left")
async def used_again(world):
    instance_id = await world.instance("completed")
    await world.client.purge_instance_history(instance_id)
    await world.client.start_new("collect_events", instance_id)
    await world.until(instance_id, "Running")
    history = (await world.client.get_status(instance_id, show_history=True)).historyEvents
    equal([event["EventType"] for event in history], ["ExecutionStarted"], "the history")
