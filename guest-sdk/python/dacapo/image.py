"""Prepares the memory of a component at build time, which is the initial memory of every instance.

Instances share pages that they do not modify, and have a copy of each page that they write to. CPython writes even to
objects that it only reads: reference counts, marks of the garbage collector, and caches of the interpreter. So this
module freezes the collector, runs typical code until the caches are filled, and writes the addresses of all objects to
a file: the builder makes them immortal (`dacapo.builder.immortal`), so that their reference counts do not change.
"""

from __future__ import annotations

import asyncio
import gc
import itertools
import types
from array import array
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

from dacapo.action import RetryOptions
from dacapo.app import DFApp
from dacapo.calls import ActivityCall
from dacapo.client import DurableOrchestrationClient
from dacapo.context import DurableOrchestrationContext
from dacapo.entity import DurableEntityContext
from dacapo.http_messages import HttpRequest
from dacapo.testing import Script, run_activity, run_entity, run_trigger

OBJECTS = "dacapo-objects"
"""A file for the builder in the folder of the app: the addresses of all objects, 32 bits each."""

_REHEARSALS = 32
"""The number of runs after which the interpreter has finished its specialisations."""

_immortals: list[Any] = []
"""Keeps the objects alive until the builder makes them immortal: their addresses must not be reused."""


def settle(root: str) -> None:
    """Must be called last. Each instance writes to objects that are made later, if it uses them."""
    for _ in range(_REHEARSALS):
        _rehearse()
    gc.collect()
    with Path(root, OBJECTS).open("wb") as file:
        for batch in itertools.batched(_objects(), 4096):
            _immortals.append(batch)
            file.write(array("I", map(id, batch)).tobytes())
    gc.freeze()


def _objects() -> Iterator[Any]:
    """All objects that the collector tracks, and the untracked ones that they refer to. Some occur several times."""
    for container in gc.get_objects():
        yield container
        others = gc.get_referents(container)
        while others:
            other = others.pop()
            if not gc.is_tracked(other):
                yield other
                others.extend(_parts(other))


def _parts(untracked: Any) -> list[Any]:
    if isinstance(untracked, types.CodeType):
        code = untracked
        return [code.co_consts, code.co_names, code.co_varnames, code.co_name, code.co_qualname, code.co_filename]
    return gc.get_referents(untracked)


def _rehearse() -> None:
    """Runs the code that runs in most apps: each style, and each kind of function."""
    script = Script().activity("work", {"n": 1}).sub_orchestrator("child", [1, "text"]).event("Go", True)
    script.run(_steps, {"n": 1})
    script.run(_flows, 1)
    run_entity(_count, "add", 1, state=1)
    run_activity(_work, {"n": 1})
    run_activity(_work_slowly, {"n": 1})
    run_trigger(_start, _REQUEST)


def _steps(context: DurableOrchestrationContext):
    yield context.call_activity("work", context.get_input())
    event = context.wait_for_external_event("Go")
    timer = context.create_timer(context.current_utc_datetime + timedelta(milliseconds=5))
    winner = yield context.task_any([event, timer])
    if winner is event:
        timer.cancel()
    yield context.task_all([context.call_activity("work", n) for n in range(3)])
    yield context.call_activity_with_retry("work", RetryOptions(10, 3))
    yield context.call_sub_orchestrator("child")
    context.set_custom_status("done")
    return context.instance_id


async def _flows(context: DurableOrchestrationContext):
    await context.call_activity("work", context.get_input())
    await asyncio.wait_for(context.wait_for_external_event("Go"), timeout=5)
    await asyncio.gather(*(context.call_activity("work", n) for n in range(3)))
    await asyncio.sleep(1)
    return [context.instance_id]


def _work(input_: Any, context: ActivityCall):
    return [input_, context.attempt]


async def _work_slowly(input_: Any):
    await asyncio.sleep(0)
    return input_


_app = DFApp()
_REQUEST = {
    "method": "POST",
    "url": "http://localhost/api/start?a=b",
    "headers": [["content-type", "application/json"]],
    "query": [["a", "b"]],
    "params": {"name": "orchestrator"},
    "body": '{"n": 1}',
}


@_app.route()
@_app.durable_client_input("client")
async def _start(req: HttpRequest, client: DurableOrchestrationClient):
    instance_id = await client.start_new(req.route_params["name"], client_input=req.get_json())
    await client.get_status(instance_id)
    return client.create_check_status_response(req, instance_id)


def _count(context: DurableEntityContext):
    context.set_state(context.get_state(int) + context.get_input())
    context.set_result(context.get_state())
