"""signal_entity and read_entity_state, on the entity `counter`."""

from azure.durable_functions.models.utils.entity_utils import EntityId

from checks import check, equal, refused
from world import fresh


def counter(text=""):
    return EntityId("counter", f"{fresh()}{text}")


async def state_is(world, entity, value):
    """Waits for the value, as signals are asynchronous. None: the entity does not exist."""

    async def read():
        answer = await world.client.read_entity_state(entity)
        return answer.entity_state if answer.entity_exists else None

    await world.reading(read, None if value is None else {"value": value}, f"the state of {entity}")


async def add(world, entity, number):
    """Signals without the client, which would send the number as a string."""
    code, _ = await world.raw("POST", f"entities/{entity.name}/{entity.key}?op=add", number)
    equal(code, 202, "the status code")


@check("read_entity_state of an entity that was never used")
async def unused(world):
    answer = await world.client.read_entity_state(counter())
    equal((answer.entity_exists, answer.entity_state), (False, None), "the answer")


@check("signal_entity and read_entity_state")
async def signalled(world):
    entity = counter()
    await add(world, entity, 5)
    await state_is(world, entity, 5)
    await world.client.signal_entity(entity, "reset")
    await state_is(world, entity, 0)
    await add(world, entity, -2)
    await state_is(world, entity, -2)
    await world.client.signal_entity(entity, "delete")
    await state_is(world, entity, None)


@check("signal_entity with a number sends a string that holds it")
async def encoded_twice(world):
    """The counter takes only numbers, so it refuses the string and keeps its state."""
    entity = counter()
    await add(world, entity, 1)
    await world.client.signal_entity(entity, "add", 5)
    await add(world, entity, 10)
    await state_is(world, entity, 11)


@check("signal_entity with falsy inputs sends none")
async def falsy(world):
    entity = counter()
    await add(world, entity, 3)
    for value in [0, "", False, [], None]:
        await world.client.signal_entity(entity, "get", value)
    await world.client.signal_entity(entity, "reset")
    await state_is(world, entity, 0)


@check("signal_entity with a task hub and a connection")
async def with_hub(world):
    entity = counter()
    await add(world, entity, 7)
    await world.client.signal_entity(entity, "reset", None, world.hub, "Storage")
    await state_is(world, entity, 0)
    answer = await world.client.read_entity_state(entity, world.hub, "Storage")
    equal((answer.entity_exists, answer.entity_state), (True, {"value": 0}), "the answer")
    await refused(world.client.signal_entity(entity, "reset", None, "Elsewhere"), "unexpected status code 403")


@check("the name of an entity ignores case, its key does not")
async def case(world):
    entity = counter("-Key")
    await add(world, entity, 4)
    await state_is(world, EntityId("COUNTER", entity.key), 4)
    await state_is(world, EntityId("counter", entity.key.lower()), None)


async def awkward_key(world, text):
    entity = counter(text)
    await world.client.signal_entity(entity, "reset")
    await state_is(world, entity, 0)
    await world.client.signal_entity(entity, "delete")
    await state_is(world, entity, None)


for text in [" a b", "a+b:c;d=e&f", "gr\u00fc\u00df", "@x@y", "100%"]:
    check(f"an entity key with '{text}'", text)(awkward_key)


@check("an operation that the entity does not have changes nothing")
async def unknown_operation(world):
    entity = counter()
    await add(world, entity, 2)
    await world.client.signal_entity(entity, "no_such_operation", {"a": 1})
    await add(world, entity, 2)
    await state_is(world, entity, 4)


@check("entities are listed and purged with instances")
async def listed(world):
    entity = counter()
    await add(world, entity, 1)
    await state_is(world, entity, 1)
    found = await world.client.get_status_by(instance_id_prefix=str(entity))
    equal([status.instance_id for status in found], [str(entity)], "the ids")
    equal((await world.client.purge_instance_history(str(entity))).instances_deleted, 1, "the number of purged instances")
    await state_is(world, entity, None)
    equal((await world.client.purge_instance_history(str(entity))).instances_deleted, 0, "the number, the second time")
