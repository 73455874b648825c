"""raise_event: payloads, names, every state."""

import json

from checks import check, equal, refused
from starting import INPUTS
from world import STATES, fresh


async def payloads_arrive(world):
    """The client encodes twice: the orchestrator gets strings that contain JSON. None is sent as the string `null`."""
    instance_id = await world.instance("running")
    payloads = [None, *INPUTS.values()]
    for payload in payloads:
        await world.client.raise_event(instance_id, "Item", payload)
    await world.client.raise_event(instance_id, "Done")
    status = await world.until(instance_id, "Completed")
    equal(status.output, [json.dumps(payload) for payload in payloads], "what was received, in order")


check("raise_event with every kind of payload")(payloads_arrive)


async def raised(world, state):
    instance_id = await world.instance(state)
    call = world.client.raise_event(instance_id, "Item", 1)
    if state in ("completed", "failed", "terminated"):
        await refused(call, f"Instance with ID {instance_id} is gone: either completed or failed")
    elif state == "missing":
        await refused(call, f"No instance with ID {instance_id} found.")
    else:
        equal(await call, None, "the answer")


for state in STATES:
    check(f"raise_event to a {state} instance", state)(raised)


@check("raise_event to a suspended instance is kept until it is resumed")
async def kept(world):
    instance_id = await world.start_raw("keep_events", [3, []])
    await world.until(instance_id, "Running")
    await world.client.suspend(instance_id, "for now")
    for number in range(3):
        await world.client.raise_event(instance_id, "Item", number)
    equal((await world.client.get_status(instance_id)).runtime_status.value, "Suspended", "the status")
    await world.client.resume(instance_id, "go on")
    equal((await world.until(instance_id, "Completed")).output, ["0", "1", "2"], "what was received")


@check("raise_event before the orchestrator waits is kept")
async def early(world):
    instance_id = await world.start_raw("chain_then_wait", 20)
    await world.client.raise_event(instance_id, "go", "early")
    equal((await world.until(instance_id, "Completed")).output, '"early"', "the output")


async def named(world, waits_for, raises):
    instance_id = await world.start_raw("wait_event", waits_for)
    await world.client.raise_event(instance_id, raises, 5)
    equal((await world.until(instance_id, "Completed")).output, "5", "the output")


for waits_for, raises in [
    ("Go", "Go"),
    ("Go", "gO"),
    ("Go On", "Go On"),
    ("gr\u00fc\u00df \u65e5\u672c", "gr\u00fc\u00df \u65e5\u672c"),
    ("a+b:c;d=e&f", "a+b:c;d=e&f"),
    ("\u00c4", "\u00e4"),
]:
    check(f"raise_event '{raises}' wakes who waits for '{waits_for}'", waits_for, raises)(named)


@check("raise_event with a task hub and a connection")
async def with_hub(world):
    instance_id = await world.instance("running")
    await world.client.raise_event(instance_id, "Done", None, task_hub_name=world.hub, connection_name="Storage")
    await world.until(instance_id, "Completed")
    another = await world.instance("running")
    elsewhere = world.client.raise_event(another, "Done", task_hub_name="Elsewhere", connection_name="Storage")
    await refused(elsewhere, "status code 403")


@check("raise_event without a name is refused by the client")
async def nameless(world):
    await refused(world.client.raise_event(fresh(), ""), "event_name must be a non-empty string")
