"""get_status_all, get_status_by, purge_instance_history_by: these affect all instances, so they run alone."""

import asyncio
from datetime import datetime, timedelta, timezone

from azure.durable_functions.models.OrchestrationRuntimeStatus import OrchestrationRuntimeStatus as Status

from checks import check_alone, equal, refused, true
from world import fresh

PAGE = 1_000


async def group(world):
    """Starts one instance of each status; returns their ids, and times before the first and after the last start."""
    await asyncio.sleep(0.01)
    begin = datetime.now(timezone.utc)
    ids = {state: await world.instance(state) for state in ["completed", "failed", "terminated", "running", "suspended"]}
    end = datetime.now(timezone.utc)
    await asyncio.sleep(0.01)
    return ids, begin, end


def ids_of(statuses):
    return sorted(status.instance_id for status in statuses)


@check_alone("get_status_by created time and status")
async def by(world):
    ids, begin, end = await group(world)
    by = world.client.get_status_by
    equal(ids_of(await by(created_time_from=begin, created_time_to=end)), sorted(ids.values()), "all of the time")
    equal(ids_of(await by(created_time_from=begin)), sorted(ids.values()), "all from then on")
    before = ids_of(await by(created_time_to=begin))
    true(before and not set(before) & set(ids.values()), "all before then are wrong")
    ended_badly = [Status.Failed, Status.Terminated]
    for statuses in [[Status.Completed], ended_badly, [Status.Running], [Status.Suspended], [Status.Canceled]]:
        expected = sorted(ids[status.value.lower()] for status in statuses if status.value.lower() in ids)
        seen = ids_of(await by(created_time_from=begin, created_time_to=end, runtime_status=statuses))
        equal(seen, expected, f"those that are {statuses}")
    equal(ids_of(await by(created_time_from=end + timedelta(days=1))), [], "those of tomorrow")


@check_alone("get_status_by the prefix of the id")
async def by_prefix(world):
    prefix = fresh()
    for name in ["", "-b", "-a", "-A", "-\u00e4 \u65e5"]:
        await world.client.start_new("echo_orchestrator", prefix + name)
    found = await world.client.get_status_by(instance_id_prefix=prefix)
    equal(ids_of(found), sorted(prefix + name for name in ["", "-b", "-a", "-A", "-\u00e4 \u65e5"]), "the ids")
    found = await world.client.get_status_by(instance_id_prefix=f"{prefix}-\u00e4 ")
    equal(ids_of(found), [f"{prefix}-\u00e4 \u65e5"], "the ids")
    equal(await world.client.get_status_by(instance_id_prefix=f"{prefix}-c"), [], "the ids of a prefix of none")


@check_alone("get_status_by without any filter is get_status_all")
async def by_nothing(world):
    everything = ids_of(await world.client.get_status_all())
    true(len(everything) > 5, f"there are only {everything}")
    equal(ids_of(await world.client.get_status_by()), everything, "all instances")


@check_alone("purge_instance_history_by created time and status")
async def purge_by(world):
    ids, begin, end = await group(world)
    purge = world.client.purge_instance_history_by
    equal((await purge(begin, end, [Status.Failed])).instances_deleted, 1, "the number of the failed")
    equal((await purge(begin, end, [Status.Failed])).instances_deleted, 0, "the number, the second time")
    equal((await purge(end + timedelta(days=1))).instances_deleted, 0, "the number of tomorrow")
    equal((await purge(begin, end)).instances_deleted, 2, "the number of all that have ended")
    left = ids_of(await world.client.get_status_by(begin, end))
    equal(left, sorted([ids["running"], ids["suspended"]]), "what is left")
    await refused(purge(), "created_time_from is required")


@check_alone("more instances than one page has: the client reads the first page only")
async def many(world):
    begin = datetime.now(timezone.utc)
    prefix = fresh()
    places = asyncio.Semaphore(25)

    async def start(number):
        async with places:
            return await world.client.start_new("echo_orchestrator", f"{prefix}-{number:04}", number)

    await asyncio.gather(*[start(number) for number in range(PAGE + 5)])
    listed = await world.client.get_status_all()
    equal((len(listed), len(set(ids_of(listed)))), (PAGE, PAGE), "the number of instances, and of ids")
    page = await world.client.get_status_by(instance_id_prefix=prefix)
    equal(len(page), PAGE, "the number of instances with the prefix")
    await world.until(f"{prefix}-{PAGE + 4:04}", "Completed")
    deleted = 0
    for _ in range(100):  # the last of them may still be running
        deleted += (await world.client.purge_instance_history_by(begin, None, [Status.Completed])).instances_deleted
        if deleted == PAGE + 5:
            break
        await asyncio.sleep(0.05)
    equal(deleted, PAGE + 5, "the number of purged instances")
    equal(await world.client.get_status_by(instance_id_prefix=prefix), [], "what is left")


@check_alone("every public method of the client was called")
async def all_methods(world):
    public = {name for name in dir(type(world.client._client)) if not name.startswith("_")}
    methods = {name for name in public if callable(getattr(world.client._client, name))}
    true(len(methods) >= 18, f"the client has only {sorted(methods)}")
    equal(sorted(methods - world.client.called), [], "the methods that were not called")
