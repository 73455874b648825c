"""start_new: inputs, ids, versions, refusals."""

import asyncio
import json

from opentelemetry import trace

from checks import check, equal, refused, true
from world import fresh

LARGE = "large \u00e4 " * 120_000

INPUTS = {
    "zero": 0,
    "a number": -12.5,
    "an empty string": "",
    "false": False,
    "true": True,
    "an empty list": [],
    "an empty object": {},
    "a string": "hello",
    "a nested value": {"a": [1, {"b": None}], "c": {"d": [[], {}]}},
    "unicode": "gr\u00fc\u00df \u65e5\u672c\u8a9e \U0001f600 \u0000 \u2028",
    "what looks like JSON": "{\"a\":",
    "a megabyte": LARGE,
}


async def input_arrives(world, value):
    """The client encodes twice: the input, and so the output, is a string that contains JSON."""
    instance_id = await world.client.start_new("echo_orchestrator", client_input=value)
    await world.until(instance_id, "Completed")
    status = await world.client.get_status(instance_id, show_input=True)
    equal(status.input_, json.dumps(value), "the input")
    equal(status.output, json.dumps(value), "the output")
    equal(json.loads(status.output), value, "the output, decoded once more")


for name, value in INPUTS.items():
    check(f"start_new with {name} as input", value)(input_arrives)


@check("start_new without an input")
async def no_input(world):
    instance_id = await world.client.start_new("echo_orchestrator")
    status = await world.until(instance_id, "Completed")
    equal((status.input_, status.output), (None, None), "input and output")
    equal(len(instance_id), 32, f"the length of the new id {instance_id}")


IDS = {
    "spaces": "two words here",
    "a plus": "a+b",
    "a colon": "urn:order:1",
    "an ampersand": "a&b",
    "a semicolon": "a;b",
    "an equals sign": "a=b",
    "unicode": "gr\u00fc\u00df-\u65e5\u672c\u8a9e-\U0001f600",
    "an at sign": "ada@example.org",
    "quotes": "it's \"it\"",
    "brackets": "[a]{b}(c)<d>",
    "a lone percent sign": "100%",
    "other marks": "~!$*,|^`_.-",
    "256 characters": "x" * 223,
}


async def id_works(world, text):
    """Calls every method that takes an id with the given text."""
    client = world.client
    instance_id = f"{text}-{fresh()}"[:256] if text.startswith("x") else f"{fresh()[:8]}-{text}"
    equal(await client.start_new("collect_events", instance_id), instance_id, "the id of the new instance")
    equal((await world.until(instance_id, "Running")).instance_id, instance_id, "the id in the status")
    await client.suspend(instance_id, "r")
    await client.resume(instance_id, "r")
    await client.raise_event(instance_id, "Done")
    equal((await world.until(instance_id, "Completed")).output, [], "the output")
    listed = await client.get_status_by(instance_id_prefix=instance_id)
    if not any(mark in instance_id for mark in "&+;"):  # which the client does not encode in a query
        equal([status.instance_id for status in listed], [instance_id], "the ids that begin with it")
    equal((await client.purge_instance_history(instance_id)).instances_deleted, 1, "the number of purged instances")
    true(not await client.get_status(instance_id), "it is there after the purge")


for name, text in IDS.items():
    check(f"an id with {name}", text)(id_works)


@check("an id that looks encoded is decoded once, by the client")
async def encoded_id(world):
    suffix = fresh()
    equal(await world.client.start_new("echo_orchestrator", f"p%41q-{suffix}"), f"pAq-{suffix}", "the id")
    await world.until(f"pAq-{suffix}", "Completed")


async def id_is_refused(world, text, pattern):
    await refused(world.client.start_new("echo_orchestrator", text), pattern)
    status, _ = await world.raw("GET", "instances?top=1")
    equal(status, 200, "the status of the next request")


check("an id of an entity is refused", "@counter@x", "@")(id_is_refused)
check("an id that is too long is refused", "x" * 257, "256")(id_is_refused)
check("an id with a slash is refused", "a/b", "None")(id_is_refused)
check("an id with an encoded slash is refused", "a%2Fb", "/")(id_is_refused)
check("an id with a control character is refused", "a\u0007b", "not allowed")(id_is_refused)


@check("start_new with a version")
async def version(world):
    for text in ["2.0 beta", "1", "\u00e4+&=#%41"]:
        instance_id = await world.client.start_new("seen", version=text)
        status = await world.until(instance_id, "Completed")
        equal(status.output["version"], text, "the version that the orchestrator sees")


@check("start_new of an unknown orchestrator says which are known")
async def unknown(world):
    call = world.client.start_new("nobody")
    await refused(call, "The function 'nobody' doesn't exist.*known orchestrator functions.*'echo_orchestrator'")


async def conflict(world, state):
    instance_id = await world.instance(state)
    await refused(world.client.start_new("echo_orchestrator", instance_id), "already exists")
    equal((await world.client.get_status(instance_id)).runtime_status.value.lower(), state, "the status afterwards")


for state in ["running", "suspended", "pending"]:
    check(f"start_new on the id of a {state} instance is refused", state)(conflict)


async def replaced(world, state):
    instance_id = await world.instance(state)
    equal(await world.client.start_new("echo_orchestrator", instance_id, "again"), instance_id, "the id")
    status = await world.until_output(instance_id, "\"again\"")
    equal(status.name, "echo_orchestrator", "the name")


for state in ["completed", "failed", "terminated"]:
    check(f"start_new on the id of a {state} instance replaces it", state)(replaced)


@check("a singleton: start_new if there is none")
async def singleton(world):
    instance_id = fresh()
    started = 0
    for _ in range(3):
        status = await world.client.get_status(instance_id)
        if not status:
            await world.client.start_new("collect_events", instance_id)
            started += 1
    equal(started, 1, "the number of starts")


@check("start_new of one id many times at once starts one")
async def race(world):
    instance_id = fresh()
    calls = [world.client.start_new("collect_events", instance_id) for _ in range(12)]
    answers = await asyncio.gather(*calls, return_exceptions=True)
    equal([answer for answer in answers if isinstance(answer, str)], [instance_id], "the successful starts")
    true(all("already exists" in str(answer) for answer in answers if not isinstance(answer, str)), f"{answers}")


@check("start_new within a trace")
async def traced(world):
    context = trace.SpanContext(0xaf7651916cd43dd8448eb211c80319c, 0xb7ad6b7169203331, False, trace.TraceFlags(1))
    with trace.use_span(trace.NonRecordingSpan(context)):
        instance_id = await world.client.start_new("echo_orchestrator")
    await world.until(instance_id, "Completed")
