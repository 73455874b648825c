"""wait_for_completion_or_create_check_status_response."""

import asyncio
import json

from checks import check, equal, refused, true
from world import STATES


async def wait(world, instance_id, timeout=300, interval=100):
    call = world.client.wait_for_completion_or_create_check_status_response
    answer = await call(world.trigger(), instance_id, timeout, interval)
    return answer.status_code, json.loads(answer.get_body())


async def waited(world, state):
    instance_id = await world.instance(state)
    code, body = await wait(world, instance_id)
    if state == "completed":
        # An output that is a string is sent unquoted; from this client it is JSON in a string.
        equal((code, body), (200, {"a": 1}), "the answer")
    elif state in ("failed", "terminated"):
        equal(code, 500 if state == "failed" else 200, "the status code")
        equal(body["runtimeStatus"], state.capitalize(), "the status")
        equal(body["instanceId"], instance_id, "the id")
    else:
        equal(code, 202, "the status code")
        true(f"/instances/{instance_id}?" in body["statusQueryGetUri"], f"the link is {body['statusQueryGetUri']}")


for state in STATES:
    check(f"wait for completion of a {state} instance", state)(waited)


@check("wait for completion of an instance that completes meanwhile")
async def completes(world):
    instance_id = await world.instance("running")
    waiting = asyncio.create_task(wait(world, instance_id, 20_000, 50))
    await asyncio.sleep(0.2)
    await world.client.raise_event(instance_id, "Done")
    equal(await waiting, (200, []), "the answer")


@check("wait for completion with an interval longer than the timeout is refused by the client")
async def wrong_interval(world):
    await refused(wait(world, "any", 100, 200), "should be bigger than retry timeout")
